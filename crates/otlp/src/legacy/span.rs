//! A span as it is put together, and the tags for which OTLP has fields of its own.

use super::attributes::{AnyValue, Attributes};
use super::groups::{Groups, ResourceId};
use crate::wire::{put_bytes_field, put_fixed64_field, put_key, put_message, put_varint_field};

/// `trace_flags` of W3C Trace Context: recorded on purpose.
const SAMPLED: u32 = 1;

/// OTLP's `SpanKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

impl Kind {
    /// Zipkin's names and OpenTracing's are these, in upper and in lower case.
    pub fn from_name(name: &str) -> Option<Kind> {
        let kinds = [Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer];
        kinds.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Internal => "internal",
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        }
    }
}

/// OTLP's `StatusCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusCode {
    Unset = 0,
    Ok = 1,
    Error = 2,
}

impl StatusCode {
    /// The specification's names, and the longer ones of the Collector's exporters.
    fn from_name(name: &str) -> Option<StatusCode> {
        match name.strip_prefix("STATUS_CODE_").unwrap_or(name) {
            "UNSET" => Some(StatusCode::Unset),
            "OK" => Some(StatusCode::Ok),
            "ERROR" => Some(StatusCode::Error),
            _ => None,
        }
    }
}

/// The tag `error` of a span that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A flag (OpenTracing).
    Flag,
    /// A text, perhaps empty, which says why (Zipkin, and the specification).
    Text(String),
}

/// Tags that say what OTLP has a field for: those of the specification, OpenTracing's `span.kind`, and the Collector's
/// `w3c.tracestate`.
#[derive(Default)]
struct WellKnown {
    status: Option<StatusCode>,
    description: Option<String>,
    kind: Option<Kind>,
    trace_state: Option<String>,
    scope_name: Option<String>,
    scope_version: Option<String>,
    library_name: Option<String>,
    library_version: Option<String>,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
}

impl WellKnown {
    /// Keeps the tag if it is one of them and has a good value.
    fn take(&mut self, key: &str, value: &AnyValue<'_>) -> bool {
        match (key, value) {
            ("otel.status_code", AnyValue::Text(name)) => keep(&mut self.status, StatusCode::from_name(name)),
            ("span.kind", AnyValue::Text(name)) => keep(&mut self.kind, Kind::from_name(name)),
            ("otel.status_description", AnyValue::Text(text)) => keep_text(&mut self.description, text),
            ("w3c.tracestate", AnyValue::Text(text)) => keep_text(&mut self.trace_state, text),
            ("otel.scope.name", AnyValue::Text(text)) => keep_text(&mut self.scope_name, text),
            ("otel.scope.version", AnyValue::Text(text)) => keep_text(&mut self.scope_version, text),
            ("otel.library.name", AnyValue::Text(text)) => keep_text(&mut self.library_name, text),
            ("otel.library.version", AnyValue::Text(text)) => keep_text(&mut self.library_version, text),
            ("otel.dropped_attributes_count", count) => keep_count(&mut self.dropped_attributes, count),
            ("otel.dropped_events_count", count) => keep_count(&mut self.dropped_events, count),
            ("otel.dropped_links_count", count) => keep_count(&mut self.dropped_links, count),
            _ => false,
        }
    }
}

fn keep<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let known = value.is_some();
    if known {
        *place = value;
    }
    known
}

fn keep_text(place: &mut Option<String>, text: &str) -> bool {
    keep(place, Some(text.to_owned()))
}

/// Zipkin's tags are texts.
pub(super) fn keep_count(place: &mut u32, value: &AnyValue<'_>) -> bool {
    let count = match value {
        AnyValue::Int(count) => u32::try_from(*count).ok(),
        AnyValue::Text(count) => count.parse().ok(),
        _ => None,
    };
    *place = count.unwrap_or(*place);
    count.is_some()
}

/// A span under construction. What is beyond the limit is not kept, and [`Groups::overflow`] told in the end.
pub(super) struct Span {
    limit: usize,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub name: String,
    pub kind: Option<Kind>,
    pub start_ns: u64,
    pub end_ns: u64,
    pub sampled: bool,
    pub failure: Option<Failure>,
    pub attributes: Attributes,
    well_known: WellKnown,
    events: Vec<u8>,
    links: Vec<u8>,
    full: bool,
}

impl Span {
    pub fn new(limit: usize) -> Span {
        Span {
            limit,
            trace_id: [0; 16],
            span_id: [0; 8],
            parent_span_id: None,
            name: String::new(),
            kind: None,
            start_ns: 0,
            end_ns: 0,
            sampled: false,
            failure: None,
            attributes: Attributes::of_field(9, limit),
            well_known: WellKnown::default(),
            events: Vec::new(),
            links: Vec::new(),
            full: false,
        }
    }

    /// Whether a part of this many bytes may grow.
    pub fn has_room(&mut self, length: usize) -> bool {
        self.full |= length > self.limit;
        !self.full
    }

    /// A tag: a field of the span's if there is one, otherwise an attribute. `error` is the caller's.
    pub fn tag(&mut self, key: &str, value: &AnyValue<'_>) {
        if !self.well_known.take(key, value) {
            self.attributes.put(key, value);
        }
    }

