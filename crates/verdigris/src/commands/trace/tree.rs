//! Comparisons as trees of text. Everything but the spans' own texts is ASCII, unless a terminal is there to draw on.

use super::told::{Named, Told};
use crate::cli::Look;
use crate::describe::printable;
use model::SpanId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use verify::diff::{By, Difference, Place, Row, Seen, Stands, Status, Times};

/// Spans up to which a trace is shown whole: two screens.
const MAX_WHOLE: usize = 100;
/// Levels that are drawn. What stands deeper is drawn at this one with its depth in front: else a chain of 65,536 spans
/// would be 6 GB of indentation.
const MAX_DRAWN_DEPTH: usize = 32;
/// Lines about one span.
const MAX_LINES: usize = 20;
/// Characters of a name, and of a value; JSON has them whole.
const MAX_NAME: usize = 120;
const MAX_VALUE: usize = 60;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) on_terminal: bool,
    pub(super) all: bool,
}

impl Style {
    /// Colours and lines on a terminal, unless `--plain`, `NO_COLOR` or a dumb terminal speak against it.
    pub(super) fn choose(look: Look) -> Style {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let on_terminal = !look.plain && !is_set("NO_COLOR") && !dumb && std::io::stdout().is_terminal();
        Style { on_terminal, all: look.all }
    }
}

/// All comparisons, one below the other.
pub(super) fn render(told: &[Told], style: Style) -> String {
    let mut drawing = Drawing { style, out: String::new(), open: Vec::new() };
    for (index, one) in told.iter().enumerate() {
        if index > 0 {
            drawing.out.push('\n');
        }
        drawing.one(one);
    }
    if told.is_empty() {
        drawing.out.push_str("no traces in it\n");
    }
    drawing.out
}

struct Drawing {
    style: Style,
    out: String,
    /// By depth: whether what stands there has more siblings to come.
    open: Vec<bool>,
}

/// A line's first column, and its colour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Equal,
    Lost,
    Fabricated,
    Differs,
}

impl Mark {
    fn of(row: &Row) -> Mark {
        match (row.differences.is_empty(), row.a.is_some(), row.b.is_some()) {
            (true, ..) => Mark::Equal,
            (false, _, false) => Mark::Lost,
            (false, false, true) => Mark::Fabricated,
            (false, true, true) => Mark::Differs,
        }
    }

    fn sign(self) -> char {
        match self {
            Mark::Equal => ' ',
            Mark::Lost => '-',
            Mark::Fabricated => '+',
            Mark::Differs => '~',
        }
    }

    /// The colours of diff: red, green and yellow (ECMA-48, SGR).
    fn colour(self) -> Option<&'static str> {
        match self {
            Mark::Equal => None,
            Mark::Lost => Some("\x1b[31m"),
            Mark::Fabricated => Some("\x1b[32m"),
            Mark::Differs => Some("\x1b[33m"),
        }
    }
}

/// What is drawn: a row, or rows that are left out.
enum Item<'r> {
    Row(&'r Row),
    LeftOut { depth: usize, is_last: bool, spans: usize },
}

impl Item<'_> {
    fn depth(&self) -> usize {
        match self {
            Item::Row(row) => row.depth,
            Item::LeftOut { depth, .. } => *depth,
        }
    }
}

fn items(rows: &[Row], all: bool) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for row in rows {
        if all || row.differs_below || !row.differences.is_empty() {
            items.push(Item::Row(row));
            continue;
        }
        match items.last_mut() {
            // A sibling, or what stands below one.
            Some(Item::LeftOut { depth, is_last, spans }) if row.depth >= *depth => {
                *spans += 1;
                if row.depth == *depth {
                    *is_last = row.is_last;
                }
            }
            Some(_) | None => items.push(Item::LeftOut { depth: row.depth, is_last: row.is_last, spans: 1 }),
        }
    }
    items
}

impl Drawing {
    fn one(&mut self, told: &Told) {
        self.heading(told);
        let rows = &told.comparison.rows;
        let names: BTreeMap<SpanId, &Row> = rows.iter().rev().map(|row| (row.span, row)).collect();
        let items = items(rows, self.style.all || rows.len() <= MAX_WHOLE);
        self.open.clear();
        for (index, item) in items.iter().enumerate() {
            match item {
                Item::Row(row) => {
                    let has_children = items.get(index + 1).is_some_and(|next| next.depth() > row.depth);
                    self.row(row, has_children, &names);
                }
                Item::LeftOut { depth, is_last, spans } => {
                    let prefix = self.prefix(*depth, *is_last);
                    let words = format!("... {spans} without a difference");
                    self.line(Mark::Equal, &format!("{prefix}{words}"));
                }
            }
        }
    }

