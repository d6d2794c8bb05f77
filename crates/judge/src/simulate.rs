//! Simulated traffic: observations of traces that fail, get lost and are slow at given chances, from a seed.
//!
//! One piece of code serves the judge's own tests, `verdigris judge simulate` and the benchmark. It is pure: the seed is
//! an argument. What it leaves out: traces are independent of each other and their chances do not drift by themselves, so
//! it says nothing of traffic whose incidents come in clusters. Nor does it count blue by halves, or latency by operation:
//! the judge keeps the weight of the latter as if nothing spoke against any.

mod random;

pub use random::Random;

use model::{
    ArmCounts, BlindSpotCount, Check, Environment, ExponentialHistogram, Observation, PerEnvironment, Subject,
    UnixMillis,
};
use std::collections::BTreeMap;

/// The share of traces that pass the service which can be blind.
const SERVICE: f64 = 0.1;

/// Spans that a simulated trace has.
const SPANS: u64 = 6;

/// What one environment does to a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// Chance of each check in a trace, 0.0 to 1.0.
    pub chances: BTreeMap<Check, f64>,
    /// Chances of the latency's buckets; [`latency`] makes them.
    pub latency: Vec<(i32, f64)>,
    /// A service in a tenth of the traces, of which nothing comes out at this chance (the trace loses a span and leaves
    /// an orphan).
    pub blind: f64,
    /// The share of traces with a lost span in which it had children.
    pub orphaning: f64,
}

impl Behaviour {
    /// Nothing fails, nothing is lost, 20 ms at the median.
    pub fn healthy() -> Behaviour {
        Behaviour { chances: BTreeMap::new(), latency: latency(1.0), blind: 0.0, orphaning: 0.0 }
    }

    /// The same with a chance of a check.
    pub fn with(mut self, check: Check, chance: f64) -> Behaviour {
        self.chances.insert(check, chance);
        self
    }
}

/// Log-normal latency around 20 ms times `factor`, sigma 0.6 (p99 is four times the median), cut into the observation's
/// buckets.
pub fn latency(factor: f64) -> Vec<(i32, f64)> {
    // Seven deviations to both sides of the median: less than 10^-9 is beyond.
    let median = (8.0 * libm::log2(20_000.0 * factor)) as i32;
    let below = |bucket: i32| {
        let us = libm::exp2((f64::from(bucket) + 1.0) / 8.0);
        let z = (libm::log(us) - libm::log(20_000.0 * factor)) / 0.6;
        0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
    };
    let chances = (median - 50..median + 50).map(|bucket| (bucket, below(bucket) - below(bucket - 1)));
    chances.filter(|(_, chance)| *chance > 1e-9).collect()
}

/// Batches of a rollout; green is the candidate.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Where chance comes from.
    pub random: Random,
    /// What blue does.
    pub blue: Behaviour,
    /// What green does.
    pub green: Behaviour,
    batch: u64,
    blind_ever: PerEnvironment<(u64, u64)>,
}

impl Traffic {
    /// Traffic that has not begun.
    pub fn new(random: Random, blue: Behaviour, green: Behaviour) -> Traffic {
        Traffic { random, blue, green, batch: 0, blind_ever: PerEnvironment::default() }
    }

    /// The next batch, with so many traces in each environment, assigned in `from..until`.
    pub fn observation(&mut self, traces: PerEnvironment<u64>, from: UnixMillis, until: UnixMillis) -> Observation {
        self.batch += 1;
        let mut arms = PerEnvironment::<ArmCounts>::default();
        let (mut sent, mut unseen) = (PerEnvironment::<u64>::default(), PerEnvironment::<u64>::default());
        for environment in Environment::BOTH {
            let behaviour = match environment {
                Environment::Blue => &self.blue,
                Environment::Green => &self.green,
            };
            let traces = traces[environment];
            let mut arm = arm(&mut self.random, behaviour, traces);
            sent[environment] = self.random.binomial(traces, SERVICE);
            if behaviour.blind > 0.0 {
                unseen[environment] = self.random.binomial(sent[environment], behaviour.blind);
                for check in [Check::LostSpan, Check::Orphan] {
                    let already = arm.events(check);
                    arm.events.insert(check, (already + unseen[environment]).min(traces));
                }
            }
            self.blind_ever[environment].0 += sent[environment];
            self.blind_ever[environment].1 += unseen[environment];
            arms[environment] = arm;
        }
        let (traces_ever, unseen_ever) = (self.blind_ever.map(|it| it.0), self.blind_ever.map(|it| it.1));
        let spot = |subject| BlindSpotCount { subject, traces: sent, unseen, traces_ever, unseen_ever, example: None };
        let seen = unseen.blue + unseen.green == 0;
        Observation {
            batch: self.batch,
            assigned_from: from,
            assigned_until: until,
            arms,
            blue_half: None,
            left_out: PerEnvironment::default(),
            findings: vec![],
            blind_spots: if seen { vec![] } else { [edge(), operation()].map(spot).to_vec() },
            operations: vec![],
            omitted: 0,
            verified: model::BasisPoints::ALL,
        }
    }
}

