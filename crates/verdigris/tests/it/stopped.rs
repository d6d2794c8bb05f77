//! Rollouts that a gate stops before green serves anything, each with the cause in the first line.

use crate::plan::{Environment, Plan};
use crate::server::{Config, Server};
use crate::stage::Stage;
use crate::tls::Secured;
use crate::wait::{eventually, seconds};
use bytes::Bytes;
use gateway::{ClientLimits, OtlpClient, Outcome};
use model::{ClientTls, Protocol, Transport};
use serde_json::Value;
use std::path::Path;

/// Green would serve everything if the gate let it.
const AFTER: [&str; 2] = ["setWeight: 100%", "bake: { for: 1s }"];

/// How a rollout ends that begins with this gate; its plan lies in the folder.
#[track_caller]
fn stopped_by(gate: &str, server: &Server, plan: &Plan, folder: &Path) -> Value {
    let ended = server.start_and_watch(&plan.write(folder)).wait(seconds(90)).expect(3).json();
    assert_eq!(ended["progress"], "rolledBack", "{ended}");
    assert_eq!(ended["cause"]["guard"], gate, "{ended}");
    assert_eq!(ended["greenServes"], 0, "{ended}");
    ended
}

#[track_caller]
fn says(ended: &Value, words: &[&str]) {
    let finding = ended["cause"]["finding"].as_str().unwrap_or_default();
    assert!(words.iter().all(|word| finding.contains(word)), "{finding}\n{ended}");
}

/// A collector that shows a certificate and asks for none, where the one before it let nobody in without.
#[test]
fn a_green_that_asks_for_no_certificate_is_stopped_by_the_security_gate() {
    let files = Secured::new();
    let (blue, green) = (files.stage(), files.stage_for_anybody());
    let at = |stage: &Stage| format!("https://localhost:{}", stage.server.addresses.grpc.port());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config { serving_more: files.reaching(), ..Config::of(&at(&blue)) };
    let server = Server::start(folder.path(), &config);
    let more = ", tls: { ca: ca.pem, cert: client.pem, key: client.key }";
    let environment = |stage: &Stage| Environment { more: more.to_owned(), ..Environment::at(&at(stage)) };
    let mut plan = Plan::of(environment(&blue), environment(&green), &["gate: security", AFTER[0], AFTER[1]]);
    plan.canary = Some("off");
    let ended = stopped_by("security", &server, &plan, files.folder());
    says(&ended, &["OTLP/gRPC", "without a client certificate"]);
    assert_eq!(green.blue.stats().spans, 0, "no span came to green");
}

/// Who tries without a certificate is seen, also while a rollout goes on: in the status, and in the ledger.
#[test]
fn clients_that_nobody_lets_in_stand_in_the_ledger() {
    let files = Secured::new();
    let stage = files.stage();
    let mut plan = stage.plan(&["mirror: { for: 60s }", AFTER[0], AFTER[1]]);
    plan.pin = "1s";
    stage.start(&plan).expect(0);
    let endpoint = format!("https://localhost:{}", stage.server.addresses.grpc.port());
    let tls = ClientTls { ca: Some(files.path("ca.pem").display().to_string()), ..ClientTls::default() };
    let transport = Transport { tls, ..Transport::default() };
    let outcome = stage.runtime.block_on(async {
        let client = OtlpClient::new(&endpoint, Protocol::Grpc, &transport, ClientLimits::default());
        client.expect("a good endpoint").export(otlp::Signal::Traces, Bytes::new()).await
    });
    assert!(!matches!(outcome, Outcome::Acknowledged(_)), "{outcome:?}");
    eventually("the refusal in the ledger", seconds(30), || {
        let shown = stage.server.ledger_command(&["show"]).expect(0).stdout;
        let line = shown.lines().find(|line| line.contains("accessRefused"))?;
        let is_told = ["refused since the start", "showed no certificate", "127.0.0.1"];
        assert!(is_told.iter().all(|word| line.contains(word)), "{line}");
        Some(())
    });
    stage.server.rollout(&["rollback", "--reason", "it was seen"]);
}

/// Blue's and green's configurations, each one file.
fn configured(stage: &Stage, file: &str, (blue, green): (&str, &str), gates: &'static str) -> Plan {
    let of = |name: &str, text: &str| {
        let path = stage.folder.path().join(name);
        std::fs::create_dir(&path).expect("the folder is ours");
        std::fs::write(path.join(file), text).expect("the folder is ours");
        Some(format!("./{name}"))
    };
    let mut plan = stage.plan(&["gate: drift", AFTER[0], AFTER[1]]);
    plan.gates = gates;
    (plan.blue.config, plan.green.config) = (of("blue", blue), of("green", green));
    plan
}

const SERVICES: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout, namespace: shop }
spec:
  template:
    spec:
      containers:
        - name: app
          image: shop/checkout:1.0.0
          env:
            - { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: \"http://collector:4317\" }
            - { name: OTEL_SERVICE_NAME, value: checkout }
            - { name: DB_PASSWORD, value: hunter2secret }
";

/// A cloud application's: the new environment's tracing was never set up, and nothing was there to be seen of it.
#[test]
fn a_service_whose_tracing_is_not_set_up_in_green_is_found_before_any_traffic() {
    let stage = Stage::set();
    let green: String =
        SERVICES.lines().filter(|line| !line.contains("OTEL_")).map(|line| format!("{line}\n")).collect();
    let plan = configured(&stage, "shop.yaml", (SERVICES, &green), "{ drift: {} }");
    let ended = stopped_by("drift", &stage.server, &plan, stage.folder.path());
    says(&ended, &["service checkout has no tracing set up in green"]);
    assert!(!ended.to_string().contains("hunter2"), "{ended}");
    // What the verdict rests on was kept; no secret is in it either.
    let evidence = stage.server.folder().join("data/evidence");
    let blobs: Vec<String> = std::fs::read_dir(&evidence)
        .expect("the server made it")
        .filter_map(|entry| std::fs::read_to_string(entry.expect("it is listed").path()).ok())
        .collect();
    let report = blobs.iter().find(|blob| blob.contains("service without tracing")).expect("it was kept");
    assert!(!report.contains("hunter2"), "{report}");
    assert_eq!(stage.green.stats().requests, 0, "nothing came to green");
}

const COLLECTOR: &str = "\
receivers: { otlp: { protocols: { grpc: { endpoint: \"127.0.0.1:4317\" } } } }
processors: { probabilistic_sampler: { sampling_percentage: 15 }, batch: {} }
exporters: { otlp: { endpoint: \"backend-blue:4317\" } }
service: { pipelines: { traces: { receivers: [otlp], processors: [probabilistic_sampler, batch], exporters: [otlp] } } }
";

#[test]
fn a_drifted_sampling_ratio_is_stopped_where_the_other_differences_are_declared() {
    let stage = Stage::set();
    let green = COLLECTOR
        .replace("backend-blue", "backend-green")
        .replace("sampling_percentage: 15", "sampling_percentage: 1.5");
    let gates = "{ drift: { expected: [{ path: exporters.otlp.endpoint, reason: each has its own }] } }";
    let plan = configured(&stage, "collector.yaml", (COLLECTOR, &green), gates);
    let ended = stopped_by("drift", &stage.server, &plan, stage.folder.path());
    says(&ended, &["1 undeclared difference", "sampling", "15", "1.5"]);
}
