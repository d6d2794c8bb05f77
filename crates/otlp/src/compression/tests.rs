use super::*;
use proptest::prelude::*;

/// `Ok` with the text, or the error's first word.
fn check(bytes: &[u8], limit: usize, expected: Result<&[u8], &str>) {
    let found = gunzip(bytes, limit);
    let found = found.as_deref().map_err(|error| match error {
        CompressionError::TooLarge { .. } => "too large",
        CompressionError::TooManyMembers => "too many members",
        CompressionError::Corrupt(_) => "corrupt",
    });
    assert_eq!(found, expected);
}

#[test]
fn members_are_joined() {
    check(&[gzip(b"one "), gzip(b""), gzip(b"two")].concat(), 100, Ok(b"one two"));
}

#[test]
fn members_that_give_nothing_are_bounded() {
    check(&gzip(b"").repeat(MAX_MEMBERS), 0, Ok(b""));
    check(&gzip(b"").repeat(MAX_MEMBERS + 1), 0, Err("too many members"));
}

#[test]
fn the_limit_is_exact_and_holds_over_all_members() {
    let members = [gzip(&[7; 60_000]), gzip(&[7; 40_000])].concat();
    check(&members, 100_000, Ok(&[7; 100_000]));
    check(&members, 99_999, Err("too large"));
    check(&gzip(b""), 0, Ok(b""));
    check(&gzip(b"a"), 0, Err("too large"));
}

#[test]
fn memory_stays_within_the_limit() {
    for (length, limit) in [(100_000, 100_001), (20_000, 1_000_000), (16_385, 20_000)] {
        let out = gunzip(&gzip(&vec![7; length]), limit).unwrap();
        assert!(out.capacity() <= limit, "{} of {limit}", out.capacity());
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_read_to_its_end() {
    // The end is broken: who reads so far says "corrupt".
    let mut bomb = gzip(&vec![0; 10_000_000]);
    bomb.truncate(bomb.len() - 100);
    check(&bomb, 100_000, Err("too large"));
    check(&bomb, 20_000_000, Err("corrupt"));
}

#[test]
fn what_is_no_gzip_is_refused() {
    let good = gzip(b"some text");
    let mut wrong_checksum = good.clone();
    let at = good.len() - 8;
    wrong_checksum[at] ^= 1;
    for bad in [&b""[..], b"plain", &good[..good.len() - 1], &[&good[..], b"trailing"].concat(), &wrong_checksum] {
        check(bad, 100, Err("corrupt"));
    }
}

proptest! {
    #[test]
    fn what_is_compressed_comes_back(bytes: Vec<u8>) {
        check(&gzip(&bytes), bytes.len(), Ok(&bytes));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, cut: prop::sample::Index) {
        let framed = [&gzip(&bytes)[..10], &bytes].concat();
        let _ = gunzip(&framed[..cut.index(framed.len())], 1000);
    }
}
