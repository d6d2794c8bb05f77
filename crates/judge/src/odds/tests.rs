use super::*;
use proptest::prelude::*;

fn split(n_g: u64, c_g: u64, n_b: u64, c_b: u64) -> Split {
    Split { candidate: Counts { traces: n_g, events: c_g }, active: Counts { traces: n_b, events: c_b } }
}

/// ln of e(psi) if the null hypothesis is 1, else of e(psi; psi0).
fn log_e_of(split: &Split, null: f64, psi: f64) -> f64 {
    if null == 1.0 { log_e(split, &[psi])[0] } else { log_e_below_last(split, &[psi, null])[0] }
}

fn binomial(n: u64, k: u64) -> u128 {
    (0..k).fold(1, |product, i| product * u128::from(n - i) / u128::from(i + 1))
}

/// Every division of k events between the arms, with its exact hypergeometric weight.
fn divisions(n_g: u64, n_b: u64, k: u64) -> impl Iterator<Item = (Split, f64)> {
    let lowest = k.saturating_sub(n_b);
    (lowest..=k.min(n_g)).map(move |c| {
        let ways = binomial(n_g, c) * binomial(n_b, k - c);
        (split(n_g, c, n_b, k - c), ways as f64 / binomial(n_g + n_b, k) as f64)
    })
}

/// The mean of e over Fisher's hypergeometric distribution at `truth`.
fn mean_e(n_g: u64, n_b: u64, k: u64, null: f64, psi: f64, truth: f64) -> f64 {
    let weight = |division: &Split, ways: f64| ways * libm::exp(division.candidate.events as f64 * libm::log(truth));
    let total: f64 = divisions(n_g, n_b, k).map(|(division, ways)| weight(&division, ways)).sum();
    let mean: f64 = divisions(n_g, n_b, k)
        .map(|(division, ways)| weight(&division, ways) * libm::exp(log_e_of(&division, null, psi)))
        .sum();
    mean / total
}

const SHAPES: [(u64, u64, u64); 8] =
    [(5, 5, 3), (1, 9, 4), (9, 1, 4), (3, 4, 7), (6, 2, 5), (10, 40, 12), (40, 10, 30), (1, 1, 1)];

