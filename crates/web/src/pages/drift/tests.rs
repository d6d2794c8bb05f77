use crate::pages::serving::{self, Served, started};
use access::Role;
use control::rollout::plan::GateName;
use control::rollout::{Body, Decision, Event, GateResult, GateVerdict, RolloutId};
use serde_json::json;
use std::collections::BTreeMap;

const DRIFT: &str = r#"
    drift:
      expected:
        - { path: exporters.otlp.endpoint, reason: "each <b>writes</b> to its own" }
        - { path: nothing.at.all, reason: left over }
"#;
const DIGEST: &str = "sha256:d";

/// One undeclared difference, one that is declared, one of secrets, and a finding of a rule; two more were counted.
fn blob() -> Vec<u8> {
    let value = |text: &str| json!({ "shown": "value", "text": text });
    let of = |path: &str, change: serde_json::Value| json!({ "file": "col\u{202e}lector.yaml", "path": path, "change": change });
    let report = json!({
        "configurations": { "blue": "sha256:of-blue", "green": "sha256:of-green" },
        "tracing": {
            "undeclared": [{ "file": "a.yaml", "path": "x", "rule": "sampling differs", "message": "the ratio is 0.5 in green" }],
            "declared": [], "expired": [], "unused": [0, 1],
        },
        "differences": {
            "undeclared": [
                of("service.extensions", json!({ "kind": "missingInGreen", "blue": { "shown": "collection", "text": 2 } })),
                of("auth.token", json!({ "kind": "changed", "blue": { "shown": "secret" }, "green": { "shown": "secret" } })),
            ],
            "declared": [[0, of("exporters.otlp.endpoint", json!({ "kind": "changed", "blue": value("blue:4317"), "green": value("green:4317") }))]],
            "expired": [], "unused": [1],
        },
        "live": { "blue": null, "green": { "undeclared": [], "declared": [[99, of("a", json!({ "kind": "onlyInGreen", "green": value("1") }))]], "expired": [], "unused": [] } },
        "leftOut": 2,
    });
    serde_json::to_vec(&report).unwrap()
}

fn ran(run: u32, guard: bool, verdict: GateVerdict, evidence: Option<&str>) -> [Body; 2] {
    let gate = GateName::Drift;
    let result = GateResult { verdict, reasons: vec![format!("reason {run}")], evidence: evidence.map(str::to_owned) };
    [
        Body::Decided(Box::new(Decision::GateRequested { gate, run, guard })),
        Body::Happened(Box::new(Event::GateFinished { gate, run, result })),
    ]
}

async fn served(gates: &str, runs: Vec<[Body; 2]>, blob: Option<Vec<u8>>, roles: &[Role]) -> Served {
    let start = started("demo.1", "gate: drift", gates);
    let bodies = [start].into_iter().chain(runs.into_iter().flatten());
    let rollout = Some(RolloutId("demo.1".into()));
    let evidence: BTreeMap<String, Vec<u8>> = blob.into_iter().map(|blob| (DIGEST.to_owned(), blob)).collect();
    Served::with(bodies.map(|body| (rollout.clone(), body)).collect(), evidence, roles).await
}

/// What stands on the page, and what does not.
async fn check(served: &Served, query: &str, stands: &[&str], missing: &[&str]) {
    serving::check(&served.get(&format!("/rollouts/demo.1/drift{query}")).await, stands, missing);
}

#[tokio::test]
async fn declared_and_undeclared_differences_stand_with_their_reasons_and_secrets_stay_secret() {
    let runs = vec![ran(1, false, GateVerdict::Error, None), ran(2, true, GateVerdict::Fail, Some(DIGEST))];
    let served = served(DRIFT, runs, Some(blob()), &[Role::Operator]).await;
    let stands = [
        "The last run: Fail",
        "reason 2",
        "2 of the guard",
        "sampling differs",
        "the ratio is 0.5 in green",
        "Not expected: 2",
        "service.extensions",
        "2 entries",
        "is not there",
        "Expected: 1",
        "each &lt;b&gt;writes&lt;/b&gt; to its own",
        "green:4317",
        "1 value was taken for a secret",
        "2 more differences were counted",
        "nothing of that differed in this run: it can go",
        "sha256:of-green",
        "What runs in green, against what was declared",
        "/v1/evidence/sha256:d",
        "?run=1",
        "<bdi>col\u{202e}lector.yaml</bdi>",
    ];
    check(&served, "", &stands, &["each <b>"]).await;
    check(&served, "?run=1", &["Run 1: Error", "none was kept of this run", "?run=2"], &["Not expected"]).await;
    // What is no number, or of no run, is the last run.
    check(&served, "?run=x", &["The last run: Fail"], &[]).await;
}

#[tokio::test]
async fn whoever_may_not_see_evidence_sees_the_verdict_and_what_the_plan_declares_alone() {
    let served =
        served(DRIFT, vec![ran(1, false, GateVerdict::Fail, Some(DIGEST))], Some(blob()), &[Role::Author]).await;
    let stands = [
        "The last run: Fail",
        "1 of the step",
        "reason 1",
        "exporters.otlp.endpoint",
        "is for approvers, operators and auditors",
    ];
    check(&served, "", &stands, &["green:4317", "/v1/evidence", "sha256:of-green"]).await;
}

#[tokio::test]
async fn what_was_deleted_or_cannot_be_read_is_said() {
    let run = || vec![ran(1, false, GateVerdict::Pass, Some(DIGEST))];
    let gone = served(DRIFT, run(), None, &[Role::Auditor]).await;
    check(&gone, "", &["The last run: Pass", "cannot be shown: there is no evidence sha256:d"], &[]).await;
    let odd = served(DRIFT, run(), Some(b"{}".to_vec()), &[Role::Auditor]).await;
    check(&odd, "", &["cannot be shown: it is not of the form"], &[]).await;
}

#[tokio::test]
async fn without_a_drift_gate_the_page_says_what_to_write() {
    let bodies = vec![(Some(RolloutId("demo.1".into())), started("demo.1", "gate: probe", ""))];
    let without = Served::with(bodies, BTreeMap::new(), &[Role::Viewer]).await;
    check(&without, "", &["has neither the drift gate nor the drift guard", "- gate: drift"], &["has not ended a run"])
        .await;
    let waiting = served(DRIFT, Vec::new(), None, &[Role::Viewer]).await;
    check(&waiting, "", &["has not ended a run so far"], &["- gate: drift"]).await;
    assert!(waiting.get("/rollouts/other.1/drift").await.contains("404 Not Found"));
}
