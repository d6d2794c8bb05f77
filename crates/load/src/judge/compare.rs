//! Is green's latency higher than blue's, and how sure is that?
//!
//! Both took the same load at the same times, so a second of the one is paired with the same second of the other. A
//! latency quantile of the whole run is compared, not one of each second, so that a stall in a few seconds counts as what
//! it is. Its uncertainty comes from a circular block bootstrap of the seconds (Politis and Romano, *A Circular
//! Block-Resampling Procedure for Stationary Data*, 1992), pairs kept together, with blocks of n^(1/3) seconds (Hall,
//! Horowitz and Jing, *On Blocking Rules for the Bootstrap with Dependent Data*, 1995), for latencies of neighbouring
//! seconds are alike. Percentile bounds, each one-sided at 95 %. The seed is fixed: the same report gives the same answer.

use super::LoadDemand;
use crate::random::Random;
use crate::report::{Report, TargetReport, time};
use crate::tally::Second;
use serde::{Deserialize, Serialize};

const RESAMPLES: usize = 2_000;
/// The bounds' place among the resamples: a twentieth from each end.
const TAIL: usize = RESAMPLES / 20;
/// Fewer seconds have too few blocks to tell how much they differ.
const MIN_SECONDS: usize = 20;
/// Requests beyond the quantile, at least: fewer are no quantile.
const MIN_BEYOND: f64 = 10.0;
/// Longer runs are compared in so many pieces of several seconds: 2,000 resamples of 600 pieces of some 100 values are
/// 240 million additions, a fifth of a second.
const MAX_PIECES: usize = 600;
/// Quantiles that can be asked for.
const QUANTILES: std::ops::RangeInclusive<f64> = 0.5..=0.999;
const SEED: u64 = 0x10ad;

pub(super) const TOO_SHORT: &str = "there are too few answers to compare latencies; expected 20 s behind the warm-up, and \
     ten requests beyond the quantile of each environment";

/// The comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Which quantile.
    pub quantile: f64,
    /// Blue's, over the whole run, in microseconds.
    pub blue_us: u64,
    /// Green's.
    pub green_us: u64,
    /// How much higher than blue's green's may be, in microseconds.
    pub allowed_us: u64,
    /// By how much green's is higher than what is allowed, at least, at 95 %; negative if it is lower.
    pub beyond_at_least_us: i64,
    /// The same at most, at 95 %.
    pub beyond_at_most_us: i64,
    /// Seconds that were compared.
    pub seconds: usize,
    /// What follows.
    pub answer: Answer,
}

/// What follows from a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Not by more than is allowed, at 95 %.
    NotSlower,
    /// By more than is allowed, at 95 %.
    Slower,
    /// It cannot be told.
    Unsure,
}

impl Comparison {
    pub(super) fn words(&self) -> String {
        let told = match self.answer {
            Answer::NotSlower => "green is not slower than is allowed",
            Answer::Slower => "green is slower than is allowed",
            Answer::Unsure => "whether green is slower than is allowed cannot be told",
        };
        let from = |us: i64| format!("{}{}", if us < 0 { "-" } else { "" }, time(us.unsigned_abs()));
        format!(
            "{told}: p{} {} beside blue's {}, {} more allowed; beyond that by {} to {} (two one-sided 95 % bounds, block \
             bootstrap over {} s)",
            format!("{:.1}", self.quantile * 100.0).trim_end_matches(".0"),
            time(self.green_us),
            time(self.blue_us),
            time(self.allowed_us),
            from(self.beyond_at_least_us),
            from(self.beyond_at_most_us),
            self.seconds
        )
    }
}

