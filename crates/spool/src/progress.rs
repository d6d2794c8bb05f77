//! Which entries of a segment were delivered, as it is kept at the segment's beginning. Pure.
//!
//! There are two slots; a generation is written to the one that the generation before is not in, and synced before the
//! next. So the slot that was synced last is never written to, and a crash or a lost write costs duplicates only.

use crate::frame::ALIGNMENT;

/// One slot: a page, so that it shares none with an entry.
pub(crate) const SLOT_BYTES: usize = 4096;

const SLOTS: u64 = 2;

/// Where the first frame stands.
pub(crate) const FIRST_FRAME: u64 = SLOTS * SLOT_BYTES as u64;

/// The most entries of a segment: 32,000 bits are 4,000 bytes, which fit into a slot beside its 16 bytes of header.
pub(crate) const MAX_SEGMENT_ENTRIES: u32 = 32_000;

const BITMAP: std::ops::Range<usize> = 16..16 + MAX_SEGMENT_ENTRIES as usize / 8;
const MAGIC: [u8; 4] = *b"VSD1";

const _: () = assert!(BITMAP.end <= SLOT_BYTES && FIRST_FRAME.is_multiple_of(ALIGNMENT));

/// What a slot says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub generation: u64,
    bitmap: Vec<u8>,
}

impl Progress {
    pub fn new(generation: u64, done: impl Iterator<Item = u32>) -> Progress {
        let mut bitmap = vec![0; BITMAP.len()];
        for index in done {
            bitmap[index as usize / 8] |= 1 << (index % 8);
        }
        Progress { generation, bitmap }
    }

    pub fn is_done(&self, index: u32) -> bool {
        self.bitmap.get(index as usize / 8).is_some_and(|byte| byte & 1 << (index % 8) != 0)
    }

    /// Where in the segment this generation belongs.
    pub fn offset(&self) -> u64 {
        self.generation % SLOTS * SLOT_BYTES as u64
    }

    pub fn encode(&self, segment: u64) -> Vec<u8> {
        let mut bytes = vec![0; SLOT_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.generation.to_le_bytes());
        bytes[BITMAP].copy_from_slice(&self.bitmap);
        let checksum = checksum(&bytes, segment);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The newest of what the slots of a segment hold; nothing is done if neither can be read.
    pub fn newest(slots: &[u8], segment: u64) -> Option<Progress> {
        slots.chunks_exact(SLOT_BYTES).filter_map(|slot| decode(slot, segment)).max_by_key(|slot| slot.generation)
    }
}

fn decode(slot: &[u8], segment: u64) -> Option<Progress> {
    let (header, _) = slot.split_first_chunk::<16>()?;
    let [m0, m1, m2, m3, c0, c1, c2, c3, generation @ ..] = *header;
    let holds = [m0, m1, m2, m3] == MAGIC && u32::from_le_bytes([c0, c1, c2, c3]) == checksum(slot, segment);
    let generation = u64::from_le_bytes(generation);
    // Nobody gets further by writing, and there is always a next generation.
    (holds && generation < u64::MAX / 2).then(|| Progress { generation, bitmap: slot[BITMAP].to_vec() })
}

fn checksum(slot: &[u8], segment: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&slot[8..BITMAP.end]);
    hasher.finalize()
}
