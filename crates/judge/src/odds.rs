//! R and NI: the e-value of one batch for two rates under any allocation of traces, and its one-sample sibling.
//!
//! Given k = c_g + c_b events among n_g + n_b exchangeable traces, c_g follows (Fisher's) hypergeometric distribution
//! with the odds ratio as its parameter, whatever the base rate and whatever the weight.

use serde::{Deserialize, Serialize};

/// The longest support, in values of c_g, that is summed exactly for a decision; beyond it the bounds below are used,
/// which cost nothing in validity. 2,000 terms of 9 odds ratios are 18,000 multiplications: about 15 microseconds.
pub(crate) const MAX_EXACT_SUPPORT: u64 = 2_000;

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

impl Split {
    /// Events in both environments: k.
    fn events(&self) -> u64 {
        self.candidate.events + self.active.events
    }

    /// The lowest and the highest c_g that k allows.
    fn support(&self) -> (u64, u64) {
        (self.events().saturating_sub(self.active.traces), self.events().min(self.candidate.traces))
    }

    /// Whether the batch says anything: an empty environment or no event at all does not.
    pub(crate) fn is_telling(&self) -> bool {
        self.candidate.traces > 0 && self.active.traces > 0 && self.events() > 0
    }
}

/// R: ln of e(psi) = psi^{c_g} / M(psi) for each alternative psi, where M(psi) is the sum over c of
/// Hyp(c; n_g, n_b, k) psi^c. H0: the odds ratio is at most 1 if all psi > 1, at least 1 if all psi < 1. A batch with an
/// empty arm, or without events, says nothing: 0.
pub(crate) fn log_e<const N: usize>(split: &Split, psi: &[f64; N]) -> [f64; N] {
    if !split.is_telling() {
        return [0.0; N];
    }
    // M(1) is 1, whatever was counted.
    let mut log_e = log_m(split, psi, MAX_EXACT_SUPPORT).above;
    for (log_e, psi) in log_e.iter_mut().zip(psi) {
        *log_e = split.candidate.events as f64 * libm::log(*psi) - *log_e;
    }
    log_e
}

/// NI: ln of e(psi; psi0) = (psi/psi0)^{c_g} M(psi0)/M(psi) for each psi, where psi0 is the last and the largest of them. H0:
/// the odds ratio is at least psi0. The last is 0.
pub(crate) fn log_e_below_last<const N: usize>(split: &Split, psi: &[f64; N]) -> [f64; N] {
    if !split.is_telling() {
        return [0.0; N];
    }
    let LogM { below, above } = log_m(split, psi, MAX_EXACT_SUPPORT);
    let (null, log_null) = (psi[N - 1], below[N - 1]);
    let mut log_e = above;
    for (log_e, psi) in log_e.iter_mut().zip(psi) {
        *log_e = split.candidate.events as f64 * libm::log(psi / null) + log_null - *log_e;
    }
    log_e[N - 1] = 0.0;
    log_e
}

/// ln M(psi) from below and from above; the same number twice where the sum is short enough to be computed. An e-value
/// has the upper one below its fraction line and the lower one above it, so that it only becomes smaller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogM<const N: usize> {
    pub(crate) below: [f64; N],
    pub(crate) above: [f64; N],
}

/// ln M(psi) for a telling batch: exactly, if c_g has no more than `max_exact` values beside the lowest.
pub(crate) fn log_m<const N: usize>(split: &Split, psi: &[f64; N], max_exact: u64) -> LogM<N> {
    let (lowest, highest) = split.support();
    if highest - lowest <= max_exact {
        let exact = exact_log_m(split, psi);
        return LogM { below: exact, above: exact };
    }
    bounded_log_m(split, psi)
}

