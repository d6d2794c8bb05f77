//! The live view, drawn from a report and what the view remembers, in any size: beside each other where there is room,
//! below each other in a narrow and high window, and one pane at a time in a small one.

use super::panes::{bar, current_step, lines, title};
use super::state::{Ends, Pane, Screen};
use super::wrap::wrap;
use crate::describe::{printable, thousands, time_of_day};
use model::{BasisPoints, ShortDuration};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};
use rollout::{Progress, Report};

/// Below this many columns the steps stand above the evidence instead of beside it.
const NARROW: u16 = 100;
/// Columns of the steps where they stand beside the evidence.
const STEPS_WIDE: u16 = 48;
/// Steps that are shown at once; more are scrolled.
const MAX_STEPS: usize = 14;
/// Rows of a border.
const BORDER: u16 = 2;
/// Below this many rows a pane is no use, with its border.
const LEAST: u16 = 3;
/// The heading's rows, where there is room.
const HEAD: u16 = 3;
/// Rows of what is waited for, with the border.
const WAITS: u16 = 4;
/// A wide window of so many rows shows all panes, some of them in part: a terminal has 24 unless somebody makes it larger.
const LOW: u16 = 24;
/// Rows that another pane needs below the one in focus, where that one leaves them: its border, and some lines.
const BELOW: u16 = 5;
/// How long what the view said last stands where the keys are.
const SAID_MS: u64 = 8_000;

/// Draws all of it. Gives how far each pane can be scrolled; a pane that is not drawn keeps 0.
pub fn draw(frame: &mut Frame<'_>, report: &Report, screen: &Screen) -> Ends {
    let area = frame.area();
    let mut ends = Ends::default();
    let places = places(area, report, screen);
    frame.render_widget(Paragraph::new(heading(report, screen, &places)), places.head);
    if places.tabs.height > 0 {
        frame.render_widget(Paragraph::new(tabs(screen, area.width)), places.tabs);
    }
    for (pane, place) in places.panes {
        ends[pane as usize] = draw_pane(frame, (pane, place), report, screen);
    }
    frame.render_widget(Paragraph::new(footer(screen, area.width)), places.foot);
    match screen.asking {
        Some(ask) => {
            let mut text: Vec<Line<'_>> = ask.will(report).into_iter().map(|it| Line::from(printable(&it))).collect();
            text.push(Line::from(vec![
                Span::from(format!("y: {}", ask.verb())).bold(),
                Span::from("   Esc: leave it as it is"),
            ]));
            dialog(frame, &format!(" {}? ", ask.verb()), text, Color::Yellow);
        }
        None if screen.help => dialog(frame, " keys ", help(screen), Color::Cyan),
        None => {}
    }
    ends
}

/// Where everything stands.
struct Places {
    head: Rect,
    tabs: Rect,
    panes: Vec<(Pane, Rect)>,
    foot: Rect,
}

fn places(area: Rect, report: &Report, screen: &Screen) -> Places {
    let rows = |pane: Pane| u16::try_from(lines(pane, report, screen).len()).unwrap_or(u16::MAX);
    let steps = rows(Pane::Steps).min(MAX_STEPS as u16) + BORDER;
    let evidence = rows(Pane::Evidence).saturating_add(BORDER);
    let findings = rows(Pane::Findings).clamp(1, 3) + BORDER;
    let weights = 4;
    let narrow = area.width < NARROW;
    let middle = if narrow {
        steps.saturating_add(weights).saturating_add(evidence).saturating_add(findings)
    } else {
        (steps + weights).max(evidence.saturating_add(findings))
    };
    let around = HEAD + WAITS + LEAST + 1;
    // Side by side each pane shows at least its beginning, and the one in focus can be scrolled.
    let middle = if !narrow && area.height >= LOW { middle.min(area.height - around) } else { middle };
    if area.height < middle.saturating_add(around) {
        // One pane at a time: it has all the room that there is.
        let head = if area.height >= 12 { HEAD } else { u16::from(area.height > 4) };
        let tabs = u16::from(area.height > 5);
        let rows = [Constraint::Length(head), Constraint::Length(tabs), Constraint::Min(0), Constraint::Length(1)];
        let [head, tabs, pane, foot] = Layout::vertical(rows).areas(area);
        return Places { head, tabs, panes: one_above_another(pane, report, screen), foot };
    }
    let rows = [
        Constraint::Length(HEAD),
        Constraint::Length(middle),
        Constraint::Length(WAITS),
        Constraint::Min(LEAST),
        Constraint::Length(1),
    ];
    let [head, body, waits, log, foot] = Layout::vertical(rows).areas(area);
    let mut panes = vec![(Pane::Waits, waits), (Pane::Log, log)];
    if narrow {
        let rows = [steps, weights, evidence, findings].map(Constraint::Length);
        let stacked: [Rect; 4] = Layout::vertical(rows).areas(body);
        panes.extend([Pane::Steps, Pane::Weights, Pane::Evidence, Pane::Findings].into_iter().zip(stacked));
    } else {
        let columns = [Constraint::Length(STEPS_WIDE), Constraint::Min(40)];
        let [left, right] = Layout::horizontal(columns).areas(body);
        let [above, below] = Layout::vertical([Constraint::Length(steps), Constraint::Min(LEAST)]).areas(left);
        panes.extend([(Pane::Steps, above), (Pane::Weights, below)]);
        let [above, below] = Layout::vertical([Constraint::Length(evidence), Constraint::Min(LEAST)]).areas(right);
        panes.extend([(Pane::Evidence, above), (Pane::Findings, below)]);
    }
    Places { head, tabs: Rect::ZERO, panes, foot }
}

