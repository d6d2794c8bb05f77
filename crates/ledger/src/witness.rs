//! C2SP tlog-witness, "add-checkpoint": what a witness decides upon a request. It cosigns a head that continues the one that it
//! cosigned before, and nothing else.

use crate::{AddCheckpoint, Checkpoint, Hash, ProofError, VerifierKey, VerifyNoteError, verify_consistency};

/// The head of a log that a witness cosigned last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// Why a witness does not cosign.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// It knows no such log: 404.
    #[error("the log {origin:?} is not one that this witness knows")]
    UnknownOrigin {
        /// The checkpoint's origin.
        origin: String,
    },
    /// None of the log's keys signed: 403.
    #[error("the checkpoint is not signed by a key of the log")]
    NotSigned(#[source] VerifyNoteError),
    /// The old size is greater than the new one: 400.
    #[error("the old size is {old}, but the checkpoint has {size} entries: the old one must not be greater")]
    Order {
        /// The request's old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The request starts elsewhere than at what was cosigned last, or shows another tree of the same size: 409.
    #[error("the checkpoint that was cosigned last has {} entries, root {}", known.size, known.root)]
    Conflict {
        /// What was cosigned last.
        known: Head,
        /// What was shown.
        shown: Head,
    },
    /// The proof does not lead from what was cosigned last to the checkpoint: 422.
    #[error("the checkpoint is not shown to continue the one of {} entries that was cosigned last", known.size)]
    Inconsistent {
        /// What was cosigned last.
        known: Head,
        /// What was shown.
        shown: Head,
        /// What is wrong with the proof.
        #[source]
        source: Box<ProofError>,
    },
}

/// What the log's own signature shows that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Fewer entries than before: it was set back, or somebody sent an old checkpoint again.
    SetBack,
    /// Another history than before.
    Forked,
}

impl Head {
    /// Before any checkpoint: the empty tree.
    pub fn empty() -> Head {
        Head { size: 0, root: Hash::of_empty_tree() }
    }

    /// What a checkpoint says.
    pub fn of(checkpoint: &Checkpoint) -> Head {
        Head { size: checkpoint.size(), root: checkpoint.root() }
    }
}

impl Refusal {
    /// The HTTP status code that the specification has for it.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::UnknownOrigin { .. } => 404,
            Refusal::NotSigned(_) => 403,
            Refusal::Order { .. } => 400,
            Refusal::Conflict { .. } => 409,
            Refusal::Inconsistent { .. } => 422,
        }
    }

    /// What it shows of the log, if it shows something: a valid signature over a head that does not continue the known one.
    /// A conflict with a larger head shows nothing, and a proof that does not fit may also be a client's mistake.
    pub fn misbehaviour(&self) -> Option<Misbehaviour> {
        match self {
            Refusal::UnknownOrigin { .. } | Refusal::NotSigned(_) | Refusal::Order { .. } => None,
            Refusal::Conflict { known, shown } if shown.size < known.size => Some(Misbehaviour::SetBack),
            Refusal::Conflict { known, shown } if shown.size == known.size && shown.root != known.root => {
                Some(Misbehaviour::Forked)
            }
            Refusal::Conflict { .. } => None,
            Refusal::Inconsistent { .. } => Some(Misbehaviour::Forked),
        }
    }
}

/// Whether the witness is to cosign the request's checkpoint: `keys` are those that it trusts for the checkpoint's origin,
/// none if it does not know the log; `known` is what it cosigned last of it, or [`Head::empty`]. Then it persists the new head
/// first, and signs after that.
pub fn consider(request: &AddCheckpoint, keys: &[VerifierKey], known: Head) -> Result<(), Refusal> {
    let (checkpoint, shown) = (request.checkpoint(), Head::of(request.checkpoint()));
    if keys.is_empty() {
        return Err(Refusal::UnknownOrigin { origin: checkpoint.origin().to_owned() });
    }
    let trusted: Vec<&VerifierKey> = keys.iter().collect();
    request.note().verify(&trusted).map_err(Refusal::NotSigned)?;
    let old = request.old_size();
    if old > shown.size {
        return Err(Refusal::Order { old, size: shown.size });
    }
    if old != known.size || (old == shown.size && shown.root != known.root) {
        return Err(Refusal::Conflict { known, shown });
    }
    verify_consistency(old, known.root, shown.size, shown.root, request.proof())
        .map_err(|source| Refusal::Inconsistent { known, shown, source: Box::new(source) })
}

#[cfg(test)]
mod tests;
