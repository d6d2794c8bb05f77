//! What is asked of one database, and what comes back.

use crate::checks::TableName;
use crate::key::Key;
use crate::range::{FANOUT, MAX_FETCHED_ROWS, Range};
use crate::sql::TableRead;
use std::sync::Arc;

/// Rows of an answer about definitions: 200 tables of 100 columns, and as much again of constraints and indexes.
pub(crate) const MAX_CATALOG_ROWS: usize = 50_000;

/// One statement, all of whose columns are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Version, encoding, what tells one database from another (two), and what its hash function gives. One row of five columns.
    Server,
    /// The definitions of tables.
    Catalog {
        /// These, whether or not they are in one of the schemas.
        tables: Vec<TableName>,
        /// All tables of these.
        schemas: Vec<String>,
    },
    /// The largest value of a column. One row of one column.
    Largest {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// How many rows a table has. One row of one column.
    Count {
        /// The table.
        table: Arc<TableRead>,
    },
    /// The key of every `step`th row of a range, in the key's order. A column for each of the key's.
    Split {
        /// The table.
        table: Arc<TableRead>,
        /// Where.
        range: Range,
        /// At least 1.
        step: u64,
    },
    /// Keys that divide the whole table into about equal parts, from a sample. A column for each of the key's.
    Sample {
        /// The table.
        table: Arc<TableRead>,
        /// How many rows it has.
        rows: u64,
    },
    /// Count and checksum of the parts of a range: its number (from 0; -1 where the key is NULL), its rows, their checksum.
    Sums {
        /// The table.
        table: Arc<TableRead>,
        /// Where.
        range: Range,
        /// Where one part ends and the next one begins, ascending. At most [`FANOUT`].
        bounds: Vec<Key>,
    },
    /// Key and hash of each row of a range, in the key's order: the key's columns, the row's hash.
    Rows {
        /// The table.
        table: Arc<TableRead>,
        /// Where.
        range: Range,
    },
    /// The hash of each column of some rows: the key's columns, then one for each that is compared.
    Columns {
        /// The table.
        table: Arc<TableRead>,
        /// Where these rows are.
        range: Range,
        /// Which.
        keys: Vec<Key>,
    },
    /// A query of the plan's own. One column; at most two rows are wanted of it, for one is expected.
    Query {
        /// As the plan has it.
        sql: String,
    },
}

impl Question {
    /// Rows that an answer has at most. One more is an error of the server.
    pub fn max_rows(&self) -> usize {
        match self {
            Question::Server | Question::Largest { .. } | Question::Count { .. } => 1,
            Question::Catalog { .. } => MAX_CATALOG_ROWS,
            // The last part may be one row longer than the others.
            Question::Split { .. } | Question::Sample { .. } => FANOUT + 1,
            Question::Sums { .. } => FANOUT + 3,
            Question::Rows { .. } | Question::Columns { .. } => MAX_FETCHED_ROWS + 1,
            Question::Query { .. } => 2,
        }
    }

    /// What it is about, for errors: no values.
    pub fn about(&self) -> String {
        match self {
            Question::Server => "the server's version".into(),
            Question::Catalog { .. } => "the tables' definitions".into(),
            Question::Largest { table, column } => format!("the largest {table}.{column}"),
            Question::Count { table } => format!("the number of rows of {}", table.name),
            Question::Split { table, .. } | Question::Sample { table, .. } => format!("the keys of {}", table.name),
            Question::Sums { table, .. } => format!("the checksums of {}", table.name),
            Question::Rows { table, .. } => format!("the rows' hashes of {}", table.name),
            Question::Columns { table, .. } => format!("the columns' hashes of {}", table.name),
            Question::Query { .. } => "the plan's query".into(),
        }
    }
}

/// Rows of texts, NULL as `None`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// In the order of the server.
    pub rows: Vec<Vec<Option<String>>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({} rows)", self.rows.len())
    }
}

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{about}: the answer has {found}, expected {expected}")]
pub(crate) struct AnswerError {
    pub(crate) about: String,
    pub(crate) found: String,
    pub(crate) expected: &'static str,
}

impl Answer {
    /// The texts of each row: `columns` of them, none NULL.
    pub(crate) fn texts(&self, question: &Question, columns: usize) -> Result<Vec<Vec<&str>>, AnswerError> {
        let wrong = |found: String| AnswerError {
            about: question.about(),
            found,
            expected: "rows of as many texts as were asked for",
        };
        if self.rows.len() > question.max_rows() {
            return Err(wrong(format!("{} rows", self.rows.len())));
        }
        let row = |row: &'_ Vec<Option<String>>| row.len() == columns && row.iter().all(Option::is_some);
        if !self.rows.iter().all(row) {
            return Err(wrong(format!("a row that is not of {columns} texts")));
        }
        Ok(self.rows.iter().map(|row| row.iter().flatten().map(String::as_str).collect()).collect())
    }

    /// The texts of its only row.
    pub(crate) fn only(&self, question: &Question, columns: usize) -> Result<Vec<&str>, AnswerError> {
        let mut rows = self.texts(question, columns)?;
        if rows.len() != 1 {
            let found = format!("{} rows", rows.len());
            return Err(AnswerError { about: question.about(), found, expected: "one row" });
        }
        Ok(rows.remove(0))
    }
}

/// A whole number that is not negative.
pub(crate) fn count(question: &Question, text: &str) -> Result<u64, AnswerError> {
    text.parse().map_err(|_| AnswerError {
        about: question.about(),
        found: "something that is no number of rows".into(),
        expected: "a whole number",
    })
}
