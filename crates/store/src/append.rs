//! The writer: appends batches, and answers for what is in the log.

use crate::disk::Disk;
use crate::entries::{ProofError, read_tile};
use crate::place::{CHECKPOINT, TEMPORARY, directories_above, places_between};
use crate::rotation::Rotating;
use crate::wal::{self, MAX_BATCH_BYTES, WAL};
use crate::{DiskError, Entries, ReadError};
use ledger::{
    Checkpoint, Edge, Hash, LogProof, LogSigner, Note, TILE_WIDTH, Tile, TileTree, VerifierKey, encode_entry,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;

/// Above this length the write-ahead log is emptied, once everything in it is under a durable checkpoint. So it is never
/// longer than 4 MiB and one frame (1 MiB and 20 bytes), which bounds what opening reads.
pub(crate) const WAL_RESTART_BYTES: u64 = 4 * 1024 * 1024;

/// A ledger's one writer. Holds the directory's lock until it is dropped.
pub struct Store {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) signer: LogSigner,
    /// While the key changes.
    pub(crate) rotating: Option<Rotating>,
    pub(crate) head: Head,
    /// Length of the write-ahead log.
    pub(crate) wal_bytes: u64,
    /// Why nothing can be appended any more.
    pub(crate) broken: Option<String>,
    /// Unlocked when it is closed.
    pub(crate) _lock: Option<File>,
}

/// What an append needs of the log: its right edge and the head that was signed over it.
pub(crate) struct Head {
    pub edge: Edge,
    /// The incomplete entry bundle as its file has it: at most 255 entries of 65,537 bytes, 16.8 MB.
    pub tail: Vec<u8>,
    pub note: Note,
    /// The note's text form.
    pub text: String,
    pub root: Hash,
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

impl Store {
    /// Appends a batch, all or nothing, and returns the indices of its entries. They are durable, in the tree and under a
    /// signed checkpoint when this returns.
    ///
    /// Costs O(entries + log n), and the rewriting of the incomplete bundle and tiles (at most 255 entries): the log is
    /// never read again.
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<Range<u64>, AppendError> {
        if let Some(cause) = &self.broken {
            return Err(AppendError::Broken { cause: cause.clone() });
        }
        check_batch(entries)?;
        let first = self.size();
        if entries.is_empty() {
            return Ok(first..first);
        }
        let frame = wal::encode(first, entries);
        self.breaking(|store| store.disk.append_synced(WAL, &frame))?;
        self.wal_bytes += frame.len() as u64;
        self.breaking(|store| store.integrate(entries))?;
        let appended = first..self.size();
        // The batch is acknowledged whatever becomes of this; if it fails, the next append says so.
        let tidied = self.breaking(|store| store.tidy(first));
        drop(tidied);
        Ok(appended)
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

    /// The key with which the checkpoints verify.
    pub fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Entries in their order, read bundle by bundle.
    pub fn read(&self, range: Range<u64>) -> Result<Entries<'_>, ReadError> {
        Entries::new(&*self.disk, self.size(), range)
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
        TileTree::new(self.size(), |tile| read_tile(&*self.disk, tile))
    }

    /// After a failed write nobody knows what is on the disk; opening finds out. So the first failure is the last write.
    fn breaking<T>(&mut self, run: impl FnOnce(&mut Store) -> Result<T, DiskError>) -> Result<T, DiskError> {
        let result = run(self);
        if let Err(error) = &result {
            self.broken = Some(format!("{error}: {}", error.source));
        }
        result
    }

    /// Brings entries that are durable in the write-ahead log into bundles, tiles and checkpoint.
    pub(crate) fn integrate(&mut self, entries: &[Vec<u8>]) -> Result<(), DiskError> {
        let before = self.size();
        let mut edge = self.head.edge.clone();
        let mut tail = self.head.tail.clone();
        let (mut tiles, mut files) = (Vec::new(), Vec::new());
        for entry in entries {
            encode_entry(&mut tail, entry).expect("the entries' lengths were checked before they were logged");
            edge.append(Hash::of_leaf(entry), &mut tiles);
            if edge.leaves().is_empty() {
                let bundle = ledger::Bundle { index: edge.size() / u64::from(TILE_WIDTH) - 1, width: TILE_WIDTH };
                files.push((bundle.to_string(), std::mem::take(&mut tail)));
            }
        }
        files.extend(ledger::Bundle::partial(edge.size()).map(|bundle| (bundle.to_string(), tail.clone())));
        tiles.extend(edge.partial_tiles_since(before));
        files.extend(tiles.into_iter().map(|content| (content.tile.to_string(), content.bytes)));
        self.write_files(&files)?;
        let head = self.sign_head(edge, tail)?;
        write_checkpoint(&*self.disk, &head.text)?;
        self.head = head;
        Ok(())
    }

    /// Writes tiles and bundles, and makes them and the directories above them durable.
    fn write_files(&self, files: &[(String, Vec<u8>)]) -> Result<(), DiskError> {
        let mut changed = BTreeSet::new();
        for (path, content) in files {
            let above: Vec<_> = directories_above(path).collect();
            for directory in above.iter().rev() {
                if self.disk.create_dir(directory)? {
                    changed.insert(directory.rsplit_once('/').map_or("", |(parent, _)| parent));
                }
            }
            self.disk.write_synced(TEMPORARY, content)?;
            self.disk.rename(TEMPORARY, path)?;
            changed.extend(above.first());
        }
        for directory in changed {
            self.disk.sync_dir(directory)?;
        }
        Ok(())
    }

    /// Removes partial files that the checkpoint does not need since the log had `before` entries, and empties a
    /// write-ahead log that has become long. A removal that a crash undoes costs nothing but the file's space.
    pub(crate) fn tidy(&mut self, before: u64) -> Result<(), DiskError> {
        // Only what was partial before can have left partial files, and that is the place of the next entry.
        for place in places_between(before, before) {
            place.sweep(&*self.disk, self.size())?;
        }
        if self.wal_bytes > WAL_RESTART_BYTES {
            self.disk.truncate_synced(WAL, 0)?;
            self.wal_bytes = 0;
        }
        Ok(())
    }
}

impl Head {
    /// Signs the head of a tree whose tiles are durable, with all of these keys.
    pub fn sign(edge: Edge, tail: Vec<u8>, signers: &[&LogSigner]) -> Result<Head, DiskError> {
        let root = edge.root();
        let signed = Checkpoint::new(signers[0].verifier().name(), edge.size(), root).signed_by(signers);
        let note = signed.map_err(DiskError::unsigned)?;
        let text = note.to_string();
        Ok(Head { edge, tail, note, text, root })
    }
}

/// Replaces the checkpoint, durably.
pub(crate) fn write_checkpoint(disk: &dyn Disk, text: &str) -> Result<(), DiskError> {
    disk.write_synced(TEMPORARY, text.as_bytes())?;
    disk.rename(TEMPORARY, CHECKPOINT)?;
    disk.sync_dir("").map(drop)
}

fn check_batch(entries: &[Vec<u8>]) -> Result<(), AppendError> {
    let mut found = 0usize;
    for (at, entry) in entries.iter().enumerate() {
        if entry.len() > ledger::MAX_ENTRY_BYTES {
            let source = ledger::EntryTooLong { length: entry.len() };
            return Err(AppendError::EntryTooLong { entry: at, source });
        }
        found = found.saturating_add(entry.len() + 2);
    }
    if found > MAX_BATCH_BYTES { Err(AppendError::BatchTooLong { found }) } else { Ok(()) }
}
