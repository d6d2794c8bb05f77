//! Answers that take long: hand-overs that are told before them.

use super::*;

/// One trace of batch 10, whose only hand-over failed.
const FAILED: &str = "10 green: traces 1, 0/0 out, 0 timed, ExportFailure 1
    - ExportFailure shop pay traces 0:1 spans 0:1 like a";

#[test]
fn a_hand_over_without_an_answer_fails_when_its_batch_closes() {
    // The batch is that of the hand-over; whether something comes out of it changes nothing.
    check("10900 green unanswered a1", FAILED);
    check("10900 green unanswered a1\n 11000 green out a1", FAILED);
    check("11000 green out a1\n 10900 green unanswered a1", FAILED);
    // Among others of the trace, and of the span.
    check(
        "10000 green ack a1 op=get\n 10001 green out a1 op=get\n 10000 green unanswered a2",
        "10 green: traces 1, 1/1 out, 1 timed, ExportFailure 1
         - ExportFailure shop pay traces 0:1 spans 0:1 like a",
    );
    check(
        "10000 green unanswered a1\n 10500 green ack a1\n 10501 green out a1",
        "10 green: traces 1, 1/1 out, 1 timed, ExportFailure 1
         - ExportFailure shop pay traces 0:1 spans 0:1 like a",
    );
    // Handed over too late to be judged.
    check(
        "10000 green ack a1\n 10001 green out a1\n 13001 green unanswered a1\n 13002 green unanswered a2",
        "10 green: traces 1, 1/1 out, 1 timed",
    );
}

#[test]
fn the_answer_to_a_hand_over_that_was_waited_for_is_no_second_hand_over() {
    check(
        "10000 green unanswered a1\n 10000 green ack a1\n 10001 green out a1",
        "10 green: traces 1, 1/1 out, 1 timed",
    );
    check(
        "10000 green unanswered a1\n 10001 green out a1\n 10002 green out a1\n 10000 green ack a1",
        "10 green: traces 1, 1/1 out, 1 timed, DuplicatedSpan 1
         - DuplicatedSpan shop pay traces 0:1 spans 0:1 like a",
    );
    // Sent again at another time, and sent twice by one request.
    for again_ms in [10_000, 10_001] {
        check(
            &format!(
                "10000 green unanswered a1\n {again_ms} green unanswered a1\n {again_ms} green ack a1\n 10000 green ack a1
                 10002 green out a1\n 10003 green out a1"
            ),
            "10 green: traces 1, 1/1 out, 1 timed",
        );
    }
    check("10000 green unanswered a1\n 10000 green refused a1", FAILED);
    check("10000 green unanswered a1\n 10000 green unknown a1", FAILED);
    // Of another span of the trace, or another time, it is another hand-over.
    check(
        "10000 green unanswered a1\n 10000 green ack a2 op=get\n 10001 green ack a1\n 10002 green out a1\n 10002 green out a2 op=get",
        "10 green: traces 1, 2/2 out, 1 timed, ExportFailure 1
         - ExportFailure shop pay traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn an_answer_after_the_closing_of_a_trace_that_was_known_is_late_and_leaves_nothing_out() {
    for (answer, closed) in [("ack", "18000 - advance"), ("unknown", "43000 - advance"), ("refused", "79999 - advance")]
    {
        // Ticks come all the time, and each lets the memory age.
        let ticks: String =
            (18_000..=closed[..5].parse().unwrap()).step_by(50).map(|at| format!("{at} - advance\n")).collect();
        check(&format!("10000 green unanswered a1\n {ticks} 10000 green {answer} a1\n 18001 green out a1"), FAILED);
    }
    // Also where a part of the trace still waits for its own batch.
    check(
        "10000 green unanswered a1\n 15500 green out a2\n 15600 green unanswered a2\n 18000 - advance
         10000 green unknown a1\n 15600 green unknown a2",
        FAILED,
    );
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    play(&mut verifier, "10000 green unanswered a1\n 18000 - advance\n 10000 green unknown a1");
    assert_eq!((verifier.stats().late_spans.green, verifier.stats().left_out.green), (1, 0));
}
