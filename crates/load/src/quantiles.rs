//! Histograms as reports hold them.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

/// Latencies from 1 µs to 60 s with three digits; what is longer counts as 60 s.
pub(crate) const LONGEST_US: u64 = 60_000_000;

/// Quantiles that reports name.
const NAMED: [f64; 8] = [0.0, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0];

/// A distribution of times in microseconds. Values are those of an HDR histogram: the highest of the bucket that they fell
/// into, so they are too high by a thousandth at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean_us: f64,
    /// Quantiles, 0 to 1, with their values.
    pub quantiles: Vec<(f64, u64)>,
    /// Every value that occurred and how often, rising.
    pub buckets: Vec<(u64, u64)>,
}

impl Distribution {
    pub(crate) fn of<C: Counter>(histogram: &Histogram<C>) -> Distribution {
        let buckets: Vec<(u64, u64)> = histogram
            .iter_recorded()
            .map(|bucket| (bucket.value_iterated_to(), bucket.count_since_last_iteration()))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mean_us = if count == 0 { 0.0 } else { histogram.mean() };
        let mut distribution = Distribution { count, mean_us, quantiles: Vec::new(), buckets };
        distribution.quantiles = NAMED.iter().map(|at| (*at, distribution.quantile_us(*at).unwrap_or(0))).collect();
        distribution
    }

    /// The quantile in microseconds; `None` if there is nothing.
    pub fn quantile_us(&self, at: f64) -> Option<u64> {
        quantile(self.buckets.iter().copied(), self.count, at)
    }
}

/// The smallest value that so many are not above.
pub(crate) fn quantile(buckets: impl Iterator<Item = (u64, u64)>, count: u64, at: f64) -> Option<u64> {
    let rank = ((count as f64 * at).ceil() as u64).clamp(1, count.max(1));
    let mut before = 0u64;
    let mut last = None;
    for (value, count) in buckets {
        before = before.saturating_add(count);
        last = Some(value);
        if before >= rank {
            break;
        }
    }
    last
}

/// A histogram of the whole run.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("1 µs to 60 s with three digits is a histogram")
}

/// Of one second: two digits are enough to draw and to compare, and an empty one is small. The largest has 2,600 counters
/// of four bytes.
pub(crate) fn small_histogram() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are a histogram")
}

pub(crate) fn record<C: Counter>(histogram: &mut Histogram<C>, us: u64) {
    let recorded = histogram.record(us.clamp(1, LONGEST_US));
    recorded.expect("the value is within the bounds, or the histogram grows");
}
