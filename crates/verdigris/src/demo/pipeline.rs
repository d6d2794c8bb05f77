//! A small but real OTLP pipeline, as a collector is one: it takes OTLP/gRPC, acknowledges what it has queued, batches,
//! masks secrets, and puts out over OTLP/gRPC: to a back end with a copy to the gateway's tap, or in line to the tap
//! alone. It can be given a [`Fault`], and killed.
//!
//! It never reads the gateway's state: what it does to the spans is known to it alone.

use super::Clock;
use super::client::{EndpointError, Framed, OtlpClient};
use super::delivery::{GIVE_UP_AFTER, deliver};
use super::fault::{Damage, Fault, Saboteur, spans};
use super::random::SplitMix64;
use super::redaction;
use super::server::{MAX_MESSAGE_BYTES, Server, refused};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::Signal;
use otlp::reply::{Status, code};
use prost::Message;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Bytes of requests that were acknowledged and not put out yet: 128 MiB, so that the largest request always fits
/// beside another one. Decoded they take about four times as much (the shop's spans: 1.6 KB for 417 bytes).
const QUEUE_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
/// Requests in the queue, so that many tiny ones are bounded too: at 200 bytes for each entry below 1 MB.
const QUEUE_REQUESTS: usize = 4_096;
/// A batch is put out when it has so many spans: about 640 KiB of the shop's spans, below the 4 MiB that gRPC servers
/// take by default.
const BATCH_SPANS: usize = 1_536;
/// ... or so many bytes. One request that is larger is a batch of its own.
const BATCH_BYTES: usize = 2 << 20;
/// Batches being put out at once. A batch that is delayed must not hold up the next: at one each 200 ms, 32 are 6.4 s.
const EXPORTS_AT_ONCE: usize = 32;
/// A stop takes one delivery of what is in flight and one of the rest of the queue.
const STOP_WITHIN: Duration = GIVE_UP_AFTER.saturating_mul(2).saturating_add(Duration::from_secs(5));

/// What a pipeline is made of.
pub struct PipelineConfig {
    /// `http://host:port` of the back end; `None` if the tap stands in line and forwards.
    pub backend: Option<String>,
    /// `http://host:port` of the gateway's tap.
    pub tap: String,
    /// How it is broken.
    pub fault: Fault,
    /// How long a batch waits for more, in milliseconds; collectors have 200 by default.
    pub batch_ms: u64,
    /// For [`PipelineStats::first_fault_us`].
    pub clock: Clock,
    /// For the fault's dice, and the pauses between tries.
    pub seed: u64,
}

/// A pipeline that listens. Dropped, it is gone with everything it has queued.
pub struct Pipeline {
    server: Server,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// A pipeline that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The back end's or the tap's endpoint is none.
    #[error("the pipeline has nowhere to export to")]
    Endpoint(#[from] EndpointError),
    /// No port to be had.
    #[error("the pipeline cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
}

/// What a pipeline did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipelineStats {
    /// Requests that were acknowledged.
    pub requests_taken: u64,
    /// Requests that were refused: by the fault, for a full queue, or for being no OTLP.
    pub requests_refused: u64,
    /// Spans in acknowledged requests.
    pub spans_taken: u64,
    /// Spans that the back end acknowledged; 0 if the tap stands in line.
    pub spans_delivered: u64,
    /// Spans that the tap acknowledged.
    pub spans_tapped: u64,
    /// Spans that the back end (or the tap in line) did not acknowledge in time, or refused.
    pub spans_given_up: u64,
    /// Spans of which the tap's second copy was given up.
    pub spans_untapped: u64,
    /// What the fault did to spans.
    pub damage: Damage,
    /// Batches that the fault delayed.
    pub batches_delayed: u64,
    /// When the fault first did harm (a killed pipeline: when it was killed), in Unix microseconds.
    pub first_fault_us: Option<u64>,
    /// When the last request was acknowledged, in Unix microseconds.
    pub last_taken_us: Option<u64>,
}

struct Shared {
    backend: Option<OtlpClient>,
    tap: OtlpClient,
    delay_ms: u64,
    clock: Clock,
    seed: u64,
    saboteur: Mutex<Saboteur>,
    stats: watch::Sender<PipelineStats>,
}

struct Queued {
    load: Load,
    bytes: usize,
    /// Its place in the queue, given back when it has been put out.
    place: OwnedSemaphorePermit,
}

enum Load {
    Spans(ExportTraceServiceRequest),
    /// Metrics and logs pass through as they are.
    Other(Signal, Bytes),
}

