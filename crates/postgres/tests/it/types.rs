//! Which values are the same, for each type.

use crate::{Pair, check, tables};
use migration::{Checks, Table};
use model::GateVerdict::{Fail, Pass};

type Values<'a> = (&'a str, &'a str, &'a str);

/// Each a type, blue's value and green's, in a column of its own: which columns have other values in green.
async fn check_values(values: &[Values<'_>], is_same: bool) {
    let each = |make: &dyn Fn(usize, &Values<'_>) -> String| {
        values.iter().enumerate().map(|(at, value)| make(at, value)).collect::<Vec<_>>().join(", ")
    };
    let columns = each(&|at, (type_name, ..)| format!("v{at} {type_name}"));
    let blue = each(&|_, (_, blue, _)| (*blue).to_owned());
    let green = each(&|at, (.., green)| format!("v{at} = {green}"));
    let setup = format!(
        "CREATE TABLE t (id int PRIMARY KEY, {columns}); INSERT INTO t VALUES (1), (2), (3); \
        DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, {blue})"
    );
    let answer = Pair::new(&setup, &format!("UPDATE t SET {green} WHERE id = 2")).run(&tables(&["t"])).await;
    let found = answer.evidence["tables"][0]["changedColumns"].as_object().unwrap().clone();
    let wrong: Vec<_> = values
        .iter()
        .enumerate()
        .filter(|(at, _)| found.contains_key(&format!("v{at}")) == is_same)
        .map(|(_, value)| value)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}: {:?}", answer.result);
    assert_eq!(answer.result.verdict, if is_same { Pass } else { Fail });
}

#[tokio::test]
async fn each_type_shows_a_change() {
    let changed = [
        ("smallint", "1", "2"),
        ("bigint", "9223372036854775807", "9223372036854775806"),
        ("boolean", "true", "false"),
        ("real", "0.1", "0.10000001"),
        ("float8", "0.1", "0.1::float8 + 2e-17"),
        ("numeric", "1.000000000000000000001", "1"),
        ("money", "'1.23'", "'1.24'"),
        ("text", "'a'", "'A'"),
        ("varchar(9)", "'é'", "E'e\\u0301'"),
        ("char(5)", "'ab'", "'abc'"),
        ("bytea", "'\\x00ff'", "'\\x00fe'"),
        ("date", "'2026-02-28'", "'2026-03-01'"),
        ("time", "'12:00:00.000001'", "'12:00'"),
        ("timestamp", "'2026-01-01 12:00:00.000001'", "'2026-01-01 12:00'"),
        ("timestamptz", "'2026-01-01 12:00Z'", "'2026-01-01 12:00+01'"),
        ("interval", "'1 day'", "'25 hours'"),
        ("uuid", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"),
        ("json", "'{\"a\": 1}'", "'{\"a\": 2}'"),
        ("jsonb", "'[1, 2]'", "'[2, 1]'"),
        ("int[]", "'{1,NULL}'", "'{1,2}'"),
        ("inet", "'10.0.0.1'", "'10.0.0.2'"),
        ("int4range", "'[1,5)'", "'[1,6)'"),
    ];
    check_values(&changed, false).await;
}

#[tokio::test]
async fn null_an_empty_text_and_the_word_null_differ() {
    let different = [
        ("text", "NULL", "''"),
        ("text", "NULL", "'NULL'"),
        ("text", "''", "' '"),
        ("text", "'a'", "'a '"),
        ("text", "'a'", "E'a\\n'"),
        ("text", "'a,b'", "'a\",\"b'"),
        ("text[]", "'{NULL}'", "'{\"NULL\"}'"),
    ];
    check_values(&different, false).await;
}

#[tokio::test]
async fn values_that_mean_the_same_are_the_same() {
    let same = [
        ("numeric", "1.0", "1.00"),
        ("numeric", "100", "1e2"),
        ("json", "'{\"a\":1,\"b\":2}'", "'{ \"b\": 2, \"a\": 1 }'"),
        ("jsonb", "'{\"a\":1,\"b\":2}'", "'{ \"b\": 2, \"a\": 1 }'"),
        ("float8", "'NaN'", "'NaN'"),
        ("float8", "1e3", "1000"),
        ("char(5)", "'ab'", "'ab   '"),
        ("timestamptz", "'2026-01-01 12:00Z'", "'2026-01-01 14:00+02'"),
        ("text", "NULL", "NULL"),
    ];
    check_values(&same, true).await;
}

#[tokio::test]
async fn a_negative_zero_is_another_value() {
    check_values(&[("float8", "'-0'", "0"), ("real", "'-0'", "0")], false).await;
}

#[tokio::test]
async fn columns_whose_type_changed_without_their_values_are_the_same() {
    let setup = "SET TimeZone = 'UTC'; CREATE TABLE t (id int PRIMARY KEY, a char(4), b numeric(5,1), c timestamp, d int, e json); \
        INSERT INTO t VALUES (1, 'ab', 1.5, '2026-01-01 12:00', 7, '{\"a\":1,  \"b\":2}')";
    let change = "SET TimeZone = 'UTC'; ALTER TABLE t ALTER a TYPE text, ALTER b TYPE numeric(9,3), ALTER c TYPE timestamptz, \
        ALTER d TYPE bigint, ALTER e TYPE jsonb";
    check(setup, change, &tables(&["t"]), Pass, &[]).await;
}

#[tokio::test]
async fn settings_of_a_database_make_no_difference() {
    let pair = Pair::new(
        "CREATE TABLE t (id int PRIMARY KEY, a float8, b timestamptz, c interval, d bytea, e date); \
         INSERT INTO t VALUES (1, 0.1::float8 + 0.2, now(), '1 day 2 hours', '\\x41ff', '2026-02-03')",
        "",
    );
    let row = pair.server.sql(&pair.names.blue, "SELECT b FROM t");
    pair.server.sql(&pair.names.green, &format!("UPDATE t SET b = '{row}'"));
    for (name, value) in [
        ("extra_float_digits", "-15"),
        ("TimeZone", "Asia/Kolkata"),
        ("DateStyle", "German"),
        ("IntervalStyle", "sql_standard"),
        ("bytea_output", "escape"),
    ] {
        pair.server.sql(&pair.names.green, &format!("ALTER DATABASE {} SET {name} = '{value}'", pair.names.green));
    }
    let checks = Checks { tables: vec![Table::new("t")], ..Checks::default() };
    assert_eq!(pair.run(&checks).await.result.reasons, Vec::<String>::new());
}

#[tokio::test]
async fn another_encoding_makes_no_difference() {
    let pair = Pair::new("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'größer')", "");
    let other = pair.server.database();
    pair.server.sql("postgres", &format!("DROP DATABASE {other}"));
    pair.server.sql("postgres", &format!("CREATE DATABASE {other} TEMPLATE template0 ENCODING 'LATIN1'"));
    pair.server.sql(&other, "SET client_encoding = 'UTF8'; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, U&'gr\\00f6\\00dfer')");
    let pair = Pair { names: model::PerEnvironment { blue: pair.names.blue.clone(), green: other }, ..pair };
    assert_eq!(pair.run(&tables(&["t"])).await.result.reasons, Vec::<String>::new());
}
