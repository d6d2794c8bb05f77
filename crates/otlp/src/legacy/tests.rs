//! The same random spans in all three formats, written by encoders that are not ours, against the OTLP that they must
//! become; and hostile bytes.

pub(super) mod encoders;

use super::*;
use encoders::encode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;

/// Far above what the tests' requests become.
const LIMIT: usize = 1 << 24;

/// Converts, and expects this request in OTLP/JSON.
#[track_caller]
pub(super) fn check(format: Format, request: &[u8], expected: serde_json::Value) {
    let otlp = format.to_otlp(request, LIMIT).unwrap();
    let expected: ExportTraceServiceRequest = serde_json::from_value(expected).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(&otlp[..]).unwrap(), expected);
}

#[track_caller]
pub(super) fn check_refused(format: Format, request: &[u8], expected: &str) {
    assert_eq!(format.to_otlp(request, LIMIT).unwrap_err().to_string(), expected);
}

#[derive(Clone, Debug, PartialEq)]
enum TagValue {
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
}

type Tags = BTreeMap<String, TagValue>;
/// Name and version.
type Scope = (String, String);

/// A span as a sender means it.
#[derive(Clone, Debug)]
struct Meant {
    service: String,
    scope: Option<Scope>,
    trace_id: u128,
    span_id: u64,
    parent: Option<u64>,
    name: String,
    /// OTLP's number.
    kind: i32,
    start_us: u64,
    duration_us: u64,
    tags: Tags,
    events: Vec<(u64, String, Tags)>,
    links: Vec<(u128, u64)>,
    status: Option<Result<(), String>>,
    debug: bool,
}

fn text() -> impl Strategy<Value = String> {
    "[a-zä\"{|: ]{0,6}"
}

/// Names that mean nothing to either format.
fn tags() -> impl Strategy<Value = Tags> {
    let value = prop_oneof![
        3 => text().prop_map(TagValue::Text),
        1 => any::<bool>().prop_map(TagValue::Bool),
        1 => any::<i64>().prop_map(TagValue::Int),
        1 => (-1e9..1e9f64).prop_map(TagValue::Double),
        1 => vec(any::<u8>(), 0..5).prop_map(TagValue::Bytes),
    ];
    btree_map("x[a-zä.]{0,4}", value, 0..5)
}

fn trace_id() -> impl Strategy<Value = u128> {
    // A 64-bit one too.
    prop_oneof![any::<u128>(), any::<u64>().prop_map(u128::from)].prop_map(|id| id.max(1))
}

fn span_id() -> impl Strategy<Value = u64> {
    1..u64::MAX
}

fn meant() -> impl Strategy<Value = Meant> {
    let time = 0..4_000_000_000_000_000u64;
    // No text that Zipkin's annotations would take for attributes.
    let events = vec((time.clone(), "[a-zä][a-z |]{0,5}", tags()), 0..3);
    let status = option::of(prop_oneof![Just(Ok(())), text().prop_map(Err)]);
    let scope = option::of(("[a-z]{1,2}", "[0-9]{0,1}"));
    let ids = (trace_id(), span_id(), option::of(span_id()), vec((trace_id(), span_id()), 0..3));
    let head = ("[a-c]{0,1}", scope, text(), 1..6i32, time, 0..1_000_000_000u64);
    (head, ids, tags(), events, status, any::<bool>()).prop_map(
        |(
            (service, scope, name, kind, start_us, duration_us),
            (trace_id, span_id, parent, links),
            tags,
            events,
            status,
            debug,
        )| Meant {
            service,
            scope,
            trace_id,
            span_id,
            parent: parent.filter(|parent| *parent != span_id),
            name,
            kind,
            // Zero is no time in Zipkin.
            start_us: start_us.max(1),
            duration_us,
            tags,
            events,
            links,
            status,
            debug,
        },
    )
}

