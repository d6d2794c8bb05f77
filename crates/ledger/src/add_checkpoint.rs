//! C2SP tlog-witness, "add-checkpoint": how a log shows a witness its new head, with the proof that it continues the old one.

use crate::tile::{excerpt, parse_decimal};
use crate::{Checkpoint, Hash, MAX_NOTE_BYTES, Note, ParseCheckpointError, ParseHashError, ParseNoteError};
use std::fmt;
use std::str::FromStr;

/// Lines of the longest proof that a client may send: enough for any tree of at most 2^62 entries.
pub const MAX_WITNESS_PROOF_HASHES: usize = 63;

/// The longest request: a note (131,072), 63 hashes with newline (2,835), `old ` with 20 digits and newline (25), and the
/// empty line.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = MAX_NOTE_BYTES + MAX_WITNESS_PROOF_HASHES * 45 + 26;

/// A checkpoint, and the proof that its tree begins with the one that the witness saw last. Nothing of it is to be believed
/// before [`crate::consider`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    old_size: u64,
    proof: Vec<Hash>,
    checkpoint: Checkpoint,
    note: Note,
}

/// Bytes that are not a request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseAddCheckpointError {
    /// It is too long.
    #[error("the request has {found} bytes, more than {MAX_ADD_CHECKPOINT_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// It is not text.
    #[error("byte {at} of the request is not UTF-8")]
    NotText {
        /// Where.
        at: usize,
    },
    /// The first line is another.
    #[error("expected \"old \" and a decimal tree size without leading zeros on line 1, found {found:?}")]
    OldSize {
        /// The beginning of the line.
        found: String,
    },
    /// There are more hashes than a client may send.
    #[error("the consistency proof has more than {MAX_WITNESS_PROOF_HASHES} lines")]
    TooManyHashes,
    /// A line of the proof is not a hash.
    #[error("line {line} of the consistency proof is not a hash")]
    Hash {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: ParseHashError,
    },
    /// There is no empty line after the proof.
    #[error("there is no empty line between the consistency proof and the checkpoint")]
    NoSeparator,
    /// What follows is not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[from] ParseNoteError),
    /// The note's text is not a checkpoint's.
    #[error("the note's text is not a checkpoint")]
    Checkpoint(#[from] ParseCheckpointError),
}

impl AddCheckpoint {
    /// The request to cosign `note`, for a witness that saw the tree of `old_size` entries last.
    ///
    /// # Errors
    /// A note whose text is not a checkpoint's, or a proof that is too long to be sent.
    pub fn new(old_size: u64, proof: Vec<Hash>, note: Note) -> Result<AddCheckpoint, ParseAddCheckpointError> {
        if proof.len() > MAX_WITNESS_PROOF_HASHES {
            return Err(ParseAddCheckpointError::TooManyHashes);
        }
        let checkpoint = note.text().parse()?;
        Ok(AddCheckpoint { old_size, proof, checkpoint, note })
    }

    /// [`FromStr`] of bytes that may not be text.
    pub fn parse(bytes: &[u8]) -> Result<AddCheckpoint, ParseAddCheckpointError> {
        if bytes.len() > MAX_ADD_CHECKPOINT_BYTES {
            return Err(ParseAddCheckpointError::TooLong { found: bytes.len() });
        }
        let text = str::from_utf8(bytes);
        text.map_err(|error| ParseAddCheckpointError::NotText { at: error.valid_up_to() })?.parse()
    }

    /// The size from which the proof leads.
    pub fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The consistency proof (RFC 6962 section 2.1.2).
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// What the note's text says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint with its signatures.
    pub fn note(&self) -> &Note {
        &self.note
    }
}

/// The body of the request.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for AddCheckpoint {
    type Err = ParseAddCheckpointError;

    fn from_str(text: &str) -> Result<AddCheckpoint, ParseAddCheckpointError> {
        if text.len() > MAX_ADD_CHECKPOINT_BYTES {
            return Err(ParseAddCheckpointError::TooLong { found: text.len() });
        }
        let (line, mut rest) = text.split_once('\n').unwrap_or((text, ""));
        let old_size = line.strip_prefix("old ").and_then(parse_decimal);
        let old_size = old_size.ok_or_else(|| ParseAddCheckpointError::OldSize { found: excerpt(line) })?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(ParseAddCheckpointError::NoSeparator)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == MAX_WITNESS_PROOF_HASHES {
                return Err(ParseAddCheckpointError::TooManyHashes);
            }
            let hash = line.parse();
            proof.push(hash.map_err(|source| ParseAddCheckpointError::Hash { line: proof.len() + 1, source })?);
        }
        AddCheckpoint::new(old_size, proof, rest.parse()?)
    }
}

#[cfg(test)]
mod tests;
