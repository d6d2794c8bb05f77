//! Traffic in counts: what one batch of a row has, for rates and for latencies.

use super::TRACES_PER_S;
use judge::Counts;
use judge::forms::QUANTILES;
use judge::simulate::Random;

/// The standard deviation of the logarithm of latencies: a standard log-normal distribution, whose p99 is ten times its
/// median. STATISTICS.md does not name its own.
const SIGMA: f64 = 1.0;

/// Traces of a batch: at 100 a second, 1 to 6 s.
pub(super) const BATCH: std::ops::RangeInclusive<u64> = 100..=600;

/// The chance that a late regression begins in a batch of so many traces: one begins each hour.
pub(super) fn hazard(batch: u64) -> f64 {
    batch as f64 / (TRACES_PER_S * 3_600) as f64
}

/// Green's traces of a batch, and blue's.
pub(super) fn split(random: &mut Random, batch: u64, weight: f64) -> (u64, u64) {
    let green = random.binomial(batch, weight);
    (green, batch - green)
}

/// Traces with an event.
pub(super) fn counts(random: &mut Random, traces: u64, chance: f64) -> Counts {
    Counts { traces, events: random.binomial(traces, chance) }
}

/// How long green's traces take, beside blue's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slowness {
    /// As long.
    None,
    /// All of them so many times as long.
    All(f64),
    /// Those above the 95th percentile so many times as long.
    Tail(f64),
}

/// The chances that a trace exceeds blue's quantiles, or so many times those.
pub(super) fn exceedances<const N: usize>(slowness: Slowness, quantiles: &[f64; N], margin: f64) -> [f64; N] {
    let beyond = |z: f64| 0.5 * libm::erfc(z / std::f64::consts::SQRT_2);
    quantiles.map(|quantile| {
        // In standard deviations of the logarithm.
        let z = normal_quantile(quantile) + libm::log(margin) / SIGMA;
        match slowness {
            Slowness::None => beyond(z),
            Slowness::All(factor) => beyond(z - libm::log(factor) / SIGMA),
            // Below the 95th percentile nothing moves, and what is above it comes from above it.
            Slowness::Tail(factor) => beyond(z.min((z - libm::log(factor) / SIGMA).max(normal_quantile(0.95)))),
        }
    })
}

/// How many of `traces` exceed each of the thresholds, whose chances fall.
pub(super) fn beyond<const N: usize>(random: &mut Random, traces: u64, chances: &[f64; N]) -> [Counts; N] {
    let (mut left, mut chance_left) = (traces, 1.0);
    chances.map(|chance| {
        left = random.binomial(left, (chance / chance_left).min(1.0));
        chance_left = chance;
        Counts { traces, events: left }
    })
}

/// L's own thresholds.
pub(super) const WATCHED: [f64; QUANTILES.len()] = QUANTILES;

/// The z below which a normal variable is with this chance, by bisection, to 10^-13.
fn normal_quantile(chance: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
        if below < chance { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_green_exceeds_the_quantiles_as_often_as_they_say() {
        for (chance, quantile) in exceedances(Slowness::None, &WATCHED, 1.0).into_iter().zip(WATCHED) {
            assert!((chance - (1.0 - quantile)).abs() < 1e-9, "{chance} at {quantile}");
        }
    }

    #[test]
    fn a_slow_tail_moves_nothing_below_the_95th_percentile() {
        let (equal, tail) =
            (exceedances(Slowness::None, &WATCHED, 1.0), exceedances(Slowness::Tail(1.2), &WATCHED, 1.0));
        for ((equal, tail), quantile) in equal.into_iter().zip(tail).zip(WATCHED) {
            assert_eq!(tail > equal + 1e-9, quantile > 0.95, "{quantile}: {equal} and {tail}");
        }
        let all = exceedances(Slowness::All(1.2), &WATCHED, 1.2);
        assert!(all.into_iter().zip(equal).all(|(moved, equal)| (moved - equal).abs() < 1e-9));
    }
}
