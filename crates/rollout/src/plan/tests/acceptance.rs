//! The acceptance gate in a plan: what it says, and what is refused.

use super::edited;
use super::refused::check;
use crate::plan::{AcceptanceGate, GateName, Step, parse, preview};
use model::TesterRoute;

const STEP: (&str, &str) = ("      - setWeight: 1%\n", "      - gate: acceptance\n      - setWeight: 1%\n");

fn gate(text: &str) -> String {
    format!("  gates:\n    acceptance: {text}\n")
}

fn read(text: &str) -> AcceptanceGate {
    let plan = parse(&edited(&[STEP, ("  gates:\n", &gate(text))])).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(plan.steps.contains(&Step::Gate(GateName::Acceptance)));
    plan.gates.acceptance.unwrap()
}

#[test]
fn all_testers_accept_by_a_header_where_nothing_else_is_said() {
    let all = read("{ testers: [bob, carol], expires: 24h }");
    let route = TesterRoute::Header("x-verdigris-tester".to_owned());
    let testers = vec!["bob".to_owned(), "carol".to_owned()];
    assert_eq!(all, AcceptanceGate { testers, count: 2, expires_ms: 86_400_000, traces: 1, route });
    let other =
        read("{ testers: [bob, carol], count: 1, traces: 5, expires: 24h, route: { resourceAttribute: tester } }");
    assert_eq!((other.count, other.traces), (1, 5));
    assert_eq!(other.route, TesterRoute::ResourceAttribute("tester".to_owned()));
}

#[test]
fn what_is_refused() {
    let refused = |text: &str, expected: &[&str]| check(&[STEP, ("  gates:\n", &gate(text))], expected);
    refused(
        "{ expires: 24h }",
        &["34:17: spec.gates.acceptance.testers: found nothing, expected the names of the principals who test"],
    );
    refused(
        "{ testers: [], expires: 24h }",
        &["34:28: spec.gates.acceptance.testers: found 0 entries, expected 1 to 14 names of principals"],
    );
    refused(
        "{ testers: [bob, bob], expires: 24h }",
        &["34:34: spec.gates.acceptance.testers[1]: found \"bob\", expected each tester once"],
    );
    refused(
        "{ testers: [bob], count: 2, expires: 24h }",
        &["34:42: spec.gates.acceptance.count: found 2, expected a whole number from 1 to 1"],
    );
    refused(
        "{ testers: [bob] }",
        &["34:17: spec.gates.acceptance.expires: found nothing, expected how long an acceptance holds, such as 24h"],
    );
    refused(
        "{ testers: [bob], expires: 24h, route: { header: Content-Type } }",
        &[
            "34:66: spec.gates.acceptance.route.header: found Content-Type, expected a header's name in lower case that HTTP and gRPC use for nothing else, such as x-verdigris-tester",
        ],
    );
    refused(
        "{ testers: [bob], expires: 24h, route: { header: x-t, resourceAttribute: t } }",
        &["34:56: spec.gates.acceptance.route: found both of them, expected one of `header` or `resourceAttribute`"],
    );
    refused(
        "{ testers: [zo\u{eb}], expires: 24h }",
        &[
            "34:17: spec.gates.acceptance.testers: found a name with other characters, expected names of visible ASCII characters, for a header carries them: route by a resource attribute instead, which carries any text",
        ],
    );
}

#[test]
fn where_the_step_may_stand() {
    check(
        &[STEP],
        &[
            "25:15: spec.strategy.steps[3].gate: found no such configuration, expected spec.gates.acceptance with testers and expires: without it nobody could accept",
        ],
    );
    let configured = gate("{ testers: [bob], expires: 24h }");
    check(
        &[
            ("      - bake: { for: 30m }", "      - gate: acceptance\n      - bake: { for: 30m }"),
            ("  gates:\n", &configured),
        ],
        &[
            "31:15: spec.strategy.steps[9].gate: found the acceptance gate after setWeight 100%, expected it before the last setWeight: green serves everybody by then, not the testers alone",
        ],
    );
    let twice =
        ("      - setWeight: 1%\n", "      - gate: acceptance\n      - gate: acceptance\n      - setWeight: 1%\n");
    check(
        &[twice, ("  gates:\n", &configured)],
        &[
            "26:15: spec.strategy.steps[4].gate: found the acceptance gate again, expected it once; it stands at spec.strategy.steps[3].gate already: who accepted, accepted the whole plan",
        ],
    );
    check(
        &[STEP, ("  gates:\n", &configured), ("  change: CHG-4711", "  authors: [bob]\n  change: CHG-4711")],
        &[
            "35:29: spec.gates.acceptance.testers[0]: found \"bob\", an author of the plan, expected testers who did not write it: who wrote a plan does not accept what it brings",
        ],
    );
}

#[test]
fn the_preview_says_who_and_how() {
    let configured = gate("{ testers: [bob, carol], expires: 24h }");
    let plan = parse(&edited(&[STEP, ("  gates:\n", &configured)])).unwrap();
    let preview = preview(&plan);
    let step = &preview.steps[3];
    insta::assert_snapshot!(format!("{}: {}", step.does, step.effects.join("; ")));
    assert!(preview.rolls_back.iter().any(|words| words.contains("a tester's refusal")));
    let unused = parse(&edited(&[("  gates:\n", &configured)])).unwrap();
    assert!(super::super::preview(&unused).notes.iter().any(|note| note.contains("nobody has to accept")));
}
