//! The forms R, L and NI by themselves, as the judge is made of them: for the benchmark that reruns STATISTICS.md's
//! acceptance table, and for evidence on units that no [`model::Observation`] counts, such as the calls of one edge.
//!
//! A verdict needs more than a form: what the plan tolerates, a name for the culprit, all guards together. That is
//! [`crate::Judge`]'s. Counts are of one batch; everything is evidence in natural logarithms.

use crate::holm::Holm;
use crate::latency::{PSI_BETTER, PSI_WORSE, WATCHED};
use crate::odds::{Counts, Split, log_e};
use crate::process::{Process, Proof, log_mean as mean_of_logs};
use crate::rate::{NOT_WORSE, PSI, log_e_not_worse};

/// The quantiles of the active environment that L watches.
pub const QUANTILES: [f64; WATCHED.len()] = WATCHED;

/// R: evidence that the candidate's rate is the higher one. H0: odds ratio at most 1 in every batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Worse(Process);

impl Worse {
    /// R's own alternatives, for a rate.
    pub fn rate() -> Worse {
        Worse(Process::new(PSI.len()))
    }

    /// Takes one batch. `hazard` is the chance that a late regression begins in it, above 0 and at most 1.
    pub fn observe(&mut self, candidate: Counts, active: Counts, hazard: f64) {
        self.0.update(&log_e(&Split { candidate, active }, &PSI), hazard);
    }

    /// ln of the evidence: plain and late onset, half each.
    pub fn log_evidence(&self) -> f64 {
        self.0.log_evidence()
    }

    /// ln of the plain form alone, which takes the regression to be there from the first batch on.
    pub fn log_plain(&self) -> f64 {
        self.0.log_plain()
    }
}

/// L: evidence that the candidate is slower somewhere, over thresholds that are fixed beforehand. H0: the candidate is
/// stochastically no slower.
#[derive(Clone, Debug, PartialEq)]
pub struct Slower(Vec<Process>);

impl Slower {
    /// L over so many thresholds.
    pub fn new(thresholds: usize) -> Slower {
        Slower(vec![Process::new(PSI_WORSE.len()); thresholds])
    }

    /// Takes one batch: for each threshold, in the same order every time, the traces beyond it. `hazard` as for R.
    pub fn observe(&mut self, beyond: impl IntoIterator<Item = (Counts, Counts)>, hazard: f64) {
        for (process, (candidate, active)) in self.0.iter_mut().zip(beyond) {
            process.update(&log_e(&Split { candidate, active }, &PSI_WORSE), hazard);
        }
    }

    /// ln of the evidence: the average over all thresholds and alternatives.
    pub fn log_evidence(&self) -> f64 {
        mean_of_logs(&self.0.iter().map(Process::log_evidence).collect::<Vec<f64>>())
    }

    /// ln of the plain form alone, which takes the regression to be there from the first batch on.
    pub fn log_plain(&self) -> f64 {
        mean_of_logs(&self.0.iter().map(Process::log_plain).collect::<Vec<f64>>())
    }
}

/// NI: evidence that the candidate is not worse. H0: odds ratio at least psi0.
#[derive(Clone, Debug, PartialEq)]
pub struct NotWorse {
    psi0: f64,
    proof: Proof,
}

impl NotWorse {
    /// For a margin of psi0, above 1.0, in odds.
    pub fn new(psi0: f64) -> NotWorse {
        assert!(psi0 > 1.0, "a margin of {psi0} leaves nothing to prove");
        NotWorse { psi0, proof: Proof::new(NOT_WORSE) }
    }

    /// Takes one batch.
    pub fn observe(&mut self, candidate: Counts, active: Counts) {
        self.proof.update(&log_e_not_worse(&Split { candidate, active }, self.psi0));
    }

    /// ln of the evidence.
    pub fn log_evidence(&self) -> f64 {
        self.proof.log_evidence()
    }
}

/// NI for latency at one quantile. H0: the candidate is beyond threshold and margin at least as often as the active
/// environment is beyond the threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct NotSlower(Proof);

impl NotSlower {
    /// No evidence yet.
    #[expect(clippy::new_without_default, reason = "an empty proof is a beginning, not a default")]
    pub fn new() -> NotSlower {
        NotSlower(Proof::new(PSI_BETTER.len()))
    }

    /// Takes one batch: the candidate's traces beyond threshold and margin, the active environment's beyond the threshold.
    pub fn observe(&mut self, candidate: Counts, active: Counts) {
        self.0.update(&log_e(&Split { candidate, active }, &PSI_BETTER));
    }

    /// ln of the evidence.
    pub fn log_evidence(&self) -> f64 {
        self.0.log_evidence()
    }
}

/// ln of the average of evidence, which is evidence again under any dependence (Vovk & Wang, *E-values: calibration,
/// combination and applications*): how several metrics become one alarm. The floor for none at all.
pub fn log_mean(log_evidence: &[f64]) -> f64 {
    mean_of_logs(log_evidence)
}

/// Which of several metrics, of equal weights, are worse by themselves (e-Holm), by their places; `log_threshold` is
/// ln 1/alpha. Empty unless their average reaches it.
pub fn worse_by_themselves(log_evidence: &[f64], log_threshold: f64) -> Vec<usize> {
    let weight = 1.0 / log_evidence.len().max(1) as f64;
    let holm = Holm::new(log_evidence.iter().map(|log_e| (weight, *log_e)), log_threshold);
    let rejected = log_evidence.iter().enumerate().filter(|(_, log_e)| holm.rejects(weight, **log_e));
    rejected.map(|(place, _)| place).collect()
}
