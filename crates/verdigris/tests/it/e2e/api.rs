//! The API beside programs that are not ours: schemathesis asks all that the OpenAPI document allows and much that it does
//! not, and a real Prometheus scrapes what the dashboard and the alert rules are made of.

use super::prometheus::{Scraping, promtool};
use crate::load::Load;
use crate::process::{Process, root};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};

const LIMIT: std::time::Duration = seconds(600);
/// Waits for a person, so that commands find something to do.
const STEPS: &[&str] = &["mirror: { for: 1s }", "setWeight: 50%", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"];

/// A port whose bytes go to the server's socket and back: schemathesis and Prometheus speak no Unix sockets.
fn port_before_the_socket(stage: &Stage) -> SocketAddr {
    let socket = stage.server.socket();
    let listener = stage.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    stage.runtime.spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                if let Ok(mut inside) = UnixStream::connect(socket).await {
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    address
}

fn schemathesis() -> PathBuf {
    if let Some(program) = std::env::var_os("VERDIGRIS_E2E_SCHEMATHESIS") {
        return PathBuf::from(program);
    }
    let program = root().join("target/e2e/venv/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed: run `cargo xtask e2e-setup`");
    program
}

/// With a rollout under way, and traffic behind it.
fn with_a_rollout() -> Stage {
    let stage = Stage::set();
    stage.start(&stage.plan(STEPS)).expect(0);
    let load = Load::start(&stage, [stage.server.addresses.grpc, stage.server.addresses.http]);
    load.flows(20);
    load.stop(&stage);
    stage
}

#[test]
fn schemathesis_finds_no_fault_of_the_server_and_no_answer_that_is_not_described() {
    let stage = with_a_rollout();
    let address = port_before_the_socket(&stage);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(schemathesis());
    command.current_dir(folder.path()).args(["run", &format!("http://{address}/v1/openapi.json")]);
    command.args(["--url", &format!("http://{address}"), "--checks", "all", "--max-examples", "30", "--seed", "9"]);
    // Whoever opens the socket is known, so no scheme is needed there; a plan, a signature and a name are texts of which
    // no schema says whether they are good.
    command.args(["--exclude-checks", "ignored_auth,positive_data_acceptance"]);
    // Its answer goes on for ten seconds and more.
    command.args(["--exclude-operation-id", "learn", "--phases", "examples,coverage,fuzzing", "--warnings", "off"]);
    let ran = Process::start("schemathesis", &mut command).wait(LIMIT);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    stage.server.rollout(&["list"]).expect(0);
    let verified = stage.server.ledger_command(&["verify"]).expect(0).json();
    assert_eq!(verified["verified"], true, "{verified}");
}

/// The metrics that a text of PromQL names.
fn metrics_of(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_ours = |word: &&str| word.starts_with("verdigris_") || word.starts_with("process_");
    words.filter(is_ours).map(str::to_owned).collect()
}

/// The expressions of a dashboard's panels.
fn expressions(value: &Value, found: &mut String) {
    match value {
        Value::Object(fields) => {
            if let Some(text) = fields.get("expr").and_then(Value::as_str) {
                found.push_str(text);
                found.push('\n');
            }
            fields.values().for_each(|field| expressions(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_real_prometheus_scrapes_what_the_dashboard_and_the_rules_need() {
    let stage = with_a_rollout();
    let scraping = Scraping::start(port_before_the_socket(&stage));
    let knows = |name: &str| {
        eventually(&format!("prometheus to know {name}"), seconds(60), || {
            scraping.names().contains(name).then_some(())
        });
    };
    // Evidence comes while it is under way, and when it ended is told once it has.
    knows("verdigris_guard_log_against");
    stage.server.rollout(&["rollback"]).expect(0);
    knows("verdigris_rollout_ended_timestamp_seconds");
    let names = scraping.names();
    let contrib = root().join("contrib");
    let rules = std::fs::read_to_string(contrib.join("prometheus/alerts.yaml")).expect("the rules are there");
    // Comments and summaries are prose.
    let of_rules: String = rules.lines().filter(|line| line.trim_start().starts_with("expr:")).collect();
    let dashboard = std::fs::read_to_string(contrib.join("grafana/verdigris.json")).expect("the dashboard is there");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let mut of_dashboard = String::new();
    expressions(&dashboard, &mut of_dashboard);
    let (in_rules, in_dashboard) = (metrics_of(&of_rules), metrics_of(&of_dashboard));
    assert!(in_rules.len() > 8 && in_dashboard.len() > 15, "{in_rules:?} {in_dashboard:?}");
    // Where nothing waits, nothing is lost and no witness is asked there is no sample.
    let absent =
        ["verdigris_spool_oldest_timestamp_seconds", "verdigris_witness_age_seconds", "verdigris_witness_problem"];
    let absent = [&absent[..], &["verdigris_finding_traces_total", "verdigris_rollout_time_left_seconds"]].concat();
    for name in in_rules.union(&in_dashboard).filter(|name| !absent.contains(&name.as_str())) {
        assert!(names.contains(name), "{name} is in no scrape; there are {names:?}");
    }
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let folder = root().join("contrib/prometheus");
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let mut command = Command::new(promtool());
        let ran = Process::start("promtool", command.current_dir(&folder).args(arguments)).wait(seconds(60));
        assert_eq!(ran.code, 0, "{arguments:?}: {}\n{}", ran.stdout, ran.stderr);
    }
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it is there");
    let (rules, tests) = (text("alerts.yaml"), text("alerts_test.yaml"));
    let names: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(!names.is_empty());
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n        exp_alerts:\n          - ")), "{name} never fires");
        assert!(tests.contains(&format!("alertname: {name}, exp_alerts: []")), "{name} is nowhere silent");
    }
}
