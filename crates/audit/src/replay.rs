//! Every decision made again.

use crate::bundle::Bundle;
use crate::verify::{Verified, named_by};
use judge::Assessment;
use rollout::{Body, Decision, JudgeEvidence, JudgeEvidenceError, Replay, ReplayError, State};

/// Decisions that do not follow from the records.
#[derive(Debug, thiserror::Error)]
pub enum ReplayBundleError {
    /// A decision cannot be made again without what it was made from.
    #[error("{hidden} of the rollout's records are hidden: what they led to cannot be decided again")]
    Hidden {
        /// How many.
        hidden: u64,
    },
    /// The records contradict each other.
    #[error("entry {index} does not follow from the entries before it: {source}")]
    Contradiction {
        /// Which.
        index: u64,
        /// Why.
        source: ReplayError,
    },
    /// The last input's decisions are missing.
    #[error("{missing} decisions follow from the last record, and do not stand in the bundle")]
    Incomplete {
        /// How many.
        missing: usize,
    },
    /// A blob that a verdict names is not the judge.
    #[error("evidence {digest}: {source}")]
    Evidence {
        /// Which.
        digest: String,
        /// Why.
        source: JudgeEvidenceError,
    },
    /// The judge in a blob says something else.
    #[error("evidence {digest}: the judge that is in it does not say what entry {index} states")]
    OtherVerdict {
        /// Which.
        digest: String,
        /// The entry that names it.
        index: u64,
    },
}

/// What was decided again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The rollout at the end of the bundle.
    pub state: State,
    /// Decisions that were made again, the same.
    pub decisions: u64,
    /// Of the verdicts those whose judge was asked again, from its whole state.
    pub judged_again: u64,
}

impl Bundle {
    /// Runs the state machine and the judge over the records, compares each decision with the one that is recorded, and
    /// asks each judge that is kept as evidence again.
    pub fn replay(&self, verified: &Verified) -> Result<Replayed, ReplayBundleError> {
        if verified.sequence.hidden > 0 {
            return Err(ReplayBundleError::Hidden { hidden: verified.sequence.hidden });
        }
        let mut replay = Replay::default();
        let (mut decisions, mut judged_again) = (0, 0);
        for (index, record) in verified.records.iter().filter(|(_, record)| record.rollout.is_some()) {
            replay.take(record).map_err(|source| ReplayBundleError::Contradiction { index: *index, source })?;
            let Body::Decided(decision) = &record.body else { continue };
            decisions += 1;
            let (Decision::Judged { assessment, .. }, Some(digest)) = (&**decision, named_by(record)) else { continue };
            if let Some(blob) = self.evidence.get(digest) {
                self.ask_again(*index, digest, blob, assessment)?;
                judged_again += 1;
            }
        }
        match (replay.unrecorded(), replay.rollouts.pop()) {
            (0, Some(state)) => Ok(Replayed { state, decisions, judged_again }),
            (missing, _) => Err(ReplayBundleError::Incomplete { missing: missing.max(1) }),
        }
    }

    fn ask_again(&self, index: u64, digest: &str, blob: &[u8], stated: &Assessment) -> Result<(), ReplayBundleError> {
        let evidence = JudgeEvidence::from_bytes(blob)
            .map_err(|source| ReplayBundleError::Evidence { digest: digest.to_owned(), source })?;
        let says = evidence.judge.assess();
        match says == evidence.assessment && says == *stated && evidence.rollout == self.rollout {
            true => Ok(()),
            false => Err(ReplayBundleError::OtherVerdict { digest: digest.to_owned(), index }),
        }
    }
}
