//! C2SP tlog-proof: one text that proves, without a network, that an entry is in a log.

use crate::tile::{excerpt, parse_decimal};
use crate::{
    Checkpoint, Hash, MAX_NOTE_BYTES, MAX_PROOF_HASHES, Note, OpenCheckpointError, ParseHashError, ParseNoteError,
    ProofError, VerifierKey, verify_inclusion,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// The longest extra data: an entry of the greatest length fits.
pub const MAX_EXTRA_BYTES: usize = 64 * 1024;

/// The longest proof: a note (131,072), the extra data in base64 (87,384), 65 hashes with newline (2,925), and 256 for
/// the first line, the words and the index.
pub const MAX_LOG_PROOF_BYTES: usize = MAX_NOTE_BYTES + MAX_EXTRA_BYTES.div_ceil(3) * 4 + MAX_PROOF_HASHES * 45 + 256;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An entry's index, its inclusion proof and the checkpoint to which the proof leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Opaque data that nobody vouches for.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log, from 0.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: Note,
}

/// Text that is not a proof.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseLogProofError {
    /// The proof is too long.
    #[error("the proof has {found} bytes, more than {MAX_LOG_PROOF_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A line is not the one that belongs there.
    #[error("expected {expected}, found {found:?}")]
    Line {
        /// The line that belongs there.
        expected: &'static str,
        /// The beginning of the line that is there; empty at the end of the text.
        found: String,
    },
    /// The extra data is too long.
    #[error("the proof's extra data is longer than {MAX_EXTRA_BYTES} bytes")]
    Extra,
    /// There are more hashes than a tree can need.
    #[error("the proof has more than {MAX_PROOF_HASHES} hashes")]
    TooManyHashes,
    /// A line of the proof is not a hash.
    #[error("a line of the inclusion proof is not a hash")]
    Hash(#[from] ParseHashError),
    /// What follows is not a signed note.
    #[error("the proof's checkpoint is not a signed note")]
    Checkpoint(#[from] ParseNoteError),
}

/// A proof that does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyLogProofError {
    /// The checkpoint is not the log's.
    #[error("the proof's checkpoint does not hold")]
    Checkpoint(#[from] OpenCheckpointError),
    /// The hashes do not lead from the entry to the checkpoint's root.
    #[error("the inclusion proof does not hold")]
    Inclusion(#[from] ProofError),
}

impl LogProof {
    /// Checks that `entry` is at [`LogProof::index`] of the log with this key, and returns the checkpoint that says so.
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, VerifyLogProofError> {
        let checkpoint = Checkpoint::open_note(&self.checkpoint, key)?;
        verify_inclusion(Hash::of_leaf(entry), self.index, checkpoint.size(), &self.hashes, checkpoint.root())?;
        Ok(checkpoint)
    }
}

/// A change of a log's key that does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyChangeError {
    /// The old key did not sign the checkpoint, or the entry is not in it.
    #[error("it does not hold by the old key")]
    Old(#[source] VerifyLogProofError),
    /// The new key did not sign the checkpoint.
    #[error("it does not hold by the new key")]
    New(#[source] OpenCheckpointError),
    /// The entry is not the last of the checkpoint.
    #[error("the checkpoint does not end with the entry that changes the key")]
    Checkpoint,
}

impl LogProof {
    /// Checks that the entry, which is the extra data, changes the log's key: both keys signed the checkpoint, of which it is
    /// the last entry. That it names these keys is for whoever can read it.
    pub fn verify_key_change(&self, old: &VerifierKey, new: &VerifierKey) -> Result<Checkpoint, KeyChangeError> {
        let entry = self.extra.as_deref().unwrap_or_default();
        let checkpoint = self.verify(entry, old).map_err(KeyChangeError::Old)?;
        let by_new = Checkpoint::open_note(&self.checkpoint, new).map_err(KeyChangeError::New)?;
        match checkpoint == by_new && checkpoint.size() == self.index + 1 {
            true => Ok(checkpoint),
            false => Err(KeyChangeError::Checkpoint),
        }
    }
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for LogProof {
    type Err = ParseLogProofError;

    fn from_str(text: &str) -> Result<LogProof, ParseLogProofError> {
        if text.len() > MAX_LOG_PROOF_BYTES {
            return Err(ParseLogProofError::TooLong { found: text.len() });
        }
        let mut rest = text;
        let line = next_line(&mut rest);
        if line != FIRST_LINE {
            return Err(ParseLogProofError::Line { expected: FIRST_LINE, found: excerpt(line) });
        }
        let mut line = next_line(&mut rest);
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            let refused = |_| ParseLogProofError::Line { expected: "extra and base64", found: excerpt(line) };
            extra = Some(STANDARD.decode(encoded).map_err(refused)?);
            line = next_line(&mut rest);
        }
        if extra.as_ref().is_some_and(|extra| extra.len() > MAX_EXTRA_BYTES) {
            return Err(ParseLogProofError::Extra);
        }
        let index = line.strip_prefix("index ").and_then(parse_decimal).ok_or_else(|| ParseLogProofError::Line {
            expected: "index and a decimal number without leading zeros",
            found: excerpt(line),
        })?;
        let mut hashes = Vec::new();
        loop {
            let line = next_line(&mut rest);
            if line.is_empty() {
                break;
            }
            if hashes.len() == MAX_PROOF_HASHES {
                return Err(ParseLogProofError::TooManyHashes);
            }
            hashes.push(line.parse()?);
        }
        Ok(LogProof { extra, index, hashes, checkpoint: rest.parse()? })
    }
}

/// The next line without its newline; empty at the end.
fn next_line<'text>(rest: &mut &'text str) -> &'text str {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    line
}

#[cfg(test)]
mod tests;
