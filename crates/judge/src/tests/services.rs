//! How long services take: what is named, and what it costs.

use super::simulation::{Behaviour, Random, Traffic, config, latency};
use crate::{Config, Failure, Guard, Guards, Judge, Latency, Verdict};
use model::{
    Check, Environment, ExponentialHistogram, MAX_TIMED_CALLS, MAX_TIMED_OPERATIONS, OPERATION_BUCKETS, Observation,
    PerEnvironment, ServiceTimes, ShortHistogram, Subject,
};

/// Traces in each environment and batch.
const TRACES: u64 = 150;

fn edge(to: &str) -> Subject {
    Subject::Edge { from: "web".into(), to: to.into() }
}

fn operation(name: &str) -> Subject {
    Subject::Operation { service: "web".into(), operation: name.into(), kind: 2 }
}

fn only_services() -> Config {
    let service_latency = Some(Latency { quantile: 0.9, worse_than_active_by: 0.2 });
    Config { guards: Guards { service_latency, ..Guards::default() }, ..config() }
}

/// A subject, how much slower than usual it is in green, and by how many calls more than the usual one it is made there.
type Kind = (Subject, f64, i32);

fn batch(random: &mut Random, traffic: &mut Traffic, kinds: &[Kind]) -> Observation {
    let mut observation = traffic.batch(0.5);
    Environment::BOTH.into_iter().for_each(|it| observation.arms[it].traces = TRACES);
    for (subject, factor, more_calls) in kinds {
        let mut time_us = PerEnvironment::<ShortHistogram>::default();
        let mut calls = PerEnvironment::<ShortHistogram>::default();
        for (environment, factor, more_calls) in
            [(Environment::Blue, 1.0, 0), (Environment::Green, *factor, *more_calls)]
        {
            for (bucket, traces) in random.multinomial(TRACES, &latency(factor)) {
                let coarse = (bucket >> 1).clamp(*OPERATION_BUCKETS.start(), *OPERATION_BUCKETS.end());
                *time_us[environment].0.0.entry(coarse).or_insert(0) += traces;
            }
            // One trace in ten calls twice.
            let twice = random.binomial(TRACES, 0.1);
            let buckets = [(28 + 4 * more_calls, TRACES - twice), (31 + 4 * more_calls, twice)];
            calls[environment] =
                ShortHistogram(ExponentialHistogram(buckets.into_iter().filter(|it| it.1 > 0).collect()));
        }
        let calls = matches!(subject, Subject::Edge { .. }).then_some(calls);
        observation.services.push(ServiceTimes { subject: subject.clone(), time_us, calls, slowest: None });
    }
    observation
}

fn judged(seed: u64, kinds: &[Kind], batches: usize) -> Judge {
    let mut traffic = Traffic::new(seed, TRACES, Behaviour::healthy(), Behaviour::healthy());
    let (mut random, mut judge) = (Random::new(seed), Judge::new(only_services()));
    (0..batches).for_each(|_| judge.observe(&batch(&mut random, &mut traffic, kinds), None));
    judge
}

fn failure(seed: u64, kinds: &[Kind]) -> Failure {
    match judged(seed, kinds, 60).assess() {
        crate::Assessment { verdict: Verdict::Fail(failure), .. } => *failure,
        other => panic!("no failure: {other:#?}"),
    }
}

#[test]
fn the_call_that_is_slow_is_named() {
    for seed in 1..4 {
        let kinds = [(edge("pay"), 1.0, 0), (edge("ship"), 2.0, 0), (operation("GET /"), 1.0, 0)];
        let failure = failure(seed, &kinds);
        assert_eq!((failure.guard, failure.check), (Guard::ServiceLatency, Check::SlowCall), "{:?}", failure.reasons);
        assert_eq!(failure.subject, Some(edge("ship")));
        assert!(failure.reasons[0].starts_with("calls from web to ship: slower than "), "{:?}", failure.reasons);
        assert!(failure.reasons[1].contains("of the candidate's traces are beyond that by more than 20 %"));
    }
}

#[test]
fn what_is_slow_besides_is_told_besides() {
    let kinds = [(edge("pay"), 1.5, 0), (edge("ship"), 1.0, 0), (operation("GET /"), 3.0, 0)];
    let failure = failure(1, &kinds);
    assert_eq!((failure.check, failure.subject), (Check::SlowOperation, Some(operation("GET /"))));
    assert_eq!(failure.reasons.last().unwrap(), "besides: slow calls: calls from web to pay");
}

#[test]
fn a_call_that_is_made_more_often_is_named() {
    let failure = failure(1, &[(edge("pay"), 1.0, 1), (edge("ship"), 1.0, 0)]);
    assert_eq!((failure.check, failure.subject), (Check::MoreCalls, Some(edge("pay"))));
    assert!(failure.reasons[0].starts_with("calls from web to pay: more than 1 call in a trace: candidate "));
}

