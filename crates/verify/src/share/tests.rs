use super::*;

const AGE_MS: u64 = 7_000;
const BATCH_MS: u64 = 1_000;

/// Halves the share twice at 0 s, doubles it where it may at each of these moments, and says for a trace in the middle of
/// the second quarter and one in the third whether they are verified, and until when their outputs are unknown.
fn check(doubled_ms: &[u64], expected: [(bool, u64); 2]) {
    let mut share = Share::whole(UnixMillis(0));
    assert!(share.halve(UnixMillis(0)) && share.halve(UnixMillis(0)));
    doubled_ms.iter().for_each(|now_ms| share.double(UnixMillis(*now_ms), AGE_MS, BATCH_MS));
    let found = [3u64 << 61, 5 << 61].map(|trace| (share.includes(trace), share.unknown_until(trace, AGE_MS).0));
    assert_eq!(found, expected);
    assert!(share.includes(1 << 60) && share.unknown_until(1 << 60, AGE_MS).0 == 0, "always verified");
}

#[test]
fn the_share_doubles_when_the_last_change_has_settled() {
    check(&[], [(false, 7_000), (false, 7_000)]);
    check(&[14_999], [(false, 7_000), (false, 7_000)]);
    // A second later everyone follows.
    check(&[15_000], [(true, 23_000), (false, 23_000)]);
    check(&[15_000, 30_999], [(true, 23_000), (false, 23_000)]);
    check(&[15_000, 31_000], [(true, 0), (true, 39_000)]);
}

#[test]
fn a_cut_is_in_proportion() {
    let mut share = Share::whole(UnixMillis(0));
    share.cut(1, 4, UnixMillis(0));
    assert_eq!((share.parts(), share.includes(1 << 62), share.includes(1 << 61)), (1 << 30, false, true));
    // What fits already is not cut.
    share.cut(5, 4, UnixMillis(0));
    assert_eq!(share.parts(), 1 << 30);
    share.cut(0, 4, UnixMillis(0));
    assert_eq!((share.ceiling(), share.parts()), (0, 1));
}

#[test]
fn halving_ends_at_nothing() {
    let mut share = Share::whole(UnixMillis(0));
    let halvings = std::iter::from_fn(|| share.halve(UnixMillis(0)).then_some(())).count();
    assert_eq!((halvings, share.includes(1), share.parts()), (64, false, 1));
}

#[test]
fn a_trace_is_counted_once() {
    let mut distinct = Distinct::default();
    assert_eq!(distinct.count(), 0);
    assert!(distinct.insert(7) && distinct.insert(8) && !distinct.insert(7));
    assert_eq!(distinct.count(), 2);
}
