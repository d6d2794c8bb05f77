//! When a notification that failed is tried again.

use sha2::{Digest, Sha256};

/// Tries of one notification. The waits between them are 30 s doubled six times: 30, 60, … 1,920 s, together 63.5 minutes,
/// each longer by up to a fifth.
pub const MAX_TRIES: u32 = 8;
const FIRST_WAIT_MS: u64 = 30_000;

/// How long to wait after so many failed tries; none if that is enough. The jitter comes from the id, so that what failed
/// together does not come again together, and that the same notice waits the same in every run.
pub fn wait_ms(id: &str, failed: u32) -> Option<u64> {
    if failed == 0 || failed >= MAX_TRIES {
        return None;
    }
    let wait = FIRST_WAIT_MS << (failed - 1);
    let digest = Sha256::digest(format!("{id}\n{failed}"));
    let part = u64::from(u16::from_be_bytes([digest[0], digest[1]]));
    Some(wait + wait / 5 * part / u64::from(u16::MAX))
}
