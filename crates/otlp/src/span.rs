//! Reads of each span what verification needs, borrowed from the request's bytes.
//!
//! What is odd inside a span (an id of the wrong length, a name that is no UTF-8) never fails the request: the span
//! came through the pipeline, so it must be seen.

use crate::wire::{Field, Fields, Malformed, Value};
use model::{SpanId, TraceId};

/// What stands for a name or key that is no UTF-8.
const NOT_UTF8: &str = "\u{FFFD}";

/// The resource attributes by which a service is known in its environment begin with one of these.
const IDENTITY_PREFIXES: [&str; 4] = ["service.", "k8s.", "host.", "deployment."];

/// `STATUS_CODE_ERROR` of opentelemetry/proto/trace/v1.
const STATUS_CODE_ERROR: i32 = 2;

/// The largest `SpanKind`, `SPAN_KIND_CONSUMER`.
const MAX_SPAN_KIND: i32 = 5;

/// A span, decoded as far as verification needs it. Text that is no UTF-8 reads as `"\u{FFFD}"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanView<'a> {
    /// All zero if the span's is not 16 bytes long (as [`crate::Splitter::scan`] routes it).
    pub trace_id: TraceId,
    /// All zero if the span's is not 8 bytes long.
    pub span_id: SpanId,
    /// [`SpanId::NONE`] if the span has none, or one that is not 8 bytes long.
    pub parent_span_id: SpanId,
    /// OTLP's SpanKind, 0 to 5; unknown kinds read as 0, unspecified.
    pub kind: u8,
    /// The span's name.
    pub name: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// W3C Trace Context's `tracestate`, as it was written.
    pub trace_state: &'a str,
    /// W3C Trace Context's flags in the lowest eight bits, and OTLP's own above.
    pub flags: u32,
    /// The status.
    pub status: Status<'a>,
    /// The span's own attributes, sorted by key, each key once (the first in the request counts, as in the OpenTelemetry
    /// Collector); the value is an `AnyValue`'s wire bytes.
    pub attributes: &'a [(&'a str, &'a [u8])],
    /// The wire bytes of each `Event`, in the span's order.
    pub events: &'a [&'a [u8]],
    /// The wire bytes of each `Link`, in the span's order.
    pub links: &'a [&'a [u8]],
    /// How many attributes, events and links the SDK dropped.
    pub dropped: [u32; 3],
    /// Where the span was made.
    pub scope: Scope<'a>,
    /// The resource's `service.name`, or `""` if it has none, or one that is no string.
    pub service: &'a str,
    /// The resource's identity attributes (`service.*`, `k8s.*`, `host.*`, `deployment.*`), sorted by key, each key once
    /// (the first in the request counts, as in the OpenTelemetry Collector); the value is an `AnyValue`'s wire bytes.
    /// Two encoders write the same bytes for the same string, number or flag.
    pub resource: &'a [(&'a str, &'a [u8])],
}

/// A span's status; the last of each field counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status<'a> {
    /// OTLP's StatusCode: 0 unset, 1 ok, 2 error. Others are passed on as they are.
    pub code: i32,
    /// For people.
    pub message: &'a str,
}

/// The instrumentation that made a span, and the schema it follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// `InstrumentationScope.name`.
    pub name: &'a str,
    /// `InstrumentationScope.version`.
    pub version: &'a str,
    /// `ScopeSpans.schema_url`.
    pub schema_url: &'a str,
}

impl SpanView<'_> {
    /// Whether the status code is ERROR.
    pub fn is_error(&self) -> bool {
        self.status.code == STATUS_CODE_ERROR
    }
}

