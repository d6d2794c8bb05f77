//! Reading a ledger without its lock and without its private key: for auditors, beside the writer or from a copy.
//!
//! A copy taken while the writer appends must have its `checkpoint` copied first: the tiles then hold all that it needs.

use crate::cosignatures;
use crate::disk::ReadDisk;
use crate::entries::{read_bundle, read_tile};
use crate::place::{CHECKPOINT, ENTRIES, TILES};
use crate::real_disk::RealDisk;
use crate::rotation::claimed_size;
use crate::{CosignatureError, CosignedHead, CosignedNote, DiskError, Entries, ProofError, ReadError};
use ledger::{
    Bundle, Checkpoint, Edge, HASH_BYTES, Hash, Head, LogProof, MAX_NOTE_BYTES, Note, OpenCheckpointError, TILE_WIDTH,
    Tile, TileContent, TileTree, VerifierKey, WitnessKey, encode_entry, verify_inclusion,
};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A ledger's directory, read only.
pub struct Reader {
    disk: Box<dyn ReadDisk>,
    dir: PathBuf,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The log's origin.
    pub origin: String,
    /// The size that the checkpoint was signed over.
    pub size: u64,
    /// The root that the checkpoint was signed over, and to which the entries lead.
    pub root: Hash,
    /// Entries that were hashed: as many as `size`, or none where they were pruned and their hashes are there alone.
    pub entries: u64,
    /// Tiles that were compared.
    pub tiles: u64,
}

