use super::*;
use crate::tests::simulation::Random;
use proptest::prelude::*;

/// A batch of two rates whose odds ratio is `psi`, at any allocation and any base rate up to `base`.
fn batch(random: &mut Random, most: u64, base: f64, psi: f64) -> Split {
    let (n_g, n_b) = (random.bits() % most + 1, random.bits() % most + 1);
    let base = base * random.unit();
    let worse = crate::odds::tilt(base, psi);
    let candidate = Counts { traces: n_g, events: random.binomial(n_g, worse) };
    Split { candidate, active: Counts { traces: n_b, events: random.binomial(n_b, base) } }
}

/// Whether the interval ever fails to hold the truth, looked at after every batch.
fn ever_misses(random: &mut Random, most: u64, base: f64, psi: f64, batches: usize) -> bool {
    let mut odds = OddsLikelihood::new();
    (0..batches).any(|_| {
        odds.update(&batch(random, most, base, psi));
        let effect = odds.effect(1.0);
        assert!(effect.at_least <= effect.estimate && effect.at_most.is_none_or(|most| effect.estimate <= most));
        effect.at_least > psi || effect.at_most.is_some_and(|most| most < psi)
    })
}

#[test]
fn the_interval_covers_the_odds_ratio_whatever_the_allocation_and_the_base_rate() {
    let runs = 400;
    // Few and many events a batch: the exact sum and the bounds.
    for (most, base, batches) in [(40, 0.3, 60), (2_000, 0.4, 12)] {
        for psi in [0.4, 1.0, 1.33, 6.0, 40.0] {
            let mut random = Random::new(31 + most);
            let misses = (0..runs).filter(|_| ever_misses(&mut random, most, base, psi, batches)).count();
            // 5 % of 400 are 20; three standard deviations more are 33.
            assert!(misses <= 33, "{misses} of {runs} at {psi}, {most} traces a batch");
        }
    }
}

#[test]
fn the_interval_narrows_around_the_odds_ratio() {
    for (psi, traces, widest) in [(3.0, 1_000, 3.8 / 2.2), (10.0, 500, 13.5 / 7.0), (1.0, 200_000, 1.1 / 0.88)] {
        // The middle of several streams: where one stream's interval ends is a matter of luck.
        let effects: Vec<Effect> = (0..9).map(|seed| after_two_hundred(seed, traces, psi)).collect();
        let middle = |of: fn(&Effect) -> f64| {
            let mut values: Vec<f64> = effects.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let estimate = middle(|it| it.estimate);
        assert!((estimate / psi - 1.0).abs() < 0.06, "{estimate} for {psi}");
        let (at_least, at_most) = (middle(|it| it.at_least), middle(|it| it.at_most.expect("an upper end")));
        assert!(at_least < psi && psi < at_most && at_most / at_least < widest, "{at_least} to {at_most} for {psi}");
    }
}

fn after_two_hundred(seed: u64, traces: u64, psi: f64) -> Effect {
    let mut random = Random::new(seed);
    let mut odds = OddsLikelihood::new();
    for _ in 0..200 {
        odds.update(&batch(&mut random, traces, 0.02, psi));
    }
    odds.effect(0.1)
}

#[test]
fn nothing_counted_says_nothing_and_no_event_of_the_other_has_no_upper_end() {
    let mut odds = OddsLikelihood::new();
    let effect = odds.effect(1.0);
    assert_eq!((effect.at_least, effect.at_most), (0.0, None));
    let candidate = Counts { traces: 1_000, events: 30 };
    odds.update(&Split { candidate, active: Counts { traces: 1_000, events: 0 } });
    let effect = odds.effect(1.0);
    assert!(effect.at_least > 2.0 && effect.at_most.is_none() && effect.estimate >= 1_000.0, "{effect:?}");
}

#[test]
fn the_share_is_covered() {
    let runs = 600;
    for p in [0.01, 0.2, 0.9] {
        let mut random = Random::new(77);
        let misses = (0..runs).filter(|_| {
            let mut counts = Counts::default();
            (0..40).any(|_| {
                counts.add(Counts { traces: 25, events: random.binomial(25, p) });
                let effect = share_effect(counts, 1.0);
                effect.at_least > p || effect.at_most.is_some_and(|most| most < p)
            })
        });
        let misses = misses.count();
        assert!(misses <= 46, "{misses} of {runs} at {p}");
    }
    let all = share_effect(Counts { traces: 50, events: 50 }, 0.01);
    assert!(all.at_most == Some(1.0) && all.at_least > 0.75 && all.estimate == 1.0, "{all:?}");
    let none = share_effect(Counts::default(), 1.0);
    assert_eq!((none.at_least, none.at_most), (0.0, Some(1.0)));
}

proptest! {
    /// Between two points of the grid the end is found by concavity: no odds ratio inside is rejected by the likelihood.
    #[test]
    fn the_ends_are_no_tighter_than_the_likelihood(seed in any::<u64>(), psi in 0.3f64..60.0) {
        let mut random = Random::new(seed);
        let (mut odds, mut batches) = (OddsLikelihood::new(), Vec::new());
        for _ in 0..20 {
            let batch = batch(&mut random, 60, 0.3, psi);
            odds.update(&batch);
            batches.push(batch);
        }
        let effect = odds.effect(1.0);
        let rejected_at = log_mean(&odds.of_alternative) - LOG_UNSURE;
        let exact = |psi: f64| -> f64 {
            let telling = batches.iter().filter(|batch| batch.is_telling());
            telling.map(|it| it.candidate.events as f64 * libm::log(psi) - log_m(it, &[psi], u64::MAX).above[0]).sum()
        };
        for (outside, step) in [(effect.at_least, 1.0 - 1e-9), (effect.at_most.unwrap_or(0.0), 1.0 + 1e-9)] {
            if outside > 0.0 {
                prop_assert!(exact(outside * step) <= rejected_at + 1e-6, "{outside} is not rejected: {effect:?}");
            }
        }
    }
}

#[test]
fn the_grids_logarithms_are_its_logarithms() {
    for (psi, log) in GRID.iter().zip(LOG_GRID) {
        assert!((libm::log(*psi) - log).abs() < 1e-15, "{psi}");
    }
}
