//! The layout. All numbers are little-endian.
//!
//! ```text
//! head    "vdgrec" 0 1 | started_unix_ms u64 | redacted u8 | policy digest 32 | max_bytes u64 | max_ms u64
//! block   1 | plain_len u32 | stored_len u32 | one zstd frame
//! ...
//! end     2 | frames u64 | body_bytes u64 | duration_us u64 | dropped_frames u64 | dropped_bytes u64 | SHA-256 of all before
//!
//! frame   zigzag varint: offset_us less that of the frame before | tag u8 | varint: length of the body | body
//! tag     bits 0-1 signal, bit 2 HTTP, bits 3-4 attempt
//! ```

use crate::{Attempt, Bounds, Frame, Header, MAX_BODY_BYTES, Totals};
use model::{Protocol, UnixMillis};
use otlp::Signal;

/// Name, and the version of the layout.
pub(crate) const MAGIC: [u8; 8] = *b"vdgrec\0\x01";
pub(crate) const HEAD_LEN: usize = 8 + 8 + 1 + 32 + 8 + 8;
pub(crate) const BLOCK: u8 = 1;
pub(crate) const END: u8 = 2;
/// The end without its first byte and its digest.
pub(crate) const TOTALS_LEN: usize = 5 * 8;
pub(crate) const DIGEST_LEN: usize = 32;

/// A block is written when it is so large. zstd finds most of what repeats within its 8 MiB window, and the little that
/// is lost by shorter ones is the price of a recording that can be read up to where it was cut off.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// Before its body a frame has two varints of ten bytes at most, and a tag.
pub(crate) const MAX_FRAME_HEAD_LEN: usize = 10 + 1 + 10;

/// A block that was not full took one more frame.
pub(crate) const MAX_PLAIN_LEN: usize = BLOCK_BYTES + MAX_FRAME_HEAD_LEN + MAX_BODY_BYTES;

/// zstd's worst case (`ZSTD_COMPRESSBOUND`): an eighth of a thousandth more, and some bytes; twice that to be sure.
pub(crate) const MAX_STORED_LEN: usize = MAX_PLAIN_LEN + MAX_PLAIN_LEN / 128 + 1024;

pub(crate) fn put_header(header: &Header, out: &mut Vec<u8>) {
    out.extend(MAGIC);
    out.extend(header.started.0.to_le_bytes());
    out.push(header.redaction.is_some().into());
    out.extend(header.redaction.unwrap_or_default());
    out.extend(header.bounds.max_bytes.to_le_bytes());
    out.extend(header.bounds.max_ms.to_le_bytes());
}

/// Behind the magic. `None` if it says neither that it was redacted nor that it was not.
pub(crate) fn read_header(bytes: &[u8; HEAD_LEN - MAGIC.len()]) -> Option<Header> {
    let mut rest = &bytes[..];
    let started = UnixMillis(number(&mut rest)?);
    let (redacted, mut rest) = rest.split_first()?;
    let digest = *rest.split_off(..32)?.first_chunk::<32>()?;
    let redaction = match redacted {
        0 => None,
        1 => Some(digest),
        _ => return None,
    };
    let bounds = Bounds { max_bytes: number(&mut rest)?, max_ms: number(&mut rest)? };
    Some(Header { started, redaction, bounds })
}

pub(crate) fn put_totals(totals: &Totals, out: &mut Vec<u8>) {
    let Totals { frames, body_bytes, duration_us, dropped_frames, dropped_bytes } = *totals;
    for number in [frames, body_bytes, duration_us, dropped_frames, dropped_bytes] {
        out.extend(number.to_le_bytes());
    }
}

pub(crate) fn read_totals(bytes: &[u8; TOTALS_LEN]) -> Totals {
    let rest = &mut &bytes[..];
    let mut next = || number(rest).expect("five numbers of eight bytes");
    Totals { frames: next(), body_bytes: next(), duration_us: next(), dropped_frames: next(), dropped_bytes: next() }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    rest.split_off(..8)?.first_chunk().map(|eight| u64::from_le_bytes(*eight))
}

pub(crate) fn put_frame(frame: &Frame, before_us: u64, out: &mut Vec<u8>) {
    // Wraps as two's complement does, and comes back by the same way.
    let delta = frame.offset_us.wrapping_sub(before_us) as i64;
    put_varint(out, (delta << 1 ^ delta >> 63) as u64);
    let signal = match frame.signal {
        Signal::Traces => 0,
        Signal::Metrics => 1,
        Signal::Logs => 2,
    };
    let protocol = match frame.protocol {
        Protocol::Grpc => 0,
        Protocol::Http => 1,
    };
    let attempt = match frame.attempt {
        Attempt::Unknown => 0,
        Attempt::First => 1,
        Attempt::Again => 2,
    };
    out.push(signal | protocol << 2 | attempt << 3);
    put_varint(out, frame.body.len() as u64);
    out.extend_from_slice(&frame.body);
}

/// The frame at the beginning of `rest`, or what is wrong with it.
pub(crate) fn read_frame(rest: &mut &[u8], before_us: u64) -> Result<Frame, &'static str> {
    const SHORT: &str = "a frame goes on behind its block";
    let zigzag = read_varint(rest).ok_or(SHORT)?;
    let delta = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
    let tag = *rest.split_off_first().ok_or(SHORT)?;
    let signal = match tag & 3 {
        0 => Signal::Traces,
        1 => Signal::Metrics,
        2 => Signal::Logs,
        _ => return Err("a frame of no known signal"),
    };
    let protocol = if tag & 4 == 0 { Protocol::Grpc } else { Protocol::Http };
    let attempt = match tag >> 3 {
        0 => Attempt::Unknown,
        1 => Attempt::First,
        2 => Attempt::Again,
        _ => return Err("a frame of no known attempt"),
    };
    let length = read_varint(rest).ok_or(SHORT)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BODY_BYTES);
    let body = rest.split_off(..length.ok_or("a body of more than 64 MiB")?).ok_or(SHORT)?;
    Ok(Frame { offset_us: before_us.wrapping_add_signed(delta), signal, protocol, attempt, body: body.to_vec() })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// At most ten bytes; what is above 64 bits falls off.
fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
