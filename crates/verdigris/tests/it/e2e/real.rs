//! Rollouts from a real collector to a real collector, with real traces.

use super::lab::{Lab, Tapping, outcome};
use super::peers::{Processor, Protocol};
use crate::wait::seconds;
use serde_json::Value;

fn text<'v>(report: &'v Value, pointer: &str) -> &'v str {
    report.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} in {report}"))
}

/// Runs a rollout to a green with this processor, and holds it to be rolled back by this guard.
fn check_rolled_back(processor: Processor, guard: &str) -> Value {
    let mut lab = Lab::open(processor, Tapping::InLine, &[Protocol::Grpc]);
    let (code, report) = outcome(lab.start_rollout());
    assert_eq!(text(&report, "/progress"), "rolledBack", "{report}");
    assert_eq!(code, 3, "the exit code of a rollback");
    assert_eq!(text(&report, "/cause/guard"), guard, "{report}");
    assert_eq!(report["weightObserved"], 0, "nothing is routed to green any more: {report}");
    lab.ledger_holds();
    lab.every_acknowledged_span_was_delivered();
    report
}

#[test]
fn a_healthy_green_is_promoted_and_no_acknowledged_span_is_lost() {
    let mut lab = Lab::open(Processor::None, Tapping::InLine, &[Protocol::Grpc, Protocol::Http]);
    let (code, report) = outcome(lab.start_rollout());
    assert_eq!(text(&report, "/progress"), "promoted", "{report}");
    assert_eq!(code, 0, "the exit code of a promotion");
    assert_eq!(report["torn"], 0, "no trace was torn: {report}");
    lab.ledger_holds();
    lab.every_acknowledged_span_was_delivered();
}

#[test]
fn a_green_that_drops_the_spans_of_one_service_is_rolled_back_and_the_service_is_named() {
    let report = check_rolled_back(Processor::DropService("cartservice"), "blindSpots");
    assert!(text(&report, "/cause/finding").contains("cartservice"), "{report}");
    assert_eq!(text(&report, "/cause/exampleTrace").len(), 32, "an example trace: {report}");
}

#[test]
fn a_green_that_drops_one_span_in_a_hundred_is_rolled_back_for_span_loss() {
    check_rolled_back(Processor::DropOnePercent, "spanLoss");
}

/// The card number is in the traffic itself; both collectors are real, and blue's masks it.
#[test]
fn a_card_number_that_green_stores_and_blue_masks_rolls_back() {
    let note = Some("paid with 5555 5555 5555 4444");
    let lab = Lab::between(Processor::MaskNote, Processor::None, Tapping::InLine, &[Protocol::Grpc], note);
    let (code, report) = outcome(lab.start_rollout());
    assert_eq!((text(&report, "/progress"), code), ("rolledBack", 3), "{report}");
    assert_eq!(text(&report, "/cause/guard"), "leaks", "{report}");
    let finding = text(&report, "/cause/finding");
    assert!(
        finding.starts_with("green puts out card numbers in clear that blue does not: attribute payment.note"),
        "{report}"
    );
    assert_eq!(report["greenServes"], 0, "before green served anything: {report}");
    let shown = lab.server.ledger_command(&["show"]).expect(0).stdout;
    assert!(!shown.contains("5555 4444"), "no record holds the number");
    lab.ledger_holds();
}

#[test]
fn a_green_that_is_killed_in_the_middle_of_a_step_is_rolled_back() {
    let mut lab = Lab::open(Processor::None, Tapping::InLine, &[Protocol::Grpc]);
    let watching = lab.start_rollout();
    let serves = lab
        .server
        .eventually_reports("green to serve a tenth", seconds(120), |report| report["weightObserved"] == 1_000);
    let seen = serves["observations"].as_u64().expect("a count");
    lab.server.eventually_reports("the step to be under way", seconds(60), |report| {
        report["observations"].as_u64().is_some_and(|now| now >= seen + 3)
    });
    lab.kill_green();
    let (code, report) = outcome(watching);
    assert_eq!(text(&report, "/progress"), "rolledBack", "{report}");
    assert_eq!(code, 3, "the exit code of a rollback");
    let guard = text(&report, "/cause/guard");
    assert!(["errorRate", "spanLoss"].contains(&guard), "{report}");
    assert_eq!(report["weightObserved"], 0, "{report}");
    lab.ledger_holds();
}
