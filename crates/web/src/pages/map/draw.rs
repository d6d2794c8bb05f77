//! The service map as a drawing, and the same as a table. Pure.

use super::Source;
use super::graph::{Call, Graph, MAX_DRAWN, MIN_EXPECTED, Mark};
use crate::pages::when;
use maud::{Markup, html};
use model::Environment;
use std::collections::BTreeMap;

const BOX_WIDTH: usize = 170;
const BOX_HEIGHT: usize = 34;
const COLUMN: usize = 250;
const ROW: usize = 58;
const MARGIN: usize = 16;
/// Between columns, and half of what is between rows.
const GAP: usize = COLUMN - BOX_WIDTH;
const LANE: usize = (ROW - BOX_HEIGHT) / 2;
/// Characters of a service's name in its box, and in the table.
const MAX_IN_BOX: usize = 18;
const MAX_IN_TABLE: usize = 120;

pub(super) fn page(graph: &Graph, source: Source) -> Markup {
    let marks: Vec<Mark> = graph.calls.values().map(|call| call.mark(&graph.checked)).collect();
    let count = |wanted: fn(&&Mark) -> bool| marks.iter().filter(wanted).count();
    let (differ, too_few) = (count(|mark| mark.differs()), count(|mark| matches!(mark, Mark::TooFew(_))));
    html! {
        link rel="stylesheet" href=(crate::assets::address("traces.css"));
        (from_where(graph, source))
        @if graph.calls.is_empty() { p { "No call between services is known so far." } } @else {
            p {
                (graph.calls.len()) " calls between services, in " (graph.checked.blue) " traces of blue and " (graph.checked.green) " of green. "
                @match differ { 0 => "Nothing is missing or new.", 1 => strong { "1 call is missing or new." }, _ => strong { (differ) " calls are missing or new." } }
                @if too_few > 0 { " Of " (too_few) " it is too early to say." }
                @if graph.left_out > 0 { " There was no room for " (graph.left_out) " further calls." }
            }
            p.faint {
                "A call that came out of one environment alone is called missing or new once the other one had so many traces that "
                (MIN_EXPECTED) " of them would have it, if it were as frequent there. In the drawing: missing in green is dashed, new in green is bold, "
                "too early to say is dotted."
            }
            div.scrolls tabindex="0" role="region" aria-label="Drawing of the calls; the table below says the same" { (drawing(graph)) }
            (table(graph))
        }
    }
}

fn from_where(graph: &Graph, source: Source) -> Markup {
    html! { @match source {
        Source::Joined { since, until } => p {
            "What verification joined from " (when::time(since)) " to " (when::time(until)) ", in memory: after a restart it begins anew."
        },
        Source::Ledger { most } => p.note {
            "From " (graph.observations()) " observations in the ledger (" (most) " at most), for verification has no counts of this rollout in memory: nothing was verified so far, another rollout came after it, "
            "or the server was started again. Observations have a call where the plan guards what services take (" code { "serviceLatency" } "), and where it never came out."
        },
    } }
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Both => "both",
        Mark::Missing | Mark::NeverOut => "only-blue",
        Mark::New => "only-green",
        Mark::TooFew(_) => "too-few",
    }
}

/// The mark in words, and what of it was sent and did not come out.
fn words(call: &Call, mark: Mark) -> String {
    let says = match mark {
        Mark::Both => String::new(),
        Mark::Missing if call.sent.green > 0 => "✕ missing: never came out of green".to_owned(),
        Mark::Missing => "✕ missing: not in green's traces".to_owned(),
        Mark::New if call.sent.blue > 0 => "+ new: never came out of blue".to_owned(),
        Mark::New => "+ new: not in blue's traces".to_owned(),
        Mark::NeverOut => "✕ never came out".to_owned(),
        Mark::TooFew(of) => format!("? not out of {of} so far; too few traces to say"),
    };
    let lost = |of: Environment| {
        let is_part = call.unseen[of] > 0 && call.out(of) > 0;
        is_part.then(|| format!("{} of {} traces without it out of {of}", call.unseen[of], call.sent[of]))
    };
    let lost = Environment::BOTH.into_iter().filter_map(lost);
    std::iter::once(says).filter(|says| !says.is_empty()).chain(lost).collect::<Vec<_>>().join("; ")
}

