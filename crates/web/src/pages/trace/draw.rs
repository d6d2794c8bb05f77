//! The page of a trace: a table with a waterfall for each view. Pure.

use super::joined::{Joined, JoinedRow, Out};
use maud::{Markup, PreEscaped, html};
use verify::diff::{Difference, Place, Stands};

/// Rows of a page: of some 2.4 kB each at most, 600 kB (`MAX_PAGE_BYTES` of the tests); of some 1 kB mostly.
const MAX_ROWS: usize = 250;
/// Differences that a row names.
const MAX_NAMED: usize = 8;
/// Characters of a name that are shown.
const MAX_NAME: usize = 120;
/// Deeper than this nothing is indented further.
const MAX_INDENT: usize = 24;
/// Operations that are named as bottlenecks.
const MAX_BOTTLENECKS: usize = 10;
/// The width of a waterfall, in the units of its drawing.
const WIDTH: f64 = 240.0;

/// Which rows are asked for.
pub(super) struct Asked {
    below: Option<String>,
    from: usize,
    all: bool,
}

impl Asked {
    pub(super) fn of(below: &Option<String>, from: usize, all: bool) -> Asked {
        let is_id = |id: &&String| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        Asked { below: below.as_ref().filter(is_id).map(|id| id.to_ascii_lowercase()), from, all }
    }

    fn link(&self, link: &str, from: usize, all: bool) -> String {
        let below = self.below.as_ref().map(|id| format!("&below={id}")).unwrap_or_default();
        let all = if all { "&all=1" } else { "" };
        format!("{link}?from={from}{below}{all}#spans")
    }
}

pub(super) fn page(joined: &Joined, link: &str, digests: &[String], asked: &Asked) -> Markup {
    let subtree = subtree(joined, asked);
    let closes = !asked.all && subtree.len() > MAX_ROWS;
    let rows = if closes { opened(subtree) } else { subtree.iter().collect() };
    let from = asked.from.min(rows.len().saturating_sub(1));
    let window = &rows[from..rows.len().min(from + MAX_ROWS)];
    let (sent, differ) = joined.counts();
    let scale = Scale::of(&joined.rows);
    html! {
        link rel="stylesheet" href=(crate::assets::address("traces.css"));
        p {
            (sent) " spans were sent"
            @for (environment, differ) in joined.environments.iter().zip(&differ) {
                "; " @match differ { 0 => { "out of " (environment) " they came the same" }, _ => { (differ) " differ out of " (environment) } }
            }
            ". " @if joined.omitted > 0 { (joined.omitted) " more spans were left out of the evidence, for which it has no room. " }
            a href=(link) { "Link to this trace" }
        }
        p { "Marks: " (MARK_LOST) " lost, " (MARK_NEW) " new, " (MARK_CHANGED) " changed, " (MARK_PATH) " on the critical path." }
        (bottlenecks(joined))
        section aria-labelledby="spans" {
            h2 id="spans" { "Spans " (from + 1) " to " (from + window.len()) " of " (rows.len()) }
            p {
                @if asked.below.is_some() { a href={ (link) "#spans" } { "The whole trace" } " · " }
                @if closes { "Subtrees in which nothing differs are closed. " a href=(asked.link(link, 0, true)) { "Open all" } }
                @else if asked.all { a href=(asked.link(link, 0, false)) { "Close what does not differ" } }
            }
            div.scrolls tabindex="0" role="region" aria-label="Spans" { table.trace data-treegrid {
                thead { tr {
                    th scope="col" { "Span" } th scope="col" { "Own time" } th scope="col" { "Sent" }
                    @for environment in &joined.environments { th scope="col" { "Out of " (environment) } }
                } }
                tbody { @for row in window { (span(row, link, &scale, closes)) } }
            } }
            nav aria-label="Spans" { p {
                @if from > 0 { a rel="prev" href=(asked.link(link, from.saturating_sub(MAX_ROWS), asked.all)) { "Earlier spans" } " " }
                @if from + window.len() < rows.len() { a rel="next" href=(asked.link(link, from + MAX_ROWS, asked.all)) { "Further spans" } }
            } }
        }
        details { summary { "Evidence" } ul { @for digest in digests { li { code.digest { (digest) } } } }
            p { "That you looked at it is recorded in the ledger." } }
    }
}

