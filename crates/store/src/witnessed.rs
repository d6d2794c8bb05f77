//! What a witness cosigned of the logs that it knows: one file for each log, named by the SHA-256 of its origin, with the
//! checkpoint as the log signed it. It is written and synced before a cosignature leaves, so a crash never forgets one.

use crate::DiskError;
use crate::disk::Disk;
use crate::open::take_lock;
use crate::real_disk::RealDisk;
use ledger::{Checkpoint, Head, MAX_NOTE_BYTES, Note, ParseCheckpointError, ParseNoteError};
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Where a file is written before it gets its name. One writer, one file at a time.
const TEMPORARY: &str = "tmp";

/// A witness' memory. Holds the folder's lock until it is dropped.
pub struct Witnessed {
    disk: Box<dyn Disk>,
    _lock: Option<File>,
}

/// A memory that cannot be used: nothing may be cosigned then.
#[derive(Debug, thiserror::Error)]
pub enum WitnessedError {
    /// Another process is at it.
    #[error("another process writes to {}: stop it first", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// A file is not a signed note.
    #[error(
        "{path}, what was cosigned last of {origin}, is not a signed note: restore it from a backup; nothing is cosigned"
    )]
    Note {
        /// The log.
        origin: String,
        /// The file, below the folder.
        path: String,
        /// What is wrong.
        #[source]
        source: ParseNoteError,
    },
    /// A file is not a checkpoint.
    #[error(
        "{path}, what was cosigned last of {origin}, is not a checkpoint: restore it from a backup; nothing is cosigned"
    )]
    Checkpoint {
        /// The log.
        origin: String,
        /// The file, below the folder.
        path: String,
        /// What is wrong.
        #[source]
        source: ParseCheckpointError,
    },
    /// A file is another log's.
    #[error("{path} is of the log {found:?}, expected {origin}: restore it from a backup; nothing is cosigned")]
    Origin {
        /// The log.
        origin: String,
        /// The file, below the folder.
        path: String,
        /// The origin in the file.
        found: String,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Witnessed {
    /// Opens the folder, and makes it, 0700, if it is not there.
    pub fn open(dir: &Path) -> Result<Witnessed, WitnessedError> {
        let failed = |source| DiskError { doing: "make the directory", path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            RealDisk::new(parent).sync_dir("")?;
        }
        let lock = take_lock(dir)?.ok_or_else(|| WitnessedError::Locked { dir: dir.to_owned() })?;
        Ok(Witnessed { disk: Box::new(RealDisk::new(dir)), _lock: Some(lock) })
    }

    #[cfg(test)]
    pub(crate) fn on(disk: Box<dyn Disk>) -> Witnessed {
        Witnessed { disk, _lock: None }
    }

    /// What was cosigned last of the log; [`Head::empty`] if nothing was.
    pub fn head(&self, origin: &str) -> Result<Head, WitnessedError> {
        let path = path(origin);
        let Some(bytes) = self.disk.read(&path, MAX_NOTE_BYTES)? else { return Ok(Head::empty()) };
        let (path, origin) = (|| path.clone(), || origin.to_owned());
        let note = String::from_utf8_lossy(&bytes).parse::<Note>();
        let note = note.map_err(|source| WitnessedError::Note { origin: origin(), path: path(), source })?;
        let checkpoint = note.text().parse::<Checkpoint>();
        let checkpoint =
            checkpoint.map_err(|source| WitnessedError::Checkpoint { origin: origin(), path: path(), source })?;
        if checkpoint.origin() != origin() {
            let found = checkpoint.origin().to_owned();
            return Err(WitnessedError::Origin { origin: origin(), path: path(), found });
        }
        Ok(Head::of(&checkpoint))
    }

    /// Makes durable that this is the newest checkpoint of its log. Only after that may it be cosigned, also if it was the
    /// newest already: an earlier attempt may have failed between the name and its sync.
    pub fn record(&mut self, origin: &str, note: &Note) -> Result<(), DiskError> {
        self.disk.write_synced(TEMPORARY, note.to_string().as_bytes())?;
        self.disk.rename(TEMPORARY, &path(origin))?;
        self.disk.sync_dir("").map(drop)
    }
}

fn path(origin: &str) -> String {
    Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
}
