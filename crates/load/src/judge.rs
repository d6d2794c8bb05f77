//! The verdict of the gate `load`. Pure: the same report and counts give the same verdict, byte for byte.
//!
//! Did green take the load without loss, and is it not slower than blue under it? What blue did not hold either, and what
//! the generator itself was too slow for, is said of neither.

mod compare;

pub use compare::Comparison;

use crate::report::{Report, TargetReport, grouped, time};
use compare::{Answer, compare};
use model::{BasisPoints, Environment, GateVerdict, PerEnvironment};
use serde::{Deserialize, Serialize};

/// The generator is to blame if its 99th percentile is later than this: what it claims of itself is 1 ms, and a latency
/// that matters to a collector's senders is many times as much.
const MAX_LATENESS_US: u64 = 5_000;

/// Poisson arrivals come to a little more or less than their rate: of 100 requests a second over 10 s the standard
/// deviation is 3 %.
const RATE_REACHED: f64 = 0.95;

/// What is demanded of green.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadDemand {
    /// The present peak, in spans a second.
    pub present_items_per_s: f64,
    /// How many times the present peak green must hold.
    pub multiple: f64,
    /// The share of what is due that may be lost: 0 is none.
    pub loss_at_most: BasisPoints,
    /// The quantile of the latency that is compared, 0.5 to 0.999.
    pub quantile: f64,
    /// By which share of blue's latency green's may be higher: 0.2 is a fifth.
    pub slower_at_most: f64,
    /// What is never called slower, in microseconds: differences below are no sender's concern, and the generator's own.
    pub slower_at_least_us: u64,
}

impl LoadDemand {
    /// So many times the present peak, without any loss, and the 99th percentile at most a fifth and a millisecond higher.
    pub fn of(present_items_per_s: f64, multiple: f64) -> LoadDemand {
        LoadDemand {
            present_items_per_s,
            multiple,
            loss_at_most: BasisPoints::ZERO,
            quantile: 0.99,
            slower_at_most: 0.2,
            slower_at_least_us: 1_000,
        }
    }
}

/// Spans that came out behind each environment, counted at its tap from the first request to when nothing more came.
pub type Out = PerEnvironment<u64>;

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// The verdict.
    pub verdict: GateVerdict,
    /// In words, what decided first.
    pub reasons: Vec<String>,
    /// The latencies, where they could be compared.
    pub comparison: Option<Comparison>,
}

/// What an environment did not hold.
#[derive(Default)]
struct Failings {
    words: Vec<String>,
    /// Whether what it had acknowledged did not come out, which no lateness of ours explains.
    lost_acknowledged: bool,
}

/// Decides. Without `out` it is not known what became of acknowledged spans, and nothing passes.
///
/// Latencies are compared by a paired block bootstrap over the seconds of the run (`compare.rs`), each side at 95 %.
pub fn judge(demand: &LoadDemand, report: &Report, out: Option<Out>) -> Judged {
    let mut reasons = Vec::new();
    let (Some(blue), Some(green)) = (&report.targets.blue, &report.targets.green) else {
        let missing = if report.targets.blue.is_none() { "blue" } else { "green" };
        let words = format!("{missing} got no load, so green cannot be judged beside blue");
        return Judged { verdict: GateVerdict::Inconclusive, reasons: vec![words], comparison: None };
    };
    for (environment, target) in [(Environment::Green, green), (Environment::Blue, blue)] {
        if !target.answered() && target.all.due.requests > 0 {
            let why = target.disconnection.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            reasons.push(format!("{environment} answered none of {} requests{why}", grouped(target.all.due.requests)));
        }
    }
    if !reasons.is_empty() {
        return Judged { verdict: GateVerdict::Error, reasons, comparison: None };
    }
    let failings = |environment, target| failings(demand, environment, target, out.map(|out| out[environment]));
    let (of_green, of_blue) = (failings(Environment::Green, green), failings(Environment::Blue, blue));
    let unsure = unsure(demand, report, out.is_some());
    let late = lateness(blue).max(lateness(green)) > MAX_LATENESS_US;
    let compared = if report.open_loop { compare(demand, report, blue, green) } else { None };
    let (verdict, decisive) = if !of_green.words.is_empty() {
        if !of_blue.words.is_empty() {
            let words = [&of_green.words[..], &of_blue.words[..]].concat().join("; ");
            let neither = format!("neither environment held the load, so it says nothing of green alone: {words}");
            (GateVerdict::Inconclusive, vec![neither])
        } else if late && !of_green.lost_acknowledged {
            (GateVerdict::Inconclusive, [unsure, of_green.words].concat())
        } else {
            (GateVerdict::Fail, of_green.words)
        }
    } else if !unsure.is_empty() {
        (GateVerdict::Inconclusive, unsure)
    } else {
        match &compared {
            Some(comparison) => match comparison.answer {
                Answer::Slower => (GateVerdict::Fail, vec![comparison.words()]),
                Answer::Unsure => (GateVerdict::Inconclusive, vec![comparison.words()]),
                Answer::NotSlower => {
                    let rate = grouped(report.sustained_items_per_s(Environment::Green) as u64);
                    let held = format!(
                        "green held {rate} spans/s{}",
                        if demand.loss_at_most == BasisPoints::ZERO {
                            " without loss".to_owned()
                        } else {
                            format!(" with at most {} lost", demand.loss_at_most)
                        }
                    );
                    (GateVerdict::Pass, vec![held, comparison.words()])
                }
            },
            None => (GateVerdict::Inconclusive, vec![compare::TOO_SHORT.to_owned()]),
        }
    };
    reasons.extend(decisive);
    if verdict == GateVerdict::Pass && !of_blue.words.is_empty() {
        reasons.push(format!("blue did not hold it: {}", of_blue.words.join("; ")));
    }
    if let Some(trouble) = &report.trouble {
        reasons.push(trouble.clone());
    }
    Judged { verdict, reasons, comparison: compared }
}