#[test]
fn m_is_the_direct_sum() {
    for (n_g, n_b, k) in SHAPES {
        for psi in [0.3, 0.95, 1.1, 2.0, 30.0] {
            let direct: f64 = divisions(n_g, n_b, k)
                .map(|(division, ways)| ways * libm::exp(division.candidate.events as f64 * libm::log(psi)))
                .sum();
            for (division, _) in divisions(n_g, n_b, k) {
                let expected = division.candidate.events as f64 * libm::log(psi) - libm::log(direct);
                let found = log_e(&division, &[psi])[0];
                assert!((found - expected).abs() < 1e-12, "{division:?} at {psi}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn e_has_a_mean_of_one_at_the_null_and_less_within_it() {
    for (n_g, n_b, k) in SHAPES {
        for psi in [1.1, 3.0, 30.0] {
            assert!((mean_e(n_g, n_b, k, 1.0, psi, 1.0) - 1.0).abs() < 1e-12);
            assert!(mean_e(n_g, n_b, k, 1.0, psi, 0.5) <= 1.0 + 1e-12);
        }
        for (null, psi) in [(1.5, 1.0), (2.0, 0.3), (6.0, 2.4), (1.0, 0.5)] {
            assert!((mean_e(n_g, n_b, k, null, psi, null) - 1.0).abs() < 1e-12);
            assert!(mean_e(n_g, n_b, k, null, psi, null * 2.0) <= 1.0 + 1e-12);
        }
    }
}

/// The same of the e-value by the bounds, which a batch that is too large to be summed has.
fn mean_bounded_e(n_g: u64, n_b: u64, k: u64, null: f64, psi: f64) -> f64 {
    let (split, _) = divisions(n_g, n_b, k).next().unwrap();
    let bounds = bounded_log_m(&split, &[psi, null]);
    let log_ratio = if null == 1.0 { -bounds.above[0] } else { bounds.below[1] - bounds.above[0] };
    let power = |c: u64, psi: f64| libm::exp(c as f64 * libm::log(psi));
    let total: f64 = divisions(n_g, n_b, k).map(|(it, ways)| ways * power(it.candidate.events, null)).sum();
    let mean: f64 = divisions(n_g, n_b, k).map(|(it, ways)| ways * power(it.candidate.events, psi)).sum();
    mean / total * libm::exp(log_ratio)
}

#[test]
fn e_by_the_bounds_has_a_mean_of_at_most_one() {
    for (n_g, n_b, k) in SHAPES.into_iter().filter(|(n_g, n_b, k)| k.min(n_g) > &k.saturating_sub(*n_b)) {
        for (null, psi) in [(1.0, 1.1), (1.0, 3.0), (1.0, 30.0), (1.5, 1.0), (2.0, 0.3), (6.0, 2.4)] {
            let mean = mean_bounded_e(n_g, n_b, k, null, psi);
            assert!((0.05..=1.0 + 1e-12).contains(&mean), "{n_g} {n_b} {k}, {psi} against {null}: {mean}");
        }
    }
}

#[test]
fn a_share_e_has_a_mean_of_one_at_the_null() {
    for (p, q) in [(0.1, 0.3), (0.1, 0.03), (0.5, 0.0), (0.01, 0.1)] {
        let n = 12;
        let mean = |truth: f64| -> f64 {
            (0..=n)
                .map(|x| {
                    let chance =
                        binomial(n, x) as f64 * libm::pow(truth, x as f64) * libm::pow(1.0 - truth, (n - x) as f64);
                    chance * libm::exp(log_e_share(Counts { traces: n, events: x }, p, &[q])[0])
                })
                .sum()
        };
        assert!((mean(p) - 1.0).abs() < 1e-12);
        let within = if q > p { p / 2.0 } else { (p * 2.0).min(1.0) };
        assert!(mean(within) <= 1.0 + 1e-12, "{p} {q}");
    }
}

#[test]
fn a_billion_traces_and_certainties_are_finite() {
    let billion = 1_000_000_000;
    for division in [
        split(billion, 1_500, billion, 3),
        split(billion, billion, billion, billion),
        split(billion, billion, billion, 0),
        split(billion, 0, billion, billion),
        split(1, 1, billion, billion / 2),
        split(billion, 0, 32, 32),
        split(billion, 0, 1_900, 1_900),
        split(billion, billion - 1_900, 1_900, 1_900),
        split(billion, billion / 100, 1, 0),
        split(1_000_000_000_000, 1_000_000_000_000, 1_000_000_000_000, 1_000_000_000_000),
        split(1_000_000_000_000, 1_000, 1_000_000_000_000, 1_000),
    ] {
        let LogM { below, above } = log_m(&division, &[0.1, 1.0, 30.0, 1_000.0], MAX_EXACT_SUPPORT);
        assert!(below.into_iter().chain(above).all(f64::is_finite), "{division:?}: {below:?} {above:?}");
        for log_e in log_e(&division, &[1.1, 30.0]).into_iter().chain(log_e_below_last(&division, &[0.3, 1.0, 6.0])) {
            assert!(log_e.is_finite(), "{division:?}: {log_e}");
        }
    }
}

proptest! {
    #[test]
    fn the_exact_sum_is_between_the_bounds(n_g in 1u64..400, n_b in 1u64..400, events in (0.0f64..1.0, 0.0f64..1.0),
        psi in prop_oneof![0.01f64..1.0, 1.0f64..30.0, 30.0f64..1e6]) {
        let division = split(n_g, (n_g as f64 * events.0) as u64, n_b, (n_b as f64 * events.1) as u64);
        let (lowest, highest) = division.support();
        prop_assume!(division.is_telling() && highest > lowest);
        let exact = exact_log_m(&division, &[psi])[0];
        let LogM { below: [below], above: [above] } = bounded_log_m(&division, &[psi]);
        let rounding = 1e-12 * (1.0 + exact.abs());
        prop_assert!(below <= exact + rounding && exact <= above + rounding, "{below} {exact} {above}");
        // Hoeffding's bound, which knows the mean alone.
        let (support, mean) = ((highest - lowest) as f64, n_g as f64 * division.events() as f64 / (n_g + n_b) as f64);
        let part = (mean - lowest as f64) / support;
        let hoeffding = lowest as f64 * libm::log(psi) + support * libm::log1p(part * (psi - 1.0));
        prop_assert!(above <= hoeffding + rounding, "{above} {hoeffding}");
    }
}

#[test]
fn exact_sum_and_bounds_are_close_where_they_meet() {
    // 2,000 events of 200,000 traces: the binomial is nearly the hypergeometric; of 4,000 traces it is not.
    for (traces, psi, apart) in [(100_000, 1.1, 0.002), (100_000, 3.0, 2.2), (2_000, 1.1, 0.06)] {
        let division = split(traces, 1_060, traces, 940);
        let exact = exact_log_m(&division, &[psi])[0];
        let LogM { below: [below], above: [above] } = bounded_log_m(&division, &[psi]);
        assert!(below <= exact && exact <= above && above - below < apart, "{psi}: {below} {exact} {above}");
    }
}

#[test]
fn a_large_batch_has_no_more_evidence_than_its_sum() {
    for (n_g, n_b, c_g, c_b) in
        [(9_000, 9_000, 1_700, 1_500), (3_000, 30_000, 2_600, 9_000), (40_000, 5_000, 3_000, 300)]
    {
        let division = split(n_g, c_g, n_b, c_b);
        let (lowest, highest) = division.support();
        assert!(highest - lowest > MAX_EXACT_SUPPORT);
        let events = c_g as f64;
        for (at, found) in log_e(&division, &[1.1, 1.5, 3.0]).into_iter().enumerate() {
            let psi = [1.1, 1.5, 3.0][at];
            let exact = events * libm::log(psi) - exact_log_m(&division, &[psi])[0];
            assert!(
                found <= exact && exact - found < 1.0 + 0.1 * exact.abs(),
                "{division:?} at {psi}: {found} {exact}"
            );
        }
        let found = log_e_below_last(&division, &[0.6, 1.0, 1.5])[1];
        let exact = exact_log_m(&division, &[1.5])[0] - events * libm::log(1.5);
        assert!(found <= exact, "{division:?}: {found} {exact}");
    }
}
