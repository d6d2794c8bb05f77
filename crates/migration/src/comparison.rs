//! The whole comparison: which question is next, what an answer changes, and what it ends with.

#[cfg(test)]
mod tests;

use crate::assessment::{Assessment, Findings, Rank};
use crate::catalog::{Catalog, Reading, Unread, reading};
use crate::checks::{Checks, ChecksError};
use crate::key::Shower;
use crate::question::{Answer, AnswerError, Question};
use crate::relation::decide;
use crate::rows::RowsRun;
use crate::schema::compare;
use crate::sequence::{MAX_SEQUENCES, Numbered, numbered};
use crate::sql::Checksum;
use model::{Environment, PerEnvironment};
use serde_json::json;
use std::collections::VecDeque;

/// The oldest version whose SQL this is (`trim_scale`), as `server_version_num`.
const OLDEST_VERSION: u32 = 130_000;

/// Questions for both sides, to be asked at once. At least one of the two is there.
pub type Ask = PerEnvironment<Option<Question>>;

/// What the driver does now.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Ask, and hand the answers to [`Comparison::take`].
    Ask(Box<Ask>),
    /// It is over.
    Done(Box<Assessment>),
}

/// A comparison on its way.
#[derive(Debug)]
pub struct Comparison {
    checks: Checks,
    shower: Shower,
    findings: Findings,
    step: Step,
    tables: VecDeque<(usize, Reading)>,
    sequences: VecDeque<Numbered>,
}

#[derive(Debug)]
enum Step {
    Server,
    Catalog(PerEnvironment<bool>, Checksum),
    Sequence(Numbered),
    Rows(Box<RowsRun>),
    /// The index of the query.
    Query(usize),
    Done,
}

impl std::fmt::Debug for Shower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shower")
    }
}

impl Comparison {
    /// `secret` is random and of this run alone: keys that may be personal data are shown by a hash with it.
    pub fn new(checks: &Checks, secret: [u8; 32]) -> Result<Comparison, ChecksError> {
        checks.validate()?;
        Ok(Comparison {
            checks: checks.clone(),
            shower: Shower::new(secret),
            findings: Findings::default(),
            step: Step::Server,
            tables: VecDeque::new(),
            sequences: VecDeque::new(),
        })
    }

    /// What is asked now. The same until an answer was taken.
    pub fn next(&self) -> Next {
        let both = |question: Question| PerEnvironment { blue: Some(question.clone()), green: Some(question) };
        let ask = match &self.step {
            Step::Server => both(Question::Server),
            Step::Catalog(..) => both(self.catalog_question()),
            Step::Sequence(sequence) => sequence.ask(),
            Step::Rows(run) => run.ask(),
            Step::Query(at) => both(Question::Query { sql: self.checks.queries[*at].sql.clone() }),
            Step::Done => return Next::Done(Box::new(self.findings.clone().assess())),
        };
        Next::Ask(Box::new(ask))
    }

    /// Takes the answers to the questions that [`Comparison::next`] has now: an answer for each question.
    pub fn take(&mut self, answers: PerEnvironment<Option<Answer>>) {
        if let Err(error) = self.try_take(answers) {
            self.fail(error.to_string());
        }
    }

    /// A database did not answer: nothing more is asked, and what was found stays. `why` is a sentence without values of rows.
    pub fn fail(&mut self, why: String) {
        if let Step::Rows(run) = std::mem::replace(&mut self.step, Step::Done) {
            run.report().tell(&self.shower, &mut self.findings);
        }
        self.findings.error(why);
    }

    fn try_take(&mut self, answers: PerEnvironment<Option<Answer>>) -> Result<(), AnswerError> {
        let missing = |question: &Question| AnswerError {
            about: question.about(),
            found: "nothing".into(),
            expected: "an answer of both sides",
        };
        let both = |question: &Question| -> Result<PerEnvironment<Answer>, AnswerError> {
            let [blue, green] = Environment::BOTH.map(|side| answers[side].clone().ok_or_else(|| missing(question)));
            Ok(PerEnvironment { blue: blue?, green: green? })
        };
        match &mut self.step {
            Step::Server => {
                let answers = both(&Question::Server)?;
                self.step = self.servers(&answers)?;
            }
            Step::Catalog(is_utf8, checksum) => {
                let (is_utf8, checksum, question) = (*is_utf8, *checksum, self.catalog_question());
                let answers = both(&question)?;
                let catalogs = PerEnvironment {
                    blue: Catalog::read(&question, &answers.blue)?,
                    green: Catalog::read(&question, &answers.green)?,
                };
                self.definitions(&catalogs, is_utf8, checksum);
                self.step = self.follow(0);
            }
            Step::Sequence(sequence) => {
                let (verdict, reason, evidence) = sequence.decide(&answers)?;
                self.findings.add(Rank::Sequence, verdict, reason);
                self.findings.note("sequences", evidence);
                self.step = self.follow(0);
            }
            Step::Rows(run) => {
                run.take(answers)?;
                if run.ask() == PerEnvironment::default() {
                    run.report().tell(&self.shower, &mut self.findings);
                    self.step = self.follow(0);
                }
            }
            Step::Query(at) => {
                let at = *at;
                let query = &self.checks.queries[at];
                let question = Question::Query { sql: query.sql.clone() };
                let named = |error: AnswerError| AnswerError { about: format!("query {}", query.name), ..error };
                let outcome = decide(query, &question, &both(&question).map_err(named)?).map_err(named)?;
                self.findings.add(Rank::Query, outcome.verdict, outcome.reason);
                self.findings.note("queries", outcome.evidence);
                self.step = self.follow(at + 1);
            }
            Step::Done => {}
        }
        Ok(())
    }

