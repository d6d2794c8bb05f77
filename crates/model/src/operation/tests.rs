use super::*;
use crate::{TraceId, UnixMillis};
use proptest::prelude::*;

fn latency(buckets: impl IntoIterator<Item = (i32, u64)>) -> OperationLatency {
    OperationLatency { latency_us: ExponentialHistogram(buckets.into_iter().collect()), unfinished: 3 }
}

#[test]
fn a_histogram_is_its_first_bucket_and_the_counts_from_there_on() {
    for (buckets, json) in [
        (vec![], r#"{"latencyUs":[],"unfinished":3}"#),
        (vec![(28, 7)], r#"{"latencyUs":[28,7],"unfinished":3}"#),
        (vec![(30, 1), (33, 12)], r#"{"latencyUs":[30,1,0,0,12],"unfinished":3}"#),
        (vec![(99, 5)], r#"{"latencyUs":[99,5],"unfinished":3}"#),
    ] {
        assert_eq!(serde_json::to_string(&latency(buckets.clone())).unwrap(), json);
        assert_eq!(serde_json::from_str::<OperationLatency>(json).unwrap(), latency(buckets));
    }
}

#[test]
fn buckets_that_there_are_not_are_refused() {
    for list in ["[27,1]", "[100,1]", "[99,1,1]", "[18446744073709551615,1]", "[-1,1]"] {
        let json = format!(r#"{{"latencyUs":{list},"unfinished":3}}"#);
        assert!(serde_json::from_str::<OperationLatency>(&json).is_err(), "{list}");
    }
    assert!(serde_json::to_string(&latency([(27, 1)])).is_err());
    assert!(serde_json::to_string(&latency([(30, 1), (i32::MAX, 1)])).is_err());
}

#[test]
fn the_largest_operation_is_as_long_as_the_bound_reckons() {
    let full = latency(OPERATION_BUCKETS.map(|bucket| (bucket, 999)));
    let root = RootOperation { service: "s".repeat(128), operation: "o".repeat(128) };
    let trace = SlowTrace { trace: TraceId([1; 16]), latency_us: 33_000_000, assigned: UnixMillis(1_700_000_000_000) };
    let latency = PerEnvironment { blue: full.clone(), green: full };
    let counts = OperationCounts { root, latency, slowest: Some(trace) };
    assert!(serde_json::to_string(&counts).unwrap().len() <= 1_090);
}

proptest! {
    #[test]
    fn a_histogram_is_read_as_it_was_written(buckets in prop::collection::btree_map(OPERATION_BUCKETS, 1u64.., 0..72)) {
        let written = latency(buckets);
        let text = serde_json::to_string(&written).unwrap();
        prop_assert_eq!(serde_json::from_str::<OperationLatency>(&text).unwrap(), written);
    }
}
