//! How long services take, as their own spans say: what a version of a service does to its callers.

use crate::operation::dense;
use crate::{ExponentialHistogram, PerEnvironment, SlowTrace, Subject};
use serde::{Deserialize, Serialize};

/// Calls between services whose times an observation tells, at most. Each takes 1,180 bytes at most: two names of
/// [`MAX_TIMED_NAME_BYTES`] as they stand in JSON, 170 of keys, an example of 100, two histograms of 72 counts of up to 3
/// digits with their commas, and two of 25 such counts. With the operations that is 10,920: what findings, subjects, arms
/// and root operations leave ([`MAX_SUBJECTS_PER_OBSERVATION`](crate::MAX_SUBJECTS_PER_OBSERVATION)).
pub const MAX_TIMED_CALLS: usize = 6;

/// Operations whose time on the critical path an observation tells, at most. Each takes 960 bytes at most.
pub const MAX_TIMED_OPERATIONS: usize = 4;

/// What is kept of a name here.
pub const MAX_TIMED_NAME_BYTES: usize = 64;

/// Calls in one trace that are told apart; more count as so many. 64 are bucket 51 of the histogram.
pub const MAX_CALLS: u64 = 64;

/// One call is written as 128 us would be: [`OPERATION_BUCKETS`](crate::OPERATION_BUCKETS) begin there.
pub const US_FOR_A_CALL: u64 = 128;

/// What one call between services, or one operation, took in the traces of one batch, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceTimes {
    /// [`Subject::Edge`]: calls of one service by another. [`Subject::Operation`]: an operation, wherever it is called.
    pub subject: Subject,
    /// Microseconds in each trace that has it. Of a call the exclusive time of the client's spans: what they take without
    /// what the called service takes. Of an operation the time of its spans on the trace's critical path in which none of
    /// their children was on it.
    pub time_us: PerEnvironment<ShortHistogram>,
    /// Of a call: how often it was made in each trace that has it, each counted as [`US_FOR_A_CALL`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calls: Option<PerEnvironment<ShortHistogram>>,
    /// Of green's traces the one with most of that time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slowest: Option<SlowTrace>,
}

/// A histogram of scale 2 within [`OPERATION_BUCKETS`](crate::OPERATION_BUCKETS), written as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShortHistogram(#[serde(with = "dense")] pub ExponentialHistogram);

impl ShortHistogram {
    /// Values counted.
    pub fn count(&self) -> u64 {
        self.0.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OPERATION_BUCKETS, TraceId, UnixMillis};

    #[test]
    fn the_largest_is_as_long_as_the_bound_reckons() {
        let full =
            |to| ShortHistogram(ExponentialHistogram((*OPERATION_BUCKETS.start()..=to).map(|it| (it, 999)).collect()));
        let both = |to| PerEnvironment { blue: full(to), green: full(to) };
        let latency_us = 33_000_000;
        let slowest = SlowTrace { trace: TraceId([1; 16]), latency_us, assigned: UnixMillis(1_700_000_000_000) };
        let name = || "n".repeat(MAX_TIMED_NAME_BYTES);
        let call = ServiceTimes {
            subject: Subject::Edge { from: name(), to: name() },
            time_us: both(*OPERATION_BUCKETS.end()),
            calls: Some(both(52)),
            slowest: Some(slowest),
        };
        let subject = Subject::Operation { service: name(), operation: name(), kind: 5 };
        let operation = ServiceTimes { subject, calls: None, ..call.clone() };
        let bytes = |times: &ServiceTimes| serde_json::to_string(times).unwrap().len();
        assert!(bytes(&call) <= 1_180, "{}", bytes(&call));
        assert!(bytes(&operation) <= 960, "{}", bytes(&operation));
        let read: ServiceTimes = serde_json::from_str(&serde_json::to_string(&call).unwrap()).unwrap();
        assert_eq!(read, call);
    }
}
