//! Counters of the gateway: relaxed atomics inside, a plain struct outside.

use crate::answer::Outcome;
use model::{Environment, PerEnvironment};
use otlp::legacy::Format;
use otlp::reply::PartialSuccess;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What the gateway counted since its start, read at one moment; the fields are not read at once together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The generation of the route table that applies; `None` before the first one.
    pub generation: Option<u64>,
    /// Counts of each environment.
    pub environments: PerEnvironment<EnvironmentStats>,
    /// Requests of the gateway's receivers that were refused before they were routed: malformed, too large, too slow,
    /// over the bound of bytes in flight.
    pub requests_refused: u64,
    /// Connections that were closed at once because there were [`crate::Limits::max_connections`] already.
    pub connections_refused: u64,
    /// Connections to TLS ports that came to nothing: clear text, no common version or suite, no certificate or a wrong
    /// one, too slow. The last reason is in the log, at debug. Who connects and says nothing is not counted.
    pub handshakes_failed: u64,
    /// Clients among these that showed no certificate, or none that lets them in.
    pub clients_refused: u64,
    /// Traces that a rollback moved while they were in flight.
    pub torn_traces: u64,
    /// Decisions on traces that found no room among the pins, and went by the bucket.
    pub pins_full: u64,
    /// New traces of testers that were let to green.
    pub tester_traces: u64,
    /// Traces of testers that the minute's bound did not let there: they went where their bucket says.
    pub tester_traces_over: u64,
    /// Traces pinned now (estimated from a sample).
    pub live_pins: u64,
    /// Bytes of requests held now: bodies, and what was made of them.
    pub bytes_in_flight: u64,
    /// Views that were dropped because `verify` was behind.
    pub views_missed: u64,
    /// Requests to a tap that belonged to no environment of the route table: acknowledged, and forwarded nowhere.
    pub tap_unassigned: u64,
    /// Requests of Zipkin's and Jaeger's senders.
    pub legacy_requests: u64,
    /// Spans that an environment rejected of requests of theirs that it took otherwise: they cannot be told.
    pub legacy_spans_rejected: u64,
}

/// One environment's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentStats {
    /// Requests, or parts of requests, that were handed over to the environment to be served, of all signals.
    pub requests: u64,
    /// Spans that the environment acknowledged, without those that a partial success rejected.
    pub spans_acknowledged: u64,
    /// Spans that the environment refused, also those that a partial success rejected.
    pub spans_refused: u64,
    /// Spans of which nobody knows: the connection was lost, or no answer came in time.
    pub spans_unknown: u64,
    /// Spans of mirror copies that the environment acknowledged.
    pub mirrored_spans: u64,
    /// Spans of mirror copies that were dropped, refused or not answered.
    pub mirror_dropped_spans: u64,
    /// Sensitive values that were replaced in mirror copies.
    pub redacted_values: u64,
    /// Spans that were put into the environment's spool.
    pub spooled_spans: u64,
    /// Spans from the spool that were acknowledged.
    pub drained_spans: u64,
    /// Spans from the spool that were refused for good, though their sender was told that they were taken.
    pub spool_refused_spans: u64,
    /// Requests that the environment's tap took.
    pub tap_requests: u64,
    /// Spans that the environment's tap took.
    pub tap_spans: u64,
    /// When a trace was last routed to the environment, in Unix microseconds; 0 for never.
    pub last_routed_us: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) environments: PerEnvironment<EnvironmentCounters>,
    pub(crate) requests_refused: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    clients_refused: AtomicU64,
    last_refused: Mutex<Option<RefusedClient>>,
    pub(crate) torn_traces: AtomicU64,
    pub(crate) pins_full: AtomicU64,
    pub(crate) tester_traces: AtomicU64,
    pub(crate) tester_traces_over: AtomicU64,
    pub(crate) bytes_in_flight: Arc<AtomicU64>,
    pub(crate) views_missed: AtomicU64,
    pub(crate) tap_unassigned: AtomicU64,
    pub(crate) legacy_requests: AtomicU64,
    legacy_spans_rejected: AtomicU64,
}

#[derive(Default)]
pub(crate) struct EnvironmentCounters {
    pub(crate) spooled_spans: AtomicU64,
    pub(crate) drained_spans: AtomicU64,
    pub(crate) spool_refused_spans: AtomicU64,
    requests: AtomicU64,
    spans_acknowledged: AtomicU64,
    spans_refused: AtomicU64,
    spans_unknown: AtomicU64,
    mirrored_spans: AtomicU64,
    mirror_dropped_spans: AtomicU64,
    redacted_values: AtomicU64,
    tap_requests: AtomicU64,
    tap_spans: AtomicU64,
    last_routed_us: AtomicU64,
}

/// A client that showed no certificate, or none that lets it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedClient {
    /// From where.
    pub from: Option<IpAddr>,
    /// Why.
    pub reason: String,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