fn drawing(graph: &Graph) -> Markup {
    let layers = graph.layers();
    let rows = layers.iter().map(Vec::len).max().unwrap_or_default();
    let (width, height) = (layers.len() * COLUMN - (COLUMN - BOX_WIDTH) + 2 * MARGIN, rows * ROW + 2 * MARGIN);
    let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (column, layer) in layers.iter().enumerate() {
        for (row, name) in layer.iter().enumerate() {
            places.insert(name, (MARGIN + column * COLUMN, MARGIN + row * ROW));
        }
    }
    html! {
        svg.map viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-label="Service map" {
            // What is marked lies on top.
            @for marked in [false, true] { @for ((from, to), call) in &graph.calls {
                @let mark = call.mark(&graph.checked);
                @if let (true, Some(a), Some(b)) = ((mark != Mark::Both) == marked, places.get(from.as_str()), places.get(to.as_str())) {
                    path class=(class(mark)) d=(curve(*a, *b)) {
                        title { (cut(from, MAX_IN_TABLE)) " calls " (cut(to, MAX_IN_TABLE)) " " (words(call, mark)) }
                    }
                }
            } }
            @for (name, (x, y)) in &places {
                rect x=(x) y=(y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="4" { title { (cut(name, MAX_IN_TABLE)) } }
                text x=(x + 10) y=(y + 22) { (cut(name, MAX_IN_BOX)) }
            }
        }
        @let drawn = places.len();
        @if drawn >= MAX_DRAWN { p { "The " (MAX_DRAWN) " services with most traces are drawn." } }
    }
}

/// From the right of one box to the left of another, below the row that it starts in where boxes stand between; to what stands
/// left of it, below it and back.
fn curve((from_x, from_y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let (x1, y1, x2, y2) = (from_x + BOX_WIDTH, from_y + BOX_HEIGHT / 2, to_x, to_y + BOX_HEIGHT / 2);
    if x2 > x1 + GAP {
        let (lane, into) = (from_y + BOX_HEIGHT + LANE, x2 - GAP);
        let (first, last) = (x1 + GAP / 2, x2 - GAP / 2);
        return format!(
            "M{x1} {y1}C{first} {y1} {first} {lane} {} {lane}L{into} {lane}C{last} {lane} {last} {y2} {x2} {y2}",
            x1 + GAP
        );
    }
    if x2 > x1 {
        let middle = usize::midpoint(x1, x2);
        return format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}");
    }
    let below = from_y.max(to_y) + BOX_HEIGHT + LANE;
    format!("M{x1} {y1}C{} {below} {} {below} {x2} {y2}", x1 + 30, x2.saturating_sub(30))
}

fn table(graph: &Graph) -> Markup {
    let marked = graph.calls.iter().map(|(edge, call)| (call.mark(&graph.checked), edge, call));
    let mut calls: Vec<_> = marked.collect();
    // What differs first, then what nobody can say anything of.
    calls.sort_by_key(|(mark, edge, _)| (!mark.differs(), *mark == Mark::Both, *edge));
    html! {
        div.scrolls tabindex="0" role="region" aria-label="Calls" { table {
            caption { "Traces in which a call came out, of those in which it was sent." }
            thead { tr {
                th scope="col" { "From" } th scope="col" { "To" } th.n scope="col" { "Out of blue" } th.n scope="col" { "Out of green" } th scope="col" { "Differs" }
            } }
            tbody { @for (mark, (from, to), call) in calls { tr {
                th scope="row" { bdi { (cut(from, MAX_IN_TABLE)) } } td { bdi { (cut(to, MAX_IN_TABLE)) } }
                @for it in Environment::BOTH { td.n { (call.out(it)) " of " (call.sent[it]) } }
                td.says { @if mark.differs() { strong { (words(call, mark)) } } @else { (words(call, mark)) } }
            } } }
        } }
    }
}

fn cut(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_round_the_boxes_between_and_never_through_one() {
        let at = |column: usize, row: usize| (MARGIN + column * COLUMN, MARGIN + row * ROW);
        let check = |from: (usize, usize), to: (usize, usize), expect: &str| {
            assert_eq!(curve(at(from.0, from.1), at(to.0, to.1)), expect)
        };
        check((0, 0), (1, 1), "M186 33C226 33 226 91 266 91");
        // Below the row, from the end of the first gap to the beginning of the last.
        check((0, 0), (2, 0), "M186 33C226 33 226 62 266 62L436 62C476 62 476 33 516 33");
        check((1, 0), (0, 0), "M436 33C466 62 0 62 16 33");
    }
}
