//! Jaeger's spans, however they are encoded.
//!
//! - The process becomes the resource: its tags, and `serviceName` as `service.name`. `hostname`, which Jaeger's clients
//!   write, becomes `host.name`, as the Collector has it.
//! - The parent is `parentSpanId`, or the first CHILD_OF reference within the trace. The other references become links
//!   with the attribute `opentracing.ref_type` (`child_of`, `follows_from`). A reference to the id zero is counted in
//!   `dropped_links_count`, unless it only says that there is no parent.
//! - A log becomes an event. Its field `event` is the name; without one it is `message`, which OpenTelemetry's Python
//!   exporter writes, for an event must have a name.
//! - Of `flags`, SAMPLED becomes W3C's flag; DEBUG too, and is kept as the attribute `jaeger.debug`.
//! - Warnings become `@jaeger@warnings`, as Jaeger itself keeps them in OTLP.
//! - A span may end before it starts (clocks are set back), if both times are after 1970.

pub(super) mod json;
pub(super) mod proto;
pub(super) mod thrift;

use super::attributes::{AnyValue, Attributes};
use super::groups::{Groups, ResourceId};
use super::span::{Failure, Link, Span, keep_count};
use std::borrow::Cow;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_MICRO: i128 = 1_000;

/// Bits of a span's `flags`.
const SAMPLED: u32 = 1;
const DEBUG: u32 = 2;

/// Where a reference leads, and of what kind it is.
struct Reference {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    kind: ReferenceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReferenceKind {
    ChildOf,
    FollowsFrom,
}

impl ReferenceKind {
    /// The value of `opentracing.ref_type` (semantic conventions).
    fn name(self) -> &'static str {
        match self {
            ReferenceKind::ChildOf => "child_of",
            ReferenceKind::FollowsFrom => "follows_from",
        }
    }
}

/// A span under construction, as both encodings have it.
struct JaegerSpan {
    span: Span,
    /// Those with ids: 25 bytes each, about what they take in either encoding.
    references: Vec<Reference>,
    /// Thrift's; zero for none.
    parent_span_id: [u8; 8],
    flags: u32,
    /// Since 1970.
    start_ns: i128,
    duration_ns: i128,
    /// The fields of an `ArrayValue`.
    warnings: Vec<u8>,
}

impl JaegerSpan {
    fn new(limit: usize) -> JaegerSpan {
        JaegerSpan {
            span: Span::new(limit),
            references: Vec::new(),
            parent_span_id: [0; 8],
            flags: 0,
            start_ns: 0,
            duration_ns: 0,
            warnings: Vec::new(),
        }
    }

    fn tag(&mut self, key: &str, value: &AnyValue<'_>) {
        let failed = match value {
            AnyValue::Bool(value) => *value,
            // OpenTracing has a flag here; Jaeger's own page takes the text too.
            AnyValue::Text(value) => value == "true",
            _ => false,
        };
        if key == "error" && failed {
            self.span.failure = Some(Failure::Flag);
        } else {
            self.span.tag(key, value);
        }
    }

    fn reference(&mut self, reference: Reference) {
        let leads_nowhere = reference.trace_id == [0; 16] || reference.span_id == [0; 8];
        if !leads_nowhere {
            self.references.push(reference);
        } else if reference.kind == ReferenceKind::FollowsFrom || reference.span_id != [0; 8] {
            self.span.drop_link();
        }
    }

    fn warning(&mut self, warning: &str) {
        if self.span.has_room(self.warnings.len()) {
            AnyValue::text(warning).put(1, &mut self.warnings);
        }
    }

    fn log(&mut self, log: Log) -> Result<(), String> {
        let Log { time_ns, mut attributes, event, message, dropped_attributes } = log;
        let time_ns = unsigned("logs: timestamp", time_ns)?;
        let (name, rest) = if event.is_some() { (event, message) } else { (message, None) };
        if let Some(message) = rest {
            attributes.put("message", &AnyValue::Text(message.into()));
        }
        self.span.event(time_ns, &name.unwrap_or_default(), attributes, dropped_attributes);
        Ok(())
    }

    fn new_log(&self) -> Log {
        let attributes = self.span.event_attributes();
        Log { time_ns: 0, attributes, event: None, message: None, dropped_attributes: 0 }
    }

