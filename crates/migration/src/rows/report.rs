//! What was found of one table, and how it is said.

use crate::assessment::{Findings, Rank};
use crate::checks::Rows;
use crate::join::Joined;
use crate::key::{Key, KeyColumn, Shower};
use crate::sql::TableRead;
use model::PerEnvironment;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows of each kind that are shown.
const MAX_EXAMPLES: usize = 5;

/// Columns that a reason names; the evidence has all.
const MAX_COLUMNS_TOLD: usize = 8;

/// One table's differences.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    table: String,
    key: Vec<KeyColumn>,
    compared: usize,
    demand: Rows,
    pub(crate) rows: PerEnvironment<u64>,
    pub(crate) checksums: PerEnvironment<i128>,
    /// Rows whose key is NULL, where these differ.
    pub(crate) keyless: Option<PerEnvironment<u64>>,
    lost: Rest,
    added: Rest,
    changed: Rest,
    /// Changed rows in which a column differs, of those that were looked at.
    columns: BTreeMap<String, u64>,
    /// Ranges that differ and were not looked into, and the rows in them.
    left: Left,
}

/// Rows of a kind, and the first of them with its place among blue's rows, from 1.
#[derive(Clone, Debug, Default)]
struct Rest {
    rows: u64,
    examples: Vec<(Key, Option<u64>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Left {
    ranges: u64,
    rows: PerEnvironment<u64>,
    /// Whether blue has more rows than green in one of them.
    has_fewer: bool,
}

impl Report {
    pub(super) fn new(read: &TableRead, demand: Rows) -> Report {
        Report {
            table: read.name.to_string(),
            key: read.key.clone(),
            compared: read.columns.len(),
            demand,
            rows: PerEnvironment::default(),
            checksums: PerEnvironment::default(),
            keyless: None,
            lost: Rest::default(),
            added: Rest::default(),
            changed: Rest::default(),
            columns: BTreeMap::new(),
            left: Left::default(),
        }
    }

    pub(super) fn add(&mut self, joined: &Joined, before: u64) {
        let placed = |rows: &[(Key, u64)]| -> Vec<_> {
            rows.iter().map(|(key, at)| (key.clone(), Some(before + at + 1))).collect()
        };
        self.lost.add(placed(&joined.lost));
        self.changed.add(placed(&joined.changed));
        self.added.add(joined.added.iter().map(|(key, _)| (key.clone(), None)).collect());
    }

    /// A range that is empty on one side.
    pub(super) fn add_one_sided(&mut self, rows: PerEnvironment<u64>) {
        self.lost.rows += rows.blue;
        self.added.rows += rows.green;
    }

    /// Whether a row of the kind that a range empty on one side has is shown already.
    pub(super) fn has_example(&self, rows: PerEnvironment<u64>) -> bool {
        let of = if rows.green == 0 { &self.lost } else { &self.added };
        !of.examples.is_empty()
    }

    pub(super) fn leave(&mut self, rows: PerEnvironment<u64>) {
        self.left.ranges += 1;
        self.left.rows.blue += rows.blue;
        self.left.rows.green += rows.green;
        self.left.has_fewer |= rows.blue > rows.green;
    }

    /// The columns in which one row differs.
    pub(super) fn name<'a>(&mut self, columns: impl Iterator<Item = &'a str>) {
        for column in columns {
            *self.columns.entry(column.to_owned()).or_default() += 1;
        }
    }

    /// Tells what was found.
    pub(crate) fn tell(&self, shower: &Shower, findings: &mut Findings) {
        let table = &self.table;
        let first = |rest: &Rest| match rest.examples.first() {
            None => String::new(),
            Some((key, place)) => {
                let place = place.map_or_else(String::new, |at| format!(" (row {} of blue by key)", grouped(at)));
                format!("; the first is {}{place}", shower.show(table, &self.key, key))
            }
        };
        // Where ranges were left alone there may be more.
        let least = if self.left.ranges > 0 { "at least " } else { "" };
        let rows = |rows: u64| format!("{least}{} row{}", grouped(rows), if rows == 1 { "" } else { "s" });
        if self.lost.rows > 0 {
            let (all, rest) = (grouped(self.rows.blue), first(&self.lost));
            findings.fail(Rank::Rows, format!("{table}: green lost {} of blue's {all}{rest}", rows(self.lost.rows)));
        }
        if self.changed.rows > 0 {
            let names: Vec<_> = self.columns.keys().map(String::as_str).collect();
            let columns = match &names[..] {
                [] => String::new(),
                [name] => format!(", in the column {name}"),
                names if names.len() <= MAX_COLUMNS_TOLD => format!(", in the columns {}", names.join(", ")),
                names => {
                    let (first, more) = names.split_at(MAX_COLUMNS_TOLD);
                    format!(", in the columns {} and {} more", first.join(", "), more.len())
                }
            };
            let (rows, rest) = (rows(self.changed.rows), first(&self.changed));
            findings.fail(Rank::Rows, format!("{table}: green has other values in {rows}{columns}{rest}"));
        }
        if self.added.rows > 0 && self.demand == Rows::Same {
            let (rows, rest) = (rows(self.added.rows), first(&self.added));
            findings.fail(Rank::Rows, format!("{table}: green has {rows} that blue has not{rest}"));
        }
        if let Some(keyless) = self.keyless {
            let (blue, green) = (grouped(keyless.blue), grouped(keyless.green));
            let words = format!("the rows whose key is NULL differ: blue has {blue}, green {green}");
            match self.demand {
                Rows::GreenMayHaveMore if keyless.green > keyless.blue => findings.miss(format!("{table}: {words}")),
                Rows::Same | Rows::GreenMayHaveMore => findings.fail(Rank::Rows, format!("{table}: {words}")),
            }
        }
        self.tell_left(findings);
        findings.note("tables", self.evidence(shower));
    }

    fn tell_left(&self, findings: &mut Findings) {
        if self.left.ranges == 0 {
            return;
        }
        let (ranges, blue) = (grouped(self.left.ranges), grouped(self.left.rows.blue));
        let green = grouped(self.left.rows.green);
        let words = format!(
            "{}: {ranges} more ranges of the key differ and were not followed (blue has {blue} rows in them, green {green})",
            self.table
        );
        match self.demand {
            // What differs may be what green has more.
            Rows::GreenMayHaveMore if !self.left.has_fewer => {
                findings.miss(format!("{words}; narrow it down with a filter"))
            }
            Rows::Same | Rows::GreenMayHaveMore => findings.fail(Rank::Rows, words),
        }
    }

    fn evidence(&self, shower: &Shower) -> Value {
        let rest = |rest: &Rest| {
            let examples: Vec<_> = rest
                .examples
                .iter()
                .map(|(key, place)| json!({"key": shower.show(&self.table, &self.key, key), "rowOfBlue": place}))
                .collect();
            json!({"rows": rest.rows, "examples": examples})
        };
        json!({
            "table": self.table,
            "key": self.key.iter().map(|column| &column.name).collect::<Vec<_>>(),
            "columnsCompared": self.compared,
            "rows": self.rows,
            // As texts: 128 bits are more than a number in JSON has.
            "checksum": self.checksums.map(|sum| sum.to_string()),
            "lost": rest(&self.lost),
            "added": rest(&self.added),
            "changed": rest(&self.changed),
            "changedColumns": self.columns,
            "rowsWithoutKey": self.keyless,
            "notFollowed": {"ranges": self.left.ranges, "rows": self.left.rows},
        })
    }
}

impl Rest {
    fn add(&mut self, rows: Vec<(Key, Option<u64>)>) {
        self.rows += rows.len() as u64;
        let room = MAX_EXAMPLES - self.examples.len();
        self.examples.extend(rows.into_iter().take(room));
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
