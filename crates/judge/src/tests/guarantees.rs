//! The promises of STATISTICS.md, on fewer seeds than its acceptance run: false alarms, false promotions, and how soon
//! a regression is seen.

use super::simulation::{Behaviour, Random, Traffic, config, latency};
use crate::odds::{Counts, Split, log_e};
use crate::process::Process;
use crate::rate::PSI;
use crate::{Judge, Verdict};
use model::Check;

/// An upper bound on successes out of `runs` at a chance of `alpha`, three standard deviations up.
fn at_most(runs: u64, alpha: f64) -> u64 {
    let mean = runs as f64 * alpha;
    (mean + 3.0 * (mean * (1.0 - alpha)).sqrt()).ceil() as u64
}

/// Random weights, a base rate that triples, and batches of every size: the mean of e stays at most 1.
#[test]
fn mean_evidence_is_at_most_one_under_any_allocation() {
    let mut random = Random::new(1);
    let (runs, batches) = (4_000, 20);
    let mut evidence = Vec::with_capacity(runs);
    for _ in 0..runs {
        let mut process = Process::new(PSI.len());
        for batch in 0..batches {
            let base = 0.01 * (1.0 + 2.0 * f64::from(batch) / f64::from(batches));
            let n_g = random.bits() % 60;
            let n_b = random.bits() % 60;
            let candidate = Counts { traces: n_g, events: random.binomial(n_g, base) };
            let active = Counts { traces: n_b, events: random.binomial(n_b, base) };
            process.update(&log_e(&Split { candidate, active }, &PSI), 0.05);
        }
        evidence.push(libm::exp(process.log_evidence()));
    }
    let mean = evidence.iter().sum::<f64>() / runs as f64;
    let variance = evidence.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / runs as f64;
    let error = (variance / runs as f64).sqrt();
    assert!(mean < 1.0 + 3.0 * error && error < 0.2, "{mean} +- {error}");
    assert!(mean > 1.0 - 4.0 * error, "the evidence wastes what it may claim: {mean} +- {error}");
}

/// All guards, alpha 0.05, a ramp 1, 5, 25, 50 % while errors and losses of both double. Alarms are counted before the
/// question whether they matter, which would hide them.
#[test]
fn false_alarms_stay_below_alpha_on_a_ramp() {
    let (runs, mut alarms, mut failures) = (200, 0, 0);
    let mut config = config();
    config.false_alarm = 0.05;
    for seed in 0..runs {
        let behaviour = Behaviour::healthy().with(Check::Orphan, 0.01);
        let mut traffic = Traffic::new(1_000 + seed, 200, behaviour.clone(), behaviour);
        let mut judge = Judge::new(config.clone());
        let (mut alarmed, mut failed) = (false, false);
        for batch in 0..120u32 {
            let drift = 1.0 + f64::from(batch) / 120.0;
            let simulated: &mut crate::simulate::Traffic = &mut traffic;
            for behaviour in [&mut simulated.blue, &mut simulated.green] {
                behaviour.chances.insert(Check::ErrorSpan, 0.02 * drift);
                behaviour.chances.insert(Check::LostSpan, 0.01 * drift);
            }
            judge.observe(&traffic.batch([0.01, 0.05, 0.25, 0.5][batch as usize / 30]), None);
            let assessment = judge.assess();
            alarmed |= assessment.log_evidence >= assessment.log_threshold;
            failed |= matches!(assessment.verdict, Verdict::Fail(_));
        }
        alarms += u64::from(alarmed);
        failures += u64::from(failed);
    }
    assert!(alarms <= at_most(runs, 0.05), "{alarms} of {runs} raised a false alarm");
    assert!(failures <= alarms);
}

