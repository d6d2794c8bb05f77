use super::*;
use crate::tests::assigned;
use crate::tests::simulation::Random;

fn observe(assignment: &mut Assignment, weight: u16, candidate: u64, active: u64) {
    let weight = BasisPoints::new(weight).expect("a weight of the test");
    assignment.observe(&assigned(candidate, active), Environment::Green, weight);
}

/// ln B(a, b) by the gamma function.
fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[test]
fn the_factor_is_that_of_the_beta_function() {
    for (weight, candidate, active) in [(1, 0, 5), (100, 3, 400), (1_000, 50, 450), (5_000, 300, 200), (9_999, 20, 0)] {
        let at = AtWeight { weight: BasisPoints::new(weight).unwrap(), candidate, active };
        for k in CONCENTRATIONS {
            let (w, x, y) = (at.weight.share(), candidate as f64, active as f64);
            let (a, b) = (k * w, k * (1.0 - w));
            let expected = log_beta(a + x, b + y) - log_beta(a, b) - x * libm::log(w) - y * libm::log1p(-w);
            let found = at.log_factor(k);
            assert!((found - expected).abs() < 1e-8, "{at:?} at {k}: {found}, expected {expected}");
        }
    }
}

/// The chance of each division of the traces under the weight times its Bayes factor: exactly 1 in all.
#[test]
fn the_factor_has_a_mean_of_one_under_the_weight() {
    let n = 40u64;
    for weight in [1, 100, 2_500, 9_000] {
        let weight = BasisPoints::new(weight).unwrap();
        let (w, mut chance) = (weight.share(), libm::pow(1.0 - weight.share(), n as f64));
        let mut mean = 0.0;
        for candidate in 0..=n {
            mean += chance * libm::exp(AtWeight { weight, candidate, active: n - candidate }.log_bayes_factor());
            chance *= (n - candidate) as f64 / (candidate + 1) as f64 * w / (1.0 - w);
        }
        assert!((mean - 1.0).abs() < 1e-9, "{weight}: {mean}");
    }
}

/// The share of rollouts over weights 1, 5, 25 and 50 % whose evidence ever reaches 1/alpha, and the mean at the end.
fn alarms(runs: u64, alpha: f64, broken: impl Fn(f64) -> f64) -> (u64, f64) {
    let (mut alarms, mut sum) = (0, 0.0);
    for seed in 0..runs {
        let (mut random, mut assignment) = (Random::new(400 + seed), Assignment::default());
        let mut ever = false;
        for weight in [100, 500, 2_500, 5_000] {
            for _ in 0..30 {
                let traces = random.bits() % 400;
                let candidate = random.binomial(traces, broken(f64::from(weight) / 10_000.0));
                observe(&mut assignment, weight, candidate, traces - candidate);
                ever |= assignment.evidence(alpha).is_some_and(|evidence| evidence.broken);
            }
        }
        alarms += u64::from(ever);
        sum += libm::exp(assignment.log_evidence());
    }
    (alarms, sum / runs as f64)
}

#[test]
fn a_right_split_is_seldom_called_broken_and_a_wrong_one_soon() {
    let (false_alarms, mean) = alarms(1_000, 0.05, |weight| weight);
    assert!(false_alarms <= 70, "{false_alarms} of 1,000 at 0.05");
    assert!(mean < 1.2, "{mean}");
    // A tenth fewer than the weight, of 24,000 traces.
    assert_eq!(alarms(50, 0.001, |weight| weight * 0.9).0, 50);
}

#[test]
fn it_is_found_at_the_weight_at_which_it_breaks() {
    let mut assignment = Assignment::default();
    observe(&mut assignment, 100, 10_000, 990_000);
    assert!(!assignment.evidence(0.001).unwrap().broken);
    observe(&mut assignment, 5_000, 4_000, 6_000);
    let evidence = assignment.evidence(0.001).unwrap();
    assert!(evidence.broken && evidence.candidate == 4_000);
    assert_eq!(
        evidence.reason(),
        "the split is broken: of 10,000 traces that began at weight 50% the candidate was assigned 40 %; over 1,000,000 x \
         likelier broken than chance, and 1,000 x is enough"
    );
}

#[test]
fn a_trillion_traces_are_exact_and_finite() {
    let mut right = Assignment::default();
    let mut wrong = Assignment::default();
    for _ in 0..1_000 {
        observe(&mut right, 5_000, 500_000_000_000, 500_000_000_000);
        observe(&mut wrong, 5_000, 1_000_000_000_000, 0);
    }
    let log = right.log_evidence();
    assert!((-15.0..0.0).contains(&log), "{log}");
    assert_eq!(wrong.log_evidence(), 1e6);
}

#[test]
fn what_divides_nothing_is_not_counted() {
    let mut assignment = Assignment::default();
    observe(&mut assignment, 0, 5, 5);
    observe(&mut assignment, 10_000, 5, 5);
    observe(&mut assignment, 100, 0, 0);
    assert_eq!(assignment.evidence(0.01), None);
}
