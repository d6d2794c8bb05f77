//! Our own traces and logs by OTLP/HTTP, where `telemetry.otlp` in `verdigris.yaml` says so: spans of requests, gate runs and
//! decisions, and logs at warn and above, each with the trace it belongs to.
//!
//! It never waits and never holds anything up: what the queue does not take is dropped and counted. It never goes through
//! this server's own ports, for what it told of itself would be told of again. `opentelemetry-otlp` and its SDK would do the
//! same by twenty more crates; the messages and the HTTP client are here already.

mod layer;

pub use layer::OwnLayer;

use anyhow::ensure;
use bytes::Bytes;
use http::{Method, header};
use http_body_util::Full;
use http_client::Server;
use model::ClientTls;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Spans and log records that wait: at 1 KiB each 2 MiB. A busy API makes a hundred spans a second.
const MAX_WAITING: usize = 2_048;
/// Of these, in one request.
const MAX_BATCH: usize = 512;
/// How long a batch gathers.
const GATHER: Duration = Duration::from_secs(1);
/// For connecting, sending and the answer together.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// An answer is a partial success at most.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Where the layer puts what there is to tell; empty while nobody wants it. The one global of the program: the subscriber is
/// made before the configuration is read.
static QUEUE: OnceLock<mpsc::Sender<Own>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// One thing to tell.
#[derive(Debug)]
enum Own {
    Span(Box<Span>),
    Log(Box<LogRecord>),
}

/// Where our own traces and logs go: an address that takes OTLP/HTTP in clear text, as a collector beside us does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// `http://host:port`.
    pub fn parse(url: &str) -> Result<Endpoint, String> {
        let expected = || {
            format!("found {url:?}, expected http://host:port of a collector beside this server, which takes OTLP/HTTP")
        };
        let authority = url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let (host, port) = authority.and_then(|it| it.rsplit_once(':')).ok_or_else(expected)?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(expected());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(expected)?;
        Ok(Endpoint { host: host.to_owned(), port })
    }

    /// Refuses it where its name alone says that one of our own ports is behind it.
    pub fn check(&self, ours: &[SocketAddr]) -> Result<(), String> {
        let found = match self.bare_host() {
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            host => host.parse().into_iter().collect(),
        };
        self.check_addresses(&found, ours, |ip| ip.is_loopback())
    }

    /// The same for the addresses that it has now, on any interface of this machine.
    pub async fn check_resolved(&self, ours: &[SocketAddr]) -> Result<(), String> {
        // A name that nobody knows yet is no port of ours.
        let found = tokio::net::lookup_host((self.bare_host(), self.port)).await;
        let found: Vec<IpAddr> = found.map(|found| found.map(|it| it.ip()).collect()).unwrap_or_default();
        // Nobody but this machine can bind an address of its own.
        self.check_addresses(&found, ours, |ip| UdpSocket::bind((ip, 0)).is_ok())
    }

    fn bare_host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    fn check_addresses(
        &self,
        found: &[IpAddr],
        ours: &[SocketAddr],
        is_local: impl Fn(IpAddr) -> bool,
    ) -> Result<(), String> {
        let Endpoint { host, port } = self;
        let is_own = |ip: IpAddr, own: &SocketAddr| {
            // A connection to the unspecified address comes to this machine.
            let is_here = ip.is_unspecified() || is_local(ip);
            own.ip() == ip || (own.ip().is_unspecified() && is_here) || (ip.is_unspecified() && own.ip().is_loopback())
        };
        let is_one = ours.iter().filter(|own| own.port() == *port).any(|own| found.iter().any(|ip| is_own(*ip, own)));
        match is_one {
            true => Err(format!(
                "telemetry.otlp: http://{host}:{port} is a port of this server itself, which would tell of what it tells \
                 without end; name another collector"
            )),
            false => Ok(()),
        }
    }
}

/// Spans and log records that were dropped since the start.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Begins to tell; once in a process.
pub fn start(endpoint: Endpoint) {
    let (sender, queue) = mpsc::channel(MAX_WAITING);
    if QUEUE.set(sender).is_ok() {
        tokio::spawn(tell(endpoint, queue));
    }
}

