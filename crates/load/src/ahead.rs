//! Requests that are made before they are due, so that making one never makes another one late: a bounded queue between
//! two threads.

use crate::pace::Prepared;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Requests ahead: a quarter of a second at 1,000 a second.
const MAX_REQUESTS: usize = 256;
/// Bytes ahead; a single request may be larger (64 MiB).
const MAX_BYTES: usize = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct Ahead {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Prepared>,
    bytes: usize,
    /// Nothing comes any more, or nobody wants it.
    closed: bool,
}

impl Ahead {
    /// Waits for room. Whether somebody still wants it.
    pub(crate) fn push(&self, request: Prepared) -> bool {
        let full = |state: &mut State| {
            let full = state.requests.len() >= MAX_REQUESTS || state.bytes >= MAX_BYTES;
            full && !state.closed
        };
        let state = self.changed.wait_while(self.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return false;
        }
        state.bytes += request.bytes();
        state.requests.push_back(request);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Waits for the next one. `None` if it was closed and nothing is left.
    pub(crate) fn pop(&self) -> Option<Prepared> {
        let empty = |state: &mut State| state.requests.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), empty);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let request = state.requests.pop_front()?;
        state.bytes -= request.bytes();
        // The other side is woken when there is room for more than one.
        let roomy = state.requests.len() <= MAX_REQUESTS / 2 && state.bytes <= MAX_BYTES / 2;
        drop(state);
        if roomy {
            self.changed.notify_all();
        }
        Some(request)
    }

    /// Nothing more comes; what is there is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until it is full, or closed: nothing that is due at once is late then.
    pub(crate) fn wait_until_ready(&self) {
        let short = |state: &mut State| {
            let full = state.requests.len() >= MAX_REQUESTS || state.bytes >= MAX_BYTES;
            !full && !state.closed
        };
        drop(self.changed.wait_while(self.lock(), short));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A push or a pop leaves no half-done state behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
