//! The records alone give the state, and a record that does not follow is found.

use super::metrics::plan;
use super::script::{PLAN, Run};
use crate::{Body, Decision, Event, Record, ReplayError, replay};
use model::{BasisPoints, Environment, Routed};
use proptest::prelude::*;

fn recorded(plan: &str, lines: &[String]) -> Run {
    let mut run = Run::start(plan);
    for line in lines {
        run.take(line);
    }
    run
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("apply".to_owned()),
        2 => Just("gate pass".to_owned()),
        1 => Just("gate error".to_owned()),
        1 => Just("stray 9".to_owned()),
        1 => Just("configure sha256:1".to_owned()),
        1 => Just("break-glass carol".to_owned()),
        2 => Just("approve bob".to_owned()),
        1 => Just("pause alice".to_owned()),
        2 => Just("resume alice".to_owned()),
        1 => Just("promote alice".to_owned()),
        1 => Just("restart".to_owned()),
        6 => (1u64..20).prop_map(|n| format!("good {n}")),
        2 => (1u64..4).prop_map(|n| format!("lossy {n}")),
        1 => (1u64..4).prop_map(|n| format!("uneven {n}")),
        2 => (1u64..70).prop_map(|n| format!("wait {n}")),
        4 => (1u64..20).prop_map(|n| format!("measured {n}")),
        1 => (1u64..4).prop_map(|n| format!("worse {n}")),
        1 => Just("down".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn replaying_the_records_gives_the_state(
        lines in proptest::collection::vec(line(), 0..24),
        on_error in proptest::sample::select(vec!["hold", "rollback", "ignore"]),
    ) {
        let run = recorded(&plan(on_error), &lines);
        // Through JSON, as the ledger keeps them.
        let stored: Vec<Record> = run
            .records
            .iter()
            .map(|record| serde_json::from_slice(&serde_json_canonicalizer::to_vec(record).unwrap()).unwrap())
            .collect();
        prop_assert_eq!(&stored, &run.records);
        let replayed = replay(&stored).unwrap();
        prop_assert_eq!(replayed.rollouts.last(), Some(&run.state));
        prop_assert_eq!(replayed.unrecorded(), 0);
        // Traffic never goes to green without an order, and generations only grow.
        let mut generation = 0;
        for record in &stored {
            if let Body::Decided(decision) = &record.body
                && let Decision::ShiftOrdered(shift) = &**decision
            {
                prop_assert!(shift.generation > generation);
                generation = shift.generation;
            }
        }
    }
}

fn ready() -> Vec<Record> {
    recorded(PLAN, &["apply", "gate pass", "approve bob", "apply", "good 12"].map(str::to_owned)).records
}

#[test]
fn a_missing_or_doubled_record_is_found() {
    for at in 1..ready().len() - 1 {
        let mut records = ready();
        records.remove(at);
        assert!(matches!(replay(&records), Err(ReplayError::Gap { .. })), "without record {at}");
        let mut records = ready();
        records.insert(at, records[at].clone());
        assert!(matches!(replay(&records), Err(ReplayError::Gap { .. })), "record {at} twice");
    }
}

#[test]
fn a_decision_that_does_not_follow_is_found() {
    let mut records = ready();
    let at = records.iter().position(|record| matches!(&record.body, Body::Decided(_))).unwrap();
    records[at].body = Body::Decided(Box::new(Decision::PromotionOrdered));
    assert!(matches!(replay(&records), Err(ReplayError::OtherDecision { .. })));
    let mut records = ready();
    let at = records.iter().position(|r| matches!(&r.body, Body::Happened(e) if matches!(**e, Event::Applied { .. })));
    let routed = Routed { active: Environment::Blue, weight: BasisPoints::ZERO, mirror: false, testers: false };
    records[at.unwrap()].body = Body::Happened(Box::new(Event::Applied { generation: 1, torn: 0, routed }));
    assert!(matches!(replay(&records), Err(ReplayError::OtherDecision { .. })));
}

#[test]
fn another_version_is_refused() {
    let mut records = ready();
    records[0].version = 2;
    assert_eq!(replay(&records), Err(ReplayError::Version { sequence: 0, found: 2 }));
}