    /// Sequences, tables, then the plan's queries from `query` on.
    fn follow(&mut self, query: usize) -> Step {
        while let Some(sequence) = self.sequences.pop_front() {
            if sequence.ask() != PerEnvironment::default() {
                return Step::Sequence(sequence);
            }
            if let Ok((verdict, reason, evidence)) = sequence.decide(&PerEnvironment::default()) {
                self.findings.add(Rank::Sequence, verdict, reason);
                self.findings.note("sequences", evidence);
            }
        }
        if let Some((at, reading)) = self.tables.pop_front() {
            return Step::Rows(Box::new(RowsRun::new(reading.reads, self.checks.tables[at].rows)));
        }
        if query < self.checks.queries.len() { Step::Query(query) } else { Step::Done }
    }

    fn catalog_question(&self) -> Question {
        Question::Catalog {
            tables: self.checks.tables.iter().map(|table| table.name.clone()).collect(),
            schemas: self.checks.schema.as_ref().map_or_else(Vec::new, |schema| schema.schemas.clone()),
        }
    }

    fn servers(&mut self, answers: &PerEnvironment<Answer>) -> Result<Step, AnswerError> {
        let question = Question::Server;
        let [blue, green] = Environment::BOTH.map(|side| answers[side].only(&question, 5));
        let servers = PerEnvironment { blue: blue?, green: green? };
        for side in Environment::BOTH {
            let version: u32 = servers[side][0].parse().unwrap_or_default();
            if version < OLDEST_VERSION {
                let words = format!("{side}: the server's version is {version}, expected PostgreSQL 13 or later");
                self.findings.error(words);
                return Ok(Step::Done);
            }
        }
        self.findings.note(
            "servers",
            json!({"blue": {"version": servers.blue[0], "encoding": servers.blue[1]},
                   "green": {"version": servers.green[0], "encoding": servers.green[1]}}),
        );
        if servers.blue[2..4] == servers.green[2..4] {
            let words = "blue and green are the same database: nothing can be compared; name green's own";
            self.findings.miss(words.into());
            return Ok(Step::Done);
        }
        let is_utf8 = PerEnvironment::from_fn(|side| servers[side][1] == "UTF8");
        // It is over the bytes as the server keeps them.
        let is_alike = is_utf8.blue && is_utf8.green && servers.blue[4] == servers.green[4];
        let (checksum, name) = if is_alike { (Checksum::Builtin, "hashtextextended") } else { (Checksum::Md5, "md5") };
        self.findings.note("checksum", json!(name));
        Ok(Step::Catalog(is_utf8, checksum))
    }

    fn definitions(&mut self, catalogs: &PerEnvironment<Catalog>, is_utf8: PerEnvironment<bool>, checksum: Checksum) {
        for (at, table) in self.checks.tables.iter().enumerate() {
            let found = match reading(table, catalogs, is_utf8, checksum) {
                Ok(reading) => {
                    let unread = reading.unread.clone();
                    self.tables.push_back((at, reading));
                    unread
                }
                Err(unread) => vec![unread],
            };
            for unread in found {
                match unread {
                    Unread::Lost(words) => self.findings.fail(Rank::Lost, words),
                    Unread::Plan(words) => self.findings.error(words),
                }
            }
            for left in &table.left_out {
                let column = format!("{}.{}", table.name, left.column);
                self.findings.note("leftOut", json!({"column": column, "reason": left.reason}));
            }
        }
        self.sequences = numbered(catalogs).into();
        if self.sequences.len() > MAX_SEQUENCES {
            let more = self.sequences.len() - MAX_SEQUENCES;
            self.sequences.truncate(MAX_SEQUENCES);
            self.findings.miss(format!("{more} more sequences were not looked at; name fewer schemas"));
        }
        let Some(schema) = &self.checks.schema else { return };
        for name in &schema.schemas {
            if !Environment::BOTH.iter().any(|side| catalogs[*side].tables.keys().any(|table| table.schema == *name)) {
                self.findings.error(format!("{name}: neither side has a table in this schema; name one that is there"));
            }
        }
        let (differences, unmet) = compare(catalogs, &schema.expected);
        for difference in differences {
            self.findings.note(
                "definitions",
                json!({"path": difference.path, "difference": difference.words, "expected": difference.expected}),
            );
            if difference.expected.is_none() {
                self.findings.fail(Rank::Schema, format!("{}: {}", difference.path, difference.words));
            }
        }
        for path in unmet {
            self.findings.note("expectedButNotFound", json!(path));
        }
    }
}
