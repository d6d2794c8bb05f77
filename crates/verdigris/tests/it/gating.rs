//! Gates by themselves, from the command line.

use crate::plan::{Environment, Plan};
use crate::process::{Ran, run};
use std::path::{Path, PathBuf};

const NOBODY: &str = "http://127.0.0.1:9";

/// A plan with these configurations of one file, `collector.yaml`.
fn plan(folder: &Path, blue: &str, green: &str) -> PathBuf {
    let of = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir(&path).expect("the folder is ours");
        std::fs::write(path.join("collector.yaml"), text).expect("the folder is ours");
        Environment { config: Some(format!("./{name}")), ..Environment::at(&format!("{NOBODY}{}", name.len())) }
    };
    Plan::of(of("blue", blue), of("green", green), &["setWeight: 100%", "bake: { for: 1s }"]).write(folder)
}

fn gate(name: &str, plan: &Path, more: &[&str]) -> Ran {
    let plan = plan.display().to_string();
    run(&[&["gate", name, &plan][..], more].concat())
}

#[test]
fn a_gate_runs_without_a_rollout_and_ends_as_a_rollout_would() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let same = plan(folder.path(), "x: 1 # blue\n", "x: 1\n");
    assert!(gate("drift", &same, &[]).expect(0).stdout.starts_with("drift: pass\n"));
    std::fs::write(folder.path().join("green/collector.yaml"), "x: 2\n").expect("the folder is ours");
    let failed = gate("drift", &same, &[]).expect(3);
    assert!(failed.stdout.starts_with("drift: fail\n") && failed.stdout.contains("collector.yaml"), "{failed:?}");
    std::fs::write(folder.path().join("green/collector.yaml"), "x: [2\n").expect("the folder is ours");
    let broken = gate("drift", &same, &["--format", "json"]).expect(1).json();
    assert_eq!((broken["gate"].as_str(), broken["verdict"].as_str()), (Some("drift"), Some("error")), "{broken}");
    let unasked = gate("security", &same, &[]).expect(1);
    let lines: Vec<&str> = unasked.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[1].contains("other settings of green's OTLP/gRPC endpoint"), "{unasked:?}");
    let nobody = gate("probe", &same, &[]).expect(1);
    assert!(nobody.stdout.contains("127.0.0.1:9"), "{nobody:?}");
}

#[test]
fn what_cannot_be_asked_of_a_gate_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan(folder.path(), "x: 1\n", "x: 1\n");
    gate("approval", &plan, &[]).expect(2).says(&["expected one of drift, probe"]);
    gate("drift", &plan, &["--allow", "kubectl"]).expect(2).says(&["--allow", "the whole path of a program"]);
    gate("drift", Path::new("/no/such/plan.yaml"), &[]).expect(2).says(&["/no/such/plan.yaml"]);
}

#[test]
fn two_folders_are_compared_by_meaning_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (blue, green) = ("password: hunter2secret\nratio: 0.1\n", "ratio: 0.2 # less\npassword: hunter3secret\n");
    plan(folder.path(), blue, green);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (blue, green) = (path("blue"), path("green"));
    let compared = run(&["drift", &blue, &green]).expect(3).stdout;
    let lines = [
        "2 differences",
        "  collector.yaml: password: secret (changed)",
        "  collector.yaml: ratio: 0.1 in blue, 0.2 in green",
    ];
    assert_eq!(compared.lines().collect::<Vec<_>>(), lines);
    let json = run(&["drift", &blue, &green, "--format", "json", "--expected", "ratio"]).expect(3).stdout;
    assert!(!compared.contains("hunter") && !json.contains("hunter"), "{json}");
    run(&["drift", &blue, &green, "--expected", "ratio", "--expected", "password"]).expect(0);
    run(&["drift", &blue, &blue]).expect(0);
    run(&["drift", &blue, "/no/such/folder"]).expect(2).says(&["/no/such/folder"]);
}

#[test]
fn a_recording_is_scanned_for_sensitive_values_without_showing_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let attribute = |value: &str| format!(r#"{{"key":"app.note","value":{{"stringValue":"{value}"}}}}"#);
    let spans = |value: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{}","spanId":"{}","name":"pay","attributes":[{}]}}]}}]}}]}}"#,
            "4111".repeat(8),
            "4111".repeat(4),
            attribute(value)
        )
    };
    let (clean, holding) = (path("clean.jsonl"), path("holding.jsonl"));
    std::fs::write(&clean, spans("nothing") + "\n").expect("the folder is ours");
    std::fs::write(&holding, [spans("nothing"), spans("paid by 4111 1111 1111 1111")].join("\n")).expect("as before");
    run(&["redact", "scan", &clean]).expect(0);
    let found = run(&["redact", "scan", &holding]).expect(5).stdout;
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines, ["1 sensitive value in 6 texts", "         1  payment-card    attribute app.note"], "{found}");
    let pretty = path("pretty.json");
    std::fs::write(&pretty, spans("4111 1111 1111 1111").replace("{", "{\n")).expect("the folder is ours");
    run(&["redact", "scan", &pretty]).expect(5);
    let text = path("log.txt");
    std::fs::write(&text, "ok\nmail to ada@example.com\n").expect("the folder is ours");
    let found = run(&["redact", "scan", "--text", &text, "--format", "json"]).expect(5).json();
    assert_eq!(found["found"][0]["class"], "email", "{found}");
    assert_eq!(found["found"][0]["place"], "line 2", "{found}");
    run(&["redact", "scan", &text]).expect(2).says(&["log.txt"]);
}
