//! Decompression within a bound: what flate2's own reader makes of the same bytes, and never more than allowed.

use flate2::bufread::MultiGzDecoder;
use otlp::compression::{CompressionError, gunzip, gzip};
use std::io::Read;

/// Allowed results, in bytes. The target takes one by its first byte; none makes a run slow.
const LIMITS: [usize; 4] = [0, 1, 1_000, 1 << 20];

/// The target.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let limit = LIMITS[usize::from(*choice) % LIMITS.len()];
    let mut reference = Vec::new();
    // One byte more than allowed shows that there is more.
    let read = MultiGzDecoder::new(bytes).take(limit as u64 + 1).read_to_end(&mut reference);
    match gunzip(bytes, limit) {
        Ok(plain) => {
            read.expect("flate2 reads it too");
            assert_eq!(plain, reference, "what was compressed");
            assert!(plain.len() <= limit && plain.capacity() <= limit, "{} of {limit} bytes", plain.capacity());
            assert_eq!(gunzip(&gzip(&plain), limit).ok(), Some(plain), "what we compress we read");
        }
        Err(CompressionError::TooLarge { limit: told }) => {
            assert_eq!(told, limit);
            assert!(reference.len() > limit || read.is_err(), "there is more than allowed, or more and then an error");
        }
        // 1,024 members of 18 bytes at least.
        Err(CompressionError::TooManyMembers) => assert!(bytes.len() > 1_024 * 18),
        // The reference stops reading where there is too much, so it may not have come to what is corrupt.
        Err(CompressionError::Corrupt(_)) => assert!(read.is_err() || reference.len() > limit, "flate2 refuses it too"),
    }
}
