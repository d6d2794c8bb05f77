//! What a comparison ends with.

use model::GateVerdict;
use serde_json::{Map, Value, json};

/// Reasons that are given. What is left out is counted.
const MAX_REASONS: usize = 32;

/// The verdict, and what it follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Fail where a difference was found, whatever else failed. Error where a database did not answer; Inconclusive where
    /// something could not be compared.
    pub verdict: GateVerdict,
    /// The cause first, a sentence each.
    pub reasons: Vec<String>,
    /// Counts, checksums, paths; no values of rows.
    pub evidence: Value,
}

/// What is found on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// What differs: rows, then sequences, then queries, then definitions.
    failed: Vec<(Rank, String)>,
    missing: Vec<String>,
    errors: Vec<String>,
    evidence: Map<String, Value>,
}

/// What is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A table or column that is not there.
    Lost,
    /// Rows.
    Rows,
    /// A sequence.
    Sequence,
    /// A query of the plan's.
    Query,
    /// A definition.
    Schema,
}

impl Findings {
    pub(crate) fn fail(&mut self, rank: Rank, words: String) {
        self.failed.push((rank, words));
    }

    pub(crate) fn miss(&mut self, words: String) {
        self.missing.push(words);
    }

    pub(crate) fn error(&mut self, words: String) {
        self.errors.push(words);
    }

    /// By what its verdict says.
    pub(crate) fn add(&mut self, rank: Rank, verdict: GateVerdict, reason: Option<String>) {
        let Some(words) = reason else { return };
        match verdict {
            GateVerdict::Pass => {}
            GateVerdict::Fail => self.fail(rank, words),
            GateVerdict::Inconclusive => self.miss(words),
            GateVerdict::Error => self.error(words),
        }
    }

    /// One more of a list.
    pub(crate) fn note(&mut self, list: &str, value: Value) {
        let list = self.evidence.entry(list).or_insert_with(|| json!([]));
        list.as_array_mut().expect("only lists are noted").push(value);
    }

    pub(crate) fn assess(mut self) -> Assessment {
        let verdict = if !self.failed.is_empty() {
            GateVerdict::Fail
        } else if !self.errors.is_empty() {
            GateVerdict::Error
        } else if !self.missing.is_empty() {
            GateVerdict::Inconclusive
        } else {
            GateVerdict::Pass
        };
        self.failed.sort_by_key(|(rank, _)| *rank);
        let failed = self.failed.into_iter().map(|(_, words)| words);
        let mut reasons: Vec<_> = failed.chain(self.errors).chain(self.missing).collect();
        if reasons.len() > MAX_REASONS {
            let more = reasons.len() - (MAX_REASONS - 1);
            reasons.truncate(MAX_REASONS - 1);
            reasons.push(format!("{more} more are in the evidence"));
        }
        self.evidence.insert("verdict".into(), json!(verdict));
        self.evidence.insert("reasons".into(), json!(reasons));
        Assessment { verdict, reasons, evidence: Value::Object(self.evidence) }
    }
}
