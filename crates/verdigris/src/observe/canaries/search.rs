//! Looks for a canary's secrets in what came out of it: in every text that a request can hold.
//!
//! A text is searched as it is and with its percent-encoding undone, twice, in any case; for card numbers also without
//! the blanks, dashes and dots that group digits. What is encoded or encrypted otherwise is masked, as far as this sees.

use super::secrets::Secrets;
use model::{CanaryPlace, Leak, MAX_CANARY_KEY_CHARACTERS, RouteKey, Secret, SecretKind, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use otlp::{Part, Signal, Splitter, Unit};
use prost::Message;

/// The secrets of the canary that come out in clear in a message, each with the first place where it does.
pub(super) fn leaks(key: RouteKey, trace: TraceId, message: &[u8]) -> Vec<Leak> {
    let mut search = Search { wanted: Secrets::of(key, trace).values().into(), found: Vec::new() };
    let own = spans_of(trace, message);
    match ExportTraceServiceRequest::decode(&own[..]) {
        Ok(request) => request.resource_spans.iter().for_each(|spans| search.resource_spans(spans)),
        Err(_) => search.text(&String::from_utf8_lossy(&own), || CanaryPlace::Unreadable),
    }
    search.found
}

/// The trace's spans alone, with the resource and the scope around them: a batch holds others, which are nobody's here.
fn spans_of(trace: TraceId, message: &[u8]) -> Vec<u8> {
    const OWN: Part = 1;
    let mut splitter = Splitter::default();
    let part = |unit| Part::from(unit == Unit::Trace(trace));
    let mut own = Vec::new();
    // What cannot be scanned was not read as spans either.
    if splitter.scan(Signal::Traces, message, part).is_ok() {
        splitter.write(message, |part| part == OWN, &mut own);
    }
    own
}

struct Search {
    wanted: Vec<(Secret, String)>,
    found: Vec<Leak>,
}

impl Search {
    fn resource_spans(&mut self, spans: &ResourceSpans) {
        let resource = spans.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        self.attributes(resource, |key| CanaryPlace::ResourceAttribute { key });
        self.text(&spans.schema_url, || CanaryPlace::Scope);
        for scope_spans in &spans.scope_spans {
            self.text(&scope_spans.schema_url, || CanaryPlace::Scope);
            if let Some(scope) = &scope_spans.scope {
                self.scope(scope);
            }
            scope_spans.spans.iter().for_each(|span| self.span(span));
        }
    }

    fn scope(&mut self, scope: &InstrumentationScope) {
        self.text(&scope.name, || CanaryPlace::Scope);
        self.text(&scope.version, || CanaryPlace::Scope);
        self.attributes(&scope.attributes, |_| CanaryPlace::Scope);
    }

    fn span(&mut self, span: &Span) {
        self.attributes(&span.attributes, |key| CanaryPlace::Attribute { key });
        for event in &span.events {
            self.text(&event.name, || CanaryPlace::EventName);
            self.attributes(&event.attributes, |key| CanaryPlace::EventAttribute { key });
        }
        if let Some(status) = &span.status {
            self.text(&status.message, || CanaryPlace::Status);
        }
        self.text(&span.name, || CanaryPlace::Name);
        self.text(&span.trace_state, || CanaryPlace::TraceState);
        for link in &span.links {
            self.text(&link.trace_state, || CanaryPlace::TraceState);
            self.attributes(&link.attributes, |key| CanaryPlace::LinkAttribute { key });
        }
    }

    fn attributes(&mut self, attributes: &[KeyValue], place: impl Fn(String) -> CanaryPlace) {
        for attribute in attributes {
            let key = || attribute.key.chars().take(MAX_CANARY_KEY_CHARACTERS).collect();
            self.value(attribute.value.as_ref(), &|| place(key()));
            self.text(&attribute.key, || CanaryPlace::Key);
        }
    }

    /// Nested as deep as the decoder takes it: 100 messages.
    fn value(&mut self, value: Option<&AnyValue>, place: &dyn Fn() -> CanaryPlace) {
        match value.and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => self.text(text, place),
            // A number that is long enough for a card.
            Some(Value::IntValue(number)) => self.text(&number.to_string(), place),
            Some(Value::DoubleValue(number)) => self.text(&number.to_string(), place),
            Some(Value::BytesValue(bytes)) => self.text(&String::from_utf8_lossy(bytes), place),
            Some(Value::ArrayValue(array)) => array.values.iter().for_each(|value| self.value(Some(value), place)),
            Some(Value::KvlistValue(list)) => {
                for entry in &list.values {
                    self.value(entry.value.as_ref(), place);
                    self.text(&entry.key, || CanaryPlace::Key);
                }
            }
            Some(Value::BoolValue(_) | Value::StringValueStrindex(_)) | None => {}
        }
    }

    fn text(&mut self, text: &str, place: impl Fn() -> CanaryPlace) {
        if text.is_empty() {
            return;
        }
        let as_it_is = text.to_ascii_lowercase();
        let once = decoded(&as_it_is);
        let twice = once.as_deref().and_then(decoded);
        for text in [Some(as_it_is), once, twice].into_iter().flatten() {
            let grouped: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '\u{a0}')).collect();
            self.wanted.retain(|(secret, value)| {
                let is_there = match secret.kind {
                    SecretKind::CardNumber => grouped.contains(value),
                    SecretKind::BearerToken | SecretKind::Email => text.contains(value),
                };
                if is_there {
                    self.found.push(Leak { secret: *secret, came_out_in: place() });
                }
                !is_there
            });
        }
    }
}

/// The text without percent-encoding (RFC 3986, section 2.1), in lower case; `None` if it has none.
fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (*byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Some(String::from_utf8_lossy(&decoded).to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
