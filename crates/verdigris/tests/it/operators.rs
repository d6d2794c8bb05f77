//! What people do with a rollout through the command line: pause, resume, promote, roll back, approve; and what they are
//! refused.

use crate::process::{Process, Ran, run, verdigris};
use crate::stage::Stage;
use crate::wait::seconds;
use serde_json::Value;

/// Waits for a person before anything moves, and after the mirror.
const PAUSED: &[&str] = &["pause: {}", "mirror: { for: 1s }", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"];
const LIMIT: std::time::Duration = seconds(60);

fn progress(ran: &Ran) -> String {
    ran.json()["progress"].as_str().expect("a report has its progress").to_owned()
}

/// The number of the present step, from 1.
fn step(report: &Value) -> usize {
    let steps = report["steps"].as_array().expect("a report has its steps");
    1 + steps.iter().position(|step| step["current"] == true).unwrap_or(steps.len())
}

fn at_step(stage: &Stage, wanted: usize) -> Value {
    stage.server.eventually_reports(&format!("step {wanted}"), LIMIT, |report| step(report) == wanted)
}

/// The refusals that stand in the ledger.
fn refusals(stage: &Stage) -> Vec<String> {
    let shown = stage.server.ledger_command(&["show", "--decisions"]).expect(0).stdout;
    shown.lines().filter(|line| line.contains("\"refused\"")).map(str::to_owned).collect()
}

#[test]
fn a_pause_waits_for_resume_and_resume_goes_on() {
    let stage = Stage::set();
    let started = stage.start(&stage.plan(PAUSED)).expect(0);
    assert_eq!(progress(&started), "paused");
    assert_eq!(progress(&stage.server.rollout(&["status"]).expect(0)), "paused");
    stage.server.rollout(&["resume"]).expect(0);
    let report = at_step(&stage, 3);
    assert_eq!(report["progress"], "paused", "the second pause: {report}");
}

#[test]
fn a_rollout_that_an_operator_paused_stays_until_it_is_resumed() {
    let stage = Stage::set();
    stage.start(&stage.plan(&["mirror: { for: 60s }", "setWeight: 100%", "bake: { for: 1s }"])).expect(0);
    assert_eq!(progress(&stage.server.rollout(&["pause"]).expect(0)), "paused");
    stage.server.rollout(&["pause"]).expect(1).says(&["it stands still already"]);
    assert_eq!(progress(&stage.server.rollout(&["resume"]).expect(0)), "progressing");
    stage.server.rollout(&["resume"]).expect(1).says(&["nothing waits for it"]);
    assert_eq!(refusals(&stage).len(), 2, "refusals stand in the ledger as well");
}

#[test]
fn promote_ends_a_wait_and_the_rollout_is_promoted_at_the_end() {
    let stage = Stage::set();
    stage.start(&stage.plan(&["pause: {}", "setWeight: 100%", "bake: { for: 5m }"])).expect(0);
    stage.server.rollout(&["promote"]).expect(0);
    at_step(&stage, 3);
    stage.server.rollout(&["promote"]).expect(0);
    let report = stage.server.eventually_reports("promotion", LIMIT, |report| report["progress"] == "promoted");
    assert_eq!(report["active"], "green", "{report}");
    stage.server.rollout(&["status"]).expect(0);
    let listed = stage.server.rollout(&["list"]).expect(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["progress"], "promoted", "{listed}");
    stage.server.rollout(&["promote"]).expect(1).says(&["e2e.1 has ended"]);
    stage.server.rollout(&["rollback"]).expect(1).says(&["e2e.1 has ended"]);
}

#[test]
fn rollback_goes_back_at_once_and_says_who_asked_and_why() {
    let stage = Stage::set();
    stage.start(&stage.plan(PAUSED)).expect(0);
    stage.server.rollout(&["rollback", "--reason", "the cart is empty"]).expect(0);
    let watched = stage.server.rollout(&["watch"]).expect(3).json();
    assert_eq!(watched["progress"], "rolledBack", "{watched}");
    assert_eq!(watched["cause"]["guard"], "operator", "{watched}");
    assert!(watched["cause"]["finding"].as_str().is_some_and(|why| why.contains("the cart is empty")), "{watched}");
    assert!(watched["cause"]["finding"].as_str().is_some_and(|why| why.contains("uid:")), "{watched}");
    stage.server.rollout(&["status"]).expect(3);
    stage.server.rollout(&["resume"]).expect(1).says(&["e2e.1 has ended"]);
    stage.server.rollout(&["status", "nobody.1"]).expect(1).says(&["there is no rollout nobody.1"]);
}

#[test]
fn a_pipe_gets_plain_lines() {
    let stage = Stage::set();
    let plan = stage.plan(PAUSED).write(stage.folder.path()).display().to_string();
    let socket = stage.server.socket().display().to_string();
    let mut command = verdigris();
    command.args(["rollout", "start", "--watch", &plan, "--socket", &socket]);
    let watching = Process::start("verdigris rollout start --watch", &mut command);
    stage.server.eventually_reports("the rollout to be there", LIMIT, |report| report["progress"] == "paused");
    stage.server.rollout(&["rollback", "--reason", "the cart is empty"]).expect(0);
    let ran = watching.wait(LIMIT).expect(3);
    assert!(!ran.stdout.contains('\u{1b}'), "no control sequences: {ran:?}");
    assert!(ran.stdout.contains("step 1 of 5: pause"), "it said how it went: {ran:?}");
    assert!(ran.stdout.contains("rolled back: operator: uid:"), "and how it ended: {ran:?}");
    let listed = run(&["rollout", "list", "--socket", &socket]).expect(0).stdout;
    assert!(listed.starts_with("e2e.1 ") && listed.contains("rolled back"), "{listed}");
}

#[test]
fn one_rollout_runs_at_a_time() {
    let stage = Stage::set();
    stage.start(&stage.plan(PAUSED)).expect(0);
    stage.start(&stage.plan(PAUSED)).expect(1).says(&["e2e.1 is under way", "one rollout runs at a time"]);
    stage.server.rollout(&["rollback"]).expect(0);
    stage.server.rollout(&["watch"]).expect(3);
    let again = stage.start(&stage.plan(PAUSED)).expect(0).json();
    assert_eq!(again["rollout"], "e2e.2", "{again}");
}

#[test]
fn blue_must_be_what_serves_now() {
    let stage = Stage::set();
    let mut plan = stage.plan(PAUSED);
    std::mem::swap(&mut plan.blue, &mut plan.green);
    stage.start(&plan).expect(2).says(&["blue's endpoint", "blue must be the environment that is active"]);
}

#[test]
fn without_a_server_the_command_says_how_to_start_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("verdigris.sock").display().to_string();
    for command in ["status", "list", "pause", "rollback"] {
        let ran = run(&["rollout", command, "--socket", &socket]).expect(1);
        ran.says(&["no server answers at", &socket, "verdigris serve", "--socket"]);
    }
    run(&["rollout", "statu", "--socket", &socket]).expect(2);
}
