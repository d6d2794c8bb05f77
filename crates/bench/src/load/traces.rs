//! Where traces came out: one whose spans came out of both environments was torn.

use model::TraceId;
use serde::Serialize;
use std::collections::BTreeMap;

/// The traces of one order.
#[derive(Default)]
pub struct Traces {
    /// At which of the two sinks.
    came_out: BTreeMap<TraceId, [bool; 2]>,
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TraceCounts {
    pub seen: u64,
    /// At both sinks.
    pub torn: u64,
}

/// About 60 MB. Traces beyond are not looked at: the share of those that are torn is then that of the first million.
const MAX_TRACES: usize = 1_000_000;

impl Traces {
    /// A span of the trace came out at the first (0) or second (1) sink.
    pub fn saw(&mut self, trace: TraceId, sink: usize) {
        let room = self.came_out.len() < MAX_TRACES;
        match self.came_out.get_mut(&trace) {
            Some(sinks) => sinks[sink] = true,
            None if room => self.came_out.entry(trace).or_default()[sink] = true,
            None => {}
        }
    }

    pub fn counts(&self) -> TraceCounts {
        let torn = self.came_out.values().filter(|sinks| **sinks == [true; 2]).count();
        TraceCounts { seen: self.came_out.len() as u64, torn: torn as u64 }
    }
}

#[cfg(test)]
mod tests;
