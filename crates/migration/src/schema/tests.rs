use super::*;
use crate::checks::TableName;

fn column(type_name: &str) -> Column {
    Column {
        type_name: type_name.into(),
        base_type: type_name.into(),
        not_null: false,
        default: String::new(),
        others: "//".into(),
    }
}

fn table(columns: &[(&str, &str)], indexes: &[(&str, bool)]) -> Definition {
    Definition {
        kind: "r".into(),
        columns: columns.iter().map(|(name, type_name)| ((*name).into(), column(type_name))).collect(),
        indexes: indexes.iter().map(|(definition, valid)| ((*definition).into(), *valid)).collect(),
        ..Definition::default()
    }
}

/// `expected`: each `PATH: WORDS`, with a star where the plan declared it.
fn check(blue: Definition, green: Definition, declared: &[&str], expected: &[&str]) {
    let catalog = |table| Catalog { tables: [(TableName::new("t"), table)].into() };
    let declared: Vec<_> =
        declared.iter().map(|path| ExpectedDifference { path: (*path).into(), reason: "because".into() }).collect();
    let (found, _) = compare(&PerEnvironment { blue: catalog(blue), green: catalog(green) }, &declared);
    let star = |difference: &Difference| if difference.expected.is_some() { "*" } else { "" };
    let found: Vec<_> = found
        .iter()
        .map(|difference| format!("{}{}: {}", star(difference), difference.path, difference.words))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn an_index_that_is_not_valid_is_none() {
    let with = |valid| table(&[("a", "text")], &[(" USING btree (a)", valid)]);
    check(with(true), with(true), &[], &[]);
    check(with(true), with(false), &[], &["t.index.USING btree (a): green's index is not valid, blue's is"]);
}

#[test]
fn a_declared_path_covers_what_is_below_it_and_nothing_beside() {
    let (blue, green) = (table(&[("a", "text"), ("ab", "text")], &[]), table(&[("a", "int"), ("ab", "int")], &[]));
    let words = |path: &str| format!("{path}.type: green's type is int, blue's text");
    let (a, ab) = (words("t.column.a"), words("t.column.ab"));
    check(blue.clone(), green.clone(), &["t.column.a"], &[&format!("*{a}"), &ab]);
    check(blue.clone(), green.clone(), &["t.column.ab.type"], &[&a, &format!("*{ab}")]);
    check(blue, green, &["t"], &[&format!("*{a}"), &format!("*{ab}")]);
}
