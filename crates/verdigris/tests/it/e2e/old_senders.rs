//! Old senders, as they were published: OpenTelemetry's last exporters for Jaeger, that for Zipkin, and Zipkin's own
//! client. The same spans come over OTLP and over the old exporter, and what arrives is compared field by field. What is
//! different, because the old format or its exporter has it so, is listed in [`as_sent_over`], and nothing else may be.

use super::peers::legacy_python;
use crate::process::{Process, root};
use crate::server::{Config, Server};
use crate::stage::runtime;
use crate::wait::seconds;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Status;
use prost::Message;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use verdigris::demo::server::Server as Collector;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exporter {
    Zipkin,
    JaegerGrpc,
    JaegerThrift,
    PyZipkin,
}

impl Exporter {
    fn name(self) -> &'static str {
        match self {
            Exporter::Zipkin => "zipkin",
            Exporter::JaegerGrpc => "jaeger-grpc",
            Exporter::JaegerThrift => "jaeger-thrift",
            Exporter::PyZipkin => "py-zipkin",
        }
    }
}

type Attributes = BTreeMap<String, Value>;

/// A span with its resource and scope.
#[derive(Clone, Debug, PartialEq)]
struct Arrived {
    trace_id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    kind: i32,
    status: (i32, String),
    start_us: u64,
    end_us: u64,
    flags: u32,
    attributes: Attributes,
    dropped_attributes: u32,
    events: Vec<(String, u64, Attributes)>,
    links: Vec<(Vec<u8>, Vec<u8>, Attributes)>,
    resource: Attributes,
    scope: (String, String),
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let value = |value: &Option<AnyValue>| value.clone().and_then(|value| value.value);
    list.iter().filter_map(|attribute| Some((attribute.key.clone(), value(&attribute.value)?))).collect()
}

/// The spans of an export, by their ids.
fn arrived(request: &ExportTraceServiceRequest) -> BTreeMap<Vec<u8>, Arrived> {
    let mut spans = BTreeMap::new();
    for of_resource in &request.resource_spans {
        let resource = of_resource.resource.as_ref().map(|resource| attributes(&resource.attributes));
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.as_ref().map(|scope| (scope.name.clone(), scope.version.clone()));
            for span in &of_scope.spans {
                let Status { code, message } = span.status.clone().unwrap_or_default();
                let events = span.events.iter();
                let links = span.links.iter();
                let arrived = Arrived {
                    trace_id: span.trace_id.clone(),
                    parent: span.parent_span_id.clone(),
                    name: span.name.clone(),
                    kind: span.kind,
                    status: (code, message),
                    start_us: span.start_time_unix_nano / 1000,
                    end_us: span.end_time_unix_nano / 1000,
                    flags: span.flags,
                    attributes: attributes(&span.attributes),
                    dropped_attributes: span.dropped_attributes_count,
                    events: events
                        .map(|event| (event.name.clone(), event.time_unix_nano / 1000, attributes(&event.attributes)))
                        .collect(),
                    links: links
                        .map(|link| (link.trace_id.clone(), link.span_id.clone(), attributes(&link.attributes)))
                        .collect(),
                    resource: resource.clone().unwrap_or_default(),
                    scope: scope.clone().unwrap_or_default(),
                };
                assert_eq!(spans.insert(span.span_id.clone(), arrived), None, "each span arrives once");
            }
        }
    }
    spans
}

