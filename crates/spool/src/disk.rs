//! The few calls to the file system that the spool makes, relative to its directory. A small layer, so that tests can put
//! a simulated disk beneath that fails, fills up, and loses what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Slices of one call: what Linux takes at once (`IOV_MAX`, writev(2)).
const MAX_SLICES: usize = 1024;

/// A call to the file system that failed.
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

/// One name in the directory.
pub(crate) struct Listed {
    pub name: String,
    /// Its length, if it is a regular file: anything else could block or never end.
    pub length: Option<u64>,
}

/// A directory on a disk.
pub(crate) trait Disk: Send + Sync {
    /// The directory, for errors.
    fn root(&self) -> &Path;
    /// What is in the directory, at most so many names and one more.
    fn list(&self, at_most: usize) -> io::Result<Vec<Listed>>;
    /// Makes a file that is not there, with so many bytes set aside for it.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to read.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to read and write.
    fn open_to_write(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names in the directory durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// What failed, on which file.
    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> DiskError {
        let path = if name.is_empty() { self.root().to_owned() } else { self.root().join(name) };
        DiskError { doing, path, source }
    }
}

/// An open file.
pub(crate) trait DiskFile: Send {
    /// Fills the buffer from an offset on; `UnexpectedEof` where the file is too short.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all the slices, one after the other.
    fn write_all_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the real file system. Files are made with mode 0600.
pub(crate) struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    pub fn new(root: &Path) -> RealDisk {
        RealDisk { root: root.to_owned() }
    }
}

impl Disk for RealDisk {
    fn root(&self) -> &Path {
        &self.root
    }

    fn list(&self, at_most: usize) -> io::Result<Vec<Listed>> {
        let listed = fs::read_dir(&self.root)?.take(at_most.saturating_add(1)).map(|entry| {
            let entry = entry?;
            // Of the name itself, not of what a symbolic link leads to.
            let metadata = entry.metadata()?;
            let length = metadata.is_file().then_some(metadata.len());
            Ok(Listed { name: entry.file_name().to_string_lossy().into_owned(), length })
        });
        listed.collect()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let path = self.root.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let set_aside = || rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
        match rustix::io::retry_on_intr(set_aside) {
            // Where the file system cannot set room aside, a full disk is met by the write instead.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(Box::new(file)),
            Err(error) => {
                drop(file);
                fs::remove_file(&path)?;
                Err(error.into())
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(self.root.join(name))?))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.root.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.root)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, mut slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        if let [slice] = slices {
            return FileExt::write_all_at(self, slice, offset);
        }
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        // An empty slice at the front would look like a write that makes no progress.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match file.write_vectored(&slices[..slices.len().min(MAX_SLICES)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
