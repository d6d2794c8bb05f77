//! The share of traces that green served over time, as the gateway applied it: a line that a person takes in at a look.

use super::Words;
use super::page::{Escaped, Page};
use model::Environment;
use rollout::{Body, Decision, Record, Shift};
use std::fmt::Write as _;

/// The drawing's own units.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 45.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 122.0;

pub(super) fn served(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    page.heading("Timeline");
    let (Some((_, first)), Some((_, last))) = (records.first(), records.last()) else { return };
    let decided = || {
        records.iter().filter_map(|(_, record)| match &record.body {
            Body::Decided(decision) => Some((record.at, &**decision)),
            _ => None,
        })
    };
    let span = last.at.0.saturating_sub(first.at.0).max(1) as f64;
    let x = |at: model::UnixMillis| LEFT + (WIDTH - LEFT - 8.0) * at.0.saturating_sub(first.at.0) as f64 / span;
    let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
    let mut line = format!("{LEFT:.1},{:.1}", y(0.0));
    let mut share = 0.0;
    for (at, decision) in decided() {
        if let Decision::ShiftObserved(shift) = decision {
            let next = green_serves(shift);
            let _ = write!(line, " {0:.1},{1:.1} {0:.1},{2:.1}", x(at), y(share), y(next));
            share = next;
        }
    }
    let end = x(last.at);
    let _ = write!(line, " {end:.1},{:.1}", y(share));
    let mark = decided().find_map(|(at, decision)| match decision {
        Decision::RollbackOrdered(cause) => Some((at, cause.guard.as_str())),
        _ => None,
    });
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"The share of traces that green served\">\n\
         <rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/>\n\
         <text x=\"0\" y=\"{}\">100 %</text><text x=\"0\" y=\"{BOTTOM}\">0 %</text>\n\
         <polygon class=\"area\" points=\"{line} {end:.1},{BOTTOM} {LEFT:.1},{BOTTOM}\"/><polyline class=\"line\" points=\"{line}\"/>\n",
        WIDTH - LEFT - 8.0,
        BOTTOM - TOP,
        TOP + 8.0
    );
    if let Some((at, guard)) = mark {
        let _ = writeln!(
            svg,
            "<line class=\"mark\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/><text x=\"{1:.1}\" y=\"12\" \
             text-anchor=\"end\">rollback: {2}</text>",
            x(at),
            x(at).max(LEFT + 160.0),
            Escaped(guard)
        );
    }
    let (from, until) = ((words.time)(first.at), (words.time)(last.at));
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"140\">{}</text><text x=\"{}\" y=\"140\" text-anchor=\"end\">{}</text>\n</svg>",
        Escaped(&from),
        WIDTH - 8.0,
        Escaped(&until)
    );
    page.remark("The share of traces that green served, as the gateway applied it.");
    page.drawing(&svg);
}

/// Of all traces, from 0 to 1.
fn green_serves(shift: &Shift) -> f64 {
    match shift.active {
        Environment::Green => 1.0,
        Environment::Blue => shift.weight.share(),
    }
}
