//! The bytes on the disk, as the crate's header lays them out.

use super::{Rig, SMALL, payload};
use crate::frame::{HEADER_BYTES, Header, Place, frame_bytes};
use crate::index::{name, parse_name};
use crate::progress::{Progress, SLOT_BYTES};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// CRC-32 (IEEE 802.3), bit by bit, as an implementation that is not the one in use.
fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for byte in parts.concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn a_segment_has_the_bytes_that_the_header_of_the_crate_lays_out() {
    let mut rig = Rig::new(SMALL);
    rig.append(0x0102_0304_0506, b"blue/traces", b"hello").unwrap();
    rig.append(7, b"", b"").unwrap();
    rig.append(8, b"t", &payload(1, 100)).unwrap();
    rig.take().done();
    rig.writer.finish();
    let name = "0000000000000000-00000.segment";
    let names = rig.disk.sim().names();
    assert_eq!(names, [name]);
    let bytes = rig.disk.sim().content(name).clone();

    // Generation 1 is in slot 1.
    assert!(bytes[..4096].iter().all(|byte| *byte == 0));
    let slot = &bytes[4096..8192];
    assert_eq!(hex(&slot[..24]), format!("56534431{}0100000000000000{}", hex(&slot[4..8]), "0100000000000000"));
    assert!(slot[17..].iter().all(|byte| *byte == 0));
    assert_eq!(slot[4..8], crc32(&[&[0; 8], &slot[8..4016]]).to_le_bytes());

    let frame = &bytes[8192..8248];
    assert_eq!(frame[..4], *b"VSP1");
    assert_eq!(hex(&frame[8..24]), "06050403020100000000000000000000");
    assert_eq!(hex(&frame[24..28]), "05000000");
    assert_eq!(frame[28..32], crc32(&[b"blue/traceshello"]).to_le_bytes());
    assert_eq!(hex(&frame[32..40]), "0b00000000000000");
    assert_eq!(frame[40..], *b"blue/traceshello");
    assert_eq!(frame[4..8], crc32(&[&[0; 8], &8192u64.to_le_bytes(), &frame[8..40]]).to_le_bytes());

    // The second entry was synced on its own, so its group begins with it.
    assert_eq!(hex(&bytes[8248 + 8..8248 + 24]), "07000000000000000100000001000000");
    // 40 + 1 + 100 bytes, and 3 to the next multiple of 8; the rest of the segment is cut off.
    assert_eq!(bytes.len(), 8288 + 144);
    assert!(bytes.ends_with(&[0; 3]));
}

#[test]
fn names_are_read_as_they_are_written() {
    assert_eq!(name(7, 1230), "0000000000000007-01230.segment");
    assert_eq!(parse_name("0000000000000007-01230.segment"), Some((7, 1230)));
    for foreign in [
        "7-1230.segment",
        "0000000000000007-01230.segment.bak",
        "000000000000000A-00000.segment",
        "+000000000000007-01230.segment",
        "0000000000000007-+1230.segment",
        "ffffffffffffffff-00000.segment",
        "lock",
        "",
    ] {
        assert_eq!(parse_name(foreign), None, "{foreign}");
    }
}

prop_compose! {
    fn headers()(
        at_ms: u64, index: u32, group: u32, payload_length: u32, content_checksum: u32, tag_length in 0u8..=64,
    ) -> Header {
        Header { at_ms, index, group, payload_length, content_checksum, tag_length }
    }
}

proptest! {
    #[test]
    fn a_header_is_read_in_its_place_alone(header in headers(), segment: u64, offset: u64, bit in 0..HEADER_BYTES * 8) {
        let place = Place { segment, offset };
        let bytes = header.encode(place);
        prop_assert_eq!(Header::decode(&bytes, place), Some(header));
        let moved = Place { offset: offset ^ 8, ..place };
        prop_assert_eq!(Header::decode(&bytes, moved), None);
        let elsewhere = Place { segment: segment ^ 1, ..place };
        prop_assert_eq!(Header::decode(&bytes, elsewhere), None);
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Header::decode(&damaged, place), None);
    }

    #[test]
    fn frames_end_at_multiples_of_8(tag in 0usize..=64, payload in 0u64..1 << 32) {
        let bytes = frame_bytes(tag, payload);
        let content = 40 + tag as u64 + payload;
        prop_assert!(bytes.is_multiple_of(8) && (content..content + 8).contains(&bytes));
    }

    #[test]
    fn the_newest_slot_that_holds_says_what_is_done(
        older in prop::collection::btree_set(0u32..32_000, 0..50),
        more in prop::collection::btree_set(0u32..32_000, 0..50),
        generation in 0u64..1 << 40,
        damaged in prop::option::of((0usize..2 * SLOT_BYTES, 1u8..)),
    ) {
        let newer: std::collections::BTreeSet<u32> = older.union(&more).copied().collect();
        let mut slots = vec![0; 2 * SLOT_BYTES];
        for (generation, done) in [(generation, &older), (generation + 1, &newer)] {
            let progress = Progress::new(generation, done.iter().copied());
            let offset = progress.offset() as usize;
            slots[offset..offset + SLOT_BYTES].copy_from_slice(&progress.encode(3));
        }
        prop_assert!(Progress::newest(&slots, 4).is_none());
        let newest_offset = Progress::new(generation + 1, [].into_iter()).offset() as usize;
        let mut expected = &newer;
        if let Some((at, by)) = damaged {
            slots[at] ^= by;
            // The last 80 bytes of a slot say nothing.
            if (newest_offset..newest_offset + 4016).contains(&at) {
                expected = &older;
            }
        }
        let newest = Progress::newest(&slots, 3).unwrap();
        let done: std::collections::BTreeSet<u32> = (0..32_000).filter(|index| newest.is_done(*index)).collect();
        prop_assert_eq!(&done, expected);
        prop_assert!(!newest.is_done(u32::MAX));
    }
}
