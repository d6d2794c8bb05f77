//! Blue against blue.

use super::simulation::{Behaviour, Traffic, config, latency};
use crate::{BlindSpots, Config, Guards, Judge, NoiseAssessment, NoiseFloor, SpanLoss, Verdict};
use model::{Check, Observation, PerEnvironment};

/// Blue of `traffic` with its half: both behave as the traffic's two environments do.
fn batch(traffic: &mut Traffic, share: f64) -> Observation {
    let mut observation = traffic.batch(share);
    let half = observation.arms.green.clone();
    observation.arms.blue.add(&half);
    observation.blue_half = Some(half);
    observation
}

fn usual() -> Behaviour {
    Behaviour::healthy().with(Check::ErrorSpan, 0.02).with(Check::LostSpan, 0.01).with(Check::Orphan, 0.005)
}

fn compared(half: Behaviour, rest: Behaviour, batches: u64) -> NoiseFloor {
    let mut traffic = Traffic::new(5, 200, rest, half);
    let mut noise = NoiseFloor::new(&config());
    (0..batches).for_each(|_| noise.observe(&batch(&mut traffic, 0.5)));
    noise
}

#[test]
fn halves_that_differ_alarm_in_either_direction_and_say_how() {
    let lossy = usual().with(Check::LostSpan, 0.1);
    let slow = Behaviour { latency: latency(1.5), ..usual() };
    let refusing = usual().with(Check::ExportFailure, 0.1);
    for (other, words) in
        [(lossy, "lost spans: "), (slow, "slow pipeline: "), (refusing, "refused or failed exports: ")]
    {
        for (half, rest) in [(usual(), other.clone()), (other.clone(), usual())] {
            let assessment = compared(half, rest, 60).assess();
            assert!(assessment.alarmed, "{assessment:#?}");
            assert!(assessment.differences[0].starts_with(words), "{assessment:#?}");
            assert!(assessment.words.ends_with(&assessment.differences[0]), "{assessment:#?}");
        }
    }
}

/// A candidate may be worse within what the plan tolerates; a half may not.
#[test]
fn what_a_candidate_may_be_a_half_may_not() {
    let mut tolerant = config();
    tolerant.guards.span_loss = Some(SpanLoss { at_most: 0.5 });
    tolerant.guards.latency = None;
    let mut noise = NoiseFloor::new(&tolerant);
    let mut judge = Judge::new(tolerant);
    let mut traffic = Traffic::new(6, 200, usual(), usual().with(Check::LostSpan, 0.1));
    for _ in 0..60 {
        let halves = batch(&mut traffic, 0.5);
        judge.observe(&Observation { blue_half: None, ..halves.clone() }, None);
        noise.observe(&halves);
    }
    assert!(!matches!(judge.assess().verdict, Verdict::Fail(_)));
    assert!(noise.assess().alarmed);
}

/// Looked at after every batch, over guards that all have something to count, in halves that are alike.
#[test]
fn a_sound_measurement_seldom_alarms() {
    let (runs, mut alarms) = (200, 0);
    let mut config = config();
    config.false_alarm = 0.05;
    for seed in 0..runs {
        let mut traffic = Traffic::new(3_000 + seed, 200, usual(), usual());
        let mut noise = NoiseFloor::new(&config);
        let ever = (0..80).any(|_| {
            noise.observe(&batch(&mut traffic, 0.5));
            noise.assess().alarmed
        });
        alarms += u64::from(ever);
    }
    // 10 are expected at most, and three standard deviations are 9.
    assert!(alarms <= 19, "{alarms} of {runs} alarmed");
}

#[test]
fn it_says_how_much_was_compared() {
    let words = |noise: &NoiseFloor| noise.assess().words;
    let mut noise = NoiseFloor::new(&config());
    assert_eq!(words(&noise), "blue against blue: no traces yet");
    let mut traffic = Traffic::new(7, 200, usual(), usual());
    let without = Observation { blue_half: None, ..batch(&mut traffic, 0.5) };
    noise.observe(&without);
    assert_eq!(words(&noise), "blue against blue: no traces yet", "green is not looked at");
    noise.observe(&Observation { arms: PerEnvironment::default(), ..batch(&mut traffic, 0.5) });
    assert_eq!(words(&noise), "blue against blue: no traces yet (the half of batch 2 is no part of it)");
    (0..10).for_each(|_| noise.observe(&batch(&mut traffic, 0.25)));
    let halves = noise.assess().halves;
    assert_eq!(halves[0] + halves[1], 2_000);
    let said =
        format!("blue against blue: {} and 1,{} traces, no difference beyond chance", halves[0], halves[1] % 1_000);
    assert_eq!(words(&noise), said);
}

#[test]
fn a_plan_that_guards_blind_spots_alone_compares_nothing() {
    let guards = Guards { blind_spots: Some(BlindSpots { at_most: 0 }), ..Guards::default() };
    let mut noise = NoiseFloor::new(&Config { guards, ..config() });
    noise.observe(&batch(&mut Traffic::new(8, 200, usual(), usual().with(Check::LostSpan, 1.0)), 0.5));
    let assessment = noise.assess();
    assert!(!assessment.alarmed && assessment.words.contains("nothing that the plan guards can be compared"));
}

#[test]
fn a_batch_is_compared_once_and_json_is_exact() {
    let noise = compared(usual(), usual().with(Check::LostSpan, 0.03), 20);
    let mut traffic = Traffic::new(5, 200, usual(), usual());
    let mut again = noise.clone();
    again.observe(&batch(&mut traffic, 0.5));
    assert_eq!(again, noise);
    let text = serde_json::to_string(&noise).unwrap();
    assert_eq!(serde_json::from_str::<NoiseFloor>(&text).unwrap(), noise);
    let text = serde_json::to_string(&noise.assess()).unwrap();
    assert_eq!(serde_json::from_str::<NoiseAssessment>(&text).unwrap(), noise.assess());
}
