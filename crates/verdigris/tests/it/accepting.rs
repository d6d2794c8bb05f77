//! Testers: their traffic reaches green before anybody else's, and what they say of it lets the rollout go on or sends it back.

use crate::process::run;
use crate::requests::{one_span, post_as};
use crate::server::Config;
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use std::os::unix::fs::MetadataExt;

const LIMIT: std::time::Duration = seconds(60);
const STEPS: &[&str] = &["gate: acceptance", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"];
const BOB: (&str, &str) = ("x-verdigris-tester", "bob");
const WHY: &str = "the totals of the cart are wrong";

/// Ada started a rollout and has gone home; whoever asks from now on is bob, a tester.
fn at_the_gate() -> Stage {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let uid = folder.path().metadata().expect("it is there").uid();
    let ada = format!("principals: [{{ name: ada, uids: [{uid}] }}]\n");
    let stage = Stage::set_as(|config| Config { more: ada, ..config });
    let mut plan = stage.plan(STEPS);
    plan.gates = "{ acceptance: { testers: [bob, carol], count: 1, expires: 1h } }";
    stage.start(&plan).expect(0);
    let waits = |report: &serde_json::Value| report["waitsFor"].to_string().contains("1 more acceptance(s)");
    stage.server.eventually_reports("the acceptance gate", LIMIT, waits);
    stage.server.rollout(&["accept"]).expect(1).says(&["ada is not one of the testers, who are bob, carol"]);
    let config = std::fs::read_to_string(stage.server.config()).expect("it was written");
    std::fs::write(stage.server.config(), config.replace("name: ada", "name: bob")).expect("the folder is ours");
    stage.server.hang_up();
    eventually("the configuration to be read", seconds(30), || {
        stage.server.log().contains("applies; listening").then_some(())
    });
    stage
}

/// Bob's trace goes to green, and what others send to blue.
fn try_it_out(stage: &Stage) {
    let (blue, green) = (stage.blue.stats().spans, stage.green.stats().spans);
    assert_eq!(post_as(stage, Some(BOB), one_span(7)), 200);
    assert_eq!(post_as(stage, None, one_span(8)), 200);
    // Another service's span of bob's trace carries no header.
    assert_eq!(post_as(stage, None, one_span(7)), 200);
    assert_eq!((stage.blue.stats().spans - blue, stage.green.stats().spans - green), (1, 2));
}

#[test]
fn a_testers_refusal_stops_the_rollout_before_the_shift() {
    let stage = at_the_gate();
    try_it_out(&stage);
    let without = stage.server.rollout(&["refuse"]);
    without.expect(2).says(&["a refusal says why"]);
    stage.server.rollout(&["refuse", "--note", WHY]).expect(0);
    let report = stage.server.eventually_reports("the way back", LIMIT, |report| report["progress"] == "rolledBack");
    let first = format!("rolled back: acceptance: bob refused it: {WHY}");
    assert_eq!(report["headline"], first.as_str(), "{report}");
    assert_eq!(report["weightOrdered"].to_string(), "0", "nothing was shifted: {report}");
    assert_eq!(report["signOffs"][0]["note"], WHY, "{report}");
    stage.server.rollout(&["status"]).expect(3);
    assert_eq!(post_as(&stage, Some(BOB), one_span(9)), 200);
    assert_eq!(stage.green.stats().spans, 2, "the route is closed");

    // The note is in no record: the words are sealed, and can be erased.
    let shown = stage.server.ledger_command(&["show"]).expect(0).stdout;
    assert!(!shown.contains(WHY) && shown.contains("bob refused it: note sha256:"), "{shown}");
    let socket = stage.server.socket().display().to_string();
    run(&["ledger", "erase", "bob", "--socket", &socket]).expect(0);
    let report = stage.server.report().expect("it answers");
    assert_eq!(report["headline"], "rolled back: acceptance: bob refused it: (the note was erased)", "{report}");
    stage.server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn an_acceptance_counts_once_green_served_the_tester_and_what_it_rests_on_is_evidence() {
    let stage = at_the_gate();
    let early = stage.server.rollout(&["accept", "--note", "looks fine"]);
    early.expect(1).says(&["bob accepted, but none of their traffic came to green"]);
    try_it_out(&stage);
    // What green acknowledged is told every 50 ms.
    eventually("the acceptance to count", LIMIT, || {
        let ran = stage.server.rollout(&["accept", "--note", "tried an order"]);
        (ran.stdout.contains("\"headline\"")).then_some(())
    });
    let report = stage.server.eventually_reports("the next step", LIMIT, |report| report["progress"] == "paused");
    assert_eq!(report["signOffs"][0]["tested"]["traces"], 1, "{report}");
    let shown = stage.server.ledger_command(&["show"]).expect(0).stdout;
    let named = shown.lines().rfind(|line| line.contains("\"signedOff\"") && line.contains("\"evidence\":\"sha256:"));
    let digest = named.and_then(|line| line.split("\"evidence\":\"").nth(1)?.split('"').next()).expect("it is named");
    let socket = stage.server.socket().display().to_string();
    let blob = run(&["ledger", "evidence", digest, "--socket", &socket]).expect(0).stdout;
    assert!(blob.contains(&"07".repeat(16)) && blob.contains("\"tester\":\"bob\""), "{blob}");
    assert!(!blob.contains(&"08".repeat(16)), "others' traces are not in it: {blob}");
}