/// The rows that are asked for: all, or one span and what is below it.
fn subtree<'a>(joined: &'a Joined, asked: &Asked) -> &'a [JoinedRow] {
    let Some(below) = &asked.below else { return &joined.rows };
    let at = joined.rows.iter().position(|row| row.row.span.to_string() == *below);
    at.map_or(&joined.rows[..], |at| &joined.rows[at..=at + joined.rows[at].below])
}

/// Without what is below rows below which nothing differs. Where nothing differs at all, the roots and what is directly below.
fn opened(rows: &[JoinedRow]) -> Vec<&JoinedRow> {
    let (mut shown, mut at) = (Vec::new(), 0);
    while let Some(row) = rows.get(at) {
        shown.push(row);
        let is_closed = !row.differs_below && at > 0;
        at += 1 + if is_closed { row.below } else { 0 };
    }
    shown
}

fn bottlenecks(joined: &Joined) -> Markup {
    let bottlenecks = joined.bottlenecks(MAX_BOTTLENECKS);
    html! {
        @if !bottlenecks.is_empty() { details open {
            summary { "Bottlenecks, by the time that spans take without their children" }
            div.scrolls tabindex="0" role="region" aria-label="Bottlenecks" { table {
                thead { tr { th scope="col" { "Service" } th scope="col" { "Operation" } th scope="col" { "Spans" } th scope="col" { "Own time" } } }
                tbody { @for (service, operation, spans, us) in bottlenecks { tr {
                    td { bdi { (cut(service)) } } td { bdi { (cut(operation)) } } td { (spans) } td { (duration(us)) }
                } } }
            } }
        } }
    }
}

const MARK_LOST: &str = "✕";
const MARK_NEW: &str = "+";
const MARK_CHANGED: &str = "≠";
const MARK_PATH: &str = "◆";

fn span(joined: &JoinedRow, link: &str, scale: &Scale, closes: bool) -> Markup {
    let JoinedRow { row, spent, sent, out, below, differs_below } = joined;
    let is_closed = closes && *below > 0 && !*differs_below;
    let path = spent.and_then(|spent| spent.on_path_us);
    html! {
        tr.differs[joined.differs()] data-level=(row.depth + 1) data-closed[is_closed] {
            th scope="row" {
                svg.indent width=(row.depth.min(MAX_INDENT) * 10) height="1" aria-hidden="true" {}
                span.hidden { "Level " (row.depth + 1) ". " }
                @if path.is_some() { span.path title="on the critical path" { (MARK_PATH) } " " span.hidden { "On the critical path. " } }
                a href={ (link) "?below=" (row.span) "#spans" } { bdi { (cut(&row.service)) } " " strong { bdi { (cut(&row.operation)) } } }
                @match row.stands {
                    Stands::Root | Stands::Child => {}
                    Stands::WithoutParent => { " " em { "its parent is missing" } }
                    Stands::Loop => { " " em { "its parents are a loop" } }
                }
                @if is_closed { " " small { "and " (below) " below, none differs" } }
            }
            td { @if let Some(spent) = spent { (duration(spent.exclusive_us)) } }
            td { @if sent.is_some() { (bar(joined, scale, "sent")) } @else { span.new { (MARK_NEW) " not sent" } } }
            @for out in out { (came_out(joined, out, scale)) }
        }
    }
}

