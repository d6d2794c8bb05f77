//! What `verify` gets to see of the traffic: best effort, bounded, and never in the way of it (invariant 5).

use crate::answer::Outcome;
use crate::share::Shown;
use crate::stats::{Counters, Held, add};
use bytes::Bytes;
use model::{Environment, TraceId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Bytes of messages that views may keep alive, in the queue and at the receiver: 16 MiB, or one message that is larger.
/// Verification follows some 20,000 spans a second of each core, and cuts its share to that within a tenth of a second: of
/// spans of 500 bytes this is a second's.
pub const MAX_VIEW_BYTES: u64 = 16 << 20;

/// One thing that passed the gateway: spans alone, of the traces that [`ViewShare`](crate::ViewShare) includes, and only
/// while the route table has a candidate, unless that says always.
#[derive(Clone, Debug)]
pub enum View {
    /// Part of a request that was handed over a second ago, and is not answered yet. Its `Sent` comes later, with the
    /// same environment, role and time of hand-over.
    Unanswered {
        /// Where it was sent.
        environment: Environment,
        /// Whether the client's answer depends on it.
        role: Role,
        /// An `ExportTraceServiceRequest`.
        message: Bytes,
        /// When it was handed over to the environment, in Unix microseconds.
        handed_over_us: u64,
        /// The route table by which it was routed.
        generation: u64,
    },
    /// Part of a request, after the environment answered, or did not, or a rollback ended the waiting for it.
    Sent {
        /// Where it was sent.
        environment: Environment,
        /// Whether the client's answer depends on it.
        role: Role,
        /// An `ExportTraceServiceRequest`.
        message: Bytes,
        /// When it was handed over to the environment, in Unix microseconds.
        handed_over_us: u64,
        /// When the answer was there, or was no longer waited for, in Unix microseconds.
        answered_us: u64,
        /// What became of it.
        outcome: Outcome,
        /// The route table by which it was routed.
        generation: u64,
    },
    /// A mirror copy that was dropped, for want of room.
    NotMirrored {
        /// Where it would have been sent.
        environment: Environment,
        /// An `ExportTraceServiceRequest`.
        message: Bytes,
    },
    /// What came out of a pipeline, once the back end behind the tap had acknowledged it.
    Out {
        /// The pipeline's environment.
        environment: Environment,
        /// An `ExportTraceServiceRequest`.
        message: Bytes,
        /// When the tap had read it, in Unix microseconds.
        at_us: u64,
    },
    /// Spans of testers' traces, which green serves whatever its weight, once it had acknowledged them. Nothing else is shown
    /// of these traces.
    Tried {
        /// Which traces, and whose.
        traces: Vec<(TraceId, Arc<str>)>,
        /// An `ExportTraceServiceRequest`.
        message: Bytes,
        /// When it was acknowledged, in Unix microseconds.
        at_us: u64,
    },
    /// Views that were dropped since the last one, because the receiver was behind.
    Missed {
        /// How many.
        views: u64,
    },
}

/// Why a part was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The environment serves these traces.
    Serving,
    /// It serves these traces, and takes them from the disk, where they waited for it.
    Redelivering,
    /// The environment got a copy.
    Mirrored,
}

/// The sending side.
pub(crate) struct Views {
    sender: mpsc::Sender<View>,
    bytes: Arc<AtomicU64>,
    /// Not yet told.
    missed: AtomicU64,
}

/// Counts a message's bytes for as long as any clone of it lives.
struct Counted {
    message: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Views {
    pub(crate) fn new(sender: mpsc::Sender<View>) -> Views {
        Views { sender, bytes: Arc::default(), missed: AtomicU64::new(0) }
    }

    /// Sends a view of what is shown if there is room, and counts it as missed otherwise. Never waits.
    pub(crate) fn send(&self, counters: &Counters, shown: &Shown, make: impl FnOnce(Bytes) -> View) {
        let Shown::Spans(message) = shown else { return };
        self.tell_missed();
        let mut held = Held::none(&self.bytes);
        let bytes = message.len() as u64;
        let sent = held.grow(bytes, MAX_VIEW_BYTES.max(bytes))
            && match self.sender.try_reserve() {
                Ok(place) => {
                    place.send(make(Bytes::from_owner(Counted { message: message.clone(), _held: held })));
                    true
                }
                Err(_) => false,
            };
        if !sent {
            add(&self.missed, 1);
            add(&counters.views_missed, 1);
        }
    }

    /// Tells how many views were missed, if there are any and there is room.
    pub(crate) fn tell_missed(&self) {
        if self.missed.load(Relaxed) == 0 {
            return;
        }
        if let Ok(place) = self.sender.try_reserve() {
            let views = self.missed.swap(0, Relaxed);
            if views > 0 {
                place.send(View::Missed { views });
            }
        }
    }
}
