use serde::{Deserialize, Serialize};

/// How a gate ended. Missing evidence is Inconclusive, never Pass; a failing source is Error, never Fail (invariant 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateVerdict {
    /// What was asked holds.
    Pass,
    /// It does not.
    Fail,
    /// It cannot be told.
    Inconclusive,
    /// What should have told it failed.
    Error,
}

/// What a gate's runner found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateResult {
    /// The verdict.
    pub verdict: GateVerdict,
    /// In words, the most important first. No values of configurations: they may be secrets.
    pub reasons: Vec<String>,
    /// Digest of the evidence blob, `sha256:…`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}
