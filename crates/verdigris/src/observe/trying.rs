//! What testers had at green: their spans, as they were acknowledged, by trace id. Verification is told none of it, for who
//! tests is assigned to green, and a comparison wants traces that were drawn.

use control::TriedTrace;
use model::{TraceId, UnixMillis};
use otlp::{Malformed, for_each_span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Traces that are remembered, so that what comes out of them late is kept out too: half an hour of all that the gateway lets
/// through, and longer than any horizon at less. At some 60 bytes each 1.2 MB.
const MAX_REMEMBERED: usize = 20_000;
/// OTLP's StatusCode for an error.
const ERROR: i32 = 2;

/// Testers' traces of the rollout that is watched.
#[derive(Default)]
pub(super) struct Trying {
    remembered: BTreeSet<TraceId>,
    /// The oldest first.
    order: VecDeque<TraceId>,
    /// Not yet told: between two looks at the time, so that views' own bound bounds it.
    untold: BTreeMap<Arc<str>, BTreeMap<TraceId, TriedTrace>>,
}

impl Trying {
    /// Whether a trace is one of them.
    pub(super) fn include(&self, trace: TraceId) -> bool {
        // While nobody tests this is all that it costs.
        !self.remembered.is_empty() && self.remembered.contains(&trace)
    }

    /// Green acknowledged these.
    pub(super) fn take(
        &mut self,
        traces: &[(TraceId, Arc<str>)],
        message: &[u8],
        at: UnixMillis,
    ) -> Result<(), Malformed> {
        let whose: BTreeMap<TraceId, &Arc<str>> = traces.iter().map(|(trace, tester)| (*trace, tester)).collect();
        for trace in whose.keys() {
            if self.remembered.insert(*trace) {
                self.order.push_back(*trace);
            }
        }
        while self.order.len() > MAX_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
        for_each_span(message, |span| {
            let Some(tester) = whose.get(&span.trace_id) else { return };
            let trace = span.trace_id;
            let of_tester = self.untold.entry(Arc::clone(tester)).or_default();
            let tried = of_tester.entry(trace).or_insert(TriedTrace { trace, spans: 0, errors: 0, at });
            tried.spans += 1;
            tried.errors += u64::from(span.status.code == ERROR);
            tried.at = at;
        })
    }

    /// What came since the last time, by tester.
    pub(super) fn advance(&mut self) -> Vec<(Arc<str>, Vec<TriedTrace>)> {
        let untold = std::mem::take(&mut self.untold);
        untold.into_iter().map(|(tester, traces)| (tester, traces.into_values().collect())).collect()
    }
}
