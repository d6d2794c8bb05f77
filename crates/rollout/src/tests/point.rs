//! The point of no return: its own approvals, and nothing that goes back by itself after it.

use super::script::{PLAN, Run, check, run, transcript};
use crate::plan::parse;
use crate::*;

const POINT: &str = "pointOfNoReturn: { reason: the old schema is dropped, role: approver, count: 1, expires: 90s }";

/// The point stands before all of the traffic.
fn plan() -> String {
    PLAN.replace("      - pause: {}\n", &format!("      - {POINT}\n"))
}

const AT_THE_POINT: &str = "apply; gate pass; approve bob; apply; good 12; apply; good 30; apply; ";

fn past() -> String {
    format!("{AT_THE_POINT}approve carol; apply; ")
}

const HELD: &str = "would roll back, but the point of no return is passed: spanLoss: lost spans in payment / charge";

#[test]
fn it_waits_for_approvals_of_its_own() {
    check(&plan(), AT_THE_POINT, "step 7 of 9: pointOfNoReturn");
    for (then, expect) in [
        ("approve alice", "refused approve: alice started this rollout, and who wrote a plan cannot approve it"),
        ("approve mallory", "refused approve: mallory does not have the role approver"),
        ("promote alice", "refused promote: the approvals of the point of no return cannot be skipped"),
        ("break-glass bob", "refused approve: the point of no return is passed by approvals alone"),
        ("good 60", "step 7 of 9: pointOfNoReturn"),
        ("lossy 12; apply", "rolled back: spanLoss"),
        ("rollback alice; apply", "rolled back: operator: alice asked for it: because"),
        // Whoever approved the gate may approve this as well.
        ("approve bob", "step 8 of 9: setWeight 100%"),
        ("approve bob; apply", "step 9 of 9: bake for 20s"),
    ] {
        check(&plan(), &format!("{AT_THE_POINT}{then}"), expect);
    }
    let two = plan().replace(
        "count: 1, expires: 90s }\n      - setWeight: 100%",
        "count: 2, expires: 90s }\n      - setWeight: 100%",
    );
    let waits = format!("{AT_THE_POINT}approve bob; approve bob");
    check(&two, &waits, "refused approve: bob approved the point of no return already");
    check(&two, &format!("{AT_THE_POINT}approve bob; idle 91; approve carol"), "step 7 of 9");
    check(&two, &format!("{AT_THE_POINT}approve bob; approve carol"), "step 8 of 9");
}

#[test]
fn an_approval_of_the_gate_is_none_of_the_point_and_the_other_way_round() {
    let refused = |run: &Run| run.text.lines().last().unwrap_or_default().to_owned();
    let mut at = run(&plan(), AT_THE_POINT);
    at.submit(Principal::new("carol", vec!["approver".into()]), |it| it.point_of_no_return = None);
    assert!(at.state.past_return.is_none() && at.state.reached == 6, "{}", at.text);
    let submitted = |script: &str, reason: &str| {
        let mut at = run(&plan(), script);
        let (carol, reason) = (Principal::new("carol", vec!["approver".into()]), Some(reason.to_owned()));
        at.submit(carol, |it| it.point_of_no_return = reason);
        at
    };
    let early = submitted("apply; gate pass", "the old schema is dropped");
    assert!(refused(&early).contains("the rollout does not wait at its point of no return"), "{}", early.text);
    assert!(!early.state.approved);
    let other = submitted(AT_THE_POINT, "another");
    assert!(refused(&other).contains("signed for another point of no return"), "{}", other.text);
}

#[test]
fn past_it_what_would_roll_back_holds_with_the_cause() {
    let past = past();
    let held = run(&plan(), &format!("{past}good 3; lossy 12"));
    let shown = report(&held.state, held.now);
    assert!(shown.headline.contains(HELD), "{}", shown.headline);
    assert!(shown.needs_person && shown.past_return.as_ref().is_some_and(|it| it.step == 7), "{shown:?}");
    assert!(shown.exceptions[0].starts_with("PAST THE POINT OF NO RETURN since step 7: the old schema is dropped"));
    assert_eq!(held.text.matches("Held(PastReturn").count(), 1, "{}", held.text);
    assert!(!held.text.contains("rollback:"), "{}", held.text);
    replay(&held.records).unwrap();
    let lossy = format!("{past}good 3; lossy 12; ");
    for (then, expect) in [
        ("rollback alice", "refused rollback: the point of no return is passed (the old schema is dropped)"),
        ("rollback-past alice", "rolling back: operator: alice asked for it, past the point of no return: it must be"),
        ("rollback-past alice; apply", "rolled back: operator"),
        ("promote alice", "refused promote: it would have rolled back"),
        // A person went on in spite of this guard, which does not hold it again.
        ("resume alice; lossy 5", "step 9 of 9: bake"),
        ("resume alice; lossy 30", "held at step 9: the analysis is inconclusive"),
        ("resume alice; promote alice; apply", "promoted: green is active"),
        ("restart; apply", HELD),
    ] {
        check(&plan(), &format!("{lossy}{then}"), expect);
    }
    check(&plan(), &format!("{past}good 30; rollback alice"), "refused rollback: the point of no return is passed");
    check(&plan(), &format!("{past}good 30; rollback-past alice; apply"), "rolled back: operator");
}

