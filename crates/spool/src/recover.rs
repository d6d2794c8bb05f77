//! Reading a segment as a crash, or a failing disk, left it.
//!
//! Where a frame's header holds, the next frame stands behind it, whatever its content is. Where it does not, the next
//! header that holds is searched for. What was acknowledged is known in two ways: the name of the next segment says how
//! many entries the one before it had; and in the newest segment all groups but the last were synced, for a group is
//! only written after the one before it was. So what is missing before the last group is *lost*; in the last group it was
//! *torn* by the crash, before it was acknowledged, or damaged later, which nobody can tell apart.

use crate::disk::DiskFile;
use crate::frame::{ALIGNMENT, HEADER_BYTES, Header, Place, may_begin};
use crate::index::{Record, State};
use crate::progress::{FIRST_FRAME, MAX_SEGMENT_ENTRIES, Progress};
use std::io;
use std::ops::Range;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Bytes that a search reads first, and twice as many each time: the next frame is near, or far away.
const FIRST_CHUNK_BYTES: usize = 4096;

/// What a segment holds.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// By index. What is missing is done.
    pub records: Vec<Record>,
    pub generation: u64,
    /// Where the last frame ends that can be read.
    pub end: u64,
    /// Acknowledged entries that cannot be read, and were not delivered, and the bytes that cannot be read among them.
    pub lost_entries: u64,
    pub lost_bytes: u64,
    /// Bytes of the last group that are no entries.
    pub torn_bytes: u64,
}

/// A stretch without a frame that can be read.
struct Damage {
    bytes: u64,
    /// The entries that are missing there.
    entries: Range<u32>,
}

/// Reads a segment of a length. `expected` is how many entries were acknowledged in it, if the next segment's name says
/// so; then their contents are checked when they are taken, else now.
pub(crate) fn scan(file: &dyn DiskFile, number: u64, length: u64, expected: Option<u32>) -> io::Result<Scanned> {
    let mut slots = vec![0; FIRST_FRAME.min(length) as usize];
    file.read_exact_at(&mut slots, 0)?;
    let progress = Progress::newest(&slots, number);
    let mut scan = Scan { file, number, length, expected, found: Vec::new(), damage: Vec::new(), group: 0 };
    let end = scan.frames()?;
    let is_done = |index| progress.as_ref().is_some_and(|progress| progress.is_done(index));
    let mut scanned = scan.sum_up(is_done);
    scanned.generation = progress.as_ref().map_or(0, |progress| progress.generation);
    scanned.end = end;
    Ok(scanned)
}

struct Scan<'a> {
    file: &'a dyn DiskFile,
    number: u64,
    length: u64,
    expected: Option<u32>,
    /// The frames that can be read, with their indices.
    found: Vec<(u32, Record)>,
    damage: Vec<Damage>,
    /// The index with which the last group begins.
    group: u32,
}

