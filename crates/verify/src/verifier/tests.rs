use super::*;
use crate::fact::Status;
use model::{Observation, RouteKey, SpanId, Subject};
use std::fmt::Write as _;

mod answers;
mod assigned;
mod bounds;
mod content;
mod reference;
mod roots;
mod script;
mod services;
mod structure;

use script::{Event, Line, parse};

/// Batches of 1 s that close 7 s after their end. Tests that begin at 10 s are past what was in flight at the start.
const CONFIG: Config = Config {
    batch_ms: 1_000,
    linger_ms: 2_000,
    horizon_ms: 5_000,
    max_spans: 10_000,
    max_rate: u64::MAX,
    key: [3; 16],
    route_key: RouteKey([5; 16]),
};

fn play(verifier: &mut Verifier, script: &str) -> Vec<Observation> {
    parse(script).iter().flat_map(|line| apply(verifier, line)).collect()
}

fn apply(verifier: &mut Verifier, line: &Line) -> Vec<Observation> {
    let environment = line.environment;
    match line.event {
        Event::Sent(delivery) => {
            line.with_fact(|fact| verifier.sent(environment, delivery, line.at_ms * 1_000, fact));
        }
        Event::Out => line.with_fact(|fact| verifier.out(environment, line.at_ms * 1_000, fact)),
        Event::LeaveOut => verifier.leave_out(environment, line.trace(), UnixMillis(line.at_ms)),
        Event::Missed => verifier.missed(UnixMillis(line.at_ms)),
        Event::Advance => return verifier.advance(UnixMillis(line.at_ms)),
    }
    Vec::new()
}

/// Plays the script, closes everything, and compares what was observed with the expected lines.
fn check(script: &str, expected: &str) {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let mut observations = play(&mut verifier, script);
    observations.extend(verifier.advance(UnixMillis(60_000)));
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let (found, expected): (Vec<String>, Vec<String>) = (lines(&render(&observations)), lines(expected));
    assert_eq!(found, expected, "\n{}", found.join("\n"));
    assert_eq!(verifier.stats().counted_spans, 0, "everything is closed");
}

/// One line for each arm that counted something, for each finding and each blind spot.
fn render(observations: &[Observation]) -> String {
    let mut text = String::new();
    for observation in observations {
        for environment in Environment::BOTH {
            let (arm, left_out) = (&observation.arms[environment], observation.left_out[environment]);
            if arm.traces + left_out == 0 {
                continue;
            }
            let _ = write!(text, "{} {environment}: traces {}", observation.batch, arm.traces);
            let _ = write!(text, ", {}/{} out", arm.spans_out, arm.spans_acknowledged);
            let latencies: u64 = arm.latency_us.0.values().sum();
            let _ = write!(text, ", {latencies} timed");
            for (count, name) in [(arm.unfinished, "unfinished"), (left_out, "left out")] {
                let _ = if count > 0 { write!(text, ", {count} {name}") } else { Ok(()) };
            }
            for (check, count) in &arm.events {
                let _ = write!(text, ", {check:?} {count}");
            }
            text.push('\n');
        }
        for finding in &observation.findings {
            let key = finding.key.as_ref().map_or(String::new(), |key| format!(" [{key}]"));
            let (traces, spans) = (finding.traces, finding.spans);
            let _ = write!(text, "- {:?} {} {}{key}", finding.check, finding.service, finding.operation);
            let _ = write!(text, " traces {}:{} spans {}:{}", traces.blue, traces.green, spans.blue, spans.green);
            let _ = writeln!(text, " like {}", script::name(finding.example.unwrap()));
        }
        for blind in &observation.blind_spots {
            let subject = match &blind.subject {
                Subject::Operation { service, operation, kind } => format!("{service} {operation} {kind}"),
                Subject::Edge { from, to } => format!("{from} -> {to}"),
            };
            let of = |part: PerEnvironment<u64>, whole: PerEnvironment<u64>| {
                format!("{}/{}:{}/{}", part.blue, whole.blue, part.green, whole.green)
            };
            let (now, ever) = (of(blind.unseen, blind.traces), of(blind.unseen_ever, blind.traces_ever));
            let _ =
                writeln!(text, "- unseen {subject} {now} ever {ever} like {}", script::name(blind.example.unwrap()));
        }
    }
    text
}

