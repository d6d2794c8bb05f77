//! Rollouts as scripts in, transcripts out.

mod acceptance;
mod approval;
mod canary;
mod evidence;
mod leak;
mod metrics;
mod noise;
mod point;
mod replayed;
mod script;
mod timeline;

use crate::{Phase, replay};
use script::{PLAN, check, run, transcript};

#[test]
fn a_healthy_green_is_promoted() {
    insta::assert_snapshot!(transcript(
        PLAN,
        "
        apply
        gate pass
        approve bob
        apply
        good 12
        apply
        good 30
        apply
        good 30
        resume alice
        apply
        good 30
        apply
    "
    ));
}

#[test]
fn a_green_that_loses_spans_is_rolled_back_in_the_middle_of_a_step() {
    insta::assert_snapshot!(transcript(
        PLAN,
        "
        apply
        gate pass
        approve bob
        apply
        good 12
        apply
        lossy 9
        apply
    "
    ));
}

#[test]
fn a_copy_that_loses_spans_is_enough() {
    check(
        PLAN,
        "apply; gate pass; approve bob; apply; lossy 6; apply",
        "rolled back: spanLoss: lost spans in payment / charge",
    );
}

#[test]
fn a_blind_spot_is_named_by_what_is_not_seen() {
    check(
        PLAN,
        "apply; gate pass; approve bob; apply; good 12; apply; blind 6; apply",
        "rolled back: blindSpots: payment / charge (server) never comes out of green",
    );
}

#[test]
fn a_slow_operation_is_named_with_a_trace_of_its_own() {
    let plan = PLAN.replace("  guards:\n", "  guards:\n    latency: { quantile: 0.9, worseThanActiveBy: 20% }\n");
    let slow = "slow pipeline for shop / GET /cart in green: lately up to 90 ms from hand-over to coming out";
    let script = "apply; gate pass; approve bob; apply; good 9; slow 9; apply";
    check(&plan, script, &format!("rolled back: latency: {slow}"));
    let transcript = transcript(&plan, script);
    assert!(transcript.contains("for example Some(cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd)"), "{transcript}");
}

#[test]
fn a_slow_call_is_named_by_the_service_that_is_called() {
    let guard = "  guards:\n    serviceLatency: { quantile: 0.9, worseThanActiveBy: 20% }\n";
    let plan = PLAN.replace("  guards:\n", guard);
    let script = "apply; gate pass; approve bob; apply; good 9; slow-call 9; apply";
    let slow =
        "the call from shop to payment takes longer in green: lately up to 70 ms beside what payment itself takes";
    check(&plan, script, &format!("rolled back: serviceLatency: {slow}"));
    let transcript = transcript(&plan, script);
    assert!(transcript.contains("for example Some(cececececececececececececececece)"), "{transcript}");
}

#[test]
fn a_failed_gate_ends_it_before_any_traffic() {
    check(PLAN, "apply; gate fail; apply", "rolled back: probe: green does not answer");
}

#[test]
fn a_gate_that_cannot_tell_holds_and_runs_again_on_resume() {
    check(PLAN, "apply; gate error", "held at step 1: the probe gate ended in Error");
    check(PLAN, "apply; gate error; resume alice; gate pass", "step 2 of 9: gate approval");
    check(
        PLAN,
        "apply; gate error; promote alice",
        "refused promote: the probe gate cannot be skipped: mend it and resume",
    );
    check(PLAN, "apply; wait 121", "held at step 1: the probe gate ended in Error");
}

#[test]
fn approvals_count_by_role_and_by_person_and_never_the_authors() {
    let reached = "apply; gate pass; ";
    for (then, expect) in [
        ("approve alice", "refused approve: alice started this rollout, and who wrote a plan cannot approve it"),
        ("approve mallory", "refused approve: mallory does not have the role approver"),
        ("approve-other bob", "refused approve: it is signed for the plan sha256:other, and this is sha256:"),
        ("approve bob; approve bob", "refused approve: bob approved already"),
        ("promote alice", "refused promote: approvals cannot be skipped"),
        ("approve bob", "step 3 of 9: mirror for 10s"),
    ] {
        check(PLAN, &format!("{reached}{then}"), expect);
    }
    check(PLAN, "approve bob; apply; gate pass", "step 3 of 9: mirror for 10s");
    check(PLAN, "approve bob; apply; wait 100; gate pass", "step 2 of 9: gate approval");
}

#[test]
fn operators_pause_resume_promote_and_roll_back() {
    let mirroring = "apply; gate pass; approve bob; apply; ";
    for (then, expect) in [
        ("pause alice; good 60", "paused by alice at step 3"),
        ("pause alice; pause alice", "refused pause: it stands still already"),
        ("resume alice", "refused resume: nothing waits for it: the rollout goes on by itself"),
        ("pause alice; good 60; resume alice", "step 3 of 9: mirror for 10s"),
        ("pause alice; lossy 9; apply", "rolled back: spanLoss"),
        ("promote alice", "step 4 of 9: setWeight 10%"),
        ("rollback alice", "rolling back: operator: alice asked for it: because"),
        ("rollback alice; apply; pause alice", "refused pause: it has ended: rolled back"),
    ] {
        check(PLAN, &format!("{mirroring}{then}"), expect);
    }
}

