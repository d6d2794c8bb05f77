//! Query parity: does a search find in each store what that store gives by its id? (STATISTICS.md, check 17)
//!
//! The units are traces that both environments were handed and that both stores have. The same search is made in both, for
//! one of the trace's services and the time of its spans. A trace that an answer lacks because the answer is full is no
//! unit.

use backends::{Search, StoredTrace};
use model::{Counters, Environment, PerEnvironment, Reading, TraceId, UnixMillis};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Traces of an answer at most: Jaeger and Zipkin answer with whole traces.
const SEARCH_LIMIT: u32 = 100;
/// Traces that one store has shown and the other not yet, at some 100 bytes each.
const MAX_HALVES: usize = 4_096;

/// What was found, and which traces wait for the other store.
#[derive(Debug, Default)]
pub(super) struct Parity {
    halves: BTreeMap<TraceId, (Environment, Search)>,
    /// The oldest first.
    order: VecDeque<TraceId>,
    total: u64,
    missing: PerEnvironment<u64>,
}

/// Whether a search found a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It did.
    Yes,
    /// It did not, and the answer had room for it.
    No,
    /// The answer is full.
    Unknown,
}

impl Found {
    pub(super) fn of(trace: TraceId, ids: &BTreeSet<TraceId>) -> Found {
        match ids.contains(&trace) {
            true => Found::Yes,
            false if ids.len() >= SEARCH_LIMIT as usize => Found::Unknown,
            false => Found::No,
        }
    }
}

impl Parity {
    /// An environment's store has the trace. The search that both are to make, once both have it.
    pub(super) fn stored(&mut self, environment: Environment, trace: TraceId, stored: &StoredTrace) -> Option<Search> {
        let own = search(stored)?;
        match self.halves.remove(&trace) {
            Some((other, known)) if other != environment => {
                let (from_ns, to_ns) = (own.from_ns.min(known.from_ns), own.to_ns.max(known.to_ns));
                Some(Search { from_ns, to_ns, ..known })
            }
            Some(_) | None => {
                self.halves.insert(trace, (environment, own));
                self.order.push_back(trace);
                while self.order.len() > MAX_HALVES {
                    let oldest = self.order.pop_front();
                    oldest.map(|oldest| self.halves.remove(&oldest));
                }
                None
            }
        }
    }

    /// What the searches came to.
    pub(super) fn searched(&mut self, found: PerEnvironment<Found>) {
        if Environment::BOTH.into_iter().any(|environment| found[environment] == Found::Unknown) {
            return;
        }
        self.total += 1;
        for environment in Environment::BOTH {
            self.missing[environment] += u64::from(found[environment] == Found::No);
        }
    }

    pub(super) fn reading(&self, at: UnixMillis) -> Reading {
        let total = self.total as f64;
        let of = |environment: Environment| Counters { events: self.missing[environment] as f64, total };
        Reading { at, counters: PerEnvironment::from_fn(of) }
    }
}

/// The search that should find a trace: by the service of its first span. `None` if that has no service.
fn search(stored: &StoredTrace) -> Option<Search> {
    let mut search: Option<Search> = None;
    stored.for_each(|span| {
        let at = span.start_unix_ns;
        let search = search.get_or_insert_with(|| Search {
            service: span.service.to_owned(),
            from_ns: at,
            to_ns: at,
            limit: SEARCH_LIMIT,
        });
        if at < search.from_ns {
            search.service = span.service.to_owned();
        }
        (search.from_ns, search.to_ns) = (search.from_ns.min(at), search.to_ns.max(at));
    });
    search.filter(|search| !search.service.is_empty())
}
