//! The judge's formulas beside a program that shares nothing with it: scipy, on random batches.

use super::peers::python;
use crate::process::root;
use judge::{Counts, formula};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// SplitMix64 (Steele, Lea, Flood 2014): the same batches everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Between the two.
    fn real(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Up to `most` traces, with any share of events up to one of `shares` that is chosen.
    fn counts(&mut self, most: u64) -> Counts {
        let traces = self.below(most) + 1;
        let share = [0.01, 0.1, 1.0][self.below(3) as usize];
        Counts { traces, events: (traces as f64 * self.real(0.0, share)) as u64 }
    }

    fn batch(&mut self) -> (Counts, Counts) {
        let most = [20, 1_000, 2_000][self.below(3) as usize];
        (self.counts(most), self.counts(most))
    }

    fn batches(&mut self) -> Vec<(Counts, Counts)> {
        (0..self.below(20) + 1).map(|_| self.batch()).collect()
    }
}

fn pair(counts: Counts) -> Value {
    json!([counts.traces, counts.events])
}

fn pairs(batches: &[(Counts, Counts)]) -> Value {
    batches.iter().map(|(candidate, active)| json!([pair(*candidate), pair(*active)])).collect()
}

#[test]
fn scipy_computes_the_same() {
    let mut random = Random(1);
    let (mut odds, mut worse, mut not_worse, mut shares) = (vec![], vec![], vec![], vec![]);
    for _ in 0..300 {
        let (candidate, active) = random.batch();
        let psi = random.real(-3.0, 4.0).exp();
        let log_m = formula::log_m(candidate, active, psi);
        odds.push(json!({ "batch": [pair(candidate), pair(active)], "psi": psi, "logM": log_m }));
    }
    for _ in 0..60 {
        let (batches, hazard, psi0) = (random.batches(), random.real(0.0001, 0.5), random.real(1.01, 20.0));
        let log = formula::log_evidence_worse(&batches, hazard);
        worse.push(json!({ "batches": pairs(&batches), "hazard": hazard, "log": log }));
        let log = formula::log_evidence_not_worse(&batches, psi0);
        not_worse.push(json!({ "batches": pairs(&batches), "psi0": psi0, "log": log }));
    }
    for _ in 0..300 {
        let (counts, p, q) = (random.counts(100_000), random.real(0.0001, 0.99), random.real(0.0001, 0.99));
        let log = formula::log_e_share(counts, p, q);
        shares.push(json!({ "counts": pair(counts), "p": p, "q": q, "log": log }));
    }
    let cases = json!({ "psi": formula::WORSE, "odds": odds, "worse": worse, "notWorse": not_worse, "shares": shares });
    let mut command = Command::new(python());
    command.arg(root().join("e2e/judge_reference.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut scipy = command.spawn().expect("the end-to-end tests' Python starts");
    scipy.stdin.take().expect("a pipe").write_all(cases.to_string().as_bytes()).expect("it reads its cases");
    let done = scipy.wait_with_output().expect("it ends");
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "above a relative error of 1e-9, or no scipy: {printed}");
    let printed: Value = serde_json::from_str(&printed).expect("one JSON value");
    assert_eq!(printed["cases"]["odds"], 300, "{printed}");
}
