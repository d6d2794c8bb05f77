//! The simulated traffic of [`crate::simulate`] in batches of 3 s of one size, and a configuration that has every guard.

pub(crate) use crate::simulate::{Behaviour, Random, edge, latency, operation};

use crate::{BlindSpots, Config, ErrorRate, Findings, Guards, Latency, SpanLoss, simulate};
use model::{Environment, Observation, PerEnvironment, UnixMillis};
use std::ops::{Deref, DerefMut};

const BATCH_MS: u64 = 3_000;

/// Batches of a rollout; green is the candidate.
pub(crate) struct Traffic {
    traffic: simulate::Traffic,
    traces_per_batch: u64,
    batch: u64,
}

impl Traffic {
    pub(crate) fn new(seed: u64, traces_per_batch: u64, blue: Behaviour, green: Behaviour) -> Traffic {
        Traffic { traffic: simulate::Traffic::new(Random::new(seed), blue, green), traces_per_batch, batch: 0 }
    }

    /// The next batch, with this share of its traces in green.
    pub(crate) fn batch(&mut self, weight: f64) -> Observation {
        let traces = self.traces_per_batch;
        let green = self.random.binomial(traces, weight);
        self.batch_of(green, traces - green)
    }

    pub(crate) fn batch_of(&mut self, green: u64, blue: u64) -> Observation {
        self.batch += 1;
        let at = |batch: u64| UnixMillis(batch * BATCH_MS);
        self.traffic.observation(PerEnvironment { blue, green }, at(self.batch), at(self.batch + 1))
    }
}

impl Deref for Traffic {
    type Target = simulate::Traffic;

    fn deref(&self) -> &simulate::Traffic {
        &self.traffic
    }
}

impl DerefMut for Traffic {
    fn deref_mut(&mut self) -> &mut simulate::Traffic {
        &mut self.traffic
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
            service_latency: None,
            blind_spots: Some(BlindSpots { at_most: 0 }),
            findings: Some(Findings { worse_than_active_by: 0.005 }),
            metrics: Vec::new(),
        },
    }
}