/// Seen at every batch, the share of rollouts in which a guard that just fails its tolerance is ever called proved.
fn false_proofs(runs: u64, green: Behaviour, log_for: impl Fn(&Judge) -> f64) -> u64 {
    let log_threshold = libm::log(1.0 / 0.05);
    let mut false_proofs = 0;
    for seed in 0..runs {
        let blue = Behaviour::healthy().with(Check::ErrorSpan, 0.005);
        let mut traffic = Traffic::new(9_000 + seed, 200, blue, green.clone());
        let mut judge = Judge::new(config());
        let ever = (0..100).any(|_| {
            judge.observe(&traffic.batch(0.5), None);
            log_for(&judge) >= log_threshold
        });
        false_proofs += u64::from(ever);
    }
    false_proofs
}

#[test]
fn what_is_at_the_tolerance_is_seldom_proved() {
    let at_the_boundary = Behaviour::healthy().with(Check::LostSpan, 0.001).with(Check::ErrorSpan, 0.01);
    let wrong = false_proofs(100, at_the_boundary.clone(), |judge| judge.loss_proof.as_ref().unwrap().log_for());
    assert!(wrong <= at_most(100, 0.05), "span loss: {wrong}");
    let wrong = false_proofs(100, at_the_boundary, |judge| judge.error_proofs[&Check::ErrorSpan].log_for());
    assert!(wrong <= at_most(100, 0.05), "error rate: {wrong}");
    let slower = Behaviour { latency: latency(1.2), ..Behaviour::healthy() };
    let wrong = false_proofs(60, slower, |judge| judge.latency.as_ref().unwrap().log_for());
    assert!(wrong <= at_most(60, 0.05), "latency: {wrong}");
}

/// The median of traces until R alarms at alpha = 0.01, over 201 seeds.
fn median_to_detect(base: f64, worse: f64, weight: f64, per_batch: u64) -> f64 {
    let threshold = libm::log(100.0);
    let mut needed: Vec<u64> = (0..201)
        .map(|seed| {
            let mut random = Random::new(70_000 + seed);
            let mut process = Process::new(PSI.len());
            let mut traces = 0;
            while process.log_evidence() < threshold {
                let n_g = random.binomial(per_batch, weight);
                let n_b = per_batch - n_g;
                let candidate = Counts { traces: n_g, events: random.binomial(n_g, worse) };
                let active = Counts { traces: n_b, events: random.binomial(n_b, base) };
                process.update(&log_e(&Split { candidate, active }, &PSI), 1.0 / 1_200.0);
                traces += per_batch;
                assert!(traces < 10_000_000, "never detected");
            }
            traces
        })
        .collect();
    needed.sort_unstable();
    needed[100] as f64
}

#[test]
fn detection_takes_what_the_acceptance_table_says() {
    for (base, worse, weight, table) in [
        (0.001, 0.01, 0.5, 2.5e3),
        (0.001, 0.01, 0.1, 5.5e3),
        (0.001, 0.01, 0.01, 40e3),
        (0.001, 0.003, 0.5, 19e3),
        (0.01, 0.02, 0.5, 6.3e3),
    ] {
        let found = median_to_detect(base, worse, weight, 200);
        assert!((found / table - 1.0).abs() < 0.3, "{base} to {worse} at {weight}: {found}, the table has {table}");
    }
}

/// The median of traces until the latency's own evidence reaches 100, from the first batch on.
#[test]
fn a_slowdown_takes_what_the_acceptance_table_says() {
    let mut needed: Vec<u64> = (0..61)
        .map(|seed| {
            let slower = Behaviour { latency: latency(1.2), ..Behaviour::healthy() };
            let mut traffic = Traffic::new(40_000 + seed, 100, Behaviour::healthy(), slower);
            let mut judge = Judge::new(config());
            let alarmed = |judge: &Judge| judge.latency.as_ref().unwrap().log_against() >= libm::log(100.0);
            (1..400)
                .find(|_| {
                    judge.observe(&traffic.batch(0.5), None);
                    alarmed(&judge)
                })
                .expect("a slowdown by a fifth is seen within 40,000 traces")
                * 100
        })
        .collect();
    needed.sort_unstable();
    // 2.0k in the table, for R alone with thresholds known beforehand; 400 go into knowing them, and comparison and
    // bake share the evidence.
    let median = needed[30];
    assert!((1_400..3_200).contains(&median), "{median}");
}
