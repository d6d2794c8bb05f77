//! Verdigris killed with SIGKILL at random moments of a rollout, and started again: nothing that it acknowledged is
//! lost, and the rollout ends as it would have.

use super::lab::{Lab, outcome};
use super::peers::{Processor, Protocol};
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::path::Path;
use verdigris::demo::random::SplitMix64;

/// Kills in one rollout.
const KILLS: u64 = 3;

/// The number of entries that the ledger's checkpoint is signed over.
fn ledger_size(ledger: &Path) -> Option<u64> {
    std::fs::read_to_string(ledger.join("checkpoint")).ok()?.lines().nth(1)?.parse().ok()
}

/// Kills the server at moments that the seed chooses, each some records after the start before it, as far as the rollout
/// still goes on; then holds the outcome to be this one. The number of kills that came in time.
fn check(processor: Processor, seed: u64, most_records: u64, progress: &str, code: i32) -> (u64, Value) {
    let mut random = SplitMix64::new(seed);
    let mut lab = Lab::open(processor, &[Protocol::Grpc]);
    let mut watching = lab.start_rollout();
    lab.server.eventually_reports("the rollout to be there", seconds(30), |report| report["rollout"].is_string());
    let mut kills = 0;
    for _ in 0..KILLS {
        let ledger = lab.server.ledger();
        let began = ledger_size(&ledger).expect("a ledger has a checkpoint");
        let moment = began + 1 + random.below(most_records);
        let in_time = eventually("the moment of the kill", seconds(120), || {
            if watching.ended().is_some() {
                return Some(false);
            }
            ledger_size(&ledger).filter(|size| *size >= moment).map(|_| true)
        });
        if !in_time {
            break;
        }
        lab.server.kill_and_start();
        kills += 1;
    }
    let (ended, report) = outcome(watching);
    assert_eq!(report["progress"], progress, "after {kills} kills: {report}");
    assert_eq!(ended, code, "the exit code");
    lab.ledger_holds();
    lab.every_acknowledged_span_was_delivered();
    (kills, report)
}

#[test]
fn a_healthy_green_is_promoted_through_three_kills_and_no_acknowledged_span_is_lost() {
    let (kills, report) = check(Processor::None, 41, 18, "promoted", 0);
    assert_eq!(kills, KILLS, "every kill came while the rollout was under way: {report}");
    assert_eq!(report["torn"], 0, "no trace was torn: {report}");
}

#[test]
fn a_green_with_a_blind_spot_is_rolled_back_through_kills() {
    let (kills, report) = check(Processor::DropService("cartservice"), 42, 6, "rolledBack", 3);
    assert!(kills > 0, "a kill came while the rollout was under way: {report}");
    assert_eq!(report["cause"]["guard"], "blindSpots", "{report}");
}
