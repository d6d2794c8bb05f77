//! How large a difference is, with an interval that holds however often one looks: what a failure tells.
//!
//! Nothing is decided with it. Its evidence runs beside that of the decision, from the first batch on, for an interval
//! that began when something looked bad would begin with what looked bad.

use crate::odds::{Counts, Split, log_m};
use crate::process::log_mean;
use serde::{Deserialize, Serialize};

/// The confidence of every interval: wrong for one in twenty rollouts, in any of their metrics, at any time.
pub const CONFIDENCE: f64 = 0.95;

/// ln 1/(1 - [`CONFIDENCE`]): ln 20.
const LOG_UNSURE: f64 = 2.995_732_273_553_991;

/// Odds ratios at which the likelihood is followed. Steps of a tenth to a quarter where rollouts fail in practice; between
/// them the ends are found by concavity.
const GRID: [f64; 24] = [
    0.1, 0.3, 0.5, 0.7, 0.85, 1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0,
    50.0, 100.0, 1_000.0,
];

/// Their logarithms.
const LOG_GRID: [f64; 24] = [
    -2.302_585_092_994_045_5,
    -1.203_972_804_325_936,
    -std::f64::consts::LN_2,
    -0.356_674_943_938_732_4,
    -0.162_518_929_497_774_9,
    0.0,
    0.095_310_179_804_324_93,
    0.223_143_551_314_209_76,
    0.336_472_236_621_212_9,
    0.470_003_629_245_735_6,
    0.587_786_664_902_119_1,
    std::f64::consts::LN_2,
    0.916_290_731_874_155_1,
    1.098_612_288_668_109_8,
    1.386_294_361_119_890_6,
    1.609_437_912_434_100_3,
    1.945_910_149_055_313_2,
    std::f64::consts::LN_10,
    2.708_050_201_102_21,
    2.995_732_273_553_991,
    3.401_197_381_662_155_5,
    3.912_023_005_428_146,
    4.605_170_185_988_092,
    6.907_755_278_982_137,
];

/// The longest support that is summed exactly here: 100 terms of 24 odds ratios are at most 2,400 multiplications, as long
/// as the bounds take. These are close where a small share of the traces has the event.
const MAX_EXACT_SUPPORT: u64 = 100;

/// An effect and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Effect {
    /// What the numbers are.
    pub measure: Measure,
    /// The most likely value; an odds ratio is 0.1 to 1,000, for beyond it is not looked.
    pub estimate: f64,
    /// The lower end of the interval.
    pub at_least: f64,
    /// The upper end; none where what was counted excludes no value above.
    pub at_most: Option<f64>,
    /// How sure the interval is: [`CONFIDENCE`], for all metrics of a rollout and all times together.
    pub confidence: f64,
}

/// What an [`Effect`] measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// The candidate's odds of the event over the active environment's, in the batches that had both. Where the odds ratio
    /// changed during the rollout, the lower end is below its largest value and the upper end above its smallest.
    OddsRatio,
    /// The candidate's share of traces with the event, where there is no active traffic to compare with, and of a blind
    /// spot. Taken as constant.
    Share,
}

/// The likelihood of the odds ratio over the batches so far: sum of c_g ln psi - ln M(psi), for each psi of the grid.
///
/// The interval is made of the odds ratios psi0 that no e-process rejects (a confidence sequence: Howard, Ramdas,
/// McAuliffe & Sekhon, *Time-uniform, nonparametric, nonasymptotic confidence sequences*, 2021, section 6; for two rates
/// Lindon & Malek, section 4): the mean over the grid of prod (psi/psi0)^{c_g} M(psi0)/M(psi). As in R, any allocation
/// and any drift of the base rate is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OddsLikelihood {
    /// With M(psi) from above: what speaks for an odds ratio. As many as the grid has.
    of_alternative: Vec<f64>,
    /// With M(psi) from below: what an odds ratio can say for itself.
    of_null: Vec<f64>,
}

impl OddsLikelihood {
    pub(crate) fn new() -> OddsLikelihood {
        OddsLikelihood { of_alternative: vec![0.0; GRID.len()], of_null: vec![0.0; GRID.len()] }
    }

    pub(crate) fn update(&mut self, split: &Split) {
        if !split.is_telling() {
            return;
        }
        let log_m = log_m(split, &GRID, MAX_EXACT_SUPPORT);
        let events = split.candidate.events as f64;
        for (at, log_psi) in LOG_GRID.iter().enumerate() {
            let log_odds = events * log_psi;
            self.of_alternative[at] += log_odds - log_m.above[at];
            self.of_null[at] += log_odds - log_m.below[at];
        }
    }