/// Calls `each` for every span of an `ExportTraceServiceRequest`, in the request's order.
///
/// Protobuf's rules hold: of a repeated scalar the last one counts, repeated resources and statuses merge, and the
/// resource may come after its spans. No span is left out for what is odd in it: see [`SpanView`]'s fields. Fails if the
/// framing of the request, an envelope, a span, its status, an attribute or a resource is broken; spans before that
/// place have been handed out by then.
pub fn for_each_span<'m>(message: &'m [u8], mut each: impl FnMut(&SpanView<'_>)) -> Result<(), Malformed> {
    let mut resource: Vec<(&'m str, &'m [u8])> = Vec::new();
    let mut lists = Lists::default();
    let mut request = Fields::of(message);
    while let Some(field) = request.read()? {
        let (1, Some(mut resource_spans)) = (field.number, field.fields()) else { continue };
        read_resource(resource_spans.clone(), &mut resource)?;
        let service = resource.binary_search_by_key(&"service.name", |(key, _)| key);
        let service = service.map_or("", |found| string_value(resource[found].1));
        while let Some(field) = resource_spans.read()? {
            let (2, Some(mut scope_spans)) = (field.number, field.fields()) else { continue };
            let scope = read_scope(scope_spans.clone())?;
            while let Some(field) = scope_spans.read()? {
                let (2, Some(span)) = (field.number, field.fields()) else { continue };
                let span = read_span(span, &mut lists)?;
                let Lists { attributes, events, links } = &lists;
                each(&SpanView { attributes, events, links, scope, service, resource: &resource, ..span });
            }
        }
    }
    Ok(())
}

/// What a span has several of, kept from span to span so that reading one allocates nothing.
#[derive(Default)]
struct Lists<'m> {
    attributes: Vec<(&'m str, &'m [u8])>,
    events: Vec<&'m [u8]>,
    links: Vec<&'m [u8]>,
}

/// The span without what comes from elsewhere: what it has several of is in `lists`, the rest is the caller's.
fn read_span<'m>(mut span: Fields<'m>, lists: &mut Lists<'m>) -> Result<SpanView<'m>, Malformed> {
    let mut view = SpanView {
        trace_id: TraceId::default(),
        span_id: SpanId::default(),
        parent_span_id: SpanId::NONE,
        kind: 0,
        name: "",
        start_unix_ns: 0,
        end_unix_ns: 0,
        trace_state: "",
        flags: 0,
        status: Status::default(),
        attributes: &[],
        events: &[],
        links: &[],
        dropped: [0; 3],
        scope: Scope::default(),
        service: "",
        resource: &[],
    };
    let Lists { attributes, events, links } = lists;
    attributes.clear();
    events.clear();
    links.clear();
    while let Some(field) = span.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => view.trace_id = bytes.try_into().map(TraceId).unwrap_or_default(),
            (2, Value::Bytes(bytes)) => view.span_id = bytes.try_into().map(SpanId).unwrap_or_default(),
            (3, Value::Bytes(bytes)) => view.trace_state = text(bytes),
            (4, Value::Bytes(bytes)) => view.parent_span_id = bytes.try_into().map(SpanId).unwrap_or_default(),
            (5, Value::Bytes(bytes)) => view.name = text(bytes),
            (6, Value::Varint(kind)) => view.kind = span_kind(kind),
            (7, Value::Fixed64(ns)) => view.start_unix_ns = ns,
            (8, Value::Fixed64(ns)) => view.end_unix_ns = ns,
            (9, Value::Bytes(_)) => attributes.extend(read_key_value(&field)?),
            (10, Value::Varint(count)) => view.dropped[0] = count as u32,
            (11, Value::Bytes(bytes)) => events.push(bytes),
            (12, Value::Varint(count)) => view.dropped[1] = count as u32,
            (13, Value::Bytes(bytes)) => links.push(bytes),
            (14, Value::Varint(count)) => view.dropped[2] = count as u32,
            (15, Value::Bytes(_)) => read_status(&field, &mut view.status)?,
            (16, Value::Fixed32(flags)) => view.flags = flags,
            _ => {}
        }
    }
    sort_and_keep_first(attributes);
    Ok(view)
}

