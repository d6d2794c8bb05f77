//! The frames of the write-ahead log. A frame holds one batch:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | length of the payload |
//! | 4 | CRC-32 (IEEE) of the 12 bytes that follow, and the payload, and the length before |
//! | 8 | index of the first entry |
//! | 4 | number of entries |
//! | … | payload: each entry with its length in 2 bytes before it, as in an entry bundle |
//!
//! Numbers have the highest byte first. The checksum finds a frame that a crash tore; it is no protection against
//! anybody, the signed root is.

use crate::DiskError;
use crate::disk::OpenFile;
use ledger::encode_entry;

/// The longest payload of a frame: 1 MiB, which is 16 entries of the greatest length, or 2,000 of 500 bytes.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 20;

/// One batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub first: u64,
    pub entries: Vec<Vec<u8>>,
    /// Where the next frame begins.
    pub end_offset: u64,
}

impl Frame {
    /// The index after the last entry; `None` if there is no such index, which no log can reach.
    pub fn end(&self) -> Option<u64> {
        self.first.checked_add(self.entries.len() as u64)
    }
}

/// The bytes of a frame. The caller has checked the entries' and the batch's bounds.
pub(crate) fn encode(first: u64, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for entry in entries {
        encode_entry(&mut payload, entry).expect("the caller checked the entries' lengths");
    }
    let length = u32::try_from(payload.len()).expect("the caller checked the batch's length");
    let count = u32::try_from(entries.len()).expect("a batch of 1 MiB has at most 2^19 entries");
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&first.to_be_bytes());
    frame.extend_from_slice(&count.to_be_bytes());
    frame.extend_from_slice(&payload);
    let checksum = checksum(&frame);
    frame[4..8].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[8..]);
    hasher.update(&frame[..4]);
    hasher.finalize()
}

/// What is at an offset of the write-ahead log.
pub(crate) enum Found {
    /// A batch.
    Frame(Frame),
    /// No batch: never written, or left from earlier, or torn by a crash.
    Nothing {
        /// The index that the header of a torn batch names, and its whole length. Where there never was one: anything.
        first: u64,
        length: u64,
    },
}

/// What is at an offset, of which nothing at or beyond `end` is a part.
pub(crate) fn read_frame(file: &dyn OpenFile, offset: u64, end: u64) -> Result<Found, DiskError> {
    let nothing = Found::Nothing { first: 0, length: 0 };
    let room = end.saturating_sub(offset);
    if room < HEADER_BYTES as u64 {
        return Ok(nothing);
    }
    let header = file.read_at(offset, HEADER_BYTES)?;
    let Some([l0, l1, l2, l3, _, _, _, _, first @ .., n0, n1, n2, n3]) = header.first_chunk::<HEADER_BYTES>() else {
        return Ok(nothing);
    };
    // No batch is empty; zeros are what was never written.
    if [n0, n1, n2, n3].iter().all(|byte| **byte == 0) {
        return Ok(nothing);
    }
    let length = HEADER_BYTES + u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
    if length > HEADER_BYTES + MAX_BATCH_BYTES || length as u64 > room {
        return Ok(nothing);
    }
    let bytes = file.read_at(offset, length)?;
    let torn = Found::Nothing { first: u64::from_be_bytes(*first), length: length as u64 };
    Ok(decode(&bytes, offset).map_or(torn, Found::Frame))
}

fn decode(bytes: &[u8], offset: u64) -> Option<Frame> {
    let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, first @ .., n0, n1, n2, n3] = *header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if payload.len() != length || checksum(bytes) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let mut entries = Vec::new();
    let mut rest = payload;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry.to_vec());
        rest = after;
    }
    let counted = entries.len() as u64 == u64::from(u32::from_be_bytes([n0, n1, n2, n3]));
    let end_offset = offset + bytes.len() as u64;
    (rest.is_empty() && counted).then(|| Frame { first: u64::from_be_bytes(first), entries, end_offset })
}
