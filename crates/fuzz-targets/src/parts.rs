//! `otlp`'s splitter as one function: all that the targets know of its API.

use model::TraceId;
use otlp::{Malformed, Signal, Splitter, Unit};

/// How many parts the targets split a message into: those of a rollout. `otlp`'s own tests have more.
pub const PARTS: u8 = 2;

/// What goes one way.
pub struct Part {
    /// Spans or log records in it.
    pub records: u64,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Splits a request of traces or logs. `route` says which part a record of this trace is for, below [`PARTS`]; a log
/// record without a trace is asked for as the trace of zeros, of which there is none.
pub fn split(signal: Signal, message: &[u8], route: impl Fn(TraceId) -> u8) -> Result<Vec<Part>, Malformed> {
    let mut splitter = Splitter::default();
    splitter.scan(signal, message, |unit| match unit {
        Unit::Trace(trace) => route(trace),
        Unit::Resource(_) => route(TraceId::default()),
    })?;
    let mut part = |number| {
        let mut bytes = Vec::new();
        splitter.write(message, |other| other == number, &mut bytes);
        Part { records: splitter.records(number), bytes }
    };
    Ok((0..PARTS).map(&mut part).collect())
}
