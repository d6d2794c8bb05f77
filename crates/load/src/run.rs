//! One run: connects, paces, sends, counts.

use crate::pace::{Lanes, Maker, Queued, by_timers, hand_over, make_ahead, now_ns};
use crate::quantiles::quantile;
use crate::report::{Report, TargetReport};
use crate::send::{Form, Http2Link, Link};
use crate::source::Source;
use crate::tally::{Counts, Fate, Sent, Tally, Times};
use crate::targets::{Checked, Targets};
use model::{Environment, PerEnvironment, Protocol, UnixMillis};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Barrier, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Connections and streams of a target at most, each and together.
const MAX_CONNECTIONS: usize = 256;
const MAX_STREAMS: usize = 1_024;
const MAX_AT_ONCE: usize = 4_096;
/// The longest that an answer is waited for: the longest latency that histograms hold.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// Requests that wait to be sent to one target, at most. Their bytes have a bound of their own (256 MiB).
const MAX_BACKLOG: usize = 1_000_000;
/// Bytes that wait to be sent to a target. Requests beyond are not sent in time.
const MAX_BACKLOG_BYTES: usize = 256 << 20;
/// From when all is connected to the first request.
const HEAD_START: Duration = Duration::from_millis(20);
/// How often the live figures are told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What to send, where, and how.
#[derive(Debug)]
pub struct Load {
    /// What it is called in reports: the topology and rate, or the recording.
    pub name: String,
    /// What is sent.
    pub source: Source,
    /// Where it is sent to: the same to each, at the same times.
    pub targets: Targets,
    /// When it begins, by the clock on the wall.
    pub started: UnixMillis,
    /// Connections to each target.
    pub connections: usize,
    /// Requests that each connection has under way at once. Over HTTP/1.1 it is so many connections more.
    pub streams: usize,
    /// How long an answer is waited for, and how long a request may wait to be sent.
    pub timeout_ms: u64,
    /// What is due before is sent and counted, but is in no latency and in no verdict on the rate.
    pub warm_up_ms: u64,
    /// Requests that may wait to be sent to a target.
    pub backlog: usize,
    /// How times are kept.
    pub pacing: Pacing,
    /// Once it is true nothing more is handed over; what was is waited for, and the report is of that.
    pub stopped: Arc<AtomicBool>,
}

/// How the times of requests are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// By threads, within some 0.1 ms.
    #[default]
    Threads,
    /// By tokio's timers, within 1 ms, and in simulated time too. For open loops.
    Timers,
}

impl Load {
    /// 4 connections of 16 streams, 10 s for an answer, no warm-up, 10,000 requests of backlog.
    pub fn new(name: &str, source: Source, targets: Targets, started: UnixMillis) -> Load {
        Load {
            name: name.to_owned(),
            source,
            targets,
            started,
            connections: 4,
            streams: 16,
            timeout_ms: 10_000,
            warm_up_ms: 0,
            backlog: 10_000,
            pacing: Pacing::Threads,
            stopped: Arc::default(),
        }
    }

    fn check(&self) -> Result<(), LoadError> {
        let at_once = self.connections.saturating_mul(self.streams);
        within("connections", self.connections as u64, MAX_CONNECTIONS as u64)?;
        within("streams", self.streams as u64, MAX_STREAMS as u64)?;
        within("connections times streams", at_once as u64, MAX_AT_ONCE as u64)?;
        within("timeout_ms", self.timeout_ms, MAX_TIMEOUT_MS)?;
        within("backlog", self.backlog as u64, MAX_BACKLOG as u64)
    }
}

/// A run that is not done.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A number out of its range.
    #[error("{what} of the load is {found}; expected 1 to {most}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// What was given.
        found: u64,
        /// The most.
        most: u64,
    },
    /// Timers pace open loops alone.
    #[error("a saturating load needs threads; expected `Pacing::Threads`")]
    NotPaced,
    /// The system gives no thread.
    #[error("no thread for the load: {0}")]
    Thread(#[source] io::Error),
    /// The thread that makes requests ended before its time.
    #[error("the load could not be made to its end")]
    Ended,
}

/// The figures so far, once a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Since the first request could be due.
    pub elapsed_ms: u64,
    /// How long it will take, where that is known.
    pub total_ms: Option<u64>,
    /// By target.
    pub targets: PerEnvironment<Option<TargetProgress>>,
}

/// The figures of one target so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetProgress {
    /// What became of all that is over.
    pub counts: Counts,
    /// What became of what was due a second before the last one.
    pub second: Counts,
    /// The median latency of that second, if it has any.
    pub p50_us: Option<u64>,
    /// Its 99th percentile.
    pub p99_us: Option<u64>,
    /// Requests that wait to be sent.
    pub backlog: usize,
}

