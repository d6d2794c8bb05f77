//! Passes, missing evidence, broken sources, and the value that the judge is.

use super::simulation::{Behaviour, Traffic, config};
use crate::{Config, Guard, Guards, Judge, SpanLoss, Verdict};
use model::{
    ArmCounts, BasisPoints, BlindSpotCount, Check, Environment, ExponentialHistogram, Observation, PerEnvironment,
    Subject, UnixMillis,
};
use proptest::prelude::*;

fn healthy() -> Behaviour {
    Behaviour::healthy().with(Check::ErrorSpan, 0.001)
}

fn run(config: Config, batches: u64, weight: f64, green: Behaviour) -> Judge {
    let mut traffic = Traffic::new(11, 300, healthy(), green);
    let mut judge = Judge::new(config);
    (0..batches).for_each(|_| judge.observe(&traffic.batch(weight), None));
    judge
}

#[test]
fn nothing_seen_is_inconclusive_and_says_what_is_missing() {
    let Verdict::Inconclusive { missing } = Judge::new(config()).assess().verdict else { panic!("nothing was seen") };
    assert_eq!(
        missing,
        [
            // ln 1/0.01 and about ln 2 for the mixture are 5.2 nats, of 0.001 each.
            "spanLoss: 5,219 more traces of the candidate without a loss",
            "errorRate: about 1,200 more traces of the candidate at the active environment's rate",
            "latency: 200 more traces of the active environment, to know its quantiles, and then traces of both",
        ]
    );
}

#[test]
fn an_equal_candidate_passes_and_an_unproved_guard_holds_it() {
    let judge = run(config(), 300, 0.5, healthy());
    let assessment = judge.assess();
    assert_eq!(assessment.verdict, Verdict::Pass, "{assessment:#?}");
    assert!(assessment.guards.iter().filter(|it| it.log_for.is_some()).all(|it| it.proved));
    // At 1 % the candidate has 300 traces after 100 batches: too few for any of the three, whatever the luck.
    let Verdict::Inconclusive { missing } = run(config(), 100, 0.01, healthy()).assess().verdict else {
        panic!("300 traces prove nothing")
    };
    assert_eq!(missing.len(), 3, "{missing:?}");
}

#[test]
fn a_suspected_blind_spot_holds_the_pass() {
    let mut traffic = Traffic::new(15, 300, healthy(), healthy());
    let mut judge = Judge::new(config());
    (0..300).for_each(|_| judge.observe(&traffic.batch(0.5), None));
    let mut observation = traffic.batch(0.5);
    let three = PerEnvironment { blue: 0, green: 3 };
    observation.blind_spots.push(BlindSpotCount {
        subject: Subject::Operation { service: "batch".into(), operation: "nightly".into(), kind: 1 },
        traces: PerEnvironment { blue: 3, green: 3 },
        unseen: three,
        traces_ever: PerEnvironment { blue: 3, green: 3 },
        unseen_ever: three,
        example: None,
    });
    judge.observe(&observation, None);
    let verdict = judge.assess().verdict;
    let line = "blindSpots: more traces of operation nightly of batch, unseen in all 3 traces of the candidate";
    assert_eq!(verdict, Verdict::Inconclusive { missing: vec![line.to_owned()] });
}

#[test]
fn only_what_is_configured_is_needed() {
    let mut only_loss = config();
    only_loss.guards = Guards { span_loss: Some(SpanLoss { at_most: 0.01 }), ..Guards::default() };
    assert_eq!(run(only_loss, 10, 0.5, healthy()).assess().verdict, Verdict::Pass);
    let mut nothing_to_prove = config();
    nothing_to_prove.guards = Guards { blind_spots: config().guards.blind_spots, ..Guards::default() };
    assert!(matches!(run(nothing_to_prove, 10, 0.5, healthy()).assess().verdict, Verdict::Inconclusive { .. }));
}

