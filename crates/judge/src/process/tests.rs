use super::*;

/// All outcomes of `batches` fair coins, each of which multiplies by 3/2 or 1/2: the mean of the evidence is exactly 1.
fn mean_evidence(batches: u32, hazard: f64) -> f64 {
    let paths = 1u32 << batches;
    let evidence = (0..paths).map(|path| {
        let mut process = Process::new(1);
        for batch in 0..batches {
            process.update(&[libm::log(if path >> batch & 1 == 1 { 1.5 } else { 0.5 })], hazard);
        }
        libm::exp(process.log_evidence())
    });
    evidence.sum::<f64>() / f64::from(paths)
}

#[test]
fn fair_bets_stay_fair_with_late_onset() {
    for hazard in [0.001, 0.3, 1.0] {
        let mean = mean_evidence(8, hazard);
        assert!((mean - 1.0).abs() < 1e-9, "hazard {hazard}: {mean}");
    }
}

#[test]
fn a_late_onset_is_found_after_long_silence() {
    let mut process = Process::new(1);
    (0..2_000).for_each(|_| process.update(&[-0.05], 0.001));
    assert!(process.log_evidence() < 0.0);
    (0..15).for_each(|_| process.update(&[1.0], 0.001));
    // Plain evidence is at -85 by now; the reserve is at -2, and an onset in a given batch at -9.
    assert!(process.log_evidence() > 4.6, "{}", process.log_evidence());
}

#[test]
fn what_reached_zero_stays_there() {
    let mut proof = Proof::new(2);
    proof.update(&[f64::NEG_INFINITY, 0.0]);
    proof.update(&[f64::MAX, 0.0]);
    assert!((proof.log_evidence() - libm::log(0.5)).abs() < 1e-12);
}

#[test]
fn logarithms_of_means() {
    assert_eq!(log_mean(&[]), LOG_FLOOR);
    assert_eq!(log_mean(&[LOG_FLOOR, LOG_FLOOR]), LOG_FLOOR);
    assert!((log_mean(&[0.0, libm::log(3.0)]) - libm::log(2.0)).abs() < 1e-15);
    assert_eq!(log_add(5.0, LOG_FLOOR), 5.0);
}