/// `None` if there is too little to compare.
pub(super) fn compare(
    demand: &LoadDemand,
    report: &Report,
    blue: &TargetReport,
    green: &TargetReport,
) -> Option<Comparison> {
    let at = demand.quantile;
    let (blue, green) = (report.measured(blue), report.measured(green));
    let seconds = blue.len().min(green.len());
    if seconds < MIN_SECONDS || !QUANTILES.contains(&at) {
        return None;
    }
    let mut values: Vec<u64> =
        [blue, green].iter().flat_map(|all| all.iter()).flat_map(|one| one.latency.iter().map(|(us, _)| *us)).collect();
    values.sort_unstable();
    values.dedup();
    let each = seconds.div_ceil(MAX_PIECES);
    let pieces =
        |all: &[Second]| -> Vec<Piece> { all[..seconds].chunks(each).map(|few| piece(few, &values)).collect() };
    let (blue, green) = (pieces(blue), pieces(green));
    let whole = |pieces: &[Piece]| sum(pieces, 0..pieces.len(), values.len());
    let (all_blue, all_green) = (whole(&blue), whole(&green));
    if [&all_blue, &all_green].iter().any(|all| (1.0 - at) * total(all) as f64 <= MIN_BEYOND) {
        return None;
    }
    let (blue_us, green_us) = (quantile(&all_blue, &values, at), quantile(&all_green, &values, at));
    let mut beyond: Vec<i64> = Vec::with_capacity(RESAMPLES);
    let mut random = Random(SEED);
    let mut order = Vec::with_capacity(2 * blue.len());
    for _ in 0..RESAMPLES {
        resample(blue.len(), &mut random, &mut order);
        let sums = [&blue, &green].map(|pieces| sum(pieces, order.iter().copied(), values.len()));
        let [blue_us, green_us] = sums.map(|all| quantile(&all, &values, at));
        beyond.push(green_us as i64 - blue_us as i64 - allowed(demand, blue_us) as i64);
    }
    beyond.sort_unstable();
    let (least, most) = (beyond[TAIL], beyond[RESAMPLES - 1 - TAIL]);
    let answer = match () {
        () if most <= 0 => Answer::NotSlower,
        () if least > 0 => Answer::Slower,
        () => Answer::Unsure,
    };
    Some(Comparison {
        quantile: at,
        blue_us,
        green_us,
        allowed_us: allowed(demand, blue_us),
        beyond_at_least_us: least,
        beyond_at_most_us: most,
        seconds,
        answer,
    })
}

fn allowed(demand: &LoadDemand, blue_us: u64) -> u64 {
    let share = (blue_us as f64 * demand.slower_at_most.max(0.0)) as u64;
    share.max(demand.slower_at_least_us).min(crate::quantiles::LONGEST_US)
}

/// Counts of values, by the value's place among all values.
type Piece = Vec<(usize, u64)>;

fn piece(seconds: &[Second], values: &[u64]) -> Piece {
    let counts = seconds.iter().flat_map(|second| &second.latency);
    let place = |us: &u64| values.binary_search(us).expect("the values of all seconds were collected");
    counts.map(|(us, count)| (place(us), *count)).collect()
}

fn sum(pieces: &[Piece], which: impl Iterator<Item = usize>, values: usize) -> Vec<u64> {
    let mut all = vec![0u64; values];
    for index in which {
        for (place, count) in &pieces[index] {
            all[*place] = all[*place].saturating_add(*count);
        }
    }
    all
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

fn quantile(counts: &[u64], values: &[u64], at: f64) -> u64 {
    let pairs = values.iter().copied().zip(counts.iter().copied()).filter(|(_, count)| *count > 0);
    crate::quantiles::quantile(pairs, total(counts), at).unwrap_or(0)
}

/// As many as there are, in blocks that begin anywhere and go on at the beginning.
fn resample(pieces: usize, random: &mut Random, order: &mut Vec<usize>) {
    // n^(1/3), rounded up, without floating point.
    let block = (1..=pieces).find(|length| length.pow(3) >= pieces).unwrap_or(1);
    order.clear();
    while order.len() < pieces {
        let begin = random.below(pieces as u64) as usize;
        order.extend((begin..begin + block).map(|index| index % pieces));
    }
    order.truncate(pieces);
}
