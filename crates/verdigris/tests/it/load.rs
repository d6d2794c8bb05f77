//! Clients that send one request after the other and forgive nothing: what they were told, and what became of their
//! connections.

use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::Signal;
use prost::Message;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use verdigris::demo::backend::Backend;
use verdigris::demo::keys::{SpanKey, SpanKeys};

/// How a client uses connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// One for all requests, as long as it lasts.
    Kept,
    /// A new one for each request.
    Anew,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Grpc,
}

/// What became of everything that the clients sent.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: SpanKeys,
    /// Times that nobody listened.
    pub(crate) refused: u64,
    /// Connections that were closed in order, between two requests.
    pub(crate) closed: u64,
    /// Requests of kept connections that were sent and not answered, or answered with something else than "taken".
    pub(crate) broken: Vec<String>,
    /// The same, of new connections.
    pub(crate) broken_anew: Vec<String>,
}

/// Clients at work.
pub(crate) struct Load {
    clients: Vec<(Connections, JoinHandle<Tally>)>,
    address: watch::Sender<[SocketAddr; 2]>,
    stop: watch::Sender<bool>,
    answered: Arc<AtomicU64>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Grpc(http2::SendRequest<Full<Bytes>>),
}

struct Client {
    number: u64,
    speaks: Speaks,
    connections: Connections,
    address: watch::Receiver<[SocketAddr; 2]>,
    answered: Arc<AtomicU64>,
    kept: Option<Sender>,
    tally: Tally,
}

/// An export of one span, and the span.
pub(crate) fn export(trace: [u8; 16], span: u64) -> (Bytes, SpanKey) {
    let span = Span { trace_id: trace.into(), span_id: span.to_be_bytes().into(), kind: 1, ..Span::default() };
    let key = SpanKey::of(&span);
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    (ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into(), key)
}

impl Load {
    /// Two clients of each kind, against a server's gRPC and HTTP ports.
    pub(crate) fn start(stage: &Stage, ports: [SocketAddr; 2]) -> Load {
        let (stop, stopped) = watch::channel(false);
        let (address, watched) = watch::channel(ports);
        let answered = Arc::<AtomicU64>::default();
        let kinds = [
            (Speaks::Http1, Connections::Kept),
            (Speaks::Http1, Connections::Anew),
            (Speaks::Grpc, Connections::Kept),
            (Speaks::Grpc, Connections::Anew),
        ];
        let clients = (0..).zip(kinds.into_iter().cycle().take(2 * kinds.len()));
        let clients = clients.map(|(number, (speaks, connections))| {
            let client = Client {
                number,
                speaks,
                connections,
                address: watched.clone(),
                answered: Arc::clone(&answered),
                kept: None,
                tally: Tally::default(),
            };
            (connections, stage.runtime.spawn(client.run(stopped.clone())))
        });
        Load { clients: clients.collect(), address, stop, answered }
    }

    /// Waits until so many more requests were answered.
    pub(crate) fn flows(&self, requests: u64) {
        let enough = self.answered.load(SeqCst) + requests;
        let what = format!("{requests} more answers");
        eventually(&what, seconds(60), || (self.answered.load(SeqCst) >= enough).then_some(()));
    }

    /// Where new connections lead from now on.
    pub(crate) fn moved(&self, ports: [SocketAddr; 2]) {
        self.address.send_replace(ports);
    }

    /// Ends the traffic, and checks that what was acknowledged has arrived.
    pub(crate) fn stop(self, stage: &Stage) -> Tally {
        self.stop.send_replace(true);
        let mut all = Tally::default();
        for (connections, client) in self.clients {
            let tally = stage.runtime.block_on(client).expect("a client does not panic");
            all.acknowledged.extend(&tally.acknowledged);
            all.refused += tally.refused;
            all.closed += tally.closed;
            match connections {
                Connections::Kept => all.broken.extend(tally.broken),
                Connections::Anew => all.broken_anew.extend(tally.broken),
            }
        }
        let arrived = Backend::delivered_of(&all.acknowledged, &[&stage.blue, &stage.green]);
        assert_eq!(arrived, all.acknowledged.len(), "what was acknowledged has arrived");
        assert!(!all.acknowledged.is_empty());
        all
    }
}