#[test]
fn what_is_as_fast_is_no_failure_and_the_guard_proves_nothing() {
    let kinds = [(edge("pay"), 1.0, 0), (operation("GET /"), 1.0, 0)];
    let assessment = judged(5, &kinds, 60).assess();
    let Verdict::Inconclusive { missing } = assessment.verdict else { panic!("{assessment:#?}") };
    assert!(missing[0].contains("the others alarm, and prove nothing"), "{missing:?}");
    assert_eq!(assessment.guards[0].guard, Guard::ServiceLatency);
    assert_eq!(assessment.guards[0].log_for, None);
}

#[test]
fn weight_that_nothing_has_yet_is_evidence_of_one() {
    let judge = Judge::new(only_services());
    assert!(judge.assess().log_evidence.abs() < 1e-12);
    assert_eq!(judge.assess().guards[0].words, "more traces, to know which calls and operations there are");
    // One batch: quantiles are not known yet.
    let judge = judged(1, &[(edge("pay"), 1.0, 0), (operation("GET /"), 1.0, 0)], 1);
    assert!(judge.assess().log_evidence.abs() < 1e-12);
}

#[test]
fn false_alarms_stay_below_alpha() {
    let kinds = [(edge("pay"), 1.0, 0), (edge("ship"), 1.0, 0), (operation("GET /"), 1.0, 0)];
    let (runs, mut alarms) = (100, 0);
    let config = Config { false_alarm: 0.05, ..only_services() };
    for seed in 0..runs {
        let mut traffic = Traffic::new(seed, TRACES, Behaviour::healthy(), Behaviour::healthy());
        let (mut random, mut judge) = (Random::new(900 + seed), Judge::new(config.clone()));
        let ever = (0..60).any(|_| {
            judge.observe(&batch(&mut random, &mut traffic, &kinds), None);
            let assessment = judge.assess();
            assessment.log_evidence >= assessment.log_threshold
        });
        alarms += u64::from(ever);
    }
    // 5 are expected at most, and three standard deviations are 6.5.
    assert!(alarms <= 11, "{alarms} of {runs} alarmed");
}

#[test]
fn times_of_more_traces_than_there_are_and_numbers_without_times_are_errors() {
    let mut traffic = Traffic::new(1, TRACES, Behaviour::healthy(), Behaviour::healthy());
    let mut random = Random::new(1);
    let good = batch(&mut random, &mut traffic, &[(edge("pay"), 1.0, 0)]);
    let reason = |change: fn(&mut ServiceTimes)| {
        let mut observation = good.clone();
        change(&mut observation.services[0]);
        let mut judge = Judge::new(only_services());
        judge.observe(&observation, None);
        match judge.assess().verdict {
            Verdict::Error { reason } => reason,
            other => panic!("{other:?}"),
        }
    };
    let reason_of_more = reason(|times| *times.time_us.green.0.0.entry(50).or_insert(0) += 1);
    let expected = "batch 1 has 151 traces with times of calls from web to pay and 150 with numbers of it among 150 in \
                    green; expected as many of both, and at most as many as there are";
    assert_eq!(reason_of_more, expected);
    assert!(reason(|times| times.calls = Some(PerEnvironment::default())).contains("150 traces with times"));
}

#[test]
fn all_services_are_bounded_and_a_batch_of_them_allocates_nothing() {
    let name = |at: usize| format!("{at}{}", "x".repeat(62));
    let calls = (0..MAX_TIMED_CALLS).map(|at| (edge(&name(at)), 1.0, 0));
    let kinds: Vec<Kind> = calls.chain((0..MAX_TIMED_OPERATIONS).map(|at| (operation(&name(at)), 1.1, 0))).collect();
    let mut traffic = Traffic::new(3, TRACES, Behaviour::healthy(), Behaviour::healthy());
    let mut random = Random::new(3);
    let mut judge = Judge::new(only_services());
    (0..5).for_each(|_| judge.observe(&batch(&mut random, &mut traffic, &kinds), None));
    let batches: Vec<Observation> = (0..20).map(|_| batch(&mut random, &mut traffic, &kinds)).collect();
    let counted = allocation_counter::measure(|| batches.iter().for_each(|batch| judge.observe(batch, None)));
    assert_eq!(counted.count_total, 0);
    // A subject that there is no room for is not judged.
    let mut more = batches[19].clone();
    more.batch += 1;
    more.services[0].subject = edge("tardy");
    let before = serde_json::to_string(&judge).unwrap().len();
    judge.observe(&more, None);
    let text = serde_json::to_string(&judge).unwrap();
    assert!(!text.contains("tardy"), "{text}");
    assert!(text.len() < before + 2_000 && text.len() < Judge::MAX_STATE_BYTES);
    assert_eq!(serde_json::from_str::<Judge>(&text).unwrap(), judge);
}
