//! Appending, as callers see it.

use crate::disk::DiskError;
use crate::frame::{MAX_TAG_BYTES, frame_bytes};
use crate::shared::Shared;
use crate::{EntryId, Spool};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use tokio::sync::oneshot;

/// An entry that was not taken in. Nobody may tell a sender that it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A bound is reached. There is room again when entries were delivered: the sender is told to retry.
    #[error("the spool is full: it has reached {0}; there is room when entries were delivered")]
    Full(Bound),
    /// The entry fits into no segment, ever.
    #[error("an entry takes {found} bytes in the spool, expected at most {at_most}: use longer segments, or refuse it")]
    TooLong {
        /// What it takes, with its header.
        found: u64,
        /// What there is room for.
        at_most: u64,
    },
    /// The tag is too long.
    #[error("a tag has {found} bytes, expected at most {MAX_TAG_BYTES}")]
    TagTooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// The disk failed. The entry may still be found when the spool is opened again.
    #[error("the entry is not on the disk")]
    Failed(#[source] Arc<DiskError>),
    /// The spool is being closed.
    #[error("the spool is closed")]
    Closed,
}

/// What bounds the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Bytes on the disk ([`crate::Limits::max_bytes`]).
    DiskBytes(u64),
    /// Segments, which are as many as that only after as many restarts.
    Segments(u64),
    /// Entries whose segments are there ([`crate::Limits::max_entries`]).
    Entries(u64),
    /// Bytes that wait to be written ([`crate::Limits::max_waiting_bytes`]).
    WaitingBytes(u64),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::DiskBytes(bytes) => write!(f, "{bytes} bytes on the disk"),
            Bound::Segments(segments) => write!(f, "{segments} segments"),
            Bound::Entries(entries) => write!(f, "{entries} entries"),
            Bound::WaitingBytes(bytes) => write!(f, "{bytes} bytes that wait to be written"),
        }
    }
}

/// An entry that waits for the writer.
pub(crate) struct Pending {
    pub at_ms: u64,
    pub tag: Bytes,
    pub payload: Bytes,
    pub frame_bytes: u64,
    reply: oneshot::Sender<Result<EntryId, AppendError>>,
}

impl Pending {
    /// Nobody waits for it any more, so it need not be written.
    pub fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }

    /// Who gave up waiting finds no harm: an entry that is there without an acknowledgement is delivered once more.
    pub fn answer(self, answer: Result<EntryId, AppendError>) {
        drop(self.reply.send(answer));
    }
}

impl Spool {
    /// Appends an entry, and returns when it is durable: when its segment was synced, and the directory after the
    /// segment was made. Entries that wait at the same time share one sync.
    ///
    /// `at_ms` is now, in milliseconds since the Unix epoch, for [`crate::Stats::oldest_ms`]; the order is that of the
    /// calls. `tag` has at most [`MAX_TAG_BYTES`]; the spool does not look into it, nor into the payload.
    ///
    /// A future that is dropped leaves the entry out or in, whole: it may be delivered though nobody waited for it.
    pub async fn append(&self, at_ms: u64, tag: &[u8], payload: Bytes) -> Result<EntryId, AppendError> {
        let answer = enqueue(&self.shared, at_ms, tag, payload)?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }
}

type Answer = oneshot::Receiver<Result<EntryId, AppendError>>;

fn enqueue(shared: &Shared, at_ms: u64, tag: &[u8], payload: Bytes) -> Result<Answer, AppendError> {
    if tag.len() > MAX_TAG_BYTES {
        return Err(AppendError::TagTooLong { found: tag.len() });
    }
    let frame_bytes = frame_bytes(tag.len(), payload.len() as u64);
    let (limits, at_most) = (&shared.limits, shared.limits.max_frame_bytes());
    if frame_bytes > at_most {
        return Err(AppendError::TooLong { found: frame_bytes, at_most });
    }
    let (reply, answer) = oneshot::channel();
    let pending = Pending { at_ms, tag: Bytes::copy_from_slice(tag), payload, frame_bytes, reply };
    let mut state = shared.lock();
    if state.closed {
        return Err(AppendError::Closed);
    }
    if state.waiting_bytes + frame_bytes > limits.max_waiting_bytes {
        state.counters.full += 1;
        return Err(AppendError::Full(Bound::WaitingBytes(limits.max_waiting_bytes)));
    }
    state.waiting_bytes += frame_bytes;
    state.pending.push_back(pending);
    drop(state);
    shared.wake_writer();
    Ok(answer)
}