impl Scan<'_> {
    /// Goes from frame to frame; returns where the last good one ends.
    fn frames(&mut self) -> io::Result<u64> {
        let (mut offset, mut end, mut next) = (FIRST_FRAME, FIRST_FRAME, 0);
        // Each round goes forward by a frame's header at least.
        while next < self.limit() {
            let (at, header, skipped) = match self.header_at(offset, next)? {
                Some(header) => (offset, Some(header), 0),
                None => self.search(offset, next)?,
            };
            let Some(header) = header else {
                self.damage.push(Damage { bytes: skipped, entries: next..self.limit() });
                break;
            };
            self.damage.push(Damage { bytes: skipped, entries: next..header.index });
            self.group = header.group;
            let frame_bytes = header.frame_bytes();
            offset = at + frame_bytes;
            next = header.index + 1;
            if self.expected.is_some() || self.content_holds(at, &header)? {
                let (offset, length) = (at as u32, frame_bytes as u32);
                self.found.push((header.index, Record { at_ms: header.at_ms, offset, length, state: State::Queued }));
                end = at + frame_bytes;
            } else {
                self.damage.push(Damage { bytes: frame_bytes, entries: header.index..next });
            }
        }
        Ok(end)
    }

    /// The index after the last one that there can be.
    fn limit(&self) -> u32 {
        self.expected.unwrap_or(MAX_SEGMENT_ENTRIES).min(MAX_SEGMENT_ENTRIES)
    }

    fn header_at(&self, offset: u64, next: u32) -> io::Result<Option<Header>> {
        if self.length.saturating_sub(offset) < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(self.header(&bytes, offset, next))
    }

    /// The header in these bytes, if it is one that can stand there, of an entry that can come next, whole in the file.
    fn header(&self, bytes: &[u8; HEADER_BYTES], offset: u64, next: u32) -> Option<Header> {
        let header = Header::decode(bytes, Place { segment: self.number, offset })?;
        let comes_next = (next..self.limit()).contains(&header.index) && header.group <= header.index;
        (comes_next && header.frame_bytes() <= self.length - offset).then_some(header)
    }

    /// The next header that holds, where it stands, and how many bytes were no frame: up to it, or up to the last byte
    /// that is not 0, for the room that is set aside for a segment is no damage.
    fn search(&self, from: u64, next: u32) -> io::Result<(u64, Option<Header>, u64)> {
        let (mut offset, mut end_of_damage, mut at_once) = (from, from, FIRST_CHUNK_BYTES);
        while self.length.saturating_sub(offset) > 0 {
            let mut chunk = vec![0; (self.length - offset).min(at_once as u64) as usize];
            self.file.read_exact_at(&mut chunk, offset)?;
            for at in (0..chunk.len()).step_by(ALIGNMENT as usize) {
                let rest = &chunk[at..];
                if !may_begin(rest) {
                    continue;
                }
                let place = offset + at as u64;
                let header = rest.first_chunk().and_then(|bytes| self.header(bytes, place, next));
                if header.is_some() {
                    return Ok((place, header, place - from));
                }
            }
            if let Some(at) = chunk.iter().rposition(|byte| *byte != 0) {
                end_of_damage = offset + at as u64 + 1;
            }
            if offset + chunk.len() as u64 == self.length {
                break;
            }
            // A header may cross from chunk to chunk: the next chunk begins a header's length earlier.
            offset += (chunk.len() - HEADER_BYTES) as u64;
            at_once = (at_once * 2).min(CHUNK_BYTES);
        }
        Ok((from, None, end_of_damage - from))
    }

    fn content_holds(&self, at: u64, header: &Header) -> io::Result<bool> {
        let mut hasher = crc32fast::Hasher::new();
        let (mut offset, mut left) = (at + HEADER_BYTES as u64, header.content_bytes());
        let mut chunk = vec![0; left.min(CHUNK_BYTES as u64) as usize];
        while left > 0 {
            let chunk = &mut chunk[..left.min(CHUNK_BYTES as u64) as usize];
            self.file.read_exact_at(chunk, offset)?;
            hasher.update(chunk);
            offset += chunk.len() as u64;
            left -= chunk.len() as u64;
        }
        Ok(hasher.finalize() == header.content_checksum)
    }

    /// Puts the entries in their places, and says what is missing.
    fn sum_up(self, is_done: impl Fn(u32) -> bool) -> Scanned {
        let mut scanned = Scanned::default();
        // Without the next segment's word, what comes before the last group was acknowledged.
        let acknowledged = self.expected.map_or(self.group, |expected| expected.min(MAX_SEGMENT_ENTRIES));
        for Damage { bytes, entries } in &self.damage {
            if (entries.start..entries.end.min(acknowledged)).any(|index| !is_done(index)) {
                scanned.lost_bytes += bytes;
            } else if entries.end > acknowledged {
                scanned.torn_bytes += bytes;
            }
        }
        let mut missing = |records: &mut Vec<Record>, until: u32| {
            for index in records.len() as u32..until {
                scanned.lost_entries += u64::from(index < acknowledged && !is_done(index));
                records.push(Record { at_ms: 0, offset: 0, length: 0, state: State::Done });
            }
        };
        let mut records = Vec::new();
        for (index, mut record) in self.found {
            missing(&mut records, index);
            if is_done(index) {
                record.state = State::Done;
            }
            records.push(record);
        }
        missing(&mut records, acknowledged);
        scanned.records = records;
        scanned
    }
}
