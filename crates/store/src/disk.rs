//! The few calls to the file system that the store makes, relative to its directory. A small layer, so that tests can
//! put a simulated disk beneath that fails and loses what was not synced.

use crate::place::CHECKPOINT;
use ledger::SignError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A call to the file system that failed, or the signature without which there is nothing to write.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct DiskError {
    /// What was tried.
    pub doing: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// A checkpoint that nobody signed is as good as one that was not written.
    pub(crate) fn unsigned(error: SignError) -> DiskError {
        DiskError { doing: "sign", path: CHECKPOINT.into(), source: io::Error::other(error) }
    }
}

/// What reading a directory needs. Paths are relative to it and use `/`; the empty path is the directory itself.
pub(crate) trait ReadDisk: Send + Sync {
    /// A file's content, `None` if there is none. Longer than `at_most` bytes is an error.
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError>;
    /// A file's length, `None` if there is none.
    fn length(&self, path: &str) -> Result<Option<u64>, DiskError>;
    /// The names in a directory, `None` if there is none.
    fn list(&self, path: &str) -> Result<Option<Vec<String>>, DiskError>;
}

/// The same directory, for somebody else.
impl<D: ReadDisk + ?Sized> ReadDisk for Arc<D> {
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError> {
        (**self).read(path, at_most)
    }

    fn length(&self, path: &str) -> Result<Option<u64>, DiskError> {
        (**self).length(path)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, DiskError> {
        (**self).list(path)
    }
}

/// A directory on a disk.
pub(crate) trait Disk: ReadDisk {
    /// Makes a directory; false if it is there already.
    fn create_dir(&self, path: &str) -> Result<bool, DiskError>;
    /// Replaces a file's content, which a loss of power may lose or tear until the file is synced.
    fn write(&self, path: &str, content: &[u8]) -> Result<Box<dyn OpenFile>, DiskError>;
    /// Replaces a file's content and syncs the file.
    fn write_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError>;
    /// Makes a file of so many zeros, or makes one so, all its room set aside on the disk, and syncs it.
    fn allocate(&self, path: &str, length: u64) -> Result<(), DiskError>;
    /// A file that is there, to read and to write; `None` if there is none.
    fn open(&self, path: &str) -> Result<Option<Box<dyn OpenFile>>, DiskError>;
    /// Makes a file's content durable.
    fn sync_file(&self, path: &str) -> Result<(), DiskError>;
    /// Which file a path leads to now, `None` if there is none.
    fn identity(&self, path: &str) -> Result<Option<Identity>, DiskError>;
    /// Gives a file another name, and replaces what had it.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Gives a file the name of another that is there, which goes. Of two files that replace each other often this is the cheaper
    /// way: with a plain rename ext4 waits for the new one's blocks to be chosen and their writing to begin (`auto_da_alloc`).
    fn replace(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Makes the names in a directory durable; false if there is no such directory.
    fn sync_dir(&self, path: &str) -> Result<bool, DiskError>;
    /// Removes a file.
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> Result<(), DiskError>;
}

/// A file that is kept open: it stays the same one, whatever becomes of its name.
pub(crate) trait OpenFile: Send + Sync {
    /// Up to `length` bytes from `offset` on; fewer at the end of the file.
    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, DiskError>;
    /// Overwrites bytes, or adds some.
    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError>;
    /// Makes durable what was written. Where the file had all its blocks, no more than its content has to be synced.
    fn sync_data(&self) -> Result<(), DiskError>;
    /// Which file it is, how long it is now, and whether it still has a name.
    fn identity(&self) -> Result<Identity, DiskError>;
}

/// What tells one file from another, and whether it was cut or extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The file system.
    pub device: u64,
    /// The file in it. No other file has it while the file is open.
    pub inode: u64,
    /// Bytes.
    pub length: u64,
}
