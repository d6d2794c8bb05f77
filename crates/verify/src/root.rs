//! Root operations whose latency is told by itself: the most frequent ones, chosen once.
//!
//! The first that are seen in enough traces are chosen, and stay chosen as long as the verifier lives, so that what is
//! counted under a name is the same for a whole rollout. They are counted from the batch on that comes after the one in
//! which they were chosen: what a trace took has no part in the choice.

use crate::finding::printable;
use crate::keyed::{Keyed, Map};
use crate::vocabulary::{InUse, MAX_NAME_BYTES, NameId, Vocabulary};
use model::{MAX_OPERATIONS_PER_OBSERVATION, RootOperation};
use std::cmp::Reverse;

/// Traces, of both environments, from which on a root operation is chosen if there is room.
pub(crate) const TRACES_TO_BE_CHOSEN: u64 = 100;

/// Root operations that are counted at once until all are chosen; at most 24 bytes each. When there is no room for
/// another one, all counts become less by one (Misra and Gries, *Finding repeated elements*, 1982): so one that has more
/// than a 257th of the traces stays, however many others there are.
const MAX_COUNTED: usize = 256;

/// Service and name of a root span.
pub(crate) type RootId = (NameId, NameId);

/// What is chosen, and what may be.
#[derive(Debug)]
pub(crate) struct Roots {
    chosen: Vec<(RootId, RootOperation)>,
    counted: Map<RootId, u64>,
}

impl Roots {
    pub(crate) fn new(keyed: Keyed) -> Roots {
        Roots { chosen: Vec::new(), counted: Map::with_hasher(keyed) }
    }

    /// Those that are chosen so far, in the order in which they were.
    pub(crate) fn chosen(&self) -> &[(RootId, RootOperation)] {
        &self.chosen
    }

    /// Counts the roots of a batch's traces, each with how many it had, and chooses what has enough now: the most frequent
    /// first.
    pub(crate) fn count(&mut self, roots: impl IntoIterator<Item = (RootId, u64)>, words: &Vocabulary) {
        if self.chosen.len() >= MAX_OPERATIONS_PER_OBSERVATION {
            return;
        }
        for (root, traces) in roots {
            if !self.chosen.iter().any(|(chosen, _)| *chosen == root) && words.is_kept(root.0) && words.is_kept(root.1)
            {
                self.add(root, traces);
            }
        }
        let enough = self.counted.iter().filter(|(_, traces)| **traces >= TRACES_TO_BE_CHOSEN);
        let mut enough: Vec<_> = enough
            .map(|((service, name), traces)| {
                let text = |id| printable(words.name_of(id), MAX_NAME_BYTES);
                let root = RootOperation { service: text(*service), operation: text(*name) };
                (Reverse(*traces), root, (*service, *name))
            })
            .collect();
        enough.sort_unstable();
        for (_, root, id) in enough {
            self.counted.remove(&id);
            // Two names that are written alike would be one operation to whoever reads.
            let is_new = !self.chosen.iter().any(|(_, chosen)| *chosen == root);
            if is_new && self.chosen.len() < MAX_OPERATIONS_PER_OBSERVATION {
                self.chosen.push((id, root));
            }
        }
        if self.chosen.len() >= MAX_OPERATIONS_PER_OBSERVATION {
            self.counted.clear();
        }
    }

    pub(crate) fn mark(&self, used: &mut InUse) {
        let chosen = self.chosen.iter().map(|(root, _)| root);
        chosen.chain(self.counted.keys()).flat_map(|(service, name)| [service, name]).for_each(|id| used.name(*id));
    }

    fn add(&mut self, root: RootId, traces: u64) {
        if let Some(count) = self.counted.get_mut(&root) {
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
            self.counted.insert(root, left);
        }
    }
}

#[cfg(test)]
mod tests;
