//! What a gate's runner comes back with.

use model::{GateResult, GateVerdict};
use serde_json::Value;

/// A verdict with its reasons, and the bytes that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Without the digest of the evidence, for that is not kept yet.
    pub result: GateResult,
    /// As JSON, without any secret; `None` where the reasons are all there is.
    pub evidence: Option<Vec<u8>>,
}

impl Run {
    /// What it rests on, without any secret.
    pub fn with_evidence(result: GateResult, evidence: &Value) -> Run {
        Run { result, evidence: Some(evidence.to_string().into_bytes()) }
    }

    /// The reasons are all there is.
    pub fn without_evidence(result: GateResult) -> Run {
        Run { result, evidence: None }
    }

    /// What should have told it failed.
    pub fn error(reason: String) -> Run {
        Run::of(GateVerdict::Error, vec![reason])
    }

    /// It cannot be told.
    pub fn inconclusive(reason: String) -> Run {
        Run::of(GateVerdict::Inconclusive, vec![reason])
    }

    fn of(verdict: GateVerdict, reasons: Vec<String>) -> Run {
        Run::without_evidence(GateResult { verdict, reasons, evidence: None })
    }
}
