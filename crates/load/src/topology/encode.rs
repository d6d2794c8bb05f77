//! Planned spans as OTLP: resources, scopes, ids that are changed later, and attributes of all types.

use super::{Kind, Planned, Service};
use crate::random::Random;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::collections::BTreeMap;

/// Times are written as so many nanoseconds more than they are, for protobuf leaves out a time of zero. [`later_ns`] takes
/// it back.
const BASE_NS: u64 = 1 << 60;

/// By how much a template's times are to be later, so that its first span begins then.
pub(crate) fn later_ns(unix_ns: u64) -> u64 {
    unix_ns.wrapping_sub(BASE_NS)
}

/// One trace in so many has a link to the one before, as a consumer's has to its producer's.
const LINKED: u64 = 20;

/// The messages among which the traces are spread: services export each for itself, so a service's spans of a trace are in
/// one message. A message may be empty of spans where there are fewer services than messages.
pub(super) fn encode(
    services: &[Service],
    traces: &[Vec<Planned>],
    messages: usize,
    random: &mut Random,
) -> Vec<Vec<u8>> {
    // By message, service and instance.
    let mut resources: Vec<BTreeMap<(usize, usize), Vec<Span>>> = vec![BTreeMap::new(); messages];
    for (number, trace) in traces.iter().enumerate() {
        let first_id = random.next();
        for (index, planned) in trace.iter().enumerate() {
            let mut span = span(planned, number, index, first_id, random);
            if planned.parent.is_none() && number > 0 && random.below(LINKED) == 0 {
                let attributes = vec![text("messaging.operation", "process")];
                let (trace_id, span_id) = (trace_id(number - 1), random.next().to_be_bytes().to_vec());
                span.links.push(Link { trace_id, span_id: odd(span_id), attributes, ..Link::default() });
            }
            let resource = &mut resources[planned.service % messages];
            resource.entry((planned.service, planned.instance)).or_default().push(span);
        }
    }
    let message = |resources: BTreeMap<(usize, usize), Vec<Span>>| {
        let resource_spans =
            resources.into_iter().map(|((service, instance), spans)| resource(&services[service], instance, spans));
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
    };
    resources.into_iter().map(message).collect()
}

/// Never zero.
fn trace_id(number: usize) -> Vec<u8> {
    (number as u128 + 1).to_be_bytes().to_vec()
}

/// With the lowest bit set, by which no id of ours becomes zero.
fn odd(mut id: Vec<u8>) -> Vec<u8> {
    if let Some(last) = id.last_mut() {
        *last |= 1;
    }
    id
}

fn span_id(first: u64, index: usize) -> Vec<u8> {
    // Distances of two keep ids of one trace apart when their lowest bits are set.
    odd(first.wrapping_add(2 * index as u64).to_be_bytes().to_vec())
}

fn span(planned: &Planned, trace: usize, index: usize, first_id: u64, random: &mut Random) -> Span {
    let failed = Event {
        time_unix_nano: BASE_NS + planned.end_ns,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "java.net.SocketTimeoutException"),
            text("exception.message", "Read timed out"),
        ],
        ..Event::default()
    };
    let status = if planned.failed { 2 } else { 0 };
    Span {
        trace_id: trace_id(trace),
        span_id: span_id(first_id, index),
        parent_span_id: planned.parent.map(|parent| span_id(first_id, parent)).unwrap_or_default(),
        flags: 0x101,
        name: planned.name.clone(),
        kind: planned.span_kind,
        start_time_unix_nano: BASE_NS + planned.start_ns,
        end_time_unix_nano: BASE_NS + planned.end_ns,
        attributes: attributes(planned, random),
        events: if planned.failed { vec![failed] } else { Vec::new() },
        status: Some(Status { code: status, ..Status::default() }),
        ..Span::default()
    }
}

fn attributes(planned: &Planned, random: &mut Random) -> Vec<KeyValue> {
    let number = random.below(1_000_000);
    let mut attributes = match planned.kind {
        Kind::Http => vec![
            text("http.request.method", planned.name.split(' ').next().unwrap_or_default()),
            text("http.route", planned.name.split(' ').next_back().unwrap_or_default()),
            text("url.full", &format!("https://shop.example.com/v1/items/{number}?lang=en")),
            whole("http.response.status_code", if planned.failed { 504 } else { 200 }),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
        ],
        Kind::Rpc => vec![
            text("rpc.system", "grpc"),
            text("rpc.service", "shop.v1.Shop"),
            text("rpc.method", &planned.name),
            whole("rpc.grpc.status_code", if planned.failed { 4 } else { 0 }),
        ],
        Kind::Database => vec![
            text("db.system.name", "postgresql"),
            text("db.query.text", &format!("{} WHERE id = ?", planned.name)),
            whole("db.response.returned_rows", (number % 50) as i64),
        ],
        Kind::Consumer => vec![
            text("messaging.system", "kafka"),
            text("messaging.destination.name", "orders"),
            whole("messaging.kafka.offset", number as i64),
        ],
    };
    attributes.extend([
        text("server.address", "10.2.33.114"),
        whole("server.port", 8_443),
        whole("thread.id", (number % 64) as i64),
        attribute("app.amount", Value::DoubleValue(number as f64 / 100.0)),
        attribute("app.cache.hit", Value::BoolValue(number.is_multiple_of(3))),
    ]);
    // What is rare in practice, and must pass all the same.
    if number.is_multiple_of(8) {
        let tag = |tag: &str| AnyValue { value: Some(Value::StringValue(tag.to_owned())) };
        let tags = ArrayValue { values: vec![tag("new"), tag("returning")] };
        let inside = KeyValueList { values: vec![text("tier", "gold"), whole("visits", (number % 100) as i64)] };
        attributes.extend([
            attribute("app.tags", Value::ArrayValue(tags)),
            attribute("app.customer", Value::KvlistValue(inside)),
            attribute("app.digest", Value::BytesValue(random.next().to_be_bytes().to_vec())),
        ]);
    }
    attributes
}

fn resource(service: &Service, instance: usize, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![
        text("service.name", &service.name),
        text("service.version", "1.14.2"),
        text("service.namespace", "verdigris-load"),
        text("service.instance.id", &format!("{}-{instance}", service.name)),
        text("k8s.pod.name", &format!("{}-6d5f7c9b8-{instance:05}", service.name)),
        text("telemetry.sdk.language", "java"),
    ];
    let scope = InstrumentationScope {
        name: "io.opentelemetry.load".to_owned(),
        version: "2.8.0".to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        schema_url: "https://opentelemetry.io/schemas/1.27.0".to_owned(),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn whole(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
