//! Evidence over batches: products of e-values, mixed over alternatives, in logarithms.

use serde::{Deserialize, Serialize};

/// The smallest logarithm of evidence that is kept: e^-1,000,000. Zero has no logarithm and minus infinity no JSON. A
/// product that has reached it stays there, so that the floor can only make evidence weaker.
pub(crate) const LOG_FLOOR: f64 = -1e6;

/// The largest logarithm of evidence that is kept; smaller evidence than there is remains valid.
const LOG_CEILING: f64 = 1e6;

/// Evidence against a null hypothesis, for a regression that is there from the start and for one that begins later.
///
/// Plain: prod e. Late onset: W <- (W + rho h) e, rho <- rho (1-h), E = W + rho, where h is the chance that the
/// regression begins in the next batch. The evidence is (plain + late)/2, averaged over the alternatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Process {
    /// ln of the product since the first batch, for each alternative.
    plain: Vec<f64>,
    /// ln W for each alternative.
    late: Vec<f64>,
    /// ln rho: the weight not yet given to an onset, the same for every alternative.
    log_reserve: f64,
}

impl Process {
    pub(crate) fn new(alternatives: usize) -> Process {
        Process { plain: vec![0.0; alternatives], late: vec![LOG_FLOOR; alternatives], log_reserve: 0.0 }
    }

    /// Takes one batch's ln e for each alternative. `hazard` is h, above 0 and at most 1.
    pub(crate) fn update(&mut self, log_e: &[f64], hazard: f64) {
        let onset = clamp_log(self.log_reserve + libm::log(hazard));
        for ((plain, late), log_e) in self.plain.iter_mut().zip(&mut self.late).zip(log_e) {
            *plain = multiply(*plain, *log_e);
            *late = multiply(log_add(*late, onset), *log_e);
        }
        self.log_reserve = clamp_log(self.log_reserve + libm::log1p(-hazard));
    }

    /// ln of the evidence.
    pub(crate) fn log_evidence(&self) -> f64 {
        let late = log_add(log_mean(&self.late), self.log_reserve);
        log_mean(&[self.log_plain(), late])
    }

    /// ln of the plain form's evidence alone.
    pub(crate) fn log_plain(&self) -> f64 {
        log_mean(&self.plain)
    }
}

/// Evidence for a claim that promotion must earn: a product of e-values, mixed over alternatives, since the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Proof(Vec<f64>);

impl Proof {
    pub(crate) fn new(alternatives: usize) -> Proof {
        Proof(vec![0.0; alternatives])
    }

    pub(crate) fn update(&mut self, log_e: &[f64]) {
        for (total, log_e) in self.0.iter_mut().zip(log_e) {
            *total = multiply(*total, *log_e);
        }
    }

    /// ln of the evidence.
    pub(crate) fn log_evidence(&self) -> f64 {
        log_mean(&self.0)
    }

    /// ln of the evidence after one more batch with these e-values.
    pub(crate) fn log_evidence_after(&self, log_e: &[f64]) -> f64 {
        let mut after = self.clone();
        after.update(log_e);
        after.log_evidence()
    }
}

/// ln of (e^a + e^b).
pub(crate) fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    high + libm::log1p(libm::exp(low - high))
}

/// ln of the mean of e^value; the floor for no values at all.
pub(crate) fn log_mean(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(LOG_FLOOR, f64::max);
    let sum: f64 = values.iter().map(|value| libm::exp(value - highest)).sum();
    if values.is_empty() { LOG_FLOOR } else { highest + libm::log(sum / values.len() as f64) }
}

/// Between the floor and the ceiling, so that it survives JSON.
pub(crate) fn clamp_log(log: f64) -> f64 {
    log.clamp(LOG_FLOOR, LOG_CEILING)
}

fn multiply(log_total: f64, log_e: f64) -> f64 {
    if log_total <= LOG_FLOOR { LOG_FLOOR } else { clamp_log(log_total + log_e) }
}

#[cfg(test)]
mod tests;
