//! What the field does instead: a z-test of the two error rates over all traces so far, looked at each minute, that rolls
//! back at once. Here to be compared with, never to decide.

use super::summary::Whole;
use judge::simulate::Random;
use serde::Serialize;

/// How often it is looked at.
pub(super) const POLL_MS: u64 = 60_000;

/// When it first alarmed although nothing was wrong, over the runs that it did in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Polled {
    pub(super) runs: u64,
    pub(super) alarmed_ms: Vec<u64>,
}

impl Polled {
    pub(super) fn of(alarms: Vec<Option<u64>>) -> Polled {
        let runs = alarms.len() as u64;
        let mut alarmed_ms: Vec<u64> = alarms.into_iter().flatten().collect();
        alarmed_ms.sort_unstable();
        Polled { runs, alarmed_ms }
    }
}

/// When the polled test first alarms within `for_ms`, with the same error rate in both environments and green at a
/// constant weight.
pub(super) fn first_alarm_ms(whole: &Whole, weight: f64, for_ms: u64, mut random: Random) -> Option<u64> {
    let threshold = upper_quantile(whole.false_alarm);
    let traces = (whole.traces_per_s * POLL_MS as f64 / 1_000.0).round() as u64;
    let (mut green, mut blue) = ((0, 0), (0, 0));
    (1..=for_ms / POLL_MS).map(|minute| minute * POLL_MS).find(|_| {
        let to_green = random.binomial(traces, weight);
        green = (green.0 + to_green, green.1 + random.binomial(to_green, whole.errors));
        blue = (blue.0 + traces - to_green, blue.1 + random.binomial(traces - to_green, whole.errors));
        z(green, blue) > threshold
    })
}

/// The statistic of two proportions, pooled; 0 where it says nothing.
fn z((n_g, c_g): (u64, u64), (n_b, c_b): (u64, u64)) -> f64 {
    let (n_g, c_g, n_b, c_b) = (n_g as f64, c_g as f64, n_b as f64, c_b as f64);
    let pooled = (c_g + c_b) / (n_g + n_b);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n_g + 1.0 / n_b)).sqrt();
    let z = (c_g / n_g - c_b / n_b) / deviation;
    if z.is_finite() { z } else { 0.0 }
}

/// The z that a normal variable exceeds with this chance, above 0 and at most 0.5: by bisection, to 10^-12.
fn upper_quantile(chance: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        let beyond = 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2);
        if beyond > chance { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_is_the_tables() {
        for (chance, z) in [(0.5, 0.0), (0.05, 1.644_854), (0.01, 2.326_348), (0.001, 3.090_232)] {
            assert!((upper_quantile(chance) - z).abs() < 1e-6, "{chance}");
        }
    }

    #[test]
    fn two_equal_rates_make_no_difference() {
        assert_eq!(z((100, 5), (1_000, 50)), 0.0);
        assert_eq!(z((0, 0), (1_000, 50)), 0.0);
        assert!((z((1_000, 60), (1_000, 40)) - 2.052).abs() < 1e-3);
    }
}
