//! The order of the questions, and what becomes of answers that are none.

use super::*;
use crate::checks::{Query, Relation, SchemaCheck, Table};
use model::GateVerdict;
use proptest::prelude::*;

fn row(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

fn answer(rows: &[&[&str]]) -> Answer {
    Answer { rows: rows.iter().map(|texts| row(texts)).collect() }
}

/// The definitions of `t (id bigint PRIMARY KEY)`.
fn catalog() -> Answer {
    answer(&[
        &["table", "public", "t", "", "r", "", "", "", ""],
        &["column", "public", "t", "id", "bigint", "bigint", "true", "", "//"],
        &["key", "public", "t", "id", "1", "", "", "", ""],
    ])
}

fn checks() -> Checks {
    let query = Query { name: "q".into(), sql: "SELECT 1".into(), relation: Relation::Equal };
    Checks { tables: vec![Table::new("t")], queries: vec![query], schema: Some(SchemaCheck::default()) }
}

/// Each step's answers of blue and green, in their order; then the verdict, and the first reason.
fn check(steps: &[[Answer; 2]], verdict: GateVerdict, reason: &str) {
    let mut comparison = Comparison::new(&checks(), [0; 32]).unwrap();
    for [blue, green] in steps {
        assert!(matches!(comparison.next(), Next::Ask(_)), "{:?}", comparison.next());
        comparison.take(PerEnvironment { blue: Some(blue.clone()), green: Some(green.clone()) });
    }
    let Next::Done(assessment) = comparison.next() else { panic!("{:?}", comparison.next()) };
    assert_eq!(assessment.verdict, verdict, "{:?}", assessment.reasons);
    let first = assessment.reasons.first().map_or("", String::as_str);
    assert!(first.contains(reason), "{first}");
}

fn servers() -> [Answer; 2] {
    [answer(&[&["150018", "UTF8", "2026", "5", "7 8"]]), answer(&[&["130001", "UTF8", "2026", "6", "7 8"]])]
}

fn both(answer: Answer) -> [Answer; 2] {
    [answer.clone(), answer]
}

#[test]
fn all_that_is_asked_is_answered() {
    let number = |text: &str| answer(&[&[text]]);
    let sums = both(answer(&[&["0", "2", "-77"]]));
    let steps = [servers(), both(catalog()), both(number("2")), sums, both(number("5"))];
    check(&steps, GateVerdict::Pass, "");
    let mut lost = steps.clone();
    lost[4][1] = number("6");
    check(&lost, GateVerdict::Fail, "query q: green has 6, blue 5, expected the same");
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    check(
        &[[answer(&[&["120009", "UTF8", "1", "5", "7 8"]]), servers()[1].clone()]],
        GateVerdict::Error,
        "expected PostgreSQL 13",
    );
    check(
        &[both(answer(&[&["150000"]]))],
        GateVerdict::Error,
        "the server's version: the answer has a row that is not of 5 texts",
    );
    check(
        &[servers(), both(answer(&[&["what", "public", "t", "", "", "", "", "", ""]]))],
        GateVerdict::Error,
        "a row of another kind",
    );
    check(&[servers(), both(catalog()), both(answer(&[&["-1"]]))], GateVerdict::Error, "no number of rows");
    let twice = both(answer(&[&["0", "1", "2"], &["0", "1", "2"]]));
    check(&[servers(), both(catalog()), both(answer(&[&["2"]])), twice], GateVerdict::Error, "cannot be");
}

#[test]
fn what_was_found_before_a_failure_stays_found() {
    let mut comparison = Comparison::new(&checks(), [0; 32]).unwrap();
    let [blue, green] = servers();
    comparison.take(PerEnvironment { blue: Some(blue), green: Some(green) });
    let without = Answer::default();
    comparison.take(PerEnvironment { blue: Some(catalog()), green: Some(without) });
    comparison.fail("green: it is gone".into());
    let Next::Done(assessment) = comparison.next() else { panic!("it failed") };
    assert_eq!(assessment.verdict, GateVerdict::Fail);
    assert_eq!(assessment.reasons[0], "t: green has no such table");
    assert_eq!(assessment.reasons.last().unwrap(), "green: it is gone");
}

#[test]
fn checks_that_cannot_be_are_refused() {
    let refused = |checks: Checks| Comparison::new(&checks, [0; 32]).unwrap_err().to_string();
    assert!(refused(Checks::default()).contains("no table, no query and no schema"));
    let twice = Checks { tables: vec![Table::new("t"), Table::new("public.t")], ..Checks::default() };
    assert_eq!(refused(twice), "the table t stands there twice; expected each once");
    let many = Checks { tables: (0..201).map(|at| Table::new(&format!("t{at}"))).collect(), ..Checks::default() };
    assert!(refused(many).contains("201 tables, expected 200 at most"));
}

proptest! {
    #[test]
    fn no_answers_make_it_panic(
        rows in prop::collection::vec(prop::collection::vec(prop::option::of("table|column|key|sequence|public|t|id|true|-?[0-9]{1,7}|"), 0..10), 0..8),
        steps in 1_usize..8,
    ) {
        let mut comparison = Comparison::new(&checks(), [0; 32]).unwrap();
        for _ in 0..steps {
            let answer = Answer { rows: rows.clone() };
            comparison.take(PerEnvironment { blue: Some(answer.clone()), green: Some(answer) });
            _ = comparison.next();
        }
        let [blue, green] = servers();
        let mut comparison = Comparison::new(&checks(), [0; 32]).unwrap();
        comparison.take(PerEnvironment { blue: Some(blue), green: Some(green) });
        comparison.take(PerEnvironment { blue: Some(catalog()), green: Some(Answer { rows: rows.clone() }) });
        comparison.take(PerEnvironment { blue: Some(Answer { rows: rows.clone() }), green: Some(Answer { rows }) });
        _ = comparison.next();
    }
}
