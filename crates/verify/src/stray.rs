//! Spans that were lost lately, so that one which comes out under another trace id is known for what it is.

use crate::keyed::{Keyed, Map};
use model::{SpanId, TraceId};

/// Lost spans that are remembered, in two generations: 2 x 32,768 of at most 48 bytes are 3 MB. Under a total loss they are
/// forgotten within a batch or two, and what comes out elsewhere counts as fabricated.
const MAX_LOST: usize = 32_768;
/// Batches after which a generation is full, whatever is in it.
const BATCHES: u64 = 4;

/// The lost spans of one environment.
#[derive(Debug)]
pub(crate) struct Strays {
    lost: [Map<(SpanId, u8), TraceId>; 2],
    since: u64,
}

impl Strays {
    pub(crate) fn new(keyed: Keyed) -> Strays {
        Strays { lost: [Map::with_hasher(keyed), Map::with_hasher(keyed)], since: 0 }
    }

    /// A batch begins to be judged.
    pub(crate) fn begin(&mut self, batch: u64) {
        if batch.saturating_sub(self.since) >= BATCHES {
            self.age();
            self.since = batch;
        }
    }

    pub(crate) fn lose(&mut self, trace: TraceId, span: SpanId, kind: u8) {
        if self.lost[0].len() >= MAX_LOST {
            self.age();
        }
        self.lost[0].insert((span, kind), trace);
    }

    /// The trace in which the span was sent and lost.
    pub(crate) fn sent_in(&self, span: SpanId, kind: u8) -> Option<TraceId> {
        self.lost.iter().find_map(|lost| lost.get(&(span, kind)).copied())
    }

    fn age(&mut self) {
        self.lost.swap(0, 1);
        self.lost[0].clear();
    }
}