#[test]
fn an_inconclusive_step_past_it_holds_although_the_plan_says_to_roll_back() {
    let analysis = "      - analysis: { until: conclusive, atMost: 60s }\n      - bake: { for: 20s }\n";
    let plan = plan().replace("      - bake: { for: 20s }\n", analysis);
    let plan = plan.replace("onInconclusive: hold", "onInconclusive: rollback");
    let held = "held at step 9: would roll back, but the point of no return is passed: analysis: inconclusive";
    check(&plan, &format!("{}idle 61", past()), held);
    check(&plan, &format!("{}idle 61; resume alice; idle 5", past()), "step 9 of 10");
    check(&plan, &format!("{}idle 61; resume alice; idle 61", past()), held);
}

#[test]
fn past_it_traffic_that_no_record_orders_goes_back_to_what_the_records_order() {
    let mut run = run(&plan(), &past());
    let (before, generation) = (run.state.table.routed(), run.state.table.generation + 5);
    let routed = model::Routed { weight: model::BasisPoints::ZERO, ..before };
    run.happen(Event::Applied { generation, torn: 0, routed });
    assert_eq!((run.state.table.generation, run.state.table.routed()), (generation + 1, before), "{}", run.text);
    assert!(report(&run.state, run.now).headline.contains("is passed: unattributed"), "{}", run.text);
    replay(&run.records).unwrap();
}

#[test]
fn a_configuration_that_changes_takes_its_approvals_away_until_it_is_passed() {
    let two = plan().replace(
        "role: approver, count: 1, expires: 90s }\n      - setW",
        "role: approver, count: 2, expires: 90s }\n      - setW",
    );
    let two = two.replace("green: { version: \"2\",", "green: { version: \"2\", config: [{ files: green }],");
    let reached = format!("configure sha256:1; {AT_THE_POINT}");
    let changed = format!("{reached}approve bob; configure sha256:2; ");
    check(&two, &changed, "held at step 7: nothing approves it any more");
    // First the gate's, then the point's.
    check(&two, &format!("{changed}approve bob; approve carol"), "step 7 of 9");
    check(&two, &format!("{changed}approve bob; approve carol; approve bob"), "step 8 of 9");
    let passed = run(&two, &format!("{reached}approve bob; approve carol; configure sha256:2"));
    assert_eq!((passed.state.point_approvals.len(), passed.state.past_return), (2, Some(6)), "{}", passed.text);
    replay(&passed.records).unwrap();
}

#[test]
fn the_whole_of_it() {
    insta::assert_snapshot!(transcript(
        &plan(),
        &format!("{}good 3; lossy 12; rollback alice; rollback-past alice; apply", past())
    ));
}

#[test]
fn records_of_before_read_as_they_were() {
    let command: Command = serde_json::from_str(r#"{"rollback":{"reason":"why"}}"#).unwrap();
    assert_eq!(command, Command::Rollback { reason: "why".into(), past_point_of_no_return: false });
    assert_eq!(serde_json::to_string(&command).unwrap(), r#"{"rollback":{"reason":"why"}}"#);
}

#[test]
fn a_plan_says_where_it_may_stand_and_what_it_asks_for() {
    let refused = |from: &str, to: &str, expected: &str| {
        let errors = parse(&plan().replace(from, to)).unwrap_err().to_string();
        assert!(errors.contains(expected), "{expected}\n{errors}");
    };
    let (line, point) = (format!("      - {POINT}\n"), format!("      - {POINT}\n      - setWeight: 10%\n"));
    refused("      - setWeight: 10%\n", &point, "no weight before");
    refused("      - setWeight: 10%\n", &point, "a second point of no return");
    let early = format!("      - setWeight: 10%\n{line}");
    refused("      - setWeight: 10%\n", &early, "no evidence before");
    refused("reason: the old schema is dropped, ", "", "why a rollback is not safe from here on");
    refused("count: 1, expires: 90s }\n      - setW", "count: 0, expires: 90s }\n      - setW", "count");
    refused(
        "role: approver, count: 1, expires: 90s }\n      - setW",
        "role: approver, expires: 90s }\n      - setW",
        "how many people",
    );
    refused("pointOfNoReturn: { reason", "pointOfNoReturn: { glass: 1, reason", "glass");
    let shown = plan::preview(&parse(&plan()).unwrap()).to_string();
    assert!(shown.contains("from here on a rollback is not safe: the old schema is dropped"), "{shown}");
    assert!(shown.contains("after step 7 nothing rolls back by itself"), "{shown}");
    assert_eq!(parse(&plan()).unwrap().digest(), parse(&plan()).unwrap().digest());
    assert_ne!(parse(&plan()).unwrap().digest(), parse(&plan().replace("is dropped", "is gone")).unwrap().digest());
}