    /// The attributes of an event.
    pub fn event_attributes(&self) -> Attributes {
        Attributes::of_field(3, self.limit)
    }

    /// The attributes of a link.
    pub fn link_attributes(&self) -> Attributes {
        Attributes::of_field(4, self.limit)
    }

    pub fn event(&mut self, time_ns: u64, name: &str, attributes: Attributes, dropped: u32) {
        self.full |= attributes.is_full();
        if !self.has_room(self.events.len()) {
            return;
        }
        put_message(11, &mut self.events, |event| {
            put_fixed64_field(event, 1, time_ns);
            put_bytes_field(event, 2, name.as_bytes());
            event.extend(attributes.into_bytes());
            put_count(event, 4, dropped);
        });
    }

    pub fn link(&mut self, link: &Link<'_>, attributes: Attributes) {
        self.full |= attributes.is_full();
        if !self.has_room(self.links.len()) {
            return;
        }
        put_message(13, &mut self.links, |out| {
            put_bytes_field(out, 1, &link.trace_id);
            put_bytes_field(out, 2, &link.span_id);
            put_text(out, 3, link.trace_state);
            out.extend(attributes.into_bytes());
            put_count(out, 5, link.dropped_attributes);
        });
    }

    /// A link that leads nowhere: counted as OTLP counts what a sender left out.
    pub fn drop_link(&mut self) {
        self.well_known.dropped_links = self.well_known.dropped_links.saturating_add(1);
    }

    pub fn finish(mut self, resource: ResourceId, groups: &mut Groups) {
        let (status, description) = self.status();
        let (tag_kind, kind) = (self.well_known.kind, self.kind.or(self.well_known.kind));
        if let Some(overruled) = tag_kind.filter(|tag_kind| Some(*tag_kind) != kind) {
            self.attributes.put("span.kind", &AnyValue::text(overruled.name()));
        }
        if self.full || self.attributes.is_full() {
            groups.overflow();
            return;
        }
        let known = self.well_known;
        let mut span = Vec::new();
        put_bytes_field(&mut span, 1, &self.trace_id);
        put_bytes_field(&mut span, 2, &self.span_id);
        put_text(&mut span, 3, known.trace_state.as_deref().unwrap_or_default());
        if let Some(parent) = self.parent_span_id {
            put_bytes_field(&mut span, 4, &parent);
        }
        put_text(&mut span, 5, &self.name);
        put_varint_field(&mut span, 6, kind.unwrap_or(Kind::Internal) as u64);
        put_fixed64_field(&mut span, 7, self.start_ns);
        put_fixed64_field(&mut span, 8, self.end_ns);
        span.extend(self.attributes.into_bytes());
        put_count(&mut span, 10, known.dropped_attributes);
        span.extend(self.events);
        put_count(&mut span, 12, known.dropped_events);
        span.extend(self.links);
        put_count(&mut span, 14, known.dropped_links);
        if status != StatusCode::Unset {
            put_message(15, &mut span, |out| {
                put_text(out, 2, &description);
                put_varint_field(out, 3, status as u64);
            });
        }
        if self.sampled {
            put_key(&mut span, 16, 5);
            span.extend(SAMPLED.to_le_bytes());
        }
        let mut scope = Vec::new();
        put_text(&mut scope, 1, &known.scope_name.or(known.library_name).unwrap_or_default());
        put_text(&mut scope, 2, &known.scope_version.or(known.library_version).unwrap_or_default());
        groups.add(resource, scope, &span);
    }

    /// The status, which `otel.status_code` says; without it a failure is an error. What has no place in the status stays
    /// an attribute.
    fn status(&mut self) -> (StatusCode, String) {
        let failure = self.failure.take();
        let otherwise = if failure.is_some() { StatusCode::Error } else { StatusCode::Unset };
        let status = self.well_known.status.unwrap_or(otherwise);
        let mut description = self.well_known.description.take();
        if status == StatusCode::Unset
            && let Some(description) = description.take()
        {
            self.attributes.put("otel.status_description", &AnyValue::text(&description));
        }
        match failure {
            Some(Failure::Flag) if status != StatusCode::Error => self.attributes.put("error", &AnyValue::Bool(true)),
            Some(Failure::Text(text)) if status != StatusCode::Error => {
                self.attributes.put("error", &AnyValue::text(&text));
            }
            Some(Failure::Text(text)) if !text.is_empty() && text != "true" => match &description {
                Some(description) if *description != text => self.attributes.put("error", &AnyValue::text(&text)),
                Some(_) => {}
                None => description = Some(text),
            },
            Some(Failure::Flag | Failure::Text(_)) | None => {}
        }
        (status, description.unwrap_or_default())
    }
}

/// Where a link leads.
pub(super) struct Link<'l> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: &'l str,
    pub dropped_attributes: u32,
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        put_bytes_field(out, number, text.as_bytes());
    }
}

fn put_count(out: &mut Vec<u8>, number: u32, count: u32) {
    if count > 0 {
        put_varint_field(out, number, u64::from(count));
    }
}
