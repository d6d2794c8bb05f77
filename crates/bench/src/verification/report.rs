//! The rows as tables, and as one JSON value each; and what of them is not as the issue requires.

use super::runs::{Divided, Seen};
use super::services::Named;
use super::speed::Speed;
use super::{RATES, Row};
use crate::seeded::say;
use model::Check;
use serde_json::json;
use std::collections::BTreeSet;

/// The share of rollbacks that must name the cause first.
const NAMED_FIRST: f64 = 0.95;

/// What is wrong: nothing at all may be found where there is no fault.
pub(super) fn no_fault(
    system: &str,
    divided: &Divided,
    seen: &[(BTreeSet<Check>, bool)],
    json: bool,
) -> Option<String> {
    let with_findings = seen.iter().filter(|(checks, _)| !checks.is_empty()).count();
    let rolled_back = seen.iter().filter(|(_, rolled_back)| *rolled_back).count();
    let spans: usize = divided.traces.iter().map(|trace| trace.spans.len()).sum();
    say(
        json,
        &format!(
            "\n{system}: {} traces, {spans} spans; of {} random halves without a fault {with_findings} show a finding, \
             {rolled_back} are rolled back",
            divided.traces.len(),
            seen.len()
        ),
    );
    if json {
        println!(
            "{}",
            json!({
                "part": "noFault", "system": system, "traces": divided.traces.len(), "spans": spans,
                "halves": seen.len(), "withFindings": with_findings, "rolledBack": rolled_back,
            })
        );
    }
    (with_findings + rolled_back > 0).then(|| format!("{system} without a fault: {seen:?}"))
}

/// Alarms where nothing is slower than a chance of 1 % makes, four deviations up; and calls that are timed, slow, and not
/// named.
pub(super) fn services(system: &str, alarms: &[bool], rows: &[(String, Vec<Named>)], json: bool) -> Vec<String> {
    let alarmed = alarms.iter().filter(|alarmed| **alarmed).count();
    let mean = alarms.len() as f64 * 0.01;
    let mut broken = Vec::new();
    if alarmed as f64 > mean + 4.0 * mean.sqrt() {
        broken.push(format!("{system}: {alarmed} of {} halves with the same services alarm", alarms.len()));
    }
    say(json, &format!("\n{system}: of {} halves with the same services {alarmed} are rolled back", alarms.len()));
    say(json, "a call that takes 25 ms longer                            runs  timed  rolled back  named  its caller");
    for (call, seen) in rows {
        let count = |what: fn(&Named) -> bool| seen.iter().filter(|named| what(named)).count();
        let (timed, rolled_back, named) = (count(|it| it.timed), count(|it| it.rolled_back), count(|it| it.named));
        let by_caller = count(|it| it.named_by_caller);
        say(json, &format!("{call:<55} {:>6} {timed:>6} {rolled_back:>12} {named:>6} {by_caller:>11}", seen.len()));
        if json {
            println!(
                "{}",
                json!({
                    "part": "services", "system": system, "call": call, "runs": seen.len(), "timed": timed,
                    "rolledBack": rolled_back, "named": named, "namedByCaller": by_caller,
                })
            );
        }
        if ((named + by_caller) as f64) < NAMED_FIRST * rolled_back as f64 {
            broken
                .push(format!("{system}: {call}: named in {named}, or by its caller in {by_caller}, of {rolled_back}"));
        }
    }
    broken
}

pub(super) fn faults(rows: &[Row], json: bool) -> Vec<String> {
    let mut broken = Vec::new();
    say(
        json,
        "\nfault                             rate  runs  injected   recall  precision  rolled back  named 1st  in 3",
    );
    for row in rows {
        let figures = Figures::of(&row.seen);
        let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0));
        say(
            json,
            &format!(
                "{:<32} {:>5}% {:>5} {:>9} {:>8} {:>10} {:>12} {:>10} {:>5}",
                row.fault.words(),
                row.rate * 100.0,
                row.seen.len(),
                figures.injected,
                share(figures.recall),
                share(figures.precision),
                share(figures.rolled_back),
                share(figures.named),
                share(figures.among_three),
            ),
        );
        if json {
            println!(
                "{}",
                json!({
                    "part": "faults", "system": row.system, "fault": row.fault.words(), "rate": row.rate,
                    "runs": row.seen.len(), "injected": figures.injected, "recall": figures.recall,
                    "precision": figures.precision, "rolledBack": figures.rolled_back, "namedFirst": figures.named,
                    "namedAmongThree": figures.among_three,
                })
            );
        }
        let name = || format!("{}: {} at {}%", row.system, row.fault.words(), row.rate * 100.0);
        if figures.recall.is_some_and(|recall| recall < 1.0) {
            broken.push(format!("{}: recall {:?}", name(), figures.recall));
        }
        if figures.precision.is_some_and(|precision| precision < 1.0) {
            let others: BTreeSet<Check> = row.seen.iter().flat_map(|seen| seen.others.iter().copied()).collect();
            broken.push(format!("{}: also found {others:?}", name()));
        }
    }
    for rate in RATES {
        let seen: Vec<Seen> = rows.iter().filter(|row| row.rate == rate).flat_map(|row| row.seen.clone()).collect();
        let figures = Figures::of(&seen);
        if let Some(named) = figures.named {
            let rolled_back = seen.iter().filter(|seen| seen.rolled_back).count();
            say(
                json,
                &format!(
                    "at {}%: of {rolled_back} rollbacks {:.1}% name the cause first, {:.1}% have it among their first three",
                    rate * 100.0,
                    named * 100.0,
                    figures.among_three.unwrap_or_default() * 100.0
                ),
            );
            if named < NAMED_FIRST {
                broken.push(format!("at {}% the cause is named first in {:.1}%", rate * 100.0, named * 100.0));
            }
        }
    }
    broken
}

struct Figures {
    injected: u64,
    recall: Option<f64>,
    precision: Option<f64>,
    rolled_back: Option<f64>,
    named: Option<f64>,
    among_three: Option<f64>,
}

impl Figures {
    fn of(seen: &[Seen]) -> Figures {
        let injected: u64 = seen.iter().map(|seen| seen.injected).sum();
        let found: u64 = seen.iter().map(|seen| seen.found.min(seen.injected)).sum();
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        let count = |what: fn(&Seen) -> bool| seen.iter().filter(|seen| what(seen)).count();
        let rolled_back = count(|seen| seen.rolled_back);
        Figures {
            injected,
            recall: (injected > 0).then(|| found as f64 / injected as f64),
            precision: share(count(|seen| seen.others.is_empty()), seen.len()),
            rolled_back: share(rolled_back, seen.len()),
            named: share(count(|seen| seen.named), rolled_back),
            among_three: share(count(|seen| seen.among_three), rolled_back),
        }
    }
}

pub(super) fn speed(rows: &[Speed], json: bool) {
    let by_id = rows.last().map_or(1.0, |row| row.spans_per_s);
    say(json, "\njoining, on one core              spans/s   beside by id   bytes/span     in flight");
    for row in rows {
        say(
            json,
            &format!(
                "{:<33} {:>7.0}k {:>13.2}x {:>11.0} {:>13}",
                row.name,
                row.spans_per_s / 1_000.0,
                row.spans_per_s / by_id,
                row.bytes_per_span,
                row.in_flight
            ),
        );
        if json {
            println!(
                "{}",
                json!({
                    "part": "speed", "way": row.name, "spansPerS": row.spans_per_s, "besideById": row.spans_per_s / by_id,
                    "bytesPerSpan": row.bytes_per_span, "inFlight": row.in_flight,
                })
            );
        }
    }
}