/// The sum by the recurrence h_{c+1}/h_c = (n_g-c)(k-c) / ((c+1)(n_b-k+c+1)) from the first telling c upward, all terms
/// being positive, and divided by the same sum at psi = 1, for it begins with 1 instead of h.
fn exact_log_m<const N: usize>(split: &Split, psi: &[f64; N]) -> [f64; N] {
    let (n_g, n_b, k) = (split.candidate.traces, split.active.traces, split.events());
    let (_, highest) = split.support();
    debug_assert!(psi.is_sorted(), "the last term is the last to shrink");
    let first = first_telling(split, psi[0].min(1.0));
    // Counts are at most 10^12, so that steps of 1 are exact.
    let (mut n_g_less_c, mut k_less_c) = ((n_g - first) as f64, (k - first) as f64);
    let (mut c_more, mut n_b_less_more) = ((first + 1) as f64, (n_b + first + 1 - k) as f64);
    let (mut terms, mut sums, mut rescaled) = ([1.0; N], [1.0; N], [0.0; N]);
    let (mut weight, mut weights, mut weights_rescaled) = ([1.0], [1.0], [0.0]);
    for _ in first..highest {
        let ratio = n_g_less_c * k_less_c / (c_more * n_b_less_more);
        (n_g_less_c, k_less_c) = (n_g_less_c - 1.0, k_less_c - 1.0);
        (c_more, n_b_less_more) = (c_more + 1.0, n_b_less_more + 1.0);
        weight[0] *= ratio;
        weights[0] += weight[0];
        let mut is_large = weights[0] > RESCALE_AT;
        for i in 0..N {
            terms[i] *= ratio * psi[i];
            sums[i] += terms[i];
            is_large |= sums[i] > RESCALE_AT;
        }
        if is_large {
            rescale(&mut terms, &mut sums, &mut rescaled);
            rescale(&mut weight, &mut weights, &mut weights_rescaled);
        }
        // The ratio only falls, so from here on every term only shrinks, the last one the slowest.
        let last = N - 1;
        let shrinks = ratio < 1.0 && ratio * psi[last] < 1.0 && terms[last] < NEGLIGIBLE * sums[last];
        if shrinks && weight[0] < NEGLIGIBLE * weights[0] && is_negligible(&terms, &sums) {
            break;
        }
    }
    let log_rescale = libm::log(RESCALE_AT);
    let log_weights = libm::log(weights[0]) + weights_rescaled[0] * log_rescale;
    std::array::from_fn(|i| {
        let before = if first == 0 { 0.0 } else { first as f64 * libm::log(psi[i]) };
        libm::log(sums[i]) + rescaled[i] * log_rescale + before - log_weights
    })
}

/// The c from which on all but [`NEGLIGIBLE`] of M(psi) lies, for this psi <= 1 and all above. C is a sum of `support`
/// independent variables (see [`bounded_log_m`]), so by Hoeffding's inequality it is sqrt(support ln(10^20)/2) =
/// 4.8 sqrt(support) below its mean with a chance of 10^-20; the mean is within 2 of where the terms stop rising.
fn first_telling(split: &Split, psi: f64) -> u64 {
    let (lowest, highest) = split.support();
    let (n_g, n_b, k) = (split.candidate.traces as f64, split.active.traces as f64, split.events() as f64);
    let b = n_b - k + psi * (n_g + k);
    let root = (b * b + 4.0 * (1.0 - psi) * psi * n_g * k).sqrt();
    let rises_to = 2.0 * psi * n_g * k / (b + root);
    let first = rises_to - 4.8 * ((highest - lowest) as f64).sqrt() - 4.0;
    (first.max(0.0) as u64).clamp(lowest, highest)
}

fn rescale<const N: usize>(terms: &mut [f64; N], sums: &mut [f64; N], rescaled: &mut [f64; N]) {
    for i in 0..N {
        if sums[i] > RESCALE_AT {
            terms[i] /= RESCALE_AT;
            sums[i] /= RESCALE_AT;
            rescaled[i] += 1.0;
        }
    }
}

fn is_negligible<const N: usize>(terms: &[f64; N], sums: &[f64; N]) -> bool {
    (0..N).all(|i| terms[i] < NEGLIGIBLE * sums[i])
}

