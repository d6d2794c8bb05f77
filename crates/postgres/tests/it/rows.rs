//! Rows that are lost, added and changed, wherever in the table.

use crate::{Pair, check, tables};
use migration::{Checks, LeftOut, Rows, Table};
use model::GateVerdict::{self, Fail, Pass};

const ORDERS: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, name text, total numeric(12,2), at timestamptz); \
    INSERT INTO orders SELECT g, 'customer ' || g, g / 100.0, '2026-01-01Z'::timestamptz + g * interval '1 second' \
    FROM generate_series(1, 20000) g";

async fn orders(change: &str, verdict: GateVerdict, reasons: &[&str]) {
    check(ORDERS, change, &tables(&["orders"]), verdict, reasons).await;
}

#[tokio::test]
async fn the_same_rows_pass() {
    let answer = check(ORDERS, "", &tables(&["orders"]), Pass, &[]).await;
    let table = &answer.evidence["tables"][0];
    assert_eq!(table["rows"]["green"], 20_000);
    assert_eq!(table["checksum"]["blue"], table["checksum"]["green"]);
    // Server, catalogue, count, sums of both sides, and one side's keys.
    assert_eq!(answer.questions, 9);
}

#[tokio::test]
async fn the_order_on_the_disk_means_nothing() {
    orders("CREATE TABLE other AS SELECT * FROM orders ORDER BY md5(name); TRUNCATE orders; INSERT INTO orders SELECT * FROM other", Pass, &[]).await;
}

#[tokio::test]
async fn a_lost_row_is_found_wherever_it_was() {
    for (id, row) in [(1, "1"), (10_000, "10,000"), (20_000, "20,000")] {
        let expected =
            format!("orders: green lost 1 row of blue's 20,000; the first is id {id} (row {row} of blue by key)");
        orders(&format!("DELETE FROM orders WHERE id = {id}"), Fail, &[&expected]).await;
    }
    let all = "orders: green lost 3 rows of blue's 20,000; the first is id 1 (row 1 of blue by key)";
    orders("DELETE FROM orders WHERE id IN (1, 10000, 20000)", Fail, &[all]).await;
}

#[tokio::test]
async fn an_added_row_is_found_and_tolerated_after_the_shift() {
    let change = "INSERT INTO orders SELECT g, 'new', 0, now() FROM generate_series(20001, 20003) g";
    let words = "orders: green has 3 rows that blue has not; the first is id 20001";
    orders(change, Fail, &[words]).await;
    let after = |change| async move {
        let table = Table { rows: Rows::GreenMayHaveMore, ..Table::new("orders") };
        Pair::new(ORDERS, change).run(&Checks { tables: vec![table], ..Checks::default() }).await.result
    };
    assert_eq!(after(change).await.verdict, Pass);
    let result = after("INSERT INTO orders VALUES (20001, 'new', 0, now()); DELETE FROM orders WHERE id = 7").await;
    assert_eq!(result.reasons, ["orders: green lost 1 row of blue's 20,000; the first is id 7 (row 7 of blue by key)"]);
}

#[tokio::test]
async fn many_rows_added_in_one_place_are_found() {
    let words = "orders: green has 5,000 rows that blue has not; the first is id -4999";
    orders("INSERT INTO orders SELECT -g, 'new', 0, now() FROM generate_series(0, 4999) g", Fail, &[words]).await;
}

#[tokio::test]
async fn a_table_that_is_empty_in_green_lost_all() {
    orders(
        "TRUNCATE orders",
        Fail,
        &["orders: green lost 20,000 rows of blue's 20,000; the first is id 1 (row 1 of blue by key)"],
    )
    .await;
}

#[tokio::test]
async fn columns_that_changed_are_named() {
    let words = "orders: green has other values in 2 rows, in the columns name, total; the first is id 5 (row 5 of blue by key)";
    orders("UPDATE orders SET name = 'x' WHERE id = 5; UPDATE orders SET total = 1 WHERE id = 15000", Fail, &[words])
        .await;
    let swapped = "UPDATE pairs SET a = b, b = a WHERE id = 2";
    let setup = "CREATE TABLE pairs (id int PRIMARY KEY, a text, b text); INSERT INTO pairs SELECT g, 'x' || g, 'y' || g FROM generate_series(1, 9) g";
    let words = "pairs: green has other values in 1 row, in the columns a, b; the first is id 2 (row 2 of blue by key)";
    check(setup, swapped, &tables(&["pairs"]), Fail, &[words]).await;
}