fn came_out(joined: &JoinedRow, out: &Out, scale: &Scale) -> Markup {
    html! {
        @match (&out.seen, out.was_sent) {
            (None, false) => td { span.absent { "not sent there" } },
            (None, true) => td { (bar(joined, scale, "lost")) " " span.lost { (MARK_LOST) " lost" } },
            (Some(_), _) => td {
                (bar(joined, scale, if out.differences.is_empty() { "same" } else { "changed" }))
                @if !out.differences.is_empty() { ul.differences {
                    @for difference in out.differences.iter().take(MAX_NAMED) {
                        @let (mark, words) = words(difference);
                        li { span class=(class(mark)) { (mark) } " " bdi { (words) } }
                    }
                    @if out.differences.len() > MAX_NAMED { li { "and " (out.differences.len() - MAX_NAMED) " more" } }
                } }
            },
        }
    }
}

fn class(mark: &str) -> &'static str {
    match mark {
        MARK_LOST => "lost",
        MARK_NEW => "new",
        _ => "changed",
    }
}

/// A mark and words. Values are not in examples, and where a side has them they are not shown.
fn words(difference: &Difference) -> (&'static str, String) {
    let of = |place: &Place, key: &str| match place {
        Place::Attribute => format!("attribute {}", cut(key)),
        Place::Resource => format!("resource's {}", cut(key)),
        Place::Scope => format!("scope's {}", cut(key)),
        Place::Field => cut(key),
    };
    match difference {
        Difference::Lost => (MARK_LOST, "lost".to_owned()),
        Difference::Fabricated => (MARK_NEW, "never sent".to_owned()),
        Difference::Duplicated { a, b } => (MARK_NEW, format!("{b} times instead of {a}")),
        Difference::FewerCopies { a, b } => (MARK_LOST, format!("{b} times instead of {a}")),
        Difference::Reparented { a, b } => (MARK_CHANGED, format!("parent {b} instead of {a}")),
        Difference::Orphan { parent } => (MARK_LOST, format!("its parent {parent} did not come out")),
        Difference::Kind { a, b } => (MARK_CHANGED, format!("kind {b} instead of {a}")),
        Difference::Operation { .. } => (MARK_CHANGED, "another name".to_owned()),
        Difference::Start { .. } => (MARK_CHANGED, "another start".to_owned()),
        Difference::End { .. } => (MARK_CHANGED, "another end".to_owned()),
        Difference::Status { a, b } => (MARK_CHANGED, format!("status {} instead of {}", b.code, a.code)),
        Difference::Missing { place, key, .. } => (MARK_LOST, format!("{} is missing", of(place, key))),
        Difference::Added { place, key, .. } => (MARK_NEW, format!("{} was added", of(place, key))),
        Difference::Changed { place, key, .. } => (MARK_CHANGED, format!("{} has another value", of(place, key))),
    }
}

/// From microseconds to the width of a drawing.
struct Scale {
    first_us: i64,
    length_us: f64,
}

impl Scale {
    fn of(rows: &[JoinedRow]) -> Scale {
        let spent = || rows.iter().filter_map(|row| row.spent);
        let first_us = spent().map(|it| it.start_us).min().unwrap_or_default();
        let last_us = spent().map(|it| it.start_us + it.duration_us.cast_signed()).max().unwrap_or_default();
        Scale { first_us, length_us: ((last_us - first_us) as f64).max(1.0) }
    }
}

/// A rectangle where the span stands in the trace's time. What it says stands beside it as text.
fn bar(joined: &JoinedRow, scale: &Scale, class: &str) -> Markup {
    let Some(spent) = joined.spent else { return html! { "no time known" } };
    let x = (spent.start_us - scale.first_us) as f64 / scale.length_us * WIDTH;
    let width = (spent.duration_us as f64 / scale.length_us * WIDTH).max(1.5);
    let x = x.min(WIDTH - width).max(0.0);
    // Numbers and names of ours alone.
    let svg = format!(
        "<svg class=\"bar {class}\" viewBox=\"0 0 {WIDTH} 12\" width=\"{WIDTH}\" height=\"12\" aria-hidden=\"true\">\
         <rect x=\"{x:.1}\" y=\"2\" width=\"{width:.1}\" height=\"8\"/></svg>"
    );
    html! { (PreEscaped(svg)) small.duration { (duration(spent.duration_us)) } }
}

fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
