//! Remembers which traces were closed, eight bytes each, so that what arrives after a trace's batch has closed is known
//! to be late and is not taken for a new trace, or for a span that was never sent.

use crate::keyed::{Keyed, Set};
use model::UnixMillis;

/// Generations that are kept. With each lasting half of the retention, the oldest of three is dropped when its youngest
/// entry is at least as old as the retention.
const GENERATIONS: usize = 3;

/// Hashes of the closed traces of one environment.
#[derive(Debug)]
pub(crate) struct Memory {
    generations: [Set<u64>; GENERATIONS],
    since: UnixMillis,
    half_ms: u64,
    bound: usize,
}

impl Memory {
    /// Keeps each trace for at least `retention_ms`, and at most `bound` traces a generation: three times `bound`
    /// entries of 9 bytes in all. A full generation ages early.
    pub(crate) fn new(keyed: Keyed, retention_ms: u64, bound: usize, now: UnixMillis) -> Memory {
        Memory {
            generations: std::array::from_fn(|_| Set::with_hasher(keyed)),
            since: now,
            half_ms: retention_ms.div_ceil(2).max(1),
            bound: bound.max(1),
        }
    }

    pub(crate) fn contains(&self, trace: u64) -> bool {
        self.generations.iter().any(|generation| generation.contains(&trace))
    }

    /// Remembers a trace, from now on if it was known.
    pub(crate) fn insert(&mut self, trace: u64) {
        if self.generations[0].len() >= self.bound && !self.generations[0].contains(&trace) {
            self.age();
        }
        self.generations[0].insert(trace);
    }

    /// Forgets what is old enough.
    pub(crate) fn advance(&mut self, now: UnixMillis) {
        if now.since_ms(self.since) >= self.half_ms {
            self.age();
            self.since = now;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.generations.iter().map(Set::len).sum()
    }

    fn age(&mut self) {
        self.generations.rotate_right(1);
        self.generations[0].clear();
    }
}

#[cfg(test)]
mod tests;
