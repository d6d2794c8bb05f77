//! The writer: appends batches, and answers for what is in the log.

use crate::disk::Disk;
use crate::entries::{ProofError, read_tile};
use crate::frame::{self, MAX_BATCH_BYTES};
use crate::rotation::Rotating;
use crate::served::{CheckError, Content, Served, check_file};
use crate::settle::{HowToSettle, InFlight, Settling};
use crate::wal::{Base, WAL, Wal};
use crate::watch::Tampered;
use crate::{DiskError, Entries, ReadError};
use ledger::{
    Checkpoint, Edge, Hash, LogProof, LogSigner, Note, Origin, TILE_WIDTH, Tile, TileTree, VerifierKey, encode_entry,
};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// A ledger's one writer. Holds the directory's lock until it is dropped.
pub struct Store {
    pub(crate) served: Served,
    pub(crate) wal: Wal,
    pub(crate) signer: LogSigner,
    pub(crate) origin: Origin,
    /// While the key changes.
    pub(crate) rotating: Option<Rotating>,
    pub(crate) head: Head,
    /// What is being made durable beside the appends.
    pub(crate) settling: Option<InFlight>,
    pub(crate) how_to_settle: HowToSettle,
    /// Why nothing can be appended any more.
    pub(crate) broken: Option<String>,
    /// Unlocked when it is closed.
    pub(crate) _lock: Option<File>,
}

/// What an append needs of the log: its right edge and the head that was signed over it.
#[derive(Clone)]
pub(crate) struct Head {
    pub edge: Edge,
    /// The incomplete entry bundle as its file has it: at most 255 entries of 65,537 bytes, 16.8 MB.
    pub tail: Vec<u8>,
    pub note: Note,
    /// The note's text form.
    pub text: String,
    pub root: Hash,
}

/// Whether a batch may take the room that is set aside. The store does not know what entries mean; its caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// An ordinary batch: on a full disk it is refused.
    Keep,
    /// A batch that must get in when the disk is full: it is durable in the write-ahead log, and its tiles and checkpoint are
    /// written when there is room again.
    Use,
}

