//! C2SP signed-note, "Format" and "Signatures": a text with the signatures of one or more keys.

use crate::tile::excerpt;
use crate::{KeyId, KeyName, ParseKeyError, VerifierKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// Signatures of one note. The specification wants at least 16 to be accepted: a log and 15 witnesses, twice.
pub const MAX_SIGNATURES: usize = 32;

/// The longest note: 16 post-quantum signatures of nearly 5 kB are 16 * 6,700 characters of base64, 107 kB, and leave
/// 24 kB for names and text.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;

/// A signature line begins with an em dash and a space.
const LINE_PREFIX: &str = "\u{2014} ";

/// A text and its signatures. Nothing is to be believed of the text before [`Note::verify`] has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature, of whatever key and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key that signed.
    pub name: KeyName,
    /// The id of the key that signed.
    pub id: KeyId,
    /// What it made of the text: 64 bytes if the key is an Ed25519 key.
    pub signature: Vec<u8>,
}

/// Bytes that are not a signed note.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseNoteError {
    /// The note is too long.
    #[error("the note has {found} bytes, more than {MAX_NOTE_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// It holds a control character other than newline.
    #[error("the note holds the control character {character:?} at byte {at}")]
    Control {
        /// The character.
        character: char,
        /// Where it is.
        at: usize,
    },
    /// There is no empty line before the signatures.
    #[error("the note has no empty line between text and signatures")]
    NoSeparator,
    /// There is no signature, or the last line is not ended.
    #[error("the note has no signature line that ends in a newline")]
    NoSignature,
    /// There are too many signatures.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A signature line does not have its form.
    #[error("expected a signature line \"\u{2014} name base64\", found {found:?}")]
    Line {
        /// The beginning of the line.
        found: String,
    },
    /// A signature's name is none.
    #[error("a signature line names no key")]
    Name(#[from] ParseKeyError),
}

/// A note whose text is not to be believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyNoteError {
    /// None of the known keys signed it.
    #[error("the note is signed by {found}, not by {expected}")]
    UnknownKeys {
        /// Names and ids of the keys that signed.
        found: String,
        /// Names and ids of the known keys.
        expected: String,
    },
    /// A known key's signature does not fit the text.
    #[error("the signature of {name} (key id {id}) does not fit the note: its text or the signature was altered")]
    BadSignature {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: KeyId,
    },
}

impl Note {
    /// A note of this text with these signatures. The caller made both, so a text that no note can have panics.
    pub(crate) fn new(text: String, signatures: Vec<NoteSignature>) -> Note {
        assert!(text.ends_with('\n') && find_control(&text).is_none(), "a note's text consists of whole lines");
        Note { text, signatures }
    }

    /// The text with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, in their order, of known keys or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The same text with more signatures; `None` if a note cannot have so many.
    pub fn with_signatures(&self, more: impl IntoIterator<Item = NoteSignature>) -> Option<Note> {
        let mut note = self.clone();
        for signature in more {
            note.signatures.push(signature);
            if note.signatures.len() > MAX_SIGNATURES {
                return None;
            }
        }
        Some(note)
    }

    /// The same text with the first signature that this key made, and no other.
    pub fn signed_only_by(&self, key: &VerifierKey) -> Note {
        let is_signer = |signature: &&NoteSignature| *key.name() == signature.name && key.id() == signature.id;
        let signatures = self.signatures.iter().find(is_signer).cloned().into_iter().collect();
        Note { text: self.text.clone(), signatures }
    }

    /// The same text with some of its signatures.
    pub fn retaining(&self, keep: impl Fn(&NoteSignature) -> bool) -> Note {
        let signatures = self.signatures.iter().filter(|signature| keep(signature)).cloned().collect();
        Note { text: self.text.clone(), signatures }
    }

