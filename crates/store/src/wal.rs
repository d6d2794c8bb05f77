//! The file `wal`: batches that are durable, while tiles and checkpoint need not be yet. All its room is set aside when it is
//! made, and it never changes its length, so that a full disk does not reach it and a sync is one of content alone.
//!
//! | bytes | what |
//! | --- | --- |
//! | 2 * 4,096 | two places for the head up to which everything else is durable: [`Base`]. Written in turns |
//! | half | frames, one after the other |
//! | half | frames, one after the other |
//!
//! One half is filled while the tiles of the other's batches become durable; then a base that has them is written, and the
//! other half is free. What an overwritten frame leaves behind it begins with an index that is too low to be next. The last
//! bytes of each half are kept for batches that must get in when the disk is full ([`crate::Reserve::Use`]).

use crate::DiskError;
use crate::disk::{Disk, OpenFile};
use crate::frame::{self, Found, Frame, HEADER_BYTES, MAX_BATCH_BYTES};
use crate::place::TEMPORARY_WAL;
use ledger::{Checkpoint, Hash, LogSigner, Note, OpenCheckpointError, Origin, VerifierKey};
use std::io::ErrorKind;
use std::sync::Arc;

/// The file's name in the ledger's directory.
pub(crate) const WAL: &str = "wal";

/// Room for a base: the log's name (at most 1,024 bytes) twice, its size (20), a hash (44) and a signature (100) are less
/// than 2.4 KB; a second signature, where the key changes, is 1,100 bytes more.
const BASE_BYTES: u64 = 4096;

/// Bytes of a half. It is what opening reads, twice, and what may be written between two rounds of making tiles durable:
/// at 20,000 entries of 600 bytes a second 0.7 s.
const HALF_BYTES: u64 = 8 * 1024 * 1024;

/// Room in each half for batches that must get in on a full disk: 32 records of the greatest length (64 KiB), or 4,000 of
/// 500 bytes. A rollback is one batch that decides it and one for each time a gateway says that it applied the table: an
/// observation of at most 64 KiB, and below 20 records of some hundred bytes, so that there is room for twenty such.
const ROLLBACK_BYTES: u64 = 2 * 1024 * 1024;

/// Where the first base is.
const FIRST_PLACE: u64 = 0;

/// How large the parts are. Always [`Layout::STANDARD`], but in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub half_bytes: u64,
    pub rollback_bytes: u64,
}

impl Layout {
    pub const STANDARD: Layout = Layout { half_bytes: HALF_BYTES, rollback_bytes: ROLLBACK_BYTES };

    /// Bytes of the file.
    pub fn length(self) -> u64 {
        2 * BASE_BYTES + 2 * self.half_bytes
    }

    /// Where a half begins.
    fn start(self, half: usize) -> u64 {
        2 * BASE_BYTES + self.half_bytes * half as u64
    }
}

/// The head of a log all of whose tiles are durable.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub note: Note,
    pub size: u64,
    pub root: Hash,
    /// Which log it is of.
    pub origin: String,
}

impl Base {
    /// A checkpoint as the base, by any of these keys.
    pub fn verify(note: Note, keys: &[&VerifierKey]) -> Result<Base, OpenCheckpointError> {
        let checkpoint = open_by_any(&note, keys)?;
        Ok(Base { size: checkpoint.size(), root: checkpoint.root(), origin: checkpoint.origin().to_owned(), note })
    }

    pub fn of_empty(signer: &LogSigner, origin: &Origin) -> Result<Base, DiskError> {
        let root = Hash::of_empty_tree();
        let signed = Checkpoint::of_shard(origin, 0, root).signed_by(&[signer]);
        Ok(Base { note: signed.map_err(DiskError::unsigned)?, size: 0, root, origin: origin.to_string() })
    }
}