fn put(own: Own) {
    if QUEUE.get().is_some_and(|queue| queue.try_send(own).is_err()) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

async fn tell(endpoint: Endpoint, mut queue: mpsc::Receiver<Own>) {
    let (mut batch, mut failed) = (Vec::new(), false);
    loop {
        if queue.recv_many(&mut batch, MAX_BATCH).await == 0 {
            return;
        }
        tokio::time::sleep(GATHER).await;
        while batch.len() < MAX_BATCH {
            match queue.try_recv() {
                Ok(own) => batch.push(own),
                Err(_) => break,
            }
        }
        let told = batch.len() as u64;
        match tokio::time::timeout(ANSWER_LIMIT, send(&endpoint, std::mem::take(&mut batch))).await {
            Ok(Ok(())) => failed = false,
            Ok(Err(error)) => note(&mut failed, told, &format!("{error:#}")),
            Err(_) => note(&mut failed, told, "it did not answer in time"),
        }
    }
}

/// Said once an outage: what is logged comes here too.
fn note(failed: &mut bool, lost: u64, why: &str) {
    DROPPED.fetch_add(lost, Ordering::Relaxed);
    if !std::mem::replace(failed, true) {
        tracing::warn!("telemetry.otlp: our own traces and logs are not taken, and dropped until they are: {why}");
    }
}

async fn send(endpoint: &Endpoint, batch: Vec<Own>) -> anyhow::Result<()> {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for own in batch {
        match own {
            Own::Span(span) => spans.push(*span),
            Own::Log(log) => logs.push(*log),
        }
    }
    let resource = || {
        Some(Resource {
            attributes: vec![text("service.name", "verdigris"), text("service.version", env!("CARGO_PKG_VERSION"))],
            ..Resource::default()
        })
    };
    let scope = || Some(InstrumentationScope { name: "verdigris".to_owned(), ..InstrumentationScope::default() });
    if !spans.is_empty() {
        let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
        post(endpoint, "/v1/traces", ExportTraceServiceRequest { resource_spans }.encode_to_vec()).await?;
    }
    if !logs.is_empty() {
        let scope_logs = vec![ScopeLogs { scope: scope(), log_records: logs, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
        post(endpoint, "/v1/logs", ExportLogsServiceRequest { resource_logs }.encode_to_vec()).await?;
    }
    Ok(())
}

async fn post(endpoint: &Endpoint, path: &str, body: Vec<u8>) -> anyhow::Result<()> {
    let Endpoint { host, port } = endpoint;
    let server = Server::new(&format!("http://{host}:{port}"), &ClientTls::default())?;
    let request = server.request(Method::POST, path).header(header::CONTENT_TYPE, "application/x-protobuf");
    let status = server.ask(request.body(Full::new(Bytes::from(body)))?, MAX_ANSWER_BYTES).await?.status();
    ensure!(status.is_success(), "{path} answered {status}");
    Ok(())
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    /// Whether the URL is refused beside our ports.
    fn check(url: &str, ours: &[&str], refused: bool) {
        let ours: Vec<_> = ours.iter().map(|address| address.parse().expect("an address")).collect();
        let endpoint = Endpoint::parse(url).expect("a URL");
        assert_eq!(endpoint.check(&ours).is_err(), refused, "{url} beside {ours:?}");
    }

    #[test]
    fn it_is_never_told_to_itself() {
        let ours = ["127.0.0.1:4317", "0.0.0.0:4318", "10.0.0.7:4328"];
        check("http://127.0.0.1:4317", &ours, true);
        check("http://localhost:4317/", &ours, true);
        check("http://127.0.0.1:4318", &ours, true);
        check("http://0.0.0.0:4317", &ours, true);
        check("http://[::1]:4317", &ours, false);
        check("http://otel.example:4318", &ours, false);
        check("http://10.0.0.7:4328", &ours, true);
        check("http://10.0.0.8:4328", &ours, false);
        check("http://127.0.0.1:5318", &ours, false);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "http://",
            "https://collector:4318",
            "http://collector",
            "http://collector:0",
            "http://a b:1",
            "http://u@c:1",
        ] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }
}
