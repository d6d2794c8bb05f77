//! How many spans a second verification is told of.

use model::UnixMillis;

/// Over how long a rate is measured: short enough that what comes too fast does not pile up, long enough that one large
/// request is not taken for a flood.
const WINDOW_MS: u64 = 250;

/// A flood is seen before its window ends: as many spans as this many whole windows may have. It is taken to have come over
/// a tenth of a second at least, so that a few large requests do not cut the share to nothing.
const FLOOD_WINDOWS: u64 = 2;
const SHORTEST_WINDOW_MS: u64 = 100;

#[derive(Debug)]
pub(crate) struct Pace {
    spans: u64,
    since: UnixMillis,
    /// Spans a second in the last window.
    rate: u64,
}

impl Pace {
    pub(crate) fn new(now: UnixMillis) -> Pace {
        Pace { spans: 0, since: now, rate: 0 }
    }

    pub(crate) fn count(&mut self) {
        self.spans += 1;
    }

    /// The rate of a window that has ended just now, by time or by a flood of spans where `max_rate` a second are expected.
    pub(crate) fn measure(&mut self, now: UnixMillis, max_rate: u64) -> Option<u64> {
        let passed_ms = now.since_ms(self.since);
        let flood = (max_rate.saturating_mul(WINDOW_MS) / 1_000).saturating_mul(FLOOD_WINDOWS);
        if passed_ms < WINDOW_MS && self.spans <= flood {
            return None;
        }
        self.rate = self.spans.saturating_mul(1_000) / passed_ms.max(SHORTEST_WINDOW_MS);
        (self.spans, self.since) = (0, now);
        Some(self.rate)
    }

    /// Spans a second in the last window.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }
}
