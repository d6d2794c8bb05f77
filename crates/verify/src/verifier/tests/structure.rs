//! The tree that came out beside the one that was sent.

use super::*;
use crate::subject::CallCount;

#[test]
fn spans_that_are_their_own_ancestors_are_a_cycle() {
    check(
        "10000 green ack a1\n 10000 green ack a2 parent=1\n 10000 green ack a3 parent=2\n 10000 green ack a4 parent=3
         10001 green out a1\n 10001 green out a2 parent=3\n 10001 green out a3 parent=2\n 10001 green out a4 parent=3",
        "10 green: traces 1, 4/4 out, 1 timed, Reparented 1, Cycle 1
         - Reparented shop pay traces 0:1 spans 0:1 like a
         - Cycle shop pay traces 0:1 spans 0:1 like a",
    );
    // As it was sent: no matter of the pipeline.
    check(
        "10000 green ack a1 parent=2\n 10000 green ack a2 parent=1\n 10001 green out a1 parent=2\n 10001 green out a2 parent=1",
        "10 green: traces 1, 2/2 out, 1 timed",
    );
}

#[test]
fn the_only_span_that_becomes_a_root_is_none_of_many() {
    check(
        "10000 green ack a2 parent=1\n 10001 green out a2",
        "10 green: traces 1, 1/1 out, 1 timed, Reparented 1
         - Reparented shop pay traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn a_span_that_comes_out_in_another_trace_splits_its_own() {
    check(
        "10000 green ack a1\n 10000 green ack a2 parent=1\n 10001 green out a1\n 10001 green out b2 ids=a parent=1",
        "10 green: traces 2, 1/2 out, 0 timed, 1 unfinished, LostSpan 1, SplitTrace 1
         - LostSpan shop pay traces 0:1 spans 0:1 like a
         - SplitTrace shop pay traces 0:1 spans 0:1 like b",
    );
    // Within some batches.
    check(
        "10000 green ack a1\n 10000 green ack a2 parent=1\n 10001 green out a1\n 12001 green out b2 ids=a parent=1",
        "10 green: traces 1, 1/2 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop pay traces 0:1 spans 0:1 like a
         12 green: traces 1, 0/0 out, 0 timed, SplitTrace 1
         - SplitTrace shop pay traces 0:1 spans 0:1 like b",
    );
}

#[test]
fn a_call_between_services_that_never_call_each_other_is_new() {
    let sent = "10000 green ack a1 service=web\n 10000 green ack a2 parent=1 service=shop\n 10000 green ack a3 parent=2 service=db
                10001 green out a1 service=web\n 10001 green out a2 parent=1 service=shop\n";
    check(
        &format!("{sent} 10001 green out a3 parent=1 service=db"),
        "10 green: traces 1, 3/3 out, 1 timed, Reparented 1, NewDependency 1
         - Reparented db pay traces 0:1 spans 0:1 like a
         - NewDependency db pay [from web] traces 0:1 spans 0:1 like a
         - unseen shop -> db 0/0:1/1 ever 0/0:1/1 like a",
    );
    // Another trace has that call.
    check(
        &format!(
            "{sent} 10001 green out a3 parent=1 service=db
             10000 blue ack b1 service=web\n 10000 blue ack b2 parent=1 service=db
             10001 blue out b1 service=web\n 10001 blue out b2 parent=1 service=db"
        ),
        "10 blue: traces 1, 2/2 out, 1 timed
         10 green: traces 1, 3/3 out, 1 timed, Reparented 1
         - Reparented db pay traces 0:1 spans 0:1 like a
         - unseen shop -> db 0/0:1/1 ever 0/0:1/1 like a",
    );
}

#[test]
fn a_service_whose_clock_is_moved_leaves_its_parent() {
    let sent = "10000 green ack a1 service=web at=5000+90000\n 10000 green ack a2 parent=1 service=db at=9000+9000
                10001 green out a1 service=web at=5000+90000\n";
    check(
        &format!("{sent} 10001 green out a2 parent=1 service=db at=1000+9000"),
        "10 green: traces 1, 2/2 out, 1 timed, ClockSkew 1
         - ClockSkew db pay traces 0:1 spans 0:1 like a",
    );
    // Still within its parent, or not as long any more: times that changed.
    for at in ["8000+9000", "1000+9009"] {
        check(
            &format!("{sent} 10001 green out a2 parent=1 service=db at={at}"),
            "10 green: traces 1, 2/2 out, 1 timed, ChangedTime 1
             - ChangedTime db pay traces 0:1 spans 0:1 like a",
        );
    }
}

#[test]
fn calls_are_counted_since_the_start_as_they_were_sent_and_as_they_came_out() {
    let trace = |environment: &str, id: char, at: u64, out: bool| {
        let call =
            if out { format!("{} {environment} out {id}2 parent=1 service=db\n", at + 1) } else { String::new() };
        format!(
            "{at} {environment} ack {id}1 service=web\n {at} {environment} ack {id}2 parent=1 service=db\n
             {} {environment} out {id}1 service=web\n {call}",
            at + 1
        )
    };
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let traces = [
        ('a', "blue", 10_000, true),
        ('b', "blue", 11_000, true),
        ('c', "green", 11_000, false),
        ('d', "green", 12_000, true),
    ];
    for (id, environment, at, out) in traces {
        play(&mut verifier, &trace(environment, id, at, out));
    }
    assert_eq!(verifier.calls(9).calls, [], "no batch is closed so far");
    verifier.advance(UnixMillis(60_000));
    let (sent, out) = (PerEnvironment { blue: 2, green: 2 }, PerEnvironment { blue: 2, green: 1 });
    let call = CallCount { from: "web".to_owned(), to: "db".to_owned(), sent, out };
    assert_eq!(verifier.calls(9), CallCounts { traces: sent, calls: vec![call], left_out: 0 });
    assert_eq!(verifier.calls(0), CallCounts { traces: sent, calls: Vec::new(), left_out: 1 });
}
