//! The figures as text, as JSON, and as curves.

use super::polling::{POLL_MS, Polled};
use super::summary::{Reached, Summary, Whole, quantile};
use crate::cli::Axis;
use crate::describe::thousands;
use crate::plot::{self, Curve, Panel, Plot};
use judge::simulate::upper_bound;
use model::ShortDuration;
use serde_json::json;
use std::fmt::Write as _;

/// How sure the bound of a chance is.
const CONFIDENCE: f64 = 0.99;

pub(super) fn json(whole: &Whole, effects: &[Summary], polled: Option<&Polled>) -> serde_json::Result<String> {
    serde_json::to_string(&json!({ "simulated": whole, "effects": effects, "polled": polled }))
}

pub(super) fn text(whole: &Whole, effects: &[Summary], polled: Option<&Polled>, axis: Axis) -> String {
    let mut text = format!("{}\n{}\n\n", title(whole), subtitle(whole));
    let rows: Vec<[String; 9]> = effects.iter().map(|effect| row(whole, effect, axis)).collect();
    let (unit, passed) = (unit(axis), passed_words(whole));
    let head = ["", "rolled", "half by", "95% by", passed, "half by", "95% by", "incon-", "not"].map(str::to_owned);
    let second = ["effect", "back", unit, unit, "", unit, unit, "clusive", "over"].map(str::to_owned);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().chain([&head, &second]).map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in [&head, &second].into_iter().chain(&rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    text.push('\n');
    for line in notes(whole, effects, polled) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = write!(text, "\n{}", plot(whole, effects, polled, axis).letters());
    text
}

fn title(whole: &Whole) -> String {
    let how = match whole.weight {
        Some(weight) => format!("the judge at {weight} from beginning to end"),
        None => "the plan's own steps".to_owned(),
    };
    format!("{} on simulated traffic: {how}", whole.plan)
}

fn subtitle(whole: &Whole) -> String {
    use plot::percent;
    let loss = if whole.loss > 0.0 { format!(", loss in {}", percent(whole.loss)) } else { String::new() };
    format!(
        "{} traces/s, errors in {}{loss} where nothing is wrong; {} runs of each effect, seed {}",
        plot::number(whole.traces_per_s),
        percent(whole.errors),
        thousands(whole.runs),
        whole.seed
    )
}

fn unit(axis: Axis) -> &'static str {
    match axis {
        Axis::Time => "time",
        Axis::Traces => "traces",
    }
}

/// What passing means: a promotion at the end of the steps, a proof where there are none.
fn passed_words(whole: &Whole) -> &'static str {
    if whole.weight.is_some() { "proved" } else { "promoted" }
}

fn passed<'s>(whole: &Whole, effect: &'s Summary) -> &'s Reached {
    if whole.weight.is_some() { &effect.proved } else { &effect.promoted }
}

fn row(whole: &Whole, effect: &Summary, axis: Axis) -> [String; 9] {
    let by = |reached: &Reached, share: f64| match (quantile(reached.along(axis), effect.runs, share), axis) {
        (None, _) => "-".to_owned(),
        (Some(ms), Axis::Time) => ShortDuration(ms / 1_000 * 1_000).to_string(),
        (Some(traces), Axis::Traces) => thousands(traces),
    };
    let share = |count: u64| plot::percent(effect.share(count));
    let (alarmed, passed) = (&effect.alarmed, passed(whole, effect));
    [
        effect.effect.clone(),
        share(alarmed.count()),
        by(alarmed, 0.5),
        by(alarmed, 0.95),
        share(passed.count()),
        by(passed, 0.5),
        by(passed, 0.95),
        share(effect.inconclusive),
        share(effect.cut_off),
    ]
}

fn notes(whole: &Whole, effects: &[Summary], polled: Option<&Polled>) -> Vec<String> {
    let mut notes = Vec::new();
    for effect in effects {
        if effect.effect == "none" {
            let (alarms, runs) = (effect.alarmed.count(), effect.runs);
            notes.push(format!(
                "false alarms: {alarms} of {} runs, so at most {} of rollouts (99% sure); the plan allows {}",
                thousands(runs),
                plot::percent(upper_bound(alarms, runs, CONFIDENCE)),
                plot::percent(whole.false_alarm)
            ));
        } else if !effect.guards.is_empty() {
            let named: Vec<String> = effect.guards.iter().map(|(guard, runs)| format!("{guard} {runs}")).collect();
            notes.push(format!("{}: rolled back by {}", effect.effect, named.join(", ")));
        }
    }
    if let Some(polled) = polled {
        notes.push(format!(
            "a z-test at {} that is looked at each {} rolls back {} of those with which nothing is wrong",
            plot::percent(whole.false_alarm),
            ShortDuration(POLL_MS),
            plot::percent(polled.alarmed_ms.len() as f64 / polled.runs as f64)
        ));
    }
    notes
}

/// Rolled back above, promoted (or proved) below.
pub(super) fn plot(whole: &Whole, effects: &[Summary], polled: Option<&Polled>, axis: Axis) -> Plot {
    let ends = effects.iter().map(|effect| match axis {
        Axis::Time => effect.latest.at_ms,
        Axis::Traces => effect.latest.traces,
    });
    let longest = ends.max().unwrap_or(0).max(1) as f64;
    let (per_unit, label) = match axis {
        Axis::Time if longest > 5.0 * 3.6e6 => (3.6e6, "hours since the rollout began"),
        Axis::Time if longest > 3e5 => (6e4, "minutes since the rollout began"),
        Axis::Time => (1e3, "seconds since the rollout began"),
        Axis::Traces if longest > 5e6 => (1e6, "million traces that the judge has seen"),
        Axis::Traces if longest > 5e3 => (1e3, "thousand traces that the judge has seen"),
        Axis::Traces => (1.0, "traces that the judge has seen"),
    };
    let curve = |label: &str, steps: &[u64], runs: u64| Curve {
        label: label.to_owned(),
        steps: steps.iter().map(|step| *step as f64 / per_unit).collect(),
        runs,
    };
    let mut alarms: Vec<Curve> =
        effects.iter().map(|it| curve(&label_of(&it.effect), it.alarmed.along(axis), it.runs)).collect();
    let mut panels = Vec::new();
    if let Some(polled) = polled.filter(|_| axis == Axis::Time) {
        alarms.push(curve("none, and a z-test that is looked at each minute", &polled.alarmed_ms, polled.runs));
    }
    let axis_end = longest / per_unit;
    let top = top_of(&alarms, axis_end);
    let title = "share of runs that were rolled back".to_owned();
    panels.push(Panel { title, top, promised: Some(whole.false_alarm), curves: alarms });
    if polled.is_none() {
        let passes = effects.iter().map(|it| curve(&label_of(&it.effect), passed(whole, it).along(axis), it.runs));
        let curves: Vec<Curve> = passes.collect();
        let title = format!("share of runs that were {}", passed_words(whole));
        panels.push(Panel { title, top: 1.0, promised: None, curves });
    }
    let axis = plot::Axis { label: label.to_owned(), end: axis_end };
    Plot { title: self::title(whole), subtitle: subtitle(whole), axis, panels }
}

fn label_of(effect: &str) -> String {
    if effect == "none" { "none: green is as good as blue".to_owned() } else { effect.to_owned() }
}

/// The whole way to 100 %, unless nothing gets near it.
fn top_of(curves: &[Curve], end: f64) -> f64 {
    let highest = curves.iter().map(|curve| curve.share_at(end)).fold(0.0, f64::max);
    [0.05, 0.1, 0.2, 0.5].into_iter().find(|top| highest <= *top).unwrap_or(1.0)
}
