//! What looks sensitive in what comes out of the environments' pipelines, counted by trace: where, and of which class.
//! Never the value.

use crate::{CanaryPlace, Environment, PerEnvironment, TraceId};
use redact::Class;
use serde::{Deserialize, Serialize};

/// Places in one search, and in all of a rollout: with a key of 64 characters of six bytes in JSON and 300 bytes besides,
/// 128 of them are 87 KiB at the very worst, and 25 KiB with keys as they are.
pub const MAX_EXPOSURES: usize = 128;

/// What some seconds of searching found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeakSearch {
    /// Traces that were searched in the interval.
    pub searched: PerEnvironment<u64>,
    /// What green's traces of the interval showed, and what blue's showed since the search before. Each place and class at most once.
    pub exposures: Vec<Exposure>,
    /// Places that were left out because there are more than [`MAX_EXPOSURES`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A class of sensitive values at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exposure {
    /// What it looks like.
    pub class: Class,
    /// Where it came out.
    pub place: CanaryPlace,
    /// In how many traces.
    pub traces: PerEnvironment<u64>,
    /// One of them, green's where there is one.
    pub example: TraceId,
}

impl Exposure {
    /// Nothing yet.
    pub fn new(class: Class, place: CanaryPlace, example: TraceId) -> Exposure {
        Exposure { class, place, traces: PerEnvironment::default(), example }
    }

    /// One trace more.
    pub fn add(&mut self, environment: Environment, trace: TraceId) {
        if environment == Environment::Green && self.traces.green == 0 {
            self.example = trace;
        }
        self.traces[environment] = self.traces[environment].saturating_add(1);
    }
}