/// The pane in focus; below it what happened, if there is room that it does not need.
fn one_above_another(area: Rect, report: &Report, screen: &Screen) -> Vec<(Pane, Rect)> {
    let wrapped = wrap(lines(screen.focus, report, screen), area.width.saturating_sub(BORDER)).len();
    let needed = u16::try_from(wrapped).unwrap_or(u16::MAX).saturating_add(BORDER).max(LEAST);
    let below = if screen.focus == Pane::Log { Pane::Waits } else { Pane::Log };
    if area.height.saturating_sub(needed) < BELOW {
        return vec![(screen.focus, area)];
    }
    let [above, rest] = Layout::vertical([Constraint::Length(needed), Constraint::Min(BELOW)]).areas(area);
    vec![(screen.focus, above), (below, rest)]
}

/// Gives the last line that can be the first one.
fn draw_pane(frame: &mut Frame<'_>, (pane, place): (Pane, Rect), report: &Report, screen: &Screen) -> usize {
    let focused = screen.focus == pane;
    let room = usize::from(place.height.saturating_sub(BORDER));
    let mut lines = lines(pane, report, screen);
    let mut current = current_step(report);
    // The head of a line of evidence says enough where all is seen at once; in a small window nothing may be out of reach.
    if focused || matches!(pane, Pane::Waits) {
        let width = place.width.saturating_sub(BORDER);
        current = wrap(lines.iter().take(current).cloned().collect(), width).len();
        lines = wrap(lines, width);
    }
    let end = lines.len().saturating_sub(room.max(1));
    let follows = match pane {
        Pane::Log => end,
        Pane::Steps => (current + 2).saturating_sub(room),
        Pane::Weights | Pane::Evidence | Pane::Findings | Pane::Waits => 0,
    };
    let first = screen.scrolled(pane).unwrap_or(follows).min(end);
    let below = lines.len().saturating_sub(first + room);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(first).take(room).collect();
    let mut block = Block::bordered().title(title(pane, report));
    if focused {
        block = block.border_type(BorderType::Thick);
    }
    if below > 0 || first > 0 {
        let above = if first > 0 { format!("▲{first} ") } else { String::new() };
        let below = if below > 0 { format!("▼{below} ") } else { String::new() };
        block = block.title_bottom(Line::from(format!(" {above}{below}")).right_aligned());
    }
    frame.render_widget(Paragraph::new(shown).block(block), place);
    end
}

fn colour(progress: Progress) -> Color {
    match progress {
        Progress::Progressing | Progress::Promoting => Color::Cyan,
        Progress::Paused | Progress::Held => Color::Yellow,
        Progress::RollingBack | Progress::RolledBack => Color::Red,
        Progress::Promoted => Color::Green,
    }
}

