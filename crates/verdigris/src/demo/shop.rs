//! A shop of eleven services that people visit: it makes traces at a given rate, and every service sends its own spans,
//! in batches, with OTLP/gRPC, as an SDK does. So the spans of one trace come in several requests of several clients.
//!
//! It is an open loop: visitors do not wait for the tracing system. What its exporters cannot hold any more is dropped
//! and counted, as in an app.

mod attributes;
mod exporter;
pub mod topology;
pub mod trace;

use super::Clock;
use super::client::OtlpClient;
use super::delivery::GIVE_UP_AFTER;
use super::keys::SpanKeys;
use super::random::SplitMix64;
use exporter::Exporter;
pub use exporter::request;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use topology::Service;
use trace::{ShopSpan, TraceSeed};

/// Traces started without giving way to others, when the shop is late: so that a burst cannot starve the runtime.
const BURST_TRACES: u32 = 64;
/// The fastest that the shop can be asked to go; the demo's machines do a tenth of it.
pub const MAX_TRACES_PER_S: f64 = 100_000.0;
/// Spans that have begun and not ended: at 14 spans that last 0.1 s, 2^17 are 90,000 traces/s. With 1.6 KB for each
/// they take 210 MB. A visitor who comes when it is full is not traced.
const MAX_OPEN_SPANS: usize = 1 << 17;
/// A stop waits for the requests in flight and for as many after them as the queue can hold.
const STOP_WITHIN: Duration = GIVE_UP_AFTER.saturating_mul(2).saturating_add(Duration::from_secs(5));

/// How the shop goes.
pub struct ShopConfig {
    /// The OTLP/gRPC endpoint of every service: the gateway's.
    pub endpoint: SocketAddr,
    /// The same seed makes the same visits: ids, operations, durations, errors.
    pub seed: u64,
    /// Visits per second, above 0.0 and at most [`MAX_TRACES_PER_S`]. They come at random (a Poisson process).
    pub traces_per_s: f64,
    /// The share of traces in which something fails, 0.0 to 1.0; see [`DEFAULT_ERROR_SHARE`].
    pub error_share: f64,
    /// For the spans' time stamps.
    pub clock: Clock,
}

/// One trace in 200 has an error.
pub const DEFAULT_ERROR_SHARE: f64 = 0.005;

/// What the shop did so far. At the end, every span that ended was acknowledged or given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShopStats {
    /// Traces that began.
    pub traces_started: u64,
    /// Spans that ended, each handed to its service's exporter.
    pub spans_ended: u64,
    /// Distinct spans that were sent at least once.
    pub spans_sent: u64,
    /// Distinct spans in acknowledged requests.
    pub spans_acknowledged: u64,
    /// Distinct spans dropped by the shop: for a full queue, for a refusal, or after 30 s of trying.
    pub spans_given_up: u64,
    /// Requests that were acknowledged.
    pub requests_acknowledged: u64,
}

/// The open shop. Dropped, it is gone with everything it has not sent.
pub struct Shop {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    tally: Tally,
}

/// Who counts: shared by the visits and the exporters.
#[derive(Clone)]
struct Tally {
    stats: Arc<watch::Sender<ShopStats>>,
    acknowledged: Arc<Mutex<SpanKeys>>,
}

impl Shop {
    /// Opens at once.
    ///
    /// # Panics
    /// If rate or share are outside the bounds of [`ShopConfig`]: whoever reads them from people refuses them there.
    pub fn start(config: ShopConfig) -> Shop {
        assert!(
            config.traces_per_s > 0.0 && config.traces_per_s <= MAX_TRACES_PER_S,
            "expected a rate above 0 and up to {MAX_TRACES_PER_S} traces/s, found {}",
            config.traces_per_s
        );
        assert!(
            (0.0..=1.0).contains(&config.error_share),
            "expected a share of errors from 0 to 1, found {}",
            config.error_share
        );
        let tally = Tally { stats: Arc::default(), acknowledged: Arc::default() };
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut queues = Vec::with_capacity(Service::ALL.len());
        for service in Service::ALL {
            let client = OtlpClient::new(&format!("http://{}", config.endpoint)).expect("an address is an endpoint");
            let (queue, exporter) = Exporter::new(service, client, config.seed, tally.clone());
            tasks.spawn(exporter.run());
            queues.push(queue);
        }
        tasks.spawn(Visits::new(config, queues, tally.clone()).run(stopped));
        Shop { stop, tasks, tally }
    }

