//! Questions as PostgreSQL's SQL (version 13 and later: `trim_scale`). Every statement is one `SELECT`.
//!
//! A row becomes one text: its columns' texts behind each other with a comma between, those of types whose texts may hold
//! anything behind their length. So NULL, `''` and `'NULL'` stay apart, and no two rows have the same text. Values become
//! texts by [`SESSION`], so that no setting of a server or role makes a difference.
//!
//! A range's checksum is the sum of its rows' 64-bit hashes, which no order changes and which duplicates do not cancel, as they
//! would with XOR. Two ranges that differ by accident have the same sum and count with a probability of 2^-64. Somebody who
//! can choose rows could make two sums meet: it finds mistakes, not forgers. Rows of small ranges are compared by md5.

mod catalog;
#[cfg(test)]
mod tests;

use crate::checks::TableName;
use crate::key::{Key, KeyClass, KeyColumn, is_integer};
use crate::question::Question;
use crate::range::{FANOUT, MAX_FETCHED_ROWS, Range, SAMPLED_ROWS};

/// What a session is set to before anything is asked: names and values as SQL, for `SET`. Values as texts depend on the first
/// seven. Row security makes a statement fail instead of hiding rows. What a name without a schema means is the same on both
/// sides: a query of the plan names other schemas than `public`.
pub const SESSION: &[(&str, &str)] = &[
    ("standard_conforming_strings", "'on'"),
    ("client_encoding", "'UTF8'"),
    ("extra_float_digits", "'1'"),
    ("TimeZone", "'UTC'"),
    ("DateStyle", "'ISO, YMD'"),
    ("IntervalStyle", "'iso_8601'"),
    ("bytea_output", "'hex'"),
    ("xmloption", "'content'"),
    ("quote_all_identifiers", "'off'"),
    ("row_security", "'off'"),
    ("search_path", "pg_catalog, public"),
    ("jit", "'off'"),
];

/// How a column's value becomes a text that is the same for equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonical {
    /// As its type writes it, which is never empty and without a comma: numbers, times, `uuid`, `boolean`, `bytea`. So -0.0 is
    /// not 0.0, though `=` says so: no copy turns one into the other. NaN is NaN.
    Plain,
    /// `numeric`, and `money`: without zeros at the end. A scale belongs to the column's type, which the schema check sees.
    Number,
    /// `timestamptz` as the time in UTC, where the other side has a `timestamp`.
    InUtc,
    /// Anything else, as it is written, behind its length. `char(n)` without its padding, which means nothing in a comparison of SQL.
    Text,
    /// `json`, by way of `jsonb`: neither spaces nor the order of keys mean anything (RFC 8259), and duplicates' last counts.
    Json,
}

/// A column that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRead {
    /// Its name.
    pub name: String,
    /// How.
    pub canonical: Canonical,
}

/// What a row's 64 bits are made with, on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The server's own `hashtextextended`: three times as fast as md5, together with what makes 64 bits of that. It is the same on every server
    /// of the same byte order, for partitions by hash depend on it; both sides show that theirs is.
    Builtin,
    /// The first 64 bits of md5: the same everywhere.
    Md5,
}

/// How a table of one side is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRead {
    /// Its name.
    pub name: TableName,
    /// What tells rows apart. The same classes on both sides. At least one.
    pub key: Vec<KeyColumn>,
    /// What is compared, in the same order on both sides. At least one.
    pub columns: Vec<ColumnRead>,
    /// The plan's condition.
    pub filter: Option<String>,
    /// Whether the server keeps texts as UTF-8. If not they are converted before they are hashed.
    pub is_utf8: bool,
    /// How ranges are summed up. The same on both sides.
    pub checksum: Checksum,
    /// Whether some of its pages can be read instead of all: of a table, not of a view.
    pub can_sample: bool,
}

