//! Canaries: what is read, what is refused, and what a plan says of them.

use super::refused::check;
use super::{accepted, previewed};
use crate::plan::{CanaryPlan, OnLeak};

const GATES: &str = "  gates:";

fn canary(text: &str) -> String {
    format!("  canary: {text}\n  gates:")
}

#[test]
fn they_are_planted_unless_the_plan_says_otherwise() {
    let of = |text: &str| accepted(&[(GATES, &canary(text))]).canary;
    let default = Some(CanaryPlan { every_ms: 30_000, on_leak: OnLeak::Rollback });
    assert_eq!(accepted(&[]).canary, default);
    assert_eq!(of("{ every: 30s, onLeak: rollback }"), default);
    assert_eq!(of("{ every: 5s }"), Some(CanaryPlan { every_ms: 5_000, on_leak: OnLeak::Rollback }));
    assert_eq!(of("{ every: 10m, onLeak: report }"), Some(CanaryPlan { every_ms: 600_000, on_leak: OnLeak::Report }));
    for off in ["off", "\"off\""] {
        assert_eq!(of(off), None);
    }
    assert_ne!(accepted(&[]).digest(), accepted(&[(GATES, &canary("off"))]).digest(), "whoever approves approves it");
}

#[test]
fn what_they_cannot_be() {
    let refused = |text: &str, expected: &str| check(&[(GATES, &canary(text))], &[expected]);
    refused("on", "32:11: spec.canary: found on, expected `off`, or keys, such as { every: 30s, onLeak: rollback }");
    refused(
        "false",
        "32:11: spec.canary: found false, expected `off`, or keys, such as { every: 30s, onLeak: rollback }",
    );
    refused("{ every: 4s }", "32:20: spec.canary.every: found 4s, expected a duration from 5s to 10m");
    refused("{ every: 11m }", "32:20: spec.canary.every: found 11m, expected a duration from 5s to 10m");
    refused(
        "{ onLeak: rolback }",
        "32:21: spec.canary.onLeak: found rolback, expected `rollback` or `report`: did you mean `rollback`?",
    );
    refused(
        "{ evry: 30s }",
        "32:13: spec.canary.evry: found the unknown key `evry`, expected `every` or `onLeak`: did you mean `every`?",
    );
}

#[test]
fn without_taps_there_is_nothing_to_search() {
    let query = |colour: &str, port: u16| {
        let config = format!("      config: [{{ files: ./{colour} }}]\n");
        (config.clone(), format!("      query: {{ jaeger: \"http://127.0.0.1:{port}\" }}\n{config}"))
    };
    let (blue, green) = (query("blue", 16_686), query("green", 26_686));
    let stores = [(blue.0.as_str(), blue.1.as_str()), (green.0.as_str(), green.1.as_str())];
    assert_eq!(accepted(&stores).canary, None);
    let off = canary("off");
    assert_eq!(accepted(&[&stores[..], &[(GATES, &off)]].concat()).canary, None);
    let on = canary("{}");
    let expected = "34:11: spec.canary: found `canary` without taps, expected `off`, or a `tap` in both environments: what \
                    comes out is read from trace stores, for a share of the traces, and is not searched";
    check(&[&stores[..], &[(GATES, &on)]].concat(), &[expected]);
}

#[test]
fn the_preview_says_what_follows_a_leak() {
    let lines = |edits: &[(&str, &str)]| -> Vec<String> {
        previewed(edits)
            .to_string()
            .lines()
            .filter(|line| line.contains("canary:"))
            .map(|line| line.trim().to_owned())
            .collect()
    };
    let query = |colour: &str, port: u16| {
        let config = format!("      config: [{{ files: ./{colour} }}]\n");
        (config.clone(), format!("      query: {{ jaeger: \"http://127.0.0.1:{port}\" }}\n{config}"))
    };
    let (blue, green) = (query("blue", 16_686), query("green", 26_686));
    let said = [
        lines(&[]),
        lines(&[(GATES, &canary("{ every: 10s, onLeak: report }"))]),
        lines(&[(GATES, &canary("off"))]),
        lines(&[(&blue.0, &blue.1), (&green.0, &green.1)]),
    ];
    insta::assert_snapshot!(said.concat().join("\n"));
}
