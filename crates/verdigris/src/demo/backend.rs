//! Where the pipelines deliver: takes everything, and keeps count of the distinct spans.

use super::keys::{SpanKey, SpanKeys};
use super::server::{Server, refused};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::reply::{Status, code};
use otlp::{Signal, count_items};
use prost::Message;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A back end that listens for OTLP/gRPC.
pub struct Backend {
    server: Server,
    recorded: Arc<Mutex<Recorded>>,
    stats: watch::Receiver<BackendStats>,
}

/// What a back end was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendStats {
    /// Requests taken.
    pub requests: u64,
    /// Spans, each as often as it came.
    pub spans: u64,
    /// Distinct spans: by trace id, span id and kind.
    pub distinct: u64,
    /// Distinct traces.
    pub traces: u64,
    /// Metric data points and log records.
    pub other_items: u64,
    /// Spans that came after the set was full ([`super::keys::MAX_KEYS`]): if not 0, `distinct` is too low.
    pub overflowed: u64,
}

#[derive(Default)]
struct Recorded {
    spans: SpanKeys,
    traces: SpanKeys,
}

impl Backend {
    /// Listens on a loopback port that the system chooses.
    pub async fn start() -> io::Result<Backend> {
        let recorded = Arc::new(Mutex::new(Recorded::default()));
        let (changed, stats) = watch::channel(BackendStats::default());
        let records = recorded.clone();
        let server = Server::start(move |signal, message| take(signal, message, &records, &changed)).await?;
        Ok(Backend { server, recorded, stats })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it was delivered so far.
    pub fn stats(&self) -> BackendStats {
        *self.stats.borrow()
    }

    /// The same, to wait on.
    pub fn watch(&self) -> watch::Receiver<BackendStats> {
        self.stats.clone()
    }

    /// Stops listening. What it recorded stays.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Distinct spans that were delivered to at least one of these back ends.
    pub fn distinct_across(backends: &[&Backend]) -> u64 {
        let mut all = SpanKeys::default();
        for backend in backends {
            all.extend(&lock(&backend.recorded).spans);
        }
        all.len()
    }

    /// How many of these spans were delivered to at least one of these back ends.
    pub fn delivered_of(spans: &SpanKeys, backends: &[&Backend]) -> u64 {
        let mut all = SpanKeys::default();
        for backend in backends {
            all.extend(&lock(&backend.recorded).spans);
        }
        spans.found_in(&all)
    }
}

fn take(
    signal: Signal,
    message: Bytes,
    recorded: &Mutex<Recorded>,
    changed: &watch::Sender<BackendStats>,
) -> Result<(), Status> {
    if signal != Signal::Traces {
        let items = count_items(signal, &message).map_err(|error| refused(code::INVALID_ARGUMENT, error))?;
        changed.send_modify(|stats| {
            stats.requests += 1;
            stats.other_items += items;
        });
        return Ok(());
    }
    let request = ExportTraceServiceRequest::decode(message).map_err(|error| refused(code::INVALID_ARGUMENT, error))?;
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let mut recorded = lock(recorded);
    let mut spans = 0;
    for span in scopes.flat_map(|scope| &scope.spans) {
        spans += 1;
        recorded.spans.insert(SpanKey::of(span));
        recorded.traces.insert(SpanKey::of_trace(&span.trace_id));
    }
    changed.send_modify(|stats| {
        stats.requests += 1;
        stats.spans += spans;
        stats.distinct = recorded.spans.len();
        stats.traces = recorded.traces.len();
        stats.overflowed = recorded.spans.overflowed();
    });
    Ok(())
}

fn lock(recorded: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    // A set of keys is whole after every insertion, so what a panicking holder left can be read on.
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
