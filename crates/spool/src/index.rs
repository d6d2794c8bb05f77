//! What is in the spool, and what became of each entry. Pure: the threads do what it says.
//!
//! Memory is 24 bytes an entry (`Record`), up to twice that in the segment that is being written, whose list grows by
//! doubling; payloads stay on the disk.

use crate::frame::Place;
use crate::progress::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An entry, for as long as it is in the spool. A smaller one is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    pub(crate) segment: u64,
    pub(crate) index: u32,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.segment, self.index)
    }
}

/// One entry of a segment. Segments have at most 1 GiB, so that 32 bits hold offsets and lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub at_ms: u64,
    pub offset: u32,
    /// Of the whole frame.
    pub length: u32,
    pub state: State,
}

const _: () = assert!(size_of::<Record>() <= 24);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Taken,
    /// Delivered, or lost.
    Done,
}

/// A segment and its entries.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// The entries of the segment before it, which its name holds.
    before: u32,
    /// What it takes on the disk.
    bytes: u64,
    records: Vec<Record>,
    /// Nothing is added to it any more.
    sealed: bool,
    /// Of the progress that was written last.
    generation: u64,
    /// Entries that are not done.
    left: u32,
    /// Entries that were done since the progress was written.
    unsaved: u32,
    /// All before this one are done.
    oldest: usize,
}

impl Segment {
    /// One that entries are added to.
    pub fn new(before: u32, bytes: u64) -> Segment {
        Segment { before, bytes, ..Segment::default() }
    }

    /// One that an earlier process has written.
    pub fn recovered(before: u32, bytes: u64, records: Vec<Record>, generation: u64) -> Segment {
        Segment { before, bytes, records, generation, sealed: true, ..Segment::default() }
    }

    fn advance_oldest(&mut self) {
        let done = self.records[self.oldest..].iter().take_while(|record| record.state == State::Done);
        self.oldest += done.count();
    }
}

/// Where an entry stands on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub name: String,
    pub place: Place,
    pub length: u32,
    pub index: u32,
}

/// The progress of a segment, to be written.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub number: u64,
    pub name: String,
    pub progress: Progress,
    /// Entries that are done since it was written last.
    pub entries: u32,
}

/// The segments in order of age.
#[derive(Debug, Default)]
pub(crate) struct Index {
    segments: BTreeMap<u64, Segment>,
    /// Entries before it were taken at least once.
    cursor: Option<EntryId>,
    /// Entries before the cursor that were given back.
    returned: BTreeSet<EntryId>,
    /// Sealed segments whose entries are all done.
    complete: Vec<u64>,
    totals: Totals,
}

/// Sums over all segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Entries that are not done, and the bytes of their frames.
    pub entries: u64,
    pub bytes: u64,
    /// Those of them that are taken.
    pub taken: u64,
    /// Entries in memory: also those that are done, as long as their segment is there.
    pub records: u64,
    /// Segments, and what they take on the disk.
    pub segments: u64,
    pub disk_bytes: u64,
    /// Entries that were done since progress was written.
    pub unsaved: u64,
}

impl Index {
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The number of the segment after all that are there, and the entries of the one before it.
    pub fn next_name(&self) -> (u64, u32) {
        let newest = self.segments.last_key_value();
        newest.map_or((0, 0), |(number, segment)| (number + 1, segment.records.len() as u32))
    }

    /// Adds a segment, newer than all others.
    pub fn add(&mut self, number: u64, mut segment: Segment) {
        let is_left = |record: &&Record| record.state != State::Done;
        segment.left = segment.records.iter().filter(is_left).count() as u32;
        segment.advance_oldest();
        self.totals.entries += u64::from(segment.left);
        self.totals.bytes += segment.records.iter().filter(is_left).map(|record| u64::from(record.length)).sum::<u64>();
        self.totals.records += segment.records.len() as u64;
        self.totals.segments += 1;
        self.totals.disk_bytes += segment.bytes;
        if segment.sealed && segment.left == 0 {
            self.complete.push(number);
        }
        self.segments.insert(number, segment);
    }

    /// Adds an entry to a segment that is not sealed.
    pub fn append(&mut self, number: u64, record: Record) -> Option<EntryId> {
        let segment = self.segments.get_mut(&number)?;
        let id = EntryId { segment: number, index: segment.records.len() as u32 };
        self.totals.entries += 1;
        self.totals.bytes += u64::from(record.length);
        self.totals.records += 1;
        segment.records.push(record);
        segment.left += 1;
        Some(id)
    }

    /// Says that nothing is added to a segment any more, and what it takes on the disk.
    pub fn seal(&mut self, number: u64, bytes: u64) {
        let Some(segment) = self.segments.get_mut(&number) else { return };
        self.totals.disk_bytes = self.totals.disk_bytes - segment.bytes + bytes;
        segment.bytes = bytes;
        segment.sealed = true;
        segment.records.shrink_to_fit();
        if segment.left == 0 {
            self.complete.push(number);
        }
    }

