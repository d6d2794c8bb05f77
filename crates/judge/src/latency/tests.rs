use super::*;
use model::ExponentialHistogram;

fn terms() -> Terms {
    Terms::over_all(&config::Latency { quantile: 0.99, worse_than_active_by: 0.2 })
}

fn arm(buckets: &[(i32, u64)], unfinished: u64) -> ArmCounts {
    ArmCounts {
        traces: buckets.iter().map(|(_, traces)| traces).sum::<u64>() + unfinished,
        latency_us: ExponentialHistogram(buckets.iter().copied().collect()),
        unfinished,
        ..ArmCounts::default()
    }
}

fn observe(metric: &mut LatencyMetric, blue: ArmCounts, green: ArmCounts) {
    metric.observe(Latencies::from(&green), Latencies::from(&blue), &terms(), 0.001);
}

#[test]
fn thresholds_freeze_once_and_judge_only_what_comes_after() {
    let mut metric = LatencyMetric::new();
    observe(&mut metric, arm(&[(10, 100)], 0), arm(&[(90, 500)], 0));
    assert!(matches!(&metric, LatencyMetric::Collecting(collected) if collected.traces() == 100));
    observe(&mut metric, arm(&[(10, 99), (20, 1)], 0), arm(&[(90, 500)], 0));
    assert_eq!(metric.log_against(), 0.0);
    let LatencyMetric::Judging(judging) = &metric else { panic!("200 traces freeze the thresholds") };
    // 199 of 200 traces in bucket 10: every quantile up to 0.995 is there, 0.999 is in bucket 20.
    assert_eq!(judging.thresholds.iter().map(|it| it.bucket).collect::<Vec<_>>(), [10, 20]);
    assert_eq!(judging.proofs.iter().map(|it| it.bucket).collect::<Vec<_>>(), [9]);
    observe(&mut metric, arm(&[(10, 100)], 0), arm(&[(90, 100)], 0));
    assert!(metric.log_against() > 20.0);
}

#[test]
fn quantiles_among_the_unfinished_are_the_highest_bucket() {
    let mut collected = Collected::default();
    collected.add(Latencies::from(&arm(&[(5, 90), (i32::MAX, 5)], 5)));
    assert_eq!(collected.quantile_bucket(0.5), 5);
    assert_eq!(collected.quantile_bucket(0.94), *BUCKETS.end());
    assert_eq!(collected.quantile_bucket(0.99), *BUCKETS.end());
}

#[test]
fn a_point_within_a_bucket_takes_part_of_it() {
    let arm = arm(&[(9, 7), (10, 5), (11, 100), (12, 40), (13, 8)], 3);
    let counts = Latencies::from(&arm);
    assert_eq!(counts.beyond(10), 151);
    assert_eq!(counts.beyond_within(10, 0.0), 151.0);
    assert_eq!(counts.beyond_within(10, 0.25), 126.0);
    assert_eq!(counts.beyond_within(10, 1.5), 31.0);
    assert_eq!(counts.beyond(i32::MAX), 3);
    assert_eq!(counts.beyond_within(i32::MAX, 79.9), 3.0);
}

#[test]
fn unfinished_traces_are_slow_and_told_apart() {
    let mut metric = LatencyMetric::new();
    observe(&mut metric, arm(&[(10, 200)], 0), arm(&[], 0));
    (0..20).for_each(|_| observe(&mut metric, arm(&[(10, 100)], 0), arm(&[(10, 90)], 10)));
    let LatencyMetric::Judging(judging) = &metric else { panic!("frozen") };
    assert!(metric.log_against() > 10.0 && judging.explained_by_unfinished());
    let estimate = judging.estimate(&terms());
    assert!((estimate.candidate - 0.1).abs() < 1e-12 && estimate.active == 0.0);
}

/// A crash on a busy machine: some traces that came out were slow too, and that is not what is to be said first.
#[test]
fn unfinished_traces_are_named_where_they_are_most_of_what_is_slow() {
    let judged = |slow: u64, unfinished: u64| {
        let mut metric = LatencyMetric::new();
        observe(&mut metric, arm(&[(10, 200)], 0), arm(&[], 0));
        let green = arm(&[(10, 100 - slow - unfinished), (20, slow)], unfinished);
        (0..20).for_each(|_| observe(&mut metric, arm(&[(10, 100)], 0), green.clone()));
        let LatencyMetric::Judging(judging) = metric else { panic!("frozen") };
        judging.explained_by_unfinished()
    };
    assert!(judged(4, 8) && judged(0, 1));
    assert!(!judged(8, 4) && !judged(8, 0));
}

#[test]
fn without_active_traffic_the_margin_is_granted() {
    let mut within = LatencyMetric::new();
    let spread: Vec<(i32, u64)> = (0..20).map(|bucket| (bucket, 20)).collect();
    let shifted = |by: i32| arm(&spread.iter().map(|(bucket, traces)| (bucket + by, *traces)).collect::<Vec<_>>(), 0);
    (0..20).for_each(|_| observe(&mut within, shifted(0), shifted(0)));
    let mut beyond = within.clone();
    let before = within.log_against();
    // 20 % is 2.1 buckets: two are within it, five are not.
    (0..20).for_each(|_| observe(&mut within, arm(&[], 0), shifted(2)));
    assert!(within.log_against() <= before + 0.1, "{} after {before}", within.log_against());
    (0..20).for_each(|_| observe(&mut beyond, arm(&[], 0), shifted(5)));
    assert!(beyond.log_against() > 20.0);
}