/// What one of these keys signed; while the key changes there are two.
pub(crate) fn open_by_any(note: &Note, keys: &[&VerifierKey]) -> Result<Checkpoint, OpenCheckpointError> {
    let (last, others) = keys.split_last().expect("a log has a key");
    let opened = others.iter().find_map(|key| Checkpoint::open_note(note, key).ok());
    opened.map_or_else(|| Checkpoint::open_note(note, last), Ok)
}

/// The open file, and what of it is in use.
pub(crate) struct Wal {
    file: Arc<dyn OpenFile>,
    layout: Layout,
    base_size: u64,
    /// Where the base is: 0 or 1.
    base_place: u64,
    /// The half that is being filled, and how much of it is.
    half: usize,
    filled: u64,
    /// The index after the last entry in each half.
    ends: [u64; 2],
}

/// Writes the next base. Beside frames that are appended: they share no bytes.
pub(crate) struct NextBase {
    file: Arc<dyn OpenFile>,
    place: u64,
    base: Base,
}

/// Frames in a row, in one half.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    half: usize,
    pub first: u64,
    pub end: u64,
    filled: u64,
}

/// What was found behind the base.
pub(crate) struct Scanned {
    /// What is not in the base, in its order, without a gap: at most one chain of each half.
    pub chains: Vec<Chain>,
    /// The index after the last entry.
    pub end: u64,
    /// Bytes of a batch that was torn.
    pub torn_bytes: u64,
}

