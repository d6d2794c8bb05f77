//! Whether two sets of tables are defined alike. Neither the order of columns nor the names of constraints and indexes
//! mean anything. Paths and types are shown; default values and expressions only as far as a definition holds them.

use crate::catalog::{Catalog, Column, Definition};
use crate::checks::ExpectedDifference;
use model::PerEnvironment;
use std::collections::{BTreeMap, BTreeSet};

/// Characters of a constraint's or an index' definition that are shown.
const MAX_SHOWN: usize = 200;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// `orders.column.total.type`.
    pub(crate) path: String,
    pub(crate) words: String,
    /// The plan's reason, if it was declared.
    pub(crate) expected: Option<String>,
}

/// All differences, and the expected paths that nothing was found for.
pub(crate) fn compare(
    catalogs: &PerEnvironment<Catalog>,
    expected: &[ExpectedDifference],
) -> (Vec<Difference>, Vec<String>) {
    let mut found = Vec::new();
    let (blue, green) = (&catalogs.blue.tables, &catalogs.green.tables);
    for name in blue.keys().chain(green.keys()).collect::<BTreeSet<_>>() {
        let path = name.to_string();
        match (blue.get(name), green.get(name)) {
            (Some(blue), Some(green)) => compare_tables(&path, blue, green, &mut found),
            (Some(_), None) => found.push((path, "green has no such table".into())),
            (None, _) => found.push((path, "blue has no such table".into())),
        }
    }
    let is_under = |path: &str, declared: &str| {
        path.strip_prefix(declared).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let differences: Vec<_> = found
        .into_iter()
        .map(|(path, words)| {
            let declared = expected.iter().find(|declared| is_under(&path, &declared.path));
            Difference { expected: declared.map(|declared| declared.reason.clone()), path, words }
        })
        .collect();
    let unmet = expected
        .iter()
        .filter(|declared| !differences.iter().any(|difference| is_under(&difference.path, &declared.path)))
        .map(|declared| declared.path.clone());
    let unmet = unmet.collect();
    (differences, unmet)
}

fn compare_tables(path: &str, blue: &Definition, green: &Definition, found: &mut Vec<(String, String)>) {
    if blue.kind != green.kind {
        let (blue, green) = (kind(&blue.kind), kind(&green.kind));
        found.push((format!("{path}.kind"), format!("green's is a {green}, blue's a {blue}")));
    }
    if blue.partitioned_by != green.partitioned_by {
        found.push((format!("{path}.partitions"), "it is partitioned in another way".into()));
    }
    for name in blue.columns.keys().chain(green.columns.keys()).collect::<BTreeSet<_>>() {
        let path = format!("{path}.column.{name}");
        match (blue.columns.get(name), green.columns.get(name)) {
            (Some(blue), Some(green)) => compare_columns(&path, blue, green, found),
            (Some(_), None) => found.push((path, "green has no such column".into())),
            (None, _) => found.push((path, "blue has no such column".into())),
        }
    }
    compare_all(
        &format!("{path}.constraint"),
        "constraint",
        "validated",
        (&blue.constraints, &green.constraints),
        found,
    );
    compare_all(&format!("{path}.index"), "index", "valid", (&blue.indexes, &green.indexes), found);
    for (column, sequence) in &blue.sequences {
        match green.sequences.get(column) {
            Some(other) if other.increment != sequence.increment => {
                let words = format!("green's sequence goes by {}, blue's by {}", other.increment, sequence.increment);
                found.push((format!("{path}.sequence.{column}"), words));
            }
            Some(_) => {}
            None => found.push((format!("{path}.sequence.{column}"), "green's column has no sequence".into())),
        }
    }
}

fn compare_columns(path: &str, blue: &Column, green: &Column, found: &mut Vec<(String, String)>) {
    if blue.type_name != green.type_name {
        let words = format!("green's type is {}, blue's {}", green.type_name, blue.type_name);
        found.push((format!("{path}.type"), words));
    }
    if blue.not_null != green.not_null {
        let may = |column: &Column| if column.not_null { "may not be NULL" } else { "may be NULL" };
        found.push((format!("{path}.nullable"), format!("green's {}, blue's {}", may(green), may(blue))));
    }
    if blue.default != green.default {
        let words = match (blue.default.is_empty(), green.default.is_empty()) {
            (false, true) => "green has no default, blue has one",
            (true, false) => "green has a default, blue has none",
            _ => "green has another default",
        };
        found.push((format!("{path}.default"), words.into()));
    }
    if blue.others != green.others {
        found.push((format!("{path}.generated"), "it is generated, numbered or collated in another way".into()));
    }
}

fn compare_all(
    path: &str,
    what: &str,
    state: &str,
    (blue, green): (&BTreeMap<String, bool>, &BTreeMap<String, bool>),
    found: &mut Vec<(String, String)>,
) {
    for definition in blue.keys().chain(green.keys()).collect::<BTreeSet<_>>() {
        let words = match (blue.get(definition), green.get(definition)) {
            (Some(blue), Some(green)) if blue == green => continue,
            (Some(_), Some(true)) => format!("green's {what} is {state}, blue's is not"),
            (Some(_), Some(false)) => format!("green's {what} is not {state}, blue's is"),
            (Some(_), None) => format!("green has no such {what}"),
            (None, _) => format!("blue has no such {what}"),
        };
        let shown: String = definition.trim().chars().filter(|shown| !shown.is_control()).take(MAX_SHOWN).collect();
        found.push((format!("{path}.{shown}"), words));
    }
}

/// `pg_class.relkind`.
fn kind(kind: &str) -> &'static str {
    match kind {
        "r" => "table",
        "p" => "partitioned table",
        "v" => "view",
        "m" => "materialized view",
        "f" => "foreign table",
        _ => "relation of another kind",
    }
}

#[cfg(test)]
mod tests;
