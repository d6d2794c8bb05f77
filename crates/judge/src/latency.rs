//! L: the whole distribution of latency, and the proof that it has not moved by more than the plan's margin.
//!
//! The active environment's quantiles become thresholds once; from then on each threshold is a rate: traces beyond it.
//! A trace that had not come out when its batch closed is beyond every threshold.

use crate::config;
use crate::effect::{Effect, OddsLikelihood, share_effect};
use crate::odds::{Counts, Split, log_e};
use crate::process::{LOG_FLOOR, Process, Proof, log_mean};
use crate::rate::log_e_alone;
use crate::recent::{Estimate, Recent, RecentBatch};
use model::{ArmCounts, ExponentialHistogram, OperationLatency, ShortHistogram};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Timed traces of the active environment after which its quantiles are frozen: at 10 traces/s twenty seconds. The
/// thresholds need not be exact quantiles for the tests to be valid, only fixed before what they judge.
pub(crate) const TRACES_TO_FREEZE: u64 = 200;

/// Quantiles of the active environment that are watched.
pub(crate) const WATCHED: [f64; 9] = [0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

/// Quantiles that a promotion proves, besides the plan's own.
const PROVED: [f64; 2] = [0.5, 0.9];

/// Odds ratios that an alarm looks for at each threshold.
pub(crate) const PSI_WORSE: [f64; 5] = [1.1, 1.25, 1.5, 2.0, 4.0];

/// Odds ratios that a proof hopes for at each threshold.
pub(crate) const PSI_BETTER: [f64; 5] = [0.3, 0.5, 0.7, 0.85, 0.95];

/// The share of an excess from which on unfinished traces are its name.
const MOST: f64 = 0.5;

/// Buckets to a doubling in the histograms over all traces: they have scale 3.
const BUCKETS_PER_DOUBLING: f64 = 8.0;

/// Histogram buckets that are kept apart, from below a microsecond to 2^64 microseconds; others count as the nearest.
const BUCKETS: std::ops::RangeInclusive<i32> = -8..=512;

/// One environment's latencies in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latencies<'a> {
    histogram: &'a ExponentialHistogram,
    unfinished: u64,
}

impl<'a> From<&'a ArmCounts> for Latencies<'a> {
    fn from(arm: &'a ArmCounts) -> Latencies<'a> {
        Latencies { histogram: &arm.latency_us, unfinished: arm.unfinished }
    }
}

impl<'a> From<&'a OperationLatency> for Latencies<'a> {
    fn from(operation: &'a OperationLatency) -> Latencies<'a> {
        Latencies { histogram: &operation.latency_us, unfinished: operation.unfinished }
    }
}

impl<'a> From<&'a ShortHistogram> for Latencies<'a> {
    fn from(histogram: &'a ShortHistogram) -> Latencies<'a> {
        Latencies { histogram: &histogram.0, unfinished: 0 }
    }
}

/// The plan's guard in the buckets of the histograms that are judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    quantile: f64,
    worse_than_active_by: f64,
    buckets_per_doubling: f64,
    /// The margin in buckets, a real number: latency times (1 + margin) is that much further up.
    margin: f64,
}

impl Terms {
    /// For the histograms over all traces.
    pub(crate) fn over_all(guard: &config::Latency) -> Terms {
        Terms::of(guard, BUCKETS_PER_DOUBLING)
    }

    pub(crate) fn of(guard: &config::Latency, buckets_per_doubling: f64) -> Terms {
        let config::Latency { quantile, worse_than_active_by } = *guard;
        let margin = buckets_per_doubling * libm::log2(1.0 + worse_than_active_by);
        Terms { quantile, worse_than_active_by, buckets_per_doubling, margin }
    }
}

/// Latency, before and after the active environment's quantiles are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum LatencyMetric {
    /// The active environment's histogram so far.
    Collecting(Collected),
    /// Judging against frozen thresholds.
    Judging(Box<Judging>),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Collected {
    /// By bucket, within [`BUCKETS`].
    buckets: BTreeMap<i32, u64>,
    unfinished: u64,
}

/// The state once the thresholds are frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Judging {
    thresholds: Vec<Threshold>,
    proofs: Vec<MarginProof>,
    /// The bucket whose upper end is the active environment's plan quantile.
    reference: i32,
    /// Candidate beyond the quantile and the margin, against active beyond the quantile.
    slower: Recent,
    /// Unfinished traces of both, which may be lost rather than slow.
    unfinished: Recent,
    /// How much more often the candidate is beyond the quantile, in batches that have both environments.
    odds: OddsLikelihood,
    /// The candidate's traces, and those beyond quantile and margin, in batches without the active environment.
    unaccompanied: Counts,
    /// Beyond the active environment's quantile, everything so far: shown to people, never decided with.
    pub(crate) candidate: Counts,
    pub(crate) active: Counts,
}

/// One threshold: the upper end of a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Threshold {
    bucket: i32,
    compared: Process,
    alone: Process,
    recent: Recent,
}

/// The proof at one quantile: candidate beyond threshold and margin against active beyond the threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MarginProof {
    bucket: i32,
    proof: Proof,
}

