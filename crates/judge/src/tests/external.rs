//! Metrics from outside: what alarms, what is proved, and what a source that fails does to a verdict.

use super::simulation::{Behaviour, Random, Traffic, config};
use crate::{Config, Counts, Guard, Guards, Judge, MetricGuard, Source, Verdict};
use model::{Check, PerEnvironment};

const CHECKOUT: &str = "checkout-errors";

fn metric(name: &str, critical: bool) -> MetricGuard {
    MetricGuard { name: name.to_owned(), worse_than_active_by: 0.01, critical, every_ms: 10_000 }
}

/// The plan has no guard but these metrics.
fn only(metrics: Vec<MetricGuard>) -> Config {
    Config { guards: Guards { metrics, ..Guards::default() }, ..config() }
}

/// So many batches of 500 units in blue and 100 in green, with these chances of an event.
fn measure(judge: &mut Judge, name: &str, batches: u64, seed: u64, (blue, green): (f64, f64)) {
    let mut random = Random::new(seed);
    for _ in 0..batches {
        let mut counts = |traces, chance| Counts { traces, events: random.binomial(traces, chance) };
        let batch = PerEnvironment { blue: counts(500, blue), green: counts(100, green) };
        judge.set_source(name, Source::Well);
        judge.measure(name, &batch).expect("its counts can be");
    }
}

fn measured(metrics: Vec<MetricGuard>, batches: u64, chances: (f64, f64)) -> Judge {
    let mut judge = Judge::new(only(metrics));
    measure(&mut judge, CHECKOUT, batches, 1, chances);
    judge
}