#[tokio::test]
async fn a_table_that_changed_everywhere_is_followed_so_far() {
    let pair = Pair::new(ORDERS, "UPDATE orders SET total = total + 1");
    let answer = pair.run(&tables(&["orders"])).await;
    assert_eq!(answer.result.verdict, Fail);
    let reasons = answer.result.reasons.join("\n");
    assert!(reasons.starts_with("orders: green has other values in at least "), "{reasons}");
    assert!(reasons.contains("in the column total; the first is id 1 (row 1 of blue by key)"), "{reasons}");
    assert!(reasons.contains("more ranges of the key differ and were not followed"), "{reasons}");
    assert!(answer.questions < 200, "{} questions", answer.questions);
}

#[tokio::test]
async fn a_column_that_is_left_out_is_not_compared() {
    let left = LeftOut { column: "at".into(), reason: "green sets it anew".into() };
    let table = Table { left_out: vec![left], ..Table::new("orders") };
    let checks = Checks { tables: vec![table], ..Checks::default() };
    let answer = check(ORDERS, "UPDATE orders SET at = now()", &checks, Pass, &[]).await;
    assert_eq!(answer.evidence["leftOut"][0]["column"], "orders.at");
}

#[tokio::test]
async fn rows_outside_of_the_filter_are_not_compared() {
    let table = Table { filter: Some("id <= 19000 -- before the shift".into()), ..Table::new("orders") };
    let checks = Checks { tables: vec![table], ..Checks::default() };
    check(ORDERS, "DELETE FROM orders WHERE id > 19000", &checks, Pass, &[]).await;
    let words = "orders: green lost 1 row of blue's 19,000; the first is id 18999 (row 18,999 of blue by key)";
    check(ORDERS, "DELETE FROM orders WHERE id = 18999", &checks, Fail, &[words]).await;
}

#[tokio::test]
async fn keys_of_other_types_are_followed_and_hidden() {
    let setup = "CREATE TABLE people (mail text PRIMARY KEY, age int); \
        INSERT INTO people SELECT md5(g::text) || E'@it''s \\\\ ü', g FROM generate_series(1, 5000) g";
    let pair = Pair::new(setup, "UPDATE people SET age = 0 WHERE age = 77; DELETE FROM people WHERE age = 78");
    let answer = pair.run(&tables(&["people"])).await;
    let reasons = answer.result.reasons.join("\n");
    assert!(reasons.contains("people: green lost 1 row of blue's 5,000; the first is key hash "), "{reasons}");
    assert!(
        reasons.contains("people: green has other values in 1 row, in the column age; the first is key hash "),
        "{reasons}"
    );
    assert!(!format!("{answer:?}").contains("it's"), "{answer:?}");
}

#[tokio::test]
async fn uuids_times_and_composite_keys_are_followed() {
    let setup = "CREATE TABLE k (tenant int, id uuid, at timestamptz, day date, note text, v int, PRIMARY KEY (tenant, id)); \
        INSERT INTO k SELECT g % 3, md5(g::text)::uuid, '2026-01-01Z'::timestamptz + g * interval '1 ms', date '0044-03-15 BC' + g, 'n' || g, g \
        FROM generate_series(1, 5000) g";
    let words = "k: green has other values in 1 row, in the column v; the first is (tenant 1, id a87ff679-a2f3-e71d-9181-a67b7542122c)";
    let pair = Pair::new(setup, "UPDATE k SET v = 0 WHERE v = 4");
    let answer = pair.run(&tables(&["k"])).await;
    assert!(answer.result.reasons[0].starts_with(words), "{:?}", answer.result.reasons);
    for key in [&["at"][..], &["day"], &["note", "day"], &["note", "tenant"]] {
        let key: Vec<String> = key.iter().map(|column| (*column).to_owned()).collect();
        let checks = Checks { tables: vec![Table { key, ..Table::new("k") }], ..Checks::default() };
        let reasons = pair.run(&checks).await.result.reasons;
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(
            reasons[0].starts_with("k: green has other values in 1 row, in the column v; the first is key hash "),
            "{reasons:?}"
        );
    }
}

