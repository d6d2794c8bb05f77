//! Whether a sequence of green would give out a key that is there already: its position is copied by no copy of rows.

use crate::catalog::{Catalog, Sequence};
use crate::checks::TableName;
use crate::question::{Answer, AnswerError, Question};
use model::{GateVerdict, PerEnvironment};
use serde_json::{Value, json};

/// Sequences that are looked at: more than one a table, for all tables that are compared.
pub(crate) const MAX_SEQUENCES: usize = 400;

/// A column of green that takes its values from a sequence.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub(crate) table: TableName,
    pub(crate) column: String,
    sequences: PerEnvironment<Option<Sequence>>,
}

/// All of green's. Those that go down are left alone.
pub(crate) fn numbered(catalogs: &PerEnvironment<Catalog>) -> Vec<Numbered> {
    let mut all = Vec::new();
    for (table, definition) in &catalogs.green.tables {
        for (column, sequence) in definition.sequences.iter().filter(|(_, sequence)| sequence.increment > 0) {
            let blue = catalogs.blue.tables.get(table).and_then(|table| table.sequences.get(column)).cloned();
            let sequences = PerEnvironment { blue, green: Some(sequence.clone()) };
            all.push(Numbered { table: table.clone(), column: column.clone(), sequences });
        }
    }
    all
}

impl Numbered {
    /// What is asked: nothing where the answer would be of no use.
    pub(crate) fn ask(&self) -> PerEnvironment<Option<Question>> {
        let is_readable = |side: &Option<Sequence>| side.as_ref().is_some_and(|sequence| sequence.is_readable);
        let question = || Question::Largest { table: self.table.clone(), column: self.column.clone() };
        let green = is_readable(&self.sequences.green);
        PerEnvironment {
            blue: (green && is_readable(&self.sequences.blue)).then(question),
            green: green.then(question),
        }
    }

    /// The verdict, a reason where it is no pass, and evidence without the positions themselves, which are keys.
    pub(crate) fn decide(
        &self,
        answers: &PerEnvironment<Option<Answer>>,
    ) -> Result<(GateVerdict, Option<String>, Value), AnswerError> {
        let place = format!("{}.{}", self.table, self.column);
        let behind = |sequence: &Option<Sequence>, answer: &Option<Answer>| match (sequence, answer) {
            (Some(sequence), Some(answer)) => self.is_behind(sequence, answer).map(Some),
            _ => Ok(None),
        };
        let green = behind(&self.sequences.green, &answers.green)?;
        let blue = behind(&self.sequences.blue, &answers.blue)?;
        let (verdict, reason) = match (blue, green) {
            (_, Some(false)) => (GateVerdict::Pass, None),
            // Blue lives with it: not a matter of the migration.
            (Some(true), Some(true)) => (GateVerdict::Pass, None),
            (_, Some(true)) => {
                let words =
                    "its next value is a key that is there already; set it with setval before green takes writes";
                (GateVerdict::Fail, Some(format!("{place}: green's sequence is behind the column: {words}")))
            }
            (_, None) => {
                let words = "the role may not read green's sequence or its column; grant SELECT on both";
                (GateVerdict::Inconclusive, Some(format!("{place}: {words}")))
            }
        };
        let evidence = json!({"column": place, "verdict": verdict, "blueIsBehind": blue, "greenIsBehind": green});
        Ok((verdict, reason, evidence))
    }

    fn is_behind(&self, sequence: &Sequence, answer: &Answer) -> Result<bool, AnswerError> {
        let question = Question::Largest { table: self.table.clone(), column: self.column.clone() };
        let text = answer.only(&question, 1)?[0];
        if text.is_empty() {
            return Ok(false);
        }
        let largest: i64 = text.parse().map_err(|_| AnswerError {
            about: question.about(),
            found: format!("something that is no whole number, though {} numbers the column", sequence.name),
            expected: "a whole number",
        })?;
        Ok(sequence.last.is_none_or(|last| last < largest))
    }
}
