//! What `tracing` tells, as OTLP: spans of our own target, and events at warn and above.

use super::{Own, QUEUE, put, text};
use crate::clock;
use control::OWN_SPANS;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Fields of a span or an event that are told.
const MAX_FIELDS: usize = 16;
/// Characters of one, and of a message.
const MAX_CHARACTERS: usize = 1_024;

/// Puts them into the queue, if somebody wants them.
pub struct OwnLayer;

/// A span that has not ended.
struct Begun {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    start_us: u64,
    fields: Fields,
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<KeyValue>,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX));
        self.add(KeyValue {
            key: field.name().to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let value: String = value.chars().take(MAX_CHARACTERS).collect();
        if field.name() == "message" {
            self.message = value;
        } else {
            self.add(text(field.name(), &value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Fields {
    fn add(&mut self, field: KeyValue) {
        if self.others.len() < MAX_FIELDS {
            self.others.push(field);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for OwnLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if QUEUE.get().is_none() || attributes.metadata().target() != OWN_SPANS {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let above = span.parent().and_then(|parent| parent.extensions().get::<Begun>().map(|it| (it.trace, it.span)));
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Begun {
            trace: above.map_or_else(clock::random, |(trace, _)| trace),
            span: clock::random(),
            parent: above.map(|(_, span)| span),
            start_us: clock::now_us(),
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(begun) = span.extensions_mut().get_mut::<Begun>()
        {
            values.record(&mut begun.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(begun) = span.extensions_mut().remove::<Begun>() else { return };
        let Begun { trace, span: own, parent, start_us, fields } = begun;
        let kind = if span.name() == "request" { SpanKind::Server } else { SpanKind::Internal };
        put(Own::Span(Box::new(Span {
            trace_id: trace.to_vec(),
            span_id: own.to_vec(),
            parent_span_id: parent.map(|parent| parent.to_vec()).unwrap_or_default(),
            name: span.name().to_owned(),
            kind: kind as i32,
            start_time_unix_nano: start_us.saturating_mul(1_000),
            end_time_unix_nano: clock::now_us().saturating_mul(1_000),
            attributes: fields.others,
            ..Span::default()
        })));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if QUEUE.get().is_none() || *event.metadata().level() > Level::WARN {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let within = context.event_span(event).and_then(|span| {
            span.scope().find_map(|span| span.extensions().get::<Begun>().map(|it| (it.trace, it.span)))
        });
        let (trace_id, span_id) = within.map(|(trace, span)| (trace.to_vec(), span.to_vec())).unwrap_or_default();
        let now_ns = clock::now_us().saturating_mul(1_000);
        let is_error = *event.metadata().level() == Level::ERROR;
        put(Own::Log(Box::new(LogRecord {
            time_unix_nano: now_ns,
            observed_time_unix_nano: now_ns,
            // OpenTelemetry's log data model, "Field: SeverityNumber": WARN is 13, ERROR 17.
            severity_number: if is_error { 17 } else { 13 },
            severity_text: event.metadata().level().to_string(),
            body: text("", &fields.message).value,
            attributes: fields.others,
            trace_id,
            span_id,
            ..LogRecord::default()
        })));
    }
}
