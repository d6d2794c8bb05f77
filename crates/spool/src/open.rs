//! Opening a spool, and what a crash left of it.

use crate::Spool;
use crate::disk::{Disk, DiskError, Listed, RealDisk};
use crate::frame::{ALIGNMENT, frame_bytes};
use crate::index::{Index, Segment, name, parse_name};
use crate::progress::FIRST_FRAME;
use crate::recover::{Scanned, scan};
use crate::shared::{Counters, Shared};
use crate::take::serve;
use crate::writer::Writer;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// The file whose lock the spool holds.
const LOCK: &str = "lock";

/// The shortest segment: where its frames begin, and as much again.
pub const MIN_SEGMENT_BYTES: u64 = 2 * FIRST_FRAME;

/// The longest segment: 32 bits hold its offsets.
pub const MAX_SEGMENT_BYTES: u64 = 1024 * 1024 * 1024;

/// Segments that there may be. Half as many are allowed for by [`Limits`], with 64 MiB each 2 TiB; the others are short
/// ones: a restart leaves one, if something in it cannot be delivered.
pub(crate) const MAX_SEGMENTS: u64 = 65_536;

/// Names that the directory may hold: all segments, and as many foreign ones.
const MAX_NAMES: usize = 2 * MAX_SEGMENTS as usize;

/// Names of foreign files that are told.
const MAX_FOREIGN: usize = 16;

/// What bounds a spool. [`Limits::default`] has 8 GiB on the disk, and in memory 64 MiB and 24 MB of index at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that its segments may take on the disk: those of 2 to 32,768 segments.
    pub max_bytes: u64,
    /// The length of a segment. It is set aside when the segment is begun; the longest entry has to fit into it.
    pub segment_bytes: u64,
    /// Entries in segments that are there, also if they were delivered: each takes 24 bytes of memory.
    pub max_entries: u64,
    /// Bytes of the entries that wait to be written, or are being written, in memory.
    pub max_waiting_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_bytes: 8 * 1024 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            max_entries: 1_000_000,
            max_waiting_bytes: 64 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The longest frame for which there can be room.
    pub(crate) fn max_frame_bytes(&self) -> u64 {
        (self.segment_bytes - FIRST_FRAME).min(self.max_waiting_bytes) & !(ALIGNMENT - 1)
    }

    fn check(&self) -> Result<(), OpenError> {
        let segment_bytes = self.segment_bytes.min(MAX_SEGMENT_BYTES);
        let checks = [
            ("segment_bytes", self.segment_bytes, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES),
            ("max_bytes", self.max_bytes, 2 * segment_bytes, MAX_SEGMENTS / 2 * segment_bytes),
            ("max_entries", self.max_entries, 1, u64::from(u32::MAX)),
            ("max_waiting_bytes", self.max_waiting_bytes, frame_bytes(0, 1), u64::MAX / 2),
        ];
        let wrong = checks.into_iter().find(|(_, found, at_least, at_most)| !(at_least..=at_most).contains(&found));
        let to_error = |(limit, found, at_least, at_most)| OpenError::Limit { limit, found, at_least, at_most };
        wrong.map_or(Ok(()), |wrong| Err(to_error(wrong)))
    }
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries that are still to be delivered, some perhaps once more.
    pub entries: u64,
    /// Acknowledged entries that were not delivered and cannot be read any more, and the bytes among them that cannot.
    /// In all segments but the newest, contents are checked when they are taken: see [`crate::ReadError::Lost`].
    pub lost_entries: u64,
    /// The bytes that cannot be read.
    pub lost_bytes: u64,
    /// Bytes of what was being written when the process or the power went. They were not acknowledged; only a disk that
    /// damages the very last group of entries looks the same.
    pub torn_bytes: u64,
    /// Names in the directory that are not the spool's, up to 16. They are left alone.
    pub foreign: Vec<String>,
}

