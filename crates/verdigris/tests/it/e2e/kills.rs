//! Verdigris killed with SIGKILL at random moments of a rollout, and started again: nothing that it acknowledged is
//! lost, and the rollout ends as it would have.

use super::lab::{Lab, Tapping, outcome};
use super::peers::{Processor, Protocol};
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::path::Path;
use verdigris::demo::random::SplitMix64;

/// Kills in one rollout.
const KILLS: usize = 3;

/// A rollout through kills: its exit code, its report, and how many kills came while it was under way.
struct Survived {
    lab: Lab,
    code: i32,
    report: Value,
    kills: usize,
}

/// The number of entries that the ledger's checkpoint is signed over.
fn ledger_size(ledger: &Path) -> Option<u64> {
    std::fs::read_to_string(ledger.join("checkpoint")).ok()?.lines().nth(1)?.parse().ok()
}

/// Kills the server at moments that the seed chooses: each comes 1 to `most_records` records after the start before it.
fn roll_out_through_kills(green: Processor, seed: u64, most_records: u64) -> Survived {
    let mut random = SplitMix64::new(seed);
    let mut lab = Lab::open(green, Tapping::Copy, &[Protocol::Grpc]);
    let ledger = lab.server.ledger();
    // Counted from before the rollout, so that the first kill does not come later for a machine that is slow to look.
    let mut began = ledger_size(&ledger).expect("a ledger has a checkpoint");
    let mut watching = lab.start_rollout();
    lab.server.eventually_reports("the rollout to be there", seconds(30), |report| report["rollout"].is_string());
    let mut kills = 0;
    while kills < KILLS {
        let moment = began + 1 + random.below(most_records);
        let in_time = eventually("the moment of the kill", seconds(120), || {
            let ended = watching.ended().map(|_| false);
            ended.or_else(|| ledger_size(&ledger).filter(|size| *size >= moment).map(|_| true))
        });
        if !in_time {
            break;
        }
        lab.server.kill_and_start();
        kills += 1;
        began = ledger_size(&ledger).expect("a ledger has a checkpoint");
    }
    let (code, report) = outcome(watching);
    Survived { lab, code, report, kills }
}

#[test]
fn a_healthy_green_is_promoted_through_three_kills_and_no_acknowledged_span_is_lost() {
    let Survived { mut lab, code, report, kills } = roll_out_through_kills(Processor::None, 41, 18);
    assert_eq!(report["progress"], "promoted", "after {kills} kills: {report}");
    assert_eq!(code, 0, "the exit code of a promotion");
    assert_eq!(kills, KILLS, "every kill came while the rollout was under way: {report}");
    lab.ledger_holds();
    lab.every_acknowledged_span_was_delivered();
}

#[test]
fn a_green_with_a_blind_spot_is_rolled_back_through_kills() {
    let Survived { mut lab, code, report, kills } =
        roll_out_through_kills(Processor::DropService("cartservice"), 42, 6);
    assert_eq!(report["progress"], "rolledBack", "after {kills} kills: {report}");
    assert_eq!(code, 3, "the exit code of a rollback");
    assert_eq!(report["cause"]["guard"], "blindSpots", "{report}");
    assert!(kills > 0, "a kill came while the rollout was under way: {report}");
    lab.ledger_holds();
    lab.every_acknowledged_span_was_delivered();
}
