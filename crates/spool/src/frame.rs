//! The frame around one entry, as the crate's header lays it out. Pure.

/// The longest tag: a caller's few words about an entry (where to, which signal), not a second payload.
pub const MAX_TAG_BYTES: usize = 64;

/// Bytes before the tag.
pub(crate) const HEADER_BYTES: usize = 40;

/// Frames begin at multiples of it, so that the search for the next one looks at every eighth byte only.
pub(crate) const ALIGNMENT: u64 = 8;

const MAGIC: [u8; 4] = *b"VSP1";

/// Where a frame stands. It goes into the checksum, so that bytes which a sender put into a payload, or which were copied
/// from elsewhere, are never taken for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub segment: u64,
    pub offset: u64,
}

/// What stands before an entry's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// When the entry was appended, in milliseconds since the Unix epoch, as the caller said.
    pub at_ms: u64,
    /// Which entry of its segment.
    pub index: u32,
    /// The index of the first entry that was synced together with this one.
    pub group: u32,
    pub payload_length: u32,
    /// CRC-32 of tag and payload.
    pub content_checksum: u32,
    pub tag_length: u8,
}

impl Header {
    pub fn encode(&self, place: Place) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.at_ms.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.index.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.group.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_length.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.content_checksum.to_le_bytes());
        bytes[32] = self.tag_length;
        let checksum = checksum(&bytes, place);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in these bytes; `None` if they are none, or one of another place.
    pub fn decode(bytes: &[u8; HEADER_BYTES], place: Place) -> Option<Header> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..4] != MAGIC || u32_at(4) != checksum(bytes, place) {
            return None;
        }
        let header = Header {
            at_ms: u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32,
            index: u32_at(16),
            group: u32_at(20),
            payload_length: u32_at(24),
            content_checksum: u32_at(28),
            tag_length: bytes[32],
        };
        (usize::from(header.tag_length) <= MAX_TAG_BYTES).then_some(header)
    }

    /// The length of the whole frame.
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(usize::from(self.tag_length), u64::from(self.payload_length))
    }

    /// The length of tag and payload.
    pub fn content_bytes(&self) -> u64 {
        u64::from(self.tag_length) + u64::from(self.payload_length)
    }
}

/// The length of a frame with such a tag and payload, with the zeros that fill it up to [`ALIGNMENT`].
pub(crate) fn frame_bytes(tag: usize, payload: u64) -> u64 {
    (HEADER_BYTES as u64 + tag as u64).saturating_add(payload).saturating_add(ALIGNMENT - 1) & !(ALIGNMENT - 1)
}

fn checksum(header: &[u8; HEADER_BYTES], place: Place) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.update(&header[8..]);
    hasher.finalize()
}

/// The checksum of an entry's bytes.
pub(crate) fn content_checksum(tag: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(tag);
    hasher.update(payload);
    hasher.finalize()
}

/// Whether bytes could begin a frame: cheap, before a checksum is computed.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}
