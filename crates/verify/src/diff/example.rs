//! Example traces of the evidence store as two sides: what was sent of a trace, and what an environment put out.

use super::{Difference, MAX_SPANS, Place, Side, Since, Span};
use model::{Check, Environment, SpanId, TraceId};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An example trace, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleSides {
    /// Which trace.
    pub trace: TraceId,
    /// To which environment it was sent.
    pub environment: Environment,
    /// Spans that neither side has, for the blob has no room for them.
    pub omitted: usize,
    /// Members of the blob that this program does not know.
    pub unread: BTreeSet<String>,
    /// What was sent.
    pub sent: Side,
    /// What came out.
    pub out: Side,
}

/// A trace of a blob, as `verify::ExampleTrace` is written. Members that this program does not know are named, and not
/// compared.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawExample {
    trace: TraceId,
    environment: Environment,
    spans: Vec<RawSpan>,
    omitted: usize,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    span: SpanId,
    parent: SpanId,
    kind: u8,
    service: String,
    operation: String,
    sent: bool,
    out: u32,
    missing_keys: Vec<String>,
    came_out_parent: Option<SpanId>,
    #[serde(default)]
    differences: Vec<RawDifference>,
    start_us: i32,
    duration_us: u32,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// What else differed of a span. Examples keep no values.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDifference {
    check: Check,
    #[serde(default)]
    key: Option<String>,
}

impl RawDifference {
    fn noted(self) -> Difference {
        let (place, what) = match self.check {
            Check::ChangedResource => (Place::Resource, "resource"),
            Check::ChangedContext => (Place::Field, "trace context"),
            Check::ChangedTime | Check::ClockSkew => (Place::Field, "start and end"),
            // The parts of a span that verification names are no attributes' keys: they have spaces, or are OTLP's own.
            Check::ChangedValue if self.key.as_deref().is_some_and(is_part) => (Place::Field, "part"),
            _ => (Place::Attribute, "attribute"),
        };
        let key = self.key.unwrap_or_else(|| what.to_owned());
        match self.check {
            Check::AddedAttribute => Difference::Added { place, key, b: None },
            _ => Difference::Changed { place, key, a: None, b: None },
        }
    }
}

fn is_part(key: &str) -> bool {
    matches!(key, "span name" | "status" | "events and links" | "instrumentation scope")
}

impl RawExample {
    /// As two sides. The error says of which trace it is, and what is wrong.
    pub fn sides(self) -> Result<ExampleSides, String> {
        one(self)
    }
}

fn one(example: RawExample) -> Result<ExampleSides, String> {
    let RawExample { trace, environment, spans, omitted, more } = example;
    let copies = spans.iter().fold(0u64, |sum, span| sum + u64::from(span.out));
    if copies > MAX_SPANS as u64 || spans.len() > MAX_SPANS {
        let found = copies.max(spans.len() as u64);
        return Err(format!("trace {trace}: {found} spans; expected {MAX_SPANS} at most"));
    }
    let mut unread: BTreeSet<String> = more.into_keys().collect();
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    for span in spans {
        let known = Span {
            span: span.span,
            parent: span.parent,
            kind: span.kind,
            service: span.service,
            operation: span.operation,
            since: Some(Since { start_us: span.start_us.into(), duration_us: span.duration_us.into() }),
            ..Span::default()
        };
        let missing = |key| Difference::Missing { place: Place::Attribute, key, a: None };
        let came_out = Span {
            parent: span.came_out_parent.unwrap_or(span.parent),
            noted: span
                .missing_keys
                .into_iter()
                .map(missing)
                .chain(span.differences.into_iter().map(RawDifference::noted))
                .collect(),
            ..known.clone()
        };
        out.extend(std::iter::repeat_n(came_out, span.out as usize));
        if span.sent {
            sent.push(known);
        }
        unread.extend(span.more.into_keys());
    }
    let side = |spans| Side::new(spans).map_err(|error| format!("trace {trace}: {error}"));
    Ok(ExampleSides { trace, environment, omitted, unread, sent: side(sent)?, out: side(out)? })
}
