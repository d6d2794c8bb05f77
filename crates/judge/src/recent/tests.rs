use super::*;

fn batch(candidate: (f64, f64), active: (f64, f64)) -> RecentBatch {
    RecentBatch {
        candidate_traces: candidate.0,
        candidate_events: candidate.1,
        active_traces: active.0,
        active_events: active.1,
    }
}

fn check(batches: &[RecentBatch], tolerated: f64, candidate: f64, active: f64) {
    let mut recent = Recent::default();
    batches.iter().for_each(|batch| recent.update(*batch, tolerated));
    let estimate = recent.estimate(tolerated);
    let close = |found: f64, expected: f64| (found - expected).abs() <= 0.05 * expected;
    assert!(close(estimate.candidate, candidate) && close(estimate.active, active), "{estimate:?}");
}

#[test]
fn a_ramp_while_the_base_rate_doubles_is_no_difference() {
    // Pooled, the candidate would have 0.0196 and the active environment 0.0109.
    let slow_and_low = batch((100.0, 1.0), (9_900.0, 99.0));
    let fast_and_high = batch((2_500.0, 50.0), (1_000.0, 20.0));
    check(&[slow_and_low, fast_and_high], 0.001, 0.0196, 0.0196);
}

#[test]
fn a_late_onset_is_not_diluted() {
    let healthy = batch((1_000.0, 0.0), (1_000.0, 0.0));
    let mut batches = vec![healthy; 1_000];
    batches.extend([batch((1_000.0, 20.0), (1_000.0, 0.0)); 2]);
    // 2,000 of 20,000 remembered traces, at 2 %.
    check(&batches, 0.001, 0.002, 0.0);
}

#[test]
fn without_active_traffic_its_last_share_is_what_was_to_be_expected() {
    check(&[batch((0.0, 0.0), (2_000.0, 20.0)), batch((500.0, 10.0), (0.0, 0.0))], 0.005, 0.02, 0.01);
    check(&[batch((500.0, 10.0), (0.0, 0.0))], 0.005, 0.02, 0.0);
}

#[test]
fn what_is_not_known_is_feared() {
    let mut recent = Recent::default();
    assert_eq!(recent.active_share_upper(), 1.0);
    recent.update(batch((0.0, 0.0), (1_000.0, 0.0)), 0.005);
    assert_eq!(recent.active_share_upper(), 0.003);
}