/// What is shared of one target.
pub(crate) struct Lane {
    form: Form,
    tally: Mutex<Tally>,
    /// Requests that wait, and their bytes.
    backlog: AtomicUsize,
    backlog_bytes: AtomicUsize,
    backlog_most: AtomicUsize,
    timeout: Duration,
    open: bool,
}

/// What waits for a target, to be taken by whoever is free.
type Queue = Arc<tokio::sync::Mutex<mpsc::Receiver<Queued>>>;

impl Lane {
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        // Counting leaves no half-done state behind that would matter.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of so many bytes is about to wait. Whether there is room for it beside others.
    pub(crate) fn put(&self, bytes: usize) -> bool {
        let waiting = self.backlog.fetch_add(1, Relaxed) + 1;
        self.backlog_most.fetch_max(waiting, Relaxed);
        let before = self.backlog_bytes.fetch_add(bytes, Relaxed);
        before == 0 || before + bytes <= MAX_BACKLOG_BYTES
    }

    /// It waits no more.
    pub(crate) fn took(&self, bytes: usize) {
        self.backlog.fetch_sub(1, Relaxed);
        self.backlog_bytes.fetch_sub(bytes, Relaxed);
    }
}

/// Sends all that is due, waits until each request is answered or given up, and says what became of it. Figures so far go
/// to `progress`. [`Load::stopped`] ends it early, with a report; whoever drops the future ends it without one: connections
/// close, threads end within 20 ms.
///
/// Must be called within a tokio runtime with timers and I/O.
pub async fn run(load: Load, progress: Option<watch::Sender<Progress>>) -> Result<Report, LoadError> {
    load.check()?;
    let open = load.source.is_open();
    if !open && load.pacing == Pacing::Timers {
        return Err(LoadError::NotPaced);
    }
    let at_once = load.connections * load.streams;
    let total_ms = load.source.duration_ms();
    let ready = Arc::new(Barrier::new(1 + at_once * count(&load.targets)));
    let (begin, begun) = watch::channel(None);
    let mut workers = JoinSet::new();
    let mut lanes = Lanes { lanes: PerEnvironment::default(), open, stopped: Arc::clone(&load.stopped) };
    let mut shared: PerEnvironment<Option<Arc<Lane>>> = PerEnvironment::default();
    for environment in Environment::BOTH {
        let Some(checked) = &load.targets.each[environment] else { continue };
        let lane = Arc::new(lane(&load, checked, open));
        // In a closed loop nothing waits for longer than until somebody is free.
        let (sender, receiver) = mpsc::channel(if open { load.backlog } else { at_once });
        let queue: Queue = Arc::new(tokio::sync::Mutex::new(receiver));
        for link in links(&load, checked) {
            workers.spawn(work(Arc::clone(&lane), Arc::clone(&queue), link, Arc::clone(&ready), begun.clone()));
        }
        lanes.lanes[environment] = Some((Arc::clone(&lane), sender));
        shared[environment] = Some(lane);
    }
    let form = |environment| shared[environment].as_ref().map(|lane: &Arc<Lane>| lane.form.clone());
    let forms = PerEnvironment::from_fn(form);
    let Load { name, source, targets, started, timeout_ms, warm_up_ms, pacing, stopped, .. } = load;
    let maker = Maker { source, forms };
    let trouble = match pacing {
        Pacing::Threads => {
            let (_stop, ahead, made) = make_ahead(maker).map_err(LoadError::Thread)?;
            let full = Arc::clone(&ahead);
            // It takes a quarter of a second at most, of requests that need so long to be made; others milliseconds.
            let filled = tokio::task::spawn_blocking(move || full.wait_until_ready());
            let _ = tokio::join!(ready.wait(), filled);
            let start = Instant::now() + HEAD_START;
            begin.send_replace(Some(start));
            tell(progress, &shared, start, total_ms);
            let end_ns = total_ms.map(|ms| ms * 1_000_000);
            let finished = hand_over(lanes, ahead, made, start, end_ns).map_err(LoadError::Thread)?;
            finished.await.map_err(|_| LoadError::Ended)?
        }
        Pacing::Timers => {
            ready.wait().await;
            let start = Instant::now() + HEAD_START;
            begin.send_replace(Some(start));
            tell(progress, &shared, start, total_ms);
            by_timers(lanes, maker, start).await
        }
    };
    let trouble = trouble.or_else(|| stopped.load(Relaxed).then(|| "it was stopped before its end".to_owned()));
    drop(begin);
    while let Some(done) = workers.join_next().await {
        if let Err(error) = done
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    let targets = PerEnvironment::from_fn(|environment| {
        let (lane, target) = (shared[environment].as_ref()?, targets.target(environment)?);
        Some(TargetReport::new(target, &lane.tally(), lane.backlog_most.load(Relaxed)))
    });
    Ok(Report { version: Report::VERSION, name, started, open_loop: open, warm_up_ms, timeout_ms, trouble, targets })
}

fn within(what: &'static str, found: u64, most: u64) -> Result<(), LoadError> {
    if (1..=most).contains(&found) { Ok(()) } else { Err(LoadError::OutOfRange { what, found, most }) }
}

fn count(targets: &Targets) -> usize {
    Environment::BOTH.iter().filter(|environment| targets.each[**environment].is_some()).count()
}

fn lane(load: &Load, checked: &Checked, open: bool) -> Lane {
    let timeout = Duration::from_millis(load.timeout_ms);
    let tally = Tally::new(load.warm_up_ms.saturating_mul(1_000_000), load.timeout_ms * 1_000_000);
    Lane {
        form: Form::new(checked),
        tally: Mutex::new(tally),
        backlog_bytes: AtomicUsize::new(0),
        backlog: AtomicUsize::new(0),
        backlog_most: AtomicUsize::new(0),
        timeout,
        open,
    }
}

/// One for each request that can be under way.
fn links(load: &Load, checked: &Checked) -> Vec<Link> {
    let endpoint = || checked.endpoint.clone();
    match checked.target.protocol {
        Protocol::Http => (0..load.connections * load.streams).map(|_| Link::http1(endpoint())).collect(),
        Protocol::Grpc => {
            let connections: Vec<_> = (0..load.connections).map(|_| Http2Link::new(endpoint())).collect();
            // In turn, so that few requests use all connections.
            let streams = (0..load.streams).flat_map(|_| connections.iter());
            streams.map(|connection| Link::Http2(Arc::clone(connection))).collect()
        }
    }
}

/// One request after the other, until nothing comes any more.
async fn work(
    lane: Arc<Lane>,
    queue: Queue,
    mut link: Link,
    ready: Arc<Barrier>,
    mut begun: watch::Receiver<Option<Instant>>,
) {
    link.warm().await;
    ready.wait().await;
    let start = match begun.wait_for(Option::is_some).await {
        Ok(start) => start.expect("it was waited for"),
        Err(_) => return,
    };
    let mut free_since_ns = 0;
    loop {
        let next = queue.lock().await.recv().await;
        let Some(Queued { mut request, body }) = next else { return };
        lane.took(body.len());
        let sent = Sent { at_ns: now_ns(start), free_since_ns };
        if !lane.open {
            request.due_ns = sent.at_ns;
        }
        let waited_ns = sent.at_ns.saturating_sub(request.due_ns);
        let (items, due_ns) = (u64::from(request.items), request.due_ns);
        let (sent, fate) = if u128::from(waited_ns) > lane.timeout.as_nanos() {
            (None, Fate::NotSent)
        } else {
            let exchange = link.exchange(&lane.form, lane.form.request(&request, body));
            let fate = match timeout(lane.timeout, exchange).await {
                Ok(fate) => fate,
                Err(_) => {
                    link.gave_up();
                    Fate::TimedOut
                }
            };
            (Some(sent), fate)
        };
        let done_ns = now_ns(start);
        lane.tally().add(items, Times { due_ns, sent, done_ns }, &fate);
        free_since_ns = done_ns;
    }
}

/// Tells the figures so far every second, for as long as the run lasts and somebody listens.
fn tell(
    progress: Option<watch::Sender<Progress>>,
    shared: &PerEnvironment<Option<Arc<Lane>>>,
    start: Instant,
    total_ms: Option<u64>,
) {
    let Some(progress) = progress else { return };
    let lanes = PerEnvironment::from_fn(|environment| shared[environment].as_ref().map(Arc::downgrade));
    tokio::spawn(async move {
        let mut ticks = interval_at(start + PROGRESS_EVERY, PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let elapsed_ms = now_ns(start) / 1_000_000;
            let alive =
                PerEnvironment::from_fn(|environment| lanes[environment].as_ref().and_then(|one| one.upgrade()));
            if alive.blue.is_none() && alive.green.is_none() || progress.is_closed() {
                return;
            }
            let targets = alive.map(|lane| lane.map(|lane| so_far(&lane, elapsed_ms)));
            progress.send_replace(Progress { elapsed_ms, total_ms, targets });
        }
    });
}

fn so_far(lane: &Lane, elapsed_ms: u64) -> TargetProgress {
    let backlog = lane.backlog.load(Relaxed);
    let tally = lane.tally();
    // What was due in the last second may not be answered yet.
    let second = (elapsed_ms / 1_000).checked_sub(2).and_then(|second| tally.seconds.get(second as usize));
    let at = |at: f64| {
        let (_, small) = second?;
        quantile(
            small.iter_recorded().map(|one| (one.value_iterated_to(), one.count_since_last_iteration())),
            small.len(),
            at,
        )
    };
    TargetProgress {
        counts: tally.all,
        second: second.map(|(counts, _)| *counts).unwrap_or_default(),
        p50_us: at(0.5),
        p99_us: at(0.99),
        backlog,
    }
}

#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;
