//! Where ids and times stand in a request: what has a fixed length can be overwritten where it is, so that a request that
//! was encoded or recorded once is sent again as another one, and every length around it still holds.
//!
//! Nothing is decoded. Ids of another length than the specification's are no ids, and are passed over.

use crate::Signal;
use crate::wire::{Field, Fields, Malformed, Value};

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fixed {
    /// 16 bytes: the trace of a span, a log record or an exemplar.
    TraceId,
    /// 16 bytes: the trace that a link leads to.
    LinkedTraceId,
    /// 8 bytes: a span's own id, or the span of a log record or an exemplar.
    SpanId,
    /// 8 bytes: a span's parent.
    ParentSpanId,
    /// 8 bytes: the span that a link leads to.
    LinkedSpanId,
    /// 8 bytes, little-endian: nanoseconds since the Unix epoch.
    UnixNanos,
}

/// The fields of a message that are looked at.
enum Rule {
    Inside(&'static Shape),
    Fixed(Fixed),
}

struct Shape(&'static [(u32, Rule)]);

// opentelemetry/proto/{trace,logs,metrics}/v1 of OTLP 1.x.
static TRACES: Shape = Shape(&[(1, Rule::Inside(&Shape(&[(2, Rule::Inside(&SCOPE_SPANS))])))]);
static SCOPE_SPANS: Shape = Shape(&[(2, Rule::Inside(&SPAN))]);
static SPAN: Shape = Shape(&[
    (1, Rule::Fixed(Fixed::TraceId)),
    (2, Rule::Fixed(Fixed::SpanId)),
    (4, Rule::Fixed(Fixed::ParentSpanId)),
    (7, Rule::Fixed(Fixed::UnixNanos)),
    (8, Rule::Fixed(Fixed::UnixNanos)),
    (11, Rule::Inside(&Shape(&[(1, Rule::Fixed(Fixed::UnixNanos))]))),
    (13, Rule::Inside(&LINK)),
]);
static LINK: Shape = Shape(&[(1, Rule::Fixed(Fixed::LinkedTraceId)), (2, Rule::Fixed(Fixed::LinkedSpanId))]);

static LOGS: Shape = Shape(&[(1, Rule::Inside(&Shape(&[(2, Rule::Inside(&SCOPE_LOGS))])))]);
static SCOPE_LOGS: Shape = Shape(&[(2, Rule::Inside(&LOG_RECORD))]);
static LOG_RECORD: Shape = Shape(&[
    (1, Rule::Fixed(Fixed::UnixNanos)),
    (11, Rule::Fixed(Fixed::UnixNanos)),
    (9, Rule::Fixed(Fixed::TraceId)),
    (10, Rule::Fixed(Fixed::SpanId)),
]);

static METRICS: Shape = Shape(&[(1, Rule::Inside(&Shape(&[(2, Rule::Inside(&SCOPE_METRICS))])))]);
static SCOPE_METRICS: Shape = Shape(&[(2, Rule::Inside(&METRIC))]);
static METRIC: Shape = Shape(&[
    (5, Rule::Inside(&Shape(&[(1, Rule::Inside(&NUMBER_POINT))]))),
    (7, Rule::Inside(&Shape(&[(1, Rule::Inside(&NUMBER_POINT))]))),
    (9, Rule::Inside(&Shape(&[(1, Rule::Inside(&HISTOGRAM_POINT))]))),
    (10, Rule::Inside(&Shape(&[(1, Rule::Inside(&EXPONENTIAL_POINT))]))),
    (11, Rule::Inside(&Shape(&[(1, Rule::Inside(&SUMMARY_POINT))]))),
]);
static NUMBER_POINT: Shape =
    Shape(&[(2, Rule::Fixed(Fixed::UnixNanos)), (3, Rule::Fixed(Fixed::UnixNanos)), (5, Rule::Inside(&EXEMPLAR))]);
static HISTOGRAM_POINT: Shape =
    Shape(&[(2, Rule::Fixed(Fixed::UnixNanos)), (3, Rule::Fixed(Fixed::UnixNanos)), (8, Rule::Inside(&EXEMPLAR))]);
static EXPONENTIAL_POINT: Shape =
    Shape(&[(2, Rule::Fixed(Fixed::UnixNanos)), (3, Rule::Fixed(Fixed::UnixNanos)), (11, Rule::Inside(&EXEMPLAR))]);
static SUMMARY_POINT: Shape = Shape(&[(2, Rule::Fixed(Fixed::UnixNanos)), (3, Rule::Fixed(Fixed::UnixNanos))]);
static EXEMPLAR: Shape =
    Shape(&[(2, Rule::Fixed(Fixed::UnixNanos)), (4, Rule::Fixed(Fixed::SpanId)), (5, Rule::Fixed(Fixed::TraceId))]);

impl Fixed {
    /// How many bytes stand there.
    pub fn bytes(self) -> usize {
        match self {
            Fixed::TraceId | Fixed::LinkedTraceId => 16,
            Fixed::SpanId | Fixed::ParentSpanId | Fixed::LinkedSpanId | Fixed::UnixNanos => 8,
        }
    }

    /// Where it begins, if the field holds it.
    fn at(self, field: &Field<'_>) -> Option<usize> {
        let found = match (self, field.value) {
            (Fixed::UnixNanos, Value::Fixed64(_)) => true,
            (Fixed::UnixNanos, _) => false,
            (_, Value::Bytes(bytes)) => bytes.len() == self.bytes(),
            (_, Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) | Value::Skipped) => false,
        };
        found.then(|| field.end - self.bytes())
    }
}

/// Tells where each id and each time begins, in bytes from the start of the request, in the request's order. Times of 0,
/// "unknown", are told too where they are written.
///
/// Of a field that is repeated, which protobuf's readers take the last of, each is told. Fails if the framing of a message
/// that may hold ids or times is broken; places before that have been told by then.
pub fn for_each_fixed(signal: Signal, message: &[u8], mut each: impl FnMut(Fixed, usize)) -> Result<(), Malformed> {
    let shape = match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
    };
    walk(Fields::of(message), shape, &mut each)
}

/// As deep as the shapes are, seven at most.
fn walk(mut fields: Fields<'_>, shape: &'static Shape, each: &mut impl FnMut(Fixed, usize)) -> Result<(), Malformed> {
    while let Some(field) = fields.read()? {
        let Some((_, rule)) = shape.0.iter().find(|(number, _)| *number == field.number) else { continue };
        match (rule, field.fields()) {
            (Rule::Inside(shape), Some(inside)) => walk(inside, shape, each)?,
            (Rule::Inside(_), None) => {}
            (Rule::Fixed(fixed), _) => {
                if let Some(at) = fixed.at(&field) {
                    each(*fixed, at);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
