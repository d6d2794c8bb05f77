use super::*;
use rollout::{Cause, HoldReason};

fn record(sequence: u64, body: Body) -> Record {
    let rollout = match &body {
        Body::NotificationsRead { .. } | Body::Notified { .. } | Body::AccessRefused { .. } => None,
        _ => Some(RolloutId("shop.1".to_owned())),
    };
    Record { version: Record::VERSION, rollout, sequence, at: UnixMillis(1_000), by: "ann".to_owned(), body }
}

fn decided(decision: Decision) -> Body {
    Body::Decided(Box::new(decision))
}

fn rollback() -> Body {
    decided(Decision::RollbackOrdered(Cause {
        guard: "spanLoss".to_owned(),
        finding: "lost spans".to_owned(),
        example_trace: None,
        first_seen: None,
        reasons: vec!["12 % of\n1,200 traces".to_owned()],
    }))
}

fn targets(of: &[(&str, &[&str])]) -> Body {
    let one = |(name, on): &(&str, &[&str])| NotificationTarget {
        name: (*name).to_owned(),
        on: on.iter().map(|event| (*event).to_owned()).collect(),
    };
    Body::NotificationsRead { targets: of.iter().map(one).collect() }
}

/// What waits after these records: the target, the event, the headline.
fn check(bodies: Vec<Body>, expected: &[(&str, &str, &str)]) -> Outbox {
    let mut outbox = Outbox::default();
    for (sequence, body) in (0..).zip(bodies) {
        outbox.take(&record(sequence, body));
    }
    let pending = outbox.pending();
    let waits: Vec<(&str, &str, &str)> =
        pending.iter().map(|notice| (&*notice.to, notice.event.name(), &*notice.headline)).collect();
    assert_eq!(waits, expected);
    outbox
}

#[test]
fn who_wants_to_hear_is_told_and_nobody_else() {
    let held = || decided(Decision::Held(HoldReason::NotApplied { generation: 3 }));
    let team = targets(&[("a", &["held", "rolledBack"]), ("b", &["rolledBack"])]);
    let said = "shop.1 rolls back: spanLoss: lost spans";
    let outbox = check(
        vec![rollback(), team, held(), rollback()],
        &[
            ("a", "held", "shop.1 is held: the gateway did not apply generation 3"),
            ("a", "rolledBack", said),
            ("b", "rolledBack", said),
        ],
    );
    assert_eq!(outbox.pending()[1].cause.as_deref(), Some("12 % of 1,200 traces"), "on one line");
    check(vec![rollback(), targets(&[("a", &["promoted"])]), held(), rollback()], &[]);
}

#[test]
fn what_was_delivered_or_given_up_waits_no_more_and_the_rest_is_found_again_under_the_same_id() {
    let all = || vec![targets(&[("a", &["rolledBack"]), ("b", &["rolledBack"])]), rollback()];
    let said = "shop.1 rolls back: spanLoss: lost spans";
    let first = check(all(), &[("a", "rolledBack", said), ("b", "rolledBack", said)]);
    let ids: Vec<String> = first.pending().iter().map(|notice| notice.id.clone()).collect();
    assert_ne!(ids[0], ids[1]);
    for gave_up in [None, Some("HTTP status 500".to_owned())] {
        let (event, to) = ("rolledBack".to_owned(), "a".to_owned());
        let done = Body::Notified { id: ids[0].clone(), event, to, tries: 1, gave_up };
        let again = check(all().into_iter().chain([done]).collect(), &[("b", "rolledBack", said)]);
        assert_eq!(again.pending()[0].id, ids[1]);
    }
}

#[test]
fn a_ledger_that_is_closed_is_told_once_until_it_is_open_again() {
    let mut outbox = check(vec![targets(&[("a", &["ledgerTrouble"])])], &[]);
    for (closed, waits) in [(true, 1), (true, 1), (false, 1), (true, 2)] {
        outbox.trouble(closed, UnixMillis(2_000 + waits));
        assert_eq!(outbox.pending().len() as u64, waits);
    }
}

#[test]
fn a_flood_is_bounded_and_the_newest_stay() {
    let mut outbox = check(vec![targets(&[("a", &["rolledBack"])])], &[]);
    for sequence in 1..=2 * MAX_PENDING as u64 {
        outbox.take(&record(sequence, rollback()));
    }
    assert_eq!(outbox.pending().len(), MAX_PENDING);
    let mut last = Outbox::default();
    last.take(&record(0, targets(&[("a", &["rolledBack"])])));
    last.take(&record(2 * MAX_PENDING as u64, rollback()));
    assert_eq!(outbox.pending().last(), last.pending().last());
}

#[test]
fn another_part_of_the_ledger_inherits_what_waits() {
    let said = "shop.1 rolls back: spanLoss: lost spans";
    let before = check(vec![targets(&[("a", &["rolledBack"])]), rollback()], &[("a", "rolledBack", said)]);
    let mut outbox = Outbox::default();
    outbox.inherit(before);
    assert_eq!(outbox.pending().len(), 1);
}