/// The question as one statement without parameters.
pub fn render(question: &Question) -> String {
    match question {
        Question::Server => concat!(
            "SELECT current_setting('server_version_num'), pg_catalog.getdatabaseencoding()::text, ",
            "pg_catalog.pg_postmaster_start_time()::text, ",
            "(SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()), ",
            // Of a short text and of one that takes several rounds.
            "concat_ws(' ', hashtextextended('verdigris' COLLATE \"C\", 0), ",
            "hashtextextended(repeat('verdigris ', 99) COLLATE \"C\", 0))"
        )
        .into(),
        Question::Catalog { tables, schemas } => catalog::render(tables, schemas),
        Question::Largest { table, column } => {
            format!("SELECT coalesce(max({})::text, '') FROM {}", identifier(column), qualified(table))
        }
        Question::Count { table } => {
            format!("SELECT count(*)::text FROM {}{}", qualified(&table.name), table.condition(&Range::ALL, false))
        }
        Question::Split { table, range, step } => {
            let (order, texts) = (table.key_list(), table.key_texts());
            let aliases: Vec<_> = (0..table.key.len()).map(alias).collect();
            format!(
                "SELECT {} FROM (SELECT {}, row_number() OVER (ORDER BY {order}) AS n FROM {}{}) AS s \
                 WHERE n % {step} = 0 ORDER BY n",
                aliases.join(", "),
                texts.join(", "),
                qualified(&table.name),
                table.condition(range, true)
            )
        }
        Question::Sample { table, rows } => {
            let (order, texts) = (table.key_list(), table.key_texts());
            let aliases: Vec<_> = (0..table.key.len()).map(alias).collect();
            // Some hundred rows a part make parts that are of a size within a tenth or so. Pages are read, not rows.
            let percent = 100.0 * (SAMPLED_ROWS as f64 / *rows as f64).min(1.0);
            format!(
                "SELECT {} FROM (SELECT {}, row_number() OVER (ORDER BY {order}) AS n, count(*) OVER () AS c \
                 FROM {} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0){}) AS s \
                 WHERE n % greatest(c / {FANOUT}, 1) = 0 ORDER BY n LIMIT {FANOUT}",
                aliases.join(", "),
                texts.join(", "),
                qualified(&table.name),
                table.condition(&Range::ALL, true)
            )
        }
        Question::Sums { table, range, bounds } => {
            let part = table.part(bounds, 0);
            // Rows without a key are in no range, and in one part of the whole.
            let (part, is_keyed) = match table.null_key() {
                Some(null) if *range == Range::ALL => (format!("CASE WHEN {null} THEN -1 ELSE {part} END"), false),
                Some(_) | None => (part, true),
            };
            // Made texts of at the end, once a part and not once a row.
            format!(
                "SELECT p::text, n::text, s::text FROM (SELECT {part} AS p, count(*) AS n, sum({}) AS s FROM {}{} GROUP BY 1) AS r",
                table.summand(),
                qualified(&table.name),
                table.condition(range, is_keyed)
            )
        }
        Question::Rows { table, range } => format!(
            "SELECT {}, {} FROM {}{} ORDER BY {} LIMIT {}",
            table.key_texts().join(", "),
            table.row_hash(),
            qualified(&table.name),
            table.condition(range, true),
            table.key_list(),
            MAX_FETCHED_ROWS + 1
        ),
        Question::Columns { table, range, keys } => {
            let hashes: Vec<_> = table.columns.iter().map(|column| table.hash(&[column])).collect();
            let (list, condition) = (table.key_row(), table.condition(range, true));
            let keys: Vec<_> = keys.iter().map(|key| format!("{list} = {}", table.literal_row(key))).collect();
            let joint = if condition.is_empty() { "WHERE" } else { "AND" };
            format!(
                "SELECT {}, {} FROM {}{condition} {joint} ({}) LIMIT {}",
                table.key_texts().join(", "),
                hashes.join(", "),
                qualified(&table.name),
                keys.join(" OR "),
                MAX_FETCHED_ROWS + 1
            )
        }
        // On lines of its own, so that a comment at its end does not reach ours. As a part of our statement it cannot be
        // two; who closes the parenthesis is refused by the server, which takes one statement at a time.
        Question::Query { sql } => {
            let sql = sql.trim().trim_end_matches(';').trim_end();
            format!("SELECT (q.v)::text FROM (\n{sql}\n) AS q(v) LIMIT 2")
        }
    }
}

impl TableRead {
    /// ` WHERE …`, or nothing. `is_keyed` leaves out rows whose key is NULL.
    fn condition(&self, range: &Range, is_keyed: bool) -> String {
        let mut parts = Vec::new();
        if let Some(filter) = &self.filter {
            parts.push(format!("(\n{filter}\n)"));
        }
        if let Some(after) = &range.after {
            parts.push(format!("{} > {}", self.key_row(), self.literal_row(after)));
        }
        if let Some(until) = &range.until {
            parts.push(format!("{} <= {}", self.key_row(), self.literal_row(until)));
        }
        if let Some(null) = self.null_key().filter(|_| is_keyed) {
            parts.push(format!("NOT ({null})"));
        }
        if parts.is_empty() { String::new() } else { format!(" WHERE {}", parts.join(" AND ")) }
    }

    /// The number of the part that a key is in, as a tree of comparisons: six for 64 parts.
    fn part(&self, bounds: &[Key], first: usize) -> String {
        if bounds.is_empty() {
            return first.to_string();
        }
        let middle = bounds.len() / 2;
        format!(
            "CASE WHEN {} <= {} THEN {} ELSE {} END",
            self.key_row(),
            self.literal_row(&bounds[middle]),
            self.part(&bounds[..middle], first),
            self.part(&bounds[middle + 1..], first + middle + 1)
        )
    }

