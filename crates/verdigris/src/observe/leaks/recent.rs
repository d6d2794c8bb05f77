//! Which traces were searched lately, and what each of them has shown: spans of a trace come in several messages.

use model::{MAX_EXPOSURES, TraceId};
use std::collections::{BTreeMap, VecDeque};

/// Traces that are remembered: some 80 bytes each, 1.3 MB. A trace that comes back later counts again.
const MAX_TRACES: usize = 16_384;

const WORDS: usize = MAX_EXPOSURES / 64;

#[derive(Default)]
pub(super) struct Recent {
    /// A bit for each place that a trace has shown.
    shown: BTreeMap<TraceId, [u64; WORDS]>,
    /// The oldest first.
    order: VecDeque<TraceId>,
}

impl Recent {
    /// Whether a trace is seen for the first time; from now on it is known.
    pub(super) fn is_new(&mut self, trace: TraceId) -> bool {
        if self.shown.contains_key(&trace) {
            return false;
        }
        if self.order.len() >= MAX_TRACES
            && let Some(oldest) = self.order.pop_front()
        {
            self.shown.remove(&oldest);
        }
        self.order.push_back(trace);
        self.shown.insert(trace, [0; WORDS]);
        true
    }

    /// Whether a known trace shows a place for the first time.
    pub(super) fn shows(&mut self, trace: TraceId, place: usize) -> bool {
        let Some(bits) = self.shown.get_mut(&trace) else { return false };
        let (word, bit) = (place / 64, 1_u64 << (place % 64));
        let is_first = bits[word] & bit == 0;
        bits[word] |= bit;
        is_first
    }
}
