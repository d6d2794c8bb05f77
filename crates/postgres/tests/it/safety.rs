//! Nothing but reads is sent, whoever fails is an error, and whoever is dropped ends.

use crate::server::Server;
use crate::{LIMIT, Pair, SECRET, check, tables};
use migration::{Checks, Query, Relation, SchemaCheck, Table};
use model::GateVerdict::{Error, Fail, Inconclusive, Pass};
use model::{ClientTls, PerEnvironment};
use std::sync::Arc;
use std::time::Duration;

const SETUP: &str =
    "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 3000) g";

fn sleeping() -> Checks {
    let query = Query { name: "q".into(), sql: "SELECT pg_sleep(100)::text".into(), relation: Relation::Equal };
    Checks { queries: vec![query], ..Checks::default() }
}

#[tokio::test]
async fn a_role_that_may_only_read_is_enough_and_nothing_else_is_sent() {
    let pair = Pair::new(SETUP, "UPDATE t SET v = 'x' WHERE id = 1500; DELETE FROM t WHERE id = 3");
    let role = format!("reader_{}", pair.names.blue);
    pair.server.sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    for name in [&pair.names.blue, &pair.names.green] {
        pair.server.sql(name, &format!("GRANT SELECT ON t, t_id_seq TO {role}"));
    }
    let query = Query { name: "q".into(), sql: "SELECT count(*) FROM t".into(), relation: Relation::AtMost };
    let schema = SchemaCheck { schemas: vec!["public".into()], expected: Vec::new() };
    let checks = Checks { tables: vec![Table::new("t")], queries: vec![query], schema: Some(schema) };
    let answer = postgres::run(&pair.by(&role, ""), &checks, LIMIT, SECRET).await;
    let reasons = [
        "t: green lost 1 row of blue's 3,000; the first is id 3 (row 3 of blue by key)",
        "t: green has other values in 1 row, in the column v; the first is id 1500 (row 1,500 of blue by key)",
    ];
    assert_eq!((answer.result.verdict, &answer.result.reasons[..]), (Fail, &reasons.map(str::to_owned)[..]));
    for name in [&pair.names.blue, &pair.names.green] {
        let logged = pair.server.logged(&role, name);
        let statements: Vec<_> = logged
            .iter()
            .filter_map(|line| line.split_once("LOG:  statement: ").or(line.split_once("LOG:  execute ")))
            .map(|(_, statement)| {
                statement.split_once(": ").filter(|(name, _)| name.starts_with('<')).map_or(statement, |(_, sql)| sql)
            })
            .collect();
        assert!(statements.len() >= 10, "{logged:#?}");
        let begins = [
            "SELECT ",
            "WITH t AS (SELECT ",
            "SET default_transaction_read_only = on; ",
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "ROLLBACK",
        ];
        for statement in &statements {
            assert!(begins.iter().any(|begin| statement.starts_with(begin)), "{statement}");
        }
        assert_eq!(statements.last(), Some(&"ROLLBACK"));
        assert!(logged.iter().all(|line| line.contains("/verdigris migration gate:")), "{logged:#?}");
    }
}

#[tokio::test]
async fn a_source_that_fails_is_an_error() {
    let pair = Pair::new(SETUP, "");
    let (port, blue) = (pair.server.port, pair.names.blue.clone());
    pair.server.sql("postgres", &format!("CREATE ROLE known_{blue} LOGIN PASSWORD 'right'"));
    let mut databases = pair.databases();
    let mut failing = async |name: &str, dsn: &str, checks: Checks, expected: &str| {
        databases.green = pair.database(name, dsn, ClientTls::default());
        let answer = postgres::run(&databases, &checks, LIMIT, SECRET).await;
        assert_eq!(answer.result.verdict, Error, "{:?}", answer.result);
        assert!(answer.result.reasons[0].contains(expected), "{:?}", answer.result);
        assert!(!format!("{answer:?}").contains("wrong-geheim"), "{answer:?}");
    };
    let t = || tables(&["t"]);
    let wrong = format!("host=127.0.0.1 port={port} user=known_{blue} password=wrong-geheim dbname={blue}");
    failing("wrong", &wrong, t(), "password authentication failed").await;
    failing("closed", "host=127.0.0.1 port=1 user=a dbname=b", t(), "green: 127.0.0.1:1 does not accept connections")
        .await;
    let nobody = format!("host={} port={port} user=postgres dbname=nowhere", pair.server.folder().display());
    failing("nobody", &nobody, t(), "database \"nowhere\" does not exist").await;
    let own = format!("host={} port={port} user=postgres dbname={}", pair.server.folder().display(), pair.names.green);
    failing("table", &own, tables(&["nothing"]), "nothing: blue has no such table").await;
    failing(
        "rights",
        &own.replace("user=postgres", &format!("user=known_{blue}")),
        t(),
        "permission denied for table t",
    )
    .await;
}

#[tokio::test]
async fn one_database_is_not_two() {
    let pair = Pair::new(SETUP, "");
    let blue = pair.databases().blue;
    let databases = PerEnvironment { blue: blue.clone(), green: blue };
    let result = postgres::run(&databases, &tables(&["t"]), LIMIT, SECRET).await.result;
    assert_eq!(result.verdict, Inconclusive);
    assert!(result.reasons[0].starts_with("blue and green are the same database"), "{result:?}");
}

