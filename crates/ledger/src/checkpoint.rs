//! C2SP tlog-checkpoint: the head of a log (its origin, size and root), as the text of a signed note.

use crate::tile::{excerpt, parse_decimal};
use crate::{
    Cosigned, Hash, KeyName, Note, Origin, ParseHashError, ParseNoteError, SignerKey, VerifierKey, VerifyNoteError,
    WitnessKey,
};
use std::fmt;
use std::str::FromStr;

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

/// Text that is not a checkpoint's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseCheckpointError {
    /// There are fewer than three lines, or an empty one, or the last is not ended.
    #[error("expected at least three lines, none of them empty: origin, size and root hash")]
    Lines,
    /// The second line is not a tree size.
    #[error("expected a decimal tree size without leading zeros on line 2, found {found:?}")]
    Size {
        /// The beginning of the line.
        found: String,
    },
    /// The third line is not a root hash.
    #[error("expected the root hash on line 3")]
    Root(#[from] ParseHashError),
}

/// A checkpoint that is not to be believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenCheckpointError {
    /// It is not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[from] ParseNoteError),
    /// It is not signed by the key.
    #[error(transparent)]
    Signature(#[from] VerifyNoteError),
    /// The note's text is not a checkpoint's.
    #[error("the signed text is not a checkpoint")]
    Text(#[from] ParseCheckpointError),
    /// It is the key's, but of another log.
    #[error("the checkpoint is of the log {found:?}, expected {expected}")]
    Origin {
        /// The checkpoint's origin.
        found: String,
        /// The key's name.
        expected: KeyName,
    },
}

impl Checkpoint {
    /// The head of a log whose key has the log's name. It has no extension lines: the specification advises against
    /// them, since nobody can audit them.
    pub fn new(origin: &KeyName, size: u64, root: Hash) -> Checkpoint {
        Checkpoint { origin: origin.to_string(), size, root, extensions: Vec::new() }
    }

    /// The head of a log, or of a shard of it.
    pub fn of_shard(origin: &Origin, size: u64, root: Hash) -> Checkpoint {
        Checkpoint { origin: origin.to_string(), size, root, extensions: Vec::new() }
    }

    /// Which log it is the head of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash of the tree of that size.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Lines after the third, opaque.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The checkpoint as a note with one signature. Whoever signs sees to it that no earlier checkpoint contradicts it.
    pub fn sign(&self, key: &SignerKey) -> Note {
        let text = self.to_string();
        let signature = key.sign(&text);
        Note::new(text, vec![signature])
    }

    /// [`Checkpoint::open_note`] of a note's text form.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Checkpoint, OpenCheckpointError> {
        Checkpoint::open_note(&note.parse()?, key)
    }

    /// The checkpoint in a signed note, once the log's key has signed it and its origin is the key's name (which the
    /// specification recommends, and our logs keep to), or that of a shard ([`Origin`]). Other signatures are ignored.
    pub fn open_note(note: &Note, key: &VerifierKey) -> Result<Checkpoint, OpenCheckpointError> {
        note.verify(&[key])?;
        let checkpoint: Checkpoint = note.text().parse()?;
        if Origin::of(key.name(), &checkpoint.origin).is_some() {
            return Ok(checkpoint);
        }
        Err(OpenCheckpointError::Origin { found: excerpt(&checkpoint.origin), expected: key.name().clone() })
    }
}

impl Checkpoint {
    /// [`Checkpoint::open_note`], and which of the known witnesses cosigned it, and when. Cosignatures of others are
    /// ignored; a known witness' cosignature that does not fit is an error.
    pub fn open_cosigned<'key>(
        note: &Note,
        key: &VerifierKey,
        known: &[&'key WitnessKey],
    ) -> Result<(Checkpoint, Vec<Cosigned<'key>>), OpenCheckpointError> {
        let checkpoint = Checkpoint::open_note(note, key)?;
        let cosigned = note.cosigned_by(known)?;
        Ok((checkpoint, cosigned))
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Reads a note's text, which [`Note`] has bounded.
impl FromStr for Checkpoint {
    type Err = ParseCheckpointError;

    fn from_str(text: &str) -> Result<Checkpoint, ParseCheckpointError> {
        let lines: Vec<_> = text.strip_suffix('\n').ok_or(ParseCheckpointError::Lines)?.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else { return Err(ParseCheckpointError::Lines) };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(ParseCheckpointError::Lines);
        }
        let size = parse_decimal(size).ok_or_else(|| ParseCheckpointError::Size { found: excerpt(size) })?;
        let extensions = extensions.iter().map(|&line| line.to_owned()).collect();
        Ok(Checkpoint { origin: (*origin).to_owned(), size, root: root.parse()?, extensions })
    }
}

#[cfg(test)]
mod tests;
