//! The definitions of tables, as they came back, and how each table is read by them.

use crate::checks::{MAX_COLUMNS, Table, TableName};
use crate::key::{KeyClass, KeyColumn};
use crate::question::{Answer, AnswerError, Question};
use crate::sql::{Canonical, Checksum, ColumnRead, TableRead};
use model::{Environment, PerEnvironment};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Texts of a row of the catalogue.
const TEXTS: usize = 9;

/// The tables of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    pub(crate) tables: BTreeMap<TableName, Definition>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    /// `pg_class.relkind`, and how it is partitioned.
    pub(crate) kind: String,
    pub(crate) partitioned_by: String,
    pub(crate) columns: BTreeMap<String, Column>,
    /// In the key's order.
    pub(crate) primary_key: BTreeMap<u32, String>,
    /// By definition: whether it is validated.
    pub(crate) constraints: BTreeMap<String, bool>,
    /// By definition, without the name: whether it is valid and ready.
    pub(crate) indexes: BTreeMap<String, bool>,
    /// By column.
    pub(crate) sequences: BTreeMap<String, Sequence>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// With its length or precision: `numeric(10,2)`.
    pub(crate) type_name: String,
    /// Below a domain, without length: `numeric`.
    pub(crate) base_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: String,
    /// Generated, identity and collation.
    pub(crate) others: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) name: String,
    /// `None` before its first value, or where it may not be read.
    pub(crate) last: Option<i64>,
    /// Whether the role may read it, and its column.
    pub(crate) is_readable: bool,
    pub(crate) increment: i64,
}

impl Catalog {
    pub(crate) fn read(question: &Question, answer: &Answer) -> Result<Catalog, AnswerError> {
        let wrong = |found: &str| AnswerError {
            about: question.about(),
            found: found.to_owned(),
            expected: "definitions of tables, columns, keys, constraints, indexes and sequences",
        };
        let mut catalog = Catalog::default();
        for row in answer.texts(question, TEXTS)? {
            let name = TableName { schema: row[1].to_owned(), name: row[2].to_owned() };
            let table = catalog.tables.entry(name).or_default();
            let (item, details) = (row[3].to_owned(), &row[4..]);
            match row[0] {
                "table" => (table.kind, table.partitioned_by) = (details[0].to_owned(), details[1].to_owned()),
                "column" => {
                    let column = Column {
                        type_name: details[0].to_owned(),
                        base_type: details[1].to_owned(),
                        not_null: details[2] == "true",
                        default: details[3].to_owned(),
                        others: details[4].to_owned(),
                    };
                    table.columns.insert(item, column);
                }
                "key" => {
                    let place = details[0].parse().map_err(|_| wrong("a key's column without a place"))?;
                    table.primary_key.insert(place, item);
                }
                // Two with the same definition demand what one does.
                "constraint" => _ = table.constraints.insert(item, details[0] == "true"),
                "index" => _ = table.indexes.insert(item, details[0] == "true"),
                "sequence" => {
                    let number =
                        |text: &str| text.parse().map_err(|_| wrong("a sequence's position that is no number"));
                    let sequence = Sequence {
                        name: details[0].to_owned(),
                        last: if details[1].is_empty() { None } else { Some(number(details[1])?) },
                        is_readable: details[2] == "true",
                        increment: number(details[3])?,
                    };
                    table.sequences.insert(item, sequence);
                }
                _ => return Err(wrong("a row of another kind")),
            }
        }
        Ok(catalog)
    }
}

/// Why a table's rows are not compared, or some of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Green lacks what blue has: a finding.
    Lost(String),
    /// The plan names what is not there, or too much.
    Plan(String),
}

/// How a table is read on both sides, and what of it cannot be.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) reads: PerEnvironment<Arc<TableRead>>,
    pub(crate) unread: Vec<Unread>,
}

