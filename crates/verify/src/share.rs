//! Which share of the traces is verified, by hash, and how many were left out for it. Whole traces are left out, the
//! same ones in both environments, so what remains is a fair sample of both.

use model::{BasisPoints, UnixMillis};

/// Bits that count the distinct traces left out of one batch of one environment: 2^17 bits are 16 KiB, made only when
/// a trace is left out. Traces whose hashes share a bit are counted once: 4 % too few at 10,000 traces a batch.
const DISTINCT_BITS: u64 = 1 << 17;

/// How long after the share rose it may be that a trace is still not told of for the share before.
const FOLLOWED_WITHIN_MS: u64 = 1_000;

/// Traces whose hash is at most the ceiling are verified.
#[derive(Debug)]
pub(crate) struct Share {
    ceiling: u64,
    /// The ceiling before it was last raised.
    previous: u64,
    changed: UnixMillis,
}

impl Share {
    pub(crate) fn whole(now: UnixMillis) -> Share {
        Share { ceiling: u64::MAX, previous: u64::MAX, changed: now }
    }

    pub(crate) fn includes(&self, trace: u64) -> bool {
        trace <= self.ceiling
    }

    /// Halves the share. `false` if nothing is left to halve.
    pub(crate) fn halve(&mut self, now: UnixMillis) -> bool {
        let before = self.ceiling;
        self.ceiling /= 2;
        self.previous = self.previous.min(self.ceiling);
        self.changed = self.changed.max(now);
        before > 0
    }

    /// Cuts the share down to this fraction of itself, `part` of `whole`.
    pub(crate) fn cut(&mut self, part: u64, whole: u64, now: UnixMillis) {
        let ceiling = u128::from(self.ceiling) * u128::from(part.min(whole)) / u128::from(whole.max(1));
        self.ceiling = ceiling as u64;
        self.previous = self.previous.min(self.ceiling);
        self.changed = self.changed.max(now);
    }

    /// Doubles the share, if all that came out before [`Share::unknown_until`] of the last change has been judged: its
    /// batches are closed two ages and a batch after the change.
    pub(crate) fn double(&mut self, now: UnixMillis, age_ms: u64, batch_ms: u64) {
        let settled_ms = age_ms.saturating_mul(2).saturating_add(batch_ms);
        if self.ceiling < u64::MAX && now.since_ms(self.changed) >= settled_ms {
            self.previous = self.ceiling;
            self.ceiling = self.ceiling.saturating_mul(2).saturating_add(1);
            self.changed = now.plus_ms(FOLLOWED_WITHIN_MS);
        }
    }

    /// Until when outputs of this trace may stem from spans that were sent while it was left out.
    pub(crate) fn unknown_until(&self, trace: u64, age_ms: u64) -> UnixMillis {
        if trace <= self.previous { UnixMillis(0) } else { self.changed.plus_ms(age_ms) }
    }

    /// The largest hash of a trace that is verified.
    pub(crate) fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// The share that is verified, in parts of 2^32.
    pub(crate) fn parts(&self) -> u64 {
        (self.ceiling >> 32) + 1
    }

    /// So many parts of 2^32 in hundredths of a percent, rounded down.
    pub(crate) fn basis_points(parts: u64) -> BasisPoints {
        BasisPoints::new(((parts * 10_000) >> 32) as u16).unwrap_or(BasisPoints::ALL)
    }
}

/// Counts distinct traces in bounded space.
#[derive(Debug, Default)]
pub(crate) struct Distinct {
    words: Vec<u64>,
    count: u64,
}

impl Distinct {
    /// `true` if the trace was not counted before.
    pub(crate) fn insert(&mut self, trace: u64) -> bool {
        if self.words.is_empty() {
            self.words = vec![0; (DISTINCT_BITS / 64) as usize];
        }
        let bit = trace % DISTINCT_BITS;
        let word = &mut self.words[(bit / 64) as usize];
        let new = *word & (1 << (bit % 64)) == 0;
        *word |= 1 << (bit % 64);
        self.count += u64::from(new);
        new
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests;
