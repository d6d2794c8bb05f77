//! `verdigris record`: the server's traffic, sealed, and `verdigris load` that sends it again.

use crate::process::{Process, run_within, verdigris};
use crate::requests::{post_protobuf, post_signal};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::Signal;
use prost::Message;
use recording::{Frame, Reader};
use serde_json::Value;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use verdigris::api::ApiClient;

const STEPS: &[&str] = &["mirror: { for: 10m }", "setWeight: 100%", "bake: { for: 1s }"];
/// A number that passes the check of its last digit.
const CARD: &str = "4111111111111111";
/// Requests that are sent while somebody records, each a trace of two spans.
const REQUESTS: u64 = 12;

fn request(trace: u64) -> Vec<u8> {
    let value = Some(AnyValue { value: Some(StringValue(format!("paid with {CARD}"))) });
    let note = KeyValue { key: "app.note".to_owned(), value, ..KeyValue::default() };
    let span = |number: u8| Span {
        trace_id: [trace.to_be_bytes(), [9; 8]].concat(),
        span_id: vec![number; 8],
        name: "POST /pay".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_001_000_000,
        attributes: vec![note.clone()],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span(1), span(2)], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
        .encode_to_vec()
}

/// A server, and a key that opens what is sealed to it.
struct Scene {
    stage: Stage,
    identity: Identity,
}

impl Scene {
    fn set() -> Scene {
        Scene { stage: Stage::set(), identity: Identity::generate() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stage.folder.path().join(name)
    }

    fn recipient(&self) -> String {
        self.identity.to_public().to_string()
    }

    fn identity_file(&self) -> PathBuf {
        let path = self.path("identity.txt");
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = opened.and_then(|mut file| writeln!(file, "# a\n{}", self.identity.to_string().expose_secret()));
        written.expect("the folder is ours");
        path
    }

    /// Begins to record, and waits until it does.
    fn record(&self, name: &str, more: &[&str]) -> Process {
        let mut command = verdigris();
        command.args(["record", "--for", "1h", "--format", "json", "--recipient", &self.recipient(), "--socket"]);
        command.arg(self.stage.server.socket()).arg(self.path(name)).args(more);
        let process = Process::start("verdigris record", &mut command);
        self.told("the recording to begin", |told| !told.is_null());
        process
    }

    fn told(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let client = ApiClient::new(&self.stage.server.socket());
        eventually(what, seconds(60), || {
            let status: Value = self.stage.runtime.block_on(client.get("/v1/status")).expect("the server answers");
            is_so(&status["recording"]).then_some(())
        });
    }

    fn send(&self) {
        for trace in 1..=REQUESTS {
            assert_eq!(post_protobuf(&self.stage, request(trace)), 200);
        }
        self.told("all to be recorded", |told| told["requests"] == REQUESTS);
    }

    fn frames(&self, name: &str) -> Vec<Frame> {
        let sealed = fs::read(self.path(name)).expect("the recording was written");
        let identity = self.identity.to_string();
        let opened = recording::open(identity.expose_secret(), &sealed[..]).expect("it is sealed to the identity");
        let mut reader = Reader::new(opened).expect("a recording");
        let frames = reader.by_ref().collect::<Result<_, _>>().expect("it is whole");
        assert!(reader.totals().is_some());
        frames
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn what_was_recorded_opens_by_the_identity_alone_has_no_card_numbers_and_is_sent_again() {
    let scene = Scene::set();
    let recording = scene.record("peak.vdr", &[]);
    scene.send();
    // What is no OTLP is refused by the gateway, and counted here.
    assert_eq!(post_protobuf(&scene.stage, b"\x0a\xff".to_vec()), 400);
    scene.told("it to be counted", |told| told["droppedRequests"] == 1);
    recording.signal("INT");
    let said = recording.wait(seconds(60)).expect(0).json();
    assert_eq!(
        (&said["requests"], &said["droppedRequests"], &said["unreadableRequests"]),
        (&REQUESTS.into(), &1.into(), &1.into())
    );
    assert_eq!((&said["redacted"], &said["over"]), (&true.into(), &"it was ended".into()), "{said}");
    scene.told("the place to be free", Value::is_null);

    let path = scene.path("peak.vdr");
    assert_eq!(mode(&path), 0o600);
    let sealed = fs::read(&path).unwrap();
    assert!(!holds(&sealed, "POST /pay"), "it is sealed");
    let other = Identity::generate().to_string();
    assert!(recording::open(other.expose_secret(), &sealed[..]).is_err());
    let frames = scene.frames("peak.vdr");
    assert_eq!(frames.len() as u64, REQUESTS);
    assert!(frames.iter().all(|frame| frame.signal == Signal::Traces && !holds(&frame.body, CARD)));
    assert!(frames.iter().all(|frame| holds(&frame.body, "[payment-card]")));
    assert!(frames.is_sorted_by_key(|frame| frame.offset_us));
    let shown = scene.stage.server.ledger_command(&["show"]).expect(0).stdout;
    let records = shown.lines().filter(|line| line.contains("trafficRecorded") && line.contains(&scene.recipient()));
    assert_eq!(records.count(), 1, "{shown}");

    // Twice at once and ten times as fast, to both: every copy has trace ids of its own.
    let before = (scene.stage.blue.stats(), scene.stage.green.stats());
    let plan = scene.stage.plan(STEPS).write(scene.stage.folder.path()).display().to_string();
    let (file, identity) = (path.display().to_string(), scene.identity_file().display().to_string());
    let arguments = ["load", &plan, "--format", "json", "--recording", &file, "--identity", &identity];
    let run = |more: &[&str]| run_within(&[&arguments[..], more].concat(), seconds(120));
    let report = run(&["--to", "both", "--copies", "2", "--speed", "10"]).expect(0).json();
    let after = (scene.stage.blue.stats(), scene.stage.green.stats());
    for (environment, before, after) in [("blue", before.0, after.0), ("green", before.1, after.1)] {
        let all = &report["targets"][environment]["all"];
        assert_eq!((&all["due"]["requests"], &all["due"]["items"]), (&(2 * REQUESTS).into(), &(4 * REQUESTS).into()));
        assert_eq!(all["acknowledged"], all["due"], "{report}");
        assert_eq!(after.spans - before.spans, 4 * REQUESTS);
        assert_eq!(after.traces - before.traces, 2 * REQUESTS);
    }
    assert_eq!(report["trouble"], Value::Null);

    fs::set_permissions(&identity, Permissions::from_mode(0o644)).unwrap();
    run(&[]).expect(2).says(&["may be read by others (mode 644)"]);
    run(&["--copies", "101"]).expect(2);
}

#[test]
fn metrics_and_logs_are_recorded_as_well_and_what_came_as_json_is_protobuf() {
    let scene = Scene::set();
    let recording = scene.record("all.vdr", &[]);
    let note = format!(r#"{{"key":"app.note","value":{{"stringValue":"paid with {CARD}"}}}}"#);
    let log = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1","body":{{"stringValue":"card {CARD}"}},"attributes":[{note}]}}]}}]}}]}}"#
    );
    let metric = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"orders","gauge":{{"dataPoints":[{{"timeUnixNano":"1","asInt":"3","attributes":[{note}]}}]}}}}]}}]}}]}}"#
    );
    for (signal, body) in [(Signal::Logs, log), (Signal::Metrics, metric)] {
        assert_eq!(post_signal(&scene.stage, signal, true, body.into_bytes()), 200, "{signal:?}");
    }
    assert_eq!(post_protobuf(&scene.stage, request(1)), 200);
    scene.told("all to be recorded", |told| told["requests"] == 3);
    recording.signal("INT");
    recording.wait(seconds(60)).expect(0);
    let frames = scene.frames("all.vdr");
    let signals: Vec<Signal> = frames.iter().map(|frame| frame.signal).collect();
    assert_eq!(signals, [Signal::Logs, Signal::Metrics, Signal::Traces]);
    for frame in &frames {
        assert!(!holds(&frame.body, CARD) && holds(&frame.body, "[payment-card]"), "{:?}", frame.signal);
        assert!(!frame.body.starts_with(b"{"), "{:?} is protobuf", frame.signal);
    }

    let (before, plan) = (scene.stage.green.stats(), scene.stage.plan(STEPS).write(scene.stage.folder.path()));
    let (plan, file) = (plan.display().to_string(), scene.path("all.vdr").display().to_string());
    let identity = scene.identity_file().display().to_string();
    let load = ["load", &plan, "--format", "json", "--recording", &file, "--identity", &identity, "--to", "green"];
    let report = run_within(&load, seconds(120)).expect(0).json();
    let all = &report["targets"]["green"]["all"];
    assert_eq!((&all["acknowledged"]["requests"], &all["due"]), (&3.into(), &all["acknowledged"]), "{report}");
    assert_eq!(scene.stage.green.stats().spans - before.spans, 2);
}

