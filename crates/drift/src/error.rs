//! Why files cannot be read as configurations. Names places and what was expected there; never carries their text,
//! because it may be a secret.

use std::fmt;

/// The format that a file was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, core schema, one or more documents.
    Yaml,
    /// RFC 8259.
    Json,
    /// TOML 1.1.
    Toml,
    /// `NAME=value`, a line each.
    Env,
    /// Java's properties.
    Properties,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Yaml => "YAML",
            Format::Json => "JSON",
            Format::Toml => "TOML",
            Format::Env => "an environment file",
            Format::Properties => "a properties file",
        })
    }
}

/// A place in a text: both count from 1, columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte.
    pub(crate) fn of(text: &str, byte: usize) -> Position {
        let mut end = byte.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Position { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why an environment's files cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There are more files than a tree holds.
    #[error("{found} files; expected {limit} at most", limit = crate::MAX_FILES)]
    TooManyFiles {
        /// How many there are.
        found: usize,
    },
    /// All files together are too large.
    #[error("the files are larger than {limit} bytes together", limit = crate::MAX_TREE_BYTES)]
    TreeTooLarge,
    /// All files together hold too much.
    #[error("the files hold more than {limit} values together", limit = crate::MAX_TREE_VALUES)]
    TooManyValues,
    /// One file cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// Its name, as it was given.
        file: String,
        /// Why.
        #[source]
        reason: FileError,
    },
}

/// Why one file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is too large.
    #[error("{bytes} bytes; expected {limit} at most", limit = crate::MAX_FILE_BYTES)]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Its format is text, and it is none.
    #[error("not UTF-8 after {valid} bytes; expected {format}")]
    NotText {
        /// What it should be.
        format: Format,
        /// The bytes before the first that are no text.
        valid: usize,
    },
    /// Its format's rules are broken.
    #[error("{at}: not valid as {format}: expected {expected}")]
    Malformed {
        /// What it should be.
        format: Format,
        /// Where.
        at: Position,
        /// What was expected there.
        expected: &'static str,
    },
    /// A key stands twice in one mapping.
    #[error("{at}: a key that this mapping has already; expected each key once ({format})")]
    DuplicateKey {
        /// What it was read as.
        format: Format,
        /// Where the second one is.
        at: Position,
    },
    /// Values are nested too deep.
    #[error("{at}: nested deeper than {limit}", limit = crate::MAX_DEPTH)]
    TooDeep {
        /// Where.
        at: Position,
    },
    /// It holds too much, aliases and merge keys included.
    #[error("{at}: more than {limit} values, what aliases repeat included", limit = crate::MAX_FILE_VALUES)]
    TooManyValues {
        /// Where the bound was passed.
        at: Position,
    },
}
