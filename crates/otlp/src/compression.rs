//! gzip and zstd, with bounds: what is made of a body is limited before the memory is taken.

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use model::Compression;
use std::io::{self, Read, Write};
use zstd::stream::read::Decoder as ZstdDecoder;
use zstd::zstd_safe::DCtx;

/// Bytes decompressed at a time, on the stack.
const CHUNK: usize = 16 * 1024;

/// Members (RFC 1952 lets a body have several) or frames (RFC 8878 too) that are read at most. An empty one is 20 bytes,
/// costs a decoder and gives nothing, so the limit on the result does not bound them. 1,024 blocks of 64 KiB, as bgzip
/// writes them, are 64 MiB.
const MAX_MEMBERS: usize = 1024;

/// The largest window of a zstd frame, as a power of two: 8 MiB, what RFC 8878 (section 3.1.1.1.2) asks every decoder to
/// take, and what encoders use up to level 19. A frame's header alone makes a decoder take its window's memory, and
/// libzstd would take 128 MiB.
const MAX_WINDOW_LOG: u32 = 23;

/// zstd's fastest level without loss of its own: the processor is dearer than the network here.
const ZSTD_LEVEL: i32 = 1;

/// A body that is not decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// It would become larger than allowed.
    #[error("the body decompresses to more than the {limit} bytes that are allowed; send smaller batches")]
    TooLarge {
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// It is made of more members or frames than are read.
    #[error("the compressed body has more than {MAX_MEMBERS} members; expected one")]
    TooManyMembers,
    /// It is not what its encoding says, is cut off, its checksum does not hold, or its window is too large.
    #[error("the body cannot be decompressed: {0}")]
    Corrupt(io::Error),
}

/// Decompresses a body into at most `limit` bytes; without compression that is a copy.
pub fn decompress(compression: Compression, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    match compression {
        Compression::None if bytes.len() > limit => Err(CompressionError::TooLarge { limit }),
        Compression::None => Ok(bytes.to_owned()),
        Compression::Gzip => gunzip(bytes, limit),
        Compression::Zstd => unzstd(bytes, limit),
    }
}

/// Compresses for the next hop; without compression that is a copy.
pub fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_owned(),
        Compression::Gzip => gzip(bytes),
        Compression::Zstd => zstd(bytes),
    }
}

/// Decompresses all members of a gzip body, into at most `limit` bytes. Takes never more memory than `limit`, one chunk
/// and the decoder's window (32 KiB), however much the body claims or would become, and stops as soon as the limit is
/// passed.
pub fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    members(bytes, limit, |rest, out| {
        let mut member = GzDecoder::new(rest);
        read_member(&mut member, limit, out, "gzip, RFC 1952")?;
        Ok(member.into_inner())
    })
}

/// Decompresses all frames of a zstd body, into at most `limit` bytes. Takes never more memory than `limit`, one chunk
/// and the decoder's window (8 MiB) and tables (some 160 KiB), however much the body claims or would become, and stops as
/// soon as the limit is passed. A frame with a larger window, or with a dictionary, is refused.
pub fn unzstd(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    const FORM: &str = "zstd, RFC 8878, with a window of up to 8 MiB and no dictionary";
    let mut context = DCtx::create();
    members(bytes, limit, |rest, out| {
        let mut frame = ZstdDecoder::with_context(rest, &mut context).single_frame();
        frame.window_log_max(MAX_WINDOW_LOG).map_err(CompressionError::Corrupt)?;
        read_member(&mut frame, limit, out, FORM)?;
        Ok(frame.finish())
    })
}

/// Reads member after member; `read` takes one, and gives what is behind it.
fn members<'b>(
    bytes: &'b [u8],
    limit: usize,
    mut read: impl FnMut(&'b [u8], &mut Vec<u8>) -> Result<&'b [u8], CompressionError>,
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    let mut rest = bytes;
    for _ in 0..MAX_MEMBERS {
        rest = read(rest, &mut out)?;
        debug_assert!(out.len() <= limit, "a member's reader holds the limit");
        if rest.is_empty() {
            return Ok(out);
        }
    }
    Err(CompressionError::TooManyMembers)
}

fn read_member(
    member: &mut impl Read,
    limit: usize,
    out: &mut Vec<u8>,
    expected: &str,
) -> Result<(), CompressionError> {
    let corrupt = |error: io::Error| {
        CompressionError::Corrupt(io::Error::new(error.kind(), format!("{error}; expected {expected}")))
    };
    let mut chunk = [0; CHUNK];
    loop {
        let read = member.read(&mut chunk).map_err(corrupt)?;
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

/// gzip at its fastest level, for the processor is dearer than the network here.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("writing to a vector does not fail");
    encoder.finish().expect("writing to a vector does not fail")
}

/// One zstd frame, with its content's size in its header.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL).expect("the vector has room for the worst case, and nothing else can fail")
}

#[cfg(test)]
mod tests;
