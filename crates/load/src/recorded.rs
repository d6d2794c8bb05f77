//! Recordings as files: sealed, and opened by a key that nobody else can read.

use recording::{Opened, ReadError, Reader, SealError};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// An identity file has three lines.
const MAX_IDENTITY_BYTES: u64 = 64 << 10;

/// A recording that is not replayed. Never says what is in the identity.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The file system refused, or it is no text of a key's length.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the key.
    #[error(
        "{path}: may be read by others (mode {mode:03o}); expected 600: `chmod 600 {path}`",
        path = path.display()
    )]
    Mode {
        /// The identity.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It does not open.
    #[error("{path}: {source}", path = path.display())]
    Sealed {
        /// The recording.
        path: PathBuf,
        /// Why.
        source: Box<SealError>,
    },
    /// What is inside is no recording.
    #[error("{path}: {source}", path = path.display())]
    Recording {
        /// The recording.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
}

/// Opens a recording by the age identity in a file. Blocking.
///
/// # Errors
/// If one of the files cannot be read, others may read the identity, or it does not open a recording.
pub fn open(recording: &Path, identity: &Path) -> Result<Reader<Opened<BufReader<File>>>, RecordedError> {
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| RecordedError::Read { path, source }
    };
    let sealed = File::open(recording).map_err(read(recording))?;
    let file = File::open(identity).map_err(read(identity))?;
    let mode = file.metadata().map_err(read(identity))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(RecordedError::Mode { path: identity.to_owned(), mode });
    }
    let mut key = Zeroizing::new(String::new());
    file.take(MAX_IDENTITY_BYTES).read_to_string(&mut key).map_err(read(identity))?;
    let opened = recording::open(&key, BufReader::new(sealed));
    let opened =
        opened.map_err(|source| RecordedError::Sealed { path: recording.to_owned(), source: Box::new(source) })?;
    Reader::new(opened).map_err(|source| RecordedError::Recording { path: recording.to_owned(), source })
}
