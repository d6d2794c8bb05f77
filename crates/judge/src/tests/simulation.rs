//! Seeded traffic: traces that lose spans, fail and are slow at given rates.

use crate::{BlindSpots, Config, ErrorRate, Findings, Guards, Latency, SpanLoss};
use model::{
    ArmCounts, BlindSpotCount, Check, Environment, ExponentialHistogram, Observation, PerEnvironment, Subject,
    UnixMillis,
};
use std::collections::BTreeMap;

/// SplitMix64 (Steele, Lea, Flood 2014): enough for tests, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Above 0.0, at most 1.0.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// How many of `n` happen at a chance of `p`, by jumping from one to the next.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p <= 0.0 || n == 0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let (mut happened, mut position, log_miss) = (0, 0.0, libm::log1p(-p));
        loop {
            position += (libm::log(self.unit()) / log_miss).floor() + 1.0;
            if position > n as f64 {
                return happened;
            }
            happened += 1;
        }
    }

    /// How many of `n` values fall into each of the buckets, given their chances.
    pub(crate) fn multinomial(&mut self, n: u64, chances: &[(i32, f64)]) -> BTreeMap<i32, u64> {
        let (mut left, mut chance_left) = (n, 1.0);
        let mut buckets = BTreeMap::new();
        for (bucket, chance) in chances {
            let here = self.binomial(left, (chance / f64::max(chance_left, 1e-12)).min(1.0));
            if here > 0 {
                buckets.insert(*bucket, here);
            }
            left -= here;
            chance_left -= chance;
        }
        buckets
    }
}

/// What one environment does to a trace.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    /// Chance of each check in a trace.
    pub(crate) chances: BTreeMap<Check, f64>,
    /// Chances of the latency's buckets; [`latency`] makes them.
    pub(crate) latency: Vec<(i32, f64)>,
    /// A service in this share of traces, of which nothing comes out (the trace loses a span and leaves an orphan).
    pub(crate) blind: f64,
    /// The share of traces with a lost span in which it had children.
    pub(crate) orphaning: f64,
}

impl Behaviour {
    pub(crate) fn healthy() -> Behaviour {
        Behaviour { chances: BTreeMap::new(), latency: latency(1.0), blind: 0.0, orphaning: 0.0 }
    }

    pub(crate) fn with(mut self, check: Check, chance: f64) -> Behaviour {
        self.chances.insert(check, chance);
        self
    }
}

/// Log-normal latency around 20 ms times `factor`, sigma 0.6, cut into the observation's buckets.
pub(crate) fn latency(factor: f64) -> Vec<(i32, f64)> {
    let below = |bucket: i32| {
        let us = libm::exp2((f64::from(bucket) + 1.0) / 8.0);
        let z = (libm::log(us) - libm::log(20_000.0 * factor)) / 0.6;
        0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
    };
    (60..180).map(|bucket| (bucket, below(bucket) - below(bucket - 1))).filter(|(_, chance)| *chance > 1e-9).collect()
}

/// Batches of a rollout; green is the candidate.
pub(crate) struct Traffic {
    pub(crate) random: Random,
    pub(crate) blue: Behaviour,
    pub(crate) green: Behaviour,
    pub(crate) traces_per_batch: u64,
    batch: u64,
    blind_ever: PerEnvironment<(u64, u64)>,
}

pub(crate) const SERVICE: f64 = 0.1;

impl Traffic {
    pub(crate) fn new(seed: u64, traces_per_batch: u64, blue: Behaviour, green: Behaviour) -> Traffic {
        let blind_ever = PerEnvironment::default();
        Traffic { random: Random(seed), blue, green, traces_per_batch, batch: 0, blind_ever }
    }

    /// The next batch, with this share of its traces in green.
    pub(crate) fn batch(&mut self, weight: f64) -> Observation {
        let green = self.random.binomial(self.traces_per_batch, weight);
        self.batch_of(green, self.traces_per_batch - green)
    }

    pub(crate) fn batch_of(&mut self, green: u64, blue: u64) -> Observation {
        self.batch += 1;
        let behaviours =
            [(Environment::Blue, self.blue.clone(), blue), (Environment::Green, self.green.clone(), green)];
        let mut arms = PerEnvironment::<ArmCounts>::default();
        let (mut sent, mut unseen) = (PerEnvironment::<u64>::default(), PerEnvironment::<u64>::default());
        for (environment, behaviour, traces) in behaviours {
            let mut arm = arm(&mut self.random, &behaviour, traces);
            sent[environment] = self.random.binomial(traces, SERVICE);
            if behaviour.blind > 0.0 {
                unseen[environment] = self.random.binomial(sent[environment], behaviour.blind);
                let already = arm.events(Check::LostSpan);
                arm.events.insert(Check::LostSpan, (already + unseen[environment]).min(traces));
                arm.events.insert(Check::Orphan, (arm.events(Check::Orphan) + unseen[environment]).min(traces));
            }
            self.blind_ever[environment].0 += sent[environment];
            self.blind_ever[environment].1 += unseen[environment];
            arms[environment] = arm;
        }
        let (traces_ever, unseen_ever) = (self.blind_ever.map(|it| it.0), self.blind_ever.map(|it| it.1));
        let spot = |subject| BlindSpotCount { subject, traces: sent, unseen, traces_ever, unseen_ever, example: None };
        let subjects = [edge(), operation()];
        let seen = unseen.blue + unseen.green == 0;
        Observation {
            batch: self.batch,
            assigned_from: UnixMillis(self.batch * 3_000),
            assigned_until: UnixMillis(self.batch * 3_000 + 3_000),
            arms,
            blue_half: None,
            left_out: PerEnvironment::default(),
            findings: vec![],
            blind_spots: if seen { vec![] } else { subjects.map(spot).to_vec() },
            operations: vec![],
            omitted: 0,
        }
    }
}

pub(crate) fn operation() -> Subject {
    Subject::Operation { service: "payment".into(), operation: "charge".into(), kind: 2 }
}

pub(crate) fn edge() -> Subject {
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
        spans_acknowledged: traces * 6,
        spans_out: traces * 6 - unfinished,
        latency_us,
        unfinished,
        slowest: None,
    }
}

pub(crate) fn config() -> Config {
    Config {
        candidate: Environment::Green,
        false_alarm: 0.01,
        false_promotion: 0.01,
        batches_per_hour: 1_200,
        guards: Guards {
            span_loss: Some(SpanLoss { at_most: 0.001 }),
            error_rate: Some(ErrorRate { worse_than_active_by: 0.005 }),
            latency: Some(Latency { quantile: 0.99, worse_than_active_by: 0.2 }),
            blind_spots: Some(BlindSpots { at_most: 0 }),
            findings: Some(Findings { worse_than_active_by: 0.005 }),
        },
    }
}
