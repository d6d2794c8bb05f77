//! Records what the gateway receives, for somebody who asked for it: one recording at a time, bounded in time and bytes,
//! sealed before it leaves this process.
//!
//! It never holds up the traffic: what comes faster than it can be redacted and sealed is dropped and counted, in the
//! recording itself. What is sensitive is replaced first, by [`Policy::default`] and with the key of the copies for a
//! candidate; a request that cannot be redacted is dropped and counted too. Nothing is written to this machine's disk.

mod work;

use crate::clock;
use gateway::{Gateway, Received, Receiving};
use model::ShortDuration;
use redact::Key;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use web::{Prepared, Record, RecordError, RecordRequest, RecordedLine, RecordedLines};
use work::{Figures, Work};

/// How often is told what there is, and that there is nothing new.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Whoever takes nothing for so long has gone.
const CLIENT_LIMIT: Duration = Duration::from_secs(30);
/// Lines that wait for the client: of 4 MiB at most each, as base64 they are 22 MiB.
const MAX_LINES: usize = 4;
/// Requests that are redacted and sealed in one go, and where no more are added: 8 MiB take a quarter of a second.
const MAX_BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;

/// Records when it is asked to.
#[derive(Clone)]
pub struct Recorder {
    gateway: Gateway,
    key: Key,
    alone: watch::Receiver<bool>,
    current: Arc<Mutex<Current>>,
}

/// What goes on, for the status and for whoever ends it.
#[derive(Default)]
struct Current {
    end: Option<Arc<Notify>>,
    told: Value,
}

impl Recorder {
    /// Nothing is recorded until this process is `alone`.
    pub fn new(gateway: Gateway, key: Key, alone: watch::Receiver<bool>) -> Recorder {
        Recorder { gateway, key, alone, current: Arc::default() }
    }

    /// For the API.
    pub fn api(&self) -> Record {
        let (preparing, ending) = (self.clone(), self.clone());
        Record {
            prepare: Arc::new(move |request| preparing.prepare(request)),
            end: Arc::new(move || {
                let end = ending.current().end.clone();
                end.inspect(|end| end.notify_one()).is_some()
            }),
        }
    }

    /// What is being recorded, for the status.
    pub fn status(&self) -> Value {
        self.current().told.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, request: &RecordRequest) -> Result<Prepared, RecordError> {
        if !*self.alone.borrow() {
            return Err(RecordError::NotAlone);
        }
        let started_us = clock::now_us();
        let work = Work::begin(request, &self.key, started_us).map_err(|_| RecordError::Recipient)?;
        // From here on requests wait; the ledger takes milliseconds.
        let receiving = self.gateway.receive().ok_or(RecordError::Busy)?;
        let (recorder, for_ms, redacted) = (self.clone(), request.for_ms, !request.keep_sensitive);
        Ok(Box::new(move |by| {
            let (lines, told) = mpsc::channel(MAX_LINES);
            let end = Arc::new(Notify::new());
            let time = ShortDuration(for_ms);
            if redacted {
                tracing::info!(by, "records for {time} what the gateway receives, without what is sensitive");
            } else {
                tracing::warn!(by, "records for {time} what the gateway receives, with all that is sensitive");
            }
            recorder.current().end = Some(Arc::clone(&end));
            let until = Instant::now() + Duration::from_millis(for_ms);
            let task = Task { recorder, receiving, lines, until, by: by.to_owned(), redacted };
            tokio::spawn(task.run(work, Arc::clone(&end)));
            RecordedLines { lines: told, end }
        }))
    }
}

/// One recording that goes on.
struct Task {
    recorder: Recorder,
    receiving: Receiving,
    lines: mpsc::Sender<RecordedLine>,
    until: Instant,
    by: String,
    redacted: bool,
}

impl Task {
    async fn run(mut self, mut work: Work, end: Arc<Notify>) {
        let mut ticks = interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut batch = Vec::new();
            let mut over = tokio::select! {
                () = self.lines.closed() => return tracing::info!("nobody takes the recording any more"),
                () = end.notified() => Some("it was ended"),
                () = sleep_until(self.until) => Some("its time is over"),
                first = self.receiving.next() => {
                    batch.extend(first);
                    None
                }
                _ = ticks.tick() => None,
            };
            self.fill(&mut batch, over.is_some());
            let is_tick = batch.is_empty();
            let dropped = self.receiving.take_dropped();
            let worked = tokio::task::spawn_blocking(move || {
                work.take(batch, dropped);
                if is_tick {
                    work.flush();
                }
                work
            });
            // A panic in there is a bug of ours, and what is sealed so far is a recording that was cut off.
            let Ok(worked) = worked.await else { return tracing::error!("the recording failed") };
            work = worked;
            over = over.or(work.full());
            if let Some(why) = over {
                let (sealed, figures) = match work.finish() {
                    Ok(finished) => finished,
                    Err(error) => return tracing::error!("the recording failed: {error}"),
                };
                self.tell(sealed, figures, Some(why)).await;
                return tracing::info!(requests = figures.requests, dropped = figures.dropped, "recorded: {why}");
            }
            let (sealed, figures) = work.sealed();
            if (is_tick || !sealed.is_empty()) && !self.tell(sealed, figures, None).await {
                return tracing::info!("nobody takes the recording any more");
            }
        }
    }

    /// Adds what waits: as much as is done in one go, or at the end all of it, which is bounded where it waits.
    fn fill(&mut self, batch: &mut Vec<Received>, all: bool) {
        let mut bytes: usize = batch.iter().map(|received| received.message.len()).sum();
        while all || batch.len() < MAX_BATCH && bytes < BATCH_BYTES {
            // Requests that go on to come do not hold up the end.
            let Some(received) = self.receiving.ready().filter(|_| batch.len() < gateway::MAX_WAITING) else { return };
            bytes += received.message.len();
            batch.push(received);
        }
    }

    /// Whether the client took it.
    async fn tell(&self, sealed: Vec<u8>, figures: Figures, over: Option<&str>) -> bool {
        let left_ms = self.until.saturating_duration_since(Instant::now()).as_millis() as u64;
        let lines = figures.lines(&sealed, left_ms, over);
        self.recorder.current().told = json!({
            "by": self.by,
            "redacted": self.redacted,
            "requests": figures.requests,
            "bytes": figures.bytes,
            "droppedRequests": figures.dropped,
            "leftMs": left_ms,
        });
        for line in lines {
            if !matches!(timeout(CLIENT_LIMIT, self.lines.send(line)).await, Ok(Ok(()))) {
                return false;
            }
        }
        true
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        *self.recorder.current() = Current::default();
    }
}
