//! The e-value property itself, form by form: where nothing is worse (for a proof: just at the margin), the mean of the
//! evidence is at most 1, whatever the allocation of the traces and however the base rate drifts. Together with Ville's
//! inequality that is all that the guarantees rest on.

use super::simulation::{Behaviour, Random, Traffic, config, latency};
use crate::assignment::Assignment;
use crate::latency::{Latencies, LatencyMetric, Terms};
use crate::odds::{Counts, Split, log_e, log_e_share, log_m, tilt};
use crate::process::{Process, Proof};
use crate::rate::{PSI, log_e_not_worse};
use crate::simulate;
use crate::{Judge, config as plan};
use model::{BasisPoints, Check, Environment, Observation};

/// The mean of the evidence over `runs`, and its standard error.
fn mean(runs: u64, seed: u64, log_evidence: impl Fn(&mut Random) -> f64) -> (f64, f64) {
    let mut random = Random::new(seed);
    let evidence: Vec<f64> = (0..runs).map(|_| libm::exp(log_evidence(&mut random))).collect();
    let mean = evidence.iter().sum::<f64>() / runs as f64;
    let variance = evidence.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / runs as f64;
    (mean, (variance / runs as f64).sqrt())
}

fn at_most_one(form: &str, (mean, error): (f64, f64)) {
    assert!(mean <= 1.0 + 3.0 * error && error < 0.3, "{form}: {mean} +- {error}");
}

/// Nothing is wasted: where the null hypothesis is a point, the mean is 1. To be seen only where few batches or close
/// alternatives leave no mean that rests on paths which no simulation meets.
fn one(form: &str, (mean, error): (f64, f64)) {
    at_most_one(form, (mean, error));
    assert!(mean >= 1.0 - 4.0 * error, "{form} wastes evidence: {mean} +- {error}");
}

/// A batch at a base rate that drifts from 1 % to 3 % or back, and any allocation, also of nothing to one environment.
/// The candidate's odds are `psi` times the base's.
fn batch(random: &mut Random, progress: f64, psi: f64) -> Split {
    let base = 0.01 * (1.0 + 2.0 * progress);
    let (n_g, n_b) = (random.bits() % 60, random.bits() % 60);
    let candidate = Counts { traces: n_g, events: random.binomial(n_g, tilt(base, psi)) };
    Split { candidate, active: Counts { traces: n_b, events: random.binomial(n_b, base) } }
}

const BATCHES: u32 = 20;

/// A process over batches of which `log_e` makes e-values.
fn process<const N: usize>(random: &mut Random, hazard: f64, log_e: impl Fn(&Split) -> [f64; N]) -> f64 {
    let mut process = Process::new(N);
    for number in 0..BATCHES {
        process.update(&log_e(&batch(random, f64::from(number) / f64::from(BATCHES), 1.0)), hazard);
    }
    process.log_evidence()
}

#[test]
fn two_rates_exactly_and_by_the_bound() {
    for hazard in [1e-6, 0.05, 1.0] {
        one("R", mean(2_000, 1, |random| process(random, hazard, |split| log_e(split, &PSI))));
    }
    // The bound is made for batches that are too large to be summed; for small ones it is no less a bound.
    let bounded = |split: &Split| {
        let above = if split.is_telling() { log_m(split, &PSI, 0).above } else { return [0.0; 8] };
        std::array::from_fn(|at| split.candidate.events as f64 * libm::log(PSI[at]) - above[at])
    };
    at_most_one("R by the bound", mean(2_000, 2, |random| process(random, 0.05, bounded)));
    // Large ones: 3,000 traces of which 40 % have the event.
    let large = |random: &mut Random| {
        let mut process = Process::new(PSI.len());
        for _ in 0..2 {
            let (n_g, n_b) = (random.bits() % 6_000 + 3_000, random.bits() % 6_000 + 3_000);
            let base = 0.4 + 0.2 * random.unit();
            let candidate = Counts { traces: n_g, events: random.binomial(n_g, base) };
            let active = Counts { traces: n_b, events: random.binomial(n_b, base) };
            process.update(&log_e(&Split { candidate, active }, &PSI), 0.05);
        }
        process.log_evidence()
    };
    at_most_one("R of large batches", mean(1_000, 3, large));
}

