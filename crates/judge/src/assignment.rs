//! Whether traces are divided as the weight says (a sample-ratio check). Where they are not, something decides besides the
//! hash which traces an environment gets, or which of them are seen, and then no comparison means anything: a broken split
//! is a finding of its own, and no verdict is made from it.

use crate::process::{LOG_FLOOR, clamp_log, log_add, log_mean};
use crate::words;
use model::{ArmCounts, BasisPoints, Environment, PerEnvironment};
use serde::{Deserialize, Serialize};

/// How firmly the alternatives hold the candidate's share to the weight, in traces: a relative error of the odds of about
/// 100 %, 10 % and 1 % at a weight of 1 %, of 20 %, 2 % and 0.2 % at 50 %.
const CONCENTRATIONS: [f64; 3] = [1e2, 1e4, 1e6];

/// Weights that are kept apart: a plan has at most 64 steps, and weights only go up. Of any more nothing is counted.
const MAX_WEIGHTS: usize = 64;

/// The chance, at each weight, that the split broke when that weight was set, had it not before.
const BREAKS: f64 = 0.5;

/// Traces assigned under each weight, in the order of the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Assignment(Vec<AtWeight>);

/// Traces that began while one weight was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AtWeight {
    weight: BasisPoints,
    candidate: u64,
    active: u64,
}

/// What is known of the split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssignmentEvidence {
    /// The weight that shows the largest deviation, of those that were in force so far.
    pub weight: BasisPoints,
    /// Traces that were assigned to the candidate while it was.
    pub candidate: u64,
    /// Traces that were assigned to the active environment while it was.
    pub active: u64,
    /// ln of the evidence, over all weights, that traces are not divided as the weights say.
    pub log_evidence: f64,
    /// What it must reach: ln 1/falseAlarm, which is this check's own and not shared with the guards.
    pub log_threshold: f64,
    /// Whether it has.
    pub broken: bool,
}

impl Assignment {
    /// Takes the traces of a batch that began wholly under one weight. A weight of 0 % or 100 % divides nothing.
    pub(crate) fn observe(&mut self, arms: &PerEnvironment<ArmCounts>, candidate: Environment, weight: BasisPoints) {
        let (of_candidate, of_active) = (arms[candidate].assigned, arms[candidate.other()].assigned);
        if weight == BasisPoints::ZERO || weight == BasisPoints::ALL || of_candidate + of_active == 0 {
            return;
        }
        if self.0.last().is_none_or(|last| last.weight != weight) {
            if self.0.len() == MAX_WEIGHTS {
                return;
            }
            self.0.push(AtWeight { weight, candidate: 0, active: 0 });
        }
        if let Some(last) = self.0.last_mut() {
            last.candidate = last.candidate.saturating_add(of_candidate);
            last.active = last.active.saturating_add(of_active);
        }
    }

    /// What is known, if anything was counted.
    pub(crate) fn evidence(&self, false_alarm: f64) -> Option<AssignmentEvidence> {
        let deviates = |at: &&AtWeight| at.log_bayes_factor();
        let most = self.0.iter().max_by(|a, b| deviates(a).total_cmp(&deviates(b)))?;
        let (log_evidence, log_threshold) = (self.log_evidence(), clamp_log(-libm::log(false_alarm)));
        Some(AssignmentEvidence {
            weight: most.weight,
            candidate: most.candidate,
            active: most.active,
            log_evidence,
            log_threshold,
            broken: log_evidence >= log_threshold,
        })
    }

    /// ln of the evidence over all weights, like a process with late onset whose batches are the weights: the product of
    /// the Bayes factors from the weight on at which the split broke, mixed over that weight, and the reserve for a
    /// weight to come.
    fn log_evidence(&self) -> f64 {
        let (mut broken, mut log_reserve) = (LOG_FLOOR, 0.0);
        for at in &self.0 {
            let begins = log_reserve + libm::log(BREAKS);
            broken = clamp_log(log_add(broken, begins) + at.log_bayes_factor());
            log_reserve += libm::log1p(-BREAKS);
        }
        log_add(broken, log_reserve)
    }
}

impl AtWeight {
    /// ln of the Bayes factor of Lindon & Malek (arXiv 2011.03567, section 3), averaged over [`CONCENTRATIONS`]: the
    /// candidate's share has a Dirichlet (with two environments a beta) distribution around the weight, against that it
    /// is the weight. Over the traces so far it is a martingale of mean 1 if it is.
    fn log_bayes_factor(&self) -> f64 {
        log_mean(&CONCENTRATIONS.map(|concentration| self.log_factor(concentration)))
    }

    /// ln B(a+x, b+y) - ln B(a, b) - x ln w - y ln(1-w), with a = Kw and b = K(1-w). By Stirling's formula, in which what
    /// is large cancels before it is computed: at 10^12 traces the logarithms of the beta functions themselves would be
    /// wrong in the third decimal.
    fn log_factor(&self, concentration: f64) -> f64 {
        let (w, x, y) = (self.weight.share(), self.candidate as f64, self.active as f64);
        let (a0, b0) = (concentration * w, concentration * (1.0 - w));
        let (a, b, n) = (a0 + x, b0 + y, concentration + x + y);
        let beyond = x * (1.0 - w) - y * w;
        let divergence = a * libm::log1p(beyond / (n * w)) + b * libm::log1p(-beyond / (n * (1.0 - w)));
        let spread = libm::log(a / a0) + libm::log(b / b0) - libm::log(n / concentration);
        let remainders = [a, b, concentration].map(stirling_remainder).iter().sum::<f64>()
            - [a0, b0, n].map(stirling_remainder).iter().sum::<f64>();
        divergence - spread / 2.0 + remainders
    }
}

/// ln Gamma(z) - ((z - 1/2) ln z - z + ln(2 pi)/2), for z above 0. From 16 on by its asymptotic series, whose next term
/// is below 10^-11.
fn stirling_remainder(z: f64) -> f64 {
    const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_8;
    if z < 16.0 {
        return libm::lgamma(z) - ((z - 0.5) * libm::log(z) - z + HALF_LOG_TAU);
    }
    let square = z * z;
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1_260.0 * square)) / square) / z
}

impl AssignmentEvidence {
    /// Why there is no verdict, for a person.
    pub(crate) fn reason(&self) -> String {
        let traces = self.candidate.saturating_add(self.active);
        let seen = self.candidate as f64 / traces.max(1) as f64;
        format!(
            "the split is broken: of {} that began at weight {} the candidate was assigned {}; {} likelier broken than \
             chance, and {} is enough",
            words::traces(traces),
            self.weight,
            words::percent(seen),
            words::times(self.log_evidence),
            words::times(self.log_threshold)
        )
    }
}

#[cfg(test)]
mod tests;