    /// The interval that is wrong with a chance of at most 1 - [`CONFIDENCE`] times `weight`.
    pub(crate) fn effect(&self, weight: f64) -> Effect {
        let rejected_at = log_mean(&self.of_alternative) - (LOG_UNSURE - libm::log(weight));
        let first = self.of_null.iter().position(|log| *log > rejected_at);
        let last = self.of_null.iter().rposition(|log| *log > rejected_at);
        // The best point of the grid is never rejected: the mean over the grid is at most its likelihood.
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(GRID.len() - 1));
        let at_least = match first {
            0 => 0.0,
            _ => self.end(first - 1, first.checked_sub(2), first, rejected_at),
        };
        let at_most = (last + 1 < GRID.len()).then(|| {
            let further = Some(last + 2).filter(|further| *further < GRID.len());
            self.end(last + 1, further, last, rejected_at)
        });
        let estimate = self.estimate().clamp(at_least, at_most.unwrap_or(f64::MAX));
        Effect { measure: Measure::OddsRatio, estimate, at_least, at_most, confidence: CONFIDENCE }
    }

    /// The end of the interval between the rejected point of the grid and the `kept` one beside it. The likelihood is
    /// concave in ln psi, so it is below the line through the `further` and the rejected point; where that line is
    /// below `rejected_at`, so is the likelihood.
    fn end(&self, rejected: usize, further: Option<usize>, kept: usize, rejected_at: f64) -> f64 {
        let Some(further) = further else { return GRID[rejected] };
        let at = |index: usize| (LOG_GRID[index], self.of_null[index]);
        let ((x0, y0), (x1, y1), (x2, _)) = (at(further), at(rejected), at(kept));
        let slope = (y1 - y0) / (x1 - x0);
        let step = (rejected_at - y1) / slope;
        let beyond = !step.is_finite() || step * (x2 - x1) <= 0.0;
        if beyond { GRID[rejected] } else { libm::exp(if step.abs() < (x2 - x1).abs() { x1 + step } else { x2 }) }
    }

    /// The top of the parabola in ln psi through the best point of the grid and its neighbours, of the likelihood halfway
    /// between its bounds.
    fn estimate(&self) -> f64 {
        let log = |at: usize| (self.of_null[at] + self.of_alternative[at]) / 2.0;
        let best = (0..GRID.len()).fold(0, |best, at| if log(at) > log(best) { at } else { best });
        if best == 0 || best + 1 == GRID.len() {
            return GRID[best];
        }
        let at = |index: usize| (LOG_GRID[index], log(index));
        let ((x0, y0), (x1, y1), (x2, y2)) = (at(best - 1), at(best), at(best + 1));
        let (rise, fall) = ((y1 - y0) / (x1 - x0), (y1 - y2) / (x2 - x1));
        // The slopes halfway to each neighbour; between them the slope is 0 at the top.
        let (from, to) = ((x0 + x1) / 2.0, (x1 + x2) / 2.0);
        if rise + fall > 0.0 { libm::exp(from + (to - from) * rise / (rise + fall)) } else { GRID[best] }
    }
}

/// The share of traces with the event, and its interval: the shares p0 that the e-process of the uniform mixture,
/// integral of q^x (1-q)^(n-x) dq / (p0^x (1-p0)^(n-x)), does not reject (Robbins, *Statistical methods related to the law
/// of the iterated logarithm*, 1970). It is wrong with a chance of at most 1 - [`CONFIDENCE`] times `weight`.
pub(crate) fn share_effect(counts: Counts, weight: f64) -> Effect {
    let (with, without) = (counts.events as f64, counts.traces.saturating_sub(counts.events) as f64);
    let log_mixture = libm::lgamma(with + 1.0) + libm::lgamma(without + 1.0) - libm::lgamma(with + without + 2.0);
    let log_needed = LOG_UNSURE - libm::log(weight);
    let part = |count: f64, log: f64| if count > 0.0 { count * log } else { 0.0 };
    let rejected = |p: f64| log_mixture - part(with, libm::log(p)) - part(without, libm::log1p(-p)) >= log_needed;
    let share = counts.share();
    // 60 halvings of at most 1 come to the resolution of a double.
    let end = |mut out: f64| {
        let mut within = share;
        if !rejected(out) {
            return out;
        }
        for _ in 0..60 {
            let middle = (out + within) / 2.0;
            if rejected(middle) { out = middle } else { within = middle }
        }
        out
    };
    let (at_least, at_most) = if counts.traces == 0 { (0.0, 1.0) } else { (end(0.0), end(1.0)) };
    Effect { measure: Measure::Share, estimate: share, at_least, at_most: Some(at_most), confidence: CONFIDENCE }
}

/// The share of traces with an event, and the interval that, looked at as often as one likes, is wrong with a chance of at
/// most 1 - [`CONFIDENCE`].
pub fn share_interval(counts: Counts) -> Effect {
    share_effect(counts, 1.0)
}

#[cfg(test)]
mod tests;
