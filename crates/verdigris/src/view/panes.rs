//! What stands in each pane, as lines; made of a report and of what the view remembers.

use super::state::{Pane, Screen, Weight};
use crate::commands::rollout::found_words;
use crate::describe::{printable, time_of_day};
use judge::GuardEvidence;
use model::{BasisPoints, ShortDuration};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use rollout::Report;

/// Cells of a bar of evidence.
const BAR: usize = 12;
/// Cells of a bar of weight.
const WEIGHT_BAR: usize = 20;

/// The lines of a pane.
pub fn lines<'r>(pane: Pane, report: &'r Report, screen: &'r Screen) -> Vec<Line<'r>> {
    match pane {
        Pane::Steps => steps(report),
        Pane::Weights => screen.weights.iter().rev().map(weight).collect(),
        Pane::Evidence => evidence(report),
        Pane::Findings => findings(report),
        Pane::Waits => waits(report),
        Pane::Log => screen.log.iter().map(|line| Line::from(line.as_str())).collect(),
    }
}

/// The title of a pane.
pub fn title(pane: Pane, report: &Report) -> String {
    match pane {
        Pane::Waits if report.cause.is_some() => " because ".to_owned(),
        Pane::Waits => match report.time_left_ms {
            Some(left) => format!(" waits for (at most {}) ", ShortDuration(left)),
            None => " waits for ".to_owned(),
        },
        Pane::Steps | Pane::Weights | Pane::Evidence | Pane::Findings | Pane::Log => format!(" {} ", pane.name()),
    }
}

/// The line of the steps that must be seen: the present one, or the one at which it went back.
pub fn current_step(report: &Report) -> usize {
    report.steps.iter().position(|step| step.current || step.failed).unwrap_or(0)
}

fn steps(report: &Report) -> Vec<Line<'_>> {
    let line = |(index, step): (usize, &rollout::StepReport)| {
        let text = format!("{:>2} {}", index + 1, printable(&step.does));
        match (step.done, step.current) {
            _ if step.failed => Line::from(vec![Span::from(" ✘ ").fg(Color::Red), Span::from(text).bold()]),
            (true, _) => Line::from(vec![Span::from(" ✔ ").fg(Color::Green), Span::from(text).dim()]),
            (false, true) => Line::from(vec![Span::from(" ▶ ").fg(Color::Cyan), Span::from(text).bold()]),
            (false, false) => Line::from(vec![Span::from("   "), Span::from(text)]),
        }
    };
    report.steps.iter().enumerate().map(line).collect()
}

/// Since when, how much, and what was ordered where that is something else.
fn weight(weight: &Weight) -> Line<'_> {
    let share = weight.observed.unwrap_or(BasisPoints::ZERO).share();
    let observed = weight.observed.map_or("not yet".to_owned(), |share| share.to_string());
    let mut spans = vec![
        Span::from(format!(" {} ", time_of_day(weight.at))).dim(),
        Span::from(bar(share, WEIGHT_BAR / 2)).fg(Color::Green),
        Span::from(format!(" {observed}")),
    ];
    if weight.observed != Some(weight.ordered) {
        spans.push(Span::from(format!(", {} ordered", weight.ordered)).fg(Color::Yellow));
    }
    spans.push(Span::from(format!("  generation {}", weight.generation)).dim());
    Line::from(spans)
}

fn evidence(report: &Report) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    match &report.assessment {
        Some(assessment) => {
            lines.push(Line::from(format!(" {:<11}{:<26}{}", "guard", "against green", "for green")).dim());
            for guard in &assessment.guards {
                lines.push(guard_line(guard));
                lines.push(Line::from(format!("   {}", printable(&guard.words))).dim());
            }
        }
        None if report.observations == 0 => lines.push(Line::from(" no batch of traces is closed yet").dim()),
        None => lines.push(Line::from(" nothing is concluded about green").dim()),
    }
    if let Some(noise) = &report.noise {
        let line = Line::from(format!(" {}", printable(&noise.words)));
        lines.push(if noise.alarmed { line.fg(Color::Red).bold() } else { line.dim() });
    }
    if let Some(leaks) = &report.leaks {
        lines.push(Line::from(format!(" leaks: {}", leaks.counts())).dim());
    }
    if let Some(canaries) = &report.canaries {
        let leaks = canaries.in_clear.iter().filter(|secret| canaries.is_leak(secret)).count();
        lines.push(match leaks {
            0 => Line::from(format!(" canaries: {}", canaries.counts())).dim(),
            _ => Line::from(format!(" canaries: {leaks} secret(s) that blue masks come out of green in clear"))
                .fg(Color::Red)
                .bold(),
        });
    }
    lines
}

/// A bar is full where the evidence suffices. Evidence below 1 (a logarithm below 0) is an empty bar.
fn guard_line(guard: &GuardEvidence) -> Line<'_> {
    let against = (guard.log_against / guard.log_threshold_against).clamp(0.0, 1.0);
    let mut spans = vec![
        Span::from(format!(" {:<11}", guard.name())).bold(),
        Span::from(bar(against, BAR)).fg(if guard.alarmed { Color::Red } else { Color::Yellow }),
        Span::from(format!(" {:>5.1}/{:<4.1}  ", guard.log_against.max(-99.0), guard.log_threshold_against)),
    ];
    match guard.log_for {
        Some(log_for) => {
            let share = (log_for / guard.log_threshold_for).clamp(0.0, 1.0);
            spans.push(Span::from(bar(share, BAR)).fg(Color::Green));
            spans.push(Span::from(format!(" {:>5.1}/{:<4.1}", log_for.max(-99.0), guard.log_threshold_for)));
            if guard.proved {
                spans.push(Span::styled(" ✔", Style::new().fg(Color::Green).add_modifier(Modifier::BOLD)));
            }
        }
        None => spans.push(Span::from("watched").dim()),
    }
    Line::from(spans)
}

/// What green shows beyond blue first; what blue shows as well is dim, for it is nothing new.
fn findings(report: &Report) -> Vec<Line<'_>> {
    if report.findings.is_empty() {
        return vec![Line::from(" nothing differs so far").dim()];
    }
    let line = |found: &rollout::GroupReport| {
        let words = printable(&found_words(found));
        if found.group.beyond_blue() > 0 {
            Line::from(format!(" ! {words}"))
        } else {
            Line::from(format!("   {words}")).dim()
        }
    };
    report.findings.iter().map(line).collect()
}

fn waits(report: &Report) -> Vec<Line<'_>> {
    match &report.cause {
        Some(cause) => {
            let example = cause.example_trace.map(|trace| format!("for example trace {trace}"));
            cause.reasons.iter().map(|reason| printable(reason)).chain(example).map(Line::from).collect()
        }
        None => report.waits_for.iter().map(|what| Line::from(printable(what))).collect(),
    }
}

/// A share of 0 to 1 as that many cells, in eighths.
pub fn bar(share: f64, cells: usize) -> String {
    let eighths = (share * cells as f64 * 8.0).round() as usize;
    let (full, rest) = (eighths / 8, eighths % 8);
    let partial = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let mut text = "█".repeat(full.min(cells));
    if rest > 0 && full < cells {
        text.push(partial[rest - 1]);
    }
    let used = text.chars().count();
    text.extend(std::iter::repeat_n('·', cells.saturating_sub(used)));
    text
}