/// Name, version and schema of a `ScopeSpans`, which may stand behind its spans. Protobuf merges repeated scopes.
fn read_scope<'m>(mut scope_spans: Fields<'m>) -> Result<Scope<'m>, Malformed> {
    let mut scope = Scope::default();
    while let Some(field) = scope_spans.read()? {
        match (field.number, field.value, field.fields()) {
            (1, _, Some(mut inside)) => {
                // A scope that is broken inside is none: it is not needed to read the spans.
                while let Ok(Some(field)) = inside.read() {
                    match (field.number, field.value) {
                        (1, Value::Bytes(bytes)) => scope.name = text(bytes),
                        (2, Value::Bytes(bytes)) => scope.version = text(bytes),
                        _ => {}
                    }
                }
            }
            (3, Value::Bytes(bytes), _) => scope.schema_url = text(bytes),
            _ => {}
        }
    }
    Ok(scope)
}

/// Collects the identity attributes of all `resource` fields of a `ResourceSpans`: protobuf merges repeated ones.
fn read_resource<'m>(mut resource_spans: Fields<'m>, identity: &mut Vec<(&'m str, &'m [u8])>) -> Result<(), Malformed> {
    identity.clear();
    while let Some(field) = resource_spans.read()? {
        let (1, Some(mut resource)) = (field.number, field.fields()) else { continue };
        while let Some(attribute) = resource.read()? {
            if attribute.number == 1 {
                let is_identity = |(key, _): &(&str, _)| IDENTITY_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
                identity.extend(read_key_value(&attribute)?.filter(is_identity));
            }
        }
    }
    sort_and_keep_first(identity);
    Ok(())
}

fn sort_and_keep_first(attributes: &mut Vec<(&str, &[u8])>) {
    // Stable, so that the first of equal keys stays the first.
    attributes.sort_by_key(|(key, _)| *key);
    attributes.dedup_by_key(|(key, _)| *key);
}

/// Key and value's bytes of a `KeyValue`; `None` if the field is no message. Of a repeated value the last one that is not
/// empty counts.
pub(crate) fn read_key_value<'m>(field: &Field<'m>) -> Result<Option<(&'m str, &'m [u8])>, Malformed> {
    let Some(mut key_value) = field.fields() else { return Ok(None) };
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    while let Some(field) = key_value.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => key = text(bytes),
            // Repeated ones merge: one that is empty changes nothing of the one before.
            (2, Value::Bytes(bytes)) if !bytes.is_empty() => value = bytes,
            _ => {}
        }
    }
    Ok(Some((key, value)))
}

/// Takes over what a `Status` says: what it lacks changes nothing where statuses merge.
fn read_status<'m>(field: &Field<'m>, status: &mut Status<'m>) -> Result<(), Malformed> {
    let Some(mut fields) = field.fields() else { return Ok(()) };
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (2, Value::Bytes(bytes)) => status.message = text(bytes),
            (3, Value::Varint(code)) => status.code = code as i32,
            _ => {}
        }
    }
    Ok(())
}

/// The string of an `AnyValue`'s bytes; `""` if it holds something else. Broken bytes are no string: the value is not
/// needed to read the spans, so it does not fail them.
pub fn string_value(any_value: &[u8]) -> &str {
    let mut fields = Fields::of(any_value);
    let mut string = "";
    while let Ok(Some(field)) = fields.read() {
        string = match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => text(bytes),
            // Another member of the `oneof` takes the string's place.
            (2..=8, _) => "",
            _ => string,
        };
    }
    string
}

/// The whole number of an `AnyValue`'s bytes, or its flag as 0 or 1; `None` if it holds something else, or is broken.
pub fn int_value(any_value: &[u8]) -> Option<i64> {
    let mut fields = Fields::of(any_value);
    let mut int = None;
    while let Ok(Some(field)) = fields.read() {
        int = match (field.number, field.value) {
            // Protobuf writes a negative number as its two's complement.
            (2 | 3, Value::Varint(value)) => Some(value as i64),
            (1..=8, _) => None,
            _ => int,
        };
    }
    int
}

/// An enum is an int32: protobuf cuts longer varints to 32 bits.
fn span_kind(kind: u64) -> u8 {
    let kind = kind as i32;
    if (0..=MAX_SPAN_KIND).contains(&kind) { kind as u8 } else { 0 }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or(NOT_UTF8)
}

#[cfg(test)]
mod tests;
