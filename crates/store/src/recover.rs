//! Opening a ledger: what a crash left is completed, what was lost or altered is refused. Nothing of a log that is refused is
//! changed, and nothing is ever deleted to make one fit.
//!
//! The base in the write-ahead log is what everything rests upon: a head that this key signed, all of whose tiles are durable.
//! From there the log is made again, from the batches behind it. What was written of their tiles may be lost or torn, and so may
//! the checkpoint be: it is not looked at but for what it claims. Whatever was signed or cosigned must then be a beginning of
//! the log; only when that holds is something written.

use crate::append::{Head, Next};
use crate::cosignatures;
use crate::disk::{Disk, ReadDisk};
use crate::entries::{ProofError, read_bundle, read_tile};
use crate::open::OpenError;
use crate::place::{
    CHECKPOINT, Place, TEMPORARY, directories_above, directories_between, partial_files, places_between,
};
use crate::rotation::Choice;
use crate::wal::{self, Base, Layout, OpenWalError, Scanned, Wal};
use crate::{DiskError, ReadError, Reader, Recovered, Signers, Store};
use ledger::{
    Bundle, Edge, EdgeError, HASH_BYTES, Hash, MAX_NOTE_BYTES, OpenCheckpointError, TILE_WIDTH, Tile, TileTree,
    VerifierKey, VerifyNoteError, encode_entry,
};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Opens, verifies and completes.
pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    dir: &Path,
    signers: Signers,
    lock: Option<File>,
    layout: Layout,
) -> Result<(Store, Recovered), OpenError> {
    if disk.identity(CHECKPOINT)?.is_none() {
        return Err(OpenError::NoCheckpoint { dir: dir.to_owned() });
    }
    let rotation = |source| OpenError::Rotation { dir: dir.to_owned(), source: Box::new(source) };
    let choice = Choice::of(&*disk, signers).map_err(rotation)?;
    let keys = choice.keys();
    let (mut wal, base) = match wal::reopen(&*disk, layout, &keys) {
        Ok(opened) => opened,
        Err(OpenWalError::Missing) => make_wal(&disk, dir, &keys, layout)?,
        Err(error) => return Err(refused(dir, error)),
    };
    let checkpoint = read_checkpoint(&*disk, dir, (&keys, &base))?;
    let found = Found { dir, base: &base };
    let head = found.head(&*disk)?;
    let scanned = wal.scan().map_err(|error| refused(dir, error))?;
    let mut claims = cosignatures::claims(&*disk, (&keys, &base.origin))?;
    if let Seen::Holds { size, root } = checkpoint {
        if size < base.size {
            return Err(OpenError::Older { dir: dir.to_owned(), found: size, durable: base.size });
        }
        claims.push(Claim { size, root, by: "its checkpoint".to_owned() });
    }
    found.check_claims(&*disk, &head, (&wal, &scanned), claims)?;

    let known_size = match &checkpoint {
        Seen::Holds { size, .. } => *size,
        Seen::Torn => base.size,
    };
    let recovered = Recovered {
        entries_replayed: scanned.end - known_size,
        bytes_cut: scanned.torn_bytes,
        checkpoint_torn: matches!(checkpoint, Seen::Torn),
    };
    let rewrite = scanned.end > base.size || matches!(checkpoint, Seen::Torn);
    let (signer, rotating) = choice.at(base.size, scanned.end);
    let mut store = Store::new(disk, signer, head, wal, lock)?;
    store.rotating = rotating;
    store.served.found_published(known_size);
    complete(&mut store, (&base, &scanned), (rewrite, known_size))?;
    store.settle_rotation().map_err(rotation)?;
    Ok((store, recovered))
}

/// What the checkpoint says.
enum Seen {
    Holds {
        size: u64,
        root: Hash,
    },
    /// Nothing: a loss of power can leave it so.
    Torn,
}

/// A head that somebody signed: the log must begin with it.
pub(crate) struct Claim {
    pub size: u64,
    pub root: Hash,
    pub by: String,
}

fn read_checkpoint(disk: &dyn Disk, dir: &Path, (keys, base): (&[&VerifierKey], &Base)) -> Result<Seen, OpenError> {
    let bytes = disk.read(CHECKPOINT, MAX_NOTE_BYTES)?.ok_or(OpenError::NoCheckpoint { dir: dir.to_owned() })?;
    // A byte that is not UTF-8 is replaced, which no signature survives.
    let text = String::from_utf8_lossy(&bytes);
    if text == base.note.to_string() {
        return Ok(Seen::Holds { size: base.size, root: base.root });
    }
    let opened = text.parse().map_err(OpenCheckpointError::Note).and_then(|note| wal::open_by_any(&note, keys));
    match opened {
        Ok(checkpoint) if checkpoint.origin() != base.origin => {
            let (found, expected) = (checkpoint.origin().to_owned(), base.origin.clone());
            Err(OpenError::OtherShard { dir: dir.to_owned(), found, expected })
        }
        Ok(checkpoint) => Ok(Seen::Holds { size: checkpoint.size(), root: checkpoint.root() }),
        Err(OpenCheckpointError::Note(_) | OpenCheckpointError::Signature(VerifyNoteError::BadSignature { .. })) => {
            Ok(Seen::Torn)
        }
        Err(source) => Err(OpenError::Checkpoint { dir: dir.to_owned(), source }),
    }
}