/// A directory that is no ledger's.
#[derive(Debug, thiserror::Error)]
pub enum OpenReaderError {
    /// There is no checkpoint.
    #[error("{} holds no ledger, for it has no checkpoint", dir.display())]
    NoCheckpoint {
        /// The directory.
        dir: PathBuf,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A checkpoint that is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum ReadCheckpointError {
    /// There is none any more.
    #[error("{} has no checkpoint", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// It does not hold.
    #[error("the checkpoint of {} does not hold", dir.display())]
    Open {
        /// The directory.
        dir: PathBuf,
        /// What is wrong; names both keys.
        #[source]
        source: OpenCheckpointError,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A ledger that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] ReadCheckpointError),
    /// Entries or tiles are missing or malformed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile is not what the entries hash to.
    #[error("{tile} does not hold what the entries hash to, from its hash number {hash} on: one of them was altered")]
    Tile {
        /// The tile's path.
        tile: String,
        /// The first hash that differs, from 0 within the tile.
        hash: usize,
    },
    /// The entries do not lead to the signed root.
    #[error("the {size} entries lead to the root {computed}, but the checkpoint was signed over {signed}")]
    Root {
        /// The number of entries.
        size: u64,
        /// The root that the entries give.
        computed: Hash,
        /// The root in the checkpoint.
        signed: Hash,
    },
    /// A proof cannot be made.
    #[error("no proof can be made")]
    Proof(#[source] ProofError),
    /// A proof that was made of the tiles does not lead to the signed root.
    #[error("a proof made of the tiles does not hold: a tile was altered")]
    Altered(#[source] ledger::ProofError),
}

impl Reader {
    /// Opens a ledger's directory, or a plain copy of one. Nothing in it is changed or locked.
    pub fn open(dir: &Path) -> Result<Reader, OpenReaderError> {
        let disk = RealDisk::new(dir);
        if disk.length(CHECKPOINT)?.is_none() {
            return Err(OpenReaderError::NoCheckpoint { dir: dir.to_owned() });
        }
        Ok(Reader::on(Box::new(disk), dir))
    }

    pub(crate) fn disk(&self) -> &dyn ReadDisk {
        &*self.disk
    }

    pub(crate) fn on(disk: Box<dyn ReadDisk>, dir: &Path) -> Reader {
        Reader { disk, dir: dir.to_owned() }
    }

    /// The current checkpoint, once the key has signed it. What it was signed over stays readable while a writer goes on.
    pub fn checkpoint(&self, key: &VerifierKey) -> Result<Checkpoint, ReadCheckpointError> {
        self.signed_checkpoint(key).map(|(checkpoint, _)| checkpoint)
    }

    /// The same, and the note that it stands in, with all its signatures.
    pub fn signed_checkpoint(&self, key: &VerifierKey) -> Result<(Checkpoint, Note), ReadCheckpointError> {
        let bytes = self.disk.read(CHECKPOINT, MAX_NOTE_BYTES)?;
        let bytes = bytes.ok_or_else(|| ReadCheckpointError::Missing { dir: self.dir.clone() })?;
        let refused = |source| ReadCheckpointError::Open { dir: self.dir.clone(), source };
        // A byte that is not UTF-8 is replaced, which no signature survives.
        let note: Note =
            String::from_utf8_lossy(&bytes).parse().map_err(|error| refused(OpenCheckpointError::Note(error)))?;
        let checkpoint = Checkpoint::open_note(&note, key).map_err(refused)?;
        Ok((checkpoint, note))
    }

    /// A tile as tlog-tiles serves it; `None` if it is not there in that width, or was replaced by a wider one that is not
    /// either. It may hold hashes of entries that no checkpoint covers yet.
    pub fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, ReadError> {
        served(read_tile(&*self.disk, tile))
    }

    /// A bundle of entries as tlog-tiles serves it (not compressed), likewise.
    pub fn bundle(&self, bundle: Bundle) -> Result<Option<Vec<u8>>, ReadError> {
        let entries = served(read_bundle(&*self.disk, bundle))?;
        Ok(entries.map(|entries| {
            let mut bytes = Vec::with_capacity(entries.iter().map(|entry| entry.len() + 2).sum());
            for entry in entries {
                encode_entry(&mut bytes, &entry).expect("an entry that was read from a bundle fits into one");
            }
            bytes
        }))
    }

    /// Whether the entries were pruned ([`crate::Shards::prune`]).
    pub fn is_pruned(&self) -> Result<bool, DiskError> {
        Ok(self.disk.list(ENTRIES)?.is_none() && self.disk.list(TILES)?.is_some())
    }

    /// Hashes every entry again, and compares with every tile up to the signed root. Reads the whole log once, with one
    /// bundle at a time in memory.
    pub fn verify(&self, key: &VerifierKey) -> Result<Report, VerifyError> {
        self.verify_from(key, false)
    }

    /// The same of a log whose entries were pruned: their hashes are taken as they are. Whether they may be gone is for
    /// whoever knows a record that says so.
    pub fn verify_pruned(&self, key: &VerifierKey) -> Result<Report, VerifyError> {
        self.verify_from(key, true)
    }

    fn verify_from(&self, key: &VerifierKey, pruned: bool) -> Result<Report, VerifyError> {
        let checkpoint = self.checkpoint(key)?;
        let size = checkpoint.size();
        let (mut edge, mut tiles) = (Edge::empty(), 0);
        while let Some(bundle) = Bundle::holding(edge.size(), size) {
            let mut completed = Vec::new();
            let leaves = match pruned {
                false => read_bundle(&*self.disk, bundle)?.iter().map(|entry| Hash::of_leaf(entry)).collect(),
                true => self.leaves(bundle)?,
            };
            leaves.into_iter().for_each(|leaf| edge.append(leaf, &mut completed));
            tiles += self.compare(&completed)?;
        }
        tiles += self.compare(&edge.partial_tiles_since(0))?;
        let (computed, signed) = (edge.root(), checkpoint.root());
        if computed != signed {
            return Err(VerifyError::Root { size, computed, signed });
        }
        Ok(Report {
            origin: checkpoint.origin().to_owned(),
            size,
            root: signed,
            entries: if pruned { 0 } else { size },
            tiles,
        })
    }

    /// The hashes of a bundle's entries, from the tile beside it.
    fn leaves(&self, Bundle { index, width }: Bundle) -> Result<Vec<Hash>, ReadError> {
        let bytes = read_tile(&*self.disk, Tile { level: 0, index, width })?;
        Ok(bytes.chunks_exact(HASH_BYTES).filter_map(|hash| hash.first_chunk()).map(|hash| Hash(*hash)).collect())
    }

    /// Compares tiles with their files, and counts them.
    fn compare(&self, tiles: &[TileContent]) -> Result<u64, VerifyError> {
        for TileContent { tile, bytes } in tiles {
            let found = read_tile(&*self.disk, *tile)?;
            let differs = found.chunks(HASH_BYTES).zip(bytes.chunks(HASH_BYTES)).position(|(file, hash)| file != hash);
            if let Some(hash) = differs {
                return Err(VerifyError::Tile { tile: tile.to_string(), hash });
            }
        }
        Ok(tiles.len() as u64)
    }

    /// Entries under a checkpoint of this log in their order, each checked against its leaf hash, but not against the
    /// root: [`Reader::verify`] does that.
    pub fn entries(&self, checkpoint: &Checkpoint, range: Range<u64>) -> Result<Entries<'_>, ReadError> {
        Entries::new(&*self.disk, checkpoint.size(), range)
    }

    /// All entries, for whoever wrote them: as many as the checkpoint says, whoever signed it.
    pub fn own_entries(&self) -> Result<Entries<'_>, ReadError> {
        let size = claimed_size(&*self.disk)?.unwrap_or(0);
        Entries::new(&*self.disk, size, 0..size)
    }

    /// The proof that entry `index` is under this checkpoint. It was verified against the checkpoint's root.
    pub fn inclusion_proof(&self, checkpoint: &Checkpoint, index: u64) -> Result<Vec<Hash>, VerifyError> {
        let size = checkpoint.size();
        let proof = self.tree(size).inclusion_proof(index, size).map_err(VerifyError::Proof)?;
        let tile = Tile::holding(0, index, size).expect("there is a proof, so there is the entry");
        let bytes = read_tile(&*self.disk, tile)?;
        let offset = usize::try_from(index % u64::from(TILE_WIDTH)).expect("a remainder of 256 fits") * HASH_BYTES;
        let leaf = Hash(*bytes[offset..].first_chunk().expect("the tile is as wide as its entries need"));
        verify_inclusion(leaf, index, size, &proof, checkpoint.root()).map_err(VerifyError::Altered)?;
        Ok(proof)
    }

    /// The proof that the log under this checkpoint begins with the tree of its first `old` entries.
    pub fn consistency_proof(&self, checkpoint: &Checkpoint, old: u64) -> Result<Vec<Hash>, VerifyError> {
        let size = checkpoint.size();
        self.tree(size).consistency_proof(old, size).map_err(VerifyError::Proof)
    }

    /// The proof, for use without a network, that entry `index` is in the log under the current checkpoint.
    pub fn log_proof(&self, key: &VerifierKey, index: u64) -> Result<LogProof, VerifyError> {
        let (checkpoint, note) = self.signed_checkpoint(key)?;
        let hashes = self.inclusion_proof(&checkpoint, index)?;
        Ok(LogProof { extra: None, index, hashes, checkpoint: note })
    }

    /// What these witnesses cosigned of this log, each its newest, in the order of `witnesses`; who cosigned nothing is left out.
    /// The log signed it with one of `keys`, of which the last is in force.
    /// That the entries lead to the current checkpoint is for [`Reader::verify`]; that what was cosigned is a beginning of them
    /// is checked here.
    pub fn cosigned<'key>(
        &self,
        keys: &[VerifierKey],
        witnesses: &'key [WitnessKey],
    ) -> Result<Vec<CosignedHead<'key>>, CosignatureError> {
        let key = keys.last().expect("a log has a key");
        // Before the checkpoint: nothing is cosigned that is not under a checkpoint already.
        let mut heads = Vec::new();
        for witness in witnesses {
            heads.extend(cosignatures::read(&*self.disk, keys, witness)?);
        }
        let size = self.checkpoint(key)?.size();
        heads.iter().try_for_each(|it| self.begins_with(it.witness, it.head, size))?;
        Ok(heads)
    }

    /// The newest that a witness cosigned of this log, and the note with the log's signature and its own. Both hold; that it is
    /// a beginning of what is here now is for [`Reader::cosigned`].
    pub fn cosigned_note(
        &self,
        key: &VerifierKey,
        witness: &WitnessKey,
    ) -> Result<Option<(Checkpoint, Note)>, CosignatureError> {
        let read = cosignatures::read_note(&*self.disk, std::slice::from_ref(key), witness)?;
        Ok(read.map(|(note, checkpoint, _)| (checkpoint, note)))
    }

    /// The same of all witnesses whose keys are kept beside what they cosigned, in the order of these keys' ids, as notes to be
    /// handed on. Whether one of them is to be trusted is for whoever knows its key by another way.
    pub fn cosigned_notes(&self, key: &VerifierKey) -> Result<Vec<CosignedNote>, CosignatureError> {
        let notes = cosignatures::read_all(&*self.disk, key)?;
        let size = self.checkpoint(key)?.size();
        notes.iter().try_for_each(|it| self.begins_with(&it.witness, Head::of(&it.checkpoint), size))?;
        Ok(notes)
    }

    /// Whether a log of so many entries begins with what a witness cosigned.
    fn begins_with(&self, witness: &WitnessKey, head: Head, size: u64) -> Result<(), CosignatureError> {
        let name = || witness.name().clone();
        if head.size > size {
            return Err(CosignatureError::SetBack { witness: name(), cosigned: head.size, size });
        }
        let root = self.tree(size).root(head.size).map_err(CosignatureError::Tree)?;
        if root != head.root {
            let (cosigned, size) = (head.root, head.size);
            return Err(CosignatureError::Forked { witness: name(), size, cosigned, root });
        }
        Ok(())
    }

    fn tree(&self, size: u64) -> TileTree<impl FnMut(Tile) -> Result<Vec<u8>, ReadError>> {
        TileTree::new(size, |tile| read_tile(&*self.disk, tile))
    }
}

/// What is not there is nothing to whoever serves it; whatever else is wrong stays an error.
fn served<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ReadError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
