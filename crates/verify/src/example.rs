//! Traces kept as evidence: what was sent of them and what came out.

use crate::content;
use crate::digest::Differences;
use crate::finding::key_text;
use crate::trace::{Span, Trace};
use crate::vocabulary::Vocabulary;
use model::{Check, Environment, SpanId, TraceId};
use serde::Serialize;
use std::collections::VecDeque;

/// Traces that are kept. 136 of 512 spans of about 200 bytes are 14 MB; an observation names at most 130: two for each
/// finding, one for each subject and root operation, and the slowest of each environment.
const MAX_EXAMPLES: usize = 136;
/// Spans of a trace that are kept: those that show a difference before the others.
const MAX_EXAMPLE_SPANS: usize = 512;

/// What was sent of one trace to one environment, and what came out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleTrace {
    /// The trace's id.
    pub trace: TraceId,
    /// The environment that it was sent to.
    pub environment: Environment,
    /// Its spans, at most 512, in the order in which they were first seen.
    pub spans: Vec<ExampleSpan>,
    /// How many spans did not fit.
    pub omitted: usize,
}

/// One span of an [`ExampleTrace`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleSpan {
    /// The span's id.
    pub span: SpanId,
    /// The parent's id as it was sent; as it came out, if the span was not sent.
    pub parent: SpanId,
    /// OTLP's SpanKind, 0 to 5.
    pub kind: u8,
    /// `service.name`.
    pub service: String,
    /// The span's name.
    pub operation: String,
    /// Whether it was sent.
    pub sent: bool,
    /// How often it came out.
    pub out: u32,
    /// The attribute keys that were sent and did not come out.
    pub missing_keys: Vec<String>,
    /// The parent's id as it came out; `None` if the span did not come out.
    pub came_out_parent: Option<SpanId>,
    /// Microseconds from the start of the trace's first span, as it was sent, or as it came out if it was not sent.
    pub start_us: i32,
    /// Microseconds, of the side that was known first.
    pub duration_us: u32,
    /// What else differs between what was sent and what came out.
    pub differences: Vec<ExampleDifference>,
}

/// One difference of an [`ExampleSpan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleDifference {
    /// What kind.
    pub check: Check,
    /// The attribute's key, or the part of the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The examples that were noted last.
#[derive(Debug, Default)]
pub(crate) struct Examples {
    noted: VecDeque<ExampleTrace>,
}

impl Examples {
    pub(crate) fn get(&self, environment: Environment, trace: TraceId) -> Option<&ExampleTrace> {
        self.noted.iter().rev().find(|noted| noted.environment == environment && noted.trace == trace)
    }

    /// Keeps a trace and lets the oldest go. The same trace is kept once for each environment.
    pub(crate) fn note(&mut self, environment: Environment, id: TraceId, trace: &Trace, words: &Vocabulary) {
        if self.get(environment, id).is_some() {
            return;
        }
        if self.noted.len() >= MAX_EXAMPLES {
            self.noted.pop_front();
        }
        self.noted.push_back(example(environment, id, trace, words));
    }
}

pub(crate) fn example(environment: Environment, id: TraceId, trace: &Trace, words: &Vocabulary) -> ExampleTrace {
    let omitted = trace.len().saturating_sub(MAX_EXAMPLE_SPANS);
    let mut kept: Vec<Span> = trace.all_spans().collect();
    if omitted > 0 {
        kept.sort_by_key(|span| !differs(span));
        kept.truncate(MAX_EXAMPLE_SPANS);
    }
    // Whichever came first, or was settled first.
    kept.sort_unstable_by_key(|span| (span.times.start_us, span.span, span.kind));
    let spans = kept.iter().map(|span| example_span(span, words)).collect();
    ExampleTrace { trace: id, environment, spans, omitted }
}

fn differs(span: &Span) -> bool {
    let same = span.sent().parent == span.came_out().parent
        && span.sent().keys == span.came_out().keys
        && span.sent().resource == span.came_out().resource;
    !span.is_sent() || span.outs != 1 || !same || span.differences() != Differences::default()
}

fn example_span(span: &Span, words: &Vocabulary) -> ExampleSpan {
    let (mut missing_keys, mut differences) = (Vec::new(), Vec::new());
    if span.is_sent() && span.is_out() {
        words.missing_keys(span.sent().keys, span.came_out().keys, |key| missing_keys.push(key.to_owned()));
        content::differences(span, false, words, |check, key| {
            if check != Check::MissingAttribute {
                differences.push(ExampleDifference { check, key: key_text(&key, words) });
            }
        });
    }
    ExampleSpan {
        span: span.span,
        parent: if span.is_sent() { span.sent().parent } else { span.came_out().parent },
        kind: span.kind,
        service: words.name_of(span.service).to_owned(),
        operation: words.name_of(span.operation).to_owned(),
        sent: span.is_sent(),
        out: span.outs.into(),
        missing_keys,
        came_out_parent: span.is_out().then_some(span.came_out().parent),
        start_us: if span.is_sent() { span.sent_times() } else { span.out_times() }.start_us,
        duration_us: span.times.duration_us,
        differences,
    }
}
