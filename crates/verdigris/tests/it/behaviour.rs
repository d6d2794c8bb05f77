//! Rollouts that the gates for behaviour stop before the shift, each with the cause in the first line: tests, migration,
//! load, calls and dependencies.

mod collector;
#[path = "../../../postgres/tests/support/server.rs"]
#[allow(clippy::unwrap_used, dead_code)]
mod postgres_server;

use crate::plan::{Environment, Plan};
use crate::process::{Process, verdigris};
use crate::requests::post_protobuf;
use crate::server::{Config, Server};
use crate::stage::{Stage, runtime};
use crate::wait::seconds;
use collector::Collector;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyOf;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = seconds(150);
/// Green would serve everything if the gate let it.
const AFTER: [&str; 2] = ["setWeight: 100%", "bake: { for: 1s }"];
const ARTIFACT: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// Plans of a test live as long as it does.
fn text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The rollout is held, and its headline begins with these words; nothing was shifted.
#[track_caller]
fn held(server: &Server, words: &[&str]) -> Value {
    let report = server.eventually_reports("a hold", LIMIT, |report| report["progress"] == "held");
    check(&report, words);
    report
}

/// The rollout was rolled back before green served anything.
#[track_caller]
fn stopped(server: &Server, gate: &str, words: &[&str]) -> Value {
    let report = server.eventually_reports("the way back", LIMIT, |report| report["progress"] == "rolledBack");
    assert_eq!(report["cause"]["guard"], gate, "{report}");
    check(&report, words);
    report
}

#[track_caller]
fn check(report: &Value, words: &[&str]) {
    let headline = report["headline"].as_str().unwrap_or_default();
    assert!(words.iter().all(|word| headline.contains(word)), "{headline}\n{report}");
    assert_eq!(report["greenServes"], 0, "{report}");
}

/// A stage and a plan that begins with this gate.
fn gated(stage: &Stage, gate: &'static str, gates: String) -> Plan {
    let mut plan = stage.plan(&[gate, AFTER[0], AFTER[1]]);
    plan.gates = text(gates);
    plan
}

/// JUnit XML as pytest writes it, of this artifact, run so many days ago.
fn junit(folder: &Path, artifact: &str, timestamp: &str) {
    let xml = format!(
        "<testsuites><testsuite name=\"collector\" tests=\"2\" timestamp=\"{timestamp}\"><properties>\
         <property name=\"artifact\" value=\"{artifact}\"/></properties>\
         <testcase classname=\"config\" name=\"loads\" time=\"0.1\"/>\
         <testcase classname=\"pipeline\" name=\"exports\" time=\"0.2\"/></testsuite></testsuites>"
    );
    std::fs::create_dir_all(folder.join("reports")).expect("the folder is ours");
    std::fs::write(folder.join("reports/junit.xml"), xml).expect("the folder is ours");
}

fn tested(stage: &Stage) -> Plan {
    let gates = "{ tests: { atLeast: 2, maxAge: 7d, reports: { green: [{ files: ./reports }] } } }";
    let mut plan = gated(stage, "gate: tests", gates.to_owned());
    plan.green.artifact = Some(ARTIFACT.to_owned());
    plan
}

#[test]
fn a_change_without_tests_is_held() {
    let stage = Stage::set();
    stage.start(&tested(&stage)).expect(0);
    held(&stage.server, &["tests", "no report"]);
}

#[test]
fn a_change_with_stale_tests_is_stopped() {
    let stage = Stage::set();
    junit(stage.folder.path(), ARTIFACT, "2020-02-03T04:05:06Z");
    stage.start(&tested(&stage)).expect(0);
    stopped(&stage.server, "tests", &["tests", "ago"]);
}

#[test]
fn a_change_with_another_artifacts_tests_is_stopped() {
    let stage = Stage::set();
    junit(stage.folder.path(), &ARTIFACT.replace('1', "2"), &now());
    stage.start(&tested(&stage)).expect(0);
    stopped(&stage.server, "tests", &["tests", "2222"]);
}

