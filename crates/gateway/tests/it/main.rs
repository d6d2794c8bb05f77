//! The gateway over real loopback sockets: clients and collectors of both protocols, on free ports.

mod answers;
mod compressing;
mod endpoints;
mod hanging;
mod life;
mod old_senders;
mod planting;
mod ports;
mod receiving;
mod redacting;
mod routing;
mod signals;
mod spooling;
mod tapping;
mod testers;
mod tls_in;
mod tls_out;
mod upstream;

use bytes::Bytes;
use gateway::{
    Addresses, Bound, Channels, Config, Event, Gateway, Limits, Listen, Spools, Stats, Stopped, View, ViewShare,
};
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{BasisPoints, Environment, PerEnvironment, Pins, Protocol, RouteKey, RouteTable, TraceId, Transport};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::Signal;
use prost::Message;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use upstream::Upstream;

const KEY: RouteKey = RouteKey([7; 16]);
const PIN_MS: u64 = 60_000;

/// Any free port.
pub(crate) fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn anywhere() -> Listen {
    Listen { grpc: any(), http: any(), tls: None }
}

/// A table whose environments are these collectors, blue active, with taps `blue` and `green`.
pub(crate) fn table(blue: &Upstream, green: Option<&Upstream>, weight: u16) -> RouteTable {
    let reached = |upstream: &Upstream, tap: &str| model::Upstream::plain(upstream.url(), upstream.protocol, tap);
    RouteTable {
        generation: 1,
        active: Environment::Blue,
        weight: BasisPoints::new(weight).expect("a weight"),
        mirror: false,
        pins: Pins::Keep,
        pin_ms: PIN_MS,
        key: KEY,
        upstreams: PerEnvironment {
            blue: Some(reached(blue, "blue")),
            green: green.map(|green| reached(green, "green")),
        },
        proofs: None,
        redaction: None,
        testers: None,
        proof: None,
    }
}

/// A running gateway, and everything it is connected with.
pub(crate) struct Fixture {
    pub(crate) gateway: Gateway,
    pub(crate) addresses: Addresses,
    pub(crate) views: mpsc::Receiver<View>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) now_us: Arc<AtomicU64>,
    pub(crate) share: Arc<ViewShare>,
    tables: watch::Sender<Arc<RouteTable>>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Stopped>,
}

impl Fixture {
    pub(crate) async fn start(table: RouteTable) -> Fixture {
        Fixture::start_with(table, Limits::default(), 1_000).await
    }

    pub(crate) async fn start_with(table: RouteTable, limits: Limits, views: usize) -> Fixture {
        Fixture::start_all(anywhere(), table, limits, views, Vec::new(), Spools::default()).await
    }

    /// With ports of its own.
    pub(crate) async fn listening(listen: Listen, table: RouteTable, limits: Limits, views: usize) -> Fixture {
        Fixture::start_all(listen, table, limits, views, Vec::new(), Spools::default()).await
    }

    /// With a disk on which requests can wait.
    pub(crate) async fn start_with_spools(table: RouteTable, spools: Spools) -> Fixture {
        Fixture::start_all(anywhere(), table, Limits::default(), 1_000, Vec::new(), spools).await
    }

    /// On sockets of another gateway.
    pub(crate) async fn start_on(table: RouteTable, limits: Limits, sockets: Vec<gateway::Socket>) -> Fixture {
        Fixture::start_all(anywhere(), table, limits, 1_000, sockets, Spools::default()).await
    }

    async fn start_all(
        listen: Listen,
        table: RouteTable,
        limits: Limits,
        views: usize,
        sockets: Vec<gateway::Socket>,
        spools: Spools,
    ) -> Fixture {
        let taps = ["blue", "green", "spare"].into_iter().map(|tap| (tap.to_owned(), anywhere())).collect();
        // A small table of pins: a test starts many gateways.
        let limits = Limits { pin_slots: 1 << 12, ..limits };
        let fixed = [("zipkin".to_owned(), any())].into();
        let config = Config { listen, fixed, taps, limits };
        let bound: Bound = Gateway::bind_with(config, sockets).await.expect("free ports can be bound");
        let (tables, watched) = watch::channel(Arc::new(table));
        let (events_in, events) = mpsc::channel(8);
        let (views_in, views) = mpsc::channel(views);
        let (stop, stopped) = oneshot::channel();
        let now_us = Arc::new(AtomicU64::new(1_000_000_000_000_000));
        let clock = Arc::clone(&now_us);
        let share = Arc::new(ViewShare::default());
        let channels = Channels {
            share: Arc::clone(&share),
            spools,
            tables: watched,
            events: events_in,
            views: views_in,
            warrant: None,
            redaction_key: redact::Key([7; 32]),
            clock: Arc::new(move || clock.fetch_add(1, SeqCst)),
        };
        let (gateway, addresses) = (bound.gateway(), bound.addresses().clone());
        let running = tokio::spawn(bound.run(channels, async {
            let _ = stopped.await;
        }));
        let mut fixture =
            Fixture { gateway, addresses, views, events, now_us, share, tables, stop: Some(stop), running };
        fixture.event().await;
        fixture
    }

    pub(crate) async fn event(&mut self) -> Event {
        self.events.recv().await.expect("the gateway runs")
    }

