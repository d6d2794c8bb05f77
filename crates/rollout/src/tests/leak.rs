//! What comes out is searched for sensitive values: when that is a leak, and what follows.

use super::script::{PLAN, check, run, transcript};
use crate::{Replay, replay, report};
use model::{CanaryPlace, Environment, Exposure, LeakSearch, PerEnvironment, TraceId};
use redact::Class;

/// `GREEN/SEARCHED BLUE/SEARCHED [KEY]`: of so many traces that were searched, in how many a card number was found.
pub(super) fn of(words: &str) -> LeakSearch {
    let mut words = words.split_whitespace();
    let mut counts = || -> (u64, u64) {
        let word = words.next().expect("green's and blue's counts");
        let (found, searched) = word.split_once('/').expect("FOUND/SEARCHED");
        (found.parse().unwrap(), searched.parse().unwrap())
    };
    let (green, blue) = (counts(), counts());
    let key = words.next().unwrap_or("payment.note").to_owned();
    let mut exposure = Exposure::new(Class::PaymentCard, CanaryPlace::Attribute { key }, TraceId([7; 16]));
    exposure.traces = PerEnvironment { blue: blue.0, green: green.0 };
    let is_found = Environment::BOTH.iter().any(|it| exposure.traces[*it] > 0);
    LeakSearch {
        searched: PerEnvironment { blue: blue.1, green: green.1 },
        exposures: if is_found { vec![exposure] } else { Vec::new() },
        beyond: 0,
    }
}

const MIRRORING: &str = "apply; gate pass; approve bob; apply; ";
const GOES_ON: &str = "step 3 of 9: mirror";
const ROLLED_BACK: &str =
    "rolled back: leaks: green puts out card numbers in clear that blue does not: attribute payment.note";

#[test]
fn what_green_alone_puts_out_in_clear_rolls_back() {
    insta::assert_snapshot!(transcript(
        PLAN,
        &format!("{MIRRORING}; leaks 0/50 0/50; leaks 20/50 0/50; leaks 9/50 0/50; apply")
    ));
}

#[test]
fn it_takes_as_much_as_chance_does_not_give() {
    // ln(128 / (0.01 x 0.001)) is 16.4: 24 traces of ln 2 where as many of both are searched, 4 of ln 100 where a
    // hundredth is green's.
    check(PLAN, &format!("{MIRRORING}leaks 23/50 0/50"), GOES_ON);
    check(PLAN, &format!("{MIRRORING}leaks 24/50 0/50; apply"), ROLLED_BACK);
    check(PLAN, &format!("{MIRRORING}leaks 3/10 0/990"), GOES_ON);
    check(PLAN, &format!("{MIRRORING}leaks 4/10 0/990; apply"), ROLLED_BACK);
    check(PLAN, &format!("{MIRRORING}leaks 2/10 0/990; pause alice; leaks 2/10 0/990; apply"), ROLLED_BACK);
}

#[test]
fn what_is_no_leak() {
    for script in [
        // Blue does it too, before, at once or later.
        "leaks 0/50 1/50; leaks 50/50 0/50",
        "leaks 50/50 1/50; leaks 50/50 0/50",
        "leaks 20/50 0/50; leaks 0/0 1/0; leaks 50/50 0/50",
        // Nothing of blue was searched.
        "leaks 50/50 0/0; leaks 50/50 0/0",
        // At different places, each too seldom.
        "leaks 20/50 0/50 a; leaks 20/50 0/50 b; leaks 20/50 0/50 c",
        "leaks 0/0 0/0",
        "leaks 0/50 50/50",
    ] {
        check(PLAN, &format!("{MIRRORING}{script}"), GOES_ON);
    }
    check(PLAN, "apply; leaks 50/50 0/50", "step 1 of 9");
    check(PLAN, &format!("{MIRRORING}rollback alice; leaks 50/50 0/50; apply"), "rolled back: operator");
}

#[test]
fn the_plan_may_expect_it_have_it_reported_or_have_nobody_look() {
    let with = |text: &str| PLAN.replace("  guards:\n", &format!("  guards:\n    leaks: {text}\n"));
    let script = format!("{MIRRORING}leaks 50/50 0/50; apply");
    let headline = |text: &str| {
        let run = run(&with(text), &script);
        report(&run.state, run.now).headline
    };
    assert!(headline("{}").contains(ROLLED_BACK));
    assert!(headline("{ onLeak: report }").contains(GOES_ON));
    assert!(headline("{ expected: [{ key: payment.note, reason: agreed }] }").contains(GOES_ON));
    assert!(headline("{ expected: [{ key: payment, reason: agreed }] }").contains(ROLLED_BACK));
    let expired = "{ expected: [{ key: payment.note, reason: agreed, expires: \"2001-01-01T00:00:00Z\" }] }";
    assert!(headline(expired).contains(ROLLED_BACK));
    let off = run(&with("off"), &script);
    assert_eq!((report(&off.state, off.now).leaks, off.state.leaks.found.len()), (None, 0));
}

#[test]
fn no_more_places_are_told_apart_than_there_is_room_for() {
    let searches: Vec<String> = (0..200).map(|number| format!("leaks 1/50 0/50 key{number}")).collect();
    let run = run(PLAN, &format!("{MIRRORING}{}", searches.join("; ")));
    let leaks = report(&run.state, run.now).leaks.expect("somebody looks");
    assert_eq!((leaks.found.len(), leaks.beyond), (128, 72));
}

#[test]
fn the_records_lead_to_the_same_rollback() {
    let run = run(PLAN, &format!("{MIRRORING}leaks 20/50 0/50; leaks 9/40 0/50; apply"));
    let again: Replay = replay(&run.records).expect("they explain each other");
    assert_eq!(again.rollouts.last(), Some(&run.state));
    let text = serde_json::to_string(&run.records).unwrap();
    assert_eq!(serde_json::from_str::<Vec<crate::Record>>(&text).unwrap(), run.records);
}
