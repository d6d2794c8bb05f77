//! The service map as a drawing, and the same as a table. Pure.

use super::graph::{Call, Graph, Has, MAX_DRAWN};
use maud::{Markup, html};
use std::collections::BTreeMap;

const BOX_WIDTH: usize = 150;
const BOX_HEIGHT: usize = 34;
const COLUMN: usize = 230;
const ROW: usize = 58;
const MARGIN: usize = 16;
/// Characters of a service's name in its box, and in the table.
const MAX_IN_BOX: usize = 18;
const MAX_IN_TABLE: usize = 120;

pub(super) fn page(graph: &Graph, most: u64) -> Markup {
    let differ = graph.calls.values().filter(|call| call.has() != Has::Both || unseen(call)).count();
    html! {
        link rel="stylesheet" href=(crate::assets::address("traces.css"));
        @if graph.calls.is_empty() {
            p { "No calls between services are recorded. Observations have them where the plan guards what services take, and where a call never came out." }
        } @else {
            p {
                (graph.calls.len()) " calls between services, from " (graph.observations()) " observations (" (most) " at most): "
                (graph.checked.blue) " traces of blue, " (graph.checked.green) " of green. "
                @match differ { 0 => "Blue and green have the same.", 1 => "One of them differs.", _ => { (differ) " of them differ." } }
                @if graph.left_out > 0 { " There was no room for further calls." }
            }
            p { "Traces are counted as they were sent to each environment. A call that one alone has may be rare rather than missing: look at how many traces there were. "
                "Only blue: dashed. Only green: bold." }
            div.scrolls tabindex="0" role="region" aria-label="Drawing of the calls; the table below says the same" { (drawing(graph)) }
            (table(graph))
        }
    }
}

fn unseen(call: &Call) -> bool {
    call.unseen.blue > 0 || call.unseen.green > 0
}

fn class(call: &Call) -> &'static str {
    match call.has() {
        Has::Both => "both",
        Has::BlueAlone | Has::Unseen => "only-blue",
        Has::GreenAlone => "only-green",
    }
}

fn words(call: &Call) -> String {
    let has = match call.has() {
        Has::Both | Has::Unseen => "",
        Has::BlueAlone => "✕ missing in green",
        Has::GreenAlone => "+ new in green",
    };
    let unseen = match (call.unseen.blue, call.unseen.green) {
        (0, 0) => String::new(),
        (blue, 0) => format!("✕ never came out of blue ({blue} traces)"),
        (0, green) => format!("✕ never came out of green ({green} traces)"),
        (blue, green) => format!("✕ never came out of blue ({blue} traces) nor green ({green})"),
    };
    [has, &unseen].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("; ")
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
            @for ((from, to), call) in &graph.calls {
                @if let (Some(a), Some(b)) = (places.get(from.as_str()), places.get(to.as_str())) {
                    path class=(class(call)) d=(curve(*a, *b)) { title { (from) " calls " (to) " " (words(call)) } }
                }
            }
            @for (name, (x, y)) in &places {
                rect x=(x) y=(y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="4" { title { (cut(name, MAX_IN_TABLE)) } }
                text x=(x + 10) y=(y + 22) { (cut(name, MAX_IN_BOX)) }
            }
        }
        @let drawn = places.len();
        @if drawn >= MAX_DRAWN { p { "The " (MAX_DRAWN) " services with most traces are drawn." } }
    }
}

/// From the right of one box to the left of another; to what stands left of it, below it and back.
fn curve((from_x, from_y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let (x1, y1, x2, y2) = (from_x + BOX_WIDTH, from_y + BOX_HEIGHT / 2, to_x, to_y + BOX_HEIGHT / 2);
    if x2 > x1 {
        let middle = usize::midpoint(x1, x2);
        return format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}");
    }
    let below = from_y.max(to_y) + BOX_HEIGHT + 12;
    format!("M{x1} {y1}C{} {below} {} {below} {x2} {y2}", x1 + 30, x2.saturating_sub(30))
}

fn table(graph: &Graph) -> Markup {
    let mut calls: Vec<_> = graph.calls.iter().collect();
    // What differs first.
    calls.sort_by_key(|(edge, call)| (call.has() == Has::Both && !unseen(call), *edge));
    html! {
        div.scrolls tabindex="0" role="region" aria-label="Calls" { table {
            thead { tr {
                th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Blue, traces" } th scope="col" { "Green, traces" } th scope="col" { "Differs" }
            } }
            tbody { @for ((from, to), call) in calls { tr {
                th scope="row" { (cut(from, MAX_IN_TABLE)) } td { (cut(to, MAX_IN_TABLE)) }
                td { (call.traces.blue) } td { (call.traces.green) } td { (words(call)) }
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
