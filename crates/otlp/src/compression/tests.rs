use super::*;
use proptest::prelude::*;

/// The forms that make something of a body.
const FORMS: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

/// `Ok` with the text, or the error's first word.
fn check(form: Compression, bytes: &[u8], limit: usize, expected: Result<&[u8], &str>) {
    let found = decompress(form, bytes, limit);
    let found = found.as_deref().map_err(|error| match error {
        CompressionError::TooLarge { .. } => "too large",
        CompressionError::TooManyMembers => "too many members",
        CompressionError::Corrupt(_) => "corrupt",
    });
    assert_eq!(found, expected, "{form:?}");
}

#[test]
fn members_are_joined() {
    for form in FORMS {
        let members = [compress(form, b"one "), compress(form, b""), compress(form, b"two")];
        check(form, &members.concat(), 100, Ok(b"one two"));
    }
}

#[test]
fn members_that_give_nothing_are_bounded() {
    for form in FORMS {
        check(form, &compress(form, b"").repeat(MAX_MEMBERS), 0, Ok(b""));
        check(form, &compress(form, b"").repeat(MAX_MEMBERS + 1), 0, Err("too many members"));
    }
}

#[test]
fn the_limit_is_exact_and_holds_over_all_members() {
    for form in FORMS {
        let members = [compress(form, &[7; 60_000]), compress(form, &[7; 40_000])].concat();
        check(form, &members, 100_000, Ok(&[7; 100_000]));
        check(form, &members, 99_999, Err("too large"));
        check(form, &compress(form, b""), 0, Ok(b""));
        check(form, &compress(form, b"a"), 0, Err("too large"));
    }
    check(Compression::None, b"abc", 3, Ok(b"abc"));
    check(Compression::None, b"abc", 2, Err("too large"));
}

#[test]
fn memory_stays_within_the_limit() {
    for form in FORMS {
        for (length, limit) in [(100_000, 100_001), (20_000, 1_000_000), (16_385, 20_000)] {
            let out = decompress(form, &compress(form, &vec![7; length]), limit).unwrap();
            assert!(out.capacity() <= limit, "{} of {limit}", out.capacity());
        }
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_read_to_its_end() {
    for form in FORMS {
        // The end is broken: who reads so far says "corrupt".
        let mut bomb = compress(form, &vec![0; 10_000_000]);
        bomb.truncate(bomb.len() - 100);
        check(form, &bomb, 100_000, Err("too large"));
        check(form, &bomb, 20_000_000, Err("corrupt"));
    }
}

#[test]
fn what_is_not_of_its_form_is_refused() {
    for form in FORMS {
        let good = compress(form, b"some text");
        for bad in [&b""[..], b"plain", &good[..good.len() - 1], &[&good[..], b"trailing"].concat()] {
            check(form, bad, 100, Err("corrupt"));
        }
    }
    let mut wrong_checksum = gzip(b"some text");
    let at = wrong_checksum.len() - 8;
    wrong_checksum[at] ^= 1;
    check(Compression::Gzip, &wrong_checksum, 100, Err("corrupt"));
    check(Compression::Gzip, &zstd(b"some text"), 100, Err("corrupt"));
    check(Compression::Zstd, &gzip(b"some text"), 100, Err("corrupt"));
}

/// A zstd frame whose header asks for a window of 2^`log` bytes, with "abc" in a raw block (RFC 8878, section 3.1.1).
fn frame_with_window(log: u8) -> Vec<u8> {
    let magic = 0xFD2F_B528_u32.to_le_bytes();
    [&magic[..], &[0, (log - 10) << 3, 1 | 3 << 3, 0, 0], b"abc"].concat()
}

#[test]
fn a_window_is_taken_up_to_8_mib() {
    check(Compression::Zstd, &frame_with_window(10), 100, Ok(b"abc"));
    check(Compression::Zstd, &frame_with_window(23), 100, Ok(b"abc"));
    check(Compression::Zstd, &frame_with_window(24), 100, Err("corrupt"));
    check(Compression::Zstd, &frame_with_window(31), 100, Err("corrupt"));
    let error = unzstd(&frame_with_window(27), 100).expect_err("a window of 128 MiB");
    assert!(error.to_string().contains("too much memory") && error.to_string().contains("8 MiB"), "{error}");
    // What real encoders make at their highest ordinary level has such a window.
    let text: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    for (log, expected) in [(23, Ok(&text[..])), (24, Err("corrupt"))] {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&text).unwrap();
        check(Compression::Zstd, &encoder.finish().unwrap(), 20_000_000, expected);
    }
}

#[test]
fn skippable_frames_are_skipped_within_the_bound() {
    let skippable = [&0x184D_2A50_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"xyz"].concat();
    check(Compression::Zstd, &[&skippable[..], &zstd(b"abc"), &skippable].concat(), 100, Ok(b"abc"));
    check(Compression::Zstd, &skippable.repeat(MAX_MEMBERS + 1), 100, Err("too many members"));
    check(Compression::Zstd, &skippable[..skippable.len() - 1], 100, Err("corrupt"));
}

proptest! {
    #[test]
    fn what_is_compressed_comes_back(bytes: Vec<u8>) {
        for form in FORMS {
            check(form, &compress(form, &bytes), bytes.len(), Ok(&bytes));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, cut: prop::sample::Index, flip: prop::sample::Index, bit in 0..8u8) {
        for form in FORMS {
            let good = compress(form, &bytes.repeat(5));
            let framed = [&good[..good.len().min(10)], &bytes].concat();
            let _ = decompress(form, &framed[..cut.index(framed.len())], 1000);
            let mut flipped = good;
            let at = flip.index(flipped.len());
            flipped[at] ^= 1 << bit;
            if let Ok(out) = decompress(form, &flipped, 1000) {
                prop_assert!(out.len() <= 1000);
            }
        }
    }
}
