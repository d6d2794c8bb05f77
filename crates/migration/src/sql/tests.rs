//! What is sent, as people read it.

use super::*;
use insta::assert_snapshot;
use std::sync::Arc;

fn table(key: &[(&str, KeyClass, bool)], filter: Option<&str>) -> Arc<TableRead> {
    let key = key.iter().map(|(name, class, nullable)| KeyColumn {
        name: (*name).into(),
        class: class.clone(),
        nullable: *nullable,
    });
    let columns = [
        ("id", Canonical::Plain),
        ("name", Canonical::Text),
        ("to\"tal", Canonical::Number),
        ("about", Canonical::Json),
    ];
    let columns = columns.map(|(name, canonical)| ColumnRead { name: name.into(), canonical }).into();
    let filter = filter.map(str::to_owned);
    Arc::new(TableRead {
        name: TableName::new("sales.orders"),
        key: key.collect(),
        columns,
        filter,
        is_utf8: true,
        checksum: Checksum::Builtin,
        can_sample: true,
    })
}

fn key(texts: &[&str]) -> Key {
    Key(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn a_table_by_a_whole_number() {
    let table = table(&[("id", KeyClass::Integer, false)], None);
    let range = Range { after: Some(key(&["-5"])), until: None };
    let questions = [
        Question::Count { table: Arc::clone(&table) },
        Question::Split { table: Arc::clone(&table), range: Range::ALL, step: 156_250 },
        Question::Sample { table: Arc::clone(&table), rows: 10_000_000 },
        Question::Sums { table: Arc::clone(&table), range: range.clone(), bounds: vec![key(&["7"]), key(&["9"])] },
        Question::Rows { table: Arc::clone(&table), range: range.clone() },
        Question::Columns { table, range, keys: vec![key(&["7"]), key(&["8"])] },
    ];
    assert_snapshot!(questions.iter().map(render).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn a_table_by_several_columns_that_may_be_null() {
    let uuid = KeyClass::Native { type_name: "uuid".into() };
    let table = table(&[("tenant", KeyClass::Text, true), ("id", uuid, true)], Some("paid -- only"));
    let bound = key(&["it's", "00000000-0000-0000-0000-000000000001"]);
    let questions = [
        Question::Sums { table: Arc::clone(&table), range: Range::ALL, bounds: vec![bound.clone()] },
        Question::Rows { table, range: Range { after: None, until: Some(bound) } },
    ];
    assert_snapshot!(questions.iter().map(render).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn a_table_without_a_key() {
    let table = TableRead {
        is_utf8: false,
        checksum: Checksum::Md5,
        ..(*table(&[("row", KeyClass::RowHash, false)], None)).clone()
    };
    assert_snapshot!(render(&Question::Rows { table: Arc::new(table), range: Range::ALL }));
}

#[test]
fn names_and_texts_end_where_they_end() {
    assert_eq!(identifier("a\" OR \"b"), "\"a\"\" OR \"\"b\"");
    assert_eq!(quoted("it's \\' --"), "'it''s \\'' --'");
    let render = |sql: &str| render(&Question::Query { sql: sql.into() });
    assert_eq!(render(" SELECT 1 ; ;"), "SELECT (q.v)::text FROM (\nSELECT 1 ;\n) AS q(v) LIMIT 2");
}

#[test]
fn many_columns_take_no_more_arguments_than_there_may_be() {
    let columns: Vec<_> = (0..60).map(|at| ColumnRead { name: format!("c{at}"), canonical: Canonical::Text }).collect();
    let sql = text(&columns.iter().collect::<Vec<_>>(), true);
    assert_eq!(sql.matches("concat(").count(), 3);
    assert!(sql.split("concat(").all(|part| part.matches(", ").count() < 100), "{sql}");
}
