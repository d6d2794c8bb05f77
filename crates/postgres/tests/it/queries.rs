//! Queries of the plan's own.

use crate::{Pair, check};
use migration::{Checks, Query, Relation};
use model::GateVerdict::{self, Error, Fail, Inconclusive, Pass};

const SETUP: &str =
    "CREATE TABLE t (v numeric, name text); INSERT INTO t SELECT g, 'geheim ' || g FROM generate_series(1, 100) g";

async fn query(sql: &str, relation: Relation, change: &str, verdict: GateVerdict, reasons: &[&str]) {
    let query = Query { name: "q".into(), sql: sql.into(), relation };
    let checks = Checks { queries: vec![query], ..Checks::default() };
    check(SETUP, change, &checks, verdict, reasons).await;
}

#[tokio::test]
async fn relations_hold_or_do_not() {
    let (count, one_less) = ("SELECT count(*) FROM t; -- all", "DELETE FROM t WHERE v = 1");
    let one_more = "INSERT INTO t VALUES (101)";
    query("SELECT count(*) FROM t;", Relation::Equal, "", Pass, &[]).await;
    query(
        "SELECT count(*) FROM t -- all",
        Relation::Equal,
        one_less,
        Fail,
        &["query q: green has 99, blue 100, expected the same"],
    )
    .await;
    query("SELECT count(*) FROM t", Relation::AtLeast, one_more, Pass, &[]).await;
    query(
        "SELECT count(*) FROM t",
        Relation::AtLeast,
        one_less,
        Fail,
        &["query q: green has 99, blue 100, expected at least blue's"],
    )
    .await;
    query("SELECT count(*) FROM t", Relation::AtMost, one_less, Pass, &[]).await;
    query(
        "SELECT count(*) FROM t",
        Relation::AtMost,
        one_more,
        Fail,
        &["query q: green has 101, blue 100, expected at most blue's"],
    )
    .await;
    query("SELECT count(*) FROM t", Relation::Within { basis_points: 100 }, one_more, Pass, &[]).await;
    let words = "query q: green has 101, blue 100, expected blue's within 0.99 %";
    query("SELECT count(*) FROM t", Relation::Within { basis_points: 99 }, one_more, Fail, &[words]).await;
    query("SELECT sum(v) * 1.00 FROM t", Relation::Equal, "", Pass, &[]).await;
    // A comment behind the semicolon is no end of the statement.
    let pair = Pair::new(SETUP, "");
    let checks = Checks {
        queries: vec![Query { name: "q".into(), sql: count.into(), relation: Relation::Equal }],
        ..Checks::default()
    };
    assert_eq!(pair.run(&checks).await.result.verdict, Error);
}

#[tokio::test]
async fn texts_are_compared_and_not_shown() {
    let words = "query q: green's value is not blue's; it is no number, so it is not shown";
    query("SELECT max(name) FROM t", Relation::Equal, "", Pass, &[]).await;
    query("SELECT max(name) FROM t", Relation::Equal, "UPDATE t SET name = 'x' || name", Fail, &[words]).await;
    query(
        "SELECT min(v) FROM t WHERE v > 99",
        Relation::Equal,
        "DELETE FROM t",
        Fail,
        &["query q: blue has a value and green has none"],
    )
    .await;
    let words = "query q: a number of at most 28 digits is expected of both sides; cast it to numeric, or count";
    query("SELECT max(name) FROM t", Relation::AtLeast, "", Inconclusive, &[words]).await;
    query("SELECT max(v) FROM t WHERE v < 0", Relation::AtLeast, "", Inconclusive, &[words]).await;
}

#[tokio::test]
async fn a_query_that_is_none_is_an_error() {
    let rows = "query q: the answer has more than one row or column, expected one row of one column";
    query("SELECT v FROM t", Relation::Equal, "", Error, &[rows]).await;
    for (sql, said) in [
        ("SELECT nothing FROM t", "42703"),
        ("SELECT 1; SELECT 2", "42601"),
        ("SELECT 1) AS q(v); DELETE FROM t; SELECT (2", "42601"),
        ("SELECT 1) AS q(v); DELETE FROM t; SELECT * FROM (SELECT 2", "42601"),
        ("DELETE FROM t RETURNING v", "42601"),
        ("SELECT nextval(pg_get_serial_sequence('s', 'id'))", "25006"),
    ] {
        let pair = Pair::new(&format!("{SETUP}; CREATE TABLE s (id serial)"), "");
        let query = Query { name: "q".into(), sql: sql.into(), relation: Relation::Equal };
        let result = pair.run(&Checks { queries: vec![query], ..Checks::default() }).await.result;
        assert_eq!(result.verdict, Error, "{sql}: {result:?}");
        assert!(result.reasons[0].contains(said), "{sql}: {result:?}");
        assert_eq!(pair.server.sql(&pair.names.green, "SELECT count(*) FROM t"), "100", "{sql}");
    }
    // What a value made fail does not quote the value.
    let pair = Pair::new(SETUP, "");
    let query = Query { name: "q".into(), sql: "SELECT max(name::int) FROM t".into(), relation: Relation::Equal };
    let answer = pair.run(&Checks { queries: vec![query], ..Checks::default() }).await;
    assert_eq!(answer.result.verdict, Error);
    assert!(!format!("{answer:?}").contains("geheim"), "{answer:?}");
}
