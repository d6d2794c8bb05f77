//! When one weight alone decided where new traces go: only then can their split be held against it.

use model::{BasisPoints, Observation, RouteTable, UnixMillis};
use serde::Serialize;

/// Times that are kept. A time begins with a shift or a restart and is needed until its last batch was observed; of more
/// restarts than this meanwhile the oldest times are given up.
const MAX_TIMES: usize = 64;

/// The times, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SteadyWeights(Vec<Steady>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Steady {
    weight: BasisPoints,
    from: UnixMillis,
    /// The next change was ordered; none while there is none.
    until: Option<UnixMillis>,
}

impl SteadyWeights {
    /// The gateway has applied this table by now. From `pin_ms` later on no trace is kept by what an older table said: one
    /// that began before had a span since, and is known to verification as an old one, or it is forgotten.
    pub(crate) fn applied(&mut self, table: &RouteTable, now: UnixMillis) {
        self.ends(now);
        let divides = table.weight > BasisPoints::ZERO && table.weight < BasisPoints::ALL && !table.mirror;
        if !divides {
            return;
        }
        if self.0.len() == MAX_TIMES {
            self.0.remove(0);
        }
        self.0.push(Steady { weight: table.weight, from: now.plus_ms(table.pin_ms), until: None });
    }

    /// Another table is ordered, or it is not known what the gateway routes by.
    pub(crate) fn ends(&mut self, now: UnixMillis) {
        if let Some(last) = self.0.last_mut() {
            last.until = last.until.or(Some(now));
        }
        self.0.retain(|steady| steady.until.is_none_or(|until| steady.from < until));
    }

    /// The weight that alone was in force for the whole of a batch, if one was. Batches come in their order, so what ended
    /// before this one is forgotten.
    pub(crate) fn during(&mut self, observation: &Observation) -> Option<BasisPoints> {
        let (from, until) = (observation.assigned_from, observation.assigned_until);
        self.0.retain(|steady| steady.until.is_none_or(|ended| from < ended));
        let whole = |steady: &&Steady| steady.from <= from && steady.until.is_none_or(|ended| until <= ended);
        self.0.iter().find(whole).map(|steady| steady.weight)
    }
}

#[cfg(test)]
mod tests;
