//! Whom one environment called, and how that went: a table that is bounded and that can be merged.

use crate::dependency::Dependency;
use crate::latency::Latencies;
use model::{TraceId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Dependencies of one environment. Each is a name of 256 bytes, some 30 buckets of 16 bytes, and 100 bytes beside: 0.9 MB.
pub const MAX_DEPENDENCIES: usize = 1_024;

/// External dependencies that were called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependencies {
    /// By whom was called.
    pub called: BTreeMap<Dependency, Called>,
    /// Calls of services that are traced themselves: nothing external.
    pub internal: u64,
    /// Spans that call somebody and do not say whom.
    pub unnamed: u64,
    /// Calls of more dependencies than [`MAX_DEPENDENCIES`], which are not in the table.
    pub not_kept: u64,
    /// One trace of so many was looked at; 0 and 1 mean all.
    pub one_trace_of: u64,
}

/// Calls of one dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Called {
    /// How many.
    pub calls: u64,
    /// How many of them ended with the status ERROR.
    pub errors: u64,
    /// How long they took.
    pub latency_us: Latencies,
    /// A trace that has one: the last that was settled.
    pub example: TraceId,
    /// When the first was seen.
    pub first_seen: UnixMillis,
}

/// One call, as it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneCall {
    pub trace: TraceId,
    pub latency_us: u64,
    pub is_error: bool,
    pub seen: UnixMillis,
}

impl Dependencies {
    pub(crate) fn count(&mut self, dependency: &Dependency, call: OneCall) {
        let OneCall { trace, latency_us, is_error, seen } = call;
        let mut latencies = Latencies::default();
        latencies.count(latency_us);
        let called =
            Called { calls: 1, errors: u64::from(is_error), latency_us: latencies, example: trace, first_seen: seen };
        self.add(dependency, &called);
    }

    fn add(&mut self, dependency: &Dependency, more: &Called) {
        let has_room = self.called.len() < MAX_DEPENDENCIES;
        match self.called.get_mut(dependency) {
            Some(known) => {
                known.calls = known.calls.saturating_add(more.calls);
                known.errors = known.errors.saturating_add(more.errors);
                known.latency_us.add(&more.latency_us);
                known.example = more.example;
                known.first_seen = known.first_seen.min(more.first_seen);
            }
            None if has_room => {
                self.called.insert(dependency.clone(), more.clone());
            }
            None => self.not_kept = self.not_kept.saturating_add(more.calls),
        }
    }

    /// Adds what another gateway, or a later window, saw of the same environment. Sums saturate.
    pub fn merge(&mut self, more: &Dependencies) {
        for (dependency, called) in &more.called {
            self.add(dependency, called);
        }
        self.internal = self.internal.saturating_add(more.internal);
        self.unnamed = self.unnamed.saturating_add(more.unnamed);
        self.not_kept = self.not_kept.saturating_add(more.not_kept);
        self.one_trace_of = self.one_trace_of.max(more.one_trace_of);
    }
}
