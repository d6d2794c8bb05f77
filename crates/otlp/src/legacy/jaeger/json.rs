//! The JSON in which Jaeger's query service answers its own page (`/api/traces`, jaegertracing/jaeger,
//! `internal/uimodel/model.go`). No sender speaks it: it is what comes back from a store.
//!
//! Tags say their type and have a value of JSON's, which may be a text where the type is a number. Ids may lack their
//! leading zeros, as older versions write them.

use super::{JaegerSpan, NANOS_PER_MICRO, Process, Reference, ReferenceKind};
use crate::legacy::LegacyError;
use crate::legacy::attributes::AnyValue;
use crate::legacy::groups::Groups;
use crate::legacy::ids::padded;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Vec<Trace>>,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    spans: Option<Vec<Span>>,
    #[serde(default)]
    processes: Option<BTreeMap<String, ProcessOf>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    #[serde(rename = "parentSpanID", default)]
    parent_span_id: Option<String>,
    #[serde(default)]
    flags: Option<u32>,
    #[serde(default)]
    operation_name: String,
    #[serde(default)]
    references: Option<Vec<RefOf>>,
    #[serde(default)]
    start_time: u64,
    #[serde(default)]
    duration: u64,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    logs: Option<Vec<LogOf>>,
    #[serde(rename = "processID", default)]
    process_id: Option<String>,
    #[serde(default)]
    process: Option<ProcessOf>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefOf {
    ref_type: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct LogOf {
    #[serde(default)]
    timestamp: u64,
    #[serde(default)]
    fields: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProcessOf {
    #[serde(default)]
    service_name: String,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: Value,
}

/// The spans of all traces of an answer.
pub(in crate::legacy) fn to_otlp(answer: &[u8], limit: usize) -> Result<Vec<u8>, LegacyError> {
    let answer: Answer = serde_json::from_slice(answer).map_err(LegacyError::JaegerJson)?;
    let mut groups = Groups::new(limit);
    let mut index = 0;
    for trace in answer.data.into_iter().flatten() {
        let mut processes: BTreeMap<String, Process> = BTreeMap::new();
        let known = trace.processes.unwrap_or_default();
        processes.extend(known.iter().map(|(id, process)| (id.clone(), read_process(process, limit))));
        for span in trace.spans.into_iter().flatten() {
            let refused = |what| LegacyError::Span { index, what };
            let mut own = span.process.as_ref().map(|process| read_process(process, limit));
            let shared = span.process_id.as_ref().and_then(|id| processes.get_mut(id));
            let resource = match own.as_mut().or(shared) {
                Some(process) => process.resource(&mut groups),
                None => Process::new(limit).resource(&mut groups),
            };
            read_span(&span, limit).map_err(refused)?.finish(resource, &mut groups).map_err(refused)?;
            index += 1;
            if groups.is_full() {
                return groups.into_request();
            }
        }
    }
    groups.into_request()
}

fn read_span(json: &Span, limit: usize) -> Result<JaegerSpan, String> {
    let mut span = JaegerSpan::new(limit);
    span.span.trace_id = padded("traceID", &json.trace_id)?;
    span.span.span_id = padded("spanID", &json.span_id)?;
    if let Some(parent) = json.parent_span_id.as_ref().filter(|parent| !parent.is_empty()) {
        span.parent_span_id = padded("parentSpanID", parent)?;
    }
    span.span.name = json.operation_name.clone();
    span.flags = json.flags.unwrap_or(0);
    span.start_ns = i128::from(json.start_time) * NANOS_PER_MICRO;
    span.duration_ns = i128::from(json.duration) * NANOS_PER_MICRO;
    for reference in json.references.iter().flatten() {
        let kind = match reference.ref_type.as_str() {
            "CHILD_OF" => ReferenceKind::ChildOf,
            _ => ReferenceKind::FollowsFrom,
        };
        let trace_id = padded("references: traceID", &reference.trace_id)?;
        span.reference(Reference { trace_id, span_id: padded("references: spanID", &reference.span_id)?, kind });
    }
    json.tags.iter().flatten().for_each(|tag| span.tag(&tag.key, &value(tag)));
    for fields in json.logs.iter().flatten() {
        let mut log = span.new_log();
        log.time_ns = i128::from(fields.timestamp) * NANOS_PER_MICRO;
        fields.fields.iter().flatten().for_each(|field| log.field(&field.key, &value(field)));
        span.log(log)?;
    }
    json.warnings.iter().flatten().for_each(|warning| span.warning(warning));
    Ok(span)
}

fn read_process(json: &ProcessOf, limit: usize) -> Process {
    let mut process = Process::new(limit);
    process.service = json.service_name.clone();
    json.tags.iter().flatten().for_each(|tag| process.tag(&tag.key, &value(tag)));
    process
}

/// The value as its type says; one that does not fit its type stays what it is in JSON. Binary values are texts here.
fn value(tag: &Tag) -> AnyValue<'_> {
    let text = tag.value.as_str();
    let typed = match tag.kind.as_str() {
        "bool" => tag.value.as_bool().or_else(|| text?.parse().ok()).map(AnyValue::Bool),
        "int64" => tag.value.as_i64().or_else(|| text?.parse().ok()).map(AnyValue::Int),
        "float64" => tag.value.as_f64().or_else(|| text?.parse().ok()).map(AnyValue::Double),
        _ => None,
    };
    typed.or_else(|| text.map(AnyValue::text)).unwrap_or(AnyValue::Json(&tag.value))
}

#[cfg(test)]
mod tests;
