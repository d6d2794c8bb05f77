use super::*;
use model::{Counters, MAX_COUNTER, UnixMillis};
use proptest::prelude::*;

fn reading(at: u64, blue: (f64, f64), green: (f64, f64)) -> Reading {
    let counters = |(events, total)| Counters { events, total };
    Reading { at: UnixMillis(at), counters: PerEnvironment { blue: counters(blue), green: counters(green) } }
}

fn counts(increase: PerEnvironment<Counts>) -> [(u64, u64); 2] {
    [increase.blue, increase.green].map(|counts| (counts.events, counts.traces))
}

#[test]
fn a_batch_is_what_was_added() {
    let (before, now) = (reading(1, (5.0, 100.0), (0.0, 10.0)), reading(2, (7.0, 250.0), (1.0, 10.0 + 5.0)));
    assert_eq!(increase(&before, &now).map(|it| it.map(counts)), Ok(Some([(2, 150), (1, 5)])));
    let nothing = increase(&before, &Reading { at: UnixMillis(2), ..before });
    assert_eq!(nothing.map(|it| it.map(counts)), Ok(Some([(0, 0), (0, 0)])));
}

#[test]
fn a_counter_that_fell_begins_anew_and_so_does_a_time_that_did_not_pass() {
    let before = reading(5, (5.0, 100.0), (5.0, 100.0));
    for now in [
        reading(6, (4.0, 200.0), (9.0, 200.0)),
        reading(6, (9.0, 200.0), (5.0, 99.0)),
        reading(5, (9.0, 200.0), (9.0, 200.0)),
        reading(4, (9.0, 200.0), (9.0, 200.0)),
    ] {
        assert_eq!(increase(&before, &now), Ok(None), "{now:?}");
    }
}

#[test]
fn events_that_are_no_part_of_the_total_are_an_error() {
    let (before, now) = (reading(1, (0.0, 0.0), (0.0, 0.0)), reading(2, (1.0, 10.0), (12.0, 10.0)));
    let error = increase(&before, &now).unwrap_err();
    assert!(error.starts_with("the `events` of green rose by 12 between two readings, its `total` by 10;"), "{error}");
}

#[test]
fn parts_of_a_unit_are_counted_once_they_are_whole() {
    let at = |time: u64, value: f64| reading(time, (0.0, value), (value, value));
    let steps: Vec<Reading> = (0..=10).map(|step| at(step, 0.3 * step as f64)).collect();
    let added = steps.windows(2).map(|pair| increase(&pair[0], &pair[1]).unwrap().unwrap().green);
    assert_eq!(added.map(|counts| (counts.events, counts.traces)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (3, 3));
    // The event is whole a moment before its unit is.
    let (before, now) = (reading(1, (0.0, 0.0), (0.9, 1.1)), reading(2, (0.0, 0.0), (1.0, 1.2)));
    assert_eq!(increase(&before, &now).map(|it| it.map(counts)), Ok(Some([(0, 0), (0, 0)])));
}

fn counter() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..100.0f64, 0.0..=MAX_COUNTER, (0u64..1_000).prop_map(|count| count as f64)]
}

fn some_reading() -> impl Strategy<Value = Reading> {
    let pair = || (counter(), counter());
    (0u64..4, pair(), pair()).prop_map(|(at, blue, green)| reading(at, blue, green))
}

proptest! {
    #[test]
    fn no_two_readings_make_more_events_than_units(before in some_reading(), now in some_reading()) {
        if let Ok(Some(batch)) = increase(&before, &now) {
            for counts in [batch.blue, batch.green] {
                prop_assert!(counts.events <= counts.traces && counts.traces <= MAX_COUNTER as u64);
            }
        }
    }
}
