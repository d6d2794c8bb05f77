use super::*;
use std::fmt::Write;

#[test]
fn every_store_is_asked_as_it_wants_to_be() {
    let trace: TraceId = "00000000000000005af7183fb1d4cf5f".parse().unwrap();
    let search = Search {
        service: "Shop \"front\"/ä".to_owned(),
        from_ns: 1_706_678_909_209_712_345,
        to_ns: 1_706_678_910_000_000_000,
        limit: 100,
    };
    let mut paths = String::new();
    for api in Api::ALL {
        let (trace, search) = (trace_path(api, trace), search_path(api, &search));
        writeln!(paths, "{api:?}\n  {trace}\n  {search}\n  {}", greeting_path(api)).unwrap();
    }
    insta::assert_snapshot!(paths);
}

#[test]
fn times_are_those_of_the_calendar() {
    for (us, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (1_709_251_199_000_001, "2024-02-29T23:59:59.000001Z"),
        (1_709_251_200_000_000, "2024-03-01T00:00:00.000000Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        (253_402_300_799_000_000, "9999-12-31T23:59:59.000000Z"),
    ] {
        assert_eq!(rfc3339(us), expected);
    }
    assert!(rfc3339(u64::MAX).starts_with("586524-"));
}

#[test]
fn the_window_holds_its_ends() {
    for at in [0, 1, NANOS_PER_SECOND - 1, NANOS_PER_SECOND, u64::MAX] {
        let search = Search { service: "a".to_owned(), from_ns: at, to_ns: at, limit: 1 };
        // Nothing overflows, and an empty span of time is none.
        for api in Api::ALL {
            assert!(!search_path(api, &search).contains("lookback=0"), "{at}");
        }
    }
}
