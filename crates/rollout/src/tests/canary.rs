//! Canaries: when what came out of them in clear is a leak, and what follows.

use super::script::{PLAN, check, run, transcript};
use crate::{Replay, replay, report};
use model::{
    Canary, CanaryFate, CanaryPlace, CanarySite, Leak, PerEnvironment, RouteKey, Secret, SecretKind, UnixMillis,
};

/// `GREEN BLUE`: what became of a canary in each.
pub(super) fn of(words: &str, now: UnixMillis) -> Canary {
    let (green, blue) = words.split_once(' ').expect("green's fate and blue's");
    let secret = |kind, planted_in, key: &str| Leak {
        secret: Secret { kind, planted_in },
        came_out_in: CanaryPlace::Attribute { key: key.to_owned() },
    };
    let email = || secret(SecretKind::Email, CanarySite::TellingKey, "user.email");
    let card = |key| secret(SecretKind::CardNumber, CanarySite::TellingKey, key);
    let url = || secret(SecretKind::CardNumber, CanarySite::Url, "url.full");
    let fate = |word: &str| match word {
        "refused" => CanaryFate::NotTaken,
        "lost" => CanaryFate::NotOut,
        "masked" => CanaryFate::Out { leaks: vec![] },
        "card" => CanaryFate::Out { leaks: vec![card("payment.card.number")] },
        "renamed" => CanaryFate::Out { leaks: vec![card("card")] },
        "url" => CanaryFate::Out { leaks: vec![url()] },
        "url+email+card" => CanaryFate::Out { leaks: vec![url(), email(), card("payment.card.number")] },
        other => panic!("{other}?"),
    };
    let trace = RouteKey([7; 16]).canary(now.0.to_be_bytes());
    Canary { trace, planted_at: now, fates: PerEnvironment { blue: fate(blue), green: fate(green) } }
}

const MIRRORING: &str = "apply; gate pass; approve bob; apply; ";
const GOES_ON: &str = "step 3 of 9: mirror";

#[test]
fn a_secret_that_green_alone_puts_out_is_a_leak_after_two() {
    insta::assert_snapshot!(transcript(
        PLAN,
        &format!("{MIRRORING}; canary card masked; wait 2; canary url+email+card url; apply")
    ));
}

#[test]
fn what_is_no_leak() {
    for script in [
        // Once.
        "canary card masked; canary masked masked; canary masked masked",
        // As blue does, though under another key.
        "canary card card; canary card card; canary card card",
        "canary renamed card; canary renamed card; canary renamed card",
        // As blue did once.
        "canary masked card; canary card masked; canary card masked; canary card masked",
        // It is not known what blue does.
        "canary card lost; canary card refused; canary card masked",
        // Different secrets, once each.
        "canary card masked; canary url masked",
        "canary masked masked; canary lost masked; canary refused refused",
        "canary masked card; canary masked card",
    ] {
        check(PLAN, &format!("{MIRRORING}{script}"), GOES_ON);
    }
}

#[test]
fn a_leak_rolls_back_wherever_the_candidate_gets_traffic() {
    let leaks = "canary card masked; canary card masked; apply";
    let rolled_back =
        "rolled back: canary: green puts out card numbers in clear that blue masks: attribute payment.card.number";
    check(PLAN, &format!("{MIRRORING}{leaks}"), rolled_back);
    check(PLAN, &format!("{MIRRORING}good 12; apply; {leaks}"), rolled_back);
    check(PLAN, &format!("{MIRRORING}pause alice; {leaks}"), rolled_back);
    // It takes what was seen before into account, also what blue did.
    check(
        PLAN,
        &format!("{MIRRORING}canary card masked; good 12; apply; canary lost masked; canary card lost; apply"),
        rolled_back,
    );
    // Before green gets anything, and after the end, nothing is decided.
    check(PLAN, &format!("apply; {leaks}"), "step 1 of 9");
    check(PLAN, &format!("{MIRRORING}rollback alice; {leaks}; {leaks}"), "rolled back: operator");
}

#[test]
fn the_plan_may_have_leaks_reported_alone_or_nothing_planted() {
    let with = |text: &str| PLAN.replace("  pin: 1s\n", &format!("  canary: {text}\n  pin: 1s\n"));
    let script = format!("{MIRRORING}canary card masked; canary card masked");
    let reported = run(&with("{ onLeak: report }"), &script);
    let report_of = report(&reported.state, reported.now);
    assert!(report_of.headline.contains(GOES_ON), "{}", report_of.headline);
    let canaries = report_of.canaries.expect("they are planted");
    assert!(canaries.is_leak(&canaries.in_clear[0]));
    let off = run(&with("off"), &script);
    assert_eq!((report(&off.state, off.now).canaries, off.state.canaries.in_clear.len()), (None, 0));
}

#[test]
fn the_status_says_what_came_out() {
    let run = run(PLAN, &format!("{MIRRORING}canary url+email+card url; canary lost masked; canary refused card"));
    let canaries = report(&run.state, run.now).canaries.expect("they are planted");
    let words: Vec<String> = canaries.in_clear.iter().map(|secret| canaries.words(secret)).collect();
    insta::assert_snapshot!(format!("{}\n{}", canaries.counts(), words.join("\n")));
    assert_eq!(crate::Canaries::default().counts(), "none planted yet");
}

#[test]
fn the_records_lead_to_the_same_rollback() {
    let run = run(PLAN, &format!("{MIRRORING}canary card masked; canary card masked; apply"));
    let again: Replay = replay(&run.records).expect("they explain each other");
    assert_eq!(again.rollouts.last(), Some(&run.state));
    let text = serde_json::to_string(&run.records).unwrap();
    assert_eq!(serde_json::from_str::<Vec<crate::Record>>(&text).unwrap(), run.records);
}