#[test]
fn a_tested_change_goes_on() {
    let stage = Stage::set();
    junit(stage.folder.path(), ARTIFACT, &now());
    let mut plan = tested(&stage);
    plan.steps.insert(1, "pause: {}");
    stage.start(&plan).expect(0);
    stage.server.eventually_reports("the next step", LIMIT, |report| report["progress"] == "paused");
}

/// As `date` has it.
fn now() -> String {
    let date = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().expect("date runs");
    String::from_utf8(date.stdout).expect("a date").trim().to_owned()
}

/// Two databases with the same table, but for what is done to green's; a rollout whose gate compares them.
fn migrated(to_green: &str, words: &[&str]) {
    let databases = postgres_server::Server::shared();
    let stage = Stage::set();
    let make = "CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric(12,2), placed timestamptz); \
                INSERT INTO orders SELECT n, 'customer ' || n, n * 1.25, '2026-01-01'::timestamptz + n * interval '1 min' \
                FROM generate_series(1, 20000) n";
    for (environment, more) in [("blue", ""), ("green", to_green)] {
        let database = databases.database();
        databases.sql(&database, make);
        databases.sql(
            &database,
            &format!("CREATE ROLE auditor_{database} LOGIN; GRANT SELECT ON orders TO auditor_{database}"),
        );
        if !more.is_empty() {
            databases.sql(&database, more);
        }
        let dsn = format!(
            "host={} port={} dbname={database} user=auditor_{database}\n",
            databases.folder().display(),
            databases.port
        );
        let path = stage.folder.path().join(format!("{environment}.dsn"));
        std::fs::write(&path, dsn).expect("the folder is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
    let gates =
        "{ migration: { blue: { dsnFile: ./blue.dsn }, green: { dsnFile: ./green.dsn }, tables: [{ name: orders }] } }";
    stage.start(&gated(&stage, "gate: migration", gates.to_owned())).expect(0);
    let report = stopped(&stage.server, "migration", words);
    assert!(!report.to_string().contains("customer 1"), "no value of a row is told: {report}");
}

#[test]
fn a_migration_that_lost_rows_is_stopped() {
    migrated("DELETE FROM orders WHERE id = 12345", &["migration", "orders", "12345"]);
}

#[test]
fn a_migration_that_changed_values_is_stopped() {
    migrated("UPDATE orders SET total = total + 0.01 WHERE id = 777", &["migration", "orders", "777"]);
}

/// Collectors between the server and its taps; green's drops what is more than so many spans a second.
fn loaded(green_most: u64) -> (Server, Collector, Collector, tempfile::TempDir, tokio::runtime::Runtime, Plan) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let blue = runtime.block_on(Collector::start(u64::MAX));
    let green = runtime.block_on(Collector::start(green_most));
    let server = Server::start(folder.path(), &Config::of(&blue.endpoint()));
    blue.exports_to(&format!("http://{}", server.addresses.blue_tap));
    green.exports_to(&format!("http://{}", server.addresses.green_tap));
    let (at_blue, at_green) = (Environment::at(&blue.endpoint()), Environment::at(&green.endpoint()));
    let mut plan = Plan::of(at_blue, at_green, &["gate: load", "pause: {}", AFTER[0], AFTER[1]]);
    plan.canary = Some("off");
    plan.gates = "{ load: { peak: 1000/s, multiple: 2, for: 25s, warmUp: 2s } }";
    (server, blue, green, folder, runtime, plan)
}

#[test]
fn a_green_that_loses_spans_under_twice_the_load_is_stopped() {
    // At the present peak it loses nothing.
    let (server, _blue, _green, folder, _runtime, plan) = loaded(1_400);
    let _watching = server.start_and_watch(&plan.write(folder.path()));
    let report = stopped(&server, "load", &["load", "green"]);
    let finding = report["cause"]["finding"].as_str().unwrap_or_default();
    assert!(finding.contains("did not come out") || finding.contains("lost"), "{report}");
}

/// Of a version of the hospital's services, a call of the scheduling service.
fn call(version: &str, number: u8, host: &str) -> Vec<u8> {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(AnyOf::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    };
    let span = Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: "GET".to_owned(),
        kind: 3,
        start_time_unix_nano: 1,
        end_time_unix_nano: 1_000_000,
        attributes: vec![text("server.address", host), text("http.request.method", "GET")],
        ..Span::default()
    };
    let attributes = vec![text("service.name", "appointments"), text("service.version", version)];
    let resource = Resource { attributes, ..Resource::default() };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { resource: Some(resource), scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
}

/// A hospital's scheduling: its new version was tried against a simulation alone.
#[test]
fn an_external_api_that_green_never_called_holds_by_name() {
    let stage = Stage::set();
    let mut plan = stage.plan(&["mirror: { for: 8s }", "gate: dependencies", AFTER[0], AFTER[1]]);
    plan.gates = "{ dependencies: { by: version } }";
    stage.start(&plan).expect(0);
    stage.server.eventually_reports("the mirror", LIMIT, |report| report["mirror"] == true);
    for number in 1..=20 {
        assert_eq!(post_protobuf(&stage, call("1.0.0", number, "scheduling.hospital.example")), 200);
        assert_eq!(post_protobuf(&stage, call("1.1.0", number + 100, "wards.hospital.example")), 200);
        assert_eq!(post_protobuf(&stage, call("1.0.0", number + 50, "wards.hospital.example")), 200);
    }
    let report = held(&stage.server, &["dependencies", "scheduling.hospital.example"]);
    assert!(!report["headline"].to_string().contains("wards"), "{report}");
}

/// An agent in a world of its own, where the name of the API leads elsewhere.
fn agent(folder: &Path, name: &str, hosts: &str, port: u16) -> (Process, String) {
    let token = folder.join("token");
    std::fs::write(&token, "a-token-of-some-length-0123456789\n").expect("the folder is ours");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let file = folder.join(format!("hosts-{name}"));
    std::fs::write(&file, hosts).expect("the folder is ours");
    let binary = verdigris().get_program().to_string_lossy().into_owned();
    let script = format!(
        "mount --bind {} /etc/hosts && exec {binary} agent --listen 127.0.0.1:0 --token-file {} --allow scheduling.hospital.example:{port}",
        file.display(),
        token.display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let mut process = Process::start(&format!("the agent of {name}"), &mut command);
    let line = process.first_line(seconds(30)).unwrap_or_else(|ran| panic!("the agent ended: {ran:?}"));
    let address = line.rsplit(' ').next().expect("an address").trim().to_owned();
    (process, format!("http://{address}"))
}

#[test]
fn an_external_api_that_is_slow_from_green_only_is_stopped() {
    let stage = Stage::set();
    let port = stage.runtime.block_on(collector::apis(Duration::from_millis(150)));
    let folder = stage.folder.path();
    let (_blue, blue) = agent(folder, "blue", "127.0.0.1 scheduling.hospital.example\n", port);
    let (_green, green) = agent(folder, "green", "127.0.0.2 scheduling.hospital.example\n", port);
    let gates = format!(
        "{{ probe: {{ calls: [{{ name: scheduling, http: \"http://scheduling.hospital.example:{port}/slots\", repetitions: 12 }}], \
         agents: {{ blue: {{ url: \"{blue}\", tokenFile: ./token }}, green: {{ url: \"{green}\", tokenFile: ./token }} }}, \
         slowerBy: 50%, slowerByAtLeast: 50ms }} }}"
    );
    stage.start(&gated(&stage, "gate: probe", gates)).expect(0);
    stopped(&stage.server, "probe", &["probe", "scheduling", "slow from green alone"]);
}
