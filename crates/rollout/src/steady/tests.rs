use super::*;
use model::{Environment, PerEnvironment, Pins, RouteKey};

const WEIGHT: u16 = 1_000;

fn table(weight: u16, mirror: bool) -> RouteTable {
    RouteTable {
        generation: 1,
        active: Environment::Blue,
        weight: BasisPoints::new(weight).unwrap(),
        mirror,
        pins: Pins::Keep,
        pin_ms: 60,
        key: RouteKey([0; 16]),
        upstreams: PerEnvironment { blue: None, green: None },
        proofs: None,
        redaction: None,
        testers: None,
        proof: None,
    }
}

fn batch(from: u64, until: u64) -> Observation {
    Observation::of_nothing(from, UnixMillis(from), UnixMillis(until))
}

/// The weight of each batch after a shift at 100 and the next order at 1,000.
fn check(weight: u16, mirror: bool, batches: &[(u64, u64, Option<u16>)]) {
    let mut times = SteadyWeights::default();
    times.applied(&table(weight, mirror), UnixMillis(100));
    times.ends(UnixMillis(1_000));
    for (from, until, expected) in batches {
        let found = times.during(&batch(*from, *until)).map(BasisPoints::get);
        assert_eq!(found, *expected, "{from} to {until}");
    }
}

#[test]
fn a_batch_counts_only_if_all_of_it_is_steady() {
    let steady = Some(WEIGHT);
    check(
        WEIGHT,
        false,
        &[(90, 100, None), (100, 160, None), (150, 170, None), (160, 170, steady), (990, 1_000, steady)],
    );
    check(WEIGHT, false, &[(990, 1_001, None), (1_000, 1_010, None)]);
}

#[test]
fn nothing_is_divided_by_a_mirror_by_none_and_by_all() {
    check(WEIGHT, true, &[(200, 210, None)]);
    check(0, false, &[(200, 210, None)]);
    check(10_000, false, &[(200, 210, None)]);
}

#[test]
fn a_time_that_ends_before_the_pins_do_is_none_and_old_times_go() {
    let mut times = SteadyWeights::default();
    times.applied(&table(WEIGHT, false), UnixMillis(100));
    times.ends(UnixMillis(150));
    times.applied(&table(2_000, false), UnixMillis(200));
    assert_eq!(times.0.len(), 1);
    times.ends(UnixMillis(500));
    times.applied(&table(3_000, false), UnixMillis(600));
    assert_eq!(times.during(&batch(300, 310)), BasisPoints::new(2_000));
    assert_eq!(times.during(&batch(700, 710)), BasisPoints::new(3_000));
    assert_eq!(times.0.len(), 1);
    for restart in 0..200 {
        times.applied(&table(WEIGHT, false), UnixMillis(1_000 + restart * 100));
    }
    assert_eq!(times.0.len(), MAX_TIMES);
}