    /// Takes the oldest entry that is not taken.
    pub fn take(&mut self) -> Option<(EntryId, Location)> {
        let fresh = self.fresh();
        self.cursor = fresh.or_else(|| self.end());
        let id = self.returned.first().copied().into_iter().chain(fresh).min()?;
        self.returned.remove(&id);
        let record = record(&mut self.segments, id)?;
        record.state = State::Taken;
        let place = Place { segment: id.segment, offset: u64::from(record.offset) };
        let length = record.length;
        self.totals.taken += 1;
        let name = name(id.segment, self.segments.get(&id.segment)?.before);
        Some((id, Location { name, place, length, index: id.index }))
    }

    /// The oldest entry that was never taken.
    fn fresh(&self) -> Option<EntryId> {
        let from = self.cursor.unwrap_or(EntryId { segment: 0, index: 0 });
        self.segments.range(from.segment..).find_map(|(number, segment)| {
            let first = if *number == from.segment { from.index as usize } else { 0 };
            let queued = |record: &Record| record.state == State::Queued;
            let index = first + segment.records.get(first..)?.iter().position(queued)?;
            Some(EntryId { segment: *number, index: index as u32 })
        })
    }

    /// Where the next entry will be.
    fn end(&self) -> Option<EntryId> {
        let (number, segment) = self.segments.last_key_value()?;
        Some(EntryId { segment: *number, index: segment.records.len() as u32 })
    }

    /// Returns an entry that was taken.
    pub fn give_back(&mut self, id: EntryId) {
        if let Some(record) = record(&mut self.segments, id).filter(|record| record.state == State::Taken) {
            record.state = State::Queued;
            self.totals.taken -= 1;
            self.returned.insert(id);
        }
    }

    /// Says that an entry that was taken need not be kept any more.
    pub fn done(&mut self, id: EntryId) {
        let Some(segment) = self.segments.get_mut(&id.segment) else { return };
        let Some(record) = segment.records.get_mut(id.index as usize) else { return };
        if record.state != State::Taken {
            return;
        }
        record.state = State::Done;
        self.totals.taken -= 1;
        self.totals.entries -= 1;
        self.totals.bytes -= u64::from(record.length);
        segment.left -= 1;
        segment.unsaved += 1;
        self.totals.unsaved += 1;
        segment.advance_oldest();
        if segment.left == 0 && segment.sealed {
            self.complete.push(id.segment);
        }
    }

    /// When the oldest entry was appended.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.segments.values().find_map(|segment| Some(segment.records.get(segment.oldest)?.at_ms))
    }

    /// Whether there are sealed segments whose entries are all done.
    pub fn has_complete(&self) -> bool {
        !self.complete.is_empty()
    }

    /// Sealed segments whose entries are all done, with their names. Each is told once.
    pub fn take_complete(&mut self) -> Vec<(u64, String)> {
        let named = |number| Some((number, name(number, self.segments.get(&number)?.before)));
        std::mem::take(&mut self.complete).into_iter().filter_map(named).collect()
    }

    /// Forgets a segment that is not on the disk any more.
    pub fn remove(&mut self, number: u64) {
        let Some(segment) = self.segments.remove(&number) else { return };
        self.totals.records -= segment.records.len() as u64;
        self.totals.segments -= 1;
        self.totals.disk_bytes -= segment.bytes;
        self.totals.unsaved -= u64::from(segment.unsaved);
    }

    /// Whether all entries of a segment are done.
    pub fn is_done(&self, number: u64) -> bool {
        self.segments.get(&number).is_some_and(|segment| segment.left == 0)
    }

    /// The progress to write. [`Index::saved`] says when it was.
    pub fn take_unsaved(&mut self) -> Vec<Unsaved> {
        let unsaved = self.segments.iter_mut().filter(|(_, segment)| segment.unsaved > 0);
        let progress = unsaved.map(|(number, segment)| {
            segment.generation += 1;
            let records = (0..).zip(&segment.records);
            let done = records.filter(|(_, record)| record.state == State::Done).map(|(index, _)| index);
            let progress = Progress::new(segment.generation, done);
            let entries = std::mem::take(&mut segment.unsaved);
            Unsaved { number: *number, name: name(*number, segment.before), progress, entries }
        });
        progress.collect()
    }

    /// So many entries need not be remembered any more.
    pub fn saved(&mut self, entries: u32) {
        self.totals.unsaved -= u64::from(entries);
    }
}

fn record(segments: &mut BTreeMap<u64, Segment>, id: EntryId) -> Option<&mut Record> {
    segments.get_mut(&id.segment)?.records.get_mut(id.index as usize)
}

/// A segment's file. Its name says how many entries were acknowledged in the segment before it.
pub(crate) fn name(number: u64, before: u32) -> String {
    format!("{number:016x}-{before:05}.segment")
}

/// The segment's number and the entries of the one before it, if a file has such a name.
pub(crate) fn parse_name(found: &str) -> Option<(u64, u32)> {
    let (number, before) = found.strip_suffix(".segment")?.split_once('-')?;
    let (number, before) = (u64::from_str_radix(number, 16).ok()?, before.parse().ok()?);
    // Also what parses in another notation, and what leaves no room for segments after it.
    (number < u64::MAX / 2 && name(number, before) == found).then_some((number, before))
}