#[test]
fn a_span_that_comes_out_as_it_was_sent_shows_nothing() {
    check("10000 green ack a1\n 10500 green out a1", "10 green: traces 1, 1/1 out, 1 timed");
}

#[test]
fn an_acknowledged_span_that_does_not_come_out_is_lost() {
    check(
        "10000 green ack a1\n 10000 green ack a2 parent=1\n 10100 green out a1",
        "10 green: traces 1, 1/2 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop pay traces 0:1 spans 0:1 like a",
    );
    check(
        "10000 green ack a1 op=get\n 10000 green ack a2 op=get",
        "10 green: traces 1, 0/2 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop get traces 0:1 spans 0:2 like a
         - unseen shop get 2 0/0:1/1 ever 0/0:1/1 like a",
    );
}

#[test]
fn the_horizon_decides_what_is_lost() {
    // Batch 10 closes at 18 s: what comes out before is not lost, what comes out after is, and is not fabricated.
    check("10999 green ack a1\n 17999 green out a1", "10 green: traces 1, 1/1 out, 1 timed");
    check(
        "10999 green ack a1\n 17999 - advance\n 18000 - advance\n 18001 green out a1",
        "10 green: traces 1, 0/1 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop pay traces 0:1 spans 0:1 like a
         - unseen shop pay 2 0/0:1/1 ever 0/0:1/1 like a",
    );
}

