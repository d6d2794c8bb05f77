//! Traces that an environment was first handed in a batch: what the split is held against.

use super::bounds::{acknowledged, fact, mirror, number};
use super::*;

const GREEN: Environment = Environment::Green;

fn sent(verifier: &mut Verifier, trace: u64, at_ms: u64) {
    acknowledged(verifier, GREEN, at_ms, &fact(trace, 1, "pay", &[]));
}

/// What green was assigned, by the second in which the batch begins.
fn assigned(observations: &[Observation]) -> Vec<(u64, u64)> {
    let counts = observations.iter().map(|it| (it.assigned_from.0 / 1_000, it.arms.green.assigned));
    counts.filter(|(_, assigned)| *assigned > 0).collect()
}

#[test]
fn a_trace_is_assigned_once_whatever_becomes_of_it() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    // It comes out; it is lost; it is refused; it is left out later; it came out before its hand-over was told of.
    sent(&mut verifier, 1, 10_100);
    verifier.out(GREEN, 10_200_000, &fact(1, 1, "pay", &[]));
    sent(&mut verifier, 2, 10_200);
    verifier.sent(GREEN, Delivery::Refused, 10_300_000, &fact(3, 1, "pay", &[]));
    sent(&mut verifier, 4, 10_400);
    verifier.leave_out(GREEN, number(4), UnixMillis(10_500));
    verifier.out(GREEN, 10_600_000, &fact(5, 1, "pay", &[]));
    sent(&mut verifier, 5, 10_550);
    // Another span of the first one, when its batch is long closed.
    let mut observations = verifier.advance(UnixMillis(19_000));
    sent(&mut verifier, 1, 19_500);
    observations.extend(verifier.advance(UnixMillis(40_000)));
    assert_eq!(assigned(&observations), [(10, 5)]);
}

#[test]
fn what_was_not_handed_over_first_here_is_not_assigned() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    sent(&mut verifier, 1, 10_100);
    // Never sent.
    verifier.out(GREEN, 10_200_000, &fact(2, 1, "pay", &[]));
    // A copy of which the first part was dropped.
    verifier.leave_out(GREEN, number(3), UnixMillis(10_300));
    sent(&mut verifier, 3, 10_350);
    // From the disk, where it waited longer than anything is remembered, and from the disk at once.
    let redelivered = |verifier: &mut Verifier, trace, at_ms: u64| {
        verifier.redelivered(GREEN, Delivery::Acknowledged, at_ms * 1_000, &fact(trace, 1, "pay", &[]));
    };
    redelivered(&mut verifier, 4, 10_400);
    sent(&mut verifier, 5, 10_500);
    redelivered(&mut verifier, 5, 10_600);
    let observations = verifier.advance(UnixMillis(40_000));
    assert_eq!(assigned(&observations), [(10, 2)]);
    assert_eq!(observations[0].arms.green.traces + observations[0].left_out.green, 5);
}

#[test]
fn nothing_is_said_while_a_trace_may_be_an_old_one() {
    // Traces in flight at the start, or of which a view was lost, may show for the age of 7 s; what had not closed when it
    // was lost, from 12 s on, may have lost one as well.
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let mut observations = Vec::new();
    for second in 1..40 {
        sent(&mut verifier, second, second * 1_000 + 500);
        if second == 20 {
            verifier.missed(UnixMillis(20_600));
        }
        observations.extend(verifier.advance(UnixMillis(second * 1_000 + 900)));
    }
    observations.extend(verifier.advance(UnixMillis(60_000)));
    let seconds: Vec<u64> = assigned(&observations).into_iter().map(|(second, _)| second).collect();
    assert_eq!(seconds, (7..12).chain(28..40).collect::<Vec<_>>());
}

#[test]
fn a_share_holds_the_same_traces_of_both() {
    let mut verifier = Verifier::new(Config { max_spans: 500, ..CONFIG }, UnixMillis(0));
    mirror(&mut verifier, 0..1_000, 10_000);
    let observations = verifier.advance(UnixMillis(18_000));
    let arms = &observations[0].arms;
    assert!(arms.green.assigned > 20 && arms.green.assigned < 200, "{}", arms.green.assigned);
    assert_eq!(arms.blue.assigned, arms.green.assigned);
}
