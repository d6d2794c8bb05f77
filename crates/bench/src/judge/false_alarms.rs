//! Nothing is wrong (or, for a proof, just too much is): how often does evidence ever reach 1/alpha?

use super::scenes::{BATCH, Slowness, WATCHED, beyond, counts, exceedances, hazard, split};
use super::{ALPHAS, Seeds, TRACES_PER_S, all_runs};
use judge::forms::{NotWorse, Slower, Worse, log_mean};
use judge::simulate::{Random, upper_bound};

/// Batches are as long as may be: the rows have hours.
const TRACES: u64 = *BATCH.end();

/// The share of traces with an event, where the table does not say it.
const BASE: f64 = 0.01;

/// One row of the first table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// The table's figures at both levels.
    pub(super) table: [&'static str; 2],
    pub(super) runs: u64,
    /// Runs that reached 1/alpha, at both levels.
    pub(super) alarms: [u64; 2],
}

impl Row {
    /// 99 % upper bounds of the chance of an alarm.
    pub(super) fn bounds(&self) -> [f64; 2] {
        self.alarms.map(|alarms| upper_bound(alarms, self.runs, 0.99))
    }

    /// A bound above alpha, with enough runs to say so.
    pub(super) fn is_broken(&self) -> bool {
        self.runs >= 10_000 && self.bounds().into_iter().zip(ALPHAS).any(|(bound, alpha)| bound > alpha)
    }
}

pub(super) fn rows(seeds: &Seeds, told: impl Fn(String)) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name: String, table: [&'static str; 2], highest: &(dyn Fn(&mut Random) -> f64 + Sync)| {
        told(name.clone());
        let place = rows.len() as u64;
        let reached = all_runs(seeds.false_alarms, |run| {
            highest(&mut Random::of_run(seeds.first.wrapping_add(place << 32), run))
        });
        let over = |alpha: f64| reached.iter().filter(|log| **log >= libm::log(1.0 / alpha)).count() as u64;
        rows.push(Row { name, table, runs: seeds.false_alarms, alarms: ALPHAS.map(over) });
    };
    for weight in [0.5, 0.1, 0.01] {
        let name = format!("R, {}% green, 6 h", weight * 100.0);
        row(name, ["2.3-3.6%", "0.5-0.75%"], &|random| rate(random, hours(6), |_| weight, |_| BASE));
    }
    for weight in [0.5, 0.1, 0.01] {
        let name = format!("L, {}% green, 6 h", weight * 100.0);
        row(name, ["2.5-4%", "0-1.3%"], &|random| latency(random, hours(6), weight));
    }
    let ramp = |part: f64| [0.01, 0.05, 0.25, 0.5][((part * 4.0) as usize).min(3)];
    row("R, ramp 1, 5, 25, 50% in 2 h, base doubling".to_owned(), ["3.5%", "0.9%"], &|random| {
        rate(random, hours(2), ramp, |part| BASE * (1.0 + part))
    });
    row("20 metrics averaged, R, 10% green, 1 h".to_owned(), ["3.5%", "-"], &|random| many(random, hours(1), 0.1, 20));
    for psi0 in [1.5, 2.0] {
        let name = format!("NI, green at psi0 = {psi0}, 50% green, 6 h");
        row(name, ["3.3-4.5%", "0.5-0.8%"], &|random| at_the_margin(random, hours(6), 0.5, psi0));
    }
    rows
}

/// Batches of so many hours.
fn hours(hours: u64) -> u64 {
    hours * 3_600 * TRACES_PER_S / TRACES
}

/// The highest ln evidence of R. Weight and base rate follow the part of the time that has gone by, 0.0 to 1.0.
fn rate(random: &mut Random, batches: u64, weight: impl Fn(f64) -> f64, base: impl Fn(f64) -> f64) -> f64 {
    let (mut form, mut highest) = (Worse::rate(), 0.0);
    for batch in 0..batches {
        let part = batch as f64 / batches as f64;
        let (green, blue) = split(random, TRACES, weight(part));
        let (green, blue) = (counts(random, green, base(part)), counts(random, blue, base(part)));
        form.observe(green, blue, hazard(TRACES));
        highest = f64::max(highest, form.log_evidence());
    }
    highest
}

fn latency(random: &mut Random, batches: u64, weight: f64) -> f64 {
    let chances = exceedances(Slowness::None, &WATCHED, 1.0);
    let (mut form, mut highest) = (Slower::new(WATCHED.len()), 0.0);
    for _ in 0..batches {
        let (green, blue) = split(random, TRACES, weight);
        let (green, blue) = (beyond(random, green, &chances), beyond(random, blue, &chances));
        form.observe(green.into_iter().zip(blue), hazard(TRACES));
        highest = f64::max(highest, form.log_evidence());
    }
    highest
}

fn many(random: &mut Random, batches: u64, weight: f64, metrics: usize) -> f64 {
    let (mut forms, mut highest) = (vec![Worse::rate(); metrics], 0.0);
    let mut evidence = vec![0.0; metrics];
    for _ in 0..batches {
        let (green, blue) = split(random, TRACES, weight);
        for (form, evidence) in forms.iter_mut().zip(&mut evidence) {
            form.observe(counts(random, green, BASE), counts(random, blue, BASE), hazard(TRACES));
            *evidence = form.log_evidence();
        }
        highest = f64::max(highest, log_mean(&evidence));
    }
    highest
}

/// A green whose odds are psi0 times blue's, which is just not to be promoted.
fn at_the_margin(random: &mut Random, batches: u64, weight: f64, psi0: f64) -> f64 {
    let worse = psi0 * BASE / (1.0 + BASE * (psi0 - 1.0));
    let (mut form, mut highest) = (NotWorse::new(psi0), 0.0);
    for _ in 0..batches {
        let (green, blue) = split(random, TRACES, weight);
        form.observe(counts(random, green, worse), counts(random, blue, BASE));
        highest = f64::max(highest, form.log_evidence());
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred runs can show that something is grossly wrong; the ten thousand are `cargo xtask bench judge`'s.
    #[test]
    fn short_runs_alarm_about_as_seldom_as_promised() {
        type Form = fn(&mut Random) -> f64;
        let over = |alarms: u64, alpha: f64| alarms as f64 > 100.0 * alpha + 4.0 * (100.0 * alpha).sqrt();
        let runs = |highest: Form| {
            let reached = all_runs(100, |run| highest(&mut Random::of_run(77, run)));
            ALPHAS.map(|alpha| (reached.iter().filter(|log| **log >= libm::log(1.0 / alpha)).count() as u64, alpha))
        };
        let forms: [(&str, Form); 4] = [
            ("R", |random| rate(random, 60, |_| 0.5, |part| BASE * (1.0 + part))),
            ("L", |random| latency(random, 40, 0.1)),
            ("many", |random| many(random, 30, 0.1, 5)),
            ("NI", |random| at_the_margin(random, 60, 0.5, 2.0)),
        ];
        for (name, form) in forms {
            for (alarms, alpha) in runs(form) {
                assert!(!over(alarms, alpha), "{name}: {alarms} of 100 at {alpha}");
            }
        }
    }

    #[test]
    fn a_bound_above_alpha_is_broken_where_the_runs_can_tell() {
        let row = |runs, alarms| Row { name: String::new(), table: ["", ""], runs, alarms };
        assert!(!row(10_000, [350, 60]).is_broken());
        assert!(row(10_000, [350, 90]).is_broken() && row(10_000, [480, 60]).is_broken());
        assert!(!row(100, [9, 3]).is_broken(), "a hundred runs tell nothing");
    }
}
