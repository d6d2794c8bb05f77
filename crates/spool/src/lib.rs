//! The gateway's spool: entries that wait on the disk until they can be delivered. Bounded, oldest first, delivered at
//! least once. It does not know what its entries mean, has no clock, and logs nothing: what it finds it returns.
//!
//! An entry is acknowledged when it is durable. Until it is said to be done it is on the disk, through the kill of any
//! process and the loss of power (invariant 7). One thread writes, so that all who wait share one sync; another reads.
//! No kept crate does this: `okaywal` syncs in groups, but is experimental and gives up segments as a whole; `yaque`
//! and `queue-file` do not share syncs or have entries done out of order; `segment-buffer` acknowledges from memory.
//!
//! # The files
//!
//! In the directory (mode 0700) are `lock`, held by the one process that has the spool open, and segments (mode 0600).
//! The name of a segment, `0000000000000007-01230.segment`, says that it is number 7 (in hexadecimal), and that the
//! segment before it has 1,230 acknowledged entries. A number is used once as long as a later segment is there. Other
//! files are told, and left alone. Numbers have their lowest byte first; checksums are CRC-32 (IEEE). They find what a
//! crash or a failing disk did, and are no protection against anybody.
//!
//! A segment begins with two slots of 4,096 bytes. They say which of its entries are done:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `VSD1` |
//! | 4 | checksum of the segment's number in 8 bytes, and of the 4,008 bytes that follow |
//! | 8 | generation; it is in slot generation mod 2, and the greater one holds |
//! | 4,000 | a bit for each of at most 32,000 entries, the first in the lowest bit of the first byte: done |
//! | 80 | 0 |
//!
//! Then follow the frames, one an entry, each at a multiple of 8:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `VSP1` |
//! | 4 | checksum of the segment's number and the frame's offset in 8 bytes each, and of the 32 bytes that follow |
//! | 8 | when it was appended, in milliseconds since the Unix epoch |
//! | 4 | its index in the segment |
//! | 4 | the index of the first entry that was synced together with it |
//! | 4 | length of the payload |
//! | 4 | checksum of tag and payload |
//! | 1 | length of the tag, at most 64 |
//! | 7 | 0 |
//! | … | tag, payload, and 0 to 7 bytes of 0 |
//!
//! The rest of the newest segment is 0: all its room is set aside when it is made, so that a full disk is met there, and
//! not by a write in its middle. When the next one is begun, the rest is cut off.
//!
//! # What can go wrong
//!
//! - **A crash.** Entries that were done, but not yet remembered on the disk, come once more: at most 512
//!   (`MAX_UNSAVED`), and those that were taken at the time. Nothing is taken while that many are not remembered.
//!   What was being written is cut off. After opening, a new segment is begun.
//! - **A sync that fails.** Nobody knows what it left, so the segment gets no more entries, and those that waited are
//!   refused. Their senders try again; an entry that is there nevertheless is delivered twice.
//! - **A full disk.** Appends fail until there is room. Draining needs none: slots are written in place.
//! - **A damaged file.** What cannot be read is skipped, and counted as lost. A segment is removed when everything that
//!   could be read in it was delivered. A disk that cannot read at all when the spool is opened keeps it from opening.

mod append;
mod disk;
mod frame;
mod index;
mod open;
mod progress;
mod recover;
mod shared;
mod take;
mod writer;

#[cfg(test)]
mod sim_disk;
#[cfg(test)]
mod tests;

pub use append::{AppendError, Bound};
pub use disk::DiskError;
pub use frame::MAX_TAG_BYTES;
pub use index::EntryId;
pub use open::{Limits, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, OpenError, Recovered};
pub use take::{ReadError, Taken};

use shared::Shared;
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A spool. Dropping it writes what waits, remembers what is done, and waits for its threads: a few syncs.
pub struct Spool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    _lock: Option<File>,
}

/// What is in a spool, and what became of what was not taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries that are not done, those included that are taken.
    pub entries: u64,
    /// What they take on the disk, in bytes.
    pub bytes: u64,
    /// Entries that are taken.
    pub taken: u64,
    /// When the oldest of the entries was appended, as the caller of [`Spool::append`] said.
    pub oldest_ms: Option<u64>,
    /// What all segments take on the disk, in bytes, with the room that is set aside: bounded by [`Limits::max_bytes`].
    pub disk_bytes: u64,
    /// Bytes that wait to be written: bounded by [`Limits::max_waiting_bytes`].
    pub waiting_bytes: u64,
    /// Appends that were refused since the spool was opened because a bound was reached.
    pub full: u64,
    /// Appends that were refused since then because the disk failed.
    pub failed: u64,
    /// Acknowledged entries that were found to be lost since then, when it was opened included.
    pub lost_entries: u64,
    /// Bytes that were found to be unreadable with them.
    pub lost_bytes: u64,
    /// Segments that could not be cut or removed, and progress that could not be written, since then. They cost room
    /// and duplicates, and nothing else.
    pub untidy: u64,
}

impl Spool {
    /// What is in it now.
    pub fn stats(&self) -> Stats {
        let state = self.shared.lock();
        let (totals, counters) = (state.index.totals(), state.counters);
        Stats {
            entries: totals.entries,
            bytes: totals.bytes,
            taken: totals.taken,
            oldest_ms: state.index.oldest_ms(),
            disk_bytes: totals.disk_bytes,
            waiting_bytes: state.waiting_bytes,
            full: counters.full,
            failed: counters.failed,
            lost_entries: counters.lost_entries,
            lost_bytes: counters.lost_bytes,
            untidy: counters.untidy,
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing left to do for it.
            drop(thread.join());
        }
    }
}
