//! A bundle in the hands of programs that share nothing with us: DSSE by securesystemslib, OSCAL by compliance-trestle.

use super::peers::python;
use crate::process::root;
use crate::stage::Stage;
use serde_json::Value;
use std::process::Command;

#[test]
fn other_programs_read_a_bundle() {
    let stage = Stage::set();
    let steps = ["gate: probe", "setWeight: 10%", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"];
    stage.start(&stage.plan(&steps)).expect(0);
    stage.server.eventually_reports("waits for a person", crate::wait::seconds(30), |report| {
        report["needsPerson"] == true || report["progress"] == "paused"
    });
    stage.server.rollout(&["rollback", "--reason", "seen enough"]).expect(0);
    stage.server.rollout(&["watch"]).expect(3);
    let bundle = stage.server.folder().join("rollout.tar");
    let exported =
        stage.server.ledger_command(&["export", "e2e.1", "--out", &bundle.display().to_string()]).expect(0).json();
    let mut command = Command::new(python());
    command.arg(root().join("e2e/audit_reference.py")).arg(&bundle).arg(stage.server.verifier_key());
    let done = command.output().expect("the end-to-end tests' Python starts");
    let (printed, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    let told: Value = serde_json::from_str(&printed).expect("one JSON value");
    let types: Vec<&str> = told["statements"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(exported["statements"], types.len(), "{told}");
    assert!(types.contains(&"https://in-toto.io/attestation/test-result/v0.1"), "{types:?}");
    assert!(types.contains(&"https://verdigris.dev/attestation/decision/v1"), "{types:?}");
    assert!(told["oscal"]["observations"].as_u64().is_some_and(|count| count >= 6), "{told}");
}
