use super::*;

/// Holds the number of arrivals in each second against what is expected, to so many at most.
fn check(schedule: &Schedule, spans_per_request: f64, expected: &[f64], off_by: f64) {
    let times: Vec<u64> = schedule.arrivals(spans_per_request, 7).collect();
    assert!(times.is_sorted());
    let mut seconds = vec![0.0; expected.len()];
    for time in &times {
        seconds[(time / 1_000_000_000) as usize] += 1.0;
    }
    for (second, (found, expected)) in seconds.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= off_by, "second {second}: {found}, expected {expected}");
    }
}

#[test]
fn rates_are_kept() {
    let even = Arrival::Even;
    check(&Schedule::constant(1_000.0, 3_000, even).unwrap(), 10.0, &[100.0; 3], 0.0);
    check(&Schedule::ramp(0.0, 400.0, 4_000, even).unwrap(), 1.0, &[50.0, 150.0, 250.0, 350.0], 1.0);
    check(&Schedule::ramp(400.0, 0.0, 4_000, even).unwrap(), 1.0, &[350.0, 250.0, 150.0, 50.0], 1.0);
    check(&Schedule::steps(100.0, 50.0, 3, 1_000, even).unwrap(), 1.0, &[100.0, 150.0, 200.0], 1.0);
    // Six standard deviations.
    let poisson = Schedule::constant(10_000.0, 4_000, Arrival::Poisson).unwrap();
    check(&poisson, 1.0, &[10_000.0; 4], 600.0);
    let gap = Schedule::new(vec![Phase::level(10.0, 1_000), Phase::level(0.0, 1_000), Phase::level(10.0, 1_000)], even);
    check(&gap.unwrap(), 1.0, &[10.0, 0.0, 10.0], 0.0);
}

#[test]
fn even_arrivals_have_even_distances_and_a_seed_gives_the_same_ones() {
    let even = Schedule::constant(1_000.0, 1_000, Arrival::Even).unwrap();
    let times: Vec<u64> = even.arrivals(1.0, 0).collect();
    assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(1_000_000) <= 1), "{times:?}");
    let poisson = Schedule::constant(1_000.0, 1_000, Arrival::Poisson).unwrap();
    let times = |seed| poisson.arrivals(1.0, seed).collect::<Vec<u64>>();
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
    // Of an exponential distribution a share of 1/e is longer than the mean.
    let long = times(3).windows(2).filter(|pair| pair[1] - pair[0] > 1_000_000).count();
    assert!((300..440).contains(&long), "{long}");
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let even = Arrival::Even;
    assert_eq!(Schedule::constant(0.0, 1_000, even), Err(ScheduleError::Nothing));
    assert_eq!(Schedule::constant(10.0, 0, even), Err(ScheduleError::Nothing));
    assert!(matches!(Schedule::constant(f64::NAN, 1_000, even), Err(ScheduleError::Rate { phase: 1, .. })));
    assert!(matches!(Schedule::constant(-1.0, 1_000, even), Err(ScheduleError::Rate { .. })));
    assert!(matches!(Schedule::constant(1.0, MAX_RUN_MS + 1, even), Err(ScheduleError::TooLong { .. })));
    assert!(matches!(Schedule::steps(1.0, 1.0, 1_001, 1, even), Err(ScheduleError::TooMany { .. })));
}
