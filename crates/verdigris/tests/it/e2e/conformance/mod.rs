//! The real SDKs of Python and JavaScript, over every protocol that they have, against the gateway in the middle of a
//! rollout: what arrives at the two environments is what was sent, item by item, and what becomes of refusals is what
//! OTLP says.

mod items;
mod known;
mod sink;
mod tls;

use super::peers::{node, python};
use crate::plan::{Environment, Plan};
use crate::process::{Process, root};
use crate::server::{Config, Server};
use crate::stage::runtime;
use crate::wait::seconds;
use items::{Item, check_same};
use known::{EXPORTS, Known, Language, TRACES};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::reply::code;
use serde_json::Value;
use sink::{Refusal, Sink};
use std::collections::BTreeSet;
use std::process::Command;
use tls::Tls;
use tokio::runtime::Runtime;

/// All signals without compression, and with gzip.
const PLAIN: u8 = 1;
const GZIP: u8 = 2;
/// Green refuses its part for good: OTLP's partial success.
const PARTLY: u8 = 3;
/// Blue refuses its first part, and says when to come back.
const UNAVAILABLE: u8 = 4;
const EXHAUSTED: u8 = 5;
/// Both refuse for good.
const NEVER: u8 = 6;

const RETRY_AFTER_MS: u64 = 100;

/// An SDK's exporters.
struct Client {
    language: Language,
    protocol: &'static str,
    /// Whether with certificates on both sides.
    tls: bool,
    /// Whether they send again what may be sent again. Those of JavaScript do not over gRPC: they give it up, and say so.
    retries: bool,
}

/// A server whose rollout stands at a half, between two sinks.
struct Half {
    server: Server,
    blue: Sink,
    green: Sink,
    tls: Option<Tls>,
    folder: tempfile::TempDir,
    _runtime: Runtime,
}