/// Bounds of ln M(psi) = ln E[psi^C] that take the same time for any counts.
///
/// C - lowest is a sum of `support` independent Bernoulli variables with chances p_i that nobody need know, for its
/// generating polynomial is real-rooted (Vatutin & Mikhailov, *Limit theorems for the number of empty cells*, 1982), so
/// ln M(psi) = lowest ln psi + sum ln(1 + p_i (psi-1)). Of the p_i the mean m is known from the mean of C, and the mean
/// square q from its variance. The summand's third derivative in p has one sign, so by the Markov-Krein theorem (Karlin
/// & Studden, *Tchebycheff systems*, 1966, ch. II) the sum is extreme where every p_i is one of two values: 0 and one
/// other, or 1 and one other. Hoeffding's bound of 1963, in STATISTICS.md, is the upper one without the knowledge of q.
fn bounded_log_m<const N: usize>(split: &Split, psi: &[f64; N]) -> LogM<N> {
    let (lowest, highest) = split.support();
    let (n_g, n_b, k) = (split.candidate.traces as f64, split.active.traces as f64, split.events() as f64);
    let (lowest, support, n) = (lowest as f64, (highest - lowest) as f64, n_g + n_b);
    let mean = n_g * (k / n);
    let variance = mean * (n_b / n) * ((n - k) / (n - 1.0));
    let m = ((mean - lowest) / support).clamp(0.0, 1.0);
    // Jensen's inequality and p_i <= 1 hold for the exact numbers; rounding must not break them.
    let q = (m - variance / support).clamp(m * m, m);
    let with_none = Extreme::with_none(m, q);
    let with_all = Extreme::with_none(1.0 - m, (1.0 - 2.0 * m + q).clamp((1.0 - m) * (1.0 - m), 1.0 - m));
    let log_psi = psi.map(libm::log);
    let bounds: [(f64, f64); N] = std::array::from_fn(|i| {
        let one = with_none.mean_log(psi[i]);
        let other = log_psi[i] + with_all.mean_log(1.0 / psi[i]);
        let sum = |mean_log: f64| lowest * log_psi[i] + support * mean_log;
        (sum(one.min(other)), sum(one.max(other)))
    });
    LogM { below: bounds.map(|(below, _)| below), above: bounds.map(|(_, above)| above) }
}

/// Chances of which a share is one value above 0, and the others are 0.
#[derive(Clone, Copy, Debug)]
struct Extreme {
    share: f64,
    chance: f64,
}

impl Extreme {
    /// With this mean and mean square.
    fn with_none(mean: f64, mean_square: f64) -> Extreme {
        if mean <= 0.0 {
            return Extreme { share: 0.0, chance: 0.0 };
        }
        Extreme { share: mean * (mean / mean_square), chance: mean_square / mean }
    }

    /// The mean of ln(1 + p (psi-1)).
    fn mean_log(self, psi: f64) -> f64 {
        self.share * libm::log1p(self.chance * (psi - 1.0))
    }
}

/// ln of the one-sample e-value prod (q/p)^x ((1-q)/(1-p))^(1-x) for each q. H0: the share is at most p if q > p, at
/// least p if q < p. Says nothing (0) unless 0 < p < 1. Minus infinity where q is 0 and there was an event.
pub(crate) fn log_e_share<const N: usize>(counts: Counts, p: f64, q: &[f64; N]) -> [f64; N] {
    if p <= 0.0 || p >= 1.0 {
        return [0.0; N];
    }
    let (without, log_without) = ((counts.traces - counts.events) as f64, libm::log1p(-p));
    q.map(|q| {
        let with = if counts.events == 0 { 0.0 } else { counts.events as f64 * libm::log(q / p) };
        with + without * (libm::log1p(-q) - log_without)
    })
}

/// The share whose odds are `psi` times the odds of `p`.
pub(crate) fn tilt(p: f64, psi: f64) -> f64 {
    psi * p / (1.0 + p * (psi - 1.0))
}

#[cfg(test)]
mod tests;