/// Sends, and gives what arrived: over OTLP if the client sends that, and then over the old exporter.
fn send(exporter: Exporter) -> Vec<BTreeMap<Vec<u8>, Arrived>> {
    let runtime = runtime();
    let requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>> = Arc::default();
    let kept = Arc::clone(&requests);
    let collector = runtime.block_on(Collector::start(move |_, message| {
        let request = ExportTraceServiceRequest::decode(message).expect("the gateway sends OTLP");
        kept.lock().expect("no holder panics").push(request);
        Ok(())
    }));
    let collector = collector.expect("a free port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &Config::of(&format!("http://{}", collector.address())));
    let mut command = Command::new(legacy_python());
    command.arg(root().join("e2e/legacy_client.py")).arg(exporter.name());
    command.args(["--grpc", &server.grpc(), "--http", &server.http()]);
    Process::start(exporter.name(), &mut command).wait(seconds(60)).expect(0);
    let requests = requests.lock().expect("no holder panics");
    requests.iter().map(arrived).collect()
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

/// How Zipkin's exporter writes a value, for its tags are texts.
fn as_text(value: &Value) -> Value {
    let quoted = |value: &AnyValue| match &value.value {
        Some(Value::StringValue(text)) => format!("{text:?}"),
        other => panic!("the client sends lists of texts, not {other:?}"),
    };
    text(&match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => value.to_string(),
        Value::ArrayValue(list) => format!("[{}]", list.values.iter().map(quoted).collect::<Vec<_>>().join(",")),
        other => panic!("the client sends no {other:?}"),
    })
}

/// A span that came over OTLP, as it must come over the old exporter.
fn as_sent_over(exporter: Exporter, mut span: Arrived) -> Arrived {
    // That the trace is sampled; this SDK does not say it over OTLP.
    span.flags = 1;
    match exporter {
        Exporter::Zipkin => {
            // Tags are texts. What was the resource's are tags of each span; those of a resource's namespaces go back.
            let (of_resource, of_span): (Attributes, Attributes) =
                span.resource.into_iter().partition(|(key, _)| key != "team" && key != "replicas");
            span.attributes.extend(of_span);
            let as_texts = |attributes: Attributes| attributes.into_iter().map(|(key, value)| (key, as_text(&value)));
            span.attributes = as_texts(span.attributes).collect();
            span.resource = as_texts(of_resource).collect();
            // The exporter says `debug` of every span that is sampled.
            span.attributes.insert("zipkin.debug".to_owned(), Value::BoolValue(true));
            // Zipkin has no links.
            span.links.clear();
        }
        Exporter::JaegerGrpc | Exporter::JaegerThrift => {
            // The exporter writes lists as Python does, and the resource's attributes as each span's tags too.
            if let Some(list) = span.attributes.get_mut("items") {
                *list = text("('tea', 'cup')");
            }
            span.attributes.extend(span.resource.clone());
            if exporter == Exporter::JaegerThrift {
                // As these alone.
                span.resource.retain(|key, _| key == "service.name");
            }
            // Links are references, of a kind.
            for (_, _, attributes) in &mut span.links {
                *attributes = [("opentracing.ref_type".to_owned(), text("follows_from"))].into();
            }
        }
        Exporter::PyZipkin => {}
    }
    span
}

/// Times are microseconds in the old formats, rounded at the start and for the duration, so off by two at most; all else
/// is the same.
fn assert_same(found: &Arrived, expected: &Arrived) {
    let mut timed = expected.clone();
    let near = |found: u64, expected: u64| found.abs_diff(expected) <= 2;
    assert!(near(found.start_us, expected.start_us) && near(found.end_us, expected.end_us), "{found:?}\n{expected:?}");
    (timed.start_us, timed.end_us) = (found.start_us, found.end_us);
    for (found, expected) in found.events.iter().zip(&mut timed.events) {
        assert!(near(found.1, expected.1), "{found:?}\n{expected:?}");
        expected.1 = found.1;
    }
    assert_eq!(*found, timed);
}

fn check(exporter: Exporter) {
    let [over_otlp, over_old]: [_; 2] = send(exporter).try_into().expect("two exports");
    assert_eq!(over_otlp.len(), 6);
    assert_eq!(over_old.keys().collect::<Vec<_>>(), over_otlp.keys().collect::<Vec<_>>());
    for (found, sent) in over_old.values().zip(over_otlp.into_values()) {
        assert_same(found, &as_sent_over(exporter, sent));
    }
}

#[test]
fn zipkin() {
    check(Exporter::Zipkin);
}

#[test]
fn jaeger_grpc() {
    check(Exporter::JaegerGrpc);
}

#[test]
fn jaeger_thrift_over_http() {
    check(Exporter::JaegerThrift);
}

#[test]
fn zipkins_own_client() {
    let spans: Vec<Arrived> = send(Exporter::PyZipkin).into_iter().flat_map(BTreeMap::into_values).collect();
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect(name);
    let (server, client) = (named("get /order"), named("query"));
    assert_eq!(spans.len(), 2);
    assert_eq!((server.kind, client.kind), (2, 3));
    assert_eq!(
        (&server.trace_id, &server.trace_id[..8]),
        (&client.trace_id, &[0; 8][..]),
        "64 bits, with zeros before"
    );
    assert_eq!((server.parent.len(), client.parent.len()), (0, 8));
    assert_eq!(client.resource, [("service.name".to_owned(), text("shop"))].into());
    assert_eq!(server.attributes["http.path"], text("/order"));
    assert_eq!(server.attributes["network.local.port"], Value::IntValue(8080));
    assert_eq!(client.status, (2, "timeout".to_owned()));
    assert_eq!(client.attributes["peer.service"], text("db"));
    assert_eq!(client.attributes["network.peer.address"], text("10.0.0.1"));
    assert_eq!(client.events[0].0, "sent");
}
