//! What a rollout did over time, from its records.

use super::script::{PLAN, Run, run};
use crate::timeline::{MAX_SHIFTS, MAX_WINDOWS};
use crate::*;
use model::Observation;

const TO_GREEN: &str = "apply; gate pass; approve bob; apply; good 12; apply";

fn timeline(run: &Run) -> TimelineReport {
    let (mut replay, mut timelines) = (Replay::default(), Timelines::default());
    for record in &run.records {
        replay.take(record).unwrap();
        timelines.take(record, replay.rollouts.last());
    }
    timelines.report(&run.state.rollout).unwrap()
}

#[test]
fn evidence_grows_until_it_rolls_back() {
    let run = run(PLAN, &format!("{TO_GREEN}; lossy 9; apply"));
    assert!(matches!(run.state.outcome(), Some(Outcome::RolledBack(_))), "{}", run.text);
    let timeline = timeline(&run);
    let loss = timeline.guards.iter().position(|line| line.guard == "spanLoss").unwrap();
    let against = |window: &WindowReport| window.evidence.guards[loss].against.unwrap();
    let last = timeline.windows.iter().rfind(|window| window.green.traces > 0).unwrap();
    assert!(against(last) >= timeline.guards[loss].threshold_against.unwrap(), "{last:?}");
    assert!(against(&timeline.windows[9]) < 1.0, "{:?}", timeline.windows[9]);
    // 200 traces a second; green loses a fifth of a span of ten.
    assert_eq!(last.blue.traces_per_second, Some(180.0));
    assert_eq!((last.blue.loss, last.green.loss), (Some(0.0), Some(0.02)));
    // Bucket 130 of scale 3 is from 2^16.25 us on; a fifth of green's traces had not come out.
    let middle = 2f64.powf(130.5 / 8.0);
    assert_eq!((last.green.p50_us, last.green.p95_us, last.blue.p99_us), (Some(middle), None, Some(middle)));
    // The state's own last word.
    assert_eq!(last.evidence.all, run.state.assessment.as_ref().map(|it| it.log_evidence));
}

#[test]
fn traffic_is_ordered_and_then_observed() {
    let timeline = timeline(&run(PLAN, &format!("{TO_GREEN}; good 2; rollback alice; apply")));
    let shifts = timeline.shifts.iter().map(|shift| (shift.observed, shift.green.get(), shift.mirror));
    let expected = [
        (false, 0, false),
        (true, 0, false),
        (false, 0, true),
        (true, 0, true),
        (false, 1_000, false),
        (true, 1_000, false),
        (false, 0, false),
        (true, 0, false),
    ];
    assert_eq!(shifts.collect::<Vec<_>>(), expected);
}

#[test]
fn a_long_rollout_has_longer_windows_and_the_same_sums() {
    let mut run = run(PLAN, TO_GREEN);
    let (mut timelines, state) = (Timelines::default(), run.state.clone());
    let start = run.records[0].clone();
    timelines.take(&start, Some(&state));
    let mut traces = 0;
    let record = |body| Record { body, ..start.clone() };
    let observed = |observation: Observation| record(Body::Happened(Box::new(Event::Observed(Box::new(observation)))));
    for _ in 0..MAX_WINDOWS * 5 {
        run.now = run.now.plus_ms(1_000);
        let observation = run.observation("good");
        traces += observation.arms.blue.traces;
        timelines.take(&observed(observation.clone()), Some(&state));
        // What comes twice counts once.
        timelines.take(&observed(observation), Some(&state));
    }
    let table = &state.table;
    for _ in 0..MAX_SHIFTS + 7 {
        timelines.take(&record(Body::Decided(Box::new(Decision::ShiftObserved(Shift::from(table))))), Some(&state));
    }
    let report = timelines.report(&state.rollout).unwrap();
    assert!((MAX_WINDOWS / 2..=MAX_WINDOWS).contains(&report.windows.len()), "{}", report.windows.len());
    assert_eq!(report.windows.iter().map(|window| window.blue.traces).sum::<u64>(), traces);
    assert_eq!(report.whole.as_ref().map(|whole| whole.blue.traces), Some(traces));
    assert!(report.windows.windows(2).all(|pair| pair[0].until <= pair[1].from));
    let lately = report.lately.unwrap();
    assert!((24_000..=30_000).contains(&lately.until.since_ms(lately.from)), "{lately:?}");
    assert_eq!(report.shifts.len(), MAX_SHIFTS);
    assert_eq!(report.shifts[0].green, state.table.weight);
}

#[test]
fn the_newest_rollouts_are_remembered() {
    let run = run(PLAN, "apply");
    let mut timelines = Timelines::default();
    let name = |number: usize| RolloutId(format!("demo.{number}"));
    for number in 0..20 {
        timelines.take(&Record { rollout: Some(name(number)), ..run.records[0].clone() }, None);
    }
    assert!(timelines.report(&name(3)).is_none() && timelines.report(&name(4)).is_some());
}