fn heading<'r>(report: &'r Report, screen: &'r Screen, places: &Places) -> Vec<Line<'r>> {
    let area = places.head;
    let until = report.ended_at.unwrap_or(screen.now);
    let running = ShortDuration(until.since_ms(report.started_at));
    let state = Style::new().fg(colour(report.progress)).bold();
    let observed = report.green_serves.map_or("not yet".to_owned(), |share| share.to_string());
    let share = report.green_serves.unwrap_or(BasisPoints::ZERO).share();
    let last = match (screen.silent_since, report.exceptions.first()) {
        (Some(since), _) => {
            let since = time_of_day(since);
            Line::from(format!(" no answer since {since}; what is shown is from then")).fg(Color::Red).bold()
        }
        (None, Some(exception)) => Line::from(format!(" {}", printable(exception))).fg(Color::Red).bold(),
        // Where one pane is seen at a time, what a person must do stands above it.
        (None, None) if screen.note.is_empty() && places.tabs.height > 0 => waits(report),
        (None, None) => Line::from(format!(" {}", screen.note)).dim(),
    };
    if area.width < 64 || area.height < HEAD {
        // What it does, where the traffic is, and what everybody must see.
        let said = screen.silent_since.is_some() || !report.exceptions.is_empty();
        let name = Line::from(vec![
            Span::styled(printable(&report.headline), state),
            Span::from(format!("  {}", report.rollout)).dim(),
        ]);
        let weight = Line::from(format!(" green {observed} of {}  {running}", report.weight_ordered));
        return if said && area.height < HEAD { vec![last, name, weight] } else { vec![name, weight, last] };
    }
    let title = Line::from(vec![
        Span::from(" verdigris ").bold().reversed(),
        Span::from(format!(" {}  ", report.rollout)).bold(),
        Span::styled(printable(&report.headline), state),
        Span::from(format!("  {running}")).dim(),
    ]);
    let mut weight = Line::from(vec![
        Span::from(" green serves "),
        Span::from(bar(share, 20)).fg(Color::Green),
        Span::from(format!(" {observed} observed, weight {} ordered", report.weight_ordered)),
        Span::from(if report.mirror { ", mirror on" } else { "" }),
    ]);
    // Half a word is worse than none.
    for more in
        [format!("   generation {}", report.generation), format!("   {} observations", thousands(report.observations))]
    {
        let more = Span::from(more).dim();
        if weight.width() + more.width() <= usize::from(area.width) {
            weight.push_span(more);
        }
    }
    vec![title, weight, last]
}

/// The first of what it waits for, or of why it went back.
fn waits(report: &Report) -> Line<'_> {
    match (&report.cause, report.waits_for.first()) {
        (Some(cause), _) => {
            let first = cause.reasons.first().map(|reason| format!(" because: {}", printable(reason)));
            Line::from(first.unwrap_or_default()).fg(Color::Red)
        }
        (None, Some(what)) => {
            let line = Line::from(format!(" waits for: {}", printable(what)));
            if report.needs_person { line.fg(Color::Yellow) } else { line.dim() }
        }
        (None, None) => Line::default(),
    }
}

fn tabs(screen: &Screen, width: u16) -> Line<'_> {
    let one = |pane: &Pane| {
        let name = Span::from(format!(" {} ", pane.name()));
        if *pane == screen.focus { name.reversed() } else { name.dim() }
    };
    // From the one in focus on where not all fit, so that a narrow window shows it whatever it is.
    let all: usize = Pane::ALL.iter().map(|pane| pane.name().len() + 2).sum();
    let from = if all <= usize::from(width) { 0 } else { screen.focus as usize };
    Pane::ALL[from..].iter().chain(&Pane::ALL[..from]).map(one).collect()
}

/// The keys; for a moment what came of one.
fn footer(screen: &Screen, width: u16) -> Line<'_> {
    if let Some((_, said)) = screen.said.as_ref().filter(|(at, _)| screen.now.since_ms(*at) < SAID_MS) {
        return Line::from(format!(" {said}")).fg(Color::Yellow).bold();
    }
    let keys = match screen.controls {
        true if width < 64 => " ? help  q quit  Tab pane  p r b",
        true => " ? help  q quit  Tab pane  p pause  r resume  b roll back",
        false => " ? help  q quit  Tab pane",
    };
    Line::from(keys).dim()
}

fn help(screen: &Screen) -> Vec<Line<'_>> {
    let mut keys = vec![
        ("Tab, ← →", "the next pane, the one before"),
        ("↑ ↓, PgUp PgDn", "scroll it"),
        ("Home, End", "its beginning, its end"),
        ("Esc", "follow what happens again"),
    ];
    if screen.controls {
        keys.extend([
            ("p", "pause: stop advancing, guards go on"),
            ("r", "resume after a pause or a hold"),
            ("b", "roll back, at once"),
            ("", "each asks before it does anything"),
        ]);
    }
    keys.push(("q, Ctrl-C", "stop looking; the rollout goes on"));
    keys.into_iter()
        .map(|(key, does)| Line::from(vec![Span::from(format!("{key:<15}")).bold(), Span::from(does)]))
        .collect()
}

/// In the middle, over everything else.
fn dialog(frame: &mut Frame<'_>, title: &str, text: Vec<Line<'_>>, colour: Color) {
    let area = frame.area();
    let width = area.width.min(64);
    let text = wrap(text, width.saturating_sub(BORDER));
    let rows = u16::try_from(text.len()).unwrap_or(u16::MAX).saturating_add(BORDER).min(area.height);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - rows) / 2, width, height: rows };
    // In a window that is too low, what confirms must be seen: the last line.
    let surplus = text.len().saturating_sub(usize::from(rows.saturating_sub(BORDER)));
    let text: Vec<Line<'_>> = text.into_iter().skip(surplus).collect();
    frame.render_widget(Clear, place);
    let block = Block::bordered().border_type(BorderType::Thick).border_style(colour).title(title.to_owned());
    frame.render_widget(Paragraph::new(text).block(block), place);
}

#[cfg(test)]
mod tests;
