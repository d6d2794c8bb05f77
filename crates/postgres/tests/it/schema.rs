//! Definitions, and where sequences stand.

use crate::{LIMIT, Pair, SECRET, check};
use migration::{Checks, ExpectedDifference, SchemaCheck, Table};
use model::GateVerdict::{Fail, Inconclusive, Pass};

const SETUP: &str = "CREATE TABLE orders (id bigserial PRIMARY KEY, total numeric(10,2) NOT NULL DEFAULT 0 CHECK (total >= 0), name text); \
    CREATE INDEX by_name ON orders (lower(name)); CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
    \"order\" bigint REFERENCES orders, UNIQUE (\"order\")); \
    INSERT INTO orders (total, name) SELECT g, 'n' || g FROM generate_series(1, 10) g; INSERT INTO items (\"order\") SELECT id FROM orders";

fn schema(expected: &[&str]) -> Checks {
    let expected =
        expected.iter().map(|path| ExpectedDifference { path: (*path).into(), reason: "the plan says so".into() });
    let schema = SchemaCheck { schemas: vec!["public".into()], expected: expected.collect() };
    Checks { schema: Some(schema), ..Checks::default() }
}

#[tokio::test]
async fn the_same_definitions_pass() {
    check(SETUP, "", &schema(&[]), Pass, &[]).await;
    // Neither names of constraints and indexes nor the order of columns mean anything.
    let renamed = "ALTER INDEX by_name RENAME TO other; ALTER TABLE orders RENAME CONSTRAINT orders_total_check TO c; \
        ALTER TABLE orders ADD name2 text; UPDATE orders SET name2 = name; DROP INDEX other; ALTER TABLE orders DROP name; \
        ALTER TABLE orders RENAME name2 TO name; CREATE INDEX ON orders (lower(name))";
    check(SETUP, renamed, &schema(&[]), Pass, &[]).await;
}

#[tokio::test]
async fn each_kind_of_difference_is_named() {
    for (change, reasons) in [
        (
            "ALTER TABLE orders RENAME name TO title",
            &[
                "orders.column.name: green has no such column",
                "orders.column.title: blue has no such column",
                "orders.index.USING btree (lower(name)): green has no such index",
                "orders.index.USING btree (lower(title)): blue has no such index",
            ][..],
        ),
        ("DROP INDEX by_name", &["orders.index.USING btree (lower(name)): green has no such index"]),
        (
            "ALTER TABLE orders ALTER total TYPE numeric(10,4)",
            &["orders.column.total.type: green's type is numeric(10,4), blue's numeric(10,2)"],
        ),
        (
            "ALTER TABLE orders ALTER total DROP NOT NULL",
            &["orders.column.total.nullable: green's may be NULL, blue's may not be NULL"],
        ),
        (
            "ALTER TABLE orders ALTER total DROP DEFAULT",
            &["orders.column.total.default: green has no default, blue has one"],
        ),
        (
            "ALTER TABLE orders DROP CONSTRAINT orders_total_check",
            &["orders.constraint.CHECK ((total >= (0)::numeric)): green has no such constraint"],
        ),
        (
            "ALTER TABLE items DROP CONSTRAINT items_order_fkey",
            &["items.constraint.FOREIGN KEY (\"order\") REFERENCES orders(id): green has no such constraint"],
        ),
        ("DROP TABLE items", &["items: green has no such table"]),
        ("CREATE TABLE more (a int)", &["more: blue has no such table"]),
        (
            "ALTER TABLE items ALTER id DROP IDENTITY",
            &[
                "items.column.id.generated: it is generated, numbered or collated in another way",
                "items.sequence.id: green's column has no sequence",
            ],
        ),
    ] {
        check(SETUP, change, &schema(&[]), Fail, reasons).await;
    }
}

#[tokio::test]
async fn what_the_plan_expects_does_not_fail() {
    let change = "ALTER TABLE orders ALTER total TYPE numeric(10,4); DROP INDEX by_name";
    let expected = schema(&["orders.column.total", "orders.index.USING btree (lower(name))", "orders.column.gone"]);
    let answer = check(SETUP, change, &expected, Pass, &[]).await;
    assert_eq!(answer.evidence["definitions"][0]["expected"], "the plan says so");
    assert_eq!(answer.evidence["expectedButNotFound"][0], "orders.column.gone");
}

#[tokio::test]
async fn a_sequence_that_is_behind_fails() {
    let words = |column| {
        format!(
            "{column}: green's sequence is behind the column: its next value is a key that is there already; set it with setval before green takes writes"
        )
    };
    check(SETUP, "SELECT setval('orders_id_seq', 9)", &schema(&[]), Fail, &[&words("orders.id")]).await;
    check(SETUP, "ALTER TABLE items ALTER id RESTART", &schema(&[]), Fail, &[&words("items.id")]).await;
    check(SETUP, "SELECT setval('orders_id_seq', 1000)", &schema(&[]), Pass, &[]).await;
    // Blue has lived with it.
    check(&format!("{SETUP}; SELECT setval('orders_id_seq', 9)"), "", &schema(&[]), Pass, &[]).await;
}

#[tokio::test]
async fn a_sequence_that_may_not_be_read_is_not_known() {
    let pair = Pair::new(SETUP, "");
    let role = format!("blind_{}", pair.names.blue);
    pair.server.sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    for name in [&pair.names.blue, &pair.names.green] {
        pair.server.sql(name, &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"));
    }
    let answer = postgres::run(&pair.by(&role, ""), &schema(&[]), LIMIT, SECRET).await;
    assert_eq!(answer.result.verdict, Inconclusive);
    let words = "items.id: the role may not read green's sequence or its column; grant SELECT on both";
    assert_eq!(answer.result.reasons[0], words);
}

#[tokio::test]
async fn a_renamed_column_is_lost_to_the_comparison_of_rows() {
    let checks = Checks { tables: vec![Table::new("orders")], ..Checks::default() };
    check(SETUP, "ALTER TABLE orders RENAME name TO title", &checks, Fail, &["orders.name: green has no such column"])
        .await;
    check(SETUP, "DROP TABLE orders CASCADE", &checks, Fail, &["orders: green has no such table"]).await;
}
