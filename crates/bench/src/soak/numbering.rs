//! Spans by number: all that is sent follows from counters, so that what was acknowledged is a bitmap, and a span that
//! comes out can be held against what it was.
//!
//! A trace has 20 spans, which come in 5 parts of 4 over some seconds, each from another exporter, as the services of a
//! call do. So a shift meets every trace in the middle.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// Spans of a trace.
pub const SPANS_A_TRACE: u64 = 20;
/// Parts in which they are sent.
pub const PARTS_A_TRACE: u64 = 5;
/// Spans of a part.
pub const SPANS_A_PART: u64 = SPANS_A_TRACE / PARTS_A_TRACE;

/// From one part of a trace to the next: 800 ms, and up to 400 ms more or less late. The last part comes 3.2 to 3.6 s
/// after the first: longer than the pauses between two shifts.
const PART_GAP_MS: u64 = 800;
const MAX_JITTER_MS: u64 = 400;

/// 2025-06-15, in nanoseconds: any time will do, but the same in every run.
const EPOCH_NS: u64 = 1_750_000_000_000_000_000;

/// A part of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub trace: u64,
    pub part: u64,
}

impl Part {
    /// The parts of a trace, in the order in which they are due.
    pub fn of(trace: u64) -> impl Iterator<Item = Part> {
        (0..PARTS_A_TRACE).map(move |part| Part { trace, part })
    }

    /// Its own number, among all parts.
    pub fn number(self) -> u64 {
        self.trace * PARTS_A_TRACE + self.part
    }

    /// The part of a span.
    pub fn of_span(span: u64) -> Part {
        Part { trace: span / SPANS_A_TRACE, part: span % SPANS_A_TRACE / SPANS_A_PART }
    }

    /// Its spans' numbers.
    pub fn spans(self) -> std::ops::Range<u64> {
        let first = self.number() * SPANS_A_PART;
        first..first + SPANS_A_PART
    }

    /// How long after its trace's beginning it is due, in milliseconds.
    pub fn due_ms(self) -> u64 {
        self.part * PART_GAP_MS + mix(self.number()) % MAX_JITTER_MS
    }

    /// Which of so many exporters sends it: no two parts of a trace come from the same, if there are as many as parts.
    pub fn exporter(self, exporters: u64) -> u64 {
        (self.trace + self.part) % exporters
    }
}

/// The trace of a number that a trace id names, if it is one of ours.
pub fn trace_of(trace_id: &[u8]) -> Option<u64> {
    let (mixed, number) = trace_id.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    (*mixed == mix(number).to_be_bytes()).then_some(number)
}

/// The span of a number, whole.
pub fn span(number: u64) -> Span {
    let trace = number / SPANS_A_TRACE;
    let id = |number: u64| (number + 1).to_be_bytes().to_vec();
    let root = trace * SPANS_A_TRACE;
    let begin = EPOCH_NS + number * 1_000;
    Span {
        trace_id: [mix(trace).to_be_bytes(), trace.to_be_bytes()].concat(),
        span_id: id(number),
        parent_span_id: if number == root { Vec::new() } else { id(root) },
        flags: 0x101,
        name: format!("GET /orders/{}", number % 97),
        kind: 2,
        start_time_unix_nano: begin,
        end_time_unix_nano: begin + mix(number) % 50_000_000,
        attributes: vec![
            attribute("soak.number", Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX))),
            attribute("url.full", Value::StringValue(format!("https://shop.example.com/orders/{:032x}", mix(number)))),
            attribute("http.request.method", Value::StringValue("GET".to_owned())),
            attribute("http.response.status_code", Value::IntValue(200)),
            attribute("server.address", Value::StringValue("shop.example.com".to_owned())),
        ],
        ..Span::default()
    }
}

/// The number of a span that came out, if it is one of ours; and whether it is whole.
pub fn recognise(found: &Span) -> Option<(u64, bool)> {
    let trace = trace_of(&found.trace_id)?;
    let number = u64::from_be_bytes(found.span_id.as_slice().try_into().ok()?).checked_sub(1)?;
    Some((number, number / SPANS_A_TRACE == trace && *found == span(number)))
}

/// What an exporter sends.
pub fn request(exporter: u64, parts: &[Part]) -> ExportTraceServiceRequest {
    let service = attribute("service.name", Value::StringValue(format!("service-{exporter}")));
    let spans = parts.iter().flat_map(|part| part.spans()).map(span).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![service], ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// SplitMix64's last step (Steele, Lea and Flood, 2014): neighbours become far apart, and different numbers stay so.
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn parts_have_every_span_of_a_trace_once() {
        for trace in [0, 1, 77] {
            let spans: Vec<u64> = Part::of(trace).flat_map(Part::spans).collect();
            assert!(spans.iter().copied().eq(trace * SPANS_A_TRACE..(trace + 1) * SPANS_A_TRACE));
            assert!(Part::of(trace).all(|part| part.spans().all(|span| Part::of_span(span) == part)));
            let exporters: BTreeSet<u64> = Part::of(trace).map(|part| part.exporter(PARTS_A_TRACE)).collect();
            assert_eq!(exporters.len() as u64, PARTS_A_TRACE);
        }
    }

    #[test]
    fn a_span_is_recognised_whole_and_a_changed_one_as_changed() {
        for number in [0, 19, 20, 123_456] {
            let whole = span(number);
            assert_eq!(recognise(&whole), Some((number, true)));
            let changed = Span { name: "another".to_owned(), ..whole.clone() };
            assert_eq!(recognise(&changed), Some((number, false)));
            let moved = Span { trace_id: span(number + SPANS_A_TRACE).trace_id, ..whole.clone() };
            assert_eq!(recognise(&moved), Some((number, false)));
            assert_eq!(recognise(&Span { trace_id: vec![7; 16], ..whole.clone() }), None);
            assert_eq!(recognise(&Span { span_id: Vec::new(), ..whole }), None);
        }
    }

    #[test]
    fn a_request_holds_the_spans_of_its_parts() {
        let parts = [Part { trace: 3, part: 1 }, Part { trace: 9, part: 4 }];
        let request = request(2, &parts);
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let numbers: Vec<u64> = spans.iter().filter_map(recognise).map(|(number, _)| number).collect();
        assert_eq!(numbers, parts.into_iter().flat_map(Part::spans).collect::<Vec<_>>());
    }
}
