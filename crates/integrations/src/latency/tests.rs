use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_time_lies_in_its_bucket(us in prop_oneof![any::<u64>(), 0_u64..100_000]) {
        let found = bucket(us);
        prop_assert!(found < 496);
        prop_assert!(begin(found) <= us && us <= end(found), "{} <= {us} <= {}", begin(found), end(found));
        prop_assert!(us < 8 || end(found) - begin(found) <= us / 8);
    }

    #[test]
    fn buckets_are_in_order(us in 0_u64..u64::MAX) {
        prop_assert!(bucket(us) <= bucket(us + 1) && bucket(us + 1) <= bucket(us) + 1);
    }

    #[test]
    fn merged_is_counted_together(a in prop::collection::vec(any::<u64>(), 0..50), b in prop::collection::vec(any::<u64>(), 0..50)) {
        let counted = |all: &[u64]| {
            let mut latencies = Latencies::default();
            all.iter().for_each(|us| latencies.count(*us));
            latencies
        };
        let mut merged = counted(&a);
        merged.add(&counted(&b));
        prop_assert_eq!(merged, counted(&[a, b].concat()));
    }

    /// A table of anybody's has any buckets.
    #[test]
    fn any_bucket_has_ends(bucket in any::<u16>()) {
        let latencies: Latencies = serde_json::from_value(serde_json::json!({ bucket.to_string(): 1_000 })).unwrap();
        let median = latencies.median(0.01).unwrap();
        prop_assert!(median.at_least_us <= median.at_most_us);
    }
}

#[test]
fn the_median_of_many_is_near() {
    let mut latencies = Latencies::default();
    (0..10_000).for_each(|us| latencies.count(us));
    let median = latencies.median(0.001).unwrap();
    assert!(median.at_least_us <= 5_000 && 5_000 <= median.at_most_us, "{median:?}");
    assert!(median.at_least_us >= 4_500 && median.at_most_us <= 5_700, "{median:?}");
    assert!(Latencies::default().median(0.1).is_none());
}
