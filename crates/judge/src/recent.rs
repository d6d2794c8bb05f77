//! How large a difference is now: what decides whether a significant difference matters.
//!
//! Counts are compared batch by batch (c_g - n_g c_b / n_b) and only then summed, so that a ramp during a drift of the
//! base rate does not look like a difference; older batches fade, so that a late onset is not diluted. An estimate
//! alone never fails a candidate: the evidence must alarm too.

use serde::{Deserialize, Serialize};

/// Events, at the tolerated rate, that the memory holds: enough that half the tolerated rate is seldom mistaken for all
/// of it (an exponential memory of 20 weighs like 40 events, whose half is 4 standard deviations away).
const REMEMBERED_EVENTS: f64 = 20.0;

/// The memory's length in candidate traces, whatever is tolerated.
const MEMORY_TRACES: std::ops::RangeInclusive<f64> = 1_000.0..=1_000_000.0;

/// The active environment's own share is remembered longer by this factor: it only has to follow the base rate's drift.
const ACTIVE_MEMORY_FACTOR: f64 = 4.0;

/// How large a difference is now. Shares are of the candidate's recent traces; the newest weigh most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Estimate {
    /// The candidate's share of traces with the event, 0.0 to 1.0. For latency: of traces beyond the active
    /// environment's quantile and the margin.
    pub candidate: f64,
    /// The share that the active environment had in the same batches. For latency: of traces beyond its quantile.
    pub active: f64,
    /// What the plan tolerates, in the guard's own unit: a share, a difference of shares, a relative difference, or a
    /// number of blind spots.
    pub tolerated: f64,
    /// Candidate traces that it rests on, older ones counted in part.
    pub traces: f64,
}

/// Decayed sums over the batches so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Recent {
    candidate_traces: f64,
    candidate_events: f64,
    /// Events the candidate would have had at the active environment's share of the same batch.
    expected_events: f64,
    active_traces: f64,
    active_events: f64,
}

/// One batch; events may be parts of traces where a threshold cuts a histogram's bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecentBatch {
    pub(crate) candidate_traces: f64,
    pub(crate) candidate_events: f64,
    pub(crate) active_traces: f64,
    pub(crate) active_events: f64,
}

impl Recent {
    /// Takes one batch. `tolerated` is the share whose events the memory is to hold [`REMEMBERED_EVENTS`] of.
    pub(crate) fn update(&mut self, batch: RecentBatch, tolerated: f64) {
        let memory = (REMEMBERED_EVENTS / tolerated.max(1e-9)).clamp(*MEMORY_TRACES.start(), *MEMORY_TRACES.end());
        if batch.candidate_traces > 0.0 {
            let expected_share = match batch.active_traces > 0.0 {
                true => batch.active_events / batch.active_traces,
                false => self.active_share(),
            };
            let kept = libm::exp(-batch.candidate_traces / memory);
            self.candidate_traces = self.candidate_traces * kept + batch.candidate_traces;
            self.candidate_events = self.candidate_events * kept + batch.candidate_events;
            self.expected_events = self.expected_events * kept + batch.candidate_traces * expected_share;
        }
        if batch.active_traces > 0.0 {
            let kept = libm::exp(-batch.active_traces / (memory * ACTIVE_MEMORY_FACTOR));
            self.active_traces = self.active_traces * kept + batch.active_traces;
            self.active_events = self.active_events * kept + batch.active_events;
        }
    }

    pub(crate) fn estimate(&self, tolerated: f64) -> Estimate {
        let share = |events: f64| if self.candidate_traces > 0.0 { events / self.candidate_traces } else { 0.0 };
        Estimate {
            candidate: share(self.candidate_events),
            active: share(self.expected_events),
            tolerated,
            traces: self.candidate_traces,
        }
    }

    /// The active environment's share now; 0 if it had no traces.
    pub(crate) fn active_share(&self) -> f64 {
        if self.active_traces > 0.0 { self.active_events / self.active_traces } else { 0.0 }
    }

    /// Events of the active environment that are remembered.
    pub(crate) fn active_events(&self) -> f64 {
        self.active_events
    }

    /// The active environment's share, two standard deviations up, for tests that need a share to compare with before
    /// the batch is seen; 1 if it had no traces.
    pub(crate) fn active_share_upper(&self) -> f64 {
        if self.active_traces <= 0.0 {
            return 1.0;
        }
        let upper = self.active_events + 2.0 * (self.active_events + 1.0).sqrt() + 1.0;
        (upper / self.active_traces).min(1.0)
    }
}

#[cfg(test)]
mod tests;
