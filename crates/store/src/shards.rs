//! A log in parts: each year has a folder of its own, which nothing is added to any more once the next has begun. The first
//! entry of a part says under which checkpoint the one before it ended; what it says is the caller's, here it is opaque.
//!
//! | folder | what |
//! | --- | --- |
//! | `ledger` | the part that is being written |
//! | `ledger-2026` | the one that ended with that year |
//! | `ledger.next` | one that is being made, for as long as that takes |
//!
//! Hash tiles of a part that ended are kept for ever; its entries can be removed ([`Shards::prune`]), and every proof that was
//! made of them holds as before.

use crate::disk::Disk as _;
use crate::place::{CHECKPOINT, ENTRIES};
use crate::real_disk::RealDisk;
use crate::{AppendError, CreateError, DiskError, OpenError, Store};
use ledger::Origin;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Parts of one log: one a year for a thousand years. It bounds what a folder costs to look at.
const MAX_SHARDS: usize = 1_000;

/// What the folder of a part that is being made has behind the log's.
const NEXT: &str = ".next";

/// The folders of one log.
#[derive(Clone, Debug)]
pub struct Shards {
    current: PathBuf,
}

/// A part that ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// The year with which it ended.
    pub year: u16,
    /// Its folder.
    pub dir: PathBuf,
}

/// A part that cannot begin. The one before it is as it was, or is where the next start finds it.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// There is a folder already.
    #[error("{} is there already: move it away, for the ledger of {year} is to have this name", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// The year.
        year: u16,
    },
    /// The new part cannot be made.
    #[error("the next year's part of the ledger cannot be made")]
    Create(#[from] CreateError),
    /// Its first entry cannot be written.
    #[error("the first entry of the next year's part cannot be written")]
    Append(#[from] AppendError),
    /// It cannot be opened.
    #[error("the next year's part of the ledger cannot be opened")]
    Open(#[from] OpenError),
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Shards {
    /// Of the log that is written in this folder.
    pub fn of(current: &Path) -> Shards {
        Shards { current: current.to_owned() }
    }

    /// Of the log that has this folder, and the year with which the part in it ended, if it did.
    pub fn holding(dir: &Path) -> (Shards, Option<u16>) {
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let parted = name.rsplit_once('-').and_then(|(name, year)| Some((name, year.parse().ok()?)));
        match parted {
            Some((name, year)) => (Shards::of(&dir.with_file_name(name)), Some(year)),
            None => (Shards::of(dir), None),
        }
    }

    /// The folder of what is being written.
    pub fn current(&self) -> &Path {
        &self.current
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut name = self.current.file_name().unwrap_or(OsStr::new("ledger")).to_owned();
        name.push(suffix);
        self.current.with_file_name(name)
    }

    fn ended_in(&self, year: u16) -> PathBuf {
        self.sibling(&format!("-{year}"))
    }

    /// The part that ended with a year, whether it is there or not.
    pub fn of_year(&self, year: u16) -> Ended {
        Ended { year, dir: self.ended_in(year) }
    }

    fn parent(&self) -> RealDisk {
        let parent = self.current.parent().filter(|parent| !parent.as_os_str().is_empty());
        RealDisk::new(parent.unwrap_or(Path::new(".")))
    }

    /// The parts that ended, the oldest first.
    pub fn ended(&self) -> Result<Vec<Ended>, DiskError> {
        let prefix = self.sibling("-");
        let prefix = prefix.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names = crate::disk::ReadDisk::list(&self.parent(), "")?.unwrap_or_default();
        let years = names.iter().filter_map(|name| name.strip_prefix(&prefix)?.parse::<u16>().ok());
        let mut ended: Vec<Ended> = years.map(|year| Ended { year, dir: self.ended_in(year) }).collect();
        ended.retain(|it| it.dir.join(CHECKPOINT).is_file());
        ended.sort();
        ended.truncate(MAX_SHARDS);
        Ok(ended)
    }

    /// Completes what a crash left of [`Shards::begin`]: the old part has its new name, and the new one has not.
    pub fn complete(&self) -> Result<(), DiskError> {
        let next = self.sibling(NEXT);
        if !self.current.join(CHECKPOINT).is_file() && next.join(CHECKPOINT).is_file() && !self.ended()?.is_empty() {
            self.rename(&next, &self.current)?;
        }
        Ok(())
    }

    /// Whether the log that is written can end with this year.
    pub fn may_end(&self, year: u16) -> Result<(), ShardError> {
        let dir = self.ended_in(year);
        if dir.exists() { Err(ShardError::Exists { dir, year }) } else { Ok(()) }
    }

    /// Ends the log that is written in `year`, and begins the next part with one entry.
    ///
    /// The new part is whole and durable before the old one loses its name, so that a crash leaves the one or the other, or
    /// what [`Shards::complete`] completes. The old one's lock is held until it has gone.
    pub fn begin(&self, mut store: Store, year: u16, origin: &Origin, entry: &[u8]) -> Result<Store, ShardError> {
        let (ended, next) = (self.ended_in(year), self.sibling(NEXT));
        self.may_end(year)?;
        let (signer, lock) = (store.signer.clone(), store._lock.take());
        store.close()?;
        // What a crash left, which nobody has seen.
        if next.exists() {
            let failed = |source| DiskError { doing: "remove", path: next.clone(), source };
            std::fs::remove_dir_all(&next).map_err(failed)?;
        }
        let mut made = Store::create_shard(&next, signer.clone(), origin)?;
        made.append(&[entry.to_vec()])?;
        made.close()?;
        self.rename(&self.current, &ended)?;
        self.rename(&next, &self.current)?;
        drop(lock);
        Ok(Store::open(&self.current, signer)?.0)
    }

    /// Renames a folder, durably.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        std::fs::rename(from, to).map_err(|source| DiskError { doing: "rename", path: from.to_owned(), source })?;
        self.parent().sync_dir("").map(drop)
    }

    /// Removes the entries of a part that ended; checkpoints, hash tiles and cosignatures stay. What a crash leaves of it is
    /// removed by the next call. `false` if there was nothing to remove.
    pub fn prune(&self, ended: &Ended) -> Result<bool, DiskError> {
        let entries = ended.dir.join(ENTRIES);
        if !entries.exists() {
            return Ok(false);
        }
        let failed = |source| DiskError { doing: "remove", path: entries.clone(), source };
        std::fs::remove_dir_all(&entries).map_err(failed)?;
        // Its batches are in the write-ahead log too.
        let wal = ended.dir.join(crate::wal::WAL);
        if wal.exists() {
            std::fs::remove_file(&wal).map_err(|source| DiskError { doing: "remove", path: wal, source })?;
        }
        let disk = RealDisk::new(&ended.dir);
        disk.sync_dir("tile")?;
        disk.sync_dir("")?;
        Ok(true)
    }
}
