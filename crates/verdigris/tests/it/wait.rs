//! The one way of waiting.

use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks again and again until there is something to see, at most so often as fits into `limit` with a pause between
/// any two looks; then fails with `what` was waited for.
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let looks = limit.as_millis() / PAUSE.as_millis();
    for _ in 0..=looks {
        if let Some(seen) = look() {
            return seen;
        }
        pause();
    }
    panic!("waited {limit:?} for {what}");
}

#[expect(clippy::disallowed_methods, reason = "processes are looked at from outside; nobody tells when they change")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Seconds, as a limit of [`eventually`].
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