    /// The known keys that signed this text. Signatures of other keys are ignored; a known key's signature that does not
    /// fit, or no signature of a known key, is an error.
    pub fn verify<'key>(&self, known: &[&'key VerifierKey]) -> Result<Vec<&'key VerifierKey>, VerifyNoteError> {
        let mut signed = Vec::new();
        for signature in &self.signatures {
            let is_signer = |key: &&VerifierKey| *key.name() == signature.name && key.id() == signature.id;
            let Some(key) = known.iter().copied().find(is_signer) else { continue };
            if !key.verifies(&self.text, &signature.signature) {
                return Err(VerifyNoteError::BadSignature { name: signature.name.clone(), id: signature.id });
            }
            if !signed.contains(&key) {
                signed.push(key);
            }
        }
        if signed.is_empty() {
            let found = self.signatures.iter().map(|signature| (&signature.name, signature.id));
            let expected = known.iter().map(|key| (key.name(), key.id()));
            return Err(VerifyNoteError::UnknownKeys { found: list(found), expected: list(expected) });
        }
        Ok(signed)
    }
}

/// `name (key id 01234567) and …`, at most four of them, so that a note of strangers does not fill the terminal.
fn list<'name>(keys: impl Iterator<Item = (&'name KeyName, KeyId)>) -> String {
    let keys: Vec<_> = keys.map(|(name, id)| format!("{} (key id {id})", excerpt(name.as_str()))).collect();
    match keys.len() {
        0 => "nobody".to_owned(),
        1..=4 => keys.join(" and "),
        count => format!("{} and {} more", keys[..4].join(", "), count - 4),
    }
}

fn find_control(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|(_, character)| *character < ' ' && *character != '\n')
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// The signature line without its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.0.to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(f, "{LINE_PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for Note {
    type Err = ParseNoteError;

    fn from_str(note: &str) -> Result<Note, ParseNoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(ParseNoteError::TooLong { found: note.len() });
        }
        if let Some((at, character)) = find_control(note) {
            return Err(ParseNoteError::Control { character, at });
        }
        let separator = note.rfind("\n\n").ok_or(ParseNoteError::NoSeparator)?;
        let (text, lines) = (&note[..=separator], &note[separator + 2..]);
        Ok(Note { text: text.to_owned(), signatures: parse_lines(lines)? })
    }
}

impl NoteSignature {
    /// Reads signature lines without a note, each with its newline: what a witness answers (C2SP tlog-witness,
    /// "add-checkpoint").
    pub fn parse_lines(lines: &str) -> Result<Vec<NoteSignature>, ParseNoteError> {
        if lines.len() > MAX_NOTE_BYTES {
            return Err(ParseNoteError::TooLong { found: lines.len() });
        }
        if let Some((at, character)) = find_control(lines) {
            return Err(ParseNoteError::Control { character, at });
        }
        parse_lines(lines)
    }
}

/// At least one signature line, at most [`MAX_SIGNATURES`].
fn parse_lines(lines: &str) -> Result<Vec<NoteSignature>, ParseNoteError> {
    let lines = lines.strip_suffix('\n').ok_or(ParseNoteError::NoSignature)?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        if signatures.len() == MAX_SIGNATURES {
            return Err(ParseNoteError::TooManySignatures);
        }
        signatures.push(parse_signature(line)?);
    }
    Ok(signatures)
}

fn parse_signature(line: &str) -> Result<NoteSignature, ParseNoteError> {
    let form = || ParseNoteError::Line { found: excerpt(line) };
    let (name, encoded) = line.strip_prefix(LINE_PREFIX).and_then(|rest| rest.split_once(' ')).ok_or_else(form)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| form())?;
    let (id, signature) = bytes.split_first_chunk::<4>().filter(|(_, rest)| !rest.is_empty()).ok_or_else(form)?;
    Ok(NoteSignature { name: KeyName::new(name)?, id: KeyId(*id), signature: signature.to_vec() })
}

#[cfg(test)]
mod tests;
