//! From two readings of cumulative counters to one batch of whole counts.

use judge::Counts;
use model::{Environment, PerEnvironment, Reading};

/// What counters may be off by where they are not whole, as a part of the total: sums of floats in another order.
const ROUNDING: f64 = 1e-9;

/// What happened between two readings. `None` where that cannot be told, so that the later one begins anew: a counter
/// fell, since what counts was started again, or the later reading is of no later time. An error, in words for a person,
/// where it cannot be at all.
///
/// Counters that are not whole are rounded down before they are compared, so that no part of a unit is counted twice and
/// none for long; an event is never counted without a unit.
pub(crate) fn increase(before: &Reading, now: &Reading) -> Result<Option<PerEnvironment<Counts>>, String> {
    let fell = |environment: Environment| {
        let (before, now) = (before.counters[environment], now.counters[environment]);
        now.events < before.events || now.total < before.total
    };
    if now.at <= before.at || Environment::BOTH.into_iter().any(fell) {
        return Ok(None);
    }
    for environment in Environment::BOTH {
        let (before, now) = (before.counters[environment], now.counters[environment]);
        let (events, total) = (now.events - before.events, now.total - before.total);
        if events > total + ROUNDING * now.total.max(1.0) {
            return Err(format!(
                "the `events` of {environment} rose by {events} between two readings, its `total` by {total}; expected \
                 events among the total: let `events` count a part of what `total` counts, on the same targets"
            ));
        }
    }
    Ok(Some(PerEnvironment::from_fn(|environment| {
        let (before, now) = (before.counters[environment], now.counters[environment]);
        let whole = |before: f64, now: f64| (now.floor() - before.floor()) as u64;
        let traces = whole(before.total, now.total);
        Counts { traces, events: whole(before.events, now.events).min(traces) }
    })))
}

#[cfg(test)]
mod tests;
