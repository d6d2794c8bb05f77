//! The normal form of a document: what means the same becomes the same.

use crate::format::Budget;
use crate::value::Raw;

/// The documents in one that was read, each with the name of the object that it is, if it is one.
pub(crate) fn documents(_file: &str, raw: Raw, _budget: &mut Budget) -> Vec<(Option<String>, Raw)> {
    vec![(None, raw)]
}
