use super::*;
use proptest::prelude::*;

fn arm() -> impl Strategy<Value = ArmCounts> {
    let checks = prop::sample::select(vec![Check::LostSpan, Check::ErrorSpan, Check::Orphan]);
    let events = prop::collection::btree_map(checks, 1u64..9, 0..3);
    let latency = prop::collection::btree_map(-1i32..4, 1u64..9, 0..4);
    (10u64..99, events, latency, 0u64..9).prop_map(|(traces, events, latency, unfinished)| ArmCounts {
        traces,
        assigned: traces + 1,
        events,
        spans_acknowledged: traces * 3,
        spans_out: traces * 2,
        latency_us: ExponentialHistogram(latency),
        unfinished,
        slowest: None,
    })
}

proptest! {
    #[test]
    fn what_was_added_can_be_taken_away(part in arm(), rest in arm()) {
        let mut whole = part.clone();
        whole.add(&rest);
        prop_assert_eq!(whole.traces, part.traces + rest.traces);
        prop_assert_eq!(whole.assigned, part.assigned + rest.assigned);
        prop_assert_eq!(whole.without(&part), Some(rest.clone()));
        prop_assert_eq!(whole.without(&rest), Some(part));
        prop_assert_eq!(rest.without(&whole), None);
    }
}

#[test]
fn the_slower_example_stays() {
    let slow = |latency_us| SlowTrace { trace: TraceId([1; 16]), latency_us, assigned: UnixMillis(1) };
    let arm = |latency_us| ArmCounts { slowest: Some(slow(latency_us)), ..ArmCounts::default() };
    for (first, second) in [(7, 9), (9, 7)] {
        let mut sum = arm(first);
        sum.add(&arm(second));
        assert_eq!(sum.slowest, Some(slow(9)));
        assert_eq!(sum.without(&arm(0)).unwrap().slowest, None);
    }
}