fn refused(dir: &Path, error: OpenWalError) -> OpenError {
    let dir = dir.to_owned();
    match error {
        OpenWalError::Length { found, expected } => OpenError::WalLength { dir, found, expected },
        OpenWalError::Missing | OpenWalError::NoBase => OpenError::WalHead { dir },
        OpenWalError::Gap { expected, found } => OpenError::Gap { dir, expected, found },
        OpenWalError::Signature(source) => OpenError::Checkpoint { dir, source },
        OpenWalError::Disk(error) => OpenError::Disk(error),
    }
}

/// A copy of the served files alone has no write-ahead log, nor has a ledger from which it was taken away. Everything that
/// was acknowledged is in the tiles then, if these hold; nobody knows whether they are durable.
fn make_wal(disk: &Arc<dyn Disk>, dir: &Path, keys: &[&VerifierKey], layout: Layout) -> Result<(Wal, Base), OpenError> {
    let unverified = |source| OpenError::Unverified { dir: dir.to_owned(), source };
    let reader = Reader::on(Box::new(disk.clone()), dir);
    // Whichever of them signed it.
    let signed = |key: &&&VerifierKey| reader.signed_checkpoint(key).is_ok();
    let key = keys.iter().find(signed).or(keys.last()).expect("a log has a key");
    let (checkpoint, note) = reader.signed_checkpoint(key).map_err(|error| unverified(error.into()))?;
    reader.verify(key).map_err(unverified)?;
    let mut directories = vec![String::new()];
    for path in all_files(checkpoint.size()) {
        disk.sync_file(&path).or_else(|error| if disk.length(&path)?.is_none() { Ok(()) } else { Err(error) })?;
        directories.extend(directories_above(&path).map(str::to_owned));
    }
    directories.sort();
    directories.dedup();
    disk.sync_file(CHECKPOINT)?;
    for directory in &directories {
        disk.sync_dir(directory)?;
    }
    let base =
        Base::verify(note.signed_only_by(key), &[key]).map_err(|error| refused(dir, OpenWalError::Signature(error)))?;
    disk.create_dir(TEMPORARY)?;
    wal::prepare(&**disk, layout, &base)?;
    let wal = wal::install(&**disk, layout, &base)?;
    Ok((wal, base))
}

/// Every tile and bundle of a tree of `size` entries. Of the partial ones a wider one may be there instead.
fn all_files(size: u64) -> impl Iterator<Item = String> {
    let full = move |level| 0..Tile::full_count(level, size);
    let bundles = full(0).map(|index| Place::Bundle { index });
    let levels = (0..u8::MAX).take_while(move |level| Tile::full_count(*level, size) > 0);
    let tiles = levels.flat_map(move |level| full(level).map(move |index| Place::Tile { level, index }));
    bundles.chain(tiles).map(|place| place.path(TILE_WIDTH)).chain(partial_files(size))
}

/// The base of the log in a directory.
struct Found<'opened> {
    dir: &'opened Path,
    base: &'opened Base,
}

