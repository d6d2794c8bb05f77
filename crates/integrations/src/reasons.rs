//! What speaks for each verdict, and which of them it is.

use model::GateVerdict;
use serde_json::Value;

/// Reasons that are told; the others are counted.
const MAX_REASONS: usize = 20;

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Fail if green cannot do what blue can; Error if something could not be asked; Inconclusive if something is not known;
    /// else Pass.
    pub verdict: GateVerdict,
    /// In words, what decided first.
    pub reasons: Vec<String>,
    /// What the verdict follows from. No secrets.
    pub evidence: Value,
}

#[derive(Default)]
pub(crate) struct Reasons {
    pub fails: Vec<String>,
    pub errors: Vec<String>,
    pub unsure: Vec<String>,
    pub notes: Vec<String>,
}

impl Reasons {
    pub(crate) fn assessment(self, pass: String, evidence: Value) -> Assessment {
        let Reasons { fails, errors, unsure, notes } = self;
        let verdict = match (fails.is_empty(), errors.is_empty(), unsure.is_empty()) {
            (false, _, _) => GateVerdict::Fail,
            (true, false, _) => GateVerdict::Error,
            (true, true, false) => GateVerdict::Inconclusive,
            (true, true, true) => GateVerdict::Pass,
        };
        let mut reasons = [fails, errors, unsure].concat();
        if verdict == GateVerdict::Pass {
            reasons.push(pass);
        }
        reasons.extend(notes);
        let more = reasons.len().saturating_sub(MAX_REASONS);
        reasons.truncate(MAX_REASONS);
        if more > 0 {
            reasons.push(format!("and {more} more: see the evidence"));
        }
        Assessment { verdict, reasons, evidence }
    }
}
