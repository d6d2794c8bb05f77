//! The spool with its threads, on a real file system: many callers at once, processes that are killed, a disk that is
//! full, and what else may be in its directory.

mod directory;
mod processes;
mod threads;

use bytes::Bytes;

/// Bytes that no other number has.
fn payload(number: u64) -> Bytes {
    let length = 100 + number as usize % 7 * 3000;
    let mut state = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(next).collect()
}