impl LatencyMetric {
    pub(crate) fn new() -> LatencyMetric {
        LatencyMetric::Collecting(Collected::default())
    }

    /// Takes one batch. The batch that completes the collection is not judged by the thresholds it helped to choose.
    pub(crate) fn observe(&mut self, candidate: Latencies<'_>, active: Latencies<'_>, terms: &Terms, hazard: f64) {
        match self {
            LatencyMetric::Judging(judging) => judging.observe(candidate, active, terms, hazard),
            LatencyMetric::Collecting(collected) => {
                collected.add(active);
                if collected.traces() >= TRACES_TO_FREEZE {
                    *self = LatencyMetric::Judging(Box::new(collected.freeze(terms)));
                }
            }
        }
    }

    /// The state once the thresholds are frozen.
    pub(crate) fn judging(&self) -> Option<&Judging> {
        match self {
            LatencyMetric::Collecting(_) => None,
            LatencyMetric::Judging(judging) => Some(judging),
        }
    }

    /// ln of the evidence that the candidate is slower somewhere.
    pub(crate) fn log_against(&self) -> f64 {
        match self {
            LatencyMetric::Collecting(_) => 0.0,
            LatencyMetric::Judging(judging) => {
                let mut logs = [LOG_FLOOR; WATCHED.len()];
                for (log, threshold) in logs.iter_mut().zip(&judging.thresholds) {
                    *log = threshold.log_against();
                }
                log_mean(&logs[..judging.thresholds.len()])
            }
        }
    }

    /// ln of the evidence that the candidate is not slower than the margin: the weakest of the proved quantiles.
    pub(crate) fn log_for(&self) -> f64 {
        match self {
            LatencyMetric::Collecting(_) => 0.0,
            LatencyMetric::Judging(judging) => {
                judging.proofs.iter().map(|proof| proof.proof.log_evidence()).reduce(f64::min).unwrap_or(0.0)
            }
        }
    }
}

impl Collected {
    fn add(&mut self, arm: Latencies<'_>) {
        for (bucket, traces) in &arm.histogram.0 {
            let kept = self.buckets.entry((*bucket).clamp(*BUCKETS.start(), *BUCKETS.end())).or_default();
            *kept = kept.saturating_add(*traces);
        }
        self.unfinished = self.unfinished.saturating_add(arm.unfinished);
    }

    pub(crate) fn traces(&self) -> u64 {
        self.buckets.values().fold(self.unfinished, |sum, traces| sum.saturating_add(*traces))
    }

    fn freeze(&self, terms: &Terms) -> Judging {
        let mut watched = WATCHED.map(|quantile| self.quantile_bucket(quantile)).to_vec();
        watched.dedup();
        // The lower end of a quantile's bucket, so that the active environment is beyond it often enough for a proof
        // even where all its traces fall into one bucket.
        let mut proved: Vec<i32> =
            PROVED.into_iter().chain([terms.quantile]).map(|quantile| self.quantile_bucket(quantile) - 1).collect();
        proved.sort_unstable();
        proved.dedup();
        Judging {
            thresholds: watched.into_iter().map(Threshold::new).collect(),
            proofs: proved
                .into_iter()
                .map(|bucket| MarginProof { bucket, proof: Proof::new(PSI_BETTER.len()) })
                .collect(),
            reference: self.quantile_bucket(terms.quantile),
            slower: Recent::default(),
            unfinished: Recent::default(),
            odds: OddsLikelihood::new(),
            unaccompanied: Counts::default(),
            candidate: Counts::default(),
            active: Counts::default(),
        }
    }

    /// The lowest bucket with at least this share of all traces in it and below; the highest one where the quantile is
    /// among the unfinished.
    fn quantile_bucket(&self, quantile: f64) -> i32 {
        let wanted = self.traces() as f64 * quantile;
        let mut below = 0u64;
        for (bucket, traces) in &self.buckets {
            below = below.saturating_add(*traces);
            if below as f64 >= wanted {
                return *bucket;
            }
        }
        self.buckets.keys().next_back().copied().unwrap_or(*BUCKETS.end())
    }
}

