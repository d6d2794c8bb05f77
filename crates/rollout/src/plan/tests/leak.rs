//! The guard `leaks`: what is read, what is refused, and what a plan says of it.

use super::refused::check;
use super::{accepted, previewed};
use crate::plan::{LeakGuard, OnLeak};
use model::{CanaryPlace, UnixMillis};

const GUARDS: &str = "  guards:\n";

fn leaks(text: &str) -> String {
    format!("  guards:\n    leaks: {text}\n")
}

#[test]
fn it_is_there_unless_the_plan_says_otherwise() {
    let of = |text: &str| accepted(&[(GUARDS, &leaks(text))]).guards.leaks;
    assert_eq!(accepted(&[]).guards.leaks, Some(LeakGuard::default()));
    assert_eq!(of("{}"), Some(LeakGuard::default()));
    assert_eq!(of("off"), None);
    assert_eq!(of("{ onLeak: report }").map(|guard| guard.on_leak), Some(OnLeak::Report));
    let guard = of("{ expected: [{ key: host.contact, reason: agreed, expires: \"2030-01-01T00:00:00Z\" }] }").unwrap();
    let (at, then) = (UnixMillis(1_700_000_000_000), UnixMillis(2_000_000_000_000));
    let place = CanaryPlace::Attribute { key: "host.contact".to_owned() };
    assert!(guard.tolerates(&place, at).is_some() && guard.tolerates(&place, then).is_none());
    assert!(guard.tolerates(&CanaryPlace::Name, at).is_none());
}

#[test]
fn what_it_cannot_be() {
    let refused = |text: &str, expected: &str| check(&[(GUARDS, &leaks(text))], &[expected]);
    refused("on", "36:12: spec.guards.leaks: found on, expected `off`, or keys, such as { onLeak: rollback }");
    refused("{ onLeak: hold }", "36:22: spec.guards.leaks.onLeak: found hold, expected `rollback` or `report`");
    refused(
        "{ expected: [{ key: a }] }",
        "36:25: spec.guards.leaks.expected[0].reason: found nothing, expected why green may put it out",
    );
    refused(
        "{ expcted: [] }",
        "36:14: spec.guards.leaks.expcted: found the unknown key `expcted`, expected `onLeak` or `expected`: did you mean `expected`?",
    );
}

#[test]
fn the_preview_says_what_follows() {
    let lines = |edits: &[(&str, &str)]| -> Vec<String> {
        let preview = previewed(edits).to_string();
        preview.lines().filter(|line| line.contains("leaks:")).map(|line| line.trim().to_owned()).collect()
    };
    let said = [
        lines(&[]),
        lines(&[(GUARDS, &leaks("{ expected: [{ key: a, reason: b }] }"))]),
        lines(&[(GUARDS, &leaks("{ onLeak: report }"))]),
        lines(&[(GUARDS, &leaks("off"))]),
    ];
    insta::assert_snapshot!(said.concat().join("\n"));
}