#[test]
fn what_is_within_the_tolerance_is_said_and_does_not_fail() {
    let mut tolerant = config();
    tolerant.guards.span_loss = Some(SpanLoss { at_most: 0.05 });
    tolerant.guards.latency = None;
    let assessment = run(tolerant, 200, 0.5, healthy().with(Check::LostSpan, 0.01)).assess();
    assert!(assessment.log_evidence > assessment.log_threshold);
    assert_eq!(assessment.verdict, Verdict::Pass);
    let loss = &assessment.guards[0];
    assert!(loss.guard == Guard::SpanLoss && !loss.alarmed && loss.proved);
    assert!(loss.words.contains("the difference is real, and within what the plan tolerates"), "{}", loss.words);
}

#[test]
fn the_bake_compares_with_what_the_active_environment_had() {
    for (green, fails) in [
        (healthy(), false),
        (healthy().with(Check::ErrorSpan, 0.003), false),
        (healthy().with(Check::ErrorSpan, 0.03), true),
        (healthy().with(Check::LostSpan, 0.01), true),
        (healthy().with(Check::ExportFailure, 0.05), true),
        (Behaviour { latency: super::simulation::latency(2.0), ..healthy() }, true),
        (Behaviour { blind: 1.0, ..healthy() }, true),
    ] {
        let mut traffic = Traffic::new(12, 300, healthy(), healthy());
        let mut judge = Judge::new(config());
        (0..100).for_each(|_| judge.observe(&traffic.batch(0.5), None));
        traffic.green = green.clone();
        (0..60).for_each(|_| judge.observe(&traffic.batch(1.0), None));
        let verdict = judge.assess().verdict;
        assert_eq!(matches!(verdict, Verdict::Fail(_)), fails, "{green:?}: {verdict:#?}");
    }
}

#[test]
fn a_loss_within_the_tolerance_is_no_evidence_in_the_bake() {
    let mut tolerant = config();
    tolerant.guards.span_loss = Some(SpanLoss { at_most: 0.01 });
    let mut traffic = Traffic::new(16, 300, healthy(), healthy());
    let mut judge = Judge::new(tolerant);
    (0..100).for_each(|_| judge.observe(&traffic.batch(0.5), None));
    traffic.green.chances.insert(Check::LostSpan, 0.005);
    (0..60).for_each(|_| judge.observe(&traffic.batch(1.0), None));
    let loss = &judge.assess().guards[0];
    assert!(loss.candidate.events > 50 && loss.log_against < 1.0, "{loss:#?}");
}

#[test]
fn a_broken_source_is_an_error_until_it_is_mended() {
    let mut traffic = Traffic::new(13, 300, healthy(), healthy());
    let mut judge = Judge::new(config());
    judge.observe(&traffic.batch(0.5), None);
    let mut broken = traffic.batch(0.5);
    broken.arms.green.events.insert(Check::LostSpan, broken.arms.green.traces + 1);
    judge.observe(&broken, None);
    let Verdict::Error { reason } = judge.assess().verdict else { panic!("more events than traces") };
    assert!(
        reason.starts_with("batch 2 has ") && reason.contains("lost spans") && reason.contains("green"),
        "{reason}"
    );
    judge.observe(&traffic.batch(0.5), None);
    assert!(matches!(judge.assess().verdict, Verdict::Inconclusive { .. }));
    let mut unusable = config();
    unusable.false_alarm = 0.0;
    let Verdict::Error { reason } = Judge::new(unusable).assess().verdict else { panic!("no alarm level") };
    assert_eq!(reason, "falseAlarm is 0; expected more than 0 and less than 1");
}

/// Runs 100 batches at 50 %, of which green is assigned this share.
fn run_split(assigned: f64, green: Behaviour) -> crate::Assessment {
    let mut traffic = Traffic::new(17, 300, healthy(), green);
    let mut judge = Judge::new(config());
    for _ in 0..100 {
        let mut observation = traffic.batch(0.5);
        let of_green = traffic.random.binomial(300, assigned);
        observation.arms.green.assigned = of_green;
        observation.arms.blue.assigned = 300 - of_green;
        judge.observe(&observation, BasisPoints::new(5_000));
    }
    judge.assess()
}

