//! How long calls took, in buckets: eight for each doubling, so that a bucket is 12.5 % wide at most. Merging adds them up.

use crate::order::{Median, ranks_of_many};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Buckets for each doubling, as a power of two.
const BITS: u32 = 3;

/// A histogram of microseconds, with whole numbers alone: the same calls give the same bytes. At most 496 buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies(BTreeMap<u16, u64>);

impl Latencies {
    /// Counts one call.
    pub fn count(&mut self, us: u64) {
        let count = self.0.entry(bucket(us)).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds others'.
    pub fn add(&mut self, more: &Latencies) {
        for (bucket, count) in &more.0 {
            let sum = self.0.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// Calls counted.
    pub fn calls(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Between what the median lies, but for a chance of `alpha` on each side; `None` if the calls are too few.
    pub(crate) fn median(&self, alpha: f64) -> Option<Median> {
        let (low, high) = ranks_of_many(self.calls(), alpha)?;
        Some(Median { at_least_us: begin(self.bucket_of(low)?), at_most_us: end(self.bucket_of(high)?) })
    }

    /// The bucket of the call with this rank, from 1.
    fn bucket_of(&self, rank: u64) -> Option<u16> {
        let mut sum = 0_u64;
        self.0.iter().find_map(|(bucket, count)| {
            sum = sum.saturating_add(*count);
            (sum >= rank).then_some(*bucket)
        })
    }
}

/// Up to 7 us each has a bucket; then the highest bit and the three below it say which.
fn bucket(us: u64) -> u16 {
    let highest = 63 - us.max(1).leading_zeros();
    match highest.checked_sub(BITS) {
        None => us as u16,
        Some(shift) => (((shift + 1) << BITS) as u64 + ((us >> shift) - (1 << BITS))) as u16,
    }
}

/// The least that falls into a bucket. One that no time falls into reads as the last.
fn begin(bucket: u16) -> u64 {
    let (doubling, within) = (u32::from(bucket) >> BITS, u64::from(bucket) & ((1 << BITS) - 1));
    match doubling.checked_sub(1) {
        None => within,
        Some(shift) if shift <= 63 - BITS => ((1 << BITS) + within) << shift,
        Some(_) => u64::MAX,
    }
}

/// The most that falls into it.
fn end(bucket: u16) -> u64 {
    begin(bucket + 1).saturating_sub(u64::from(begin(bucket + 1) != u64::MAX))
}

#[cfg(test)]
mod tests;
