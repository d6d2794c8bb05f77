//! The formulas by themselves, for whoever computes a verdict again with a program that is not this one: the end-to-end
//! tests hold them against scipy. The judge computes with these very functions.

use crate::odds::{self, Counts, Split};
use crate::process::{Process, Proof};
use crate::rate::{NOT_WORSE, PSI, log_e_not_worse};

/// The odds ratios that R looks for, equally weighted.
pub const WORSE: [f64; 8] = PSI;

/// ln M(psi), M(psi) = sum over c of Hyp(c; n_g, n_b, k) psi^c, where n_g and n_b are the candidate's and the active
/// environment's traces and k the events of both. `psi` is above 0. Exact where c_g has at most 2,001 values; beyond, an
/// upper bound.
pub fn log_m(candidate: Counts, active: Counts, psi: f64) -> f64 {
    let split = Split { candidate, active };
    if split.is_telling() { odds::log_m(&split, &[psi], odds::MAX_EXACT_SUPPORT).above[0] } else { 0.0 }
}

/// R after these batches of (candidate, active): ln of the evidence that the candidate's odds of the event are higher, for
/// a difference from the start and one that begins later, averaged over [`WORSE`]. `hazard`, above 0 and at most 1, is
/// the chance that it begins in a given batch.
pub fn log_evidence_worse(batches: &[(Counts, Counts)], hazard: f64) -> f64 {
    let mut process = Process::new(PSI.len());
    for (candidate, active) in batches {
        process.update(&odds::log_e(&Split { candidate: *candidate, active: *active }, &PSI), hazard);
    }
    process.log_evidence()
}

/// NI after these batches: ln of the evidence that the candidate's odds of the event are less than `psi0` (above 1) times
/// the active environment's, averaged over the odds ratios 0.3, 0.6, 1 and sqrt(psi0).
pub fn log_evidence_not_worse(batches: &[(Counts, Counts)], psi0: f64) -> f64 {
    let mut proof = Proof::new(NOT_WORSE);
    for (candidate, active) in batches {
        proof.update(&log_e_not_worse(&Split { candidate: *candidate, active: *active }, psi0));
    }
    proof.log_evidence()
}

/// ln of the one-sample e-value of one batch, (q/p)^x ((1-q)/(1-p))^(n-x), x events among n traces. Both shares are above
/// 0 and below 1. Evidence of more than p where q > p, of less where q < p.
pub fn log_e_share(counts: Counts, p: f64, q: f64) -> f64 {
    odds::log_e_share(counts, p, &[q])[0]
}