#[test]
fn no_verdict_is_made_from_a_broken_split() {
    for green in [healthy(), healthy().with(Check::LostSpan, 0.05)] {
        let assessment = run_split(0.45, green);
        let split = assessment.assignment.unwrap();
        assert!(split.broken && split.candidate + split.active == 30_000, "{split:?}");
        let Verdict::Error { reason } = assessment.verdict else { panic!("{:?}", assessment.verdict) };
        assert!(reason.starts_with("the split is broken: of 30,000 traces that began at weight 50% the"), "{reason}");
        assert!(reason.contains("was assigned 45 %; over 1,000,000 x likelier broken"), "{reason}");
    }
    assert_eq!(run_split(0.5, healthy()).verdict, Verdict::Pass);
    assert!(matches!(run_split(0.5, healthy().with(Check::LostSpan, 0.05)).verdict, Verdict::Fail(_)));
}

#[test]
fn a_person_may_have_the_split_watched_anew() {
    let mut traffic = Traffic::new(18, 300, healthy(), healthy());
    let mut judge = Judge::new(config());
    let weight = BasisPoints::new(1_000);
    (0..100).for_each(|_| judge.observe(&traffic.batch(0.5), weight));
    assert!(matches!(judge.assess().verdict, Verdict::Error { .. }));
    judge.watch_assignment_anew();
    assert_eq!((judge.assess().verdict, judge.assess().assignment), (Verdict::Pass, None));
}

#[test]
fn a_failure_says_how_large_the_difference_is_and_what_it_took() {
    let mut traffic = Traffic::new(19, 300, healthy().with(Check::LostSpan, 0.001), healthy());
    traffic.green.chances.insert(Check::LostSpan, 0.02);
    let mut judge = Judge::new(config());
    (0..60).for_each(|_| judge.observe(&traffic.batch(0.5), None));
    let assessment = judge.assess();
    let Verdict::Fail(failure) = &assessment.verdict else { panic!("{assessment:?}") };
    assert_eq!(failure.traces, assessment.traces);
    let effect = failure.effect;
    assert_eq!((effect.measure, effect.confidence), (crate::Measure::OddsRatio, 0.95));
    let truth = 0.02 / 0.98 / (0.001 / 0.999);
    assert!(effect.at_least < truth && effect.at_most.is_none_or(|most| most > truth), "{effect:?}");
    assert!(effect.at_least > 3.0, "{effect:?}");
    let words = failure.reasons.join("\n");
    assert!(words.contains("95 % sure that at least") && words.contains("it took "), "{words}");
    assert!(!words.contains("were verified"), "{words}");
    // Where not all can be followed it says so.
    let mut judge = Judge::new(config());
    (0..60).for_each(|number| {
        let verified = BasisPoints::new(if number == 3 { 2_500 } else { 10_000 }).unwrap();
        judge.observe(&Observation { verified, ..traffic.batch(0.5) }, None);
    });
    let assessment = judge.assess();
    let Verdict::Fail(failure) = &assessment.verdict else { panic!("{assessment:?}") };
    assert_eq!(assessment.verified.get(), 2_500);
    let words = failure.reasons.join("\n");
    assert!(words.contains("at the least 25% of the traces were verified"), "{words}");
    // In the bake there is nothing to compare with: the share itself.
    let mut traffic = Traffic::new(20, 300, healthy(), healthy());
    let mut judge = Judge::new(config());
    (0..100).for_each(|_| judge.observe(&traffic.batch(0.5), None));
    traffic.green.chances.insert(Check::LostSpan, 0.02);
    (0..30).for_each(|_| judge.observe(&traffic.batch(1.0), None));
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("a loss of 2 % in the bake") };
    let effect = failure.effect;
    assert_eq!(effect.measure, crate::Measure::Share);
    assert!(effect.at_least < 0.02 && effect.at_most.is_some_and(|most| 0.02 < most && most < 0.04), "{effect:?}");
}

#[test]
fn a_batch_is_judged_once() {
    let mut traffic = Traffic::new(14, 300, healthy(), healthy().with(Check::LostSpan, 0.01));
    let observations: Vec<Observation> = (0..5).map(|_| traffic.batch(0.5)).collect();
    let mut once = Judge::new(config());
    observations.iter().for_each(|it| once.observe(it, None));
    let mut again = once.clone();
    observations.iter().for_each(|it| again.observe(it, None));
    assert_eq!(once, again);
}

