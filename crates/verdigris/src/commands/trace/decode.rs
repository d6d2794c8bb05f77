//! The spans of one trace, decoded whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span as OtlpSpan};
use prost::Message as _;
use serde_json::{Value, json};
use std::sync::Arc;
use verify::diff::{Side, Span, Status, Times, TooManySpans, Values};

/// What spans share (resource and scope) times the spans that share it: what differences can come to if all of it differs.
/// 65,536 spans with 4 KiB each.
const MAX_SHARED_BYTES: usize = 256 << 20;

/// A trace that is not decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    /// Not OTLP.
    #[error("it cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Too much of it.
    #[error(
        "its resources and scopes, once for each span, are longer than the {} MiB that are compared",
        MAX_SHARED_BYTES >> 20
    )]
    TooMuchShared,
    /// Too many spans.
    #[error(transparent)]
    TooManySpans(#[from] TooManySpans),
}

/// The spans of a request that holds nothing but one trace.
pub(super) fn decode(message: &[u8]) -> Result<Side, DecodeError> {
    let request = ExportTraceServiceRequest::decode(message)?;
    let mut spans = Vec::new();
    let mut shared_bytes = 0usize;
    for resource_spans in request.resource_spans {
        let resource = resource_spans.resource.unwrap_or_default();
        let resource_bytes = resource.encoded_len() + resource_spans.schema_url.len();
        let resource = Arc::new(resource_values(resource, resource_spans.schema_url));
        let service = match resource.get("service.name") {
            Some(Value::String(name)) => name.clone(),
            Some(_) | None => String::new(),
        };
        for ScopeSpans { scope, spans: of_scope, schema_url } in resource_spans.scope_spans {
            let scope = scope.unwrap_or_default();
            let bytes = resource_bytes + scope.encoded_len() + schema_url.len();
            shared_bytes = shared_bytes.saturating_add(bytes.saturating_mul(of_scope.len()));
            if shared_bytes > MAX_SHARED_BYTES {
                return Err(DecodeError::TooMuchShared);
            }
            let scope = Arc::new(scope_values(scope, schema_url));
            spans.extend(of_scope.into_iter().map(|it| span(it, &service, &resource, &scope)));
        }
    }
    Ok(Side::new(spans)?)
}

fn span(span: OtlpSpan, service: &str, resource: &Arc<Values>, scope: &Arc<Values>) -> Span {
    let id = |bytes: &[u8]| bytes.try_into().map_or(SpanId::NONE, SpanId);
    let mut fields = Values::new();
    put_unless_empty(&mut fields, "traceState", span.trace_state);
    put_unless_zero(&mut fields, "flags", span.flags);
    put_unless_zero(&mut fields, "droppedAttributesCount", span.dropped_attributes_count);
    put_unless_zero(&mut fields, "droppedEventsCount", span.dropped_events_count);
    put_unless_zero(&mut fields, "droppedLinksCount", span.dropped_links_count);
    if !span.events.is_empty() {
        fields.insert("events".to_owned(), span.events.into_iter().map(event).collect());
    }
    if !span.links.is_empty() {
        fields.insert("links".to_owned(), span.links.into_iter().map(link).collect());
    }
    let status = span.status.unwrap_or_default();
    Span {
        span: id(&span.span_id),
        parent: id(&span.parent_span_id),
        // As the gateway reads it: what is unknown is unspecified.
        kind: u8::try_from(span.kind).ok().filter(|kind| *kind <= 5).unwrap_or_default(),
        service: service.to_owned(),
        operation: span.name,
        times: Some(Times { start_unix_ns: span.start_time_unix_nano, end_unix_ns: span.end_time_unix_nano }),
        since: None,
        status: Some(Status { code: status.code, message: status.message }),
        attributes: Some(attributes(span.attributes)),
        resource: Some(resource.clone()),
        scope: Some(scope.clone()),
        fields: Some(fields),
        noted: Vec::new(),
    }
}

/// Of several attributes of one key the first counts, as in the OpenTelemetry Collector.
fn attributes(attributes: Vec<KeyValue>) -> Values {
    let mut values = Values::new();
    for KeyValue { key, value: any, .. } in attributes {
        values.entry(key).or_insert_with(|| value(any));
    }
    values
}

fn resource_values(resource: Resource, schema_url: String) -> Values {
    let mut values = attributes(resource.attributes);
    // No convention has attributes of these names.
    put_unless_empty(&mut values, "schemaUrl", schema_url);
    put_unless_zero(&mut values, "droppedAttributesCount", resource.dropped_attributes_count);
    values
}

fn scope_values(scope: InstrumentationScope, schema_url: String) -> Values {
    let mut values = Values::new();
    put_unless_empty(&mut values, "name", scope.name);
    put_unless_empty(&mut values, "version", scope.version);
    put_unless_empty(&mut values, "schemaUrl", schema_url);
    put_unless_zero(&mut values, "droppedAttributesCount", scope.dropped_attributes_count);
    if !scope.attributes.is_empty() {
        values.insert("attributes".to_owned(), object(scope.attributes));
    }
    values
}

fn event(event: Event) -> Value {
    json!({
        "timeUnixNano": event.time_unix_nano.to_string(),
        "name": event.name,
        "attributes": object(event.attributes),
        "droppedAttributesCount": event.dropped_attributes_count,
    })
}

fn link(link: Link) -> Value {
    json!({
        "traceId": link.trace_id.try_into().map_or(TraceId::default(), TraceId),
        "spanId": link.span_id.try_into().map_or(SpanId::NONE, SpanId),
        "traceState": link.trace_state,
        "attributes": object(link.attributes),
        "droppedAttributesCount": link.dropped_attributes_count,
        "flags": link.flags,
    })
}

fn object(of: Vec<KeyValue>) -> Value {
    attributes(of).into_iter().collect()
}

/// As JSON has it, where JSON has it. It recurses as deep as values nest: prost takes 100 levels.
fn value(any: Option<AnyValue>) -> Value {
    match any.and_then(|any| any.value) {
        None => Value::Null,
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(flag)) => flag.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) if number.is_finite() => number.into(),
        Some(Any::DoubleValue(number)) => json!({ "double": number.to_string() }),
        Some(Any::ArrayValue(list)) => list.values.into_iter().map(|element| value(Some(element))).collect(),
        Some(Any::KvlistValue(list)) => object(list.values),
        Some(Any::BytesValue(bytes)) => json!({ "bytes": STANDARD.encode(bytes) }),
        Some(Any::StringValueStrindex(index)) => json!({ "stringIndex": index }),
    }
}

fn put_unless_empty(values: &mut Values, key: &str, text: String) {
    if !text.is_empty() {
        values.insert(key.to_owned(), text.into());
    }
}

fn put_unless_zero(values: &mut Values, key: &str, number: u32) {
    if number != 0 {
        values.insert(key.to_owned(), number.into());
    }
}
