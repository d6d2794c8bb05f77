//! What came out of the calls between services, for whoever draws them: the verifier counts it anyway.
//!
//! It is in memory alone. That of the last rollout stays until the next one is watched, and none of it outlives the process.

use control::Watching;
use model::UnixMillis;
use rollout::RolloutId;
use std::sync::{Arc, Mutex, PoisonError};
use verify::Verifier;
use web::SeenCalls;

/// Calls that are shown, with two names of at most 128 bytes and four numbers each: 512 of some 340 bytes are 175 kB, once.
const MAX_CALLS: usize = 512;

/// What others see of it.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Option<Seen>>>);

type Seen = (RolloutId, Arc<SeenCalls>);

impl Calls {
    /// So far, in this rollout; nothing of one that is over and was not the last, or that another process watched.
    pub fn get(&self, rollout: &RolloutId) -> Option<Arc<SeenCalls>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().filter(|(of, _)| of == rollout).map(|(_, seen)| seen.clone())
    }

    /// A verifier begins.
    pub(super) fn begin(&self, watching: &Watching, verifier: &Verifier, now: UnixMillis) {
        self.set(watching, SeenCalls { since: now, until: now, counts: verifier.calls(MAX_CALLS) });
    }

    /// What it has counted, after it closed batches: once a second or less often.
    pub(super) fn show(&self, watching: &Watching, verifier: &Verifier, now: UnixMillis) {
        let since = self.get(&watching.rollout).map_or(now, |shown| shown.since);
        self.set(watching, SeenCalls { since, until: now, counts: verifier.calls(MAX_CALLS) });
    }

    fn set(&self, watching: &Watching, seen: SeenCalls) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((watching.rollout.clone(), Arc::new(seen)));
    }
}