#[test]
fn judge_and_assessment_survive_json_exactly() {
    let green = Behaviour { blind: 1.0, ..healthy().with(Check::LostSpan, 0.013) };
    let judge = run(config(), 57, 0.3, green);
    let text = serde_json::to_string(&judge).unwrap();
    let back: Judge = serde_json::from_str(&text).unwrap();
    assert_eq!(back, judge);
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    let assessment = judge.assess();
    assert_eq!(back.assess(), assessment);
    let text = serde_json::to_string(&assessment).unwrap();
    assert_eq!(serde_json::from_str::<crate::Assessment>(&text).unwrap(), assessment);
}

fn hostile_count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0u64..50, Just(1_000_000_000), Just(1_000_000_000_000), Just(u64::MAX), any::<u64>()]
}

fn hostile_arm() -> impl Strategy<Value = ArmCounts> {
    let check = prop::sample::select(Guard::ALL.into_iter().flat_map(|it| it.checks()).copied().collect::<Vec<_>>());
    let events = prop::collection::btree_map(check, hostile_count(), 0..8);
    let latency = prop::collection::btree_map(any::<i32>(), hostile_count(), 0..6);
    (hostile_count(), events, latency, hostile_count(), any::<bool>()).prop_map(
        |(traces, mut events, latency, unfinished, clamp)| {
            if clamp {
                events.values_mut().for_each(|it| *it = (*it).min(traces));
            }
            let latency_us = ExponentialHistogram(latency);
            ArmCounts {
                traces,
                events,
                assigned: traces,
                spans_acknowledged: traces,
                spans_out: unfinished,
                latency_us,
                unfinished,
                slowest: None,
            }
        },
    )
}

fn per_environment<T: std::fmt::Debug>(
    value: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = PerEnvironment<T>> {
    (value.clone(), value).prop_map(|(blue, green)| PerEnvironment { blue, green })
}

fn hostile_spot() -> impl Strategy<Value = BlindSpotCount> {
    let pairs = (hostile_count(), hostile_count(), hostile_count(), hostile_count());
    ("[a-c]", per_environment(pairs.boxed()), any::<bool>()).prop_map(|(service, pairs, clamp)| {
        let bound = |part: u64, whole: u64| if clamp { part.min(whole) } else { part };
        BlindSpotCount {
            subject: Subject::Edge { from: service, to: "x".into() },
            traces: pairs.map(|it| it.0),
            unseen: pairs.map(|it| bound(it.1, it.0)),
            traces_ever: pairs.map(|it| it.2),
            unseen_ever: pairs.map(|it| bound(it.3, it.2)),
            example: None,
        }
    })
}

fn hostile_observation() -> impl Strategy<Value = Observation> {
    let spots = prop::collection::vec(hostile_spot(), 0..4);
    (hostile_count(), per_environment(hostile_arm().boxed()), spots).prop_map(|(batch, arms, blind_spots)| {
        Observation {
            batch,
            assigned_from: UnixMillis(0),
            assigned_until: UnixMillis(0),
            arms,
            blue_half: None,
            left_out: PerEnvironment::default(),
            findings: vec![],
            blind_spots,
            operations: vec![],
            omitted: 0,
            verified: BasisPoints::ALL,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_observation_panics_or_leaves_numbers_that_are_none(
        observations in prop::collection::vec(hostile_observation(), 1..8),
        share in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
    ) {
        let mut config = config();
        config.candidate = Environment::Blue;
        config.guards.span_loss = Some(SpanLoss { at_most: share });
        config.guards.error_rate = Some(crate::ErrorRate { worse_than_active_by: share });
        let mut judge = Judge::new(config);
        for (batch, mut observation) in observations.into_iter().enumerate() {
            observation.batch = batch as u64;
            judge.observe(&observation, None);
            let assessment = judge.assess();
            // Infinities and NaN become null, which is no number to read back.
            let text = serde_json::to_string(&assessment).unwrap();
            prop_assert_eq!(&serde_json::from_str::<crate::Assessment>(&text).unwrap(), &assessment);
            let text = serde_json::to_string(&judge).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Judge>(&text).unwrap(), &judge);
        }
    }
}
