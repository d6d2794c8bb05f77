//! Approvals: what counts, what is refused, what makes them void, and a broken glass.

use super::script::{PLAN, Run};
use crate::approval::{Act, ApproverKey, CheckpointCheck, LogHead, SignedStatement, Statement, Submission};
use crate::*;
use model::{Environment, PerEnvironment, UnixMillis};

/// Two approvals, and configurations to read.
fn plan() -> String {
    let two = "approval: { role: approver, count: 2, expires: 90s, breakGlass: { reviewWithin: 10m } }";
    let plan = PLAN.replace("approval: { role: approver, count: 1, expires: 90s }", two);
    let plan = plan.replace("green: { version: \"2\",", "green: { version: \"2\", config: [{ files: green }],");
    plan.replace("name: demo,", "name: demo, authors: [anna],")
}

/// At the approval gate.
fn at_the_gate() -> Run {
    let mut run = Run::start(&plan());
    run.take("configure sha256:1");
    run.take("apply");
    run.take("gate pass");
    assert!(matches!(run.state.phase, Phase::Progressing { stage: Stage::Approval, .. }));
    run
}

fn weight(run: &Run) -> u16 {
    run.state.table.weight.get()
}

fn refusal(run: &Run) -> Option<String> {
    match &run.records.last().unwrap().body {
        Body::Decided(decision) => match &**decision {
            Decision::Refused { command, reason } if command == "approve" => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn two_approvals_of_different_people_pass_the_gate() {
    let mut run = at_the_gate();
    run.take("approve bob");
    run.take("approve bob");
    assert_eq!(refusal(&run).unwrap(), "bob approved already");
    assert!(!run.state.approved);
    run.take("approve carol");
    assert!(run.state.approved && run.state.reached == 2, "{}", run.text);
    replay(&run.records).unwrap();
}

#[test]
fn time_makes_an_approval_void() {
    let mut run = at_the_gate();
    run.take("approve bob");
    run.take("wait 91");
    run.take("approve carol");
    assert!(!run.state.approved, "bob's has expired");
    run.take("approve bob");
    assert!(run.state.approved);
}

#[test]
fn a_changed_configuration_makes_approvals_void() {
    let mut run = at_the_gate();
    run.take("approve bob");
    run.take("configure sha256:2");
    assert!(run.text.contains("ApprovalsVoid { because: \"the configuration of green changed"), "{}", run.text);
    run.take("approve carol");
    assert!(!run.state.approved, "bob approved another configuration");
    run.take("approve bob");
    assert!(run.state.approved);
    replay(&run.records).unwrap();
}

#[test]
fn a_configuration_that_changes_after_the_gate_holds_until_it_is_approved_again() {
    let mut run = at_the_gate();
    run.take("approve bob");
    run.take("approve carol");
    run.take("configure sha256:2");
    let held = |run: &Run| report(&run.state, run.now).progress == Progress::Held;
    assert!(held(&run), "{}", run.text);
    run.take("resume bob");
    assert!(held(&run), "nobody goes on without an approval");
    run.take("approve bob");
    assert!(held(&run), "one of two");
    run.take("approve carol");
    assert!(!held(&run), "{}", run.text);
    replay(&run.records).unwrap();
}

#[test]
fn a_configuration_that_cannot_be_read_is_approved_by_nobody() {
    let mut run = at_the_gate();
    let unreadable = Configuration::Unreadable { reason: "green: permission denied".into() };
    let read = PerEnvironment { blue: Configuration::Undeclared, green: unreadable };
    run.happen(Event::ConfigurationsRead(read));
    let head = LogHead { size: 1, root: "root".into() };
    let error = Statement::of(&run.state, Act::Approve, head, run.now).unwrap_err();
    assert!(error.contains("green's configuration cannot be read: green: permission denied"), "{error}");
}

#[test]
fn a_broken_glass_passes_the_gate_and_stays_open_until_somebody_else_reviews_it() {
    let mut run = at_the_gate();
    run.take("break-glass bob");
    assert!(run.state.approved, "{}", run.text);
    let shown = report(&run.state, run.now).exceptions;
    assert!(shown[0].starts_with("GLASS BROKEN by bob: the night before the feast; somebody else"), "{shown:?}");
    let later = run.now.plus_ms(700_000);
    assert!(report(&run.state, later).exceptions[0].contains("overdue by"));
    assert!(review_is_overdue(&run.state, later) && !review_is_overdue(&run.state, run.now));
    let mut state = run.state.clone();
    let mut of = |name: &str, act: Act| {
        let submission = signed(&state.clone(), name, run.now, |statement| statement.act = act);
        review(&mut state, &submission, run.now)
    };
    assert_eq!(of("bob", Act::Review).unwrap_err(), "bob broke the glass: somebody else reviews it");
    assert_eq!(of("carol", Act::Approve).unwrap_err(), "it is an approval, and no review");
    assert!(of("alice", Act::Review).unwrap_err().contains("started this rollout"));
    assert_eq!(of("carol", Act::Review), Ok(()));
    assert_eq!(of("erin", Act::Review).unwrap_err(), "carol reviewed it already");
    assert_eq!(report(&state, later).exceptions, [""; 0]);
    assert!(!review_is_overdue(&state, later));
}

/// A submission of what is the case, changed a little.
fn signed(state: &State, name: &str, now: UnixMillis, change: impl FnOnce(&mut Statement)) -> Submission {
    let head = LogHead { size: 1, root: "root".into() };
    let mut statement = Statement::of(state, Act::Approve, head, now).unwrap();
    change(&mut statement);
    let signed = ApproverKey::from_seed(&[name.len() as u8; 32]).sign(&statement);
    let signer = Some(Principal::new(name, vec!["approver".into()]));
    Submission { signed, signer, checkpoint: CheckpointCheck::Holds }
}

fn other(change: fn(&mut Statement)) -> impl Fn(&State, UnixMillis) -> Submission {
    move |state, now| signed(state, "bob", now, change)
}

fn resign(signed: &mut SignedStatement, from: &str, to: &str) {
    assert!(signed.statement.contains(from));
    signed.statement = signed.statement.replace(from, to);
}

/// Each is refused with these words, and none of them counts.
#[test]
fn nothing_that_is_forged_replayed_stale_or_of_something_else_approves_anything() {
    let spoil = |spoil: fn(&mut Submission)| {
        move |state: &State, now| {
            let mut submission = signed(state, "bob", now, |_| {});
            spoil(&mut submission);
            submission
        }
    };
    type Case<'a> = (&'a str, Box<dyn Fn(&State, UnixMillis) -> Submission + 'a>);
    let cases: Vec<Case> = vec![
        ("signed for the ledger other", Box::new(other(|it| it.log = "other".into()))),
        ("signed for the ledger ", Box::new(other(|it| it.log = String::new()))),
        ("signed for the rollout demo.2", Box::new(other(|it| it.rollout = RolloutId("demo.2".into())))),
        ("signed for the rollout demo.11", Box::new(other(|it| it.rollout = RolloutId("demo.11".into())))),
        ("signed for the plan sha256:00", Box::new(other(|it| it.plan = "sha256:00".into()))),
        ("signed for the plan ", Box::new(other(|it| it.plan = it.plan.to_uppercase()))),
        ("a configuration is not", Box::new(other(|it| it.configurations.green = None))),
        ("a configuration is not", Box::new(other(|it| it.configurations.green = Some("sha256:0".into())))),
        ("a configuration is not", Box::new(other(|it| it.configurations.blue = Some("sha256:1".into())))),
        (
            "a configuration is not",
            Box::new(other(|it| std::mem::swap(&mut it.configurations.blue, &mut it.configurations.green))),
        ),
        ("evidence came since", Box::new(other(|it| it.evidence = String::new()))),
        (
            "evidence came since",
            Box::new(other(|it| it.evidence = EvidenceRoot::default().with("sha256:1").to_string())),
        ),
        ("it has expired", Box::new(other(|it| it.expires_at = UnixMillis(0)))),
        ("it has expired", Box::new(|state, now| signed(state, "bob", now, |it| it.expires_at = now))),
        ("longer than the plan", Box::new(other(|it| it.expires_at = it.expires_at.plus_ms(1)))),
        ("longer than the plan", Box::new(other(|it| it.expires_at = UnixMillis(1 << 52)))),
        ("a review approves nothing", Box::new(other(|it| it.act = Act::Review))),
        ("has 0 characters", Box::new(other(|it| it.act = Act::BreakGlass { reason: String::new() }))),
        ("has 501 characters", Box::new(other(|it| it.act = Act::BreakGlass { reason: "x".repeat(501) }))),
        ("never had the checkpoint", Box::new(spoil(|it| it.checkpoint = CheckpointCheck::OtherRoot))),
        ("is shorter than", Box::new(spoil(|it| it.checkpoint = CheckpointCheck::NotYet))),
        ("before the rollout", Box::new(spoil(|it| it.checkpoint = CheckpointCheck::BeforeTheRollout))),
        ("no principal has the key SHA256:", Box::new(spoil(|it| it.signer = None))),
        ("alice started this rollout", Box::new(spoil(|it| it.signer.as_mut().unwrap().name = "alice".into()))),
        ("anna is an author", Box::new(spoil(|it| it.signer.as_mut().unwrap().name = "anna".into()))),
        ("does not have the role approver", Box::new(spoil(|it| it.signer.as_mut().unwrap().roles.clear()))),
        (
            "does not have the role approver",
            Box::new(spoil(|it| it.signer.as_mut().unwrap().roles = vec!["Approver".into(), "operator".into()])),
        ),
        ("does not hold", Box::new(spoil(|it| resign(&mut it.signed, "demo.1", "demo.2")))),
        ("does not hold", Box::new(spoil(|it| resign(&mut it.signed, "\"size\":1", "\"size\":2")))),
        ("no statement", Box::new(spoil(|it| resign(&mut it.signed, "approval/v1", "approval/v2")))),
        ("no statement", Box::new(spoil(|it| resign(&mut it.signed, "{\"act\"", "{\"extra\":1,\"act\"")))),
        ("not canonical", Box::new(spoil(|it| it.signed.statement.insert(0, ' ')))),
        ("no statement", Box::new(spoil(|it| it.signed.statement.truncate(40)))),
        ("no signature", Box::new(spoil(|it| it.signed.signature.clear()))),
        ("no signature", Box::new(spoil(|it| it.signed.signature.truncate(100)))),
        (
            "does not hold",
            Box::new(|state, now| {
                let mut submission = signed(state, "bob", now, |_| {});
                submission.signed.signature = signed(state, "bob", now.plus_ms(1), |_| {}).signed.signature;
                submission
            }),
        ),
        (
            "does not hold",
            Box::new(|state, now| {
                let mut submission = signed(state, "bob", now, |_| {});
                let review = signed(state, "bob", now, |it| it.act = Act::Review);
                submission.signed.signature = review.signed.signature;
                submission
            }),
        ),
    ];
    assert!(cases.len() >= 37, "{}", cases.len());
    for (expected, forge) in cases {
        let mut run = at_the_gate();
        // One more would be enough.
        run.take("approve carol");
        let submission = forge(&run.state, run.now);
        run.happen(Event::ApprovalSubmitted(Box::new(submission)));
        let reason = refusal(&run).unwrap_or_else(|| panic!("{expected}: it was not refused"));
        assert!(reason.contains(expected), "{expected:?} is not in {reason:?}");
        run.take("wait 5");
        assert!(!run.state.approved && weight(&run) == 0 && run.state.approvals.len() == 1, "{expected}");
        replay(&run.records).unwrap();
    }
}

#[test]
fn an_approval_of_another_rollout_of_the_same_plan_does_not_count_again() {
    let mut run = at_the_gate();
    run.take("approve carol");
    let mut before = run.state.clone();
    before.rollout = RolloutId("demo.0".into());
    let submission = signed(&before, "bob", run.now, |_| {});
    run.happen(Event::ApprovalSubmitted(Box::new(submission)));
    assert!(refusal(&run).unwrap().contains("demo.0"));
}

#[test]
fn evidence_that_came_since_makes_a_statement_stale() {
    let mut run = Run::start(&plan());
    run.take("configure sha256:1");
    run.take("apply");
    let early = signed(&run.state, "bob", run.now, |_| {});
    let evidence = Some(format!("sha256:{}", "1".repeat(64)));
    let result = GateResult { verdict: GateVerdict::Pass, reasons: vec![], evidence };
    run.happen(Event::GateFinished { gate: plan::GateName::Probe, run: run.state.gate_runs, result });
    run.happen(Event::ApprovalSubmitted(Box::new(early)));
    assert!(refusal(&run).unwrap().contains("evidence came since"));
    assert_eq!(run.state.table.active, Environment::Blue);
}
