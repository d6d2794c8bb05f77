//! A trace store for tests: it is given what a pipeline puts out, and answers queries in the shape that each store's
//! format has as published (see `crates/backends/tests/data/README.md`). No real store can be had here.

use bytes::Bytes;
use gates::backend::Api;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model::TraceId;
use otlp::for_each_span;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// One that listens. Clones are the same store.
#[derive(Clone)]
pub(crate) struct TraceStore {
    api: Api,
    port: u16,
    kept: Arc<Mutex<Kept>>,
}

/// What it has, and how it fails.
#[derive(Default)]
pub(crate) struct Kept {
    traces: BTreeMap<TraceId, Vec<StoredSpan>>,
    /// Spans of this name are lost on the way.
    pub(crate) loses: Option<&'static str>,
    /// It answers with 503.
    pub(crate) is_down: bool,
    /// Searches do not find these.
    pub(crate) unfound: BTreeSet<TraceId>,
    /// Paths that it was asked for.
    pub(crate) asked: Vec<String>,
}

/// A span as every format can say it.
#[derive(Clone)]
struct StoredSpan {
    id: String,
    parent: Option<String>,
    kind: u8,
    name: String,
    service: String,
    start_ns: u64,
    end_ns: u64,
    keys: Vec<String>,
}

impl TraceStore {
    /// Listens on a port that the system chooses.
    pub(crate) async fn start(api: Api) -> TraceStore {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let shared = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = shared.clone();
                let service = service_fn(move |request| answer(api, kept.clone(), request));
                let serving =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        TraceStore { api, port, kept }
    }

    /// Where it is asked.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it speaks.
    pub(crate) fn api(&self) -> Api {
        self.api
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an `ExportTraceServiceRequest`.
    pub(crate) fn keep(&self, request: &[u8]) {
        self.kept().keep(request);
    }
}

impl Kept {
    fn keep(&mut self, request: &[u8]) {
        let read = for_each_span(request, |span| {
            if self.loses == Some(span.name) {
                return;
            }
            let parent = Some(span.parent_span_id).filter(|parent| *parent != model::SpanId::NONE);
            self.traces.entry(span.trace_id).or_default().push(StoredSpan {
                id: span.span_id.to_string(),
                parent: parent.map(|parent| parent.to_string()),
                kind: span.kind,
                name: span.name.to_owned(),
                service: span.service.to_owned(),
                start_ns: span.start_unix_ns,
                end_ns: span.end_unix_ns,
                keys: span.attributes.iter().map(|(key, _)| (*key).to_owned()).collect(),
            });
        });
        read.expect("the gateway sends OTLP");
    }

    fn query(&mut self, api: Api, path: &str) -> (u16, String) {
        self.asked.push(path.to_owned());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let id = path.rsplit('/').next().and_then(|id| id.parse::<TraceId>().ok());
        let (status, body) = match id {
            _ if self.is_down => (503, json!("starting")),
            Some(id) => match self.traces.get(&id) {
                Some(spans) => (200, trace(api, id, spans)),
                None => (404, nothing(api)),
            },
            None if path.ends_with("services") => match api {
                Api::Jaeger => (200, json!({ "services": ["shop"] })),
                Api::JaegerV2 => (200, json!({ "data": ["shop"], "total": 1 })),
                Api::Tempo | Api::Zipkin => (200, json!(["shop"])),
            },
            None if path == "/api/echo" => return (200, "echo".to_owned()),
            None if query.contains("limit=") || query.contains("num_traces=") => {
                let found = self.traces.iter().filter(|(id, _)| !self.unfound.contains(id));
                found_traces(api, found.map(|(id, spans)| (*id, spans.as_slice())).collect())
            }
            None => (404, json!("404 page not found")),
        };
        (status, body.to_string())
    }
}

async fn answer(
    api: Api,
    kept: Arc<Mutex<Kept>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let (status, body) = kept.lock().unwrap_or_else(PoisonError::into_inner).query(api, &path);
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(body.into())).expect("a good response"))
}

fn nothing(api: Api) -> Value {
    match api {
        Api::Jaeger => json!({ "error": { "httpCode": 404, "message": "No traces found" } }),
        Api::JaegerV2 => json!({ "data": null, "total": 0, "errors": [{ "code": 404, "msg": "trace not found" }] }),
        Api::Tempo | Api::Zipkin => json!("trace not found"),
    }
}

