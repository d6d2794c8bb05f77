//! The only one who changes the disk: writes entries and progress, makes and removes segments. One thread of its own.

use crate::append::{AppendError, Bound, Pending};
use crate::disk::{DiskError, DiskFile};
use crate::frame::{ALIGNMENT, HEADER_BYTES, Header, Place, content_checksum};
use crate::index::{Record, Segment, State, name};
use crate::open::MAX_SEGMENTS;
use crate::progress::{FIRST_FRAME, MAX_SEGMENT_ENTRIES};
use crate::shared::Shared;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

/// Bytes that are written and synced at once, if more than one entry waits: 1/8 s at 130 MB/s, which is what an entry
/// waits for those before it, and twice that if it just missed them.
pub(crate) const MAX_GROUP_BYTES: u64 = 16 * 1024 * 1024;

/// Progress is written after so many entries: with 52 KB an entry one sync for 13 MB that were delivered.
pub(crate) const SAVE_EVERY: u64 = 256;

/// Entries that may be done without having been remembered on the disk. Twice [`SAVE_EVERY`], so that entries are
/// delivered while progress is written.
pub(crate) const MAX_UNSAVED: u64 = 2 * SAVE_EVERY;

const PADDING: [u8; ALIGNMENT as usize] = [0; ALIGNMENT as usize];

pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Option<Active>,
    next_number: u64,
    /// Acknowledged entries of the segment before the next one.
    before: u32,
    /// Segments that could not be removed. Tried again when others are, or when room is needed.
    unremoved: Vec<(u64, String)>,
}

/// The segment that entries are written to.
struct Active {
    name: String,
    file: Box<dyn DiskFile>,
    edge: Edge,
}

/// Where the acknowledged entries of the active segment end, and how many there are.
#[derive(Clone, Copy)]
struct Edge {
    segment: u64,
    end: u64,
    entries: u32,
}

