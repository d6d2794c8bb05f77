//! The live view, drawn from a report alone.

use crate::describe::{printable, thousands};
use judge::GuardEvidence;
use model::{BasisPoints, ShortDuration, UnixMillis};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};
use rollout::{Progress, Report};

/// Cells of a bar of evidence.
const BAR: usize = 12;
/// Below this many columns the steps stand above the evidence instead of beside it.
const NARROW: u16 = 100;

/// What is shown beside the report.
#[derive(Default)]
pub struct Screen {
    /// What happened, the newest last.
    pub log: Vec<String>,
    /// A line of the surroundings' own.
    pub note: String,
    /// The time.
    pub now: UnixMillis,
}

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, report: &Report, screen: &Screen) {
    let area = frame.area();
    let steps = u16::try_from(report.steps.len()).unwrap_or(u16::MAX).min(14) + 2;
    let guards = report.assessment.as_ref().map_or(1, |a| a.guards.len() * 2 + 1);
    let guards = guards
        + usize::from(report.noise.is_some())
        + usize::from(report.canaries.is_some())
        + usize::from(report.leaks.is_some());
    let guards = u16::try_from(guards).unwrap_or(12) + 2;
    let narrow = area.width < NARROW;
    let middle = if narrow { steps.saturating_add(guards) } else { steps.max(guards) };
    let rows = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(middle),
        Constraint::Length(4),
        Constraint::Min(3),
    ]);
    let [head, body, waits, log] = rows.areas(area);
    frame.render_widget(Paragraph::new(heading(report, screen)), head);
    let (left, right) = if narrow {
        let [above, below] = Layout::vertical([Constraint::Length(steps), Constraint::Min(3)]).areas(body);
        (above, below)
    } else {
        let [left, right] = Layout::horizontal([Constraint::Length(48), Constraint::Min(40)]).areas(body);
        (left, right)
    };
    frame.render_widget(Paragraph::new(step_lines(report, left)).block(Block::bordered().title(" steps ")), left);
    let evidence = Paragraph::new(evidence_lines(report));
    frame.render_widget(evidence.block(Block::bordered().title(" evidence ")), right);
    let waiting = Paragraph::new(waiting_lines(report)).wrap(Wrap { trim: true });
    frame.render_widget(waiting.block(Block::bordered().title(waits_title(report))), waits);
    let shown = usize::from(log.height.saturating_sub(2));
    let newest = screen.log.iter().skip(screen.log.len().saturating_sub(shown));
    let lines: Vec<Line<'_>> = newest.map(|line| Line::from(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" log ")), log);
}

fn colour(progress: Progress) -> Color {
    match progress {
        Progress::Progressing | Progress::Promoting => Color::Cyan,
        Progress::Paused | Progress::Held => Color::Yellow,
        Progress::RollingBack | Progress::RolledBack => Color::Red,
        Progress::Promoted => Color::Green,
    }
}

fn heading<'r>(report: &'r Report, screen: &'r Screen) -> Vec<Line<'r>> {
    let until = report.ended_at.unwrap_or(screen.now);
    let running = ShortDuration(until.since_ms(report.started_at));
    let title = Line::from(vec![
        Span::from(" verdigris ").bold().reversed(),
        Span::from(format!(" {}  ", report.rollout)).bold(),
        Span::styled(printable(&report.headline), Style::new().fg(colour(report.progress)).bold()),
        Span::from(format!("  {running}")).dim(),
    ]);
    let observed = report.green_serves.map_or("not yet".to_owned(), |share| share.to_string());
    let share = report.green_serves.unwrap_or(BasisPoints::ZERO).share();
    let weight = Line::from(vec![
        Span::from(" green serves "),
        Span::from(bar(share, 20)).fg(Color::Green),
        Span::from(format!(" {observed} observed, weight {} ordered", report.weight_ordered)),
        Span::from(if report.mirror { ", mirror on" } else { "" }),
        Span::from(format!("   generation {}   {} observations", report.generation, thousands(report.observations)))
            .dim(),
    ]);
    let last = match report.exceptions.first() {
        Some(exception) => Line::from(format!(" {}", printable(exception))).fg(Color::Red).bold(),
        None => Line::from(format!(" {}", screen.note)).dim(),
    };
    vec![title, weight, last]
}

fn step_lines(report: &Report, area: Rect) -> Vec<Line<'_>> {
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let current = report.steps.iter().position(|step| step.current || step.failed).unwrap_or(0);
    let first = (current + 2).saturating_sub(room).min(report.steps.len().saturating_sub(room));
    let line = |(index, step): (usize, &rollout::StepReport)| {
        let text = format!("{:>2} {}", index + 1, printable(&step.does));
        match (step.done, step.current) {
            _ if step.failed => Line::from(vec![Span::from(" ✘ ").fg(Color::Red), Span::from(text).bold()]),
            (true, _) => Line::from(vec![Span::from(" ✔ ").fg(Color::Green), Span::from(text).dim()]),
            (false, true) => Line::from(vec![Span::from(" ▶ ").fg(Color::Cyan), Span::from(text).bold()]),
            (false, false) => Line::from(vec![Span::from("   "), Span::from(text)]),
        }
    };
    report.steps.iter().enumerate().skip(first).take(room).map(line).collect()
}

fn evidence_lines(report: &Report) -> Vec<Line<'_>> {
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

fn bar(share: f64, cells: usize) -> String {
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

fn waits_title(report: &Report) -> String {
    match report.time_left_ms {
        _ if report.cause.is_some() => " because ".to_owned(),
        Some(left) => format!(" waits for (at most {}) ", ShortDuration(left)),
        None => " waits for ".to_owned(),
    }
}

fn waiting_lines(report: &Report) -> Vec<Line<'_>> {
    match &report.cause {
        Some(cause) => {
            let example = cause.example_trace.map(|trace| format!("for example trace {trace}"));
            let because = cause.reasons.first().map(|reason| printable(reason));
            because.into_iter().chain(example).map(Line::from).collect()
        }
        None => report.waits_for.iter().map(|what| Line::from(printable(what))).collect(),
    }
}

#[cfg(test)]
mod tests;
