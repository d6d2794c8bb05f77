//! `verdigris verify learn` on a running server: from traffic to a declaration under which the same
//! pipeline shows nothing else.

use crate::plan::{Environment, Plan};
use crate::process::{Process, run_within, verdigris};
use crate::requests::post_protobuf;
use crate::server::Config;
use crate::stage::{Stage, runtime};
use crate::wait::{eventually, seconds};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::Signal;
use prost::Message;
use serde_json::Value;
use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use verdigris::api::ApiClient;
use verdigris::demo::client::{Framed, OtlpClient};
use verdigris::demo::server::Server;

/// Requests that wait for a tap; a test sends three at a time.
const MAX_WAITING: usize = 10_000;

/// A collector that masks, renames, adds, cuts times and lets every fourth trace go, and exports to a tap alone.
struct Pipeline {
    server: Server,
    tap: Arc<OnceLock<String>>,
}

impl Pipeline {
    async fn start() -> Pipeline {
        let tap = Arc::new(OnceLock::<String>::new());
        let (to, of) = (tap.clone(), mpsc::channel::<Bytes>(MAX_WAITING));
        let (put_out, mut waiting) = of;
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                let Some(tap) = to.get() else { continue };
                let client = OtlpClient::new(tap).expect("the tap has an address");
                // The server may have ended by now, and the test with it.
                let _ = client.export(Signal::Traces, &Framed::new(&message)).await;
            }
        });
        let server = Server::start(move |_, message| {
            let request = ExportTraceServiceRequest::decode(message).expect("the gateway sends OTLP");
            // A test that puts out more than waits here fails by what does not come out.
            let _ = put_out.try_send(changed(request).encode_to_vec().into());
            Ok(())
        });
        Pipeline { server: server.await.expect("a free port"), tap }
    }

    fn environment(&self) -> Environment {
        Environment::at(&format!("http://{}", self.server.address()))
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// An export of a trace of two spans.
fn sent(trace: u64) -> Vec<u8> {
    let span = |number: u8| Span {
        trace_id: [trace.to_be_bytes(), [7; 8]].concat(),
        span_id: vec![number; 8],
        parent_span_id: if number > 1 { vec![1; 8] } else { Vec::new() },
        name: "GET /cart".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_001_234_567,
        attributes: vec![attribute("card.number", &format!("4242-{trace}")), attribute("http.method", "GET")],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span(1), span(2)], ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: vec![attribute("service.name", "shop")], ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn changed(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for spans in scopes.map(|scope| &mut scope.spans) {
        spans.retain(|span| span.trace_id[7] % 4 != 0);
        for span in spans {
            span.attributes = vec![
                attribute("card.number", "****"),
                attribute("http.request.method", "GET"),
                attribute("k8s.pod.name", "shop-0"),
            ];
            span.end_time_unix_nano = span.end_time_unix_nano / 1_000 * 1_000;
        }
    }
    request
}

/// A server between two such pipelines, and traces whose ids are never used again.
struct Scene {
    stage: Stage,
    blue: Pipeline,
    green: Pipeline,
    traces: Cell<u64>,
}

impl Scene {
    fn set() -> Scene {
        let runtime = runtime();
        let (blue, green) = runtime.block_on(async { (Pipeline::start().await, Pipeline::start().await) });
        let stage = Stage::set_as(|_| Config::of(&format!("http://{}", blue.server.address())));
        let addresses = stage.server.addresses;
        for (pipeline, tap) in [(&blue, addresses.blue_tap), (&green, addresses.green_tap)] {
            pipeline.tap.set(format!("http://{tap}")).expect("it is set once");
        }
        Scene { stage: Stage { runtime, ..stage }, blue, green, traces: Cell::new(0) }
    }

    fn send(&self) {
        for _ in 0..3 {
            self.traces.set(self.traces.get() + 1);
            assert_eq!(post_protobuf(&self.stage, sent(self.traces.get())), 200);
        }
    }

    fn learn(&self, arguments: &[&str]) -> Process {
        let mut command = verdigris();
        command.args(["verify", "learn", "--socket"]).arg(self.stage.server.socket()).args(arguments);
        Process::start("verdigris verify learn", &mut command)
    }

    fn status(&self) -> Value {
        let client = ApiClient::new(&self.stage.server.socket());
        self.stage.runtime.block_on(client.get("/v1/status")).expect("the server answers")
    }

    /// Waits until as many spans were compared.
    fn compares(&self, spans: u64) {
        eventually("spans to be compared", seconds(60), || {
            self.send();
            (self.status()["learning"]["spans"]["compared"].as_u64()? >= spans).then_some(())
        });
    }

    /// Mirrors to green until thirty of its traces are judged, and gives what was found in any of them.
    fn found(&self, transformations: Option<&str>) -> Vec<String> {
        let environment = |pipeline: &Pipeline| Environment {
            transformations: transformations.map(str::to_owned),
            ..pipeline.environment()
        };
        let plan = Plan { horizon: "3s", ..Plan::of(environment(&self.blue), environment(&self.green), STEPS) };
        let started = self.stage.start(&plan).expect(0).json();
        let rollout = started["rollout"].as_str().expect("it has a name").to_owned();
        let found = eventually("thirty traces of green to be judged", seconds(120), || {
            self.send();
            let records = self.stage.server.ledger_command(&["show"]).expect(0).stdout;
            let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let ours = records.iter().filter(|record| record["record"]["rollout"] == *rollout);
            let observations: Vec<&Value> = ours.filter_map(|record| observation(&record["record"]["body"])).collect();
            let traces: u64 = observations.iter().filter_map(|it| it["arms"]["green"]["traces"].as_u64()).sum();
            let findings = observations.iter().flat_map(|it| it["findings"].as_array().expect("a list"));
            let found = findings.map(|finding| format!("{} {}", finding["check"], finding["key"]));
            (traces >= 30).then(|| found.collect())
        });
        self.stage.server.rollout(&["rollback"]).expect(0);
        self.stage.server.eventually_reports("the end", seconds(60), |report| report["progress"] == "rolledBack");
        found
    }
}

const STEPS: &[&str] = &["mirror: { for: 10m }", "setWeight: 100%", "bake: { for: 1s }"];

/// The observation in a record's body, wherever it stands there.
fn observation(body: &Value) -> Option<&Value> {
    match body {
        Value::Object(fields) if fields.contains_key("arms") => Some(body),
        Value::Object(fields) => fields.values().find_map(observation),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}

#[test]
fn under_what_was_learned_of_a_running_pipeline_a_rollout_finds_nothing_but_declared_sampling() {
    let scene = Scene::set();
    let mut learning = scene.learn(&["--for", "10s", "--horizon", "3s"]);
    let learned = eventually("it to learn", seconds(120), || {
        scene.send();
        learning.ended()
    });
    let learned = learned.expect(0);
    assert!(learned.stderr.is_empty(), "no progress where there is no terminal: {}", learned.stderr);
    for line in [
        "http.method: http.request.method  # 100.0%",
        "- card.number  # 100.0%",
        "- k8s.pod.name  # 100.0%",
        "times: us  # 100.0%",
        "samples: true  # 2",
    ] {
        assert!(learned.stdout.contains(line), "{line}: {}", learned.stdout);
    }
    assert!(!learned.stdout.contains("4242") && !learned.stdout.contains("Left out"), "{}", learned.stdout);
    assert_eq!(scene.status()["learning"], Value::Null);

    // It is written for a plan that is indented, and the test's is not.
    let block: Value = serde_saphyr::from_str(&learned.stdout).expect("it is YAML");
    let found = scene.found(None);
    assert!(found.iter().any(|found| found.contains("card.number")), "undeclared it is found: {found:?}");
    // Declared sampling is counted, as what it is.
    let found = scene.found(Some(&block["transformations"].to_string()));
    assert!(found.iter().all(|found| found.contains("sampledOut")), "{found:?}");
}

#[test]
fn interrupted_it_prints_what_it_has_learned_and_one_learns_at_a_time() {
    let scene = Scene::set();
    let learning = scene.learn(&["--for", "24h", "--format", "json"]);
    scene.compares(60);
    scene.learn(&[]).wait(seconds(60)).expect(1).says(&["somebody learns already"]);
    learning.signal("INT");
    let learned = learning.wait(seconds(60)).expect(0).json();
    assert!(learned["spans"]["compared"].as_u64() >= Some(60), "{learned}");
    let declared: Vec<&str> =
        learned["declared"].as_array().into_iter().flatten().filter_map(|it| it["what"].as_str()).collect();
    assert!(declared.contains(&"changed card.number"), "{learned}");
    assert_eq!((&learned["isOver"], &learned["environment"]), (&false.into(), &"blue".into()));

    // The server sees that it has gone, and the next one can learn; during a rollout green, too.
    eventually("the place to be free", seconds(30), || (scene.status()["learning"] == Value::Null).then_some(()));
    let plan = Plan::of(scene.blue.environment(), scene.green.environment(), STEPS);
    scene.stage.start(&plan).expect(0);
    let learning = scene.learn(&["--for", "1h", "--environment", "green", "--format", "json"]);
    scene.compares(60);
    // A server that stops does not wait for it, and what was learned until then is not gone.
    let log = scene.stage.server.stop();
    assert_eq!(log.code, 0, "{}", log.stderr);
    let learned = learning.wait(seconds(60)).expect(0).says(&["warning: this is of", "the server stopped"]).json();
    assert_eq!(learned["environment"], "green");
}

#[test]
fn where_nothing_can_be_learned_it_says_why() {
    let stage = Stage::set();
    let socket = stage.server.socket().display().to_string();
    let check = |arguments: &[&str], code: i32, words: &[&str]| {
        let all = [&["verify", "learn"], arguments].concat();
        run_within(&all, seconds(60)).expect(code).says(words);
    };
    let nowhere = stage.folder.path().join("nowhere").display().to_string();
    check(&["--socket", &nowhere], 1, &["no server answers at", "verdigris serve"]);
    check(&["--environment", "red"], 2, &["red", "blue, green"]);
    check(&["--environment", "green", "--socket", &socket], 1, &["nothing is sent to green now", "blue serves"]);
    for time in ["9s", "25h", "0s", "soon"] {
        check(&["--for", time], 2, &["10s to 1d"]);
    }
    check(&["--for", "10s", "--horizon", "10s"], 2, &["--horizon is 10s, and --for 10s"]);
    let plan = stage.plan(STEPS).write(stage.folder.path()).display().to_string();
    check(&["--for", "10s", "--horizon", "3s", "--from", &plan], 2, &["cannot be used with"]);
    check(&["--sent", &plan], 2, &["--out"]);
    check(&["--sent", &plan, "--out", &plan, "--for", "1m"], 2, &["cannot be used with"]);
    let long = Plan { horizon: "1h", ..stage.plan(STEPS) };
    let plan = long.write(stage.folder.path()).display().to_string();
    check(&["--for", "10s", "--from", &plan], 2, &["the plan's horizon is 1h"]);

    // Nothing comes out: this collector exports to no tap.
    let mut command = verdigris();
    command.args(["verify", "learn", "--for", "10s", "--socket", &socket]);
    let mut learning = Process::start("verdigris verify learn", &mut command);
    let ran = eventually("it to give up", seconds(60), || {
        assert_eq!(post_protobuf(&stage, sent(1)), 200);
        learning.ended()
    });
    ran.expect(1).says(&["no span came out of blue in 10s, of the 2 that were sent", "the tap \"blue\""]);
}
