//! What a few measurements say of two medians and of two shares of failures, without assuming how they are distributed.
//!
//! - A median lies between two order statistics with a probability that is binomial, whatever the distribution (David and
//!   Nagaraja, *Order Statistics*, 3rd edition, section 7.1): P(X_(l) > median) <= P(Bin(n, 1/2) <= l - 1).
//! - Where measurements are many and kept in buckets, the rank is bounded by Hoeffding's inequality (1963, theorem 1) instead:
//!   P(Bin(n, p) <= n p - t) <= exp(-2 t^2 / n). The same inequality bounds shares.
//! - Few failures of few attempts are compared by Fisher's exact test, one-sided.
//!
//! Assumed: attempts are independent, and both environments are asked at the same time, so that what comes and goes with the
//! time of day comes to both.

use model::ShortDuration;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The chance that anything of a whole gate fails by luck alone; calls share it (Bonferroni).
pub(crate) const FALSE_ALARM: f64 = 0.01;

/// How much slower green may be: the larger of the two counts, for a share of nearly nothing is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slower {
    /// Of blue's median, in percent.
    pub by_percent: u32,
    /// In microseconds.
    pub by_us: u64,
}

impl Slower {
    /// What green's may be if blue's is this.
    pub fn allowed_us(self, blue_us: u64) -> u64 {
        let share = u128::from(blue_us) * u128::from(self.by_percent) / 100;
        let more = u64::try_from(share).unwrap_or(u64::MAX).max(self.by_us);
        blue_us.saturating_add(more)
    }
}

/// A median, in microseconds: at least and at most. `u64::MAX` stands for attempts that failed, which took longer than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Median {
    pub at_least_us: u64,
    pub at_most_us: u64,
}

impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", Duration(self.at_least_us), Duration(self.at_most_us))
    }
}

/// Microseconds for people.
pub(crate) struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u64::MAX => f.write_str("never"),
            us if us < 1_000 => write!(f, "{us}us"),
            us if us < 100_000 => write!(f, "{}.{}ms", us / 1_000, us % 1_000 / 100),
            us => ShortDuration(us / 1_000).fmt(f),
        }
    }
}

/// The rank `l`, from 1, below which the median of `n` lies with a chance of `alpha` at most; `None` if `n` is too few.
fn rank(n: usize, alpha: f64) -> Option<usize> {
    // Terms of Bin(n, 1/2) from k = 0 on; n is 100 at most, so that nothing becomes 0 before it counts.
    let mut term = (0..n).fold(1.0, |power, _| power / 2.0);
    let (mut sum, mut rank) = (0.0, 0);
    for k in 0..n {
        sum += term;
        if sum > alpha {
            break;
        }
        rank = k + 1;
        term = term * (n - k) as f64 / (k + 1) as f64;
    }
    (rank > 0).then_some(rank)
}

/// How often a call must be made so that both bounds of a median are measurements, if that many calls share the chance.
pub fn needed_repetitions(calls: usize) -> usize {
    let alpha = per_bound(calls);
    (1..=usize::from(crate::MAX_REPETITIONS)).find(|n| rank(*n, alpha).is_some()).unwrap_or(usize::MAX)
}

/// The chance of one bound: a call has half of its share for its failures, and a quarter for each of two bounds.
pub(crate) fn per_bound(calls: usize) -> f64 {
    FALSE_ALARM / (4.0 * calls.max(1) as f64)
}

/// Between which measurements the median lies, but for a chance of `alpha` on each side; `None` if they are too few.
pub(crate) fn median(measured_us: &mut [u64], alpha: f64) -> Option<Median> {
    let rank = rank(measured_us.len(), alpha)?;
    measured_us.sort_unstable();
    Some(Median { at_least_us: measured_us[rank - 1], at_most_us: measured_us[measured_us.len() - rank] })
}

/// Ranks from 1 between which the median of many lies; `None` if they are too few.
pub(crate) fn ranks_of_many(n: u64, alpha: f64) -> Option<(u64, u64)> {
    let off = (n as f64 * libm::log(1.0 / alpha) / 2.0).sqrt();
    let rank = n as f64 / 2.0 - off;
    // The floor errs towards the wider interval.
    (rank >= 1.0).then(|| (rank as u64, n + 1 - rank as u64))
}

/// How far a share of `n` may be from the truth on one side, but for a chance of `alpha`.
pub(crate) fn off_by(n: u64, alpha: f64) -> f64 {
    (libm::log(1.0 / alpha) / (2.0 * n.max(1) as f64)).sqrt()
}

/// The chance that so many or more of all failures fall on green, if both fail alike (Fisher's exact test, one-sided).
pub(crate) fn fisher(green_failed: usize, green: usize, blue_failed: usize, blue: usize) -> f64 {
    let failed = green_failed + blue_failed;
    let (least, most) = (failed.saturating_sub(blue), failed.min(green));
    // Terms of the hypergeometric distribution up to a factor; the ratio of neighbours is exact enough for 100 attempts.
    let (mut term, mut tail, mut all) = (1.0, 0.0, 0.0);
    for c in least..=most {
        all += term;
        if c >= green_failed {
            tail += term;
        }
        term *= (green - c) as f64 * (failed - c) as f64 / ((c + 1) as f64 * (blue + c + 1 - failed) as f64);
    }
    tail / all
}

#[cfg(test)]
mod tests;