impl Half {
    fn set(tls: bool) -> Half {
        let runtime = runtime();
        let never = Refusal::always(NEVER, code::INVALID_ARGUMENT);
        let later = |run, code| Refusal::once(run, code, RETRY_AFTER_MS);
        let blue_refuses =
            vec![later(UNAVAILABLE, code::UNAVAILABLE), later(EXHAUSTED, code::RESOURCE_EXHAUSTED), never.clone()];
        let blue = Sink::start(&runtime, blue_refuses);
        let green = Sink::start(&runtime, vec![Refusal::always(PARTLY, code::INVALID_ARGUMENT), never]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tls = tls.then(|| Tls::make(folder.path()));
        let listen_more = tls.as_ref().map(Tls::listen).unwrap_or_default();
        // What is refused for now must reach the clients: without a spool it does.
        let more = "spool: { enabled: false }\n".to_owned();
        let server = Server::start(folder.path(), &Config { listen_more, more, ..Config::of(&blue.endpoint()) });
        let half = ["setWeight: 50%", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"];
        // Nothing comes out of a sink, so no verdict may fall: the horizon is longer than the test. Canaries go to both
        // environments, and one of their random ids in a hundred looks like one of a run.
        let plan = Plan {
            horizon: "60s",
            canary: Some("off"),
            ..Plan::of(Environment::at(&blue.endpoint()), Environment::at(&green.endpoint()), &half)
        };
        server.rollout(&["start", &plan.write(folder.path()).display().to_string()]).expect(0);
        server.eventually_reports("half of the traffic", seconds(30), |report| report["weightObserved"] == 5_000);
        Half { server, blue, green, tls, folder, _runtime: runtime }
    }

    /// The spans of a run that each sink took.
    fn taken(&self, run: u8) -> [Vec<(Span, Item)>; 2] {
        [&self.blue, &self.green].map(|sink| {
            let spans = sink.held().traces.iter().flat_map(items::spans).collect::<Vec<_>>();
            spans.into_iter().filter(|(span, _)| known::run_of(span) == run).collect()
        })
    }

    fn refused(&self, run: u8) -> [u64; 2] {
        [&self.blue, &self.green].map(|sink| {
            let held = sink.held();
            held.refusals.iter().filter(|refusal| refusal.run == run).map(|refusal| refusal.refused).sum()
        })
    }
}

impl Client {
    /// Sends the runs one after the other. What the exporters said, for each run.
    fn send(&self, half: &Half, runs: &[(&str, u8, Known)]) -> Vec<Value> {
        let endpoint = if self.protocol == "grpc" { half.server.grpc() } else { half.server.http() };
        let script = |name: &str| root().join("e2e/conformance").join(name);
        let mut command = match self.language {
            Language::Python => {
                let mut command = Command::new(python());
                command.arg(script("client.py"));
                command
            }
            Language::JavaScript => {
                let mut command = Command::new(node().join("node"));
                command.arg(script("client.cjs")).env("NODE_PATH", node().join("node_modules"));
                command
            }
        };
        command.args(["--protocol", self.protocol, "--endpoint"]);
        match &half.tls {
            None => drop(command.arg(endpoint)),
            Some(tls) => {
                command.arg(endpoint.replace("http:", "https:"));
                command.arg("--ca").arg(&tls.ca).arg("--cert").arg(&tls.client_cert).arg("--key").arg(&tls.client_key);
                // It would win over the exporter's own authority (psf/requests, `merge_environment_settings`).
                command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
            }
        }
        for (compression, run, known) in runs {
            command.arg("--send").arg(format!("{compression}:{}", known.write(half.folder.path(), *run).display()));
        }
        let ran = Process::start("the SDK", &mut command).wait(seconds(60)).expect(0);
        let outcomes = ran.json().as_array().cloned().expect("a list");
        assert_eq!(outcomes.len(), runs.len(), "an outcome for each run: {ran:?}");
        outcomes
    }

    fn check(&self) {
        let half = Half::set(self.tls);
        let all = |run| Known::of_run(run, self.language);
        let mut runs = vec![("plain", PLAIN, all(PLAIN)), ("gzip", GZIP, all(GZIP))];
        for run in [PARTLY, UNAVAILABLE, EXHAUSTED, NEVER] {
            runs.push(("gzip", run, all(run).only_traces()));
        }
        let outcomes = self.send(&half, &runs);
        let traces = |run: u8| items::spans(&runs[usize::from(run) - 1].2.traces);
        for run in [PLAIN, GZIP] {
            check_all_arrived(&half, run, traces(run));
            for signal in ["traces", "metrics", "logs"] {
                assert_eq!(outcomes[usize::from(run) - 1][signal]["refused"], 0, "{outcomes:?}");
            }
        }
        check_metrics_and_logs(&half, &runs[..2]);
        check_partly(&half, traces(PARTLY), &outcomes[usize::from(PARTLY) - 1], self.language);
        for run in [UNAVAILABLE, EXHAUSTED] {
            self.check_later(&half, run, traces(run), &outcomes[usize::from(run) - 1]);
        }
        let never = &outcomes[usize::from(NEVER) - 1];
        assert_eq!((&never["traces"]["acknowledged"], &never["traces"]["refused"]), (&1.into(), &EXPORTS.into()));
        assert_eq!(half.refused(NEVER), [EXPORTS; 2], "what is refused for good is not sent again");
    }

    /// Blue refused one part for now: it is sent again, and arrives; or it is given up, and said to be.
    fn check_later(&self, half: &Half, run: u8, sent: Vec<(Span, Item)>, outcome: &Value) {
        assert_eq!(half.refused(run), [1, 0], "run {run}");
        // Beside the two exports there is the empty one.
        let acknowledged = if self.retries { EXPORTS + 1 } else { EXPORTS };
        assert_eq!(outcome["traces"]["acknowledged"], acknowledged, "run {run}: {outcome}");
        let arrived: BTreeSet<Item> = half.taken(run).into_iter().flatten().map(|(_, item)| item).collect();
        // The export that was refused is the first one, that of the first resource.
        let lost = sent.iter().filter(|(_, item)| !arrived.contains(item)).count();
        let shipping = |item: &Item| item.contains("shipping");
        assert!(sent.iter().all(|(_, item)| arrived.contains(item) || (!self.retries && !shipping(item))), "run {run}");
        assert_eq!(lost > 0, !self.retries, "run {run}: {lost} spans did not arrive");
    }
}

/// Every span once, in one of the environments, with all of its trace.
fn check_all_arrived(half: &Half, run: u8, sent: Vec<(Span, Item)>) {
    let taken = half.taken(run);
    let [blue, green] =
        taken.each_ref().map(|spans| spans.iter().map(|(span, _)| span.trace_id.clone()).collect::<BTreeSet<_>>());
    assert!(!blue.is_empty() && !green.is_empty(), "run {run}: {} and {} traces", blue.len(), green.len());
    assert_eq!(blue.intersection(&green).count(), 0, "run {run}: a trace is torn");
    assert_eq!(blue.len() + green.len(), usize::from(TRACES), "run {run}");
    let text = |spans: Vec<(Span, Item)>| spans.into_iter().map(|(_, item)| item).collect();
    check_same(&format!("spans of run {run}"), text(sent), text(taken.into_iter().flatten().collect()));
}

/// Both runs of them together: points have nothing that says which run they are of.
fn check_metrics_and_logs(half: &Half, runs: &[(&str, u8, Known)]) {
    let (mut points, mut records) = (Vec::new(), Vec::new());
    for sink in [&half.blue, &half.green] {
        points.extend(sink.held().metrics.iter().flat_map(items::points));
        records.extend(sink.held().logs.iter().flat_map(items::records));
    }
    let sent_points = runs.iter().filter_map(|(_, _, known)| known.metrics.as_ref()).flat_map(items::points).collect();
    let sent_records = runs.iter().filter_map(|(_, _, known)| known.logs.as_ref()).flat_map(items::records).collect();
    check_same("data points", sent_points, points);
    check_same("log records", sent_records, records);
}

/// Blue has its traces whole and once, green has none, and the client is told how many spans were refused; it does not
/// send them again.
fn check_partly(half: &Half, sent: Vec<(Span, Item)>, outcome: &Value, language: Language) {
    assert_eq!(outcome["traces"]["refused"], 0, "a partial success is a success: {outcome}");
    let [blue, green] = half.taken(PARTLY);
    assert_eq!((green.len(), half.refused(PARTLY)), (0, [0, EXPORTS]));
    let served: BTreeSet<Vec<u8>> = blue.iter().map(|(span, _)| span.trace_id.clone()).collect();
    let (kept, rejected): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(span, _)| served.contains(&span.trace_id));
    let text = |spans: Vec<(Span, Item)>| spans.into_iter().map(|(_, item)| item).collect();
    check_same("blue's spans", text(kept), text(blue));
    // The SDK of Python does not look at it.
    if language == Language::JavaScript {
        let warnings = outcome["warnings"].as_array().expect("a list").iter().filter_map(Value::as_str);
        let told = warnings.filter_map(|warning| warning.strip_prefix("Received Partial Success response: "));
        let told: Vec<Value> = told.map(|json| serde_json::from_str(json).expect("it logs JSON")).collect();
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let spans: u64 = told.iter().filter_map(|partial| number(&partial["rejectedSpans"])).sum();
        assert_eq!(spans, rejected.len() as u64, "{outcome}");
        assert!(told.iter().all(|partial| partial["errorMessage"] == "never"), "{outcome}");
    }
}

#[test]
fn python_grpc() {
    Client { language: Language::Python, protocol: "grpc", tls: false, retries: true }.check();
}

#[test]
fn python_http_protobuf() {
    Client { language: Language::Python, protocol: "http/protobuf", tls: false, retries: true }.check();
}

#[test]
fn javascript_grpc() {
    Client { language: Language::JavaScript, protocol: "grpc", tls: false, retries: false }.check();
}

#[test]
fn javascript_http_protobuf() {
    Client { language: Language::JavaScript, protocol: "http/protobuf", tls: false, retries: true }.check();
}

#[test]
fn javascript_http_json() {
    Client { language: Language::JavaScript, protocol: "http/json", tls: false, retries: true }.check();
}

#[test]
fn python_grpc_with_tls() {
    Client { language: Language::Python, protocol: "grpc", tls: true, retries: true }.check();
}

#[test]
fn python_http_protobuf_with_tls() {
    Client { language: Language::Python, protocol: "http/protobuf", tls: true, retries: true }.check();
}

#[test]
fn javascript_grpc_with_tls() {
    Client { language: Language::JavaScript, protocol: "grpc", tls: true, retries: false }.check();
}

#[test]
fn javascript_http_json_with_tls() {
    Client { language: Language::JavaScript, protocol: "http/json", tls: true, retries: true }.check();
}
