//! When an environment is left alone for a while: it said so, or it does not answer. Pure: the time is an argument.

use crate::answer::Outcome;
use std::sync::Mutex;

/// Failures one after the other from which on an environment is left alone: one request that is lost with its connection
/// says little of the next.
const FAILURES: u32 = 3;

/// How long it is left alone, in milliseconds: doubled with each further failure up to the longest. A collector that
/// restarts takes some seconds.
const FIRST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 5_000;

/// The longest pause that an environment can ask for, in milliseconds: what it asks for beyond is tried earlier.
const LONGEST_ASKED_MS: u64 = 30_000;

/// How an environment took what it was handed lately.
#[derive(Debug, Default)]
pub(crate) struct Pressure(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    failures: u32,
    /// Nothing is handed over before this, in Unix milliseconds.
    until_ms: u64,
}

impl Pressure {
    /// How long the environment is still left alone, in milliseconds; 0 if it can be handed something.
    pub(crate) fn pause_ms(&self, now_ms: u64) -> u64 {
        // A clock that was set back does not make it longer than it can be.
        self.state().until_ms.saturating_sub(now_ms).min(LONGEST_ASKED_MS)
    }

    /// Whether nothing failed since something was taken.
    pub(crate) fn is_clear(&self) -> bool {
        self.state().failures == 0
    }

    /// What became of something that was handed over.
    pub(crate) fn note(&self, outcome: &Outcome, now_ms: u64) {
        let mut state = self.state();
        let asked_ms = match outcome {
            Outcome::Refused(status) if status.is_retryable() => status.retry_after_ms.unwrap_or_default(),
            Outcome::Unknown { .. } => 0,
            // It answers, so it can be handed more.
            Outcome::Acknowledged(_) | Outcome::Refused(_) => {
                *state = State::default();
                return;
            }
        };
        state.failures = state.failures.saturating_add(1);
        let doublings = state.failures.saturating_sub(FAILURES).min(16);
        let own_ms = if state.failures < FAILURES { 0 } else { (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS) };
        state.until_ms = state.until_ms.max(now_ms.saturating_add(own_ms.max(asked_ms.min(LONGEST_ASKED_MS))));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Two numbers; a thread that panicked between them left them as good as any.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otlp::reply::{Status, code};

    fn refused(code: u32, retry_after_ms: Option<u64>) -> Outcome {
        Outcome::Refused(Status { code, message: String::new(), retry_after_ms })
    }

    /// Notes each outcome at its time, and expects how long the environment is then left alone.
    fn check(notes: &[(u64, Outcome, u64)]) {
        let pressure = Pressure::default();
        for (number, (now_ms, outcome, expected)) in notes.iter().enumerate() {
            pressure.note(outcome, *now_ms);
            assert_eq!(pressure.pause_ms(*now_ms), *expected, "note {number}");
        }
    }

    #[test]
    fn failures_one_after_the_other_make_a_pause_that_grows() {
        let lost = || Outcome::unknown("lost".to_owned());
        check(&[
            (0, lost(), 0),
            (0, lost(), 0),
            (0, lost(), 100),
            (100, lost(), 200),
            (300, refused(code::UNAVAILABLE, None), 400),
            (700, Outcome::TAKEN, 0),
            (700, lost(), 0),
        ]);
        let endless: Vec<_> = (0..40).map(|number| (number * 100_000, lost())).collect();
        let pauses = [0, 0, 100, 200, 400, 800, 1_600, 3_200].into_iter().chain(std::iter::repeat(5_000));
        check(&endless.into_iter().zip(pauses).map(|((at, lost), pause)| (at, lost, pause)).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_environment_asks_for_is_granted_at_once_and_bounded() {
        check(&[
            (0, refused(code::RESOURCE_EXHAUSTED, Some(700)), 700),
            (10, refused(code::UNAVAILABLE, Some(20)), 690),
            (700, refused(code::UNAVAILABLE, Some(3_600_000)), 30_000),
        ]);
        // What it refuses for good it refuses for what it is.
        check(&[(0, refused(code::UNAVAILABLE, Some(700)), 700), (1, refused(code::INVALID_ARGUMENT, None), 0)]);
    }
}
