//! What a judge keeps: its bytes, how many they are, and that a batch adds none.

use super::simulation::{Behaviour, Traffic, config};
use crate::Judge;
use model::{
    ArmCounts, BasisPoints, BlindSpotCount, Check, ExponentialHistogram, Observation, PerEnvironment, Subject,
};

fn busy() -> Behaviour {
    Behaviour { blind: 0.2, ..Behaviour::healthy().with(Check::ErrorSpan, 0.03).with(Check::LostSpan, 0.01) }
}

/// A batch by hand, so that nothing but the judge changes its bytes.
fn by_hand(batch: u64, green: u64, blue: u64) -> Observation {
    let arm = |traces: u64, lost: u64| ArmCounts {
        traces,
        assigned: traces,
        events: [(Check::LostSpan, lost), (Check::ErrorSpan, traces / 20)].into(),
        spans_acknowledged: traces * 6,
        spans_out: traces * 6 - lost,
        latency_us: ExponentialHistogram([(110, traces / 2), (115, traces - traces / 2 - lost)].into()),
        unfinished: lost,
        slowest: None,
    };
    let mut observation = Traffic::new(0, 0, busy(), busy()).batch(0.5);
    observation.batch = batch;
    observation.arms = PerEnvironment { blue: arm(blue, blue / 100), green: arm(green, green / 50) };
    observation.blind_spots = vec![BlindSpotCount {
        subject: Subject::Edge { from: "checkout".into(), to: "payment".into() },
        traces: PerEnvironment { blue: blue / 10, green: green / 10 },
        unseen: PerEnvironment { blue: 0, green: green / 20 },
        traces_ever: PerEnvironment { blue: batch * blue / 10, green: batch * green / 10 },
        unseen_ever: PerEnvironment { blue: 0, green: batch * green / 20 },
        example: None,
    }];
    observation
}

/// The format of the state: whoever changes these bytes changes what evidence blobs hold.
#[test]
fn golden_bytes() {
    let mut judge = Judge::new(config());
    for batch in 1..=4 {
        judge.observe(&by_hand(batch, 200, 300), BasisPoints::new(4_000));
    }
    judge.observe(&by_hand(5, 500, 0), None);
    let text = serde_json::to_string(&judge).unwrap();
    insta::assert_snapshot!("state", text);
    assert_eq!(serde_json::from_str::<Judge>(&text).unwrap(), judge);
}

#[test]
fn the_state_is_bounded() {
    let mut traffic = Traffic::new(22, 300, busy(), busy());
    let mut judge = Judge::new(config());
    for number in 0..200 {
        let mut observation = traffic.batch(0.5);
        let name = |of: &str| format!("{of}-{number:03}-{}", "x".repeat(112));
        let sent = PerEnvironment { blue: 999_999_999, green: 999_999_999 };
        observation.blind_spots.push(BlindSpotCount {
            subject: Subject::Operation { service: name("service"), operation: name("operation"), kind: 3 },
            traces: PerEnvironment { blue: 10, green: 10 },
            unseen: PerEnvironment { blue: 1, green: 7 },
            traces_ever: sent,
            unseen_ever: sent,
            example: None,
        });
        judge.observe(&observation, BasisPoints::new(number / 4 * 100 + 1));
    }
    let bytes = serde_json::to_string(&judge).unwrap().len();
    assert!(bytes > 100_000, "128 subjects are kept: {bytes}");
    assert!(bytes <= Judge::MAX_STATE_BYTES, "{bytes}");
    let without_subjects = Judge::new(config());
    assert!(serde_json::to_string(&without_subjects).unwrap().len() < 32_768);
}

#[test]
fn a_batch_allocates_nothing_once_its_subjects_and_quantiles_are_known() {
    let mut traffic = Traffic::new(23, 300, busy(), busy());
    let mut judge = Judge::new(config());
    for _ in 0..20 {
        judge.observe(&traffic.batch(0.5), BasisPoints::new(5_000));
    }
    let batches: Vec<_> = (0..50).map(|number| traffic.batch(if number < 40 { 0.5 } else { 1.0 })).collect();
    assert!(batches.iter().any(|batch| !batch.blind_spots.is_empty()));
    let counted = allocation_counter::measure(|| {
        for batch in &batches {
            judge.observe(batch, BasisPoints::new(5_000));
        }
    });
    assert_eq!(counted.count_total, 0);
    let counts = allocation_counter::measure(|| drop(judge.clone()));
    assert!(counts.count_total > 0, "allocations are counted");
}