/// A batch that was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An entry is too long. Nothing was written.
    #[error("entry {entry} of the batch does not fit")]
    EntryTooLong {
        /// Its place in the batch, from 0.
        entry: usize,
        /// How long it is, and how long it may be.
        #[source]
        source: ledger::EntryTooLong,
    },
    /// The batch is too long. Nothing was written.
    #[error("the batch has {found} bytes with its entries' lengths, more than {MAX_BATCH_BYTES}: append it in parts")]
    BatchTooLong {
        /// Its length in bytes, two for each entry included.
        found: usize,
    },
    /// There is no room for it, or a file cannot be written. Nothing was, and the ledger goes on when there is room again;
    /// until then it takes what may use the reserve ([`Reserve::Use`]), until that is full too.
    #[error("there is no room for the batch, so it was not recorded: free some on the ledger's disk")]
    NoRoom(#[source] DiskError),
    /// Somebody else altered the ledger's files. Nothing was acknowledged since.
    #[error(
        "the batch was not acknowledged, for somebody else is at the ledger's files: find out who, keep the folder as it is \
         for the audit, and open the ledger again to learn what is there"
    )]
    Tampered(#[from] Tampered),
    /// The file system failed. The batch may be in the log or not, whole in either case.
    #[error("the batch was not acknowledged; open the ledger again to learn whether it is there")]
    Disk(#[from] DiskError),
    /// An earlier call to the file system failed. Nothing was written.
    #[error("the ledger takes no entries since a write failed ({cause}): repair the disk and open the ledger again")]
    Broken {
        /// What failed.
        cause: String,
    },
}

impl AppendError {
    /// Whether the store goes on as if nothing had been: the batch was refused before anything was written.
    pub fn is_refusal(&self) -> bool {
        match self {
            AppendError::EntryTooLong { .. } | AppendError::BatchTooLong { .. } | AppendError::NoRoom(_) => true,
            AppendError::Tampered(_) | AppendError::Disk(_) | AppendError::Broken { .. } => false,
        }
    }
}

impl From<CheckError> for AppendError {
    fn from(error: CheckError) -> AppendError {
        match error {
            CheckError::Tampered(tampered) => AppendError::Tampered(tampered),
            CheckError::Disk(error) => AppendError::Disk(error),
        }
    }
}

impl Store {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        signer: LogSigner,
        head: Head,
        wal: Wal,
        lock: Option<File>,
    ) -> Result<Store, DiskError> {
        let mut served = Served::new(disk);
        served.adopt(&[head.edge.size()])?;
        let how_to_settle = HowToSettle::AtOnce;
        let origin = head.note.text().lines().next().and_then(|line| Origin::of(signer.verifier().name(), line));
        let origin = origin.expect("the head was verified with the key's name");
        Ok(Store {
            served,
            wal,
            signer,
            origin,
            rotating: None,
            head,
            settling: None,
            how_to_settle,
            broken: None,
            _lock: lock,
        })
    }

    /// Appends an ordinary batch: [`Store::append_with`] and [`Reserve::Keep`].
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<Range<u64>, AppendError> {
        self.append_with(entries, Reserve::Keep)
    }

    /// Appends a batch, all or nothing, and returns the indices of its entries. They are durable, in the tree and under a
    /// signed checkpoint when this returns.
    ///
    /// Costs O(entries + log n), and the rewriting of the incomplete bundle and tiles (at most 255 entries): the log is
    /// never read again. One sync, and after some megabytes those of the files that were written since.
    pub fn append_with(&mut self, entries: &[Vec<u8>], reserve: Reserve) -> Result<Range<u64>, AppendError> {
        let appended = self.append_untidied(entries, reserve);
        self.tidy();
        appended
    }

    /// The same, before [`Store::tidy`]: whoever waits can be answered in between.
    pub(crate) fn append_untidied(&mut self, entries: &[Vec<u8>], reserve: Reserve) -> Result<Range<u64>, AppendError> {
        if let Some(cause) = &self.broken {
            return Err(AppendError::Broken { cause: cause.clone() });
        }
        check_batch(entries)?;
        let first = self.size();
        if entries.is_empty() {
            return Ok(first..first);
        }
        let appended = self.log(entries, reserve);
        // After a failed write nobody knows what is on the disk; opening finds out. So the first failure is the last write.
        self.broken = appended.as_ref().err().filter(|error| !error.is_refusal()).map(with_causes);
        appended
    }

    fn log(&mut self, entries: &[Vec<u8>], reserve: Reserve) -> Result<Range<u64>, AppendError> {
        self.poll_settling()?;
        self.check_files()?;
        let first = self.size();
        let frame = frame::encode(first, entries);
        let behind = match (self.served.catch_up(), reserve) {
            (Ok(()), Reserve::Keep | Reserve::Use) => None,
            (Err(error), Reserve::Keep) => return Err(AppendError::NoRoom(error)),
            (Err(error), Reserve::Use) => Some(error),
        };
        let behind = self.make_room(frame.len() as u64, behind)?;
        let Next { edge, tail, contents } = self.head.next(entries);
        let staged = match behind {
            Some(error) => Err(error),
            None => self.served.stage(&contents),
        };
        let staged = match (staged, reserve) {
            (Ok(staged), Reserve::Keep | Reserve::Use) => staged,
            (Err(error), Reserve::Keep) => return Err(AppendError::NoRoom(error)),
            // They are written when there is room.
            (Err(_), Reserve::Use) => Vec::new(),
        };
        self.wal.write(&frame, edge.size())?;
        // What was synced into a file without a name is gone with the process.
        check_file(&**self.served.disk(), WAL, self.wal.file(), self.wal.length())?;
        self.head = self.sign_head(edge, tail)?;
        self.served.publish(contents, staged, (self.head.text.clone(), self.size()));
        Ok(first..self.size())
    }

    /// Removes what the last batch made superfluous, and prepares for the next.
    pub(crate) fn tidy(&mut self) {
        if self.broken.is_none() {
            self.sweep();
            self.served.prepare();
        }
    }

    /// Whether all files are as the store left them.
    fn check_files(&self) -> Result<(), CheckError> {
        check_file(&**self.served.disk(), WAL, self.wal.file(), self.wal.length())?;
        self.served.check()
    }

    /// Makes room in the write-ahead log. `behind` is why tiles cannot be written, if they cannot: then the batch may use the
    /// reserve. Gives it back.
    fn make_room(&mut self, bytes: u64, behind: Option<DiskError>) -> Result<Option<DiskError>, AppendError> {
        if self.wal.takes(bytes, false) {
            return Ok(behind);
        }
        if !self.wal.other_is_free() {
            self.finish_settling()?;
        }
        if !self.wal.other_is_free() && behind.is_none() {
            self.settle_head()?;
        }
        if self.wal.other_is_free() {
            self.wal.change_halves();
            if behind.is_none() {
                self.begin_settling()?;
            }
            return Ok(behind);
        }
        let cause = behind.expect("what can be written can be settled, and then the other half is free");
        if self.wal.takes(bytes, true) { Ok(Some(cause)) } else { Err(AppendError::NoRoom(cause)) }
    }

    /// Begins to make durable what the head needs, so that the half that it is in is free when the other is full.
    fn begin_settling(&mut self) -> Result<(), DiskError> {
        assert!(self.settling.is_none(), "the half before this one was free");
        if self.size() == self.wal.base_size() {
            return Ok(());
        }
        let settling = self.settling_of_head();
        self.settling = self.how_to_settle.begin(settling)?;
        if self.settling.is_none() {
            self.settled(self.size())
        }
        Ok(())
    }

    fn settling_of_head(&mut self) -> Settling {
        let (files, directories) = self.served.take_unsynced();
        let (note, origin) = (self.head.note.clone(), self.origin.to_string());
        let base = Base { note, size: self.size(), root: self.head.root, origin };
        Settling { disk: self.served.disk().clone(), files, directories, next: self.wal.next_base(base) }
    }

    /// Takes note of what has become durable in the meantime.
    fn poll_settling(&mut self) -> Result<(), DiskError> {
        if self.settling.as_ref().is_some_and(InFlight::is_done) { self.finish_settling() } else { Ok(()) }
    }

    /// Waits until what is being made durable is.
    fn finish_settling(&mut self) -> Result<(), DiskError> {
        if let Some(settling) = self.settling.take() {
            let size = settling.finish()?;
            self.settled(size);
        }
        Ok(())
    }

    /// Makes everything durable, now.
    pub(crate) fn settle_head(&mut self) -> Result<(), DiskError> {
        self.finish_settling()?;
        if self.size() > self.wal.base_size() {
            self.settling_of_head().run()?;
            self.settled(self.size());
        }
        Ok(())
    }

    fn settled(&mut self, size: u64) {
        self.wal.has_base(size);
        self.sweep();
    }

    /// Removes partial files that nothing needs: neither the newest head, nor opening the ledger after a loss of power.
    fn sweep(&mut self) {
        let settling = self.settling.as_ref().map(InFlight::size);
        let sizes: Vec<_> = [self.wal.base_size()].into_iter().chain(settling).chain([self.size()]).collect();
        self.served.sweep(&sizes);
    }

    /// Makes all files durable and gives up the lock, so that the folder is complete as it is. Without it, opening the ledger
    /// does that from the write-ahead log.
    ///
    /// # Errors
    /// What could not be written or synced. The write-ahead log has it.
    pub fn close(mut self) -> Result<(), DiskError> {
        if self.broken.is_some() {
            return Ok(());
        }
        self.served.catch_up()?;
        self.settle_head()?;
        self.served.discard_spares();
        // So that opening it has nothing to read there.
        self.wal.clear()
    }

    /// From now on files are made durable on a thread of its own, beside the appends.
    pub(crate) fn settle_aside(&mut self) {
        self.how_to_settle = HowToSettle::Aside;
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.head.edge.size()
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        self.head.root
    }

    /// The signed checkpoint, as the file has it.
    pub fn checkpoint(&self) -> &str {
        &self.head.text
    }

    /// Which log it is, or which year's part of it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key with which the checkpoints verify.
    pub fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Entries in their order, read bundle by bundle.
    pub fn read(&self, range: Range<u64>) -> Result<Entries<'_>, ReadError> {
        Entries::new(&self.served, self.size(), range)
    }

    /// The root of the first `size` entries.
    pub fn root_at(&self, size: u64) -> Result<Hash, ProofError> {
        self.tree().root(size)
    }

    /// The proof that entry `index` is in the tree of the first `size` entries.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
        self.tree().inclusion_proof(index, size)
    }

    /// The proof that the tree of `new` entries begins with that of `old`.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        self.tree().consistency_proof(old, new)
    }

    /// The proof, for use without a network, that entry `index` is in the log under the current checkpoint.
    pub fn log_proof(&self, index: u64) -> Result<LogProof, ProofError> {
        let hashes = self.inclusion_proof(index, self.size())?;
        Ok(LogProof { extra: None, index, hashes, checkpoint: self.head.note.clone() })
    }

    fn tree(&self) -> TileTree<impl FnMut(Tile) -> Result<Vec<u8>, ReadError>> {
        TileTree::new(self.size(), |tile| read_tile(&self.served, tile))
    }
}