    fn null_key(&self) -> Option<String> {
        let nullable: Vec<_> = self
            .key
            .iter()
            .filter(|column| column.nullable)
            .map(|column| format!("{} IS NULL", identifier(&column.name)))
            .collect();
        (!nullable.is_empty()).then(|| nullable.join(" OR "))
    }

    fn ordered(&self) -> Vec<String> {
        let ordered = |column: &KeyColumn| match column.class {
            KeyClass::Integer | KeyClass::Native { .. } => identifier(&column.name),
            KeyClass::Text => format!("({}::text COLLATE \"C\")", identifier(&column.name)),
            KeyClass::RowHash => format!("{}::uuid", self.row_hash()),
        };
        self.key.iter().map(ordered).collect()
    }

    fn key_list(&self) -> String {
        self.ordered().join(", ")
    }

    fn key_row(&self) -> String {
        row(&self.ordered())
    }

    fn key_texts(&self) -> Vec<String> {
        let text = |column: &KeyColumn| match column.class {
            KeyClass::Integer | KeyClass::Native { .. } | KeyClass::Text => {
                format!("{}::text", identifier(&column.name))
            }
            KeyClass::RowHash => format!("{}::uuid::text", self.row_hash()),
        };
        // Without a name of its own it would have the column's, and ORDER BY would take the text for the column.
        self.key.iter().enumerate().map(|(at, column)| format!("{} AS {}", text(column), alias(at))).collect()
    }

    fn literal_row(&self, key: &Key) -> String {
        let literal = |(column, text): (&KeyColumn, &String)| match &column.class {
            KeyClass::Integer => {
                assert!(is_integer(text), "a key of this class was read as a whole number");
                format!("({text})")
            }
            KeyClass::Native { type_name } => format!("{}::{type_name}", quoted(text)),
            KeyClass::Text => format!("({}::text COLLATE \"C\")", quoted(text)),
            KeyClass::RowHash => format!("{}::uuid", quoted(text)),
        };
        row(&self.key.iter().zip(key.0.iter()).map(literal).collect::<Vec<_>>())
    }

    fn row_hash(&self) -> String {
        self.hash(&self.columns.iter().collect::<Vec<_>>())
    }

    /// A row's 64 bits.
    fn summand(&self) -> String {
        let columns: Vec<_> = self.columns.iter().collect();
        match self.checksum {
            // The columns' own collations could disagree, and need not be deterministic.
            Checksum::Builtin => format!("hashtextextended({} COLLATE \"C\", 0)", text(&columns, self.is_utf8)),
            Checksum::Md5 => format!("('x' || left({}, 16))::bit(64)::bigint", self.hash(&columns)),
        }
    }

    fn hash(&self, columns: &[&ColumnRead]) -> String {
        let text = text(columns, self.is_utf8);
        if self.is_utf8 { format!("md5({text})") } else { format!("md5(convert_to({text}, 'UTF8'))") }
    }
}

/// Columns as one text, whose parts can be told apart. `concat` takes NULL for nothing, and 100 arguments.
fn text(columns: &[&ColumnRead], is_utf8: bool) -> String {
    // In bytes as UTF-8 has them, whatever the server keeps: the length in bytes is there already, that in characters is not.
    let measured = |text: String| {
        let bytes = if is_utf8 { text.clone() } else { format!("convert_to({text}, 'UTF8')") };
        format!("octet_length({bytes}), ':', {text}")
    };
    let value = |column: &ColumnRead| {
        let name = identifier(&column.name);
        match column.canonical {
            Canonical::Plain => name,
            Canonical::Number => format!("trim_scale({name}::numeric)"),
            Canonical::InUtc => format!("({name} AT TIME ZONE 'UTC')"),
            // A NULL has no length either, an empty text has the length 0.
            Canonical::Text => measured(format!("{name}::text")),
            Canonical::Json => measured(format!("{name}::jsonb::text")),
        }
    };
    // At most four arguments a column.
    let parts: Vec<String> = columns
        .chunks(25)
        .map(|columns| {
            let values: Vec<_> = columns.iter().map(|column| value(column)).collect();
            format!("concat({})", values.join(", ',', "))
        })
        .collect();
    match &parts[..] {
        [part] => part.clone(),
        // Between the parts too.
        parts => format!("({})", parts.join(" || ',' || ")),
    }
}

/// One value stands alone, so that an index of one column is used; several are compared as a row.
fn row(values: &[String]) -> String {
    match values {
        [value] => value.clone(),
        values => format!("ROW({})", values.join(", ")),
    }
}

/// What a key's text is called: no table has such a column.
fn alias(at: usize) -> String {
    format!("\"verdigris key {at}\"")
}

fn qualified(table: &TableName) -> String {
    format!("{}.{}", identifier(&table.schema), identifier(&table.name))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as `standard_conforming_strings` has it: only the quote itself must be doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