#[test]
fn a_proof_just_at_the_margin() {
    let evidence = |random: &mut Random, batches: u32, psi0: f64| {
        let mut proof = Proof::new(4);
        for number in 0..batches {
            let split = batch(random, f64::from(number) / f64::from(batches), psi0);
            proof.update(&log_e_not_worse(&split, psi0));
        }
        proof.log_evidence()
    };
    for psi0 in [1.2, 2.0, 8.0] {
        at_most_one("NI", mean(2_000, 4, |random| evidence(random, BATCHES, psi0)));
    }
    one("NI", mean(20_000, 4, |random| evidence(random, 3, 1.2)));
}

#[test]
fn one_share_against_a_tolerance() {
    let p = 0.02;
    for (form, parts) in [("worse", [1.2, 1.5, 2.0]), ("better", [0.0, 0.3, 0.6])] {
        let q = parts.map(|part| part * p);
        let evidence = |random: &mut Random, batches: u32, truth: fn(f64, f64) -> f64| {
            let mut process = Process::new(3);
            for number in 0..batches {
                let traces = random.bits() % 60;
                let events = random.binomial(traces, truth(p, f64::from(number) / f64::from(batches)));
                process.update(&log_e_share(Counts { traces, events }, p, &q), 0.05);
            }
            process.log_evidence()
        };
        one(form, mean(20_000, 5, |random| evidence(random, 4, |p, _| p)));
        // Within the null hypothesis, and drifting there.
        let within = match form {
            "worse" => |p, progress| p * (1.0 - 0.8 * progress),
            _ => |p, progress| p * (1.0 + 2.0 * progress),
        };
        at_most_one(form, mean(2_000, 6, |random| evidence(random, BATCHES, within)));
    }
}

#[test]
fn the_average_over_latency_thresholds() {
    let terms = Terms::over_all(&plan::Latency { quantile: 0.99, worse_than_active_by: 0.2 });
    let observe = |metric: &mut LatencyMetric, observation: &Observation| {
        let [candidate, active] = [&observation.arms.green, &observation.arms.blue].map(Latencies::from);
        metric.observe(candidate, active, &terms, 0.05);
    };
    let evidence = |random: &mut Random, batches: u32| {
        let mut metric = LatencyMetric::new();
        let mut traffic = Traffic::new(random.bits(), 0, Behaviour::healthy(), Behaviour::healthy());
        observe(&mut metric, &traffic.batch_of(0, 250));
        for number in 0..batches {
            // Everything becomes slower, and it is no fault of the candidate.
            let slower = latency(1.0 + f64::from(number) / f64::from(batches));
            (traffic.blue.latency, traffic.green.latency) = (slower.clone(), slower);
            observe(&mut metric, &traffic.batch_of(random.bits() % 40, random.bits() % 40 + 1));
        }
        metric.log_against()
    };
    at_most_one("L", mean(1_000, 7, |random| evidence(random, BATCHES)));
    // Alternatives of 4 at a share of 3/4 put the mean onto rare paths within few batches.
    one("L of a batch", mean(20_000, 7, |random| evidence(random, 1)));
    one("L of two batches", mean(20_000, 8, |random| evidence(random, 2)));
}

#[test]
fn the_weighted_sum_over_all_metrics() {
    let evidence = |random: &mut Random| {
        let behaviour = Behaviour { blind: 0.2, ..Behaviour::healthy().with(Check::Orphan, 0.02) };
        let mut traffic = Traffic::new(random.bits(), 0, behaviour.clone(), behaviour);
        let mut judge = Judge::new(config());
        for number in 0..BATCHES {
            let simulate::Traffic { blue, green, .. } = &mut *traffic;
            for behaviour in [blue, green] {
                behaviour.chances.insert(Check::ErrorSpan, 0.02 * f64::from(number + 1) / f64::from(BATCHES));
                behaviour.chances.insert(Check::LostSpan, 0.01);
            }
            judge.observe(&traffic.batch_of(random.bits() % 60, random.bits() % 60 + 1), None);
        }
        judge.assess().log_evidence
    };
    at_most_one("all metrics", mean(600, 8, evidence));
}

#[test]
fn the_split_over_changing_weights() {
    let evidence = |random: &mut Random| {
        let mut assignment = Assignment::default();
        for weight in [100, 1_000, 5_000] {
            let weight = BasisPoints::new(weight).unwrap();
            for _ in 0..random.bits() % 8 {
                let traces = random.bits() % 500;
                let candidate = random.binomial(traces, weight.share());
                assignment.observe(&super::assigned(candidate, traces - candidate), Environment::Green, weight);
            }
        }
        assignment.evidence(0.05).map_or(0.0, |evidence| evidence.log_evidence)
    };
    one("split", mean(4_000, 9, evidence));
}
