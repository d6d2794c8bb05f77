//! Acceptance: testers' traffic goes to green while they decide, what they say counts or not, and a refusal goes back.

use super::script::{PLAN, Run, check, run, transcript};
use crate::acceptance::{Says, SignOff, Tested};
use crate::*;
use model::TesterRoute;

/// Two testers before the first weight, after the copies.
fn plan() -> String {
    let plan = PLAN.replace("      - setWeight: 10%\n", "      - gate: acceptance\n      - setWeight: 10%\n");
    let plan = plan.replace("      - gate: approval\n", "");
    plan.replace(
        "    approval: { role: approver, count: 1, expires: 90s }",
        "    acceptance: { testers: [bob, carol], expires: 90s, traces: 2 }",
    )
}

/// At the acceptance gate, which testers' traffic reaches.
const AT_THE_GATE: &str = "apply\ngate pass\napply\ngood 10\napply\n";

fn at_the_gate() -> Run {
    let run = run(&plan(), AT_THE_GATE);
    assert!(matches!(run.state.phase, Phase::Progressing { stage: Stage::Acceptance, .. }), "{}", run.text);
    run
}

#[test]
fn testers_traffic_goes_to_green_until_they_all_accepted_and_beyond() {
    let text = transcript(&plan(), &format!("{AT_THE_GATE}accept bob\nwait 2\naccept carol\nwait 1\napply\ngood 6"));
    insta::assert_snapshot!(text);
    let mut run = at_the_gate();
    let testers = run.state.table.testers.clone().unwrap();
    assert_eq!(testers.names, ["bob", "carol"]);
    assert_eq!(testers.route, TesterRoute::Header("x-verdigris-tester".to_owned()));
    run.take("accept bob");
    run.take("accept carol");
    assert!(run.state.table.testers.is_some(), "their route stays until the end");
    replay(&run.records).unwrap();
}

#[test]
fn a_testers_refusal_goes_back_before_the_shift_with_the_tester_first() {
    let mut run = at_the_gate();
    run.take("accept bob");
    run.take("refuse carol");
    assert_eq!((run.state.table.weight.get(), &run.state.table.testers), (0, &None));
    run.take("apply");
    let report = report(&run.state, run.now);
    assert_eq!(report.headline, "rolled back: acceptance: carol refused it: note sha256:note");
    let cause = report.cause.unwrap();
    assert_eq!(cause.reasons, ["green had served 3 trace(s) of carol: 12 span(s), 1 of them errors"]);
    assert!(cause.example_trace.is_some());
    replay(&run.records).unwrap();
}

#[test]
fn a_refusal_counts_after_the_gate_too() {
    check(
        &plan(),
        &format!("{AT_THE_GATE}accept bob\naccept carol\nwait 1\napply\nrefuse bob\napply"),
        "bob refused it",
    );
}

#[test]
fn an_acceptance_without_traffic_at_green_does_not_count() {
    let mut run = at_the_gate();
    run.take("accept bob 0");
    assert!(
        run.text.ends_with("refused accept: bob accepted, but none of their traffic came to green\n"),
        "{}",
        run.text
    );
    run.take("accept carol 1");
    let waits_for = report(&run.state, run.now).waits_for;
    insta::assert_snapshot!(waits_for.join("\n"));
    run.take("accept bob");
    run.take("accept carol");
    assert!(run.state.reached == 3, "they may say it again: {}", run.text);
}

#[test]
fn an_acceptance_expires() {
    let mut run = at_the_gate();
    run.take("accept bob");
    run.take("idle 91");
    run.take("accept carol");
    assert!(matches!(run.state.phase, Phase::Progressing { stage: Stage::Acceptance, .. }), "{}", run.text);
    assert!(report(&run.state, run.now).waits_for.contains(&"the acceptance of bob has expired".to_owned()));
}

#[test]
fn who_may_not_say_it_is_told_why() {
    let refused = |script: &str, expect: &str| check(&plan(), script, expect);
    refused("accept bob", "testers have no route to green yet");
    refused(&format!("{AT_THE_GATE}accept dave"), "dave is not one of the testers, who are bob, carol");
    refused(&format!("{AT_THE_GATE}accept bob\naccept bob"), "bob accepted it already");
    refused(&format!("{AT_THE_GATE}promote"), "acceptances cannot be skipped");
    refused(&format!("{AT_THE_GATE}refuse bob\nrefuse carol"), "it is being rolled back already");
    check(PLAN, "accept bob", "the plan asks no tester");
    let by_the_starter = plan().replace("[bob, carol]", "[alice, bob]");
    check(&by_the_starter, &format!("{AT_THE_GATE}accept alice"), "alice started this rollout");
    let mut run = at_the_gate();
    let tested = Tested { traces: 3, ..Tested::default() };
    let by = Principal::new("bob", vec![]);
    run.happen(Event::SignedOff(Box::new(SignOff { by, says: Says::Refuse, note: None, tested, evidence: None })));
    assert!(run.text.ends_with("refused refuse: a refusal says why: add a note\n"), "{}", run.text);
}

#[test]
fn what_testers_did_is_part_of_what_an_approver_sees() {
    let mut run = at_the_gate();
    let before = run.state.evidence;
    run.take("accept bob");
    assert_ne!(run.state.evidence, before);
}
