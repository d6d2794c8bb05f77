//! The only clock and the only randomness of the program; everything else is given them.
#![allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]

use model::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch; 0 for a clock that is set before it.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch.
pub fn now() -> UnixMillis {
    UnixMillis(now_us() / 1_000)
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("without the kernel's randomness no key is safe to make");
    bytes
}