/// A spool that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A limit that cannot be.
    #[error("{limit} is {found}, expected {at_least} to {at_most}")]
    Limit {
        /// Which one.
        limit: &'static str,
        /// What it is.
        found: u64,
        /// The least it can be.
        at_least: u64,
        /// The most it can be.
        at_most: u64,
    },
    /// Another process has it open.
    #[error("another process has the spool in {} open: stop it first, or choose another directory", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be a spool's alone.
    #[error("{} holds more than {MAX_NAMES} names: choose a directory for the spool alone", dir.display())]
    TooManyNames {
        /// The directory.
        dir: PathBuf,
    },
    /// No thread can be started.
    #[error("cannot start the spool's threads")]
    Thread(#[source] io::Error),
    /// The file system failed. A segment that the disk cannot read can be moved away: what is in it is then lost.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Spool {
    /// Opens the spool in a directory, which is made if it is not there, and says what a crash left of it. Reads the
    /// header of each entry and the newest segment whole. Starts two threads.
    pub fn open(dir: &Path, limits: Limits) -> Result<(Spool, Recovered), OpenError> {
        limits.check()?;
        make_dir(dir)?;
        let lock = take_lock(dir)?.ok_or_else(|| OpenError::Locked { dir: dir.to_owned() })?;
        let (mut spool, mut writer, recovered) = Spool::open_on(Box::new(RealDisk::new(dir)), limits, Some(lock))?;
        let shared = spool.shared.clone();
        spool.start("spool-write", move || {
            while shared.wait_to_write() {
                writer.step();
            }
            writer.finish();
        })?;
        let shared = spool.shared.clone();
        spool.start("spool-read", move || {
            while let Some(job) = shared.wait_to_read() {
                serve(&shared, job);
            }
        })?;
        Ok((spool, recovered))
    }

    /// The spool without its threads.
    pub(crate) fn open_on(
        disk: Box<dyn Disk>,
        limits: Limits,
        lock: Option<File>,
    ) -> Result<(Spool, Writer, Recovered), OpenError> {
        let (index, recovered) = recover(&*disk)?;
        let (next_number, before) = index.next_name();
        let Recovered { lost_entries, lost_bytes, .. } = recovered;
        let counters = Counters { lost_entries, lost_bytes, ..Counters::default() };
        let shared = Arc::new(Shared::new(disk, limits, index, counters));
        let writer = Writer::new(shared.clone(), next_number, before);
        Ok((Spool { shared, threads: Vec::new(), _lock: lock }, writer, recovered))
    }

    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let ended = Ended(self.shared.clone());
        let run = move || {
            // Also if the thread panics, so that nobody waits for it for ever.
            let _ended = ended;
            run();
        };
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(run).map_err(OpenError::Thread)?);
        Ok(())
    }
}

/// Dismisses who waits for a thread when the thread ends.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

fn make_dir(dir: &Path) -> Result<(), DiskError> {
    let failed = |doing, source| DiskError { doing, path: dir.to_owned(), source };
    let make = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    make.map_err(|source| failed("make the directory", source))?;
    set_permissions(dir, Permissions::from_mode(0o700)).map_err(|source| failed("set the mode of", source))?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let disk = RealDisk::new(parent);
        disk.sync_dir().map_err(|error| disk.failed("sync the directory", "", error))?;
    }
    Ok(())
}

/// The lock, or `None` if another process has it. The system drops it with the process.
fn take_lock(dir: &Path) -> Result<Option<File>, DiskError> {
    let path = dir.join(LOCK);
    let failed = |source| DiskError { doing: "lock", path: path.clone(), source };
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A segment's file.
#[derive(Clone, Copy)]
struct Found {
    before: u32,
    length: u64,
}

fn recover(disk: &dyn Disk) -> Result<(Index, Recovered), OpenError> {
    let mut recovered = Recovered::default();
    let found = list(disk, &mut recovered.foreign)?;
    // A process that died between making or removing a segment and syncing left a name that may not last, or come back.
    disk.sync_dir().map_err(|error| disk.failed("sync the directory", "", error))?;
    let mut index = Index::default();
    for (number, segment) in &found {
        let name = name(*number, segment.before);
        let expected = found.get(&(number + 1)).map(|next| next.before);
        let length = segment.length.min(MAX_SEGMENT_BYTES);
        let file = disk.open(&name).map_err(|error| disk.failed("open", &name, error))?;
        let scanned = scan(&*file, *number, length, expected).map_err(|error| disk.failed("read", &name, error))?;
        recovered.lost_entries += scanned.lost_entries;
        recovered.lost_bytes += scanned.lost_bytes;
        recovered.torn_bytes += scanned.torn_bytes;
        let bytes = cut(disk, &name, segment.length, &scanned);
        // What a killed process had written, entries or progress, need not be on the disk. From now on it counts.
        let synced = disk.open_to_write(&name).and_then(|file| file.sync());
        synced.map_err(|error| disk.failed("sync", &name, error))?;
        index.add(*number, Segment::recovered(segment.before, bytes, scanned.records, scanned.generation));
    }
    recovered.entries = index.totals().entries;
    Ok((index, recovered))
}

/// The segments by number, and what else is there.
fn list(disk: &dyn Disk, foreign: &mut Vec<String>) -> Result<BTreeMap<u64, Found>, OpenError> {
    let listed = disk.list(MAX_NAMES).map_err(|error| disk.failed("list", "", error))?;
    if listed.len() > MAX_NAMES {
        return Err(OpenError::TooManyNames { dir: disk.root().to_owned() });
    }
    let mut found = BTreeMap::new();
    for Listed { name, length } in listed {
        match (parse_name(&name), length) {
            (Some((number, before)), Some(length)) if !found.contains_key(&number) => {
                found.insert(number, Found { before, length });
            }
            _ if name == LOCK => {}
            _ => foreign.push(name),
        }
    }
    foreign.sort();
    foreign.truncate(MAX_FOREIGN);
    Ok(found)
}

/// Gives back the room behind the last entry that can be read, if nothing is lost there. Returns what the segment takes.
fn cut(disk: &dyn Disk, name: &str, length: u64, scanned: &Scanned) -> u64 {
    let end = scanned.end;
    let may_cut = scanned.lost_entries == 0 && end < length;
    let cut = may_cut && disk.open_to_write(name).and_then(|file| file.truncate(end)).is_ok();
    if cut { end } else { length }
}
