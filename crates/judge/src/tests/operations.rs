//! Latency by root operation: what is named, and what it costs.

use super::simulation::{Behaviour, Random, Traffic, config, latency};
use crate::{Config, Failure, Guards, Judge, Latency, Verdict};
use model::{
    ArmCounts, Check, Environment, ExponentialHistogram, MAX_OPERATIONS_PER_OBSERVATION, OPERATION_BUCKETS,
    Observation, OperationCounts, OperationLatency, PerEnvironment, RootOperation,
};
use std::collections::BTreeMap;

/// An operation with its share of the traces, and how much slower than usual it is in blue and in green.
type Kind = (&'static str, f64, (f64, f64));

fn root(name: &str) -> RootOperation {
    RootOperation { service: "shop".into(), operation: name.into() }
}

fn only_latency() -> Config {
    let guards = Guards { latency: Some(Latency { quantile: 0.9, worse_than_active_by: 0.2 }), ..Guards::default() };
    Config { guards, ..config() }
}

/// A batch of as many traces in each environment, by operation; those over all are the sum.
struct Shop {
    random: Random,
    kinds: Vec<Kind>,
    traffic: Traffic,
}

impl Shop {
    fn new(seed: u64, kinds: &[Kind]) -> Shop {
        let traffic = Traffic::new(seed, 0, Behaviour::healthy(), Behaviour::healthy());
        Shop { random: Random::new(seed), kinds: kinds.to_vec(), traffic }
    }

    fn batch(&mut self, traces: u64) -> Observation {
        let mut observation = self.traffic.batch(0.5);
        for (name, share, (blue, green)) in self.kinds.clone() {
            let mut took = PerEnvironment::<OperationLatency>::default();
            for (environment, factor) in [(Environment::Blue, blue), (Environment::Green, green)] {
                let here = self.random.binomial(traces, share);
                let fine = self.random.multinomial(here, &latency(factor));
                let arm = &mut observation.arms[environment];
                arm.traces += here;
                let mut coarse = BTreeMap::new();
                for (bucket, traces) in fine {
                    *arm.latency_us.0.entry(bucket).or_insert(0) += traces;
                    let range = OPERATION_BUCKETS;
                    *coarse.entry((bucket >> 1).clamp(*range.start(), *range.end())).or_insert(0) += traces;
                }
                took[environment].latency_us = ExponentialHistogram(coarse);
            }
            observation.operations.push(OperationCounts { root: root(name), latency: took, slowest: None });
        }
        observation
    }
}

/// Blue alone had traffic until its quantiles were known, those of an operation with one trace in fifty too.
fn started(shop: &mut Shop) -> Judge {
    let mut judge = Judge::new(only_latency());
    for _ in 0..60 {
        let mut observation = shop.batch(200);
        observation.arms.green = ArmCounts::default();
        observation.operations.iter_mut().for_each(|it| it.latency.green = OperationLatency::default());
        judge.observe(&observation, None);
    }
    judge
}

fn first_failure(seed: u64, kinds: &[Kind]) -> Failure {
    let mut shop = Shop::new(seed, kinds);
    let mut judge = started(&mut shop);
    for _ in 0..300 {
        judge.observe(&shop.batch(200), None);
        if let Verdict::Fail(failure) = judge.assess().verdict {
            return *failure;
        }
    }
    panic!("no failure: {:#?}", judge.assess())
}

#[test]
fn the_operation_that_is_slow_is_named() {
    for seed in 1..5 {
        let failure = first_failure(
            seed,
            &[("GET /", 0.6, (1.0, 1.0)), ("GET /cart", 0.2, (1.0, 3.0)), ("POST /pay", 0.2, (2.0, 2.0))],
        );
        assert_eq!((failure.check, failure.operation), (Check::Slow, Some(root("GET /cart"))), "{:?}", failure.reasons);
        assert!(failure.reasons[0].starts_with("shop / GET /cart: slower than "), "{:?}", failure.reasons);
    }
}

/// One in fifty traces: over all of them it would be within what the plan tolerates.
#[test]
fn a_rare_operation_that_is_slow_is_seen() {
    let kinds = [("GET /", 0.98, (1.0, 1.0)), ("GET /report", 0.02, (1.0, 4.0))];
    let failure = first_failure(1, &kinds);
    assert_eq!(failure.operation, Some(root("GET /report")));
    let mut shop = Shop::new(1, &kinds);
    let mut judge = started(&mut shop);
    for _ in 0..300 {
        judge.observe(&Observation { operations: vec![], ..shop.batch(200) }, None);
    }
    assert!(!matches!(judge.assess().verdict, Verdict::Fail(_)));
}

#[test]
fn where_all_are_slow_it_is_the_pipeline() {
    for seed in 1..5 {
        let failure = first_failure(
            seed,
            &[("GET /", 0.4, (1.0, 2.0)), ("GET /cart", 0.3, (1.0, 2.0)), ("POST /pay", 0.3, (1.0, 2.0))],
        );
        assert_eq!((failure.check, failure.operation), (Check::Slow, None), "{:?}", failure.reasons);
    }
}

#[test]
fn several_are_named_by_the_clearest_and_the_others_beside_it() {
    let kinds = [("a", 0.4, (1.0, 3.0)), ("b", 0.2, (1.0, 3.0)), ("c", 0.2, (1.0, 1.0)), ("d", 0.2, (1.0, 1.0))];
    let mut shop = Shop::new(3, &kinds);
    let mut judge = started(&mut shop);
    (0..20).for_each(|_| judge.observe(&shop.batch(200), None));
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("two are slow") };
    assert_eq!(failure.operation, Some(root("a")));
    assert_eq!(failure.reasons.last().unwrap(), "slower too: shop / b");
}

