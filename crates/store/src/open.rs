//! Creating and opening a ledger: what a crash left is completed, what was lost or altered is refused. Nothing of a log
//! that is refused is changed, and nothing is ever deleted to make one fit.

use crate::append::{Head, write_checkpoint};
use crate::disk::{Disk, RealDisk};
use crate::entries::{ProofError, read_bundle, read_tile};
use crate::place::{CHECKPOINT, Place, TEMPORARY, directories_between, places_between};
use crate::rotation;
use crate::wal::{self, WAL};
use crate::{DiskError, ReadError, RotationError, Signers, Store};
use ledger::{
    Bundle, Checkpoint, Edge, EdgeError, HASH_BYTES, Hash, LogSigner, MAX_NOTE_BYTES, OpenCheckpointError, TILE_WIDTH,
    Tile, encode_entry,
};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError, set_permissions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The file whose lock the writer holds.
const LOCK: &str = "lock";

/// What opening completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries that were durable, but not yet under a checkpoint. Their append was never acknowledged.
    pub entries_replayed: u64,
    /// Bytes of a batch that a crash tore, or that are no batch.
    pub bytes_cut: u64,
}

/// A ledger that cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is a ledger already.
    #[error("{} holds a ledger already: open it, or choose another directory", dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds something else.
    #[error("{} is not empty (it holds {found:?}) and is no ledger: choose another directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// One of the names in it.
        found: String,
    },
    /// Another process is at it.
    #[error("another process writes to {}: stop it first", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A ledger that cannot be opened. Nothing in its directory was changed, except where the file system failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no checkpoint.
    #[error(
        "{} holds no ledger, for it has no checkpoint: create a new one in an empty directory, or restore this one from \
         a backup", dir.display()
    )]
    NoCheckpoint {
        /// The directory.
        dir: PathBuf,
    },
    /// The checkpoint is not this log's, not of this key, or not a checkpoint at all.
    #[error("the checkpoint of {} does not hold: use the key that it was made with", dir.display())]
    Checkpoint {
        /// The directory.
        dir: PathBuf,
        /// What is wrong; names both keys.
        #[source]
        source: OpenCheckpointError,
    },
    /// Tiles or entries are missing, short or altered.
    #[error(
        "the ledger in {} is shorter than its checkpoint of {size} entries, or was altered: restore it from a backup; \
         nothing was changed", dir.display()
    )]
    Short {
        /// The directory.
        dir: PathBuf,
        /// The number of entries that the checkpoint was signed over.
        size: u64,
        /// What is missing.
        #[source]
        source: ProofError,
    },
    /// The tiles do not lead to the signed root.
    #[error(
        "the tiles in {} lead to the root {computed}, but the checkpoint of {size} entries was signed over {signed}: \
         restore the ledger from a backup; nothing was changed", dir.display()
    )]
    Root {
        /// The directory.
        dir: PathBuf,
        /// The number of entries that the checkpoint was signed over.
        size: u64,
        /// The root that the tiles give.
        computed: Hash,
        /// The root in the checkpoint.
        signed: Hash,
    },
    /// The write-ahead log does not continue the checkpoint, or has a gap.
    #[error(
        "the write-ahead log of {} goes on at entry {found}, expected {expected}: tiles or checkpoint are older than it; \
         restore the ledger from a backup; nothing was changed", dir.display()
    )]
    Gap {
        /// The directory.
        dir: PathBuf,
        /// The index that should be next.
        expected: u64,
        /// The index that is.
        found: u64,
    },
    /// A key is missing or was replaced, or a change of the key was lost.
    #[error("{} cannot be opened with the signing key that is there", dir.display())]
    Rotation {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<RotationError>,
    },
    /// Another process is at it.
    #[error("another process writes to {}: stop it first; to read, no lock is needed", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Store {
    /// Makes an empty ledger in a directory that does not exist or is empty. What a crash left of an earlier call does
    /// not hinder it. The log's origin is the key's name.
    pub fn create(dir: &Path, signer: impl Into<LogSigner>) -> Result<Store, CreateError> {
        let failed = |doing, source| DiskError { doing, path: dir.to_owned(), source };
        let make = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        make.map_err(|source| failed("make the directory", source))?;
        let disk = Box::new(RealDisk::new(dir));
        check_empty(&*disk, dir)?;
        set_permissions(dir, Permissions::from_mode(0o700)).map_err(|source| failed("set the mode of", source))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            RealDisk::new(parent).sync_dir("")?;
        }
        let lock = take_lock(dir)?.ok_or_else(|| CreateError::Locked { dir: dir.to_owned() })?;
        Store::create_on(disk, dir, signer, Some(lock))
    }

    /// Opens a ledger, and completes what a crash left. While its key changes both keys are needed, and [`Store::verifier`] says
    /// which is in force.
    pub fn open(dir: &Path, signers: impl Into<Signers>) -> Result<(Store, Recovered), OpenError> {
        let disk = Box::new(RealDisk::new(dir));
        if disk.length(CHECKPOINT)?.is_none() {
            return Err(OpenError::NoCheckpoint { dir: dir.to_owned() });
        }
        let lock = take_lock(dir)?.ok_or_else(|| OpenError::Locked { dir: dir.to_owned() })?;
        Store::open_on(disk, dir, signers, Some(lock))
    }

    pub(crate) fn create_on(
        disk: Box<dyn Disk>,
        dir: &Path,
        signer: impl Into<LogSigner>,
        lock: Option<File>,
    ) -> Result<Store, CreateError> {
        let signer = signer.into();
        check_empty(&*disk, dir)?;
        disk.write_synced(WAL, &[])?;
        disk.sync_dir("")?;
        let head = Head::sign(Edge::empty(), Vec::new(), &[&signer])?;
        write_checkpoint(&*disk, &head.text)?;
        Ok(Store { disk, signer, rotating: None, head, wal_bytes: 0, broken: None, _lock: lock })
    }

    pub(crate) fn open_on(
        disk: Box<dyn Disk>,
        dir: &Path,
        signers: impl Into<Signers>,
        lock: Option<File>,
    ) -> Result<(Store, Recovered), OpenError> {
        let rotation = |source| OpenError::Rotation { dir: dir.to_owned(), source: Box::new(source) };
        let (signer, rotating) = rotation::choose(&*disk, signers.into()).map_err(rotation)?;
        let head = read_head(&*disk, dir, &signer)?;
        let size = head.edge.size();
        let scanned = scan(&*disk, dir, size)?;
        let mut store = Store { disk, signer, rotating, head, wal_bytes: scanned.length, broken: None, _lock: lock };
        // A process that died between renaming and syncing left names that are there, but not durable.
        for directory in directories_between(scanned.first, scanned.end) {
            store.disk.sync_dir(&directory)?;
        }
        store.disk.sync_dir("")?;
        let mut offset = 0;
        while offset < scanned.valid {
            let Some(frame) = wal::read_frame(&*store.disk, offset)? else { break };
            offset = frame.end_offset;
            if frame.first >= size {
                store.integrate(&frame.entries)?;
            }
        }
        store.settle_rotation().map_err(rotation)?;
        for place in places_between(scanned.first, scanned.end) {
            place.sweep(&*store.disk, store.size())?;
        }
        // All of it is under a durable checkpoint now, so the next batch starts a new one.
        if scanned.length > 0 {
            store.disk.truncate_synced(WAL, 0)?;
        }
        store.wal_bytes = 0;
        let entries_replayed = store.size() - size;
        Ok((store, Recovered { entries_replayed, bytes_cut: scanned.length - scanned.valid }))
    }
}

