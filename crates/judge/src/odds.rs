//! R and NI: the e-value of one batch for two rates under any allocation of traces, and its one-sample sibling.
//!
//! Given k = c_g + c_b events among n_g + n_b exchangeable traces, c_g follows (Fisher's) hypergeometric distribution
//! with the odds ratio as its parameter, whatever the base rate and whatever the weight.

use serde::{Deserialize, Serialize};

/// The longest support, in values of c_g, that is summed exactly; beyond it the bound below is used, which costs
/// nothing in validity. 2,000 terms of 9 odds ratios are 18,000 multiplications: about 20 microseconds.
const MAX_EXACT_SUPPORT: u64 = 2_000;

/// Sums are scaled back when they pass this. One step multiplies by at most 10^12 * 10^12 (a batch has at most 10^12
/// traces) times an odds ratio of at most 10^18 (NI's, of shares from 10^-12 to 1 - 10^-6), and 10^250 * 10^42 stays
/// below 1.8 * 10^308.
const RESCALE_AT: f64 = 1e250;

/// Terms below this share of their sum are left out: 2,000 of them change it by less than 2 * 10^-17.
const NEGLIGIBLE: f64 = 1e-20;

/// Traces, and those among them with an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// All traces.
    pub traces: u64,
    /// Traces with an event; at most `traces`.
    pub events: u64,
}

impl Counts {
    /// Events among traces, 0.0 to 1.0; 0 if there are none.
    pub fn share(&self) -> f64 {
        if self.traces == 0 { 0.0 } else { self.events as f64 / self.traces as f64 }
    }

    pub(crate) fn add(&mut self, more: Counts) {
        self.traces = self.traces.saturating_add(more.traces);
        self.events = self.events.saturating_add(more.events);
    }
}

/// One batch of one metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    pub(crate) candidate: Counts,
    pub(crate) active: Counts,
}

/// ln of e(psi; psi0) = (psi/psi0)^{c_g} M(psi0)/M(psi) for each alternative psi, where M(psi) is the sum over c of
/// Hyp(c; n_g, n_b, k) psi^c. With `null` = 1 and psi > 1 that is R (H0: odds ratio at most 1); with psi < psi0 it is
/// NI (H0: odds ratio at least psi0, `null` >= 1). A batch with an empty arm, or without events, says nothing: 0.
pub(crate) fn log_e<const N: usize>(split: &Split, null: f64, alternatives: &[f64; N]) -> [f64; N] {
    debug_assert!(null == 1.0 || (null > 1.0 && alternatives.iter().all(|psi| *psi <= null)));
    let Split { candidate, active } = *split;
    let events = candidate.events + active.events;
    if candidate.traces == 0 || active.traces == 0 || events == 0 {
        return [0.0; N];
    }
    let lowest = events.saturating_sub(active.traces);
    let highest = events.min(candidate.traces);
    let mut log_e = if highest - lowest <= MAX_EXACT_SUPPORT {
        let log_null = exact_log_m(split, &[null])[0];
        exact_log_m(split, alternatives).map(|log_m| log_null - log_m)
    } else {
        alternatives.map(|psi| -log_m_ratio_bound(split, null, psi))
    };
    for (log_e, psi) in log_e.iter_mut().zip(alternatives) {
        *log_e += candidate.events as f64 * libm::log(psi / null);
    }
    log_e
}

/// ln M(psi) + a constant that depends on the counts alone, by the recurrence h_{c+1}/h_c = (n_g-c)(k-c) /
/// ((c+1)(n_b-k+c+1)) from the lowest c upward, all terms being positive. The constant cancels in M(psi0)/M(psi).
fn exact_log_m<const N: usize>(split: &Split, psi: &[f64; N]) -> [f64; N] {
    let (n_g, n_b) = (split.candidate.traces, split.active.traces);
    let k = split.candidate.events + split.active.events;
    let (lowest, highest) = (k.saturating_sub(n_b), k.min(n_g));
    let psi_highest = psi.iter().copied().fold(0.0, f64::max);
    let (mut terms, mut sums, mut rescaled) = ([1.0; N], [1.0; N], [0.0; N]);
    for c in lowest..highest {
        let up = (n_g - c) as f64 * (k - c) as f64;
        let down = (c + 1) as f64 * (n_b + c + 1 - k) as f64;
        let ratio = up / down;
        for i in 0..N {
            terms[i] *= ratio * psi[i];
            sums[i] += terms[i];
            if sums[i] > RESCALE_AT {
                terms[i] /= RESCALE_AT;
                sums[i] /= RESCALE_AT;
                rescaled[i] += 1.0;
            }
        }
        // The ratio only falls, so from here on every term only shrinks.
        if ratio * psi_highest < 1.0 && (0..N).all(|i| terms[i] < NEGLIGIBLE * sums[i]) {
            break;
        }
    }
    let log_rescale = libm::log(RESCALE_AT);
    std::array::from_fn(|i| libm::log(sums[i]) + rescaled[i] * log_rescale + lowest as f64 * libm::log(psi[i]))
}

/// An upper bound of ln M(psi)/M(psi0) = ln E_{psi0}[r^C], r = psi/psi0, so that e only becomes smaller.
///
/// C - lowest is a sum of `support` independent Bernoulli variables with unequal chances (its generating polynomial is
/// real-rooted), so by the inequality of means E[r^(C-lowest)] <= (1 + (mu-lowest)(r-1)/support)^support: Hoeffding's
/// argument of 1963, a little tighter than its k-fold form in STATISTICS.md. mu, the mean of C, is n_g k / n for
/// psi0 = 1. For psi0 > 1 and r < 1 a lower bound of mu is needed: psi0 E[(n_g-C)(k-C)] = E[C(n_b-k+C)] and a variance
/// of at least 0 put mu at or above the root of mu(n_b-k+mu) = psi0 (n_g-mu)(k-mu).
fn log_m_ratio_bound(split: &Split, null: f64, psi: f64) -> f64 {
    let (n_g, n_b) = (split.candidate.traces, split.active.traces);
    let events = split.candidate.events + split.active.events;
    let (lowest, highest) = (events.saturating_sub(n_b) as f64, events.min(n_g) as f64);
    let (n_g, n_b, k) = (n_g as f64, n_b as f64, events as f64);
    let b = n_b - k + null * (n_g + k);
    let root = (b * b - 4.0 * (null - 1.0) * null * n_g * k).max(0.0).sqrt();
    let mean = (2.0 * null * n_g * k / (b + root)).clamp(lowest, highest);
    let support = highest - lowest;
    let r = psi / null;
    lowest * libm::log(r) + support * libm::log1p((mean - lowest) / support * (r - 1.0))
}

/// ln of the one-sample e-value prod (q/p)^x ((1-q)/(1-p))^(1-x) for each q. H0: the share is at most p if q > p, at
/// least p if q < p. Says nothing (0) unless 0 < p < 1. Minus infinity where q is 0 and there was an event.
pub(crate) fn log_e_share<const N: usize>(counts: Counts, p: f64, q: &[f64; N]) -> [f64; N] {
    if p <= 0.0 || p >= 1.0 {
        return [0.0; N];
    }
    let without = (counts.traces - counts.events) as f64;
    q.map(|q| {
        let with = if counts.events == 0 { 0.0 } else { counts.events as f64 * libm::log(q / p) };
        with + without * (libm::log1p(-q) - libm::log1p(-p))
    })
}

/// The share whose odds are `psi` times the odds of `p`.
pub(crate) fn tilt(p: f64, psi: f64) -> f64 {
    psi * p / (1.0 + p * (psi - 1.0))
}

#[cfg(test)]
mod tests;
