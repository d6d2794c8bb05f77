//! What verification reads of spans: the same as prost decodes, and the same of the parts as of the whole.

use crate::parts::{PARTS, split};
use crate::tree::contents;
use model::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use otlp::{Malformed, Scope, Signal, SpanView, Status, for_each_span};
use prost::Message;
use std::collections::BTreeSet;

const IDENTITY_PREFIXES: [&str; 4] = ["service.", "host.", "k8s.", "deployment."];

/// The target.
pub(crate) fn run(message: &[u8]) {
    let part_of = |trace: TraceId| trace.0[0] % PARTS;
    let parts = split(Signal::Traces, message, part_of);
    let whole = views(message);
    // Of an attribute's values `for_each_span` takes the last; protobuf merges them, and does not mind an empty last one.
    if let Ok(decoded) = ExportTraceServiceRequest::decode(message)
        && !has_attribute_of_several_values(message)
    {
        check_decoded(whole.as_ref().expect("what prost takes can be read"), &decoded);
    }
    let Ok(parts) = parts else {
        whole.expect_err("what the splitter refuses cannot be read");
        return;
    };
    // An attribute may be broken, which the splitter does not look at: then the whole has no views to compare with.
    let Ok(whole) = whole else { return };
    assert_eq!(parts.iter().map(|part| part.records).sum::<u64>(), whole.len() as u64, "every span is read once");
    for (number, part) in (0..PARTS).zip(&parts) {
        let found = views(&part.bytes).expect("a part reads as the whole does");
        let expected: Vec<_> = whole.iter().filter(|(trace, _)| part_of(*trace) == number).cloned().collect();
        assert_eq!(found, expected, "the spans of part {number}");
    }
}

/// Whether an attribute of a resource has more than one value.
fn has_attribute_of_several_values(message: &[u8]) -> bool {
    let resource_spans = contents(message, 1).into_iter();
    let mut attributes = resource_spans.flat_map(|inside| contents(inside, 1)).flat_map(|inside| contents(inside, 1));
    attributes.any(|attribute| contents(attribute, 2).len() > 1)
}

/// All that is read of a span.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    /// All of it, as text.
    whole: String,
    /// What is left where values' bytes are left out.
    view: String,
    attributes: Vec<String>,
    resource: Vec<String>,
    lists: [usize; 2],
}

/// Trace id and all that is read.
fn views(message: &[u8]) -> Result<Vec<(TraceId, Read)>, Malformed> {
    let mut views = Vec::new();
    for_each_span(message, |span| {
        let keys = |attributes: &[(&str, &[u8])]| attributes.iter().map(|(key, _)| (*key).to_owned()).collect();
        let read = Read {
            whole: format!("{span:?}"),
            view: format!("{:?}", SpanView { attributes: &[], events: &[], links: &[], resource: &[], ..*span }),
            attributes: keys(span.attributes),
            resource: keys(span.resource),
            lists: [span.events.len(), span.links.len()],
        };
        views.push((span.trace_id, read));
    })
    .map(|()| views)
}

fn check_decoded(found: &[(TraceId, Read)], request: &ExportTraceServiceRequest) {
    let resources = request.resource_spans.iter();
    let scopes = resources.flat_map(|inside| inside.scope_spans.iter().map(|scope| (inside.resource.as_ref(), scope)));
    let spans = scopes.flat_map(|(resource, scope)| scope.spans.iter().map(move |span| (resource, scope, span)));
    let mut found = found.iter();
    for (resource, scope, span) in spans {
        let (_, view) = found.next().expect("no span is left out");
        check_span(view, resource, scope, span);
    }
    assert!(found.next().is_none(), "no span is made up");
}

/// A value's bytes are left out where prost would not write them again as they were.
fn check_span(found: &Read, resource: Option<&Resource>, scope_spans: &ScopeSpans, span: &Span) {
    let mut identity: BTreeSet<&str> = BTreeSet::new();
    let mut service = None;
    for attribute in resource.iter().flat_map(|resource| &resource.attributes) {
        let key = attribute.key.as_str();
        if IDENTITY_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
            identity.insert(key);
        }
        if key == "service.name" && service.is_none() {
            service = Some(match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(Value::StringValue(name)) => name.as_str(),
                _ => "",
            });
        }
    }
    let scope = scope_spans.scope.as_ref();
    let expected = SpanView {
        trace_id: span.trace_id[..].try_into().map(TraceId).unwrap_or_default(),
        span_id: span.span_id[..].try_into().map(SpanId).unwrap_or_default(),
        parent_span_id: span.parent_span_id[..].try_into().map(SpanId).unwrap_or_default(),
        kind: u8::try_from(span.kind).ok().filter(|kind| *kind <= 5).unwrap_or(0),
        name: &span.name,
        start_unix_ns: span.start_time_unix_nano,
        end_unix_ns: span.end_time_unix_nano,
        trace_state: &span.trace_state,
        flags: span.flags,
        status: span.status.as_ref().map(|it| Status { code: it.code, message: &it.message }).unwrap_or_default(),
        attributes: &[],
        events: &[],
        links: &[],
        dropped: [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count],
        scope: Scope {
            name: scope.map_or("", |scope| &scope.name),
            version: scope.map_or("", |scope| &scope.version),
            schema_url: &scope_spans.schema_url,
        },
        service: service.unwrap_or(""),
        resource: &[],
    };
    assert_eq!(found.view, format!("{expected:?}"));
    assert_eq!(found.resource, identity.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let keys: BTreeSet<&str> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(found.attributes, keys.into_iter().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(found.lists, [span.events.len(), span.links.len()]);
}