#[test]
fn a_refused_export_is_a_failure_and_no_loss() {
    check(
        "10000 green refused a1\n 10000 blue ack a1\n 10001 blue out a1",
        "10 blue: traces 1, 1/1 out, 1 timed
         10 green: traces 1, 0/0 out, 0 timed, ExportFailure 1
         - ExportFailure shop pay traces 0:1 spans 0:1 like a",
    );
    // Sent again and taken: it did refuse, and the span is expected now.
    check(
        "10000 green refused a1\n 10500 green ack a1\n 10600 green out a1",
        "10 green: traces 1, 1/1 out, 1 timed, ExportFailure 1
         - ExportFailure shop pay traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn an_export_without_an_answer_may_come_out_or_not() {
    check(
        "10000 green unknown a1\n 10000 green unknown b1\n 10100 green out b1",
        "10 green: traces 2, 0/0 out, 0 timed, ExportFailure 2
         - ExportFailure shop pay traces 0:2 spans 0:2 like a",
    );
}

#[test]
fn errors_are_counted_as_sent_and_listed_last() {
    check(
        "10000 green ack a1 error\n 10000 green ack b1 error\n 10000 green refused b2 error op=get\n 10000 green ack c1
         10001 green out a1 error\n 10001 green out b1 error",
        "10 green: traces 3, 2/3 out, 2 timed, 1 unfinished, LostSpan 1, ExportFailure 1, ErrorSpan 2
         - LostSpan shop pay traces 0:1 spans 0:1 like c
         - ExportFailure shop get traces 0:1 spans 0:1 like b
         - ErrorSpan shop pay traces 0:2 spans 0:2 like a
         - ErrorSpan shop get traces 0:1 spans 0:1 like b
         - unseen shop pay 2 0/0:1/3 ever 0/0:1/3 like c",
    );
}

#[test]
fn more_outputs_than_hand_overs_are_duplicates() {
    check(
        "10000 green ack a1\n 10100 green out a1\n 10200 green out a1",
        "10 green: traces 1, 1/1 out, 1 timed, DuplicatedSpan 1
         - DuplicatedSpan shop pay traces 0:1 spans 0:1 like a",
    );
    for first in ["ack", "unknown", "refused"] {
        let failed = "- ExportFailure shop pay traces 0:1 spans 0:1 like a";
        let (event, finding) = if first == "ack" { ("", "") } else { (", ExportFailure 1", failed) };
        check(
            &format!("10000 green {first} a1\n 10100 green out a1\n 10150 green ack a1\n 10200 green out a1"),
            &format!("10 green: traces 1, 1/1 out, 1 timed{event}\n {finding}"),
        );
    }
}

#[test]
fn client_and_server_spans_may_share_an_id() {
    check(
        "10000 green ack a1 kind=3 op=call\n 10000 green ack a1 kind=2 service=till
         10001 green out a1 kind=3 op=call\n 10001 green out a1 kind=2 service=till",
        "10 green: traces 1, 2/2 out, 1 timed",
    );
}

#[test]
fn what_comes_out_and_was_never_sent_is_fabricated() {
    check(
        "10000 green ack a1\n 10100 green out a1\n 10200 green out a2 op=new",
        "10 green: traces 1, 1/1 out, 1 timed, FabricatedSpan 1
         - FabricatedSpan shop new traces 0:1 spans 0:1 like a",
    );
    // Nothing of the trace was sent: it belongs to the batch in which it came out.
    check(
        "11200 green out b1",
        "11 green: traces 1, 0/0 out, 0 timed, FabricatedSpan 1
         - FabricatedSpan shop pay traces 0:1 spans 0:1 like b",
    );
}

#[test]
fn what_comes_out_late_and_was_not_sent_waits_for_its_own_batch() {
    // Spans of batch 10 are due until 13 s. One that comes out at 15.5 s may be one that was sent late.
    check(
        "10000 green ack a1\n 10100 green out a1\n 15500 green out a2",
        "10 green: traces 1, 1/1 out, 1 timed
         15 green: traces 1, 0/0 out, 0 timed, FabricatedSpan 1
         - FabricatedSpan shop pay traces 0:1 spans 0:1 like a",
    );
    check(
        "10000 green ack a1\n 10100 green out a1\n 15500 green out a2\n 18000 - advance\n 15400 green ack a2",
        "10 green: traces 1, 1/1 out, 1 timed",
    );
}

#[test]
fn a_span_may_come_out_before_it_is_told_that_it_was_sent() {
    check("10100 green out a1\n 9900 green ack a1", "9 green: traces 1, 1/1 out, 1 timed");
    check(
        "10100 green out a1 keys=x\n 9900 green ack a1 keys=x,y",
        "9 green: traces 1, 1/1 out, 1 timed, MissingAttribute 1
         - MissingAttribute shop pay [y] traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn a_child_without_its_parent_is_an_orphan() {
    check(
        "10000 green ack a1 op=get service=web\n 10000 green ack a2 parent=1\n 10100 green out a2 parent=1",
        "10 green: traces 1, 1/2 out, 0 timed, 1 unfinished, LostSpan 1, Orphan 1
         - LostSpan web get traces 0:1 spans 0:1 like a
         - Orphan shop pay [web get] traces 0:1 spans 0:1 like a
         - unseen web get 2 0/0:1/1 ever 0/0:1/1 like a
         - unseen web -> shop 0/0:1/1 ever 0/0:1/1 like a",
    );
    // The parent was never sent here, or went nowhere with its child.
    check("10000 green ack a2 parent=1\n 10100 green out a2 parent=1", "10 green: traces 1, 1/1 out, 1 timed");
    // The parent was sent too late to be judged.
    check(
        "10000 green ack a2 parent=1\n 10100 green out a2 parent=1\n 13001 green ack a1",
        "10 green: traces 1, 1/1 out, 1 timed",
    );
}

#[test]
fn another_parent_than_was_sent_is_reparented() {
    check(
        "10000 green ack a1\n 10000 green ack a2 parent=1\n 10001 green out a1\n 10001 green out a2",
        "10 green: traces 1, 2/2 out, 1 timed, Reparented 1, ManyRoots 1
         - Reparented shop pay traces 0:1 spans 0:1 like a
         - ManyRoots shop pay traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn an_edge_is_seen_only_through_both_ends_and_their_link() {
    let sent =
        "10000 green ack a1 service=web op=get\n 10000 green ack a2 parent=1\n 10001 green out a1 service=web op=get\n";
    check(&format!("{sent} 10001 green out a2 parent=1"), "10 green: traces 1, 2/2 out, 1 timed");
    check(
        &format!("{sent} 10001 green out a2"),
        "10 green: traces 1, 2/2 out, 1 timed, Reparented 1, ManyRoots 1
         - Reparented shop pay traces 0:1 spans 0:1 like a
         - ManyRoots shop pay traces 0:1 spans 0:1 like a
         - unseen web -> shop 0/0:1/1 ever 0/0:1/1 like a",
    );
}

#[test]
fn a_key_that_was_sent_must_come_out() {
    check(
        "10000 green ack a1 keys=x,y,z\n 10000 blue ack b1 keys=x,y,z
         10001 green out a1 keys=w,y\n 10001 blue out b1 keys=w,x,y,z",
        "10 blue: traces 1, 1/1 out, 1 timed, AddedAttribute 1
         10 green: traces 1, 1/1 out, 1 timed, MissingAttribute 1, AddedAttribute 1
         - AddedAttribute shop pay [w] traces 1:1 spans 1:1 like a
         - MissingAttribute shop pay [x] traces 0:1 spans 0:1 like a
         - MissingAttribute shop pay [z] traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn a_resource_must_come_out_as_it_was_sent() {
    check(
        "10000 green ack a1 resource=host.name:h,service.name:shop\n 10001 green out a1 resource=host.name:i,service.name:shop",
        "10 green: traces 1, 1/1 out, 1 timed, ChangedResource 1
         - ChangedResource shop pay [host.name] traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn blind_spots_are_counted_over_batches() {
    check(
        "10000 green ack a1\n 10000 blue ack a1\n 10001 blue out a1\n 11000 green ack b1\n 11001 green out b1
         12000 green ack c1",
        "10 blue: traces 1, 1/1 out, 1 timed
         10 green: traces 1, 0/1 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop pay traces 0:1 spans 0:1 like a
         - unseen shop pay 2 0/1:1/1 ever 0/1:1/1 like a
         11 green: traces 1, 1/1 out, 1 timed
         12 green: traces 1, 0/1 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop pay traces 0:1 spans 0:1 like c
         - unseen shop pay 2 0/0:1/1 ever 0/1:2/3 like c",
    );
}

#[test]
fn what_blue_shows_too_is_counted_beside() {
    check(
        "10000 blue ack a1 keys=x\n 10001 blue out a1\n 10000 green ack b1 keys=x\n 10001 green out b1
         10002 blue ack c1 keys=x\n 10003 blue out c1",
        "10 blue: traces 2, 2/2 out, 2 timed, MissingAttribute 2
         10 green: traces 1, 1/1 out, 1 timed, MissingAttribute 1
         - MissingAttribute shop pay [x] traces 2:1 spans 2:1 like b",
    );
}

#[test]
fn a_trace_that_is_left_out_counts_nowhere_else() {
    check(
        "10000 blue ack a1\n 10001 blue out a1\n 10000 green ack a1\n 10001 green leave-out a1
         10002 green ack a2 error\n 10003 green out a3",
        "10 blue: traces 1, 1/1 out, 1 timed
         10 green: traces 0, 0/0 out, 0 timed, 1 left out",
    );
    // Before anything else of it was told, and after it was closed.
    check(
        "10001 green leave-out a1\n 11000 green ack a1\n 18000 - advance\n 18500 green out a1\n 18500 green leave-out a1",
        "10 green: traces 0, 0/0 out, 0 timed, 1 left out",
    );
}

#[test]
fn late_spans_are_matched_and_not_judged() {
    // Batch 10 is judged with what was sent until 13 s.
    check(
        "10000 green ack a1\n 10001 green out a1\n 13000 green ack a2\n 13001 green ack a3 error\n 13100 green out a3",
        "10 green: traces 1, 1/2 out, 0 timed, 1 unfinished, LostSpan 1
         - LostSpan shop pay traces 0:1 spans 0:1 like a",
    );
    // After it is closed neither what is sent nor what comes out of it is judged.
    check(
        "10000 green ack a1\n 10001 green out a1\n 18000 - advance\n 18001 green ack a2\n 18002 green out a3",
        "10 green: traces 1, 1/1 out, 1 timed",
    );
    // An answer that comes after the batch has closed cannot be judged with its like.
    for out in ["", "18500 green out b1"] {
        check(
            &format!("10000 green ack a1\n 10001 green out a1\n 18000 - advance\n {out}\n 10900 green ack b1"),
            "10 green: traces 1, 1/1 out, 1 timed
             11 green: traces 0, 0/0 out, 0 timed, 1 left out",
        );
    }
}

#[test]
fn what_was_in_flight_at_the_start_is_not_fabricated() {
    check("6999 green out a1", "6 green: traces 0, 0/0 out, 0 timed, 1 left out");
    check("6000 green ack a1\n 6999 green out a1\n 6999 green out a2", "6 green: traces 1, 1/1 out, 1 timed");
    check("6000 green ack a1\n 6998 green out a1\n 6999 green out a1", "6 green: traces 1, 1/1 out, 1 timed");
    check(
        "7000 green out a1",
        "7 green: traces 1, 0/0 out, 0 timed, FabricatedSpan 1
         - FabricatedSpan shop pay traces 0:1 spans 0:1 like a",
    );
}

#[test]
fn lost_views_leave_out_what_was_in_flight() {
    check(
        "10000 green ack a1\n 10001 green out a1\n 11000 blue ack b1\n 12000 - missed\n 12500 green ack c1\n 13000 green ack d1
         13001 green out d1\n 13002 green out e1\n 19000 green out f1",
        "10 green: traces 0, 0/0 out, 0 timed, 1 left out
         11 blue: traces 0, 0/0 out, 0 timed, 1 left out
         12 green: traces 0, 0/0 out, 0 timed, 1 left out
         13 green: traces 1, 1/1 out, 1 timed, 1 left out
         19 green: traces 1, 0/0 out, 0 timed, FabricatedSpan 1
         - FabricatedSpan shop pay traces 0:1 spans 0:1 like f",
    );
}

#[test]
fn the_slowest_span_times_the_trace() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let script =
        "10000 green ack a1\n 10001 green out a1\n 10100 green refused a2\n 10200 green ack a2\n 10264 green out a2
                  10264 green out a2";
    play(&mut verifier, script);
    let observations = verifier.advance(UnixMillis(18_000));
    let mut expected = model::ExponentialHistogram::default();
    crate::record(&mut expected, 64_000);
    assert_eq!(observations[0].arms.green.latency_us, expected);
}

#[test]
fn the_slowest_whole_trace_is_named_and_kept_as_an_example() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let script = "10000 green ack a1
 10001 green out a1
 10100 green ack b1
 10130 green out b1
                  10200 green ack c1
 10202 green out c1
 10300 green ack d1";
    play(&mut verifier, script);
    let slowest = verifier.advance(UnixMillis(18_000))[0].arms.green.slowest.unwrap();
    assert_eq!((slowest.trace, slowest.latency_us), (script::trace('b'), 30_000), "d never came out whole");
    assert!(verifier.example(Environment::Green, slowest.trace).is_some());
}

#[test]
fn every_batch_after_the_first_trace_is_observed() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    assert_eq!(verifier.advance(UnixMillis(9_000_000)), []);
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    play(&mut verifier, "10000 green ack a1\n 13000 green ack b1");
    let numbers = |observations: Vec<Observation>| {
        observations.into_iter().map(|observation| (observation.batch, observation.traces())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(verifier.advance(UnixMillis(17_999))), []);
    assert_eq!(numbers(verifier.advance(UnixMillis(22_000))), [(10, 1), (11, 0), (12, 0), (13, 1), (14, 0)]);
    assert_eq!(numbers(verifier.advance(UnixMillis(22_000))), []);
    assert_eq!(numbers(verifier.advance(UnixMillis(5_000))), [], "a clock that goes back closes nothing");
    // A day of silence: only its end is observed.
    let silence = numbers(verifier.advance(UnixMillis(86_400_000)));
    assert_eq!((silence.len(), silence.last().unwrap().0), (60, 86_392));
}

#[test]
fn examples_say_what_was_sent_and_what_came_out() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let script = "10000 green ack a1 keys=x\n 10000 green ack a2 parent=1 keys=x\n 10001 green out a2 parent=9
                  10002 green out a3\n 10000 green ack b1\n 10001 green out b1
                  10000 green ack c1\n 10009 green out c1";
    play(&mut verifier, script);
    let open = verifier.example(Environment::Green, script::trace('b'));
    assert_eq!(open.map(|example| example.spans.len()), Some(1));
    verifier.advance(UnixMillis(60_000));
    assert_eq!(verifier.example(Environment::Green, script::trace('b')), None, "it shows nothing");
    assert_eq!(verifier.example(Environment::Blue, script::trace('a')), None);
    let example = verifier.example(Environment::Green, script::trace('a')).unwrap();
    let spans: Vec<_> = example
        .spans
        .iter()
        .map(|span| (span.span.0[7], span.parent.0[7], span.sent, span.out, span.missing_keys.join(",")))
        .collect();
    let expected = [(1, 0, true, 0, String::new()), (2, 1, true, 1, "x".to_owned()), (3, 0, false, 1, String::new())];
    assert_eq!(spans, expected);
    let nine = SpanId([b'a', 0, 0, 0, 0, 0, 0, 9]);
    assert_eq!(example.spans[1].came_out_parent, Some(nine));
    assert_eq!(example.spans[0].came_out_parent, None);
}