fn found_traces(api: Api, traces: Vec<(TraceId, &[StoredSpan])>) -> (u16, Value) {
    let found = || traces.iter().map(|(id, spans)| trace(api, *id, spans));
    match api {
        Api::Jaeger if traces.is_empty() => (404, nothing(api)),
        Api::Jaeger => {
            let all: Vec<Value> = traces.iter().flat_map(|(id, spans)| resource_spans(*id, spans, false)).collect();
            (200, json!({ "result": { "resourceSpans": all } }))
        }
        Api::JaegerV2 => {
            let data: Vec<Value> = found().map(|trace| trace["data"][0].clone()).collect();
            (200, json!({ "data": data, "total": 0, "errors": null }))
        }
        Api::Tempo => {
            // Leading zeros are left out.
            let id = |id: &TraceId| id.to_string().trim_start_matches('0').to_owned();
            let all: Vec<Value> = traces.iter().map(|(trace, _)| json!({ "traceID": id(trace) })).collect();
            (200, json!({ "traces": all, "metrics": { "totalBlocks": 1 } }))
        }
        Api::Zipkin => (200, found().collect()),
    }
}

/// A trace as each store writes it.
fn trace(api: Api, id: TraceId, spans: &[StoredSpan]) -> Value {
    match api {
        Api::Jaeger => json!({ "result": { "resourceSpans": resource_spans(id, spans, false) } }),
        Api::Tempo => json!({ "batches": resource_spans(id, spans, true) }),
        Api::JaegerV2 => {
            let processes: BTreeMap<&str, Value> =
                spans.iter().map(|span| (span.service.as_str(), json!({ "serviceName": span.service }))).collect();
            let all: Vec<Value> = spans.iter().map(|span| jaeger_span(id, span)).collect();
            let trace = json!({ "traceID": id, "spans": all, "processes": processes });
            json!({ "data": [trace], "total": 0, "errors": null })
        }
        Api::Zipkin => spans.iter().map(|span| zipkin_span(id, span)).collect(),
    }
}

fn resource_spans(id: TraceId, spans: &[StoredSpan], as_proto_json: bool) -> Vec<Value> {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let bytes = |hex: &str| if as_proto_json { base64(hex) } else { hex.to_owned() };
    let kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    let written = |span: &StoredSpan| {
        let kind = match as_proto_json {
            true => json!(format!("SPAN_KIND_{}", kinds[usize::from(span.kind)])),
            false => json!(span.kind),
        };
        let attributes: Vec<Value> = span.keys.iter().map(|key| text(key, "value")).collect();
        let otlp = json!({
            "traceId": bytes(&id.to_string()), "spanId": bytes(&span.id), "name": span.name, "kind": kind,
            "parentSpanId": span.parent.as_deref().map(bytes), "attributes": attributes,
            "startTimeUnixNano": span.start_ns.to_string(), "endTimeUnixNano": span.end_ns.to_string(),
        });
        json!({
            "resource": { "attributes": [text("service.name", &span.service)] }, "scopeSpans": [{ "spans": [otlp] }]
        })
    };
    spans.iter().map(written).collect()
}

fn jaeger_span(id: TraceId, span: &StoredSpan) -> Value {
    let tag = |key: &str, value: &str| json!({ "key": key, "type": "string", "value": value });
    let kind = ["", "internal", "server", "client", "producer", "consumer"][usize::from(span.kind)];
    let kind = Some(tag("span.kind", kind)).filter(|_| span.kind > 1);
    let tags: Vec<Value> = span.keys.iter().map(|key| tag(key, "value")).chain(kind).collect();
    let parent = |parent: &String| json!({ "refType": "CHILD_OF", "traceID": id, "spanID": parent });
    json!({
        "traceID": id, "spanID": span.id, "operationName": span.name, "tags": tags, "processID": span.service,
        "references": span.parent.iter().map(parent).collect::<Vec<_>>(),
        "startTime": span.start_ns / 1_000, "duration": (span.end_ns - span.start_ns) / 1_000, "logs": [],
    })
}

fn zipkin_span(id: TraceId, span: &StoredSpan) -> Value {
    let kind = ["", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"][usize::from(span.kind)];
    let tags: BTreeMap<&str, &str> = span.keys.iter().map(|key| (key.as_str(), "value")).collect();
    json!({
        "traceId": id, "id": span.id, "parentId": span.parent, "name": span.name.to_lowercase(),
        "kind": Some(kind).filter(|kind| !kind.is_empty()), "tags": tags,
        "timestamp": span.start_ns / 1_000, "duration": (span.end_ns - span.start_ns) / 1_000,
        "localEndpoint": { "serviceName": span.service.to_lowercase() },
    })
}

fn base64(hex: &str) -> String {
    use base64::Engine;
    let bytes: Vec<u8> =
        (0..hex.len() / 2).filter_map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
