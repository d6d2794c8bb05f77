//! How many spans a second verification is told of.

use model::UnixMillis;

/// Over how long a rate is measured: short enough that what comes too fast does not pile up, long enough that one large
/// request is not taken for a flood.
const WINDOW_MS: u64 = 250;

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

    /// The rate of a window that has ended just now.
    pub(crate) fn measure(&mut self, now: UnixMillis) -> Option<u64> {
        let passed_ms = now.since_ms(self.since);
        if passed_ms < WINDOW_MS {
            return None;
        }
        self.rate = self.spans.saturating_mul(1_000) / passed_ms;
        (self.spans, self.since) = (0, now);
        Some(self.rate)
    }

    /// Spans a second in the last window.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }
}