    /// Checks, and adds the span to the others. The error names the field.
    fn finish(mut self, resource: ResourceId, groups: &mut Groups) -> Result<(), String> {
        if self.span.trace_id == [0; 16] {
            return Err("trace id: found zeros alone or none; expected 16 bytes".to_owned());
        }
        if self.span.span_id == [0; 8] {
            return Err("span id: found zeros alone or none; expected 8 bytes".to_owned());
        }
        self.span.start_ns = unsigned("start time", self.start_ns)?;
        self.span.end_ns = unsigned("duration", self.start_ns + self.duration_ns)?;
        self.span.sampled = self.flags & (SAMPLED | DEBUG) != 0;
        if self.flags & DEBUG != 0 {
            self.span.attributes.put("jaeger.debug", &AnyValue::Bool(true));
        }
        if !self.warnings.is_empty() {
            self.span.attributes.put("@jaeger@warnings", &AnyValue::Array(&self.warnings));
        }
        self.put_references();
        self.span.finish(resource, groups);
        Ok(())
    }

    fn put_references(&mut self) {
        let trace_id = self.span.trace_id;
        let is_in_trace =
            |reference: &Reference| reference.kind == ReferenceKind::ChildOf && reference.trace_id == trace_id;
        let explicit = Some(self.parent_span_id).filter(|parent| *parent != [0; 8]);
        let referenced = || self.references.iter().find(|reference| is_in_trace(reference));
        let parent = explicit.or_else(|| referenced().map(|reference| reference.span_id));
        self.span.parent_span_id = parent;
        for reference in &self.references {
            if is_in_trace(reference) && Some(reference.span_id) == parent {
                continue;
            }
            let mut attributes = self.span.link_attributes();
            attributes.put("opentracing.ref_type", &AnyValue::text(reference.kind.name()));
            let (trace_id, span_id) = (reference.trace_id, reference.span_id);
            self.span.link(&Link { trace_id, span_id, trace_state: "", dropped_attributes: 0 }, attributes);
        }
    }
}

/// A log under construction.
struct Log {
    /// Since 1970.
    time_ns: i128,
    attributes: Attributes,
    event: Option<String>,
    message: Option<String>,
    dropped_attributes: u32,
}

impl Log {
    fn field(&mut self, key: &str, value: &AnyValue<'_>) {
        match (key, value) {
            ("event", AnyValue::Text(name)) => self.event = Some(name.to_string()),
            ("message", AnyValue::Text(text)) => self.message = Some(text.to_string()),
            // The specification's name, and that of OpenTelemetry's Python exporter.
            ("otel.event.dropped_attributes_count" | "otel.dropped_attributes_count", count)
                if keep_count(&mut self.dropped_attributes, count) => {}
            _ => self.attributes.put(key, value),
        }
    }
}

/// A process under construction.
struct Process {
    service: String,
    host: Option<String>,
    attributes: Attributes,
    resource: Option<ResourceId>,
}

impl Process {
    fn new(limit: usize) -> Process {
        Process { service: String::new(), host: None, attributes: Attributes::of_field(1, limit), resource: None }
    }

    fn tag(&mut self, key: &str, value: &AnyValue<'_>) {
        match (key, value) {
            ("hostname", AnyValue::Text(host)) => self.host = Some(host.to_string()),
            _ => self.attributes.put(key, value),
        }
    }

    /// The resource of a span. Made for the first one, as a resource without spans is not to be.
    fn resource(&mut self, groups: &mut Groups) -> ResourceId {
        if let Some(resource) = self.resource {
            return resource;
        }
        let mut attributes = std::mem::replace(&mut self.attributes, Attributes::of_field(1, 0));
        if let Some(host) = &self.host {
            attributes.put_new("host.name", &AnyValue::text(host));
        }
        if !self.service.is_empty() {
            attributes.put("service.name", &AnyValue::text(&self.service));
        }
        if attributes.is_full() {
            groups.overflow();
        }
        *self.resource.insert(groups.resource(attributes.into_bytes()))
    }
}

fn unsigned(field: &str, time_ns: i128) -> Result<u64, String> {
    let refused = |_| format!("{field}: found {time_ns} ns after 1970; expected a time from 1970 to 2554");
    time_ns.try_into().map_err(refused)
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests;