/// Refuses a directory with anything but what a crash can leave of its creation.
fn check_empty(disk: &dyn Disk, dir: &Path) -> Result<(), CreateError> {
    for found in disk.list("")?.unwrap_or_default() {
        match found.as_str() {
            CHECKPOINT => return Err(CreateError::Exists { dir: dir.to_owned() }),
            LOCK | TEMPORARY => {}
            WAL if disk.length(WAL)? == Some(0) => {}
            _ => return Err(CreateError::NotEmpty { dir: dir.to_owned(), found }),
        }
    }
    Ok(())
}

/// The writer's lock, or `None` if another process has it. The system drops it with the process.
pub(crate) fn take_lock(dir: &Path) -> Result<Option<File>, DiskError> {
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

/// The head that the checkpoint signs, once the tiles bear it out.
fn read_head(disk: &dyn Disk, dir: &Path, signer: &LogSigner) -> Result<Head, OpenError> {
    let bytes = disk.read(CHECKPOINT, MAX_NOTE_BYTES)?.ok_or(OpenError::NoCheckpoint { dir: dir.to_owned() })?;
    // A byte that is not UTF-8 is replaced, which no signature survives.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let refused = |source| OpenError::Checkpoint { dir: dir.to_owned(), source };
    let note = text.parse().map_err(|error| refused(OpenCheckpointError::Note(error)))?;
    let checkpoint = Checkpoint::open_note(&note, signer.verifier()).map_err(refused)?;
    let size = checkpoint.size();
    let short = |source| match source {
        ProofError::Tile(EdgeError::Read { source: ReadError::Disk(error), .. }) => OpenError::Disk(error),
        source => OpenError::Short { dir: dir.to_owned(), size, source },
    };
    let edge = Edge::from_tiles(size, |tile| read_tile(disk, tile)).map_err(|error| short(error.into()))?;
    let (computed, signed) = (edge.root(), checkpoint.root());
    if computed != signed {
        return Err(OpenError::Root { dir: dir.to_owned(), size, computed, signed });
    }
    let in_tile = |tile| move |source| ProofError::Tile(EdgeError::Read { tile, source });
    let first = Tile { level: 0, index: 0, width: TILE_WIDTH };
    check_full_files(disk, size).map_err(in_tile(first)).map_err(short)?;
    let tail = read_tail(disk, &edge).map_err(in_tile(first)).map_err(short)?;
    Ok(Head { edge, tail, note, text, root: signed })
}

/// That every full tile and bundle is there and has a length that it can have. Two calls for 256 entries; whether their
/// content is what was signed is for [`crate::Reader::verify`], which reads everything.
fn check_full_files(disk: &dyn Disk, size: u64) -> Result<(), ReadError> {
    let check = |place: Place, fits: fn(u64) -> bool, expected: usize| {
        let path = place.path(TILE_WIDTH);
        match disk.length(&path)? {
            None => Err(ReadError::Missing { path }),
            Some(found) if fits(found) => Ok(()),
            Some(found) => {
                Err(ReadError::Length { path, found: usize::try_from(found).unwrap_or(usize::MAX), expected })
            }
        }
    };
    const TILE_BYTES: usize = TILE_WIDTH as usize * HASH_BYTES;
    for index in 0..Tile::full_count(0, size) {
        // At least the lengths of its entries.
        check(Place::Bundle { index }, |found| found >= u64::from(TILE_WIDTH) * 2, usize::from(TILE_WIDTH) * 2)?;
    }
    for level in 0.. {
        let full = Tile::full_count(level, size);
        if full == 0 {
            return Ok(());
        }
        for index in 0..full {
            check(Place::Tile { level, index }, |found| found == TILE_BYTES as u64, TILE_BYTES)?;
        }
    }
    Ok(())
}

/// The incomplete bundle, whose entries have the hashes of the edge's incomplete tile.
fn read_tail(disk: &dyn Disk, edge: &Edge) -> Result<Vec<u8>, ReadError> {
    let mut tail = Vec::new();
    let Some(bundle) = Bundle::partial(edge.size()) else { return Ok(tail) };
    let first = bundle.index * u64::from(TILE_WIDTH);
    for ((entry, leaf), index) in read_bundle(disk, bundle)?.iter().zip(edge.leaves()).zip(first..) {
        if Hash::of_leaf(entry) != *leaf {
            let tile = Tile { level: 0, index: bundle.index, width: bundle.width }.to_string();
            return Err(ReadError::Altered { index, tile });
        }
        encode_entry(&mut tail, entry).expect("an entry of a bundle fits into a bundle");
    }
    Ok(tail)
}

/// What is in the write-ahead log.
struct Scanned {
    /// Its length.
    length: u64,
    /// How much of it are whole frames.
    valid: u64,
    /// The index of its first entry.
    first: u64,
    /// The index after its last entry.
    end: u64,
}

/// Reads the write-ahead log once, frame by frame, and checks that it leads from the checkpoint on without a gap.
fn scan(disk: &dyn Disk, dir: &Path, size: u64) -> Result<Scanned, OpenError> {
    // A copy of the served files alone has no write-ahead log: everything acknowledged is in the tiles.
    let Some(length) = disk.length(WAL)? else {
        disk.write_synced(WAL, &[])?;
        return Ok(Scanned { length: 0, valid: 0, first: size, end: size });
    };
    let mut scanned = Scanned { length, valid: 0, first: size, end: size };
    let mut next = None;
    while scanned.valid < length {
        let Some(frame) = wal::read_frame(disk, scanned.valid)? else { break };
        let Some(end) = frame.end() else { break };
        let gap = |expected| OpenError::Gap { dir: dir.to_owned(), expected, found: frame.first };
        match next {
            Some(next) if frame.first != next => return Err(gap(next)),
            None if frame.first > size => return Err(gap(size)),
            Some(_) | None => {}
        }
        // A checkpoint is signed over whole batches only.
        if frame.first < size && size < end {
            return Err(gap(size));
        }
        scanned.first = scanned.first.min(frame.first);
        scanned.end = end;
        scanned.valid = frame.end_offset;
        next = Some(end);
    }
    Ok(scanned)
}