#[test]
fn one_records_at_a_time_and_a_server_that_stops_ends_it_in_order() {
    let scene = Scene::set();
    let recording = scene.record("kept.vdr", &["--keep-sensitive"]);
    let (socket, recipient) = (scene.stage.server.socket().display().to_string(), scene.recipient());
    let refused = |file: &str, recipient: &str, code: i32, words: &[&str]| {
        let file = scene.path(file).display().to_string();
        let arguments = ["record", &file, "--recipient", recipient, "--socket", &socket];
        run_within(&arguments, seconds(60)).expect(code).says(words);
    };
    refused("other.vdr", &recipient, 1, &["somebody records already"]);
    refused("other.vdr", "age1nobody", 2, &["--recipient", "age1…"]);
    refused("verdigris.yaml", &recipient, 2, &["is there already"]);
    assert!(!scene.path("other.vdr").exists());
    scene.send();
    let Scene { stage, identity } = scene;
    let Stage { server, folder, blue, green, runtime } = stage;
    let log = server.stop();
    assert_eq!(log.code, 0, "{}", log.stderr);
    assert!(log.stderr.contains("with all that is sensitive"), "{}", log.stderr);
    let said = recording.wait(seconds(60)).expect(0).json();
    assert_eq!((&said["requests"], &said["redacted"]), (&REQUESTS.into(), &false.into()), "{said}");
    let sealed = fs::read(folder.path().join("kept.vdr")).expect("the recording was written");
    let identity = identity.to_string();
    let opened = recording::open(identity.expose_secret(), &sealed[..]).expect("it is sealed to the identity");
    let mut reader = Reader::new(opened).expect("a recording");
    assert_eq!(reader.header().redaction, None);
    let frames: Vec<Frame> = reader.by_ref().collect::<Result<_, _>>().expect("it is whole");
    assert!(frames.len() as u64 == REQUESTS && frames.iter().all(|frame| holds(&frame.body, CARD)));
    drop((blue, green, runtime));
}

#[test]
fn a_client_that_goes_away_ends_it_and_a_server_that_is_killed_cuts_it_off() {
    let mut scene = Scene::set();
    let mut recording = scene.record("gone.vdr", &[]);
    recording.kill();
    scene.told("the place to be free", Value::is_null);
    assert!(!scene.path("gone.vdr").exists());
    let recording = scene.record("cut.vdr", &[]);
    scene.send();
    scene.stage.server.kill();
    recording.wait(seconds(60)).expect(1).says(&["the recording was cut off"]);
    assert_eq!(mode(&scene.path("cut.vdr")), 0o600);
}