/// Entries that are written and synced together.
#[derive(Default)]
struct Group {
    entries: Vec<Pending>,
    /// Header and tag of each.
    heads: Vec<Vec<u8>>,
    bytes: u64,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, next_number: u64, before: u32) -> Writer {
        Writer { shared, active: None, next_number, before, unremoved: Vec::new() }
    }

    /// Does what there is to do now.
    pub fn step(&mut self) {
        let pending = self.shared.lock().take_pending();
        self.commit(pending);
        self.tidy(SAVE_EVERY);
    }

    /// Writes all progress. Nobody waits for an append any more, for its future borrows the spool.
    pub fn finish(&mut self) {
        self.seal();
        self.tidy(1);
    }

    /// Writes entries, and answers each.
    fn commit(&mut self, pending: Vec<Pending>) {
        let mut group = Group::default();
        for entry in pending {
            if entry.is_given_up() {
                self.settle(entry.frame_bytes);
                continue;
            }
            match self.admit(&mut group, entry.frame_bytes) {
                Ok(edge) => group.push(entry, edge),
                Err(error) => self.refuse(entry, error),
            }
        }
        self.flush(group);
    }

    /// Finds the segment in which an entry goes behind the group, or behind all that is there if the group is written.
    fn admit(&mut self, group: &mut Group, frame_bytes: u64) -> Result<Edge, AppendError> {
        self.within_bound(group, |writer, group| writer.room_in_memory(group))?;
        match self.active.as_ref().map(|active| active.edge) {
            Some(edge) if self.fits(edge, group, frame_bytes) => Ok(edge),
            Some(_) | None => {
                // The active segment stays as it is if there is no room for the next.
                self.within_bound(group, |writer, _| writer.room_on_disk())?;
                self.flush(std::mem::take(group));
                self.seal();
                self.create().map_err(|error| AppendError::Failed(Arc::new(error)))
            }
        }
    }

    fn fits(&self, edge: Edge, group: &Group, frame_bytes: u64) -> bool {
        edge.end + group.bytes + frame_bytes <= self.shared.limits.segment_bytes
            && edge.entries as usize + group.entries.len() < MAX_SEGMENT_ENTRIES as usize
    }

    /// Holds a bound; first removes what was delivered if that helps.
    fn within_bound(
        &mut self,
        group: &Group,
        check: impl Fn(&Writer, &Group) -> Result<(), Bound>,
    ) -> Result<(), AppendError> {
        if check(self, group).is_ok() {
            return Ok(());
        }
        let is_done = |active: &Active| self.shared.lock().index.is_done(active.edge.segment);
        if group.entries.is_empty() && self.active.as_ref().is_some_and(is_done) {
            self.seal();
        }
        self.remove_complete();
        check(self, group).map_err(AppendError::Full)
    }

    /// Whether an entry more is within the bound.
    fn room_in_memory(&self, group: &Group) -> Result<(), Bound> {
        let (records, limit) = (self.shared.lock().index.totals().records, self.shared.limits.max_entries);
        if records + (group.entries.len() as u64) < limit { Ok(()) } else { Err(Bound::Entries(limit)) }
    }

    /// Whether a segment more is within the bound.
    fn room_on_disk(&self) -> Result<(), Bound> {
        let limits = &self.shared.limits;
        let totals = self.shared.lock().index.totals();
        if totals.segments >= MAX_SEGMENTS {
            return Err(Bound::Segments(MAX_SEGMENTS));
        }
        let fits = totals.disk_bytes.saturating_add(limits.segment_bytes) <= limits.max_bytes;
        if fits { Ok(()) } else { Err(Bound::DiskBytes(limits.max_bytes)) }
    }

    /// Makes a segment, with all its room set aside and its name durable.
    fn create(&mut self) -> Result<Edge, DiskError> {
        let (number, before, bytes) = (self.next_number, self.before, self.shared.limits.segment_bytes);
        let name = name(number, before);
        let disk = &*self.shared.disk;
        let file = disk.create(&name, bytes).map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                // Something foreign has the name, or what is left of a call that failed: the next number is tried next.
                (self.next_number, self.before) = (number + 1, 0);
            }
            disk.failed("make", &name, error)
        })?;
        let synced = disk.sync_dir().map_err(|error| disk.failed("sync the directory", "", error));
        (self.next_number, self.before) = (number + 1, 0);
        let mut state = self.shared.lock();
        state.index.add(number, Segment::new(before, bytes));
        if let Err(error) = synced {
            // Its name may not last. Without entries it is removed again.
            state.index.seal(number, bytes);
            return Err(error);
        }
        drop(state);
        let edge = Edge { segment: number, end: FIRST_FRAME, entries: 0 };
        self.active = Some(Active { name, file, edge });
        Ok(edge)
    }

    /// Gives back the room that the active segment does not need, and adds nothing to it any more.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        self.before = active.edge.entries;
        let truncated = active.file.truncate(active.edge.end);
        let bytes = if truncated.is_ok() { active.edge.end } else { self.shared.limits.segment_bytes };
        let mut state = self.shared.lock();
        state.counters.untidy += u64::from(truncated.is_err());
        state.index.seal(active.edge.segment, bytes);
    }

    /// Writes and syncs a group, and answers each of its entries.
    fn flush(&mut self, group: Group) {
        let Some(active) = self.active.as_ref().filter(|_| !group.entries.is_empty()) else { return };
        match group.write(active) {
            Ok(()) => self.acknowledge(group),
            Err((doing, error)) => {
                let error = Arc::new(self.shared.disk.failed(doing, &active.name, error));
                // What a failed sync left on the disk nobody knows (fsync(2), "EIO"), so nothing is added behind it. What
                // was acknowledged before it was synced before it.
                self.seal();
                for entry in group.entries {
                    self.refuse(entry, AppendError::Failed(error.clone()));
                }
            }
        }
    }

    fn acknowledge(&mut self, group: Group) {
        let Some(active) = &mut self.active else { return };
        let mut answers = Vec::with_capacity(group.entries.len());
        let mut state = self.shared.lock();
        for entry in group.entries {
            let offset = u32::try_from(active.edge.end).expect("segments have at most 1 GiB");
            let length = u32::try_from(entry.frame_bytes).expect("a frame is shorter than its segment");
            let record = Record { at_ms: entry.at_ms, offset, length, state: State::Queued };
            let id = state.index.append(active.edge.segment, record).expect("the active segment is in the index");
            state.waiting_bytes -= entry.frame_bytes;
            active.edge.end += entry.frame_bytes;
            active.edge.entries += 1;
            answers.push((entry, id));
        }
        drop(state);
        self.shared.readable.notify_waiters();
        answers.into_iter().for_each(|(entry, id)| entry.answer(Ok(id)));
    }

    fn settle(&self, frame_bytes: u64) {
        self.shared.lock().waiting_bytes -= frame_bytes;
    }

    fn refuse(&self, entry: Pending, error: AppendError) {
        let mut state = self.shared.lock();
        state.waiting_bytes -= entry.frame_bytes;
        match error {
            AppendError::Full(_) => state.counters.full += 1,
            _ => state.counters.failed += 1,
        }
        drop(state);
        entry.answer(Err(error));
    }

    /// Removes segments that are done with, and writes progress if so many entries wait for that.
    fn tidy(&mut self, save_from: u64) {
        if self.shared.lock().index.has_complete() {
            self.remove_complete();
        }
        if self.shared.lock().index.totals().unsaved >= save_from {
            self.save();
        }
    }

    fn remove_complete(&mut self) {
        let mut complete = self.shared.lock().index.take_complete();
        complete.append(&mut self.unremoved);
        if complete.is_empty() {
            return;
        }
        let mut removed = Vec::new();
        for (number, name) in complete {
            match self.shared.disk.remove(&name) {
                Err(error) if error.kind() != ErrorKind::NotFound => self.unremoved.push((number, name)),
                Ok(()) | Err(_) => removed.push(number),
            }
        }
        // Else a power loss could bring them back, with all their entries.
        let synced = removed.is_empty() || self.shared.disk.sync_dir().is_ok();
        let mut state = self.shared.lock();
        state.counters.untidy += self.unremoved.len() as u64 + u64::from(!synced);
        removed.into_iter().for_each(|number| state.index.remove(number));
        drop(state);
        self.shared.readable.notify_waiters();
    }

    /// Writes which entries are done. A failure costs duplicates after a crash, no more.
    fn save(&self) {
        let unsaved = self.shared.lock().index.take_unsaved();
        for segment in unsaved {
            let saved = self.shared.disk.open_to_write(&segment.name).and_then(|file| {
                let slot = segment.progress.encode(segment.number);
                file.write_all_at(&mut [IoSlice::new(&slot)], segment.progress.offset())?;
                file.sync()
            });
            let mut state = self.shared.lock();
            state.counters.untidy += u64::from(saved.is_err());
            state.index.saved(segment.entries);
        }
        self.shared.readable.notify_waiters();
    }
}