/// Whether the server closed the connection in order, and says of this request that it never looked at it (RFC 9113,
/// section 6.8): so it does if its GOAWAY comes between Hyper's last look at the connection and the request.
fn never_processed(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|it| it.is_go_away() && it.is_remote() && it.reason() == Some(h2::Reason::NO_ERROR))
}

impl Client {
    async fn run(mut self, stopped: watch::Receiver<bool>) -> Tally {
        let mut request = 0_u64;
        while !*stopped.borrow() {
            request += 1;
            let mut trace = [0x7a; 16];
            trace[..8].copy_from_slice(&self.number.to_be_bytes());
            trace[8..].copy_from_slice(&request.to_be_bytes());
            let (message, key) = export(trace, request);
            match self.exchange(message).await {
                Ok(()) => {
                    self.tally.acknowledged.insert(key);
                    self.answered.fetch_add(1, SeqCst);
                }
                Err(Some(broken)) => self.tally.broken.push(broken),
                // Not sent: it is simply sent again.
                Err(None) => tokio::task::yield_now().await,
            }
        }
        self.tally
    }

    /// `Err(None)` if nothing was sent, since there was no connection, or it was closed before.
    async fn exchange(&mut self, message: Bytes) -> Result<(), Option<String>> {
        let broken = |what: &dyn std::fmt::Debug| Some(format!("{what:?}"));
        let mut sender = match self.kept.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let address = self.target();
        let request = match self.speaks {
            Speaks::Http1 => Request::post(Signal::Traces.http_path()).header("content-type", "application/x-protobuf"),
            Speaks::Grpc => Request::post(format!("http://{address}{}", Signal::Traces.grpc_path()))
                .version(Version::HTTP_2)
                .header("content-type", "application/grpc"),
        };
        let body = match self.speaks {
            Speaks::Http1 => message,
            Speaks::Grpc => [&otlp::grpc::prefix(false, message.len() as u32)[..], &message].concat().into(),
        };
        let request = request.header("host", "gateway").body(Full::new(body)).expect("a good request");
        let sent = match &mut sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Grpc(sender) => sender.try_send_request(request).await,
        };
        let response = match sent {
            Ok(response) => response,
            Err(mut error) => {
                let not_sent = error.take_message().is_some() || never_processed(error.error());
                if not_sent && self.connections == Connections::Kept {
                    self.tally.closed += 1;
                    return Err(None);
                }
                return Err(broken(&error.into_error()));
            }
        };
        let (head, body) = response.into_parts();
        let closes = head.headers.get("connection").is_some_and(|value| value == "close");
        let body = body.collect().await.map_err(|error| broken(&error))?;
        let grpc_status = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
        let taken = head.status == 200 && (self.speaks == Speaks::Http1 || grpc_status.is_some_and(|it| it == "0"));
        if !taken {
            return Err(broken(&(head.status, head.headers, body.trailers())));
        }
        match self.connections {
            Connections::Kept if !closes => self.kept = Some(sender),
            Connections::Kept => self.tally.closed += 1,
            Connections::Anew => {}
        }
        Ok(())
    }

    fn target(&self) -> SocketAddr {
        let [grpc, http] = *self.address.borrow();
        if self.speaks == Speaks::Grpc { grpc } else { http }
    }

    async fn connect(&mut self) -> Result<Sender, Option<String>> {
        let Ok(stream) = TcpStream::connect(self.target()).await else {
            self.tally.refused += 1;
            return Err(None);
        };
        let io = TokioIo::new(stream);
        let failed = |error: hyper::Error| Some(format!("{error:?}"));
        match self.speaks {
            Speaks::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
                tokio::spawn(connection);
                Ok(Sender::Http1(sender))
            }
            Speaks::Grpc => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
                tokio::spawn(connection);
                Ok(Sender::Grpc(sender))
            }
        }
    }
}