fn key_value(key: &str, value: AnyKind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The attributes that tags become: with their types, but texts in Zipkin.
fn attributes(format: Format, tags: &Tags) -> Vec<KeyValue> {
    let zipkin = format == Format::ZipkinJson;
    let value = |value: &TagValue| match value {
        TagValue::Text(text) => AnyKind::StringValue(text.clone()),
        TagValue::Bool(value) if zipkin => AnyKind::StringValue(value.to_string()),
        TagValue::Int(value) if zipkin => AnyKind::StringValue(value.to_string()),
        TagValue::Double(value) if zipkin => AnyKind::StringValue(value.to_string()),
        TagValue::Bytes(bytes) if zipkin => AnyKind::StringValue(format!("{bytes:?}")),
        TagValue::Bool(value) => AnyKind::BoolValue(*value),
        TagValue::Int(value) => AnyKind::IntValue(*value),
        TagValue::Double(value) => AnyKind::DoubleValue(*value),
        TagValue::Bytes(bytes) => AnyKind::BytesValue(bytes.clone()),
    };
    tags.iter().map(|(key, tag)| key_value(key, value(tag))).collect()
}

/// The span that must come out.
fn expected_span(format: Format, meant: &Meant) -> Span {
    let zipkin = format == Format::ZipkinJson;
    let event = |(time_us, name, tags): &(u64, String, Tags)| Event {
        time_unix_nano: time_us * 1000,
        name: name.clone(),
        // Zipkin's annotations are texts, which this encoder leaves without attributes.
        attributes: if zipkin { Vec::new() } else { attributes(format, tags) },
        dropped_attributes_count: 0,
    };
    let link = |(trace_id, span_id): &(u128, u64)| Link {
        trace_id: trace_id.to_be_bytes().to_vec(),
        span_id: span_id.to_be_bytes().to_vec(),
        attributes: vec![key_value("opentracing.ref_type", AnyKind::StringValue("follows_from".to_owned()))],
        ..Link::default()
    };
    let mut all = attributes(format, &meant.tags);
    if meant.debug {
        all.push(key_value(if zipkin { "zipkin.debug" } else { "jaeger.debug" }, AnyKind::BoolValue(true)));
    }
    let status = meant.status.clone().map(|status| match status {
        Ok(()) => Status { code: 1, message: String::new() },
        Err(message) => Status { code: 2, message },
    });
    Span {
        trace_id: meant.trace_id.to_be_bytes().to_vec(),
        span_id: meant.span_id.to_be_bytes().to_vec(),
        parent_span_id: meant.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        name: meant.name.clone(),
        kind: meant.kind,
        start_time_unix_nano: meant.start_us * 1000,
        end_time_unix_nano: (meant.start_us + meant.duration_us) * 1000,
        attributes: all,
        events: meant.events.iter().map(event).collect(),
        links: if zipkin { Vec::new() } else { meant.links.iter().map(link).collect() },
        status,
        flags: u32::from(meant.debug),
        ..Span::default()
    }
}

fn expected(format: Format, spans: &[Meant]) -> ExportTraceServiceRequest {
    let mut resources: BTreeMap<&str, BTreeMap<Option<&Scope>, Vec<Span>>> = BTreeMap::new();
    for meant in spans {
        let scopes = resources.entry(&meant.service).or_default();
        scopes.entry(meant.scope.as_ref()).or_default().push(expected_span(format, meant));
    }
    let scope = |(name, version): &Scope| InstrumentationScope {
        name: name.clone(),
        version: version.clone(),
        ..InstrumentationScope::default()
    };
    let resource = |service: &str| Resource {
        attributes: vec![key_value("service.name", AnyKind::StringValue(service.to_owned()))],
        ..Resource::default()
    };
    let resource_spans = resources.into_iter().map(|(service, scopes)| ResourceSpans {
        resource: (!service.is_empty()).then(|| resource(service)),
        scope_spans: scopes
            .into_iter()
            .map(|(of, spans)| ScopeSpans { scope: of.map(scope), spans, ..ScopeSpans::default() })
            .collect(),
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

/// The order of resources, scopes and attributes means nothing. That of spans in a scope is kept.
fn sorted(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let by_key = |attributes: &mut Vec<KeyValue>| attributes.sort_by(|one, other| one.key.cmp(&other.key));
    for resource in &mut request.resource_spans {
        for span in resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            by_key(&mut span.attributes);
            span.events.iter_mut().for_each(|event| by_key(&mut event.attributes));
        }
        let name = |scope: &ScopeSpans| scope.scope.as_ref().map(|scope| (scope.name.clone(), scope.version.clone()));
        resource.scope_spans.sort_by_key(name);
    }
    request.resource_spans.sort_by_key(|resource| resource.resource.as_ref().map(Message::encode_to_vec));
    request
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(&Format::ALL[..])
}

proptest! {
    #[test]
    fn spans_become_what_their_sender_meant(format in format(), spans in vec(meant(), 0..6)) {
        // A batch of Jaeger's Thrift has one process.
        let service = spans.first().map(|span| span.service.clone()).unwrap_or_default();
        let one_process = |span: Meant| match format {
            Format::JaegerThrift => Meant { service: service.clone(), ..span },
            Format::ZipkinJson | Format::JaegerProto => span,
        };
        let spans: Vec<Meant> = spans.into_iter().map(one_process).collect();
        let otlp = format.to_otlp(&encode(format, &spans), LIMIT).unwrap();
        let found = ExportTraceServiceRequest::decode(&otlp[..]).unwrap();
        prop_assert_eq!(sorted(found), sorted(expected(format, &spans)));
    }

    #[test]
    fn hostile_bytes_give_a_bounded_request_or_an_error(
        format in format(),
        spans in vec(meant(), 0..3),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        limit in 0..2_000usize,
    ) {
        let mut request = encode(format, &spans);
        for (at, byte) in changes {
            if !request.is_empty() {
                let at = at.index(request.len());
                request[at] = byte;
            }
        }
        request.truncate(cut.index(request.len() + request.len() / 2 + 1));
        if let Ok(otlp) = format.to_otlp(&request, limit) {
            prop_assert!(otlp.len() <= limit);
            ExportTraceServiceRequest::decode(&otlp[..]).unwrap();
        }
    }

    #[test]
    fn noise_does_not_panic(
        format in format(),
        noise in vec(prop_oneof![3 => 0..0x20u8, 1 => any::<u8>()], 0..80),
    ) {
        if let Ok(otlp) = format.to_otlp(&noise, LIMIT) {
            ExportTraceServiceRequest::decode(&otlp[..]).unwrap();
        }
    }
}

#[test]
fn what_becomes_too_large_is_refused_in_every_format() {
    let meant = Meant {
        service: "s".to_owned(),
        scope: None,
        trace_id: 1,
        span_id: 2,
        parent: None,
        name: "n".repeat(1000),
        kind: 2,
        start_us: 1,
        duration_us: 1,
        tags: [("x".to_owned(), TagValue::Text("v".repeat(1000)))].into(),
        events: vec![],
        links: vec![],
        status: None,
        debug: false,
    };
    for format in Format::ALL {
        let request = encode(format, &[meant.clone(), meant.clone()]);
        let length = format.to_otlp(&request, LIMIT).unwrap().len();
        assert_eq!(format.to_otlp(&request, length).unwrap().len(), length);
        for limit in [0, 1, 1000, 2100, length - 1] {
            assert!(matches!(format.to_otlp(&request, limit), Err(LegacyError::TooLarge { .. })), "{format:?} {limit}");
        }
    }
}

#[test]
fn paths_and_formats_are_one_to_one() {
    for format in Format::ALL {
        assert_eq!(Format::from_path(format.path()), Some(format));
    }
    assert_eq!(Format::from_path("/api/v1/spans"), None);
}
