//! Whether green's value of a query is to blue's as the plan demands.

use crate::checks::{Query, Relation};
use crate::decimal::Decimal;
use crate::question::{Answer, AnswerError, Question};
use model::{GateVerdict, PerEnvironment};
use serde_json::{Value, json};
use std::cmp::Ordering;

/// What became of one query.
pub(crate) struct Outcome {
    pub(crate) verdict: GateVerdict,
    /// Nothing where it passed.
    pub(crate) reason: Option<String>,
    pub(crate) evidence: Value,
}

/// Decides. An answer of more than one row is an error of the plan.
pub(crate) fn decide(
    query: &Query,
    question: &Question,
    answers: &PerEnvironment<Answer>,
) -> Result<Outcome, AnswerError> {
    let (blue, green) = (value(question, &answers.blue)?, value(question, &answers.green)?);
    let numbers = (blue.and_then(Decimal::parse), green.and_then(Decimal::parse));
    let (verdict, words) = match (query.relation, numbers, blue, green) {
        (Relation::Equal, _, None, None) => (GateVerdict::Pass, String::new()),
        (Relation::Equal, _, Some(_), None) => (GateVerdict::Fail, "blue has a value and green has none".into()),
        (Relation::Equal, _, None, Some(_)) => (GateVerdict::Fail, "green has a value and blue has none".into()),
        (_, (Some(of), Some(number)), Some(blue), Some(green)) => match holds(query.relation, of, number) {
            Some(true) => (GateVerdict::Pass, String::new()),
            Some(false) => {
                (GateVerdict::Fail, format!("green has {green}, blue {blue}, expected {}", demand(query.relation)))
            }
            None => (GateVerdict::Inconclusive, "the two numbers are too far apart in scale to be compared".into()),
        },
        (Relation::Equal, _, Some(blue), Some(green)) if blue == green => (GateVerdict::Pass, String::new()),
        (Relation::Equal, ..) => {
            (GateVerdict::Fail, "green's value is not blue's; it is no number, so it is not shown".into())
        }
        (Relation::AtLeast | Relation::AtMost | Relation::Within { .. }, ..) => {
            let words = "a number of at most 28 digits is expected of both sides; cast it to numeric, or count";
            (GateVerdict::Inconclusive, words.into())
        }
    };
    let shown = |text: Option<&str>, number: Option<Decimal>| match (text, number) {
        (Some(text), Some(_)) => json!(text),
        (Some(_), None) => json!("not a number"),
        (None, _) => Value::Null,
    };
    let evidence = json!({
        "query": query.name,
        "expected": demand(query.relation),
        "verdict": verdict,
        "blue": shown(blue, numbers.0),
        "green": shown(green, numbers.1),
    });
    let reason = (!words.is_empty()).then(|| format!("query {}: {words}", query.name));
    Ok(Outcome { verdict, reason, evidence })
}

/// The only value, if it is not NULL. No row at all is as good as NULL.
fn value<'a>(question: &Question, answer: &'a Answer) -> Result<Option<&'a str>, AnswerError> {
    match &answer.rows[..] {
        [] => Ok(None),
        [row] if row.len() == 1 => Ok(row[0].as_deref()),
        _ => {
            let found = "more than one row or column".into();
            Err(AnswerError { about: question.about(), found, expected: "one row of one column" })
        }
    }
}

fn holds(relation: Relation, blue: Decimal, green: Decimal) -> Option<bool> {
    match relation {
        Relation::Equal => green.compare(blue).map(Ordering::is_eq),
        Relation::AtLeast => green.compare(blue).map(Ordering::is_ge),
        Relation::AtMost => green.compare(blue).map(Ordering::is_le),
        Relation::Within { basis_points } => green.is_within(blue, basis_points),
    }
}

fn demand(relation: Relation) -> String {
    match relation {
        Relation::Equal => "the same".into(),
        Relation::AtLeast => "at least blue's".into(),
        Relation::AtMost => "at most blue's".into(),
        Relation::Within { basis_points } => {
            format!("blue's within {}.{:02} %", basis_points / 100, basis_points % 100)
        }
    }
}
