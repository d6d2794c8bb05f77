//! Creating and opening a ledger, and what is said of one that cannot be; [`crate::recover`] completes what a crash left.

use crate::append::Head;
use crate::disk::Disk;
use crate::entries::ProofError;
use crate::place::{CHECKPOINT, TEMPORARY, TEMPORARY_CHECKPOINT};
use crate::real_disk::RealDisk;
use crate::recover::recover;
use crate::wal::{self, Base, Layout};
use crate::{DiskError, RotationError, Signers, Store, VerifyError};
use ledger::{Edge, Hash, LogSigner, OpenCheckpointError, Origin};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError, set_permissions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file whose lock the writer holds.
const LOCK: &str = "lock";

/// What opening completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries that were durable, but under no checkpoint that is there. After the end of a process their append was never
    /// acknowledged; after a loss of power it may have been, for the checkpoint need not be the newest.
    pub entries_replayed: u64,
    /// Bytes of a batch that a crash tore.
    pub bytes_cut: u64,
    /// Whether the checkpoint was torn, as a loss of power may leave it, and made again.
    pub checkpoint_torn: bool,
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
    /// The checkpoint is of another year's part of the log.
    #[error(
        "the checkpoint of {} is of {found}, expected {expected}: somebody put it there; restore the ledger from a backup; \
         nothing was changed", dir.display()
    )]
    OtherShard {
        /// The directory.
        dir: PathBuf,
        /// What the checkpoint says.
        found: String,
        /// What the write-ahead log says.
        expected: String,
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
    /// Somebody signed or cosigned more entries than there are.
    #[error(
        "the ledger in {} has {found} entries, fewer than the {claimed} of {by}: it was set back; restore it from a backup; \
         nothing was changed", dir.display()
    )]
    SetBack {
        /// The directory.
        dir: PathBuf,
        /// How many entries there are.
        found: u64,
        /// How many there were.
        claimed: u64,
        /// What says so: the checkpoint, or a file of cosignatures.
        by: String,
    },
    /// Somebody signed or cosigned other entries.
    #[error(
        "the first {size} entries of the ledger in {} lead to the root {computed}, but {by} has {signed}: entries were \
         altered, or the log was forked; restore the ledger from a backup; nothing was changed", dir.display()
    )]
    Forked {
        /// The directory.
        dir: PathBuf,
        /// How many entries.
        size: u64,
        /// The root that they give.
        computed: Hash,
        /// The root that was signed.
        signed: Hash,
        /// What says so: the checkpoint, or a file of cosignatures.
        by: String,
    },
    /// The checkpoint is older than what was durable before it was replaced.
    #[error(
        "the checkpoint of {} has {found} entries, but a newer one of {durable} entries was durable: somebody put it there; \
         restore the ledger from a backup; nothing was changed", dir.display()
    )]
    Older {
        /// The directory.
        dir: PathBuf,
        /// The size in the checkpoint.
        found: u64,
        /// The size that the write-ahead log's head has.
        durable: u64,
    },
    /// The write-ahead log does not continue the durable head, or has a gap.
    #[error(
        "the write-ahead log of {} goes on at entry {found}, expected {expected}: restore the ledger from a backup; nothing \
         was changed", dir.display()
    )]
    Gap {
        /// The directory.
        dir: PathBuf,
        /// The index that should be next.
        expected: u64,
        /// The index that is.
        found: u64,
    },
    /// The write-ahead log has another length.
    #[error(
        "the write-ahead log of {} has {found} bytes, expected {expected}: it was cut or extended; restore the ledger from a \
         backup, or, if it was closed in order, remove the file `wal`: then all entries are verified when it is opened; \
         nothing was changed", dir.display()
    )]
    WalLength {
        /// The directory.
        dir: PathBuf,
        /// Its length.
        found: u64,
        /// The length that it was made with.
        expected: u64,
    },
    /// The write-ahead log has no head.
    #[error(
        "the write-ahead log of {} does not begin with the head of a log: it was overwritten; restore the ledger from a \
         backup, or, if it was closed in order, remove the file `wal`: then all entries are verified when it is opened; \
         nothing was changed", dir.display()
    )]
    WalHead {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no write-ahead log, as in a copy of the served files, and the entries do not verify.
    #[error("the ledger in {} has no write-ahead log, so all its entries were verified, and they do not hold", dir.display())]
    Unverified {
        /// The directory.
        dir: PathBuf,
        /// What does not hold.
        #[source]
        source: VerifyError,
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
        let signer = signer.into();
        let origin = Origin::first(signer.verifier().name());
        Store::create_shard(dir, signer, &origin)
    }

    /// The same for a shard of the log.
    pub(crate) fn create_shard(dir: &Path, signer: LogSigner, origin: &Origin) -> Result<Store, CreateError> {
        let failed = |doing, source| DiskError { doing, path: dir.to_owned(), source };
        let make = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        make.map_err(|source| failed("make the directory", source))?;
        let disk = Arc::new(RealDisk::new(dir));
        check_empty(&*disk, dir)?;
        set_permissions(dir, Permissions::from_mode(0o700)).map_err(|source| failed("set the mode of", source))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            RealDisk::new(parent).sync_dir("")?;
        }
        let lock = take_lock(dir)?.ok_or_else(|| CreateError::Locked { dir: dir.to_owned() })?;
        Store::create_on(disk, dir, (signer, origin), Some(lock), Layout::STANDARD)
    }

    /// Opens a ledger, and completes what a crash left. While its key changes both keys are needed, and [`Store::verifier`] says
    /// which is in force.
    pub fn open(dir: &Path, signers: impl Into<Signers>) -> Result<(Store, Recovered), OpenError> {
        let disk = Arc::new(RealDisk::new(dir));
        if disk.identity(CHECKPOINT)?.is_none() {
            return Err(OpenError::NoCheckpoint { dir: dir.to_owned() });
        }
        let lock = take_lock(dir)?.ok_or_else(|| OpenError::Locked { dir: dir.to_owned() })?;
        Store::open_on(disk, dir, signers, Some(lock), Layout::STANDARD)
    }

    pub(crate) fn create_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        (signer, origin): (LogSigner, &Origin),
        lock: Option<File>,
        layout: Layout,
    ) -> Result<Store, CreateError> {
        check_empty(&*disk, dir)?;
        disk.create_dir(TEMPORARY)?;
        let base = Base::of_empty(&signer, origin)?;
        // First what needs room. With the checkpoint it is a ledger; if the rest is missing, opening makes it.
        wal::prepare(&*disk, layout, &base)?;
        let head = Head::signed(Edge::empty(), Vec::new(), base.note.clone());
        disk.write_synced(TEMPORARY_CHECKPOINT, head.text.as_bytes())?;
        disk.rename(TEMPORARY_CHECKPOINT, CHECKPOINT)?;
        disk.sync_dir("")?;
        let wal = wal::install(&*disk, layout, &base)?;
        Ok(Store::new(disk, signer, head, wal, lock)?)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        signers: impl Into<Signers>,
        lock: Option<File>,
        layout: Layout,
    ) -> Result<(Store, Recovered), OpenError> {
        recover(disk, dir, signers.into(), lock, layout)
    }
}

/// Refuses a directory with anything but what a crash can leave of its creation.
fn check_empty(disk: &dyn Disk, dir: &Path) -> Result<(), CreateError> {
    let names = disk.list("")?.unwrap_or_default();
    if names.iter().any(|name| name == CHECKPOINT) {
        return Err(CreateError::Exists { dir: dir.to_owned() });
    }
    match names.into_iter().find(|name| ![LOCK, TEMPORARY].contains(&name.as_str())) {
        Some(found) => Err(CreateError::NotEmpty { dir: dir.to_owned(), found }),
        None => Ok(()),
    }
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