fn missing(judge: &Judge) -> Vec<String> {
    match judge.assess().verdict {
        Verdict::Inconclusive { missing } => missing,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_metric_that_is_worse_fails_by_its_name_with_counts_and_estimate() {
    let judge = measured(vec![metric(CHECKOUT, true)], 20, (0.01, 0.2));
    let assessment = judge.assess();
    let Verdict::Fail(failure) = &assessment.verdict else { panic!("{assessment:#?}") };
    assert_eq!((failure.guard, failure.check), (Guard::Metrics, Check::External));
    assert_eq!((failure.metric.as_deref(), &failure.subject), (Some(CHECKOUT), &None));
    insta::assert_snapshot!(failure.reasons.join("\n"));
    let estimate = failure.estimate;
    assert!((0.1..0.3).contains(&estimate.candidate) && (0.003..0.03).contains(&estimate.active), "{estimate:?}");
    let evidence = &assessment.guards[0];
    assert!(evidence.alarmed && !evidence.proved && evidence.name() == "metrics.checkout-errors", "{evidence:?}");
}

#[test]
fn a_metric_that_is_equal_or_within_its_margin_passes_once_it_is_proved() {
    for chances in [(0.01, 0.01), (0.01, 0.012), (0.0, 0.0)] {
        let judge = measured(vec![metric(CHECKOUT, true)], 300, chances);
        assert_eq!(judge.assess().verdict, Verdict::Pass, "{chances:?}: {:#?}", judge.assess());
    }
}

#[test]
fn a_critical_metric_needs_its_own_proof_and_another_does_not() {
    let loss = Guards { span_loss: config().guards.span_loss, ..Guards::default() };
    for (critical, needs) in [(true, vec!["metrics.checkout-errors: its first reading"]), (false, vec![])] {
        let guards = Guards { metrics: vec![metric(CHECKOUT, critical)], ..loss.clone() };
        let mut judge = Judge::new(Config { guards, ..config() });
        let mut traffic = Traffic::new(5, 300, Behaviour::healthy(), Behaviour::healthy());
        (0..60).for_each(|_| judge.observe(&traffic.batch(0.5), None));
        if needs.is_empty() {
            assert_eq!(judge.assess().verdict, Verdict::Pass);
        } else {
            assert_eq!(missing(&judge), needs);
            measure(&mut judge, CHECKOUT, 2, 3, (0.01, 0.01));
            assert!(missing(&judge)[0].starts_with("metrics.checkout-errors: about "), "{:?}", missing(&judge));
        }
    }
    // Nothing to prove is nothing to pass with.
    let judge = measured(vec![metric(CHECKOUT, false)], 300, (0.01, 0.01));
    assert!(missing(&judge)[0].contains("a critical metric in the plan"), "{:?}", missing(&judge));
}

#[test]
fn a_source_that_fails_is_an_error_and_never_a_fail_nor_a_pass() {
    for chances in [(0.01, 0.2), (0.01, 0.01)] {
        let mut judge = measured(vec![metric(CHECKOUT, true)], 300, chances);
        let before = judge.assess().verdict;
        judge.set_source(CHECKOUT, Source::Failed { reason: "no answer".to_owned() });
        let assessment = judge.assess();
        assert_eq!(assessment.verdict, Verdict::Error { reason: "metric checkout-errors: no answer".to_owned() });
        assert!(assessment.guards[0].words.starts_with("its source fails: no answer; events:"), "{assessment:#?}");
        // The evidence is kept.
        judge.set_source(CHECKOUT, Source::Well);
        assert_eq!(judge.assess().verdict, before);
    }
}

#[test]
fn another_guard_fails_green_although_a_source_fails() {
    let guards = Guards { metrics: vec![metric(CHECKOUT, true)], ..config().guards };
    let mut judge = Judge::new(Config { guards, ..config() });
    judge.set_source(CHECKOUT, Source::Failed { reason: "no answer".to_owned() });
    let lossy = Behaviour::healthy().with(Check::LostSpan, 0.2);
    let mut traffic = Traffic::new(6, 300, Behaviour::healthy(), lossy);
    (0..20).for_each(|_| judge.observe(&traffic.batch(0.5), None));
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("{:#?}", judge.assess()) };
    assert_eq!((failure.check, failure.metric), (Check::LostSpan, None));
}

#[test]
fn a_metric_that_is_left_out_neither_alarms_nor_holds() {
    let mut judge = measured(vec![metric(CHECKOUT, true), metric("fine", true)], 20, (0.01, 0.2));
    judge.set_source(CHECKOUT, Source::LeftOut { reason: "no answer".to_owned() });
    assert_eq!(missing(&judge), ["metrics.fine: its first reading"]);
    let mut random = Random::new(9);
    for _ in 0..300 {
        let mut counts = |traces| Counts { traces, events: random.binomial(traces, 0.01) };
        judge.measure("fine", &PerEnvironment { blue: counts(500), green: counts(100) }).unwrap();
    }
    let assessment = judge.assess();
    assert_eq!(assessment.verdict, Verdict::Pass, "{assessment:#?}");
    assert!(assessment.guards[0].words.starts_with("left out, for its source fails: no answer;"), "{assessment:#?}");
    judge.set_source(CHECKOUT, Source::Well);
    assert!(matches!(judge.assess().verdict, Verdict::Fail(_)));
}

#[test]
fn what_else_is_worse_is_named() {
    let mut judge = measured(vec![metric("other", true), metric(CHECKOUT, true)], 20, (0.01, 0.2));
    measure(&mut judge, "other", 20, 2, (0.01, 0.2));
    let Verdict::Fail(failure) = judge.assess().verdict else { panic!("{:#?}", judge.assess()) };
    assert_eq!(failure.metric.as_deref(), Some("other"));
    assert!(failure.reasons.iter().any(|line| line == "also worse: checkout-errors"), "{failure:#?}");
}

#[test]
fn guards_and_metrics_share_one() {
    let guards = Guards { metrics: vec![metric("a", true), metric("b", false)], ..config().guards };
    let all = Guard::ALL.map(|guard| guards.metric_weight(guard) * guard.checks().len() as f64);
    let sum: f64 = all.iter().sum::<f64>() + 2.0 * guards.metric_weight(Guard::Metrics);
    assert!((sum - 1.0).abs() < 1e-12 && (guards.metric_weight(Guard::Metrics) - 1.0 / 7.0).abs() < 1e-12, "{sum}");
    assert_eq!(config().guards.metric_weight(Guard::Metrics), 0.0);
}

/// A metric that is left out has its weight in e-Holm all the same.
#[test]
fn what_takes_no_part_makes_nobody_else_easier_to_name() {
    let loud = |source: Source| {
        let metrics = [CHECKOUT, "other", "loud"].map(|name| metric(name, true)).to_vec();
        let mut judge = measured(metrics, 5, (0.01, 0.06));
        // So that all metrics together are worse in any case.
        measure(&mut judge, "loud", 20, 2, (0.01, 0.5));
        judge.set_source("other", source);
        judge
    };
    let failed = |judge: &Judge| {
        let mut judge = judge.clone();
        // The chance of a false alarm at which it is just named.
        let named = |judge: &Judge| judge.assess().guards[0].worse == [Check::External];
        let (mut low, mut high) = (-60.0, -0.001);
        for _ in 0..40 {
            let middle: f64 = 0.5 * (low + high);
            judge.config.false_alarm = middle.exp();
            if named(&judge) { high = middle } else { low = middle }
        }
        high
    };
    let (well, left_out) = (loud(Source::Well), loud(Source::LeftOut { reason: "no answer".to_owned() }));
    assert!(failed(&left_out) >= failed(&well), "{} {}", failed(&left_out), failed(&well));
}

#[test]
fn a_judge_begun_anew_knows_its_sources_and_no_counts() {
    let mut judge = measured(vec![metric(CHECKOUT, true), metric("b", true)], 20, (0.01, 0.2));
    judge.set_source("b", Source::Failed { reason: "no answer".to_owned() });
    let mut expected = Judge::new(judge.config().clone());
    expected.set_source(CHECKOUT, Source::Well);
    expected.set_source("b", Source::Failed { reason: "no answer".to_owned() });
    assert_eq!(judge.anew(), expected);
}

#[test]
fn counts_that_cannot_be_change_nothing() {
    let mut judge = measured(vec![metric(CHECKOUT, true)], 3, (0.01, 0.01));
    let before = judge.clone();
    for (events, units) in [(3, 2), (0, u64::MAX)] {
        let bad = Counts { traces: units, events };
        let error = judge.measure(CHECKOUT, &PerEnvironment { blue: Counts::default(), green: bad }).unwrap_err();
        assert!(error.contains("units in green between two readings; expected at most as many"), "{error}");
    }
    judge.measure("nobody", &PerEnvironment::default()).unwrap();
    judge.set_source("nobody", Source::Failed { reason: String::new() });
    assert_eq!(judge, before);
    let twice = Judge::new(only(vec![metric("a", true), metric("a", true)])).assess().verdict;
    assert_eq!(twice, Verdict::Error { reason: "two metrics are called a; expected a name for each".to_owned() });
}

#[test]
fn metrics_survive_json_exactly() {
    let mut judge = measured(vec![metric(CHECKOUT, true), metric("b", false)], 57, (0.01, 0.013));
    judge.set_source("b", Source::LeftOut { reason: "no answer".to_owned() });
    let text = serde_json::to_string(&judge).unwrap();
    let back: Judge = serde_json::from_str(&text).unwrap();
    assert_eq!((&back, back.assess()), (&judge, judge.assess()));
}

/// alpha = 0.01 over three metrics from outside and five guards; of 2,000 equal candidates more than 36 would be failed once in
/// 3,000 runs of this test, were it 0.01 in truth.
#[test]
fn an_equal_candidate_is_seldom_failed_whatever_the_weight_does() {
    let names = ["a", "b", "c"];
    let mut failed = 0;
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let mut judge = Judge::new(only(names.iter().map(|name| metric(name, true)).collect()));
        // No tolerance: every alarm counts.
        judge.config.guards.metrics.iter_mut().for_each(|guard| guard.worse_than_active_by = 0.0);
        let mut alarmed = false;
        for batch in 0..60u64 {
            let (green, chance) = ([1, 5, 25, 50][batch as usize / 15] * 4, 0.02 * (1.0 + batch as f64 / 60.0));
            for name in names {
                let mut counts = |traces| Counts { traces, events: random.binomial(traces, chance) };
                judge.measure(name, &PerEnvironment { blue: counts(400 - green), green: counts(green) }).unwrap();
            }
            let assessment = judge.assess();
            alarmed |= assessment.log_evidence >= assessment.log_threshold;
        }
        failed += u32::from(alarmed);
    }
    assert!(failed <= 36, "{failed} of 2,000 equal candidates");
}
