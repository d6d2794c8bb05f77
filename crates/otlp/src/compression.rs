//! gzip, with a bound: what it makes of a body is limited before the memory is taken.

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};

/// Bytes decompressed at a time, on the stack.
const CHUNK: usize = 16 * 1024;

/// Members (RFC 1952 lets a body have several) that are read at most. An empty one is 20 bytes, costs a decoder and gives
/// nothing, so the limit on the result does not bound them. 1,024 blocks of 64 KiB, as bgzip writes them, are 64 MiB.
const MAX_MEMBERS: usize = 1024;

/// A body that is not decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// It would become larger than allowed.
    #[error("the gzip body decompresses to more than the {limit} bytes that are allowed; send smaller batches")]
    TooLarge {
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// It is made of more members than are read.
    #[error("the gzip body has more than {MAX_MEMBERS} members; expected one")]
    TooManyMembers,
    /// It is no gzip, is cut off, or its checksum does not hold.
    #[error("the body is not valid gzip (RFC 1952)")]
    Corrupt(#[source] io::Error),
}

/// Decompresses all members of a gzip body, into at most `limit` bytes. Takes never more memory than `limit`, one chunk
/// and the decoder's window, however much the body claims or would become, and stops as soon as the limit is passed.
pub fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    let mut rest = bytes;
    for _ in 0..MAX_MEMBERS {
        let mut member = GzDecoder::new(rest);
        read_member(&mut member, limit, &mut out)?;
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(out);
        }
    }
    Err(CompressionError::TooManyMembers)
}

fn read_member(member: &mut impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut chunk = [0; CHUNK];
    loop {
        let read = member.read(&mut chunk).map_err(CompressionError::Corrupt)?;
        if read == 0 {
            return Ok(());
        }
        let needed = out.len() + read;
        if needed > limit {
            return Err(CompressionError::TooLarge { limit });
        }
        if needed > out.capacity() {
            // Doubles, as a vector does by itself, but never beyond the limit.
            let capacity = (out.capacity() * 2).max(needed).min(limit);
            out.reserve_exact(capacity - out.len());
        }
        out.extend_from_slice(&chunk[..read]);
    }
}

/// Compresses for the next hop: at the fastest level, for the processor is dearer than the network here.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to a vector does not fail");
    encoder.finish().expect("writing to a vector does not fail")
}

#[cfg(test)]
mod tests;