/// The operation that can be blind.
pub fn operation() -> Subject {
    Subject::Operation { service: "payment".into(), operation: "charge".into(), kind: 2 }
}

/// The calls of it.
pub fn edge() -> Subject {
    Subject::Edge { from: "checkout".into(), to: "payment".into() }
}

fn arm(random: &mut Random, behaviour: &Behaviour, traces: u64) -> ArmCounts {
    let mut events = BTreeMap::new();
    for (check, chance) in &behaviour.chances {
        events.insert(*check, random.binomial(traces, *chance));
    }
    if behaviour.orphaning > 0.0 {
        let lossy = events.get(&Check::LostSpan).copied().unwrap_or(0);
        events.insert(Check::Orphan, random.binomial(lossy, behaviour.orphaning));
    }
    // A trace whose export failed has no latency; one that lost a span never comes out whole.
    let refused = events.get(&Check::ExportFailure).copied().unwrap_or(0);
    let unfinished = events.get(&Check::LostSpan).copied().unwrap_or(0).min(traces - refused);
    let latency_us = ExponentialHistogram(random.multinomial(traces - refused - unfinished, &behaviour.latency));
    ArmCounts {
        traces,
        events,
        assigned: traces,
        spans_acknowledged: traces * SPANS,
        spans_out: traces * SPANS - unfinished,
        latency_us,
        unfinished,
        slowest: None,
    }
}

/// What a number of runs shows of a chance: the largest one at which `events` or fewer of `runs` would still come about
/// with a probability of `1 - confidence` (Clopper & Pearson 1934, one-sided). 1 where every run had an event.
pub fn upper_bound(events: u64, runs: u64, confidence: f64) -> f64 {
    if events >= runs {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // Fifty halvings leave less than 10^-15.
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if at_most(events, runs, middle) > 1.0 - confidence { low = middle } else { high = middle }
    }
    high
}

/// The chance of `events` or fewer among `runs`, each at `p` between 0 and 1. Terms go up from none, in logarithms.
fn at_most(events: u64, runs: u64, p: f64) -> f64 {
    let (log_odds, mut log_term) = (libm::log(p) - libm::log1p(-p), runs as f64 * libm::log1p(-p));
    let mut sum = libm::exp(log_term);
    for k in 0..events {
        log_term += libm::log((runs - k) as f64 / (k + 1) as f64) + log_odds;
        sum += libm::exp(log_term);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_in_n_runs_bounds_the_chance_as_it_is_known_to() {
        // The rule of three at 95 %, and (1 - p)^n = 0.01 at 99 %.
        assert!((upper_bound(0, 1_000, 0.95) - 0.002_991).abs() < 1e-6);
        assert!((upper_bound(0, 10_000, 0.99) - 4.604e-4).abs() < 1e-7);
        // The same sum in Python's floats.
        assert!((upper_bound(430, 10_000, 0.99) - 0.047_953).abs() < 1e-6);
        assert_eq!(upper_bound(7, 7, 0.99), 1.0);
    }

    #[test]
    fn latency_keeps_its_shape_and_moves_by_the_factor() {
        let mean = |chances: &[(i32, f64)]| chances.iter().map(|(bucket, p)| f64::from(*bucket) * p).sum::<f64>();
        for factor in [0.01, 1.0, 1.2, 100.0] {
            let chances = latency(factor);
            let total: f64 = chances.iter().map(|(_, p)| p).sum();
            assert!((total - 1.0).abs() < 1e-6, "{total}");
            let moved = mean(&chances) - mean(&latency(1.0));
            assert!((moved - 8.0 * libm::log2(factor)).abs() < 1e-3, "{factor}: {moved}");
        }
    }
}
