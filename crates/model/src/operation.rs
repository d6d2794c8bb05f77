//! Latency by what a trace is of: the operation of its root span.

use crate::{ExponentialHistogram, PerEnvironment, SlowTrace};
use serde::{Deserialize, Serialize};

/// Root operations whose latency an observation tells by itself, at most. Each takes 1,090 bytes at most: names of 128
/// bytes each as they stand in JSON, 160 of keys, an example of 100, and two histograms of 72 counts of up to 3 digits
/// with their commas, so 8 take 8,720. The counts of 1,152 buckets have 3 digits on
/// the average from 120,000 traces a batch on, as many as are verified in 6 s at most; ten times as many are 1,152 bytes
/// more.
pub const MAX_OPERATIONS_PER_OBSERVATION: usize = 8;

/// Buckets to a doubling of the histograms here: OTLP's scale 2, so a value is known within 9 %. Half as fine as those
/// over all traces, for there are sixteen of them.
pub const OPERATION_BUCKETS_PER_DOUBLING: u32 = 4;

/// The histograms' buckets, from 128 us to 33 s. What is below counts in the first, and what is above in the last.
pub const OPERATION_BUCKETS: std::ops::RangeInclusive<i32> = 28..=99;

/// What a trace is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RootOperation {
    /// `service.name` of the trace's root span, as it was sent.
    pub service: String,
    /// The root span's name.
    pub operation: String,
}

impl std::fmt::Display for RootOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {}", self.service, self.operation)
    }
}

/// How long the traces of one root operation took in one batch, as [`ArmCounts`](crate::ArmCounts) has it for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationCounts {
    /// Which traces.
    pub root: RootOperation,
    /// How long they took in each environment.
    pub latency: PerEnvironment<OperationLatency>,
    /// Of green's traces that came out whole, the one that took longest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slowest: Option<SlowTrace>,
}

/// The same, in one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationLatency {
    /// Microseconds from hand-over to coming out, of each trace's slowest span, in [`OPERATION_BUCKETS`].
    #[serde(with = "dense")]
    pub latency_us: ExponentialHistogram,
    /// Traces that had not come out whole when the batch closed.
    pub unfinished: u64,
}

/// A histogram as a list: the first bucket that has traces, and the counts from there on, as OTLP has it. A list of 72
/// counts is less than half as long as their map. A bucket without traces is absent when it is read.
pub(crate) mod dense {
    use super::{ExponentialHistogram, OPERATION_BUCKETS};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(histogram: &ExponentialHistogram, to: S) -> Result<S::Ok, S::Error> {
        let buckets = &histogram.0;
        let (Some((first, _)), Some((last, _))) = (buckets.first_key_value(), buckets.last_key_value()) else {
            return [0u64; 0].serialize(to);
        };
        if !OPERATION_BUCKETS.contains(first) || !OPERATION_BUCKETS.contains(last) {
            let (first, last) = (*first, *last);
            return Err(serde::ser::Error::custom(format_args!("buckets from {first} to {last}, {}", expected())));
        }
        let counts = (*first..=*last).map(|bucket| buckets.get(&bucket).copied().unwrap_or(0));
        to.collect_seq(std::iter::once(first.unsigned_abs().into()).chain(counts))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ExponentialHistogram, D::Error> {
        let list = Vec::<u64>::deserialize(from)?;
        let Some((first, counts)) = list.split_first() else { return Ok(ExponentialHistogram::default()) };
        let first = i32::try_from(*first).ok().filter(|first| OPERATION_BUCKETS.contains(first));
        let room = first.map_or(0, |first| OPERATION_BUCKETS.end().abs_diff(first) as usize + 1);
        match first {
            Some(first) if counts.len() <= room => {
                let buckets = (first..).zip(counts).filter(|(_, traces)| **traces > 0);
                Ok(ExponentialHistogram(buckets.map(|(bucket, traces)| (bucket, *traces)).collect()))
            }
            Some(_) | None => {
                Err(D::Error::custom(format_args!("{} counts from bucket {}, {}", counts.len(), list[0], expected())))
            }
        }
    }

    fn expected() -> String {
        format!("expected buckets from {} to {}", OPERATION_BUCKETS.start(), OPERATION_BUCKETS.end())
    }
}

#[cfg(test)]
mod tests;