impl Found<'_> {
    fn short(&self, source: ProofError) -> OpenError {
        match source {
            ProofError::Tile(EdgeError::Read { source: ReadError::Disk(error), .. }) => OpenError::Disk(error),
            source => OpenError::Short { dir: self.dir.to_owned(), size: self.base.size, source },
        }
    }

    /// The base's head, once the tiles bear it out.
    fn head(&self, disk: &dyn ReadDisk) -> Result<Head, OpenError> {
        let Base { size, root, ref note, origin: _ } = *self.base;
        let edge = Edge::from_tiles(size, |tile| read_tile(disk, tile)).map_err(|error| self.short(error.into()))?;
        let computed = edge.root();
        if computed != root {
            return Err(OpenError::Root { dir: self.dir.to_owned(), size, computed, signed: root });
        }
        let in_tile = |source| {
            let tile = Tile { level: 0, index: 0, width: TILE_WIDTH };
            self.short(ProofError::Tile(EdgeError::Read { tile, source }))
        };
        check_full_files(disk, size).map_err(in_tile)?;
        let tail = read_tail(disk, &edge).map_err(in_tile)?;
        Ok(Head::signed(edge, tail, note.clone()))
    }

    /// Whether everything that was signed is a beginning of the log. Reads the write-ahead log, and writes nothing.
    fn check_claims(
        &self,
        disk: &dyn ReadDisk,
        head: &Head,
        (wal, scanned): (&Wal, &Scanned),
        mut claims: Vec<Claim>,
    ) -> Result<(), OpenError> {
        let forked = |claim: &Claim, computed| OpenError::Forked {
            dir: self.dir.to_owned(),
            size: claim.size,
            computed,
            signed: claim.root,
            by: claim.by.clone(),
        };
        claims.sort_by_key(|claim| claim.size);
        let check =
            |claim: &Claim, computed| if computed == claim.root { Ok(()) } else { Err(forked(claim, computed)) };
        if let Some(claim) = claims.last().filter(|claim| claim.size > scanned.end) {
            let (found, claimed, by) = (scanned.end, claim.size, claim.by.clone());
            return Err(OpenError::SetBack { dir: self.dir.to_owned(), found, claimed, by });
        }
        let (durable, behind): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| claim.size <= self.base.size);
        let mut tree = TileTree::new(self.base.size, |tile| read_tile(disk, tile));
        for claim in &durable {
            check(claim, tree.root(claim.size).map_err(|error| self.short(error))?)?;
        }
        let (mut edge, mut completed) = (head.edge.clone(), Vec::new());
        let mut behind = behind.into_iter().peekable();
        for chain in &scanned.chains {
            wal.for_each_frame(*chain, |frame| {
                for entry in frame.entries.iter().filter(|_| frame.first >= self.base.size) {
                    edge.append(Hash::of_leaf(entry), &mut completed);
                    completed.clear();
                    while let Some(claim) = behind.next_if(|claim| claim.size == edge.size()) {
                        check(&claim, edge.root())?;
                    }
                }
                Ok::<_, OpenError>(())
            })?;
        }
        Ok(())
    }
}

/// Writes again what the batches behind the base lead to, and makes it the base. On a full disk it stays in memory, and the
/// batches where they are.
fn complete(
    store: &mut Store,
    (base, scanned): (&Base, &Scanned),
    (rewrite, published): (bool, u64),
) -> Result<(), OpenError> {
    let disk = store.served.disk().clone();
    // Before anybody can see a checkpoint over it.
    store.wal.sync_found(base, scanned)?;
    let base = base.size;
    disk.create_dir(TEMPORARY)?;
    for name in disk.list(TEMPORARY)?.unwrap_or_default() {
        disk.remove(&format!("{TEMPORARY}/{name}"))?;
    }
    // What a process that ended had written may be there, but not durable.
    directories_between(base, scanned.end).into_iter().for_each(|directory| store.served.has_changed(directory));
    let Head { edge, tail, .. } = store.head.clone();
    let mut next = Next { edge, tail, contents: Vec::new() };
    for chain in &scanned.chains {
        store.wal.for_each_frame(*chain, |frame| {
            if frame.first >= base {
                next.extend(&frame.entries);
                store.served.write_again(std::mem::take(&mut next.contents));
            }
            Ok::<_, DiskError>(())
        })?;
    }
    next.complete(base);
    store.served.write_again(std::mem::take(&mut next.contents));
    if scanned.end > base {
        store.head = store.sign_head(next.edge, next.tail)?;
    }
    if rewrite {
        store.served.write_checkpoint_again((store.head.text.clone(), store.size()));
    }
    // What a crash left of partial files. Those of the base are needed until there is a new one, and those of the checkpoint that
    // is there until it is replaced.
    let sizes = [base, published, scanned.end];
    for place in places_between(base, scanned.end) {
        place.sweep(&*disk, &sizes)?;
    }
    store.served.adopt(&sizes)?;
    if !store.served.is_behind() {
        store.settle_head()?;
        // A checkpoint that was torn is written again also where there is nothing new; and what a process that ended had
        // named may be there, but not durable.
        if rewrite {
            disk.sync_file(CHECKPOINT)?;
        }
        disk.sync_dir("")?;
        if !scanned.chains.is_empty() || scanned.torn_bytes > 0 {
            store.wal.clear()?;
        }
    }
    Ok(())
}

/// That every full tile and bundle is there and has a length that it can have. Two calls for 256 entries; whether their
/// content is what was signed is for [`crate::Reader::verify`], which reads everything.
fn check_full_files(disk: &dyn ReadDisk, size: u64) -> Result<(), ReadError> {
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
fn read_tail(disk: &dyn ReadDisk, edge: &Edge) -> Result<Vec<u8>, ReadError> {
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