impl Drop for Store {
    /// What is being synced ends before the lock goes: it writes to the write-ahead log, where another writer may be next.
    fn drop(&mut self) {
        if let Some(settling) = self.settling.take() {
            // The write-ahead log has whatever did not become durable.
            let _ = settling.abandon();
        }
    }
}

/// The tree with a batch more, and the files that it changes.
pub(crate) struct Next {
    pub edge: Edge,
    pub tail: Vec<u8>,
    pub contents: Vec<Content>,
}

impl Head {
    /// What entries make of it.
    pub fn next(&self, entries: &[Vec<u8>]) -> Next {
        let mut next = Next { edge: self.edge.clone(), tail: self.tail.clone(), contents: Vec::new() };
        next.extend(entries);
        next.complete(self.edge.size());
        next
    }

    /// Signs the head of a tree whose entries are durable, with all of these keys.
    pub fn sign(origin: &Origin, edge: Edge, tail: Vec<u8>, signers: &[&LogSigner]) -> Result<Head, DiskError> {
        let signed = Checkpoint::of_shard(origin, edge.size(), edge.root()).signed_by(signers);
        Ok(Head::signed(edge, tail, signed.map_err(DiskError::unsigned)?))
    }

    /// The same with a note that was signed before.
    pub fn signed(edge: Edge, tail: Vec<u8>, note: Note) -> Head {
        Head { text: note.to_string(), root: edge.root(), edge, tail, note }
    }
}

