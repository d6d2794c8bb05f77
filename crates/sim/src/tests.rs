//! A thousand rollouts and more, each checked after every event; how often good ones are rolled back, and bad ones not.

use crate::{End, Fault, Outcome, Scenario, World, run};
use judge::Guard;
use rollout::Progress;

/// Seeds of any kind that every run of the tests simulates, in two halves for two cores.
const SEEDS: u64 = 275;

/// Judged traces of a broken candidate after which it must have been rolled back. At 25 % of the traffic an event in green
/// alone is an e-value of up to 3.6, in the mirror of 1.9, so 10 to 32 events reach 1/0.001 over five guards and eight
/// alternatives, also if they begin late; a fault of 20 % shows more than that in 250 traces.
const ENOUGH_TRACES: u64 = 250;

fn any(seeds: std::ops::Range<u64>) -> Vec<Outcome> {
    seeds.map(run).collect()
}

fn rolled_back_by_the_judge(end: &End) -> bool {
    matches!(end.progress, Progress::RollingBack | Progress::RolledBack)
        && Guard::ALL.iter().any(|guard| end.guard.as_deref() == Some(guard.name()))
}

/// Every seed's only rollout.
fn ends(seeds: std::ops::Range<u64>, scenario: impl Fn(u64) -> Scenario) -> Vec<(u64, End)> {
    let end = |seed| {
        let outcome = World::new(seed, scenario(seed)).run();
        (seed, outcome.rollouts.into_iter().next().expect("a rollout was started"))
    };
    seeds.map(end).collect()
}

/// The candidate has this fault: wherever enough of it was seen, it is rolled back by the judge.
fn check_rolled_back(seeds: std::ops::Range<u64>, scenario: impl Fn(u64) -> Scenario) {
    let ends = ends(seeds, scenario);
    let back = ends.iter().filter(|(_, end)| rolled_back_by_the_judge(end)).count();
    for (seed, end) in &ends {
        let enough = end.green_traces >= ENOUGH_TRACES && !end.intervened;
        assert!(rolled_back_by_the_judge(end) || !enough, "seed {seed}: not rolled back: {end:?}");
    }
    assert!(back * 10 >= ends.len() * 9, "only {back} of {} were rolled back: {ends:?}", ends.len());
}

#[test]
fn invariants_hold_whatever_happens() {
    let outcomes = any(0..SEEDS);
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    // Otherwise the simulation would not show what it is for.
    assert!(sum(|outcome| outcome.crashes) > SEEDS / 4);
    assert!(sum(|outcome| outcome.tables_refused) > SEEDS / 4);
    assert!(sum(|outcome| outcome.torn) > SEEDS / 10);
    let ended = |progress| outcomes.iter().flat_map(|it| &it.rollouts).filter(|end| end.progress == progress).count();
    assert!(ended(Progress::Promoted) > 15, "{} promoted", ended(Progress::Promoted));
    assert!(ended(Progress::RolledBack) > 60, "{} rolled back", ended(Progress::RolledBack));
}

#[test]
fn invariants_hold_whatever_else_happens() {
    any(SEEDS..2 * SEEDS);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 0..12 {
        let (first, second) = (run(seed), run(seed));
        assert_eq!(first, second);
        assert_ne!(first.root, run(seed + 1_000_000).root);
    }
}

/// A false alarm has a probability of 0.001 in each rollout: of 300 more than 3 would be rolled back once in 3,700 runs.
#[test]
fn a_healthy_candidate_is_not_rolled_back() {
    let ends = ends(0..300, |seed| Scenario::undisturbed(seed, Fault::None));
    let alarms: Vec<_> = ends.iter().filter(|(_, end)| rolled_back_by_the_judge(end)).collect();
    assert!(alarms.len() <= 3, "{} of 300 healthy candidates were rolled back: {alarms:?}", alarms.len());
    // The others still wait for their proof of latency: half a minute is short.
    let promoted = ends.iter().filter(|(_, end)| end.progress == Progress::Promoted).count();
    assert!(promoted >= 100, "only {promoted} of 300 healthy candidates were promoted");
}

#[test]
fn a_strong_fault_is_rolled_back() {
    for fault in [Fault::Loss(0.2), Fault::BlindSpot, Fault::Errors(0.3), Fault::DeadTap, Fault::Crash] {
        check_rolled_back(0..12, |seed| Scenario::undisturbed(seed, fault));
    }
}

#[test]
fn a_fault_that_begins_late_is_rolled_back_through_crashes() {
    for fault in [Fault::Loss(0.3), Fault::BlindSpot, Fault::Errors(0.4)] {
        check_rolled_back(0..12, |seed| Scenario::disturbed(seed, fault));
    }
}