    fn heading(&mut self, told: &Told) {
        let side = |letter: char, named: &Named, trace: bool| {
            let of = if trace { format!(", trace {}", named.trace) } else { String::new() };
            format!("{letter}  {}: {} span(s){of}", printable(&named.name), named.spans)
        };
        let differ = match told.by {
            By::Id => {
                let _ = writeln!(self.out, "trace {}", told.a.trace);
                false
            }
            By::Place => {
                self.out.push_str("two traces, span by span by their places: times and values are not compared\n");
                true
            }
        };
        for (letter, named) in [('a', &told.a), ('b', &told.b)] {
            let _ = writeln!(self.out, "  {}", side(letter, named, differ));
        }
        if told.omitted > 0 {
            let _ = writeln!(self.out, "  {} more span(s) had no room in the evidence", told.omitted);
        }
        if !told.unread.is_empty() {
            let names: Vec<&str> = told.unread.iter().map(String::as_str).collect();
            let names = printable(&names.join(", "));
            let _ = writeln!(self.out, "  not compared, for this version does not know it: {}", cut(&names, MAX_NAME));
        }
        let counts: Vec<String> =
            told.counts().into_iter().map(|(name, count)| format!("{count} {}", words(name))).collect();
        let counts = if counts.is_empty() { "equal".to_owned() } else { counts.join(", ") };
        let _ = writeln!(self.out, "  {counts}\n");
    }

    fn row(&mut self, row: &Row, has_children: bool, names: &BTreeMap<SpanId, &Row>) {
        let mark = Mark::of(row);
        let prefix = self.prefix(row.depth, row.is_last);
        let title = format!("{}: {}", printable(&row.service), printable(&row.operation));
        let stands = match row.stands {
            Stands::Root | Stands::Child => String::new(),
            Stands::WithoutParent => format!("  (its parent {} is on neither side)", row.parent),
            Stands::Loop => format!("  (its parent {} stands below it: a loop)", row.parent),
        };
        let short: Vec<String> = row.differences.iter().filter_map(short_words).collect();
        let short = if short.is_empty() { String::new() } else { format!("  {}", short.join(", ")) };
        self.line(mark, &format!("{prefix}{}{}{short}{stands}", cut(&title, MAX_NAME), details(row)));
        let below = self.below(row.depth, has_children);
        let lines: Vec<String> = row.differences.iter().filter_map(|it| long_words(it, names)).collect();
        let shown = if self.style.all { lines.len() } else { MAX_LINES };
        for line in lines.iter().take(shown) {
            self.line(mark, &format!("{below}{line}"));
        }
        if lines.len() > shown {
            self.line(mark, &format!("{below}... and {} more differences", lines.len() - shown));
        }
    }

    fn line(&mut self, mark: Mark, text: &str) {
        let sign = mark.sign();
        match mark.colour().filter(|_| self.style.on_terminal) {
            Some(colour) => {
                let _ = writeln!(self.out, "{colour}{sign} {text}\x1b[0m");
            }
            None => {
                let line = format!("{sign} {text}");
                let _ = writeln!(self.out, "{}", line.trim_end());
            }
        }
    }

    /// What stands before a span, and remembers whether siblings of it are to come.
    fn prefix(&mut self, depth: usize, is_last: bool) -> String {
        self.open.truncate(depth);
        self.open.resize(depth + 1, false);
        self.open[depth] = !is_last;
        if depth == 0 {
            return String::new();
        }
        let drawn = depth.min(MAX_DRAWN_DEPTH);
        let branch = match (self.style.on_terminal, is_last) {
            (true, true) => "└─ ",
            (true, false) => "├─ ",
            (false, true) => "`- ",
            (false, false) => "|- ",
        };
        let deep = if depth > drawn { format!("[{depth}] ") } else { String::new() };
        format!("{}{branch}{deep}", self.bars(drawn))
    }

    /// What stands before the lines about a span.
    fn below(&self, depth: usize, has_children: bool) -> String {
        let drawn = depth.min(MAX_DRAWN_DEPTH);
        let own = if has_children && depth < MAX_DRAWN_DEPTH { self.bar(true) } else { self.bar(false) };
        format!("{}{own} ", self.bars(drawn + 1))
    }

    fn bars(&self, until: usize) -> String {
        (1..until).map(|depth| self.bar(self.open.get(depth).copied().unwrap_or_default())).collect()
    }

    fn bar(&self, is_open: bool) -> &'static str {
        match (is_open, self.style.on_terminal) {
            (false, _) => "   ",
            (true, true) => "│  ",
            (true, false) => "|  ",
        }
    }
}

/// Kind and duration, as far as they are known.
fn details(row: &Row) -> String {
    let kind = ["", "internal", "server", "client", "producer", "consumer"].get(usize::from(row.kind)).copied();
    let took = |seen: Option<Seen>| match seen? {
        Seen { times: Some(Times { start_unix_ns, end_unix_ns }), .. } => {
            end_unix_ns.checked_sub(start_unix_ns).filter(|_| start_unix_ns > 0).map(duration)
        }
        Seen { since, .. } => since.map(|since| duration(since.duration_us.saturating_mul(1_000))),
    };
    let took = match (took(row.a), took(row.b)) {
        (Some(a), Some(b)) if a != b => Some(format!("{a} -> {b}")),
        (Some(took), _) | (None, Some(took)) => Some(took),
        (None, None) => None,
    };
    let details: Vec<String> =
        kind.filter(|kind| !kind.is_empty()).map(str::to_owned).into_iter().chain(took).collect();
    if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) }
}

