//! Which check, guard and subject a failure names.

use super::simulation::{Behaviour, Traffic, config, edge, latency, operation};
use crate::{Config, Failure, Guard, Judge, Verdict};
use model::{
    ArmCounts, BlindSpotCount, Check, Environment, ExponentialHistogram, Observation, PerEnvironment, Subject,
};

/// Runs until the first failure, at most 600 batches of 300 traces.
fn first_failure(config: Config, seed: u64, weight: f64, green: Behaviour) -> Failure {
    let blue = Behaviour::healthy().with(Check::ErrorSpan, 0.01);
    let mut traffic = Traffic::new(seed, 300, blue, green.clone());
    let mut judge = Judge::new(config);
    for _ in 0..600 {
        judge.observe(&traffic.batch(weight), None);
        if let Verdict::Fail(failure) = judge.assess().verdict {
            return *failure;
        }
    }
    panic!("no failure in 600 batches of {green:?}: {:#?}", judge.assess())
}

fn check(config: &Config, green: Behaviour, expected: (Guard, Check, Option<Subject>)) {
    for (seed, weight) in [(1, 0.01), (2, 0.1), (3, 0.5), (4, 0.5)] {
        let failure = first_failure(config.clone(), seed, weight, green.clone());
        let found = (failure.guard, failure.check, failure.subject.clone());
        assert_eq!(found, expected, "seed {seed}, weight {weight}: {failure:#?}");
        assert!(!failure.reasons.is_empty());
    }
}

fn healthy() -> Behaviour {
    Behaviour::healthy().with(Check::ErrorSpan, 0.01)
}

#[test]
fn each_alone() {
    let config = config();
    for loss in [0.01, 0.05, 0.5] {
        check(&config, healthy().with(Check::LostSpan, loss), (Guard::SpanLoss, Check::LostSpan, None));
    }
    check(&config, healthy().with(Check::ExportFailure, 0.1), (Guard::ErrorRate, Check::ExportFailure, None));
    check(&config, healthy().with(Check::ErrorSpan, 0.2), (Guard::ErrorRate, Check::ErrorSpan, None));
    for finding in Guard::Findings.checks() {
        check(&config, healthy().with(*finding, 0.1), (Guard::Findings, *finding, None));
    }
    let slow = Behaviour { latency: latency(2.0), ..healthy() };
    check(&config, slow, (Guard::Latency, Check::Slow, None));
}

#[test]
fn a_service_that_is_gone_is_a_blind_spot() {
    let gone = Behaviour { blind: 1.0, ..healthy() };
    check(&config(), gone.clone(), (Guard::BlindSpots, Check::BlindSpot, Some(operation())));
    // Named also where the plan guards only what it causes.
    let mut without = config();
    without.guards.blind_spots = None;
    check(&without, gone.clone(), (Guard::SpanLoss, Check::BlindSpot, Some(operation())));
    without.guards.span_loss = None;
    check(&without, gone, (Guard::Findings, Check::BlindSpot, Some(operation())));
}

#[test]
fn half_a_service_is_a_loss() {
    let half = Behaviour { blind: 0.5, ..healthy() };
    for (seed, weight) in [(2, 0.1), (3, 0.5)] {
        let failure = first_failure(config(), seed, weight, half.clone());
        assert_eq!((failure.guard, failure.check), (Guard::SpanLoss, Check::LostSpan), "{failure:#?}");
    }
}

#[test]
fn causes_come_before_what_they_cause() {
    let lossy = Behaviour { orphaning: 0.8, ..healthy().with(Check::LostSpan, 0.1) };
    check(&config(), lossy.clone(), (Guard::SpanLoss, Check::LostSpan, None));
    let mostly_orphans = Behaviour { orphaning: 1.0, ..healthy().with(Check::LostSpan, 0.05) };
    for seed in 100..110 {
        let failure = first_failure(config(), seed, 0.01, mostly_orphans.clone());
        assert_eq!((failure.guard, failure.check), (Guard::SpanLoss, Check::LostSpan), "{failure:#?}");
    }
    let refused = lossy.clone().with(Check::ExportFailure, 0.3);
    check(&config(), refused, (Guard::ErrorRate, Check::ExportFailure, None));
    let reparented = healthy().with(Check::Reparented, 0.2).with(Check::Orphan, 0.2);
    check(&config(), reparented, (Guard::Findings, Check::Reparented, None));
    // Traces that lose spans are never finished; that alone does not make the pipeline slow.
    let mut only = config();
    only.guards.findings = None;
    only.guards.blind_spots = None;
    check(&only, healthy().with(Check::LostSpan, 0.02), (Guard::SpanLoss, Check::LostSpan, None));
    // Without a guard on losses the plan still fails, by what it does guard.
    only.guards.span_loss = None;
    check(&only, healthy().with(Check::LostSpan, 0.1), (Guard::Latency, Check::Slow, None));
}

