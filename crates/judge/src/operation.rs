//! L for each root operation: a pipeline that is slow for one kind of trace is seen there first, and named.
//!
//! Alarms only. That a pipeline is not slower is proved over all traces: a proof for each operation would have to be had
//! from the rarest of them.

use crate::config;
use crate::latency::{Latencies, LatencyMetric, Terms};
use model::{
    Environment, MAX_OPERATIONS_PER_OBSERVATION, OPERATION_BUCKETS_PER_DOUBLING, OperationCounts, RootOperation,
};
use serde::{Deserialize, Serialize};

/// Operations that are judged: the first that are told of. The others are counted as overflow, and not judged: after a
/// restart verification may choose others.
const MAX_JUDGED: usize = MAX_OPERATIONS_PER_OBSERVATION;

/// The part of the latency guard's weight that the latency over all traces has.
pub(crate) const PART_OVER_ALL: f64 = 0.5;

/// The part that each operation has, fixed before any of them is known. What is not taken yet counts as evidence of 1.
pub(crate) const PART_OF_ONE: f64 = (1.0 - PART_OVER_ALL) / MAX_JUDGED as f64;

/// The operations that are judged, in the order in which they were told of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OperationBook {
    pub(crate) judged: Vec<JudgedOperation>,
    /// Times that one was told of for which there was no room.
    overflow: u64,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JudgedOperation {
    pub(crate) root: RootOperation,
    pub(crate) latency: LatencyMetric,
}

impl OperationBook {
    /// Takes one batch's operations, each of which stands once.
    pub(crate) fn observe(
        &mut self,
        operations: &[OperationCounts],
        candidate: Environment,
        guard: &config::Latency,
        hazard: f64,
    ) {
        for counts in operations {
            let position = self.judged.iter().position(|judged| judged.root == counts.root);
            let judged = match position {
                Some(position) => &mut self.judged[position],
                None if self.judged.len() < MAX_JUDGED => {
                    self.judged.push(JudgedOperation { root: counts.root.clone(), latency: LatencyMetric::new() });
                    let last = self.judged.len() - 1;
                    &mut self.judged[last]
                }
                None => {
                    self.overflow = self.overflow.saturating_add(1);
                    continue;
                }
            };
            let [candidate, active] = [candidate, candidate.other()].map(|it| Latencies::from(&counts.latency[it]));
            judged.latency.observe(candidate, active, &terms(guard), hazard);
        }
    }

    /// The part of the latency guard's weight that no operation has yet.
    pub(crate) fn unspent(&self) -> f64 {
        PART_OF_ONE * (MAX_JUDGED - self.judged.len()) as f64
    }
}

/// The plan's guard for histograms of single operations.
pub(crate) fn terms(guard: &config::Latency) -> Terms {
    Terms::of(guard, f64::from(OPERATION_BUCKETS_PER_DOUBLING))
}
