//! A directory of the real file system.

use crate::DiskError;
use crate::disk::{Disk, Identity, OpenFile, ReadDisk};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Names that one directory may hold: 1,000 groups, 1,000 tiles and as many directories of partial ones; and below `tmp`
/// the files of one batch, at most 2 * 2,048 full ones and 10 others. And more room.
const MAX_LISTED: usize = 8192;

/// Zeros that are written at once.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Files are made with mode 0600, directories with 0700.
pub(crate) struct RealDisk {
    root: PathBuf,
    /// Called before each system call that changes something: tests end the process there.
    before_call: fn(),
}

/// A file of the real file system.
struct RealFile {
    file: File,
    path: PathBuf,
    before_call: fn(),
}

impl RealDisk {
    pub(crate) fn new(root: &Path) -> RealDisk {
        RealDisk { root: root.to_owned(), before_call: || {} }
    }

    #[cfg(test)]
    pub(crate) fn calling(root: &Path, before_call: fn()) -> RealDisk {
        RealDisk { root: root.to_owned(), before_call }
    }

    /// Runs one operation on a path, and says which it was if it fails.
    fn on<T>(&self, doing: &'static str, path: &str, run: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, DiskError> {
        let path = if path.is_empty() { self.root.clone() } else { self.root.join(path) };
        run(&path).map_err(|source| DiskError { doing, path, source })
    }

    /// An operation that changes something.
    fn change<T>(
        &self,
        doing: &'static str,
        path: &str,
        run: impl FnOnce(&Path) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        (self.before_call)();
        self.on(doing, path, run)
    }

    fn write_new(&self, path: &Path, content: &[u8]) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        (self.before_call)();
        file.write_all(content)?;
        Ok(file)
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
fn open_regular(path: &Path, write: bool) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        OpenOptions::new().read(true).write(write).open(path)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

fn identity(metadata: &Metadata) -> Identity {
    Identity { device: metadata.dev(), inode: metadata.ino(), length: metadata.len() }
}

impl ReadDisk for RealDisk {
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError> {
        self.on("read", path, |path| {
            let Some(file) = if_found(open_regular(path, false))? else { return Ok(None) };
            let mut content = Vec::new();
            file.take(at_most as u64 + 1).read_to_end(&mut content)?;
            if content.len() > at_most {
                return Err(io::Error::other(format!("longer than the {at_most} bytes it can have")));
            }
            Ok(Some(content))
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
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &str) -> Result<bool, DiskError> {
        self.change("make the directory", path, |path| match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<Box<dyn OpenFile>, DiskError> {
        self.change("write", path, |path| {
            let file = self.write_new(path, content)?;
            Ok(Box::new(RealFile { file, path: path.to_owned(), before_call: self.before_call }) as Box<dyn OpenFile>)
        })
    }

    fn write_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        self.change("write", path, |path| {
            let file = self.write_new(path, content)?;
            (self.before_call)();
            file.sync_all()
        })
    }

    fn allocate(&self, path: &str, length: u64) -> Result<(), DiskError> {
        self.change("set room aside for", path, |path| {
            let mut file = self.write_new(path, &[])?;
            // All at once or not at all, and in one piece if there is one.
            match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length) {
                Ok(()) => {}
                // Not every file system can: then the zeros alone take the room.
                Err(rustix::io::Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
            // Blocks that were never written would have to be marked as written with the frame that comes to lie there,
            // which is a commit of the file system's journal: measured, that is what an append waits for longest.
            let mut missing = length;
            while missing > 0 {
                let step = missing.min(ZEROS.len() as u64);
                file.write_all(&ZEROS[..usize::try_from(step).expect("at most 64 KiB")])?;
                missing -= step;
            }
            (self.before_call)();
            file.sync_all()
        })
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn OpenFile>>, DiskError> {
        self.on("open", path, |path| {
            let Some(file) = if_found(open_regular(path, true))? else { return Ok(None) };
            Ok(Some(Box::new(RealFile { file, path: path.to_owned(), before_call: self.before_call }) as _))
        })
    }

    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        self.change("sync", path, |path| open_regular(path, true)?.sync_all())
    }

    fn identity(&self, path: &str) -> Result<Option<Identity>, DiskError> {
        // A link that was put in its place is another file.
        self.on("look at", path, |path| Ok(if_found(fs::symlink_metadata(path))?.as_ref().map(identity)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let from = self.root.join(from);
        self.change("rename a file to", to, |to| fs::rename(from, to))
    }

    fn replace(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let exchange = |to: &Path| {
            let from = self.root.join(from);
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            match rustix::fs::renameat_with(rustix::fs::CWD, &from, rustix::fs::CWD, to, flags) {
                Ok(()) => {
                    (self.before_call)();
                    // What is left of the other one is overwritten by the next, or removed when the ledger is opened.
                    let _ = fs::remove_file(from);
                    Ok(())
                }
                // Not every file system can.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                    fs::rename(from, to)
                }
                Err(error) => Err(error.into()),
            }
        };
        self.change("rename a file to", to, exchange)
    }

    fn sync_dir(&self, path: &str) -> Result<bool, DiskError> {
        self.change("sync the directory", path, |path| {
            let Some(directory) = if_found(File::open(path))? else { return Ok(false) };
            directory.sync_all().map(|()| true)
        })
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.change("remove", path, |path| fs::remove_file(path))
    }

    fn remove_dir(&self, path: &str) -> Result<(), DiskError> {
        self.change("remove the directory", path, |path| fs::remove_dir(path))
    }
}

impl RealFile {
    fn on<T>(&self, doing: &'static str, result: io::Result<T>) -> Result<T, DiskError> {
        result.map_err(|source| DiskError { doing, path: self.path.clone(), source })
    }
}

impl OpenFile for RealFile {
    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let mut content = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let read = self.file.read_at(&mut content[filled..], offset + filled as u64);
            match self.on("read", read)? {
                0 => break,
                read => filled += read,
            }
        }
        content.truncate(filled);
        Ok(content)
    }

    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError> {
        (self.before_call)();
        self.on("write to", self.file.write_all_at(content, offset))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        (self.before_call)();
        self.on("sync", self.file.sync_data())
    }

    fn identity(&self) -> Result<Identity, DiskError> {
        self.on("look at", self.file.metadata()).map(|metadata| identity(&metadata))
    }
}