#[tokio::test]
async fn rows_that_a_policy_hides_are_no_lost_rows() {
    let pair = Pair::new(SETUP, "ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    let role = format!("hidden_{}", pair.names.blue);
    pair.server.sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    for name in [&pair.names.blue, &pair.names.green] {
        pair.server.sql(name, &format!("GRANT SELECT ON t TO {role}"));
    }
    let result = postgres::run(&pair.by(&role, ""), &tables(&["t"]), LIMIT, SECRET).await.result;
    assert_eq!(result.verdict, Error, "{result:?}");
    assert!(result.reasons[0].contains("row-level security"), "{result:?}");
}

#[tokio::test]
async fn a_connection_over_the_network_is_verified() {
    let pair = Pair::new(SETUP, "");
    let role = format!("net_{}", pair.names.blue);
    pair.server.sql("postgres", &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'right'"));
    let databases = |host: &str, ca: Option<String>| {
        pair.names.clone().map(|name| {
            let dsn = format!("postgresql://{role}:right@{host}:{}/{name}?sslmode=require", pair.server.port);
            pair.database(&name, &dsn, ClientTls { ca: ca.clone(), ..ClientTls::default() })
        })
    };
    let trusted =
        postgres::run(&databases("localhost", Some(pair.server.authority())), &tables(&["t"]), LIMIT, SECRET).await;
    assert_eq!((trusted.result.verdict, trusted.result.reasons), (Pass, Vec::new()));
    let strange = postgres::run(&databases("localhost", None), &tables(&["t"]), LIMIT, SECRET).await;
    assert_eq!(strange.result.verdict, Error);
    assert!(strange.result.reasons[0].contains("TLS: "), "{:?}", strange.result);
    let other =
        postgres::run(&databases("127.0.0.1", Some(pair.server.authority())), &tables(&["t"]), LIMIT, SECRET).await;
    assert_eq!(other.result.verdict, Error);
    assert!(other.result.reasons[0].contains("TLS: "), "{:?}", other.result);
}

/// Sessions of ours that are doing something on this database.
fn running(pair: &Pair, name: &str) -> String {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'verdigris migration gate' AND state = 'active'";
    pair.server.sql("postgres", &format!("{sql} AND datname = '{name}'"))
}

/// Until a number of sessions is running.
async fn until(pair: &Pair, name: &str, expected: &str) {
    while running(pair, name) != expected {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_ends_its_statements() {
    let pair = Pair::new(SETUP, "");
    let databases = pair.databases();
    let asked = tokio::spawn(async move { postgres::run(&databases, &sleeping(), LIMIT, SECRET).await });
    until(&pair, &pair.names.blue, "1").await;
    until(&pair, &pair.names.green, "1").await;
    asked.abort();
    until(&pair, &pair.names.blue, "0").await;
    until(&pair, &pair.names.green, "0").await;
    let logged = pair.server.logged("postgres", &pair.names.blue).join("\n");
    assert!(logged.contains("canceling statement due to user request"), "{logged}");
}

#[tokio::test]
async fn what_takes_too_long_is_an_error_and_ends_on_the_server() {
    let pair = Pair::new(SETUP, "");
    let result = postgres::run(&pair.databases(), &sleeping(), Duration::from_millis(700), SECRET).await.result;
    assert_eq!(result.verdict, Error);
    let words = &result.reasons[0];
    assert!(words.contains("were not done within 0.7 s") || words.contains("statement timeout"), "{words}");
    until(&pair, &pair.names.blue, "0").await;
    until(&pair, &pair.names.green, "0").await;
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_ends_by_its_limit() {
    let pair = Pair::new(SETUP, "");
    let (server, name) = (Arc::clone(&pair.server), pair.names.green.clone());
    let lock = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4)";
    let holding = tokio::task::spawn_blocking(move || server.sql(&name, lock));
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE mode = 'AccessExclusiveLock' AND granted";
    while pair.server.sql("postgres", &format!("{held} AND datname = '{}'", pair.names.green)) == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let result = postgres::run(&pair.databases(), &tables(&["t"]), Duration::from_secs(2), SECRET).await.result;
    assert_eq!(result.verdict, Error);
    assert!(result.reasons[0].contains("lock timeout") || result.reasons[0].contains("within 2 s"), "{result:?}");
    holding.await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_is_an_error() {
    let pair = Pair::on(Arc::new(Server::start(&[])), SETUP, "");
    let databases = pair.databases();
    let asked = tokio::spawn(async move { postgres::run(&databases, &sleeping(), LIMIT, SECRET).await });
    until(&pair, &pair.names.green, "1").await;
    pair.server.stop();
    let result = asked.await.unwrap().result;
    assert_eq!(result.verdict, Error, "{result:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error() {
    let sql = "SELECT repeat('x', 100000000)";
    let query = Query { name: "q".into(), sql: sql.into(), relation: Relation::Equal };
    let checks = Checks { queries: vec![query], ..Checks::default() };
    let pair = Pair::new(SETUP, "");
    let answer = pair.run(&checks).await;
    assert_eq!(answer.result.verdict, Error);
    assert!(answer.result.reasons[0].contains("the answer is longer than 8388608 bytes"), "{:?}", answer.result);
    assert!(answer.bytes.blue.received < postgres::MAX_ANSWER_BYTES * 2);
    check(SETUP, "", &tables(&["t"]), Pass, &[]).await;
}
