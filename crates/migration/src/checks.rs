//! What a plan asks for, as plain data.

use std::collections::BTreeSet;
use std::fmt;

/// Tables of one comparison. Each costs a count, and at least one pass over its rows.
pub const MAX_TABLES: usize = 200;
/// Queries of one comparison.
pub const MAX_QUERIES: usize = 100;
/// Columns of a table that are compared: PostgreSQL's rows have 1,600 at most, and a `ROW(…)` 1,664.
pub const MAX_COLUMNS: usize = 1_600;
/// Columns of a key: PostgreSQL's indexes have 32 at most.
const MAX_KEY_COLUMNS: usize = 32;
/// Bytes of a query or of a filter: a person wrote it.
const MAX_SQL_BYTES: usize = 64 * 1024;
/// Bytes of a name: PostgreSQL cuts identifiers at 63, other forks later.
const MAX_NAME_BYTES: usize = 255;

/// Everything that is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Row by row, by checksums. At most [`MAX_TABLES`].
    pub tables: Vec<Table>,
    /// Queries of the plan's own. At most [`MAX_QUERIES`].
    pub queries: Vec<Query>,
    /// Whether the tables themselves are alike.
    pub schema: Option<SchemaCheck>,
}

/// A table, with its schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// `public`, where the plan names none.
    pub schema: String,
    /// The table's own name, as the catalogue has it.
    pub name: String,
}

impl TableName {
    /// `orders` is `public.orders`, `sales.orders` is itself: what follows the first dot is the table's name.
    pub fn new(text: &str) -> TableName {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text));
        TableName { schema: schema.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == "public" { f.write_str(&self.name) } else { write!(f, "{}.{}", self.schema, self.name) }
    }
}

/// A table, partitioned table or view whose rows are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The same name on both sides.
    pub name: TableName,
    /// What tells rows apart. Empty: blue's primary key, and where it has none, the whole row.
    pub key: Vec<String>,
    /// The columns that are compared. Empty: all that blue has.
    pub columns: Vec<String>,
    /// Columns that are not compared.
    pub left_out: Vec<LeftOut>,
    /// A condition in SQL: rows for which it does not hold are not compared (`created_at < '2026-11-30'`).
    pub filter: Option<String>,
    /// What is demanded of the rows.
    pub rows: Rows,
}

impl Table {
    /// All rows and columns, by the primary key.
    pub fn new(name: &str) -> Table {
        Table {
            name: TableName::new(name),
            key: Vec::new(),
            columns: Vec::new(),
            left_out: Vec::new(),
            filter: None,
            rows: Rows::Same,
        }
    }
}

/// A column that is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// Why, in the plan's words.
    pub reason: String,
}

/// What is demanded of a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Both have the same: before the shift.
    #[default]
    Same,
    /// Green has all of blue's rows, unchanged, and may have more: after the shift.
    GreenMayHaveMore,
}

/// A query that gives one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What it is called in reasons.
    pub name: String,
    /// One `SELECT` of one row and one column. Numbers that it gives are shown; texts are not.
    pub sql: String,
    /// What must hold between green's value and blue's.
    pub relation: Relation,
}

/// Green's value to blue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same; as numbers (`1.0` is `1.00`) where both are numbers.
    Equal,
    /// Green's is not less.
    AtLeast,
    /// Green's is not more.
    AtMost,
    /// They differ by at most this share of blue's value.
    Within {
        /// In hundredths of a percent.
        basis_points: u32,
    },
}

/// The definitions of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaCheck {
    /// Schemas all of whose tables are compared, beside the tables of the checks.
    pub schemas: Vec<String>,
    /// What may differ.
    pub expected: Vec<ExpectedDifference>,
}

/// A difference that the plan declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedDifference {
    /// As reasons have it, or the beginning of it up to a dot: `orders.column.total.type`, `orders.column.total`, `orders`.
    pub path: String,
    /// Why, in the plan's words.
    pub reason: String,
}