impl Group {
    fn push(&mut self, entry: Pending, edge: Edge) {
        let place = Place { segment: edge.segment, offset: edge.end + self.bytes };
        let header = Header {
            at_ms: entry.at_ms,
            index: edge.entries + self.entries.len() as u32,
            group: edge.entries,
            payload_length: u32::try_from(entry.payload.len()).expect("a payload is shorter than its segment"),
            content_checksum: content_checksum(&entry.tag, &entry.payload),
            tag_length: u8::try_from(entry.tag.len()).expect("the tag's length was checked"),
        };
        let mut head = Vec::with_capacity(HEADER_BYTES + entry.tag.len());
        head.extend_from_slice(&header.encode(place));
        head.extend_from_slice(&entry.tag);
        self.heads.push(head);
        self.bytes += entry.frame_bytes;
        self.entries.push(entry);
    }

    /// Writes and syncs the group behind what is there; on failure says what was tried.
    fn write(&self, active: &Active) -> Result<(), (&'static str, std::io::Error)> {
        let mut slices = Vec::with_capacity(3 * self.entries.len());
        for (head, entry) in self.heads.iter().zip(&self.entries) {
            let padding = entry.frame_bytes as usize - head.len() - entry.payload.len();
            slices.extend([IoSlice::new(head), IoSlice::new(&entry.payload), IoSlice::new(&PADDING[..padding])]);
        }
        active.file.write_all_at(&mut slices, active.edge.end).map_err(|error| ("write to", error))?;
        active.file.sync().map_err(|error| ("sync", error))
    }
}
