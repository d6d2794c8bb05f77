//! `otlp`'s splitter as one function: all that the targets know of its API.

use model::TraceId;
use otlp::{Malformed, Signal, Splitter, Unit};

/// How many parts a message can have here.
pub const PARTS: u8 = 3;

/// What goes one way.
pub struct Part {
    /// Spans, log records or `ResourceMetrics` in it.
    pub records: u64,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Splits a request of traces or logs. `route` says which part a record of this trace is for, below [`PARTS`]; log
/// records that are routed by their resource go where an invalid trace id goes.
pub fn split(signal: Signal, message: &[u8], route: impl Fn(TraceId) -> u8) -> Result<Vec<Part>, Malformed> {
    parts(signal, message, |unit| match unit {
        Unit::Trace(trace) => route(trace),
        Unit::Resource(_) => route(TraceId::default()),
    })
}

/// Splits a request of metrics by their resources.
pub fn split_by_resource(message: &[u8]) -> Result<Vec<Part>, Malformed> {
    parts(Signal::Metrics, message, |unit| match unit {
        Unit::Trace(trace) => panic!("metrics have no trace, not {trace}"),
        Unit::Resource(resource) => resource[15] % PARTS,
    })
}

fn parts(signal: Signal, message: &[u8], route: impl Fn(Unit) -> u8) -> Result<Vec<Part>, Malformed> {
    let mut splitter = Splitter::default();
    splitter.scan(signal, message, route)?;
    let part = |number| {
        let mut bytes = Vec::new();
        splitter.write(message, |part| part == number, &mut bytes);
        Part { records: splitter.records(number), bytes }
    };
    Ok((0..PARTS).map(part).collect())
}
