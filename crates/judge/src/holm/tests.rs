use super::*;
use proptest::prelude::*;

/// Closed testing by its definition: over every set of metrics with this one.
fn by_definition(metrics: &[(f64, f64)], of: usize, log_threshold: f64) -> bool {
    (0..1u32 << metrics.len()).filter(|set| set >> of & 1 == 1).all(|set| {
        let members = || metrics.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, metric)| metric);
        let evidence: f64 = members().map(|(weight, log_e)| weight * libm::exp(log_e - log_threshold)).sum();
        evidence >= members().map(|(weight, _)| weight).sum::<f64>()
    })
}

proptest! {
    #[test]
    fn it_is_closed_testing(metrics in prop::collection::vec((0.01f64..1.0, -5.0f64..12.0), 1..9)) {
        let log_threshold = libm::log(100.0);
        let holm = Holm::new(metrics.iter().copied(), log_threshold);
        for (at, (weight, log_e)) in metrics.iter().enumerate() {
            prop_assert_eq!(holm.rejects(*weight, *log_e), by_definition(&metrics, at, log_threshold), "{}", at);
        }
    }
}

#[test]
fn alone_it_is_the_threshold_and_among_others_it_asks_for_more() {
    let log_threshold = libm::log(1_000.0);
    let rejects = |metrics: &[(f64, f64)]| {
        let holm = Holm::new(metrics.iter().copied(), log_threshold);
        metrics.iter().map(|(weight, log_e)| holm.rejects(*weight, *log_e)).collect::<Vec<_>>()
    };
    assert_eq!(rejects(&[(1.0, log_threshold)]), [true]);
    assert_eq!(rejects(&[(1.0, log_threshold - 1e-9)]), [false]);
    // 1,001 is not enough where another metric has no evidence at all; together they do not reach 1,000 either.
    assert_eq!(rejects(&[(0.5, libm::log(1_001.0)), (0.5, -1e6)]), [false, false]);
    assert_eq!(rejects(&[(0.5, libm::log(2_001.0)), (0.5, -1e6)]), [true, false]);
    // Both beyond it: nothing lacks.
    assert_eq!(rejects(&[(0.5, libm::log(1_001.0)), (0.5, 1e6)]), [true, true]);
}
