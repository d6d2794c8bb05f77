//! What the callers and the two threads share: one lock, held for no call to the disk.

use crate::append::{AppendError, Pending};
use crate::disk::Disk;
use crate::index::Index;
use crate::open::Limits;
use crate::take::ReadJob;
use crate::writer::{MAX_GROUP_BYTES, SAVE_EVERY};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub(crate) struct Shared {
    pub disk: Box<dyn Disk>,
    pub limits: Limits,
    state: Mutex<State>,
    /// There is something to write, to remember or to remove.
    writer: Condvar,
    /// There is something to read from the disk.
    reader: Condvar,
    /// There may be something to take.
    pub readable: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub index: Index,
    /// Appends that wait for the writer; their bytes are bounded by [`Limits::max_waiting_bytes`].
    pub pending: VecDeque<Pending>,
    /// The bytes of what waits, and of what the writer writes.
    pub waiting_bytes: u64,
    /// One for each call of `Spool::next` that goes on; the callers bound those.
    pub reads: VecDeque<ReadJob>,
    /// The threads end, or have ended.
    pub closed: bool,
    pub counters: Counters,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub full: u64,
    pub failed: u64,
    pub lost_entries: u64,
    pub lost_bytes: u64,
    pub untidy: u64,
}

impl Shared {
    pub fn new(disk: Box<dyn Disk>, limits: Limits, index: Index, counters: Counters) -> Shared {
        let state = Mutex::new(State { index, counters, ..State::default() });
        let (writer, reader) = (Condvar::new(), Condvar::new());
        Shared { disk, limits, state, writer, reader, readable: Notify::new() }
    }

    /// Nothing panics while it holds the lock; if something did, what it guards would still hold together.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wake_writer(&self) {
        self.writer.notify_one();
    }

    pub fn wake_reader(&self) {
        self.reader.notify_one();
    }

    /// Waits until the writer has something to do; false if it is to end.
    pub fn wait_to_write(&self) -> bool {
        let idle = |state: &mut State| !state.closed && !state.has_writing();
        let state = self.writer.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Waits for something to read; `None` if the reader is to end.
    pub fn wait_to_read(&self) -> Option<ReadJob> {
        let idle = |state: &mut State| !state.closed && state.reads.is_empty();
        let mut state = self.reader.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if state.closed { None } else { state.reads.pop_front() }
    }

    /// Lets both threads end, and nothing begin.
    pub fn close(&self) {
        self.lock().closed = true;
        self.writer.notify_all();
        self.reader.notify_all();
        self.readable.notify_waiters();
    }

    /// Answers everybody who waits for a thread that has ended.
    pub fn dismiss(&self) {
        self.close();
        let mut state = self.lock();
        state.reads.clear();
        let pending = std::mem::take(&mut state.pending);
        state.waiting_bytes -= pending.iter().map(|pending| pending.frame_bytes).sum::<u64>();
        drop(state);
        pending.into_iter().for_each(|pending| pending.answer(Err(AppendError::Closed)));
    }
}

impl State {
    fn has_writing(&self) -> bool {
        !self.pending.is_empty() || self.index.has_complete() || self.index.totals().unsaved >= SAVE_EVERY
    }

    /// What is written and synced together next.
    pub fn take_pending(&mut self) -> Vec<Pending> {
        let mut bytes = 0;
        let fits = |pending: &&Pending| {
            bytes += pending.frame_bytes;
            bytes <= MAX_GROUP_BYTES
        };
        // One that is longer than a group goes alone.
        let count = self.pending.iter().take_while(fits).count().max(1).min(self.pending.len());
        self.pending.drain(..count).collect()
    }
}
