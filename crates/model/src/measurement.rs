//! What a metric's source outside said of both environments at one moment, or why it said nothing.

use crate::{PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};

/// The largest counter that can be read: up to here a 64-bit float, which is what such sources count in, tells every
/// whole number from the next (2^53).
pub const MAX_COUNTER: f64 = 9_007_199_254_740_992.0;

/// Characters of why a source failed. It stands in ledger records and on screens; 400 characters of four bytes, each
/// escaped, stay far below the 64 KiB of a record.
pub const MAX_SOURCE_REASON_CHARACTERS: usize = 400;

/// Two counters of one environment, as they stand: they only grow, but for a reset. Finite, 0 to [`MAX_COUNTER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counters {
    /// Units with an event so far.
    pub events: f64,
    /// All units so far.
    pub total: f64,
}

/// Both environments' counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading {
    /// The moment, by the source's clock.
    pub at: UnixMillis,
    /// The counters.
    pub counters: PerEnvironment<Counters>,
}

/// What came of asking a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Measurement {
    /// It answered.
    Read(Reading),
    /// It did not, or not with what can be judged.
    Failed {
        /// What was wrong, where, what was expected and what to do; at most [`MAX_SOURCE_REASON_CHARACTERS`].
        reason: String,
    },
}

impl Measurement {
    /// A failure, its reason cut to what a record holds.
    pub fn failed(reason: &str) -> Measurement {
        let mut short: String = reason.chars().take(MAX_SOURCE_REASON_CHARACTERS).collect();
        if short.len() < reason.len() {
            short.pop();
            short.push('…');
        }
        Measurement::Failed { reason: short }
    }
}
