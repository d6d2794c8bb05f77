//! What a verdict was made from, as the blob that its decision names.

use crate::event::RolloutId;
use crate::state::State;
use judge::{Assessment, Judge};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The judge's whole state and what it said: whoever has it can ask the judge again, offline and byte for byte.
///
/// Its bytes are canonical JSON (RFC 8785). The state is bounded: every process has a fixed number of logarithms, blind spots
/// are at most 128 of at most a kilobyte each, and operations and calls with a latency of their own at most 24.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgeEvidence {
    /// The version of this format.
    pub version: u32,
    /// The rollout that was judged.
    pub rollout: RolloutId,
    /// The judge, after the observation that made the verdict.
    pub judge: Judge,
    /// What it said.
    pub assessment: Assessment,
}

impl JudgeEvidence {
    /// The version that this code writes and reads.
    pub const VERSION: u32 = 1;

    /// The evidence of a rollout as it stands.
    pub fn of(state: &State, assessment: &Assessment) -> JudgeEvidence {
        JudgeEvidence {
            version: JudgeEvidence::VERSION,
            rollout: state.rollout.clone(),
            judge: state.judge.clone(),
            assessment: assessment.clone(),
        }
    }

    /// The blob.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self).expect("the judge has text keys only, and no number that is not finite")
    }

    /// `sha256:` and the hexadecimal SHA-256 of the blob.
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.to_bytes());
        hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// What a blob holds, if it is one of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<JudgeEvidence, JudgeEvidenceError> {
        let evidence: JudgeEvidence = serde_json::from_slice(bytes).map_err(JudgeEvidenceError::Shape)?;
        match evidence.version {
            JudgeEvidence::VERSION => Ok(evidence),
            found => Err(JudgeEvidenceError::Version { found }),
        }
    }
}

/// Bytes that are no evidence of the judge.
#[derive(Debug, thiserror::Error)]
pub enum JudgeEvidenceError {
    /// Not of its shape.
    #[error("it is not the judge's evidence: {0}")]
    Shape(#[source] serde_json::Error),
    /// Written by another version.
    #[error("it is evidence of version {found}, this program reads version {}", JudgeEvidence::VERSION)]
    Version {
        /// What it has.
        found: u32,
    },
}
