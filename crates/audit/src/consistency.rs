//! What an approver saw of the ledger is a beginning of what the bundle's checkpoint was signed over.

use crate::approvals::ApprovalFound;
use crate::bundle::Bundle;
use ledger::{Checkpoint, Hash, ProofError, verify_consistency};
use std::collections::BTreeSet;

/// A head that an approver saw, and that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum ConsistencyError {
    /// The proof is missing, or one is there for a head that no approval names.
    #[error("consistency/{size:010}.hashes {words}: expected one for each head of the ledger that an approval names")]
    Files {
        /// How many entries.
        size: u64,
        /// Which of the two.
        words: &'static str,
    },
    /// What was signed there is no root.
    #[error("entry {index}: {by} signed a head of {size} entries whose root is none")]
    Root {
        /// The entry of the approval's decision.
        index: u64,
        /// Who.
        by: String,
        /// How many entries.
        size: u64,
    },
    /// The log does not begin so.
    #[error(
        "entry {index}: the ledger does not begin with the {size} entries that {by} saw: it was rewritten since, or the proof was"
    )]
    Forked {
        /// The entry of the approval's decision.
        index: u64,
        /// Who.
        by: String,
        /// How many entries.
        size: u64,
        /// Why.
        #[source]
        source: ProofError,
    },
}

/// The sizes of the heads that approvals name.
pub(crate) fn sizes(approvals: &[ApprovalFound]) -> BTreeSet<u64> {
    approvals.iter().map(|approval| approval.statement.checkpoint.size).collect()
}

/// Whether all of them are beginnings of the checkpoint's log.
pub(crate) fn check(
    bundle: &Bundle,
    checkpoint: &Checkpoint,
    approvals: &[ApprovalFound],
) -> Result<(), ConsistencyError> {
    let (named, there) = (sizes(approvals), bundle.consistency.keys().copied().collect::<BTreeSet<u64>>());
    if let Some(size) = named.difference(&there).next() {
        return Err(ConsistencyError::Files { size: *size, words: "is missing" });
    }
    if let Some(size) = there.difference(&named).next() {
        return Err(ConsistencyError::Files { size: *size, words: "is there" });
    }
    for ApprovalFound { index, by, statement, .. } in approvals {
        let (size, index, by) = (statement.checkpoint.size, *index, by.clone());
        let Ok(root) = statement.checkpoint.root.parse::<Hash>() else {
            return Err(ConsistencyError::Root { index, by, size });
        };
        let proof = bundle.consistency.get(&size).map_or(&[][..], Vec::as_slice);
        verify_consistency(size, root, checkpoint.size(), checkpoint.root(), proof)
            .map_err(|source| ConsistencyError::Forked { index, by, size, source })?;
    }
    Ok(())
}