#[test]
fn a_broken_split_holds_and_no_verdict_is_made_from_it() {
    let pausing = "apply; gate pass; approve bob; apply; good 12; apply; good 3; apply; ";
    let held = "held at step 7: the traces are not divided as the weight says";
    check(PLAN, &format!("{pausing}good 12"), "step 7 of 9: pause");
    check(PLAN, &format!("{pausing}skewed 12"), held);
    let broken = format!("{pausing}skewed 12; ");
    // Green also loses spans, which without the split would roll back.
    check(PLAN, &format!("{broken}skewed-lossy 20"), held);
    check(PLAN, &format!("{broken}good 60"), held);
    check(PLAN, &format!("{broken}restart"), held);
    check(PLAN, &format!("{broken}promote alice"), "refused promote: the split is broken");
    check(PLAN, &format!("{broken}resume alice"), "step 7 of 9: pause");
    check(PLAN, &format!("{broken}resume alice; good 20; resume alice"), "step 8 of 9: setWeight 100%");
    check(PLAN, &format!("{broken}resume alice; lossy 20; apply"), "rolled back: spanLoss");
    check(PLAN, &format!("{broken}resume alice; skewed 30"), held);
    check(PLAN, &format!("{broken}rollback alice; apply"), "rolled back: operator");
    // A pause is kept, and the hold comes after it.
    check(PLAN, &format!("{pausing}pause alice; skewed 12"), "paused by alice at step 7");
    check(PLAN, &format!("{pausing}pause alice; skewed 12; resume alice"), held);
}

#[test]
fn missing_evidence_is_never_a_pass() {
    let analysing = "apply; gate pass; approve bob; apply; good 12; apply; ";
    check(PLAN, &format!("{analysing}wait 34"), "step 5 of 9: analysis until conclusive");
    check(PLAN, &format!("{analysing}idle 61"), "held at step 5: the analysis is inconclusive");
    check(PLAN, &format!("{analysing}idle 61; resume alice"), "step 5 of 9");
    check(PLAN, &format!("{analysing}idle 61; promote alice"), "step 6 of 9: setWeight 50%");
    let rollback = PLAN.replace("onInconclusive: hold", "onInconclusive: rollback");
    check(&rollback, &format!("{analysing}idle 61; apply"), "rolled back: analysis: inconclusive");
    let extend = PLAN.replace("onInconclusive: hold", "onInconclusive: extend");
    check(&extend, &format!("{analysing}idle 61"), "step 5 of 9");
    check(&extend, &format!("{analysing}idle 900"), "held at step 5: the analysis is inconclusive");
}

#[test]
fn silence_is_an_error_and_ends_with_the_next_observation() {
    let analysing = "apply; gate pass; approve bob; apply; good 12; apply; ";
    check(PLAN, &format!("{analysing}wait 50"), "held at step 5: verification was silent");
    check(PLAN, &format!("{analysing}wait 50; promote alice"), "refused promote: verification is silent");
    check(PLAN, &format!("{analysing}wait 50; good 1"), "step 5 of 9");
}

#[test]
fn a_table_that_nobody_applies_holds() {
    let shifting = "apply; gate pass; approve bob; ";
    check(PLAN, &format!("{shifting}wait 31"), "held at step 3: the gateway did not apply generation 9");
    check(PLAN, &format!("{shifting}wait 31; apply"), "step 3 of 9: mirror");
}

#[test]
fn a_restart_asks_again_for_what_was_under_way() {
    check(PLAN, "apply; restart", "step 1 of 9: gate probe");
    check(PLAN, "apply; restart; gate pass", "step 2 of 9: gate approval");
    check(PLAN, "apply; gate pass; approve bob; apply; good 12; restart; apply; good 30", "step 6 of 9: setWeight 50%");
}

#[test]
fn the_first_shift_waits_until_the_gateway_knows_the_traces_in_flight() {
    let first = PLAN.replace("      - gate: probe\n      - gate: approval\n      - mirror: { for: 10s }\n", "");
    let first =
        first.replace("    approval: { role: approver, count: 1, expires: 90s }\n", "").replace("  gates:\n", "");
    let plan = first.replace("pin: 1s", "pin: 5s");
    check(&plan, "wait 4", "step 1 of 6: setWeight 10%");
    check(&plan, "wait 31", "held at step 1: the gateway did not apply generation 8");
    check(&plan, "apply; wait 4; apply", "step 1 of 6: setWeight 10%");
    check(&plan, "apply; wait 5; apply", "step 2 of 6: analysis");
    // A gateway that started again has forgotten them.
    check(&plan, "apply; wait 5; apply; restart; good 25", "step 3 of 6: setWeight 50%");
    check(&plan, "apply; wait 5; apply; restart; apply; good 25; apply", "step 4 of 6: pause");
}

#[test]
fn a_pause_holds_through_a_gate_that_ends_and_through_a_restart() {
    check(PLAN, "apply; pause alice; gate pass; wait 5", "paused by alice at step 1");
    check(PLAN, "apply; pause alice; gate pass; resume alice", "step 2 of 9: gate approval");
    check(PLAN, "apply; pause alice; gate error; wait 5", "paused by alice at step 1");
    check(PLAN, "apply; pause alice; gate error; resume alice", "held at step 1: the probe gate ended in Error");
    check(PLAN, "apply; pause alice; restart; gate pass", "paused by alice at step 1");
}

#[test]
fn traffic_that_no_record_orders_goes_back_by_a_table_that_is_newer_than_what_the_gateway_has() {
    let reached = "approve bob; apply; gate pass; ";
    for (stray, generation) in [("stray 9", 10), ("stray 99", 100)] {
        let run = run(PLAN, &format!("{reached}{stray}"));
        let Phase::RollingBack { cause, .. } = &run.state.phase else { panic!("{}", run.text) };
        assert_eq!((cause.guard.as_str(), run.state.table.generation), ("unattributed", generation));
        assert!(cause.finding.contains("100% to the other with copies), which no record orders"), "{}", cause.finding);
        replay(&run.records).unwrap();
    }
    // One from before a restart is explained by its record.
    assert!(matches!(run(PLAN, &format!("{reached}stray 1")).state.phase, Phase::Progressing { .. }));
}
