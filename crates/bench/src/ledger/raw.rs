//! The least that a durable append can be: bytes written into a file whose room was set aside and written before, and
//! fdatasync. The file is as long as the ledger's write-ahead log, and is written from its start again when it is full.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// As the ledger's write-ahead log.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// As the ledger's frames.
const MAX_GROUP_BYTES: usize = 1024 * 1024;

/// As the ledger waits for those who came last time.
const GATHER_FOR: Duration = Duration::from_micros(200);

/// A file and where it is written next.
struct Target {
    file: File,
    at: AtomicU64,
}

impl Target {
    fn create(path: &Path) -> Result<Target> {
        let file = File::create_new(path)?;
        let zeros = vec![0; 1024 * 1024];
        for offset in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        Ok(Target { file, at: AtomicU64::new(0) })
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        // Wraps around a little before the end, so that nothing makes the file longer.
        let room = FILE_BYTES - MAX_GROUP_BYTES as u64;
        let at = self.at.fetch_add(bytes.len() as u64, Ordering::Relaxed) % room;
        self.file.write_all_at(bytes, at)?;
        self.file.sync_data()?;
        Ok(())
    }
}

/// Each writer syncs what it wrote.
pub struct Alone(Target);

impl Alone {
    pub fn create(path: &Path) -> Result<Alone> {
        Target::create(path).map(Alone)
    }

    pub fn append(&self, entry: &[u8]) -> Result<()> {
        self.0.write(entry)
    }
}

/// One thread writes and syncs what waits, by the rules of `store::Group`.
pub struct Grouped {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    entries: usize,
    last: usize,
    closed: bool,
    outcome: Arc<Outcome>,
}

#[derive(Default)]
struct Outcome {
    /// Whether it went well, once it is over.
    done: Mutex<Option<bool>>,
    is_done: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Grouped {
    pub fn start(path: &Path) -> Result<Grouped> {
        let target = Target::create(path)?;
        let shared = Arc::new(Shared { queue: Mutex::default(), work: Condvar::new() });
        let theirs = shared.clone();
        let thread = Builder::new().name("raw".to_owned()).spawn(move || {
            while let Some((bytes, outcome)) = theirs.next() {
                let written = target.write(&bytes);
                *lock(&outcome.done) = Some(written.is_ok());
                outcome.is_done.notify_all();
                written?;
            }
            Ok(())
        })?;
        Ok(Grouped { shared, thread })
    }

    pub fn append(&self, entry: Vec<u8>) -> Result<()> {
        let outcome = {
            let mut queue = lock(&self.shared.queue);
            queue.bytes.extend_from_slice(&entry);
            queue.entries += 1;
            if queue.entries == 1 || queue.entries == queue.last {
                self.shared.work.notify_one();
            }
            queue.outcome.clone()
        };
        let mut done = lock(&outcome.done);
        loop {
            match *done {
                Some(true) => return Ok(()),
                Some(false) => bail!("the raw file cannot be written"),
                None => done = outcome.is_done.wait(done).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    pub fn close(self) -> Result<()> {
        lock(&self.shared.queue).closed = true;
        self.shared.work.notify_all();
        self.thread.join().expect("it does not panic").context("the raw file")
    }
}

impl Shared {
    /// All that waits: 512 entries of 1,000 bytes are less than the greatest group.
    fn next(&self) -> Option<(Vec<u8>, Arc<Outcome>)> {
        let mut queue = lock(&self.queue);
        while queue.entries == 0 {
            if queue.closed {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let is_short = |queue: &mut Queue| !queue.closed && queue.entries < queue.last;
        let waited = self.work.wait_timeout_while(queue, GATHER_FOR, is_short);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (last, closed) = (queue.entries, queue.closed);
        let taken = std::mem::replace(&mut *queue, Queue { last, closed, ..Queue::default() });
        Some((taken.bytes, taken.outcome))
    }
}