/// One batch by hand: traces, traces with a lost span, and the operation's traces and those of them in which it went
/// unseen, in blue and in green; and the traces of a rare operation of the same service, of which green shows nothing.
struct ByHand {
    traces: u64,
    lost: (u64, u64),
    operation: ((u64, u64), (u64, u64)),
    rare: u64,
    spans_out: u64,
}

fn check_by_hand(config: &Config, by_hand: ByHand, expected: (Guard, Check)) {
    let ByHand { traces, lost, operation: (blue, green), rare, spans_out } = by_hand;
    let mut arms = PerEnvironment::<ArmCounts>::default();
    for (environment, lost) in [(Environment::Blue, lost.0), (Environment::Green, lost.1)] {
        let latency_us = ExponentialHistogram([(100, traces)].into());
        let events = [(Check::LostSpan, lost)].into();
        arms[environment] = ArmCounts { traces, events, latency_us, spans_out, ..ArmCounts::default() };
    }
    let spot = |subject, pairs: PerEnvironment<(u64, u64)>| {
        let (traces, unseen) = (pairs.map(|it| it.0), pairs.map(|it| it.1));
        BlindSpotCount { subject, traces, unseen, traces_ever: traces, unseen_ever: unseen, example: None }
    };
    let refund = Subject::Operation { service: "payment".into(), operation: "refund".into(), kind: 2 };
    let blind_spots = vec![
        spot(operation(), PerEnvironment { blue, green }),
        spot(refund, PerEnvironment { blue: (rare, 0), green: (rare, rare) }),
    ];
    let observation = Observation { arms, blind_spots, ..Traffic::new(0, 0, healthy(), healthy()).batch(0.5) };
    let mut judge = Judge::new(config.clone());
    judge.observe(&observation, None);
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("{:#?}", judge.assess()) };
    assert_eq!((failure.guard, failure.check), expected, "{failure:#?}");
}

#[test]
fn a_loss_is_a_blind_spot_only_where_that_explains_it() {
    let (blind, loss) = ((Guard::BlindSpots, Check::BlindSpot), (Guard::SpanLoss, Check::LostSpan));
    let by_hand = |lost, operation| ByHand { traces: 500, lost, operation, rare: 0, spans_out: 3_000 };
    // All of 50 losses, 3 of 25 by accident, 20 of 50 when a tenth is lost: too many for an accident.
    check_by_hand(&config(), by_hand((0, 50), ((50, 0), (50, 50))), blind);
    check_by_hand(&config(), by_hand((0, 25), ((3, 0), (3, 3))), loss);
    check_by_hand(&config(), by_hand((0, 50), ((20, 0), (20, 20))), blind);
    // 20 of 450, when nine tenths of all traces lose something, may be one.
    check_by_hand(&config(), by_hand((0, 450), ((20, 0), (20, 20))), loss);
    // 17 of 19 losses among 22 traces: the loss is as frequent as the blind spot makes it, and rarer besides.
    let few = |traces, lost, operation, rare| ByHand { traces, lost: (0, lost), operation, rare, spans_out: 150 };
    check_by_hand(&config(), few(22, 19, ((17, 0), (17, 17)), 0), blind);
    // 16 of 18 among 21 could be an accident, but that its service shows nothing else either.
    check_by_hand(&config(), few(21, 18, ((16, 0), (16, 16)), 0), loss);
    check_by_hand(&config(), few(21, 18, ((16, 0), (16, 16)), 2), blind);
    // What the active environment does not show either explains nothing.
    check_by_hand(&config(), by_hand((3, 50), ((3, 3), (50, 50))), loss);
    // Nothing at all comes out: every operation is blind, and that is not the reason.
    let everything = ByHand { traces: 500, lost: (0, 500), operation: ((500, 0), (500, 500)), rare: 0, spans_out: 0 };
    check_by_hand(&config(), everything, loss);
}