fn lateness(target: &TargetReport) -> u64 {
    target.lateness.quantile_us(0.99).unwrap_or(0)
}

fn failings(demand: &LoadDemand, environment: Environment, target: &TargetReport, out: Option<u64>) -> Failings {
    let mut failings = Failings::default();
    let allowed = |items: u64| (items as f64 * demand.loss_at_most.share()) as u64;
    let (all, due) = (&target.all, target.all.due.items);
    let missed = all.missed_items();
    if missed > allowed(due) {
        let kinds = [
            ("not sent in time, because its backlog grew", all.not_sent.items),
            ("throttled", all.throttled.items),
            ("refused", all.refused.items),
            ("rejected in part", all.rejected_items),
            ("not answered in time", all.timed_out.items),
            ("without a connection", all.disconnected.items),
        ];
        let told = kinds.iter().filter(|(_, items)| *items > 0);
        let told: Vec<String> = told.map(|(kind, items)| format!("{} {kind}", grouped(*items))).collect();
        failings.words.push(format!(
            "{environment} did not take {} of {} spans ({})",
            grouped(missed),
            grouped(due),
            told.join(", ")
        ));
    }
    let taken = all.taken_items();
    if let Some(out) = out
        && taken.saturating_sub(out) > allowed(taken)
    {
        failings.lost_acknowledged = true;
        failings.words.push(format!(
            "{environment} acknowledged {} spans and {} came out: {} are lost",
            grouped(taken),
            grouped(out),
            grouped(taken - out)
        ));
    }
    failings
}

/// Why nothing can be told of green, whatever the figures.
fn unsure(demand: &LoadDemand, report: &Report, has_out: bool) -> Vec<String> {
    let mut words = Vec::new();
    let offered = report.sustained_items_per_s(Environment::Green);
    let demanded = demand.present_items_per_s * demand.multiple;
    // Written so that what is no number is unsure too.
    if !(demanded > 0.0 && offered >= demanded * RATE_REACHED) {
        words.push(format!(
            "the load offered {} spans/s, and {} are demanded: {} times the present peak of {}",
            grouped(offered as u64),
            grouped(demanded as u64),
            demand.multiple,
            grouped(demand.present_items_per_s as u64)
        ));
    }
    if !report.open_loop {
        words.push("the load was a closed loop, whose latencies say nothing of what senders see".to_owned());
    }
    for environment in Environment::BOTH {
        let late = report.targets[environment].as_ref().map_or(0, lateness);
        if late > MAX_LATENESS_US {
            words.push(format!(
                "the generator itself was late towards {environment}, by {} at its 99th percentile: give it more processor",
                time(late)
            ));
        }
    }
    if !has_out {
        words.push("what came out is not known: no tap counted it".to_owned());
    }
    words
}

#[cfg(test)]
mod tests;
