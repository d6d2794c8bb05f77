use super::*;

/// Within a factor of two of the acceptance table's median.
fn check(found: f64, table: f64) {
    let factor = found / table;
    assert!((0.5..2.0).contains(&factor), "{found:.0} traces, the table has {table:.0}");
}

#[test]
fn detection_is_the_tables() {
    for (base, ratio, half, tenth, hundredth) in [
        (0.001, 10.0, 2.5e3, 5.5e3, 40e3),
        (0.001, 3.0, 19e3, 47e3, 427e3),
        (0.001, 2.0, 61e3, 152e3, 1.4e6),
        (0.01, 2.0, 6.3e3, 16e3, 142e3),
        (0.01, 1.25, 79e3, 215e3, 2.0e6),
        (1e-5, 100.0, 19e3, 35e3, 267e3),
    ] {
        check(traces_to_detect(base, ratio, 0.5, 0.01), half);
        check(traces_to_detect(base, ratio, 0.1, 0.01), tenth);
        check(traces_to_detect(base, ratio, 0.01, 0.01), hundredth);
    }
}

#[test]
fn a_slow_tail_is_the_tables() {
    for (share, table) in [(0.5, 12e3), (0.1, 30e3), (0.01, 235e3)] {
        check(traces_to_detect_slowdown(0.99, 1.2, share, 0.01), table);
    }
}

#[test]
fn proofs_are_the_tables() {
    // The table proves an odds ratio: a margin of the base rate is psi0 = 2, half of it 1.5.
    for (margin, half, tenth, hundredth) in [(0.0005, 241e3, 641e3, 6.0e6), (0.001, 87e3, 212e3, 1.6e6)] {
        check(traces_to_prove_rate(0.001, margin, 0.5, 0.01), half);
        check(traces_to_prove_rate(0.001, margin, 0.1, 0.01), tenth);
        check(traces_to_prove_rate(0.001, margin, 0.01, 0.01), hundredth);
    }
    check(traces_to_prove_absent(0.001, 0.01), 4_605.0);
}

#[test]
fn what_cannot_be_told_takes_for_ever() {
    assert_eq!(traces_to_detect(0.001, 1.0, 0.5, 0.01), f64::INFINITY);
    assert_eq!(traces_to_detect(0.001, 2.0, 0.0, 0.01), f64::INFINITY);
    assert_eq!(traces_to_detect(0.001, 2.0, 1.0, 0.01), f64::INFINITY);
    assert_eq!(traces_to_detect_slowdown(0.99, 1.0, 0.5, 0.01), f64::INFINITY);
    assert_eq!(traces_to_detect_slowdown(0.99, 1.2, 1.0, 0.01), f64::INFINITY);
    assert!(traces_to_detect_slowdown(0.5, 1_000.0, 0.5, 0.01) > 0.0, "a share above one is no share");
    assert_eq!(traces_to_prove_absent(0.0, 0.01), f64::INFINITY);
    assert_eq!(traces_to_prove_rate(0.01, 0.0, 0.5, 0.01), f64::INFINITY);
}
