//! e-Holm: which of several metrics are worse by themselves, once all of them together are.

/// The test of single metrics among all, at one chance of ever naming a metric that is no worse.
///
/// Closed testing (Vovk & Wang, *E-values: calibration, combination and applications*, section 6; with weights, and for
/// evidence that is looked at all the time: Hartog & Lei, arXiv 2501.09015): a metric is worse by itself if the weighted
/// mean of the evidence reaches 1/alpha over *every* set of metrics with it. Of all sets the hardest is the one with
/// every metric that is below 1/alpha, so the test is w_m (E_m - 1/alpha) >= sum_j w_j (1/alpha - E_j)^+.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holm {
    log_threshold: f64,
    /// sum_j w_j (1 - alpha E_j)^+: what the others lack, from 0 to the sum of the weights.
    lacking: f64,
}

impl Holm {
    /// Of weights and ln of the evidence of all metrics; `log_threshold` is ln 1/alpha.
    pub(crate) fn new(metrics: impl Iterator<Item = (f64, f64)>, log_threshold: f64) -> Holm {
        let lacks = |(weight, log_e): (f64, f64)| weight * -libm::expm1((log_e - log_threshold).min(0.0));
        Holm { log_threshold, lacking: metrics.map(lacks).sum() }
    }

    /// Whether one of these metrics is worse by itself.
    pub(crate) fn rejects(&self, weight: f64, log_e: f64) -> bool {
        // e^700 is finite, and far above what any weight lacks.
        let beyond = (log_e - self.log_threshold).min(700.0);
        beyond >= 0.0 && weight * libm::expm1(beyond) >= self.lacking
    }
}

#[cfg(test)]
mod tests;