#[tokio::test]
async fn tables_without_a_key_are_compared_row_by_row() {
    let setup =
        "CREATE TABLE log (line text); INSERT INTO log SELECT 'line ' || g % 1000 FROM generate_series(1, 5000) g";
    check(setup, "", &tables(&["log"]), Pass, &[]).await;
    let pair = Pair::new(setup, "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log)");
    let reasons = pair.run(&tables(&["log"])).await.result.reasons;
    assert!(reasons[0].starts_with("log: green lost 1 row of blue's 5,000; the first is key hash "), "{reasons:?}");
}

#[tokio::test]
async fn keys_that_are_null_or_on_many_rows_do_not_hide_anything() {
    let setup = "CREATE TABLE loose (k int, v int); INSERT INTO loose SELECT CASE WHEN g % 10 > 0 THEN 5 END, g FROM generate_series(1, 1500) g";
    let by_key = Checks { tables: vec![Table { key: vec!["k".into()], ..Table::new("loose") }], ..Checks::default() };
    check(setup, "", &by_key, Pass, &[]).await;
    let null = "loose: the rows whose key is NULL differ: blue has 150, green 149";
    check(setup, "DELETE FROM loose WHERE v = 10", &by_key, Fail, &[null]).await;
    let many = "loose: green has other values in 1 row; the first is k 5 (row 7 of blue by key)";
    let pair = Pair::new(setup, "UPDATE loose SET v = -7 WHERE v = 7");
    let reasons = pair.run(&by_key).await.result.reasons;
    assert!(reasons[0].starts_with(many.split(" (row").next().unwrap()), "{reasons:?}");
}

#[tokio::test]
async fn a_partitioned_table_is_its_rows() {
    let plain = "CREATE TABLE events (id bigint, at date, v text, PRIMARY KEY (id, at))";
    let rows =
        "INSERT INTO events SELECT g, date '2026-01-01' + (g % 59)::int, 'v' || g FROM generate_series(1, 5000) g";
    let parted = "DROP TABLE events; CREATE TABLE events (id bigint, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
        CREATE TABLE events1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
        CREATE TABLE events2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')";
    let setup = format!("{plain}; {rows}");
    check(&setup, &format!("{parted}; {rows}"), &tables(&["events"]), Pass, &[]).await;
    let pair = Pair::new(&setup, &format!("{parted}; {rows}; TRUNCATE events2"));
    let reasons = pair.run(&tables(&["events"])).await.result.reasons;
    assert!(reasons.iter().any(|reason| reason.starts_with("events: green lost ")), "{reasons:?}");
}

#[tokio::test]
async fn a_key_that_became_wider_is_the_same_key() {
    let setup =
        "CREATE TABLE w (id int PRIMARY KEY, v text); INSERT INTO w SELECT g, 'v' || g FROM generate_series(1, 3000) g";
    check(setup, "ALTER TABLE w ALTER id TYPE bigint", &tables(&["w"]), Pass, &[]).await;
    let words = "w: green has 1 row that blue has not; the first is id 5000000000";
    let change = "ALTER TABLE w ALTER id TYPE bigint; INSERT INTO w VALUES (5000000000, 'new')";
    check(setup, change, &tables(&["w"]), Fail, &[words]).await;
}

#[tokio::test]
async fn a_large_table_is_divided_by_a_sample_and_a_view_is_not() {
    let setup = "CREATE TABLE large (id bigint PRIMARY KEY, v text); CREATE VIEW seen AS SELECT * FROM large; \
        INSERT INTO large SELECT g * g, 'v' || g FROM generate_series(1, 120000::bigint) g";
    let pair = Pair::new(
        setup,
        "DELETE FROM large WHERE id = 60000::bigint * 60000; UPDATE large SET v = '' WHERE id = 14400000000",
    );
    let mut large = Table::new("large");
    for name in ["large", "seen"] {
        large.name.name = name.into();
        // A view has no primary key.
        large.key = vec!["id".into()];
        let checks = Checks { tables: vec![large.clone()], ..Checks::default() };
        let reasons = pair.run(&checks).await.result.reasons;
        let lost = format!(
            "{name}: green lost 1 row of blue's 120,000; the first is id 3600000000 (row 60,000 of blue by key)"
        );
        let changed = format!(
            "{name}: green has other values in 1 row, in the column v; the first is id 14400000000 (row 120,000 of blue by key)"
        );
        assert_eq!(reasons, [lost, changed]);
    }
}