#[test]
fn unfinished_traces_are_losses_before_they_are_slow() {
    let mut config = config();
    config.guards.blind_spots = None;
    for (finished_in, expected) in [(100, (Guard::SpanLoss, Check::LostSpan)), (130, (Guard::Latency, Check::Slow))] {
        let mut traffic = Traffic::new(0, 0, healthy(), healthy());
        let mut judge = Judge::new(config.clone());
        for (lost, unfinished, bucket) in [(0, 0, 100), (3, 30, finished_in)] {
            let mut observation = traffic.batch(0.5);
            let latency_us = ExponentialHistogram([(100, 1_000)].into());
            observation.arms.blue = ArmCounts { traces: 1_000, latency_us, spans_out: 6_000, ..ArmCounts::default() };
            observation.arms.green = observation.arms.blue.clone();
            observation.arms.green.latency_us = ExponentialHistogram([(bucket, 1_000 - unfinished)].into());
            observation.arms.green.unfinished = unfinished;
            observation.arms.green.events.insert(Check::LostSpan, lost);
            judge.observe(&observation, None);
        }
        let Verdict::Fail(failure) = judge.assess().verdict else { panic!("{:#?}", judge.assess()) };
        assert_eq!((failure.guard, failure.check), expected, "{failure:#?}");
        assert_eq!(failure.alarmed, [Check::Slow]);
    }
}

#[test]
fn edges_are_named_where_no_operation_is_blind() {
    let mut traffic = Traffic::new(8, 300, healthy(), Behaviour { blind: 1.0, ..healthy() });
    let mut judge = Judge::new(config());
    for _ in 0..20 {
        let mut observation = traffic.batch(0.5);
        observation.blind_spots.retain(|spot| spot.subject == edge());
        judge.observe(&observation, None);
    }
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("the edge is blind") };
    assert_eq!((failure.check, failure.subject), (Check::BlindSpot, Some(edge())));
}

#[test]
fn an_edge_that_nobody_sees_is_explained_by_changed_parents() {
    let green = Behaviour { blind: 1.0, ..healthy().with(Check::Reparented, 0.2) };
    let mut traffic = Traffic::new(8, 300, healthy(), green);
    let mut judge = Judge::new(config());
    for _ in 0..20 {
        let mut observation = traffic.batch(0.5);
        observation.blind_spots.retain(|spot| spot.subject == edge());
        judge.observe(&observation, None);
    }
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("parents have changed") };
    assert_eq!((failure.guard, failure.check, failure.subject), (Guard::Findings, Check::Reparented, None));
}

#[test]
fn a_subject_that_was_seen_again_is_not_blind() {
    let mut gone = Traffic::new(9, 300, healthy(), Behaviour { blind: 1.0, ..healthy() });
    let mut judge = Judge::new(config());
    // Ten seconds of absence while the candidate started, then nothing unseen for an hour.
    (0..3).for_each(|_| judge.observe(&gone.batch(0.5), None));
    assert!(matches!(judge.assess().verdict, Verdict::Fail(_)));
    gone.green.blind = 0.0;
    (0..1_200).for_each(|_| judge.observe(&gone.batch(0.5), None));
    let verdict = judge.assess().verdict;
    assert!(!matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

#[test]
fn what_is_blind_in_both_is_noise() {
    let gone = Behaviour { blind: 1.0, ..healthy() };
    let mut traffic = Traffic::new(10, 300, gone.clone(), gone);
    let mut config = config();
    config.guards.span_loss = None;
    let mut judge = Judge::new(config);
    for _ in 0..200 {
        judge.observe(&traffic.batch(0.5), None);
        assert!(!matches!(judge.assess().verdict, Verdict::Fail(_)));
    }
}

#[test]
fn only_what_is_worse_by_itself_is_called_so() {
    let log_threshold = libm::log(1.0 / config().false_alarm);
    let (mut beyond_chance, mut worse) = (0, 0);
    for missing in 0..40 {
        let mut judge = Judge::new(config());
        let mut observation = Traffic::new(0, 0, healthy(), healthy()).batch(0.5);
        let arm = ArmCounts { traces: 500, spans_out: 3_000, ..ArmCounts::default() };
        observation.arms = PerEnvironment { blue: arm.clone(), green: arm };
        observation.arms.green.events.insert(Check::LostSpan, 200);
        observation.arms.green.events.insert(Check::MissingAttribute, missing);
        judge.observe(&observation, None);
        let assessment = judge.assess();
        let Verdict::Fail(failure) = assessment.verdict else { panic!("200 of 500 traces lose spans") };
        let is_worse = failure.alarmed.contains(&Check::MissingAttribute);
        let findings = assessment.guards.iter().find(|it| it.guard == Guard::Findings).unwrap();
        assert_eq!(findings.worse, if is_worse { vec![Check::MissingAttribute] } else { vec![] });
        worse += u64::from(is_worse);
        beyond_chance += u64::from(judge.rates[&Check::MissingAttribute].log_against() >= log_threshold);
    }
    // Of eleven metrics one alone must show more than 1/falseAlarm.
    assert!(0 < worse && worse < beyond_chance, "{worse} of {beyond_chance}");
}
