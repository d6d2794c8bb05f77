//! The one way of waiting.

use std::time::Duration;

/// Between two looks at what costs nothing: a file, a child's exit code.
const PAUSE: Duration = Duration::from_millis(25);
/// Between two looks that start a process each.
const LONG_PAUSE: Duration = Duration::from_millis(200);

/// Looks again and again until there is something to see, at most so often as fits into `limit` with a pause between
/// any two looks; then fails with `what` was waited for.
pub(crate) fn eventually<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    look_every(PAUSE, what, limit, look)
}

/// The same with fewer looks, for those that start a process.
pub(crate) fn eventually_with_few_looks<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    look_every(LONG_PAUSE, what, limit, look)
}

fn look_every<T>(pause: Duration, what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let looks = limit.as_millis() / pause.as_millis();
    for _ in 0..=looks {
        if let Some(seen) = look() {
            return seen;
        }
        wait_for(pause);
    }
    panic!("waited {limit:?} for {what}");
}

#[expect(clippy::disallowed_methods, reason = "processes are looked at from outside; nobody tells when they change")]
fn wait_for(pause: Duration) {
    std::thread::sleep(pause);
}

/// Seconds, as a limit of [`eventually`].
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
