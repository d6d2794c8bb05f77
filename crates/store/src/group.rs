//! Many threads append at once, and share the syncs: one thread gathers what waits into one frame and appends it. Whoever waits
//! is answered when the whole frame is durable, in the tree and under a signed checkpoint, or with the error that it met.
//!
//! Who has just been answered usually comes again at once, so the thread waits a moment for as many as last time: else every
//! second frame would hold the first who came, alone.

use crate::append::check_batch;
use crate::{AppendError, DiskError, MAX_BATCH_BYTES, Reserve, Store};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Frames that wait, each of at most 1 MiB: 8 MiB of entries. Whoever finds no room waits for some.
const MAX_WAITING: usize = 8;

/// How long is waited for those who came last time. Less than a sync of most disks, and only what is lost when they stay away.
const GATHER_FOR: Duration = Duration::from_micros(200);

/// A store on a thread of its own.
pub struct Group {
    appender: Appender,
    thread: JoinHandle<Store>,
}

/// Appends to a store of a [`Group`], from any thread.
#[derive(Clone)]
pub struct Appender(Arc<Shared>);

/// A batch that was not acknowledged to one of those who share its frame.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The batch itself is too long. It was not shared with others.
    #[error(transparent)]
    Refused(AppendError),
    /// The frame that it shared was not acknowledged; the same error for all of them.
    #[error(transparent)]
    Append(Arc<AppendError>),
    /// The group was closed. Nothing was written.
    #[error("the ledger is closed")]
    Closed,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something waits, or as much as last time, or it is closed.
    work: Condvar,
    /// A frame was taken, or it is closed.
    room: Condvar,
}

#[derive(Default)]
struct Queue {
    /// The oldest first.
    waiting: VecDeque<Frame>,
    /// How many shared the last frame.
    last: usize,
    closed: bool,
}

/// A frame that is being gathered.
struct Frame {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    reserve: Reserve,
    /// Batches in it.
    batches: usize,
    outcome: Arc<Outcome>,
}

/// What those who share a frame wait for: the index of its first entry.
#[derive(Default)]
struct Outcome {
    done: Mutex<Option<Result<u64, GroupError>>>,
    is_done: Condvar,
}

/// A panic elsewhere leaves nothing half done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    /// Moves the store to a thread. Tiles are made durable on another, beside the appends.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut store: Store) -> io::Result<Group> {
        store.settle_aside();
        let shared = Arc::new(Shared { queue: Mutex::default(), work: Condvar::new(), room: Condvar::new() });
        let theirs = shared.clone();
        let thread = Builder::new().name("ledger".to_owned()).spawn(move || {
            let closing = Closing(&theirs);
            while let Some(frame) = theirs.next() {
                commit(&mut store, frame);
            }
            drop(closing);
            store
        })?;
        Ok(Group { appender: Appender(shared), thread })
    }

    /// To append with.
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// Refuses what comes from now on, appends what waits, and closes the store as [`Store::close`] does.
    pub fn close(self) -> Result<(), DiskError> {
        self.stop().close()
    }

    /// The same, and gives the store back.
    ///
    /// # Panics
    /// If the thread did.
    pub fn stop(self) -> Store {
        self.appender.0.close();
        self.thread.join().expect("the ledger's thread holds its invariants")
    }
}

impl Appender {
    /// Appends a batch, all or nothing, and returns the indices of its entries, when they are durable, in the tree and under a
    /// signed checkpoint. Blocks until then: for the frames before it and its own.
    pub fn append(&self, entries: Vec<Vec<u8>>, reserve: Reserve) -> Result<Range<u64>, GroupError> {
        let bytes = check_batch(&entries).map_err(GroupError::Refused)?;
        let count = entries.len() as u64;
        let (outcome, offset) = self.0.push(entries, bytes, reserve)?;
        let mut done = lock(&outcome.done);
        loop {
            match &*done {
                Some(Ok(first)) => return Ok(first + offset..first + offset + count),
                Some(Err(error)) => return Err(error.share()),
                None => done = outcome.is_done.wait(done).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl GroupError {
    fn share(&self) -> GroupError {
        match self {
            GroupError::Append(error) => GroupError::Append(error.clone()),
            GroupError::Refused(_) | GroupError::Closed => GroupError::Closed,
        }
    }
}

impl Shared {
    /// Adds a batch to the last frame, or begins another. Returns what to wait for, and how many entries are before its own.
    fn push(&self, entries: Vec<Vec<u8>>, bytes: usize, reserve: Reserve) -> Result<(Arc<Outcome>, u64), GroupError> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return Err(GroupError::Closed);
            }
            if queue.waiting.back().is_some_and(|frame| frame.takes(bytes, reserve)) {
                break;
            }
            if queue.waiting.len() < MAX_WAITING {
                queue.waiting.push_back(Frame::new(reserve));
                break;
            }
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let last = queue.last;
        let frame = queue.waiting.back_mut().expect("there is one, or one was added");
        let offset = frame.entries.len() as u64;
        frame.entries.extend(entries);
        frame.bytes += bytes;
        frame.batches += 1;
        // It sleeps until the first comes, and then until as many have come as last time.
        if frame.batches == 1 || frame.batches == last {
            self.work.notify_one();
        }
        Ok((frame.outcome.clone(), offset))
    }

    /// The next frame; `None` once it is closed and all were taken.
    fn next(&self) -> Option<Frame> {
        let mut queue = lock(&self.queue);
        while queue.waiting.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let is_short = |queue: &mut Queue| {
            !queue.closed && queue.waiting.len() == 1 && queue.waiting.iter().all(|frame| frame.batches < queue.last)
        };
        let waited = self.work.wait_timeout_while(queue, GATHER_FOR, is_short);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let frame = queue.waiting.pop_front()?;
        queue.last = frame.batches;
        self.room.notify_all();
        Some(frame)
    }

    fn close(&self) {
        lock(&self.queue).closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }
}

impl Frame {
    fn new(reserve: Reserve) -> Frame {
        Frame { entries: Vec::new(), bytes: 0, reserve, batches: 0, outcome: Arc::default() }
    }

    /// What may use the reserve does not lend it to what may not.
    fn takes(&self, bytes: usize, reserve: Reserve) -> bool {
        self.reserve == reserve && self.bytes + bytes <= MAX_BATCH_BYTES
    }
}

fn commit(store: &mut Store, frame: Frame) {
    let answer = Answer(&frame.outcome);
    let appended = store.append_untidied(&frame.entries, frame.reserve);
    answer.give(appended.map(|range| range.start).map_err(|error| GroupError::Append(Arc::new(error))));
    // While those who were answered come again.
    store.tidy();
}

/// Nobody waits for ever, also if the thread panics.
struct Answer<'frame>(&'frame Outcome);

impl Answer<'_> {
    fn give(&self, result: Result<u64, GroupError>) {
        lock(&self.0.done).get_or_insert(result);
        self.0.is_done.notify_all();
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.give(Err(GroupError::Closed));
    }
}

/// Closes the queue when the thread ends, however it does, and answers those who wait.
struct Closing<'thread>(&'thread Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        for frame in lock(&self.0.queue).waiting.drain(..) {
            Answer(&frame.outcome).give(Err(GroupError::Closed));
        }
    }
}
