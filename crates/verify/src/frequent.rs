//! What is told by itself, since it is frequent: root operations, calls between services, operations. Chosen once.
//!
//! The first that are seen in enough traces are chosen, and stay chosen as long as the verifier lives, so that what is
//! counted under a name is the same for a whole rollout. They are counted from the batch on that comes after the one in
//! which they were chosen: what a trace took has no part in the choice.

use crate::keyed::{Keyed, Map};
use crate::vocabulary::{InUse, NameId, Vocabulary};
use std::cmp::Reverse;
use std::hash::Hash;

/// Traces, of both environments, from which on one is chosen if there is room.
pub(crate) const TRACES_TO_BE_CHOSEN: u64 = 100;

/// How many are counted at once until all are chosen; at most 32 bytes each. When there is no room for another one, all
/// counts become less by one (Misra and Gries, *Finding repeated elements*, 1982): so one that has more than a 257th of
/// the traces stays, however many others there are.
const MAX_COUNTED: usize = 256;

/// What can be frequent: known by the ids of its names.
pub(crate) trait Named: Copy + Eq + Ord + Hash {
    /// The same for a person.
    type Told: Clone + Eq + Ord;

    fn names(self) -> [NameId; 2];
    fn told(self, words: &Vocabulary) -> Self::Told;
}

/// What is chosen, and what may be.
#[derive(Debug)]
pub(crate) struct Frequent<Id: Named> {
    room: usize,
    chosen: Vec<(Id, Id::Told)>,
    counted: Map<Id, u64>,
}

impl<Id: Named> Frequent<Id> {
    /// None yet; at most as many as there is room for.
    pub(crate) fn new(keyed: Keyed, room: usize) -> Frequent<Id> {
        Frequent { room, chosen: Vec::new(), counted: Map::with_hasher(keyed) }
    }

    /// Those that are chosen so far, in the order in which they were.
    pub(crate) fn chosen(&self) -> &[(Id, Id::Told)] {
        &self.chosen
    }

    /// Whether no other will be chosen.
    pub(crate) fn is_full(&self) -> bool {
        self.chosen.len() >= self.room
    }

    /// Counts what a batch had, each with the number of its traces, and chooses what has enough now: the most frequent
    /// first.
    pub(crate) fn count(&mut self, seen: impl IntoIterator<Item = (Id, u64)>, words: &Vocabulary) {
        if self.is_full() {
            return;
        }
        for (id, traces) in seen {
            let is_known = id.names().into_iter().all(|name| words.is_kept(name));
            if is_known && !self.chosen.iter().any(|(chosen, _)| *chosen == id) {
                self.add(id, traces);
            }
        }
        let enough = self.counted.iter().filter(|(_, traces)| **traces >= TRACES_TO_BE_CHOSEN);
        let mut enough: Vec<_> = enough.map(|(id, traces)| (Reverse(*traces), id.told(words), *id)).collect();
        enough.sort_unstable();
        for (_, told, id) in enough {
            self.counted.remove(&id);
            // Two names that are written alike would be one to whoever reads.
            let is_new = !self.chosen.iter().any(|(_, chosen)| *chosen == told);
            if is_new && !self.is_full() {
                self.chosen.push((id, told));
            }
        }
        if self.is_full() {
            self.counted.clear();
        }
    }

    pub(crate) fn mark(&self, used: &mut InUse) {
        let chosen = self.chosen.iter().map(|(id, _)| id);
        chosen.chain(self.counted.keys()).flat_map(|id| id.names()).for_each(|name| used.name(name));
    }

    fn add(&mut self, id: Id, traces: u64) {
        if let Some(count) = self.counted.get_mut(&id) {
            *count += traces;
            return;
        }
        let mut left = traces;
        while left > 0 && self.counted.len() >= MAX_COUNTED {
            let least = self.counted.values().copied().min().unwrap_or(0).min(left);
            self.counted.retain(|_, count| {
                *count -= least;
                *count > 0
            });
            left -= least;
        }
        if left > 0 {
            self.counted.insert(id, left);
        }
    }
}

#[cfg(test)]
mod tests;
