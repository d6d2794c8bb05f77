//! Decompression within a bound: what flate2's own reader makes of the same bytes, and never more than allowed.

use flate2::bufread::MultiGzDecoder;
use otlp::compression::{CompressionError, gunzip, gzip};
use std::io::Read;

/// Bytes that the reference reads at most; no more are allowed, so that no run is slow.
const MAX_LIMIT: usize = 1 << 20;

/// The target: the first byte says what is allowed, the rest is the body.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut reference = Vec::new();
    // One byte more than allowed shows that there is more.
    let read = MultiGzDecoder::new(bytes).take(MAX_LIMIT as u64 + 1).read_to_end(&mut reference);
    let length = reference.len();
    let limits = [0, 1_000, length.saturating_sub(1), length, length + 1, MAX_LIMIT];
    check(bytes, limits[usize::from(*choice) % limits.len()].min(MAX_LIMIT), &reference, read.is_ok());
}

fn check(bytes: &[u8], limit: usize, reference: &[u8], valid: bool) {
    match gunzip(bytes, limit) {
        Ok(plain) => {
            assert!(valid, "flate2 reads it too");
            assert_eq!(plain, reference, "what was compressed");
            assert!(plain.len() <= limit && plain.capacity() <= limit, "{} of {limit} bytes", plain.capacity());
            assert_eq!(gunzip(&gzip(&plain), limit).ok(), Some(plain), "what we compress we read");
        }
        Err(CompressionError::TooLarge { limit: told }) => {
            assert_eq!(told, limit);
            assert!(reference.len() > limit || !valid, "there is more than allowed, or more and then an error");
        }
        // 1,024 members of 18 bytes at least.
        Err(CompressionError::TooManyMembers) => assert!(bytes.len() > 1_024 * 18),
        // The reference stops reading where there is too much, so it may not have come to what is corrupt.
        Err(CompressionError::Corrupt(_)) => assert!(!valid || reference.len() > limit, "flate2 refuses it too"),
    }
}
