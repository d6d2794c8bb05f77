//! A metric from outside: a source that comes and goes, and a green that is worse by it.

use super::script::{PLAN, Run, check, transcript};
use crate::{Event, Halt, Phase, report};
use model::{Measurement, PerEnvironment, UnixMillis};

const METRICS: &str = r#"
    metrics:
      - name: checkout-errors
        prometheus: { url: "http://127.0.0.1:9090" }
        events: 'sum(http_requests_total{env="{{environment}}",code=~"5.."})'
        total: 'sum(http_requests_total{env="{{environment}}"})'
        every: 1s
        worseThanActiveBy: 5%
"#;

/// The plan of the other scripts with the metric, and `onError` as it is given.
pub(super) fn plan(on_error: &str) -> String {
    let findings = "    findings: { worseThanActiveBy: 1% }\n";
    assert!(PLAN.contains(findings));
    let metrics = format!("{METRICS}        onError: {on_error}\n");
    PLAN.replace(findings, &format!("{findings}{metrics}"))
}

const MIRRORING: &str = "apply; gate pass; approve bob; apply; ";
const UNPROVED: &str = "apply; gate pass; approve bob; apply; measured 1; good 11; apply; ";
const ANALYSING: &str = "apply; gate pass; approve bob; apply; measured 12; apply; ";

#[test]
fn a_source_that_goes_away_holds_and_goes_on_when_it_is_back() {
    insta::assert_snapshot!(transcript(
        &plan("hold"),
        "
        apply
        gate pass
        approve bob
        apply
        measured 12
        apply
        down
        good 3
        promote alice
        resume alice
        down
        down refused
        measured 8
        apply
    "
    ));
}

#[test]
fn a_green_that_is_worse_by_the_metric_is_rolled_back_by_its_name() {
    insta::assert_snapshot!(transcript(&plan("hold"), &format!("{ANALYSING}; worse 60; apply")));
    check(&plan("ignore"), &format!("{MIRRORING}; worse 20; apply"), "rolled back: metrics.checkout-errors");
}

#[test]
fn the_plan_says_what_follows_a_source_that_fails() {
    check(&plan("hold"), &format!("{ANALYSING}down"), "held at step 5: the source of metric checkout-errors fails");
    let finding = "rolled back: metrics.checkout-errors: its source fails, and the plan says to roll back then";
    check(&plan("rollback"), &format!("{ANALYSING}down; apply"), finding);
    // Without it the others decide.
    check(&plan("ignore"), &format!("{ANALYSING}down; good 30"), "step 6 of 9: setWeight 50%");
    // A source that fails before there is any traffic is known before there is any.
    check(&plan("hold"), "apply; down", "held at step 1: the source of metric checkout-errors fails");
}

#[test]
fn a_critical_metric_must_be_proved() {
    check(&plan("hold"), &format!("{UNPROVED}good 20"), "step 5 of 9");
    check(&plan("hold"), &format!("{UNPROVED}measured 40"), "step 6 of 9: setWeight 50%");
    let watched = plan("hold").replace("every: 1s", "every: 1s\n        critical: false");
    check(&watched, &format!("{MIRRORING}measured 1; good 11; apply; good 6"), "step 6 of 9: setWeight 50%");
}

#[test]
fn whoever_says_nothing_at_all_fails_too() {
    // Three intervals and half a minute.
    check(&plan("hold"), "apply; wait 33", "step 1 of 9");
    check(&plan("hold"), "apply; wait 34", "held at step 1: the source of metric checkout-errors fails");
    check(&plan("hold"), "apply; wait 34; measured 1", "step 1 of 9");
    check(&plan("hold"), "apply; wait 30; restart; wait 10", "step 1 of 9");
}

#[test]
fn nobody_goes_on_past_a_source_that_fails() {
    let refusal =
        "the source of metric checkout-errors fails: mend it, and the rollout goes on by itself, or roll back";
    for command in ["resume", "promote"] {
        check(&plan("hold"), &format!("{ANALYSING}down; {command} alice"), &format!("refused {command}: {refusal}"));
    }
    check(&plan("hold"), &format!("{ANALYSING}down; pause alice"), "refused pause: it stands still already");
    check(&plan("hold"), &format!("{ANALYSING}pause alice; down"), "paused by alice at step 5");
    let held = "held at step 5: the source of metric checkout-errors fails";
    check(&plan("hold"), &format!("{ANALYSING}pause alice; down; resume alice"), held);
    check(&plan("hold"), &format!("{ANALYSING}pause alice; down; measured 1; resume alice"), "step 5 of 9");
    check(&plan("hold"), &format!("{ANALYSING}down; rollback alice; apply"), "rolled back: operator");
}

