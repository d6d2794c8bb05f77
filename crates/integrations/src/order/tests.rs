use super::*;
use proptest::prelude::*;

/// The binomial tail by whole numbers: sum of C(n, k) for k < rank, of 2^n.
fn tail(n: u32, rank: usize) -> f64 {
    let mut term = 1_u128;
    let mut sum = 0_u128;
    for k in 0..rank as u128 {
        sum += term;
        term = term * (u128::from(n) - k) / (k + 1);
    }
    sum as f64 / 2_f64.powi(n.try_into().unwrap())
}

/// `expect` is the rank for so many measurements.
fn check(n: usize, alpha: f64, expect: Option<usize>) {
    assert_eq!(rank(n, alpha), expect, "{n}");
}

/// Conover, *Practical Nonparametric Statistics*, table A3 (binomial, p = 1/2): P(X <= 5) of 20 is .0207, P(X <= 6) .0577.
#[test]
fn ranks_are_those_of_the_table() {
    check(20, 0.025, Some(6));
    check(20, 0.05, Some(6));
    check(20, 0.06, Some(7));
    check(5, 0.025, None);
    check(6, 0.025, Some(1));
    check(100, 0.025, Some(40));
    check(0, 0.5, None);
}

#[test]
fn fisher_is_exact() {
    // Fisher's tea: 3 of 4 and 1 of 4, one-sided 17 of 70.
    assert!((fisher(3, 4, 1, 4) - 17.0 / 70.0).abs() < 1e-12);
    // All of three fail, none of twenty: 1 of C(23, 3).
    assert!((fisher(3, 3, 0, 20) - 1.0 / 1_771.0).abs() < 1e-12);
    assert!((fisher(0, 30, 5, 30) - 1.0).abs() < 1e-12);
}

#[test]
fn margins_take_the_larger_of_the_two() {
    let slower = Slower { by_percent: 50, by_us: 2_000 };
    assert_eq!(slower.allowed_us(1_000), 3_000);
    assert_eq!(slower.allowed_us(10_000), 15_000);
    assert_eq!(slower.allowed_us(u64::MAX), u64::MAX);
    assert_eq!(needed_repetitions(1), 9);
    assert_eq!(needed_repetitions(crate::MAX_CALLS), 14);
}

proptest! {
    #[test]
    fn a_rank_is_the_largest_that_is_safe(n in 1_u32..=100, alpha in 1e-6_f64..0.4) {
        let found = rank(n as usize, alpha).unwrap_or(0);
        prop_assert!(found == 0 || tail(n, found) <= alpha * (1.0 + 1e-9));
        prop_assert!(tail(n, found + 1) > alpha * (1.0 - 1e-9));
    }

    /// Hoeffding's ranks are never narrower than the exact ones.
    #[test]
    fn ranks_of_many_are_wider(n in 1_usize..=100, alpha in 1e-6_f64..0.4) {
        if let Some((low, high)) = ranks_of_many(n as u64, alpha) {
            prop_assert!(low as usize <= rank(n, alpha).unwrap());
            prop_assert_eq!(low + high, n as u64 + 1);
        }
    }

    #[test]
    fn shares_bound_the_binomial(n in 1_u64..5_000, alpha in 1e-6_f64..0.4) {
        prop_assert!(off_by(n, alpha) >= off_by(n + 1, alpha) && off_by(n, alpha) > 0.0);
    }
}
