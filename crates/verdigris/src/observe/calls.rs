//! What came out of the calls between services, for whoever draws them: the verifier counts it anyway.
//!
//! It is in memory alone. That of the last rollout stays until the next one is watched, and none of it outlives the process.

use control::Watching;
use model::UnixMillis;
use rollout::RolloutId;
use std::sync::{Arc, Mutex, PoisonError};
use verify::Verifier;
use web::SeenCalls;

/// How often others are shown what was counted.
const SHOWN_EVERY_MS: u64 = 2_000;
/// Calls that are shown, with two names of at most 128 bytes and four numbers each: 512 of some 340 bytes are 175 kB, once.
const MAX_CALLS: usize = 512;

/// What others see of it.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Option<(RolloutId, Arc<SeenCalls>)>>>);

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

    /// What it has counted, if that was not shown just now.
    pub(super) fn show(&self, watching: &Watching, verifier: &Verifier, now: UnixMillis) {
        let Some(shown) = self.get(&watching.rollout) else { return };
        if now >= shown.until.plus_ms(SHOWN_EVERY_MS) {
            self.set(watching, SeenCalls { since: shown.since, until: now, counts: verifier.calls(MAX_CALLS) });
        }
    }

    fn set(&self, watching: &Watching, seen: SeenCalls) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((watching.rollout.clone(), Arc::new(seen)));
    }
}