impl Next {
    /// Adds entries, and the full tiles and bundles that they complete.
    pub fn extend(&mut self, entries: &[Vec<u8>]) {
        let mut tiles = Vec::new();
        for entry in entries {
            encode_entry(&mut self.tail, entry).expect("the entries' lengths were checked before they were logged");
            self.edge.append(Hash::of_leaf(entry), &mut tiles);
            if self.edge.leaves().is_empty() {
                let index = self.edge.size() / u64::from(TILE_WIDTH) - 1;
                let bundle = ledger::Bundle { index, width: TILE_WIDTH };
                self.contents.push((bundle.to_string(), std::mem::take(&mut self.tail)));
            }
        }
        self.contents.extend(tiles.into_iter().map(|content| (content.tile.to_string(), content.bytes)));
    }

    /// Adds the partial ones that differ from those of `before` entries.
    pub fn complete(&mut self, before: u64) {
        let bundle = ledger::Bundle::partial(self.edge.size());
        self.contents.extend(bundle.map(|bundle| (bundle.to_string(), self.tail.clone())));
        let tiles = self.edge.partial_tiles_since(before).into_iter();
        self.contents.extend(tiles.map(|content| (content.tile.to_string(), content.bytes)));
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &AppendError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// How long the batch is, with its entries' lengths.
pub(crate) fn check_batch(entries: &[Vec<u8>]) -> Result<usize, AppendError> {
    let mut found = 0usize;
    for (at, entry) in entries.iter().enumerate() {
        if entry.len() > ledger::MAX_ENTRY_BYTES {
            let source = ledger::EntryTooLong { length: entry.len() };
            return Err(AppendError::EntryTooLong { entry: at, source });
        }
        found = found.saturating_add(entry.len() + 2);
    }
    if found > MAX_BATCH_BYTES { Err(AppendError::BatchTooLong { found }) } else { Ok(found) }
}
