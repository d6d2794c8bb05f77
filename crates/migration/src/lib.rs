//! Whether green's data is blue's: what is asked of two databases, and what the answers mean. What the migration gate decides
//! from.
//!
//! Pure: nothing is connected to and no statement is sent from here; a driver (`postgres`) takes the questions of a
//! [`Comparison`], as SQL by [`sql`], and brings the answers. The same answers give the same assessment, byte for byte. All
//! questions are reads. What answers hold stays in memory: reasons and evidence have counts, names of columns, and keys that
//! are whole numbers or UUIDs; any other key is shown by a keyed hash, for it may be personal data.
//!
//! [`Checks`] is what a plan asks for, [`Comparison`] the way from questions to an [`Assessment`]. Rows are compared by
//! checksums that the servers compute over ranges of the key: 64 ranges at a time, and those that differ again, until a range
//! is small enough that its rows' hashes are fetched and joined.

mod assessment;
mod catalog;
mod checks;
mod comparison;
mod decimal;
mod join;
mod key;
mod question;
mod range;
mod relation;
mod rows;
mod schema;
mod sequence;
pub mod sql;
pub mod traces;

pub use assessment::Assessment;
pub use checks::{
    Checks, ChecksError, ExpectedDifference, LeftOut, MAX_COLUMNS, MAX_QUERIES, MAX_TABLES, Query, Relation, Rows,
    SchemaCheck, Table, TableName,
};
pub use comparison::{Ask, Comparison, Next};
pub use key::{Key, KeyClass, KeyColumn};
pub use question::{Answer, Question};
pub use range::{FANOUT, LEAF_ROWS, MAX_FETCHED_ROWS, MAX_FOLLOWED, MAX_SPLITS, Range};
pub use sql::{Canonical, Checksum, ColumnRead, TableRead};