impl Counters {
    /// The counters; the caller fills in what they do not know.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            generation: None,
            environments: PerEnvironment::from_fn(|environment| self.environments[environment].read()),
            requests_refused: self.requests_refused.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
            clients_refused: self.clients_refused.load(Relaxed),
            torn_traces: self.torn_traces.load(Relaxed),
            pins_full: self.pins_full.load(Relaxed),
            tester_traces: self.tester_traces.load(Relaxed),
            tester_traces_over: self.tester_traces_over.load(Relaxed),
            live_pins: 0,
            bytes_in_flight: self.bytes_in_flight.load(Relaxed),
            views_missed: self.views_missed.load(Relaxed),
            tap_unassigned: self.tap_unassigned.load(Relaxed),
            legacy_requests: self.legacy_requests.load(Relaxed),
            legacy_spans_rejected: self.legacy_spans_rejected.load(Relaxed),
        }
    }

    /// A client was refused. It waits for nothing, so that a lock hinders nobody.
    pub(crate) fn not_let_in(&self, from: Option<IpAddr>, reason: String) {
        add(&self.clients_refused, 1);
        *self.last_refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(RefusedClient { from, reason });
    }

    /// The one that was refused last.
    pub(crate) fn last_refused(&self) -> Option<RefusedClient> {
        self.last_refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An old sender is not told of a partial success. The log is: each time that the count doubles, so that it is not
    /// flooded.
    pub(crate) fn not_told(&self, format: Format, partial: &PartialSuccess) {
        let before = self.legacy_spans_rejected.fetch_add(partial.rejected, Relaxed);
        let spans = before.saturating_add(partial.rejected);
        if before.checked_ilog2() != spans.checked_ilog2() {
            let message = &partial.message;
            tracing::warn!(
                ?format,
                spans,
                message,
                "spans rejected whose old sender cannot be told (legacySpansRejected)"
            );
        }
    }

    /// A part of a request was served, or not. `spans` are 0 for metrics and logs.
    pub(crate) fn served(&self, environment: Environment, spans: u64, outcome: &Outcome) {
        let counters = &self.environments[environment];
        add(&counters.requests, 1);
        match outcome {
            Outcome::Acknowledged(partial) => {
                let rejected = partial.rejected.min(spans);
                add(&counters.spans_acknowledged, spans - rejected);
                add(&counters.spans_refused, rejected);
            }
            Outcome::Refused(_) => add(&counters.spans_refused, spans),
            Outcome::Unknown { .. } => add(&counters.spans_unknown, spans),
        }
    }

    /// A mirror copy was answered, or not.
    pub(crate) fn mirrored(&self, environment: Environment, spans: u64, outcome: &Outcome) {
        let rejected = match outcome {
            Outcome::Acknowledged(partial) => partial.rejected.min(spans),
            Outcome::Refused(_) | Outcome::Unknown { .. } => spans,
        };
        add(&self.environments[environment].mirrored_spans, spans - rejected);
        add(&self.environments[environment].mirror_dropped_spans, rejected);
    }

    /// A mirror copy was dropped.
    pub(crate) fn not_mirrored(&self, environment: Environment, spans: u64) {
        add(&self.environments[environment].mirror_dropped_spans, spans);
    }

    /// Values were replaced in a copy.
    pub(crate) fn redacted(&self, environment: Environment, values: u64) {
        add(&self.environments[environment].redacted_values, values);
    }

    /// A tap took a request.
    pub(crate) fn tapped(&self, environment: Environment, spans: u64) {
        add(&self.environments[environment].tap_requests, 1);
        add(&self.environments[environment].tap_spans, spans);
    }

    /// A trace was routed to the environment.
    pub(crate) fn routed(&self, environment: Environment, now_us: u64) {
        self.environments[environment].last_routed_us.fetch_max(now_us, Relaxed);
    }
}

impl EnvironmentCounters {
    fn read(&self) -> EnvironmentStats {
        EnvironmentStats {
            requests: self.requests.load(Relaxed),
            spans_acknowledged: self.spans_acknowledged.load(Relaxed),
            spans_refused: self.spans_refused.load(Relaxed),
            spans_unknown: self.spans_unknown.load(Relaxed),
            mirrored_spans: self.mirrored_spans.load(Relaxed),
            mirror_dropped_spans: self.mirror_dropped_spans.load(Relaxed),
            redacted_values: self.redacted_values.load(Relaxed),
            spooled_spans: self.spooled_spans.load(Relaxed),
            drained_spans: self.drained_spans.load(Relaxed),
            spool_refused_spans: self.spool_refused_spans.load(Relaxed),
            tap_requests: self.tap_requests.load(Relaxed),
            tap_spans: self.tap_spans.load(Relaxed),
            last_routed_us: self.last_routed_us.load(Relaxed),
        }
    }
}

/// Bytes counted against a bound for as long as this lives.
pub(crate) struct Held {
    bytes: u64,
    counter: Arc<AtomicU64>,
}

impl Held {
    /// Nothing yet.
    pub(crate) fn none(counter: &Arc<AtomicU64>) -> Held {
        Held { bytes: 0, counter: Arc::clone(counter) }
    }

    /// Holds more bytes, if the bound allows.
    pub(crate) fn grow(&mut self, more: u64, bound: u64) -> bool {
        let before = self.counter.fetch_add(more, Relaxed);
        if before.saturating_add(more) > bound {
            self.counter.fetch_sub(more, Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.bytes, Relaxed);
    }
}
