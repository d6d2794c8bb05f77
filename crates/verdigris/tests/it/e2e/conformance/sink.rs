//! An environment that decodes what it is sent with opentelemetry-proto, keeps it, and refuses what it is told to.

use super::known::run_of;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::Signal;
use otlp::reply::Status;
use prost::Message;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::runtime::Runtime;
use verdigris::demo::server::Server;

/// An OTLP/gRPC server.
pub(super) struct Sink {
    server: Server,
    held: Arc<Mutex<Held>>,
}

/// What it took, and what it refused.
#[derive(Default)]
pub(super) struct Held {
    pub(super) traces: Vec<ExportTraceServiceRequest>,
    pub(super) metrics: Vec<ExportMetricsServiceRequest>,
    pub(super) logs: Vec<ExportLogsServiceRequest>,
    pub(super) refusals: Vec<Refusal>,
}

/// Requests with spans of this run are refused.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) run: u8,
    /// How many more of them.
    pub(super) times: u64,
    /// How many were.
    pub(super) refused: u64,
    pub(super) status: Status,
}

impl Refusal {
    /// Once, with a time to come back at.
    pub(super) fn once(run: u8, code: u32, retry_after_ms: u64) -> Refusal {
        let status = Status { code, message: "later".to_owned(), retry_after_ms: Some(retry_after_ms) };
        Refusal { run, times: 1, refused: 0, status }
    }

    /// For good.
    pub(super) fn always(run: u8, code: u32) -> Refusal {
        let status = Status { code, message: "never".to_owned(), retry_after_ms: None };
        Refusal { run, times: u64::MAX, refused: 0, status }
    }
}

impl Sink {
    pub(super) fn start(runtime: &Runtime, refusals: Vec<Refusal>) -> Sink {
        let held = Arc::new(Mutex::new(Held { refusals, ..Held::default() }));
        let taking = held.clone();
        let answer = move |signal, message: bytes::Bytes| lock(&taking).take(signal, &message);
        let server = runtime.block_on(Server::start(answer)).expect("a free port");
        Sink { server, held }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().expect("nobody panics who holds it")
}

impl Held {
    fn take(&mut self, signal: Signal, message: &[u8]) -> Result<(), Status> {
        let undecodable = |error| verdigris::demo::server::refused(otlp::reply::code::INVALID_ARGUMENT, error);
        match signal {
            Signal::Metrics => self.metrics.push(ExportMetricsServiceRequest::decode(message).map_err(undecodable)?),
            Signal::Logs => self.logs.push(ExportLogsServiceRequest::decode(message).map_err(undecodable)?),
            Signal::Traces => {
                let request = ExportTraceServiceRequest::decode(message).map_err(undecodable)?;
                let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
                let run = scopes.flat_map(|scope| &scope.spans).map(run_of).next();
                let refusal = self.refusals.iter_mut().find(|refusal| Some(refusal.run) == run && refusal.times > 0);
                if let Some(refusal) = refusal {
                    refusal.times -= 1;
                    refusal.refused += 1;
                    return Err(refusal.status.clone());
                }
                self.traces.push(request);
            }
        }
        Ok(())
    }
}
