//! Copies of what the active environment serves, for the candidate: best effort, bounded, counted, and never in the way
//! of an answer.

use crate::hand_over::hand_over;
use crate::route::Part;
use crate::run::Running;
use crate::share::Shown;
use crate::stats::Held;
use crate::table::Snapshot;
use crate::view::{Role, View};
use model::Environment;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;

/// Copies under way at once: each is a task of some 4 KiB. At 100 ms an answer, 10,240 requests a second.
const MAX_COPIES: usize = 1_024;

pub(crate) struct Mirror {
    bytes: Arc<AtomicU64>,
    max_bytes: u64,
    room: Arc<Semaphore>,
}

impl Mirror {
    pub(crate) fn new(max_bytes: u64) -> Mirror {
        Mirror { bytes: Arc::default(), max_bytes, room: Arc::new(Semaphore::new(MAX_COPIES)) }
    }
}

/// Sends a copy to the candidate if there is room, and tells that it was dropped otherwise. The copy is made after the
/// active environment acknowledged, so that what a client sends again is not mirrored twice.
pub(crate) fn mirror(running: &Arc<Running>, snapshot: &Arc<Snapshot>, candidate: Environment, part: Part) {
    let mut held = Held::none(&running.mirror.bytes);
    let room = Arc::clone(&running.mirror.room).try_acquire_owned();
    let (true, Ok(room)) = (held.grow(part.message.len() as u64, running.mirror.max_bytes), room) else {
        return not_mirrored(running, candidate, part.spans(), &part.shown);
    };
    let (running, snapshot) = (Arc::clone(running), Arc::clone(snapshot));
    let patience = running.shared.limits.upstream.timeout();
    tokio::spawn(async move {
        let _kept = (held, room, running.unfinished.clone());
        let part = match &snapshot.redactor {
            None => part,
            Some(redactor) => {
                let (spans, shown) = (part.spans(), part.shown.clone());
                match running.redacting.part(redactor, part).await {
                    Some((part, counts)) => {
                        running.shared.counters.redacted(candidate, counts.total());
                        part
                    }
                    None => return not_mirrored(&running, candidate, spans, &shown),
                }
            }
        };
        let outcome = hand_over(&running, &snapshot, candidate, Role::Mirrored, &part, patience).await;
        running.shared.counters.mirrored(candidate, part.spans(), &outcome);
    });
}

/// Counts a copy that was dropped, and tells what was in it.
fn not_mirrored(running: &Running, candidate: Environment, spans: u64, shown: &Shown) {
    let counters = &running.shared.counters;
    counters.not_mirrored(candidate, spans);
    running.views.send(counters, shown, |message| View::NotMirrored { environment: candidate, message });
}