    /// What it did so far.
    pub fn stats(&self) -> ShopStats {
        *self.tally.stats.borrow()
    }

    /// The same, to wait on.
    pub fn watch(&self) -> watch::Receiver<ShopStats> {
        self.tally.stats.subscribe()
    }

    /// The spans that were acknowledged so far.
    pub fn acknowledged(&self) -> SpanKeys {
        self.tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets nobody in any more, ends the visits under way, sends what is left, and returns the totals and the spans
    /// that were acknowledged. What cannot be sent within a minute is given up.
    pub async fn stop(mut self) -> (ShopStats, SpanKeys) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_WITHIN, all).await.is_err() {
            self.tasks.shutdown().await;
            self.tally.count(|stats| stats.spans_given_up = stats.spans_ended - stats.spans_acknowledged);
        }
        (self.stats(), self.acknowledged())
    }
}

impl Tally {
    fn count(&self, change: impl FnOnce(&mut ShopStats)) {
        self.stats.send_modify(change);
    }
}

/// Spans by the microsecond at which they end, and by when they were begun.
type OpenSpans = BTreeMap<(u64, u64), ShopSpan>;

struct Visits {
    config: ShopConfig,
    queues: Vec<mpsc::Sender<ShopSpan>>,
    tally: Tally,
    /// When people come.
    arrivals: SplitMix64,
    /// The next visitor, in microseconds since the shop opened.
    next_us: u64,
    visits: u64,
    open: OpenSpans,
    begun: u64,
}

impl Visits {
    fn new(config: ShopConfig, queues: Vec<mpsc::Sender<ShopSpan>>, tally: Tally) -> Visits {
        let arrivals = SplitMix64::nth(config.seed, u64::MAX);
        let mut visits =
            Visits { config, queues, tally, arrivals, next_us: 0, visits: 0, open: OpenSpans::new(), begun: 0 };
        visits.await_next();
        visits
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let opened = Instant::now();
        loop {
            let ends_us = self.open.first_key_value().map_or(u64::MAX, |((end_us, _), _)| *end_us);
            let due = opened + Duration::from_micros(ends_us.min(self.next_us));
            tokio::select! {
                _ = stopped.changed() => break,
                () = sleep_until(due) => {}
            }
            let now_us = opened.elapsed().as_micros() as u64;
            self.end_spans(now_us);
            for _ in 0..BURST_TRACES {
                if self.next_us > now_us {
                    break;
                }
                self.begin_visit();
            }
            // A timer that is due already does not wait; without this a shop that is late would never give way.
            tokio::task::yield_now().await;
        }
        self.end_spans(u64::MAX);
    }

    fn begin_visit(&mut self) {
        if self.open.len() < MAX_OPEN_SPANS {
            let seed = TraceSeed { seed: self.config.seed, number: self.visits };
            let start_us = (self.config.clock)();
            for span in seed.trace(start_us, self.config.error_share) {
                let lasts_us = (span.span.end_time_unix_nano / 1_000).saturating_sub(start_us);
                self.open.insert((self.next_us + lasts_us, self.begun), span);
                self.begun += 1;
            }
            self.tally.count(|stats| stats.traces_started += 1);
        }
        self.visits += 1;
        self.await_next();
    }

    /// The gaps of a Poisson process are exponentially distributed.
    fn await_next(&mut self) {
        let gap_s = -(1.0 - self.arrivals.share()).ln() / self.config.traces_per_s;
        self.next_us = self.next_us.saturating_add((gap_s * 1e6) as u64);
    }

    fn end_spans(&mut self, now_us: u64) {
        let (mut ended, mut dropped) = (0, 0);
        while let Some(first) = self.open.first_entry().filter(|first| first.key().0 <= now_us) {
            let span = first.remove();
            ended += 1;
            if self.queues[span.service.index()].try_send(span).is_err() {
                dropped += 1;
            }
        }
        if ended > 0 {
            self.tally.count(|stats| {
                stats.spans_ended += ended;
                stats.spans_given_up += dropped;
            });
        }
    }
}

#[cfg(test)]
mod tests;
