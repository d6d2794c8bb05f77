//! `otlp`'s splitter as one function: all that the targets know of its API.

use model::{Environment, TraceId};
use otlp::{Malformed, Signal, Splitter};

/// How many parts a message can have.
pub const PARTS: u8 = 2;

/// What goes one way.
pub struct Part {
    /// Spans or log records in it.
    pub records: u64,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Splits a request of traces or logs. `route` says which part a record of this trace is for, below [`PARTS`].
pub fn split(signal: Signal, message: &[u8], route: impl Fn(TraceId) -> u8) -> Result<Vec<Part>, Malformed> {
    let environment = |trace| Environment::BOTH[usize::from(route(trace))];
    let mut splitter = Splitter::default();
    let counts = match signal {
        Signal::Traces => splitter.scan(message, environment)?,
        Signal::Logs => splitter.scan_logs(message, environment)?,
        Signal::Metrics => unreachable!("metrics have no trace ids"),
    };
    let part = |environment| {
        let mut bytes = Vec::new();
        splitter.write(message, environment, &mut bytes);
        assert_eq!(bytes.len(), splitter.part_len(environment), "part_len says how long a part is");
        Part { records: counts[environment], bytes }
    };
    Ok(Environment::BOTH.map(part).into())
}