#[test]
fn unspent_weight_is_evidence_of_one() {
    for known in [0, 1, 5, MAX_OPERATIONS_PER_OBSERVATION] {
        let names: Vec<String> = (0..known).map(|at| format!("op {at}")).collect();
        let mut observation = Traffic::new(1, 50, Behaviour::healthy(), Behaviour::healthy()).batch(0.5);
        let empty =
            |name: &String| OperationCounts { root: root(name), latency: PerEnvironment::default(), slowest: None };
        observation.operations = names.iter().map(empty).collect();
        let mut judge = Judge::new(only_latency());
        judge.observe(&observation, None);
        let assessment = judge.assess();
        assert!(assessment.log_evidence.abs() < 1e-12, "{known} known: {}", assessment.log_evidence);
        assert!(assessment.guards[0].log_against.abs() < 1e-12);
    }
}

#[test]
fn the_first_names_are_judged_and_no_others() {
    let names: Vec<String> = (0..20).map(|at| format!("op {at}")).collect();
    let mut judge = Judge::new(only_latency());
    let mut traffic = Traffic::new(1, 50, Behaviour::healthy(), Behaviour::healthy());
    for name in &names {
        let mut observation = traffic.batch(0.5);
        let counts = OperationCounts { root: root(name), latency: PerEnvironment::default(), slowest: None };
        observation.operations = vec![counts];
        judge.observe(&observation, None);
    }
    let judged: Vec<&str> = judge.operations.judged.iter().map(|it| it.of.operation.as_str()).collect();
    assert_eq!(judged, names[..MAX_OPERATIONS_PER_OBSERVATION]);
}

#[test]
fn more_traces_of_an_operation_than_there_are_is_an_error() {
    let mut shop = Shop::new(1, &[("GET /", 1.0, (1.0, 1.0))]);
    let mut observation = shop.batch(100);
    observation.operations[0].latency.green.unfinished = 1;
    let mut judge = Judge::new(only_latency());
    judge.observe(&observation, None);
    let Verdict::Error { reason } = judge.assess().verdict else { panic!("101 of 100") };
    let expected =
        "batch 1 has 101 timed traces of shop / GET / among 100 in green; expected at most as many as there are";
    assert_eq!(reason, expected);
}

/// Six operations that are as fast in both, looked at after every batch.
#[test]
fn false_alarms_stay_below_alpha() {
    let (runs, mut alarms) = (100, 0);
    let kinds: Vec<Kind> = ["a", "b", "c", "d", "e", "f"].map(|name| (name, 1.0 / 6.0, (1.0, 1.0))).to_vec();
    let config = Config { false_alarm: 0.05, ..only_latency() };
    for seed in 0..runs {
        let mut shop = Shop::new(500 + seed, &kinds);
        let mut judge = Judge::new(config.clone());
        let ever = (0..60).any(|_| {
            judge.observe(&shop.batch(120), None);
            let assessment = judge.assess();
            assessment.log_evidence >= assessment.log_threshold
        });
        alarms += u64::from(ever);
    }
    // 5 are expected at most, and three standard deviations are 6.5.
    assert!(alarms <= 11, "{alarms} of {runs} alarmed");
}

#[test]
fn evidence_by_operation_survives_json() {
    let mut shop = Shop::new(1, &[("GET /", 0.5, (1.0, 1.0)), ("GET /cart", 0.5, (1.0, 1.3))]);
    let mut judge = Judge::new(only_latency());
    (0..12).for_each(|_| judge.observe(&shop.batch(120), None));
    let text = serde_json::to_string(&judge).unwrap();
    assert_eq!(serde_json::from_str::<Judge>(&text).unwrap(), judge);
}

#[test]
fn eight_operations_are_bounded_and_a_batch_of_them_allocates_nothing() {
    let names: Vec<String> = (0..MAX_OPERATIONS_PER_OBSERVATION).map(|at| format!("{at}{}", "x".repeat(127))).collect();
    let kinds: Vec<Kind> = names.iter().map(|name| (&*name.clone().leak(), 1.0 / 8.0, (1.0, 1.1))).collect();
    let mut shop = Shop::new(9, &kinds);
    let mut judge = started(&mut shop);
    let batches: Vec<Observation> = (0..20).map(|_| shop.batch(800)).collect();
    let counted = allocation_counter::measure(|| batches.iter().for_each(|batch| judge.observe(batch, None)));
    assert_eq!(counted.count_total, 0);
    for operation in &judge.operations.judged {
        let bytes = serde_json::to_string(operation).unwrap().len();
        assert!((2_000..=9_000).contains(&bytes), "{bytes}");
    }
}