/// Decides which columns tell rows apart, which are compared, and how.
pub(crate) fn reading(
    table: &Table,
    catalogs: &PerEnvironment<Catalog>,
    is_utf8: PerEnvironment<bool>,
    checksum: Checksum,
) -> Result<Reading, Unread> {
    let name = &table.name;
    let Some(blue) = catalogs.blue.tables.get(name) else {
        return Err(Unread::Plan(format!("{name}: blue has no such table; name one that is there, with its schema")));
    };
    let Some(green) = catalogs.green.tables.get(name) else {
        return Err(Unread::Lost(format!("{name}: green has no such table")));
    };
    let mut unread = Vec::new();
    let mut columns = Vec::new();
    let wanted: Vec<&String> =
        if table.columns.is_empty() { blue.columns.keys().collect() } else { table.columns.iter().collect() };
    for column in wanted {
        if table.left_out.iter().any(|left| left.column == *column) {
            continue;
        }
        match (blue.columns.get(column), green.columns.get(column)) {
            (Some(blue), Some(green)) => columns.push((column, blue, green)),
            (Some(_), None) => unread.push(Unread::Lost(format!("{name}.{column}: green has no such column"))),
            (None, _) => unread.push(Unread::Plan(format!("{name}.{column}: blue has no such column"))),
        }
    }
    if columns.len() > MAX_COLUMNS {
        return Err(Unread::Plan(format!("{name}: {} columns, expected {MAX_COLUMNS} at most", columns.len())));
    }
    let key = if table.key.is_empty() { blue.primary_key.values().cloned().collect() } else { table.key.clone() };
    let mut classes = Vec::new();
    for column in key {
        let (Some(blue), Some(green)) = (blue.columns.get(&column), green.columns.get(&column)) else {
            let words = format!("{name}.{column}: a column of the key is not on both sides; name a key that is");
            return Err(if blue.columns.contains_key(&column) { Unread::Lost(words) } else { Unread::Plan(words) });
        };
        let nullable = !blue.not_null || !green.not_null;
        classes.push(KeyColumn { name: column, class: class(blue, green), nullable });
    }
    if columns.is_empty() && classes.is_empty() {
        return Err(Unread::Plan(format!("{name}: no column is left to compare")));
    }
    // The key alone still tells which rows are there.
    if columns.is_empty() {
        let of = |column: &KeyColumn| blue.columns.get_key_value(&column.name).zip(green.columns.get(&column.name));
        columns.extend(classes.iter().filter_map(of).map(|((name, blue), green)| (name, blue, green)));
    }
    if classes.is_empty() {
        classes.push(KeyColumn { name: "row".into(), class: KeyClass::RowHash, nullable: false });
    }
    let read = |side: Environment| {
        let columns = columns.iter().map(|(name, blue, green)| {
            let (own, other) = match side {
                Environment::Blue => (blue, green),
                Environment::Green => (green, blue),
            };
            ColumnRead { name: (*name).clone(), canonical: canonical(&own.base_type, &other.base_type) }
        });
        Arc::new(TableRead {
            name: name.clone(),
            key: classes.clone(),
            columns: columns.collect(),
            filter: table.filter.clone(),
            // Converted on both sides or on none gives the same bytes: UTF-8 is what is converted to.
            is_utf8: is_utf8[side],
            checksum,
            can_sample: matches!(&catalogs[side].tables[name].kind[..], "r" | "p" | "m"),
        })
    };
    Ok(Reading { reads: PerEnvironment::from_fn(read), unread })
}

fn class(blue: &Column, green: &Column) -> KeyClass {
    let is_integer = |column: &Column| matches!(&column.base_type[..], "smallint" | "integer" | "bigint");
    let native = ["uuid", "date", "timestamp with time zone", "timestamp without time zone"];
    if is_integer(blue) && is_integer(green) {
        KeyClass::Integer
    } else if blue.base_type == green.base_type && native.contains(&&blue.base_type[..]) {
        KeyClass::Native { type_name: blue.base_type.clone() }
    } else {
        KeyClass::Text
    }
}

fn canonical(own: &str, other: &str) -> Canonical {
    match own {
        "numeric" | "money" if is_plain(other) => Canonical::Number,
        "json" => Canonical::Json,
        "timestamp with time zone" if other == "timestamp without time zone" => Canonical::InUtc,
        // Each side by its own type: what is behind a length on one side must be so on the other.
        _ if is_plain(own) && is_plain(other) => Canonical::Plain,
        _ => Canonical::Text,
    }
}

/// Types whose texts are neither empty nor have a comma.
fn is_plain(type_name: &str) -> bool {
    let plain = [
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "money",
        "boolean",
        "uuid",
        "bytea",
        "date",
        "time without time zone",
        "time with time zone",
        "timestamp without time zone",
        "timestamp with time zone",
        "oid",
    ];
    plain.contains(&type_name)
}