#[test]
fn the_time_of_a_hold_does_not_count() {
    let run = |script: &str| {
        let mut run = Run::start(&plan("hold"));
        script.split(';').map(str::trim).filter(|line| !line.is_empty()).for_each(|line| run.take(line));
        report(&run.state, run.now)
    };
    let before = run(&format!("{UNPROVED}down"));
    assert_eq!(before.time_left_ms, None);
    assert!(!before.needs_person, "it ends by itself");
    assert!(before.waits_for[0].contains("does not accept connections"), "{before:?}");
    let after = run(&format!("{UNPROVED}down; good 40; measured 1"));
    assert_eq!(
        (after.headline.as_str(), after.time_left_ms),
        ("step 5 of 9: analysis until conclusive, at most 1m", Some(60_000))
    );
}

#[test]
fn what_was_counted_across_a_shift_or_a_silence_is_no_evidence() {
    let mut run = Run::start(&plan("hold"));
    for line in ["apply", "gate pass", "approve bob", "apply"] {
        run.take(line);
    }
    let read = |run: &mut Run, after_s: u64, (events, total): (f64, f64)| {
        run.now = run.now.plus_ms(after_s * 1_000);
        let counters =
            PerEnvironment { blue: model::Counters { events: 0.0, total }, green: model::Counters { events, total } };
        let measurement = Measurement::Read(model::Reading { at: run.now, counters });
        run.happen(Event::Measured { metric: "checkout-errors".to_owned(), measurement });
        let units = run.state.assessment.as_ref().map(|it| it.guards.last().unwrap().candidate.traces);
        units.unwrap_or_default()
    };
    // Not before an interval has passed since the mirror began.
    assert_eq!(read(&mut run, 0, (0.0, 100.0)), 0);
    assert_eq!(read(&mut run, 1, (0.0, 200.0)), 0, "it only begins");
    assert_eq!(read(&mut run, 1, (0.0, 300.0)), 100);
    assert_eq!(read(&mut run, 4, (400.0, 700.0)), 100, "more than three intervals");
    assert_eq!(read(&mut run, 1, (400.0, 800.0)), 200);
    assert_eq!(read(&mut run, 1, (0.0, 10.0)), 200, "a counter that was started again");
    assert_eq!(read(&mut run, 1, (0.0, 30.0)), 220);
    // What cannot be is said, and ends with the next reading.
    assert_eq!(read(&mut run, 1, (100.0, 40.0)), 220);
    assert!(
        matches!(run.state.phase, Phase::Progressing { halt: Some(Halt::Held { .. }), .. }),
        "{:?}",
        run.state.phase
    );
    assert_eq!(read(&mut run, 1, (100.0, 60.0)), 240);
    assert!(matches!(run.state.phase, Phase::Progressing { halt: None, .. }), "{:?}", run.state.phase);
}

#[test]
fn what_comes_for_no_metric_or_after_the_end_changes_nothing() {
    let mut run = Run::start(&plan("hold"));
    ["apply", "gate fail", "apply"].iter().for_each(|line| run.take(line));
    let before = run.state.clone();
    for metric in ["checkout-errors", "nobody"] {
        run.happen(Event::Measured { metric: metric.to_owned(), measurement: Measurement::failed("no") });
    }
    assert_eq!(run.state, before);
}

/// These bytes are in ledgers.
#[test]
fn a_measurement_as_it_is_recorded() {
    let counters = PerEnvironment::from_fn(|_| model::Counters { events: 0.1, total: 9_007_199_254_740_992.0 });
    let read = Measurement::Read(model::Reading { at: UnixMillis(1_700_000_000_123), counters });
    for (measurement, expected) in [
        (
            read,
            r#"{"measured":{"measurement":{"read":{"at":1700000000123,"counters":{"blue":{"events":0.1,"total":9007199254740992},"green":{"events":0.1,"total":9007199254740992}}}},"metric":"a"}}"#,
        ),
        (
            Measurement::failed("no answer"),
            r#"{"measured":{"measurement":{"failed":{"reason":"no answer"}},"metric":"a"}}"#,
        ),
    ] {
        let event = Event::Measured { metric: "a".to_owned(), measurement };
        let bytes = serde_json_canonicalizer::to_vec(&event).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        assert_eq!(serde_json::from_slice::<Event>(&bytes).unwrap(), event);
    }
    let long = Measurement::failed(&"ä".repeat(1_000));
    assert!(
        matches!(long, Measurement::Failed { reason } if reason.chars().count() == model::MAX_SOURCE_REASON_CHARACTERS)
    );
}
