//! The few calls to the file system that the store makes, relative to its directory. A small layer, so that tests can
//! put a simulated disk beneath that fails and loses what was not synced.

use crate::place::CHECKPOINT;
use ledger::SignError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Names that one directory may hold: 1,000 groups, 1,000 tiles and as many directories of partial ones, and more room.
const MAX_LISTED: usize = 4096;

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

/// A directory on a disk. Paths are relative to it and use `/`; the empty path is the directory itself.
pub(crate) trait Disk: Send + Sync {
    /// A file's content, `None` if there is none. Longer than `at_most` bytes is an error.
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError>;
    /// Up to `length` bytes from `offset` on; fewer at the end of the file.
    fn read_at(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError>;
    /// A file's length, `None` if there is none.
    fn length(&self, path: &str) -> Result<Option<u64>, DiskError>;
    /// The names in a directory, `None` if there is none.
    fn list(&self, path: &str) -> Result<Option<Vec<String>>, DiskError>;
    /// Makes a directory; false if it is there already.
    fn create_dir(&self, path: &str) -> Result<bool, DiskError>;
    /// Replaces a file's content and syncs the file.
    fn write_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError>;
    /// Adds to the end of a file that exists, and syncs the file.
    fn append_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError>;
    /// Shortens a file and syncs it.
    fn truncate_synced(&self, path: &str, length: u64) -> Result<(), DiskError>;
    /// Gives a file another name, and replaces what had it.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Makes the names in a directory durable; false if there is no such directory.
    fn sync_dir(&self, path: &str) -> Result<bool, DiskError>;
    /// Removes a file.
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> Result<(), DiskError>;
}

/// A directory of the real file system. Files are made with mode 0600, directories with 0700.
pub(crate) struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    pub(crate) fn new(root: &Path) -> RealDisk {
        RealDisk { root: root.to_owned() }
    }

    /// Runs one operation on a path, and says which it was if it fails.
    fn on<T>(&self, doing: &'static str, path: &str, run: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, DiskError> {
        let path = if path.is_empty() { self.root.clone() } else { self.root.join(path) };
        run(&path).map_err(|source| DiskError { doing, path, source })
    }
}

/// `None` instead of an error where there is no such file or directory.
fn if_found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a regular file. Anything else could block or never end, and a directory to verify comes from somebody else.
fn open_regular(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("not a regular file")) }
}

impl Disk for RealDisk {
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError> {
        self.on("read", path, |path| {
            let Some(file) = if_found(open_regular(path))? else { return Ok(None) };
            let mut content = Vec::new();
            file.take(at_most as u64 + 1).read_to_end(&mut content)?;
            if content.len() > at_most {
                return Err(io::Error::other(format!("longer than the {at_most} bytes it can have")));
            }
            Ok(Some(content))
        })
    }

    fn read_at(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        self.on("read", path, |path| {
            let mut file = open_regular(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut content = Vec::new();
            file.take(length as u64).read_to_end(&mut content)?;
            Ok(content)
        })
    }

    fn length(&self, path: &str) -> Result<Option<u64>, DiskError> {
        self.on("look at", path, |path| Ok(if_found(fs::metadata(path))?.map(|metadata| metadata.len())))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, DiskError> {
        self.on("list", path, |path| {
            let Some(names) = if_found(fs::read_dir(path))? else { return Ok(None) };
            let mut listed = Vec::new();
            for name in names {
                if listed.len() == MAX_LISTED {
                    return Err(io::Error::other(format!("more than the {MAX_LISTED} names it can have")));
                }
                listed.push(name?.file_name().to_string_lossy().into_owned());
            }
            Ok(Some(listed))
        })
    }

    fn create_dir(&self, path: &str) -> Result<bool, DiskError> {
        self.on("make the directory", path, |path| match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn write_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        self.on("write", path, |path| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            file.write_all(content)?;
            file.sync_all()
        })
    }

    fn append_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        self.on("append to", path, |path| {
            let mut file = OpenOptions::new().append(true).open(path)?;
            file.write_all(content)?;
            file.sync_data()
        })
    }

    fn truncate_synced(&self, path: &str, length: u64) -> Result<(), DiskError> {
        self.on("shorten", path, |path| {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(length)?;
            file.sync_all()
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let from = self.root.join(from);
        self.on("rename a file to", to, |to| fs::rename(from, to))
    }

    fn sync_dir(&self, path: &str) -> Result<bool, DiskError> {
        self.on("sync the directory", path, |path| {
            let Some(directory) = if_found(File::open(path))? else { return Ok(false) };
            directory.sync_all().map(|()| true)
        })
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.on("remove", path, |path| fs::remove_file(path))
    }

    fn remove_dir(&self, path: &str) -> Result<(), DiskError> {
        self.on("remove the directory", path, |path| fs::remove_dir(path))
    }
}