    /// Publishes a table, and waits until the gateway has said what became of it.
    pub(crate) async fn publish(&mut self, table: RouteTable) -> Event {
        self.tables.send_replace(Arc::new(table));
        self.event().await
    }

    pub(crate) async fn view(&mut self) -> View {
        self.views.recv().await.expect("the gateway runs")
    }

    pub(crate) fn stats(&self) -> Stats {
        self.gateway.stats()
    }

    pub(crate) fn pass_ms(&self, ms: u64) {
        self.now_us.fetch_add(ms * 1_000, SeqCst);
    }

    /// A client of the gateway.
    pub(crate) fn client(&self, protocol: Protocol) -> gateway::OtlpClient {
        client(&self.addresses.gateway, protocol)
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().expect("it stops once").send(());
    }

    pub(crate) async fn stopped(self) -> Stopped {
        self.running.await.expect("the gateway does not panic")
    }
}

/// Tries again until it is so; 30 s are far beyond what anything here takes.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let trying = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), trying).await.unwrap_or_else(|_| panic!("not {what}"));
}

/// A client of a gateway or a tap.
pub(crate) fn client(listen: &Listen, protocol: Protocol) -> gateway::OtlpClient {
    let address = match protocol {
        Protocol::Grpc => listen.grpc,
        Protocol::Http => listen.http,
    };
    client_of(&format!("http://{address}"), protocol, &Transport::default())
}

pub(crate) fn client_of(endpoint: &str, protocol: Protocol, transport: &Transport) -> gateway::OtlpClient {
    gateway::OtlpClient::new(endpoint, protocol, transport, gateway::ClientLimits::default()).expect("a good endpoint")
}

pub(crate) fn trace_id(trace: u64) -> TraceId {
    let mut id = [0xab; 16];
    id[8..].copy_from_slice(&trace.to_be_bytes());
    TraceId(id)
}

/// An export of one span for each (trace, span), in their order, in one scope.
pub(crate) fn request(spans: impl IntoIterator<Item = (u64, u64)>) -> Bytes {
    let span = |(trace, span): (u64, u64)| Span {
        trace_id: trace_id(trace).0.to_vec(),
        span_id: span.to_be_bytes().to_vec(),
        name: format!("span {span}"),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: spans.into_iter().map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into()
}

/// The spans of an export: how often each (trace, span) is there.
pub(crate) fn spans_of<'m>(messages: impl IntoIterator<Item = &'m Bytes>) -> BTreeMap<(TraceId, u64), u64> {
    let mut spans = BTreeMap::new();
    for message in messages {
        let request = ExportTraceServiceRequest::decode(message.clone()).expect("an export request");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let trace = TraceId(span.trace_id.try_into().expect("16 bytes"));
            let id = u64::from_be_bytes(span.span_id.try_into().expect("8 bytes"));
            *spans.entry((trace, id)).or_default() += 1;
        }
    }
    spans
}

/// Traces that the first `weight` buckets hold, and that they do not hold.
pub(crate) fn traces_below(weight: u16, count: usize) -> (Vec<u64>, Vec<u64>) {
    let below = |trace: &u64| KEY.bucket(trace_id(*trace)).0 < weight;
    ((0..).filter(below).take(count).collect(), (0..).filter(|trace| !below(trace)).take(count).collect())
}

/// What a raw client got: trailers are among the headers.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

/// A raw request to the address: over HTTP/2 if the content type is gRPC's, over HTTP/1.1 otherwise.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Got {
    let stream = TcpStream::connect(address).await.expect("the gateway listens");
    send_over(stream, method, path, headers, body).await
}

/// The same over a connection that is there.
pub(crate) async fn send_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Got {
    let grpc = headers.iter().any(|(_, value)| value.starts_with("application/grpc"));
    let io = TokioIo::new(stream);
    let mut request = Request::builder().method(method).uri(format!("http://gateway{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a good request");
    let response = if grpc {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut request = request;
        *request.version_mut() = Version::HTTP_2;
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let mut request = request;
        request.headers_mut().insert("host", "gateway".parse().expect("a header"));
        *request.uri_mut() = path.parse().expect("a path");
        sender.send_request(request).await
    };
    let (head, body) = response.expect("an answer").into_parts();
    let collected = body.collect().await.expect("a whole answer");
    let mut headers = head.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    Got { status: head.status.as_u16(), headers, body: collected.to_bytes() }
}

pub(crate) const GRPC: (&str, &str) = ("content-type", "application/grpc");
pub(crate) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const GZIP: (&str, &str) = ("content-encoding", "gzip");
pub(crate) const ZSTD: (&str, &str) = ("content-encoding", "zstd");

/// A gRPC body.
pub(crate) fn framed(compressed: bool, message: &[u8]) -> Bytes {
    [&otlp::grpc::prefix(compressed, message.len() as u32)[..], message].concat().into()
}

pub(crate) async fn post_traces(fixture: &Fixture, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Got {
    let grpc = headers.contains(&GRPC);
    let path = if grpc { Signal::Traces.grpc_path() } else { Signal::Traces.http_path() };
    send(fixture.addresses.gateway.http, "POST", path, headers, body).await
}