/// Why nothing is compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksError {
    /// More than are compared.
    #[error("{found} {what}, expected {most} at most; divide them among several gates")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// Twice the same.
    #[error("{what} {name} stands there twice; expected each once")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// A name that no database has.
    #[error(
        "{what} has a name of {bytes} bytes or with a character that is not printable; expected 1 to {MAX_NAME_BYTES} bytes"
    )]
    Name {
        /// Whose name.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// SQL that nobody wrote by hand.
    #[error("{name}: SQL of {bytes} bytes, expected 1 to {MAX_SQL_BYTES}")]
    Sql {
        /// Whose.
        name: String,
        /// How long it is.
        bytes: usize,
    },
    /// Nothing says why.
    #[error("{name}: no reason is given; say why it may differ")]
    Reason {
        /// What is left out or expected.
        name: String,
    },
    /// A column of the key is left out of the comparison.
    #[error("{table}.{column} is left out and part of the key; expected one or the other")]
    KeyLeftOut {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// There is nothing to compare.
    #[error("no table, no query and no schema is named; expected at least one")]
    Nothing,
}

impl Checks {
    /// Whether all of it is within the bounds, and says what it must.
    pub(crate) fn validate(&self) -> Result<(), ChecksError> {
        if self.tables.is_empty() && self.queries.is_empty() && self.schema.is_none() {
            return Err(ChecksError::Nothing);
        }
        at_most("tables", self.tables.len(), MAX_TABLES)?;
        at_most("queries", self.queries.len(), MAX_QUERIES)?;
        once("the table", self.tables.iter().map(|table| table.name.to_string()))?;
        once("the query", self.queries.iter().map(|query| query.name.clone()))?;
        self.tables.iter().try_for_each(Table::validate)?;
        for query in &self.queries {
            named("a query", &query.name)?;
            sql(&query.name, &query.sql)?;
        }
        let Some(schema) = &self.schema else { return Ok(()) };
        at_most("schemas", schema.schemas.len(), MAX_TABLES)?;
        at_most("expected differences", schema.expected.len(), MAX_COLUMNS)?;
        schema.schemas.iter().try_for_each(|name| named("a schema", name))?;
        schema.expected.iter().try_for_each(|expected| reasoned(&expected.path, &expected.reason))
    }
}

impl Table {
    fn validate(&self) -> Result<(), ChecksError> {
        named("a schema", &self.name.schema)?;
        named("a table", &self.name.name)?;
        at_most("columns of a key", self.key.len(), MAX_KEY_COLUMNS)?;
        at_most("columns", self.columns.len(), MAX_COLUMNS)?;
        at_most("columns left out", self.left_out.len(), MAX_COLUMNS)?;
        let left_out = self.left_out.iter().map(|left| &left.column);
        self.key.iter().chain(&self.columns).chain(left_out).try_for_each(|name| named("a column", name))?;
        once("the key's column", self.key.iter().cloned())?;
        once("the column", self.columns.iter().cloned())?;
        for left in &self.left_out {
            reasoned(&format!("{}.{}", self.name, left.column), &left.reason)?;
            if self.key.contains(&left.column) {
                let (table, column) = (self.name.to_string(), left.column.clone());
                return Err(ChecksError::KeyLeftOut { table, column });
            }
        }
        self.filter.iter().try_for_each(|filter| sql(&self.name.to_string(), filter))
    }
}

fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), ChecksError> {
    if found > most { Err(ChecksError::TooMany { what, found, most }) } else { Ok(()) }
}

fn once(what: &'static str, names: impl Iterator<Item = String>) -> Result<(), ChecksError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if let Some(name) = seen.replace(name) {
            return Err(ChecksError::Twice { what, name });
        }
    }
    Ok(())
}

fn named(what: &'static str, name: &str) -> Result<(), ChecksError> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control);
    if fits { Ok(()) } else { Err(ChecksError::Name { what, bytes: name.len() }) }
}

fn sql(name: &str, sql: &str) -> Result<(), ChecksError> {
    let fits = (1..=MAX_SQL_BYTES).contains(&sql.len()) && !sql.contains('\0');
    if fits { Ok(()) } else { Err(ChecksError::Sql { name: name.to_owned(), bytes: sql.len() }) }
}

fn reasoned(name: &str, reason: &str) -> Result<(), ChecksError> {
    if reason.trim().is_empty() { Err(ChecksError::Reason { name: name.to_owned() }) } else { Ok(()) }
}
