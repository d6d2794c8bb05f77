//! Files of an open ledger that somebody deletes, replaces, cuts or extends: seen at the next batch, before it is
//! acknowledged. Two calls for a file; nothing is read. Bytes that are altered in place are for [`crate::Reader::verify`].

use crate::disk::Identity;
use std::fmt;

/// A file that is not as the store left it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {found} while the ledger was open")]
pub struct Tampered {
    /// Its path in the ledger's directory.
    pub path: String,
    /// What was found.
    pub found: Tampering,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// There is no file of this name.
    Deleted,
    /// There is another file of this name.
    Replaced,
    /// The file is shorter or longer.
    Length {
        /// Bytes that it has.
        found: u64,
        /// Bytes that were written.
        expected: u64,
    },
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tampering::Deleted => f.write_str("was deleted or renamed"),
            Tampering::Replaced => f.write_str("was replaced by another file"),
            Tampering::Length { found, expected } if found < expected => {
                write!(f, "was cut to {found} of its {expected} bytes")
            }
            Tampering::Length { found, expected } => write!(f, "was extended to {found} bytes, it had {expected}"),
        }
    }
}

/// Compares the file that a path leads to with the one that was kept open. A second name for the file is no alteration:
/// backups make them.
pub(crate) fn compare(path: &str, named: Option<Identity>, kept: Identity, expected: u64) -> Result<(), Tampered> {
    let found = match named {
        None => Tampering::Deleted,
        Some(named) if (named.device, named.inode) != (kept.device, kept.inode) => Tampering::Replaced,
        Some(named) if named.length != expected => Tampering::Length { found: named.length, expected },
        Some(_) => return Ok(()),
    };
    Err(Tampered { path: path.to_owned(), found })
}