/// A file that is no write-ahead log of this ledger.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenWalError {
    #[error("it is missing")]
    Missing,
    #[error("it has {found} bytes, expected {expected}")]
    Length { found: u64, expected: u64 },
    #[error("it does not begin with the head of a log")]
    NoBase,
    #[error("it goes on at entry {found}, expected {expected}")]
    Gap { expected: u64, found: u64 },
    #[error(transparent)]
    Signature(OpenCheckpointError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Makes the file, with all its room, under a temporary name, durable but for that name.
pub(crate) fn prepare(disk: &dyn Disk, layout: Layout, base: &Base) -> Result<(), DiskError> {
    disk.allocate(TEMPORARY_WAL, layout.length())?;
    write_base(&*open_made(disk, TEMPORARY_WAL)?, FIRST_PLACE, base)
}

/// Gives the file that was made its name, durably.
pub(crate) fn install(disk: &dyn Disk, layout: Layout, base: &Base) -> Result<Wal, DiskError> {
    disk.rename(TEMPORARY_WAL, WAL)?;
    disk.sync_dir("")?;
    Ok(Wal::new(open_made(disk, WAL)?.into(), layout, base, FIRST_PLACE))
}

fn open_made(disk: &dyn Disk, path: &str) -> Result<Box<dyn OpenFile>, DiskError> {
    let missing = || DiskError { doing: "open", path: path.into(), source: ErrorKind::NotFound.into() };
    disk.open(path)?.ok_or_else(missing)
}

/// The file that is there. Frames are not looked at.
pub(crate) fn reopen(disk: &dyn Disk, layout: Layout, keys: &[&VerifierKey]) -> Result<(Wal, Base), OpenWalError> {
    Wal::open(disk.open(WAL)?.ok_or(OpenWalError::Missing)?, layout, keys)
}

fn write_base(file: &dyn OpenFile, place: u64, base: &Base) -> Result<(), DiskError> {
    let text = base.note.to_string();
    let length = u32::try_from(text.len()).expect("a note of two signatures is shorter than a base's place");
    let mut bytes = Vec::with_capacity(8 + text.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(text.as_bytes()).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    assert!(bytes.len() as u64 <= BASE_BYTES, "a note of two signatures is shorter than a base's place");
    file.write_at(place * BASE_BYTES, &bytes)?;
    file.sync_data()
}

/// The base at a place. `None` if there is none, or one that a crash tore.
fn read_base(file: &dyn OpenFile, place: u64) -> Result<Option<Note>, DiskError> {
    let bytes = file.read_at(place * BASE_BYTES, usize::try_from(BASE_BYTES).expect("4,096 fits"))?;
    let text = || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let text = rest.get(..u32::from_be_bytes(*length) as usize)?;
        let holds = crc32fast::hash(text) == u32::from_be_bytes(*checksum);
        std::str::from_utf8(text).ok().filter(|_| holds)?.parse().ok()
    };
    Ok(text())
}

impl Wal {
    fn new(file: Arc<dyn OpenFile>, layout: Layout, base: &Base, base_place: u64) -> Wal {
        Wal { file, layout, base_size: base.size, base_place, half: 0, filled: 0, ends: [0; 2] }
    }

    /// Reads the newer base.
    fn open(file: Box<dyn OpenFile>, layout: Layout, keys: &[&VerifierKey]) -> Result<(Wal, Base), OpenWalError> {
        let file: Arc<dyn OpenFile> = file.into();
        let (found, expected) = (file.identity()?.length, layout.length());
        if found != expected {
            return Err(OpenWalError::Length { found, expected });
        }
        let mut found = Vec::new();
        for place in 0..2 {
            let Some(note) = read_base(&*file, place)? else { continue };
            let claimed = note.text().parse::<Checkpoint>().map_err(|error| OpenWalError::Signature(error.into()))?;
            found.push((claimed.size(), place, note));
        }
        let newest = found.into_iter().max_by_key(|(size, ..)| *size);
        let (_, base_place, note) = newest.ok_or(OpenWalError::NoBase)?;
        let base = Base::verify(note, keys).map_err(OpenWalError::Signature)?;
        Ok((Wal::new(file, layout, &base, base_place), base))
    }

    pub fn file(&self) -> &dyn OpenFile {
        &*self.file
    }

    pub fn length(&self) -> u64 {
        self.layout.length()
    }

    /// Up to which size the tiles are durable.
    pub fn base_size(&self) -> u64 {
        self.base_size
    }

    /// Reads both halves once, frame by frame, and goes on behind the last whole frame.
    pub fn scan(&mut self) -> Result<Scanned, OpenWalError> {
        let mut chains = Vec::new();
        let mut torn = Vec::new();
        for half in 0..2 {
            let (chain, behind) = self.chain(half)?;
            self.ends[half] = chain.end;
            torn.push(behind);
            if chain.end > self.base_size {
                chains.push(chain);
            }
        }
        chains.sort_by_key(|chain| chain.first);
        let mut end = self.base_size;
        for (at, chain) in chains.iter().enumerate() {
            let fits = if at == 0 { chain.first <= end } else { chain.first == end };
            if !fits {
                return Err(OpenWalError::Gap { expected: end, found: chain.first });
            }
            end = chain.end;
            (self.half, self.filled) = (chain.half, chain.filled);
        }
        // What is left of earlier batches begins before the end.
        let torn = torn.iter().filter(|(first, _)| *first == end).map(|(_, length)| *length);
        let torn_bytes = torn.max().unwrap_or_default();
        Ok(Scanned { chains, end, torn_bytes })
    }

    /// The frames at the beginning of a half that follow each other, and what the next header says.
    fn chain(&self, half: usize) -> Result<(Chain, (u64, u64)), OpenWalError> {
        let mut chain = Chain { half, first: 0, end: 0, filled: 0 };
        loop {
            match self.frame_at(half, chain.filled)? {
                Found::Nothing { first, length } => return Ok((chain, (first, length))),
                Found::Frame(frame) => {
                    let Some(end) = frame.end().filter(|_| chain.filled == 0 || frame.first == chain.end) else {
                        return Ok((chain, (0, 0)));
                    };
                    // A checkpoint is signed over whole batches only.
                    if frame.first < self.base_size && self.base_size < end {
                        return Err(OpenWalError::Gap { expected: self.base_size, found: frame.first });
                    }
                    if chain.filled == 0 {
                        chain.first = frame.first;
                    }
                    (chain.end, chain.filled) = (end, frame.end_offset - self.layout.start(half));
                }
            }
        }
    }

    fn frame_at(&self, half: usize, filled: u64) -> Result<Found, DiskError> {
        let start = self.layout.start(half);
        frame::read_frame(&*self.file, start + filled, start + self.layout.half_bytes)
    }

    /// Calls `each` with every frame of a chain, in their order.
    pub fn for_each_frame<E: From<DiskError>>(
        &self,
        chain: Chain,
        mut each: impl FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut filled = 0;
        while filled < chain.filled {
            let Found::Frame(frame) = self.frame_at(chain.half, filled)? else { break };
            filled = frame.end_offset - self.layout.start(chain.half);
            each(frame)?;
        }
        Ok(())
    }

    /// Makes durable what was found: every frame was before the next one was written, so that only the last may not be, and the
    /// base. They are written again, for after a sync that failed the system may take what is not on the disk for what is.
    pub fn sync_found(&self, base: &Base, scanned: &Scanned) -> Result<(), DiskError> {
        if let Some(chain) = scanned.chains.last() {
            let start = self.layout.start(chain.half);
            let mut last = 0;
            let mut at = 0;
            self.for_each_frame::<DiskError>(*chain, |frame| {
                (last, at) = (at, frame.end_offset - start);
                Ok(())
            })?;
            let length = usize::try_from(at - last).expect("a frame is read in one piece");
            let bytes = self.file.read_at(start + last, length)?;
            self.file.write_at(start + last, &bytes)?;
        }
        write_base(&*self.file, self.base_place, base)
    }

    /// Whether a frame fits behind the last, in the ordinary part or in all of the half.
    pub fn takes(&self, frame_bytes: u64, uses_reserve: bool) -> bool {
        self.filled + frame_bytes <= self.limit(uses_reserve)
    }

    fn limit(&self, uses_reserve: bool) -> u64 {
        self.layout.half_bytes - if uses_reserve { 0 } else { self.layout.rollback_bytes }
    }

    /// Whether everything in the other half is in the base.
    pub fn other_is_free(&self) -> bool {
        self.ends[1 - self.half] <= self.base_size
    }

    /// Goes on at the start of the other half, which is free.
    pub fn change_halves(&mut self) {
        assert!(self.other_is_free(), "what is not in the base is not overwritten");
        (self.half, self.filled) = (1 - self.half, 0);
    }

    /// Writes a frame behind the last, and syncs it: from here on the batch is durable. The caller has made room.
    pub fn write(&mut self, frame: &[u8], end: u64) -> Result<(), DiskError> {
        assert!(self.takes(frame.len() as u64, true), "the caller made room");
        self.file.write_at(self.layout.start(self.half) + self.filled, frame)?;
        self.file.sync_data()?;
        self.filled += frame.len() as u64;
        self.ends[self.half] = end;
        Ok(())
    }

    /// What replaces the older of the two bases.
    pub fn next_base(&self, base: Base) -> NextBase {
        NextBase { file: self.file.clone(), place: 1 - self.base_place, base }
    }

    /// The next base was written.
    pub fn has_base(&mut self, size: u64) {
        (self.base_place, self.base_size) = (1 - self.base_place, size);
    }

    /// Makes durable that no half holds a frame. All of them are in the base.
    pub fn clear(&mut self) -> Result<(), DiskError> {
        assert!(self.ends.iter().all(|end| *end <= self.base_size), "what is not in the base is not cleared");
        for half in 0..2 {
            self.file.write_at(self.layout.start(half), &[0; HEADER_BYTES])?;
        }
        self.file.sync_data()?;
        (self.half, self.filled, self.ends) = (0, 0, [0; 2]);
        Ok(())
    }
}

impl NextBase {
    pub fn size(&self) -> u64 {
        self.base.size
    }

    /// Durable when this returns.
    pub fn write(&self) -> Result<(), DiskError> {
        write_base(&*self.file, self.place, &self.base)
    }
}

/// Each part of a half takes the longest batch; the ordinary part is the longer one.
const _: () = assert!(ROLLBACK_BYTES >= (MAX_BATCH_BYTES + HEADER_BYTES) as u64 && HALF_BYTES >= 2 * ROLLBACK_BYTES);