impl Judging {
    fn observe(&mut self, candidate: Latencies<'_>, active: Latencies<'_>, terms: &Terms, hazard: f64) {
        let margin = terms.margin;
        let (candidate_traces, active_traces) = (candidate.traces(), active.traces());
        let count = |arm: Latencies<'_>, traces, bucket| Counts { traces, events: arm.beyond(bucket) };
        for threshold in &mut self.thresholds {
            let split = Split {
                candidate: count(candidate, candidate_traces, threshold.bucket),
                active: count(active, active_traces, threshold.bucket),
            };
            let with_margin = threshold.bucket.saturating_add(margin.ceil() as i32);
            threshold.observe(&split, count(candidate, candidate_traces, with_margin), terms, hazard);
        }
        for proof in &mut self.proofs {
            // Rounded down: the candidate is counted as slow too often rather than too seldom.
            let with_margin = proof.bucket.saturating_add(margin.floor() as i32);
            let split = Split {
                candidate: count(candidate, candidate_traces, with_margin),
                active: count(active, active_traces, proof.bucket),
            };
            proof.proof.update(&log_e(&split, &PSI_BETTER));
        }
        let tolerated = 1.0 - terms.quantile;
        let recent = |candidate_events: f64, active_events: f64| RecentBatch {
            candidate_traces: candidate_traces as f64,
            candidate_events,
            active_traces: active_traces as f64,
            active_events,
        };
        let at_quantile = active.beyond(self.reference);
        let past_margin = candidate.beyond_within(self.reference, margin);
        self.slower.update(recent(past_margin, at_quantile as f64), tolerated);
        self.unfinished.update(recent(candidate.unfinished as f64, active.unfinished as f64), tolerated);
        let split = Split {
            candidate: count(candidate, candidate_traces, self.reference),
            active: count(active, active_traces, self.reference),
        };
        self.odds.update(&split);
        if active_traces == 0 {
            let with_margin = self.reference.saturating_add(margin.ceil() as i32);
            self.unaccompanied.add(count(candidate, candidate_traces, with_margin));
        }
        self.candidate.add(split.candidate);
        self.active.add(split.active);
    }

    /// The active environment's plan quantile in microseconds, as frozen.
    pub(crate) fn quantile_us(&self, terms: &Terms) -> f64 {
        libm::exp2((f64::from(self.reference) + 1.0) / terms.buckets_per_doubling)
    }

    /// How often the candidate is beyond quantile and margin, and how often the active environment is beyond the
    /// quantile. It is beyond what the plan tolerates when the candidate's share is the larger one.
    pub(crate) fn estimate(&self, terms: &Terms) -> Estimate {
        self.slower.estimate(terms.worse_than_active_by)
    }

    /// How much more often the candidate is beyond the quantile, or, by the part of the evidence that says more, how often
    /// it is beyond quantile and margin where there is no active traffic. `weight` is the metric's.
    pub(crate) fn effect(&self, weight: f64) -> Effect {
        let log_evidence = |process: fn(&Threshold) -> &Process| {
            self.thresholds.iter().map(|it| process(it).log_evidence()).fold(LOG_FLOOR, f64::max)
        };
        match log_evidence(|threshold| &threshold.compared) >= log_evidence(|threshold| &threshold.alone) {
            true => self.odds.effect(weight),
            false => share_effect(self.unaccompanied, weight),
        }
    }

    /// Whether unfinished traces make the candidate look slow: they are most of what it has more of beyond the tolerance than
    /// the active environment.
    pub(crate) fn explained_by_unfinished(&self) -> bool {
        let (slower, unfinished) = (self.slower.estimate(0.0), self.unfinished.estimate(0.0));
        let (more_slow, more_unfinished) = (slower.candidate - slower.active, unfinished.candidate - unfinished.active);
        more_unfinished >= more_slow * MOST
    }
}

impl Threshold {
    fn new(bucket: i32) -> Threshold {
        Threshold {
            bucket,
            compared: Process::new(PSI_WORSE.len()),
            alone: Process::new(PSI_WORSE.len()),
            recent: Recent::default(),
        }
    }

    /// `with_margin`: the candidate's traces beyond threshold and margin, for batches without active traffic.
    fn observe(&mut self, split: &Split, with_margin: Counts, terms: &Terms, hazard: f64) {
        if split.candidate.traces > 0 && split.active.traces > 0 {
            self.compared.update(&log_e(split, &PSI_WORSE), hazard);
        } else if split.candidate.traces > 0 {
            let upper = self.recent.active_share_upper();
            self.alone.update(&log_e_alone(with_margin, upper, &PSI_WORSE), hazard);
        }
        self.recent.update(RecentBatch::from(split), 1.0 - terms.quantile);
    }

    fn log_against(&self) -> f64 {
        log_mean(&[self.compared.log_evidence(), self.alone.log_evidence()])
    }
}

impl Latencies<'_> {
    /// Traces whose latency is known, the unfinished ones included.
    pub(crate) fn traces(self) -> u64 {
        self.histogram.0.values().fold(self.unfinished, |sum, traces| sum.saturating_add(*traces))
    }

    /// Traces beyond the upper end of a bucket.
    fn beyond(self, bucket: i32) -> u64 {
        let above = self.histogram.0.range(bucket.saturating_add(1)..);
        above.fold(self.unfinished, |sum, (_, traces)| sum.saturating_add(*traces))
    }

    /// Traces beyond a point `margin` buckets above the upper end of a bucket; the bucket that the point cuts counts in
    /// part, as if its traces were spread evenly over it.
    fn beyond_within(self, bucket: i32, margin: f64) -> f64 {
        let whole = margin.floor();
        let cut = bucket.saturating_add(whole as i32).saturating_add(1);
        let in_cut = self.histogram.0.get(&cut).copied().unwrap_or(0);
        self.beyond(cut) as f64 + in_cut as f64 * (1.0 - (margin - whole))
    }
}

#[cfg(test)]
mod tests;