impl Pipeline {
    /// Listens on a loopback port that the system chooses.
    pub async fn start(config: PipelineConfig) -> Result<Pipeline, StartError> {
        let delay_ms = match config.fault {
            Fault::Slow { ms } => ms,
            Fault::None
            | Fault::BlindSpot { .. }
            | Fault::SpanLoss { .. }
            | Fault::AttributeDrop { .. }
            | Fault::Mask { .. }
            | Fault::Leak
            | Fault::Reparent { .. }
            | Fault::Errors { .. }
            | Fault::Crash => 0,
        };
        let shared = Arc::new(Shared {
            backend: config.backend.as_deref().map(OtlpClient::new).transpose()?,
            tap: OtlpClient::new(&config.tap)?,
            delay_ms,
            clock: config.clock,
            seed: config.seed,
            saboteur: Mutex::new(Saboteur::new(config.fault, config.seed)),
            stats: watch::Sender::default(),
        });
        let (queue, queued) = mpsc::channel(QUEUE_REQUESTS);
        let places = Arc::new(Semaphore::new(QUEUE_BYTES));
        let receiving = shared.clone();
        let server = Server::start(move |signal, message| receiving.receive(signal, message, &queue, &places))
            .await
            .map_err(StartError::Listen)?;
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(work(queued, shared.clone(), Duration::from_millis(config.batch_ms), stopped));
        Ok(Pipeline { server, shared, stop, worker: Mutex::new(Some(worker)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it did so far.
    pub fn stats(&self) -> PipelineStats {
        *self.shared.stats.borrow()
    }

    /// The same, to wait on.
    pub fn watch(&self) -> watch::Receiver<PipelineStats> {
        self.shared.stats.subscribe()
    }

    /// Goes away as a crashed process does: listener, connections and all that was queued or being put out are gone
    /// when this returns, acknowledged or not.
    pub async fn kill(&self) {
        let worker = self.take_worker();
        if let Some(worker) = &worker {
            worker.abort();
        }
        self.server.kill().await;
        if let Some(worker) = worker {
            self.shared.note_fault(|_| {});
            // Aborted: the one thing that it can return.
            let _ = worker.await;
        }
    }

    /// Takes no more requests, puts out what is queued, and returns the totals.
    pub async fn stop(&self) -> PipelineStats {
        self.server.stop().await;
        self.stop.send_replace(true);
        if let Some(mut worker) = self.take_worker()
            && timeout(STOP_WITHIN, &mut worker).await.is_err()
        {
            worker.abort();
        }
        self.stats()
    }

    fn take_worker(&self) -> Option<JoinHandle<()>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(worker) = self.take_worker() {
            worker.abort();
        }
    }
}

impl Shared {
    fn receive(
        &self,
        signal: Signal,
        message: Bytes,
        queue: &mpsc::Sender<Queued>,
        places: &Arc<Semaphore>,
    ) -> Result<(), Status> {
        let taken = self.enqueue(signal, message, queue, places);
        match taken {
            Ok(spans) => self.stats.send_modify(|stats| {
                stats.requests_taken += 1;
                stats.spans_taken += spans;
                stats.last_taken_us = Some((self.clock)());
            }),
            Err(_) => self.stats.send_modify(|stats| stats.requests_refused += 1),
        }
        taken.map(|_| ())
    }

    /// Returns how many spans were queued.
    fn enqueue(
        &self,
        signal: Signal,
        message: Bytes,
        queue: &mpsc::Sender<Queued>,
        places: &Arc<Semaphore>,
    ) -> Result<u64, Status> {
        let full = || refused(code::UNAVAILABLE, "the pipeline's queue is full");
        if let Some(refusal) = self.saboteur().refusal() {
            self.note_fault(|_| {});
            return Err(refusal);
        }
        let bytes = message.len();
        let weight = u32::try_from(bytes).expect("the server takes at most 64 MiB");
        let place = places.clone().try_acquire_many_owned(weight).map_err(|_| full())?;
        let (load, spans) = match signal {
            Signal::Traces => {
                let request = ExportTraceServiceRequest::decode(message)
                    .map_err(|error| refused(code::INVALID_ARGUMENT, error))?;
                let spans = count(&request);
                (Load::Spans(request), spans)
            }
            Signal::Metrics | Signal::Logs => (Load::Other(signal, message), 0),
        };
        queue.try_send(Queued { load, bytes, place }).map_err(|_| full())?;
        Ok(spans)
    }

    fn saboteur(&self) -> MutexGuard<'_, Saboteur> {
        self.saboteur.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_fault(&self, change: impl FnOnce(&mut PipelineStats)) {
        let now_us = (self.clock)();
        self.stats.send_modify(|stats| {
            stats.first_fault_us.get_or_insert(now_us);
            change(stats);
        });
    }

    async fn put_out_spans(&self, batch: ExportTraceServiceRequest, number: u64) {
        if self.delay_ms > 0 {
            self.note_fault(|stats| stats.batches_delayed += 1);
            sleep(Duration::from_millis(self.delay_ms)).await;
        }
        let spans = count(&batch);
        let request = Framed::new(&batch.encode_to_vec());
        drop(batch);
        let to_backend = async {
            let Some(backend) = &self.backend else { return };
            let delivered = deliver(backend, Signal::Traces, &request, &mut self.jitter(number, 0)).await;
            self.stats.send_modify(|stats| match delivered {
                Ok(()) => stats.spans_delivered += spans,
                Err(_) => stats.spans_given_up += spans,
            });
        };
        let to_tap = async {
            let tapped = deliver(&self.tap, Signal::Traces, &request, &mut self.jitter(number, 1)).await;
            self.stats.send_modify(|stats| match tapped {
                Ok(()) => stats.spans_tapped += spans,
                Err(_) if self.backend.is_none() => stats.spans_given_up += spans,
                Err(_) => stats.spans_untapped += spans,
            });
        };
        tokio::join!(to_backend, to_tap);
    }

    async fn put_out_other(&self, signal: Signal, message: Bytes, number: u64) {
        let client = self.backend.as_ref().unwrap_or(&self.tap);
        // The demo sends no metrics and logs, and the tests ask the back end what came.
        let _ = deliver(client, signal, &Framed::new(&message), &mut self.jitter(number, 0)).await;
    }

    fn jitter(&self, number: u64, destination: u64) -> SplitMix64 {
        SplitMix64::nth(self.seed, 2 * number + destination)
    }
}

fn count(request: &ExportTraceServiceRequest) -> u64 {
    request.resource_spans.iter().flat_map(spans).count() as u64
}

#[derive(Default)]
struct Batch {
    request: ExportTraceServiceRequest,
    spans: u64,
    bytes: usize,
    place: Option<OwnedSemaphorePermit>,
}

impl Batch {
    fn add(&mut self, request: ExportTraceServiceRequest, bytes: usize, place: OwnedSemaphorePermit) {
        self.spans += count(&request);
        self.bytes += bytes;
        self.request.resource_spans.extend(request.resource_spans);
        match &mut self.place {
            Some(places) => places.merge(place),
            None => self.place = Some(place),
        }
    }

    fn is_full(&self) -> bool {
        self.spans >= BATCH_SPANS as u64 || self.bytes >= BATCH_BYTES
    }
}

/// Batches what is queued and puts it out, until the pipeline stops and the queue is empty.
async fn work(
    mut queued: mpsc::Receiver<Queued>,
    shared: Arc<Shared>,
    wait: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let mut exports = JoinSet::new();
    let mut number = 0;
    loop {
        let (mut batch, end) = fill(&mut queued, wait, &mut stopped).await;
        let (masks, damage) = {
            let mut saboteur = shared.saboteur();
            (saboteur.masks(), saboteur.damage(&mut batch.request))
        };
        if masks {
            redaction::mask(&mut batch.request);
        }
        if !damage.is_none() {
            shared.note_fault(|stats| stats.damage.add(damage));
        }
        while exports.len() >= EXPORTS_AT_ONCE {
            exports.join_next().await;
        }
        let closed = matches!(end, End::Closed);
        let shared = shared.clone();
        exports.spawn(async move {
            if !batch.request.resource_spans.is_empty() {
                shared.put_out_spans(batch.request, number).await;
            }
            drop(batch.place);
            if let End::Other { signal, message, place } = end {
                shared.put_out_other(signal, message, number).await;
                drop(place);
            }
        });
        if closed {
            break;
        }
        number += 1;
    }
    while exports.join_next().await.is_some() {}
}

/// What ended a batch.
enum End {
    Full,
    Due,
    Other { signal: Signal, message: Bytes, place: OwnedSemaphorePermit },
    Closed,
}

/// Waits for the first request, and then until the batch is full or has waited long enough.
async fn fill(
    queued: &mut mpsc::Receiver<Queued>,
    wait: Duration,
    stopped: &mut watch::Receiver<bool>,
) -> (Batch, End) {
    let mut batch = Batch::default();
    let due = sleep(wait);
    tokio::pin!(due);
    loop {
        let next = tokio::select! {
            next = queued.recv() => next,
            () = &mut due, if batch.place.is_some() => return (batch, End::Due),
            Ok(()) = stopped.changed() => {
                // Closed, the queue still hands out what it holds.
                queued.close();
                continue;
            }
        };
        let Some(Queued { load, bytes, place }) = next else { return (batch, End::Closed) };
        match load {
            Load::Spans(request) => {
                if batch.place.is_none() {
                    due.as_mut().reset(Instant::now() + wait);
                }
                batch.add(request, bytes, place);
                if batch.is_full() {
                    return (batch, End::Full);
                }
            }
            Load::Other(signal, message) => return (batch, End::Other { signal, message, place }),
        }
    }
}

#[cfg(test)]
mod tests;
