//! A thread that makes calls that may never come back, so that whoever waits for one can stop waiting. A thread that hangs
//! cannot be ended; no other is begun in its place, and until it comes back every call fails at once.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// The thread, and what it works on.
pub(crate) struct Worker<S> {
    /// One at a time is asked; none once this is dropped.
    jobs: Mutex<Option<SyncSender<Job<S>>>>,
    /// Nothing comes of it but its end, with the thread's.
    ended: Mutex<Receiver<Infallible>>,
    hangs: Arc<AtomicBool>,
    limit: Duration,
}

/// A call that did not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silent {
    /// Not in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    TooLong(Duration),
    /// The one before has not come back yet.
    #[error("it has not answered the call before")]
    Hangs,
    /// The thread is gone: a call panicked.
    #[error("its thread has ended")]
    Ended,
}

impl<S: Send + 'static> Worker<S> {
    /// Begins the thread. Each call is waited for as long as `limit`.
    pub(crate) fn begin(name: &str, state: S, limit: Duration) -> std::io::Result<Worker<S>> {
        let (jobs, taken) = sync_channel::<Job<S>>(1);
        let (ending, ended) = sync_channel(0);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(state, &taken);
            drop(ending);
        })?;
        Ok(Worker { jobs: Mutex::new(Some(jobs)), ended: Mutex::new(ended), hangs: Arc::default(), limit })
    }

    /// Runs something there, and waits for it.
    pub(crate) fn call<R: Send + 'static>(&self, run: impl FnOnce(&mut S) -> R + Send + 'static) -> Result<R, Silent> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if self.hangs.load(Ordering::Acquire) {
            return Err(Silent::Hangs);
        }
        let (answer, answered) = sync_channel(1);
        let hangs = self.hangs.clone();
        let job: Job<S> = Box::new(move |state| {
            let result = run(state);
            hangs.store(false, Ordering::Release);
            // Whoever asked may have stopped waiting.
            let _ = answer.send(result);
        });
        self.hangs.store(true, Ordering::Release);
        jobs.as_ref().ok_or(Silent::Ended)?.send(job).map_err(|_| Silent::Ended)?;
        match answered.recv_timeout(self.limit) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Timeout) => Err(Silent::TooLong(self.limit)),
            Err(RecvTimeoutError::Disconnected) => Err(Silent::Ended),
        }
    }
}

/// Waits for the thread to let go of what it works on, unless it hangs: a process that ends meanwhile takes the ground from
/// under a module's calls, and crashes instead of ending.
impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        *self.jobs.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        if !self.hangs.load(Ordering::Acquire) {
            // It has ended, or is given up.
            let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(self.limit);
        }
    }
}

fn work<S>(mut state: S, jobs: &Receiver<Job<S>>) {
    while let Ok(job) = jobs.recv() {
        job(&mut state);
    }
}

#[cfg(test)]
mod tests;