fn short_words(difference: &Difference) -> Option<String> {
    match difference {
        Difference::Lost => Some("lost".to_owned()),
        Difference::Fabricated => Some("fabricated".to_owned()),
        Difference::Duplicated { a, b } => Some(format!("duplicated: {a} -> {b}")),
        Difference::FewerCopies { a, b } => Some(format!("fewer copies: {a} -> {b}")),
        _ => None,
    }
}

/// A line of its own. `names` are the spans by their ids.
fn long_words(difference: &Difference, names: &BTreeMap<SpanId, &Row>) -> Option<String> {
    let parent = |id: &SpanId| match names.get(id) {
        _ if *id == SpanId::NONE => "no parent".to_owned(),
        Some(row) => {
            let name = printable(&format!("{}: {}", row.service, row.operation));
            format!("{} ({id})", cut(&name, MAX_VALUE))
        }
        None => id.to_string(),
    };
    let words = match difference {
        Difference::Lost | Difference::Fabricated | Difference::Duplicated { .. } | Difference::FewerCopies { .. } => {
            return None;
        }
        Difference::Reparented { a, b } => format!("re-parented: {} -> {}", parent(a), parent(b)),
        Difference::Orphan { parent: id } => format!("orphan: its parent {} is not in b", parent(id)),
        Difference::Kind { a, b } => format!("kind changed: {a} -> {b}"),
        Difference::Operation { a, b } => format!("name changed: {} -> {}", text(a), text(b)),
        Difference::Start { a, b } => format!("start changed: {}", moved(*a, *b)),
        Difference::End { a, b } => format!("end changed: {}", moved(*a, *b)),
        Difference::Status { a, b } => format!("status changed: {} -> {}", status(a), status(b)),
        Difference::Missing { place, key, a } => {
            format!("{} missing{}", named(*place, key), after(" (it was ", a, ")"))
        }
        Difference::Added { place, key, b } => format!("{} added{}", named(*place, key), after(": ", b, "")),
        Difference::Changed { place, key, a, b } => {
            format!("{} changed{}{}", named(*place, key), after(": ", a, ""), after(" -> ", b, ""))
        }
    };
    Some(words)
}

fn named(place: Place, key: &str) -> String {
    let place = match place {
        Place::Attribute => "attribute",
        Place::Resource => "resource",
        Place::Scope => "scope",
        Place::Field => "field",
    };
    format!("{place} {}", cut(&printable(key), MAX_VALUE))
}

fn after(before: &str, value: &Option<Value>, behind: &str) -> String {
    let words = |value: &Value| format!("{before}{}{behind}", cut(&printable(&value.to_string()), MAX_VALUE));
    value.as_ref().map(words).unwrap_or_default()
}

fn text(text: &str) -> String {
    cut(&printable(&Value::from(text).to_string()), MAX_VALUE)
}

fn status(status: &Status) -> String {
    let code = match status.code {
        0 => "unset".to_owned(),
        1 => "ok".to_owned(),
        2 => "error".to_owned(),
        code => code.to_string(),
    };
    if status.message.is_empty() { code } else { format!("{code} {}", text(&status.message)) }
}

/// How the differences are called in the line that counts them.
fn words(name: &str) -> &str {
    match name {
        "fewerCopies" => "with fewer copies",
        "reparented" => "re-parented",
        "kind" => "kind changed",
        "operation" => "name changed",
        "start" => "start changed",
        "end" => "end changed",
        "status" => "status changed",
        "missing" => "key(s) missing",
        "added" => "key(s) added",
        "changed" => "value(s) changed",
        other => other,
    }
}

/// By how much a time differs.
fn moved(a: u64, b: u64) -> String {
    let sign = if b < a { '-' } else { '+' };
    format!("{sign}{}", duration(a.abs_diff(b)))
}

/// Three digits and a unit, so that a nanosecond shows and an hour can be read.
fn duration(ns: u64) -> String {
    let units = [("s", 1_000_000_000u64), ("ms", 1_000_000), ("us", 1_000)];
    match units.into_iter().find(|(_, unit)| ns >= *unit) {
        None => format!("{ns}ns"),
        Some((unit, of)) => {
            let (whole, rest) = (ns / of, ns % of * 1_000 / of);
            match whole {
                _ if rest == 0 => format!("{whole}{unit}"),
                0..10 => format!("{whole}.{:02}{unit}", rest / 10),
                10..100 => format!("{whole}.{}{unit}", rest / 100),
                _ => format!("{whole}{unit}"),
            }
        }
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
