//! A rollout through takeovers: two processes serve for a moment, and what passed one of them is not held against green
//! by the other.

use super::lab::{Lab, Tapping, outcome};
use super::peers::{Processor, Protocol};
use crate::wait::seconds;

/// The process before finishes its requests within 35 s.
const LEAVE_LIMIT: std::time::Duration = seconds(60);

#[test]
fn a_healthy_green_is_promoted_through_takeovers_and_no_acknowledged_span_is_lost() {
    let mut lab = Lab::open(Processor::None, Tapping::InLine, &[Protocol::Grpc, Protocol::Http]);
    let watching = lab.start_rollout();
    for weight in [1_000, 5_000] {
        let what = format!("a weight of {weight}");
        lab.server.eventually_reports(&what, seconds(120), |report| report["weightObserved"] == weight);
        lab.server.take_over().wait(LEAVE_LIMIT).expect(0);
    }
    let (code, report) = outcome(watching);
    assert_eq!(report["progress"], "promoted", "{report}");
    assert_eq!(code, 0, "the exit code of a promotion");
    lab.ledger_holds();
    lab.every_acknowledged_span_was_delivered();
}
