//! One table's rows, from its count to what differs: a state machine over questions and answers.
//!
//! Ranges that differ are divided, first those with the smaller keys, until their rows are few enough to be fetched. What is
//! not followed, because a bound was met, is counted.

mod report;
#[cfg(test)]
mod tests;

use crate::checks::Rows;
use crate::join::{Fetched, join};
use crate::key::{Key, KeyColumn};
use crate::question::{Answer, AnswerError, Question, count};
use crate::range::{FANOUT, LEAF_ROWS, MAX_FETCHED_ROWS, MAX_FOLLOWED, MAX_SPLITS, MIN_SAMPLED_ROWS, Range};
use crate::sql::TableRead;
use model::{Environment, PerEnvironment};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use report::Report;

/// Changed rows of a range whose columns are looked at: 20 × 2 × 1,600 hashes of 32 bytes are 2 MB at worst.
const MAX_NAMED: usize = 20;

/// A table that is compared.
#[derive(Debug)]
pub(crate) struct RowsRun {
    reads: PerEnvironment<Arc<TableRead>>,
    state: State,
    /// Ranges that differ and were not looked into yet, the next one last. At most [`MAX_SPLITS`] × ([`FANOUT`] + 1).
    waiting: Vec<Differing>,
    splits: usize,
    followed: usize,
    report: Report,
}

#[derive(Debug)]
enum State {
    Count,
    /// The whole table.
    Sample(Differing),
    Split(Differing),
    Sums(Differing, Vec<Key>),
    Rows(Differing),
    Columns(Differing, Vec<Key>),
    Done,
}

/// A range whose two sides are not alike.
#[derive(Clone, Debug)]
struct Differing {
    range: Range,
    rows: PerEnvironment<u64>,
    /// Rows of blue in the ranges before this one.
    before: u64,
    /// Whether dividing it again can help: not if all its rows came into one part.
    can_split: bool,
}

impl Differing {
    fn most(&self) -> u64 {
        self.rows.blue.max(self.rows.green)
    }

    /// The side with more rows knows better where to divide.
    fn larger(&self) -> Environment {
        if self.rows.green > self.rows.blue { Environment::Green } else { Environment::Blue }
    }
}

/// Rows and checksum of a part.
type Sum = (u64, i128);

impl RowsRun {
    pub(crate) fn new(reads: PerEnvironment<Arc<TableRead>>, demand: Rows) -> RowsRun {
        let report = Report::new(&reads.blue, demand);
        RowsRun { reads, state: State::Count, waiting: Vec::new(), splits: 0, followed: 0, report }
    }

    /// What is asked now; nothing of either side at the end.
    pub(crate) fn ask(&self) -> PerEnvironment<Option<Question>> {
        let both = |make: &dyn Fn(Arc<TableRead>) -> Question| self.reads.clone().map(|table| Some(make(table)));
        match &self.state {
            State::Count => both(&|table| Question::Count { table }),
            State::Sample(at) => {
                let mut asked = PerEnvironment::default();
                let table = Arc::clone(&self.reads[at.larger()]);
                asked[at.larger()] = Some(Question::Sample { table, rows: at.most() });
                asked
            }
            State::Split(at) => {
                let (side, step) = (at.larger(), at.most().div_ceil(FANOUT as u64).max(1));
                let question = Question::Split { table: Arc::clone(&self.reads[side]), range: at.range.clone(), step };
                let mut asked = PerEnvironment::default();
                asked[side] = Some(question);
                asked
            }
            State::Sums(at, bounds) => {
                both(&|table| Question::Sums { table, range: at.range.clone(), bounds: bounds.clone() })
            }
            State::Rows(at) => both(&|table| Question::Rows { table, range: at.range.clone() }),
            State::Columns(at, keys) => {
                both(&|table| Question::Columns { table, range: at.range.clone(), keys: keys.clone() })
            }
            State::Done => PerEnvironment::default(),
        }
    }

    /// Takes the answers to what [`RowsRun::ask`] asks.
    pub(crate) fn take(&mut self, answers: PerEnvironment<Option<Answer>>) -> Result<(), AnswerError> {
        let asked = self.ask();
        let answer = |side: Environment| -> Result<(Question, Answer), AnswerError> {
            let question = asked[side].clone().expect("this side was asked");
            let missing = || AnswerError { about: question.about(), found: "nothing".into(), expected: "an answer" };
            let answer = answers[side].clone().ok_or_else(missing)?;
            Ok((question, answer))
        };
        match std::mem::replace(&mut self.state, State::Done) {
            State::Count => {
                let number =
                    |side| answer(side).and_then(|(question, answer)| count(&question, answer.only(&question, 1)?[0]));
                let rows = PerEnvironment { blue: number(Environment::Blue)?, green: number(Environment::Green)? };
                self.report.rows = rows;
                let whole = Differing { range: Range::ALL, rows, before: 0, can_split: true };
                self.state = if whole.most() > LEAF_ROWS { self.split(whole) } else { State::Sums(whole, Vec::new()) };
            }
            State::Sample(at) => {
                let (question, answer) = answer(at.larger())?;
                let bounds = self.bounds(&question, &answer, &at)?;
                // The pages that were drawn may have had nothing, or the key nearly nothing else.
                let is_fine = bounds.len() >= FANOUT / 2;
                self.state = if is_fine { State::Sums(at, bounds) } else { State::Split(at) };
            }
            State::Split(at) => {
                let (question, answer) = answer(at.larger())?;
                let bounds = self.bounds(&question, &answer, &at)?;
                self.state = State::Sums(at, bounds);
            }
            State::Sums(at, bounds) => {
                let sums = |side| answer(side).and_then(|(question, answer)| sums(&question, &answer, bounds.len()));
                let sums = PerEnvironment { blue: sums(Environment::Blue)?, green: sums(Environment::Green)? };
                self.compare(&at, &bounds, &sums);
                self.state = self.next();
            }
            State::Rows(at) => {
                let fetched = |side| answer(side).and_then(|(question, answer)| self.fetched(&question, &answer));
                let (blue, green) = (fetched(Environment::Blue)?, fetched(Environment::Green)?);
                let joined = join(&blue, &green);
                if joined.lost.is_empty() && joined.added.is_empty() && joined.changed.is_empty() {
                    let (question, _) = answer(Environment::Blue)?;
                    return Err(AnswerError {
                        about: question.about(),
                        found: "the same rows on both sides, whose checksums differed before".into(),
                        expected: "the same rows from the same snapshot (a filter must not use random or changing values)",
                    });
                }
                let mut named = joined.single.clone();
                named.truncate(MAX_NAMED);
                self.report.add(&joined, at.before);
                self.state = if named.is_empty() { self.next() } else { State::Columns(at, named) };
            }
            State::Columns(_, keys) => {
                let hashes = |side| answer(side).and_then(|(question, answer)| self.hashes(&question, &answer));
                let (blue, green) = (hashes(Environment::Blue)?, hashes(Environment::Green)?);
                for (blue, green) in keys.iter().filter_map(|key| blue.get(key).zip(green.get(key))) {
                    let names = self.reads.blue.columns.iter().map(|column| &column.name);
                    let pairs = names.zip(blue.iter().zip(green)).filter(|(_, (blue, green))| blue != green);
                    self.report.name(pairs.map(|(name, _)| name.as_str()));
                }
                self.state = self.next();
            }
            State::Done => {}
        }
        Ok(())
    }

    /// What was found; so far, if the run did not come to its end.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    fn split(&mut self, at: Differing) -> State {
        self.splits += 1;
        let is_large = at.range == Range::ALL && at.most() >= MIN_SAMPLED_ROWS;
        if is_large && self.reads[at.larger()].can_sample { State::Sample(at) } else { State::Split(at) }
    }

    /// The next differing range that is looked into; those that are not are told of.
    fn next(&mut self) -> State {
        while let Some(at) = self.waiting.pop() {
            // Where one side has nothing, that says all but the keys: they are looked for once, for an example.
            let is_one_sided = at.rows.blue == 0 || at.rows.green == 0;
            if is_one_sided && self.report.has_example(at.rows) {
                self.report.add_one_sided(at.rows);
                continue;
            }
            let is_leaf = at.most() <= LEAF_ROWS || (!at.can_split && at.most() <= MAX_FETCHED_ROWS as u64);
            if self.followed < MAX_FOLLOWED && is_leaf {
                self.followed += 1;
                return State::Rows(at);
            }
            if self.followed < MAX_FOLLOWED && at.can_split && self.splits < MAX_SPLITS {
                return self.split(at);
            }
            if is_one_sided {
                self.report.add_one_sided(at.rows);
            } else {
                self.report.leave(at.rows);
            }
        }
        State::Done
    }

    /// Keys that divide a range: each once, none of them its end.
    fn bounds(&self, question: &Question, answer: &Answer, at: &Differing) -> Result<Vec<Key>, AnswerError> {
        let key = &self.reads.blue.key;
        let mut bounds: Vec<Key> = Vec::new();
        for row in answer.texts(question, key.len())? {
            let bound = read_key(question, key, &row)?;
            if bounds.last() != Some(&bound) && at.range.until.as_ref() != Some(&bound) {
                bounds.push(bound);
            }
        }
        bounds.truncate(FANOUT);
        Ok(bounds)
    }

    /// Puts the parts that differ before whatever else waits, in the key's order.
    fn compare(&mut self, at: &Differing, bounds: &[Key], sums: &PerEnvironment<BTreeMap<i64, Sum>>) {
        let of = |side: Environment, part: i64| sums[side].get(&part).copied().unwrap_or_default();
        if at.range == Range::ALL {
            self.report.checksums = PerEnvironment::from_fn(|side| {
                // 2^63 × 2^64 rows fit 128 bits.
                sums[side].values().fold(0_i128, |sum, (_, part)| sum.wrapping_add(*part))
            });
            let keyless = PerEnvironment::from_fn(|side| of(side, -1));
            if keyless.blue != keyless.green {
                self.report.keyless = Some(keyless.map(|(rows, _)| rows));
            }
        }
        let (mut before, mut differing) = (at.before, Vec::new());
        for (part, range) in at.range.parts(bounds).into_iter().enumerate() {
            let (blue, green) = (of(Environment::Blue, part as i64), of(Environment::Green, part as i64));
            if blue != green {
                let rows = PerEnvironment { blue: blue.0, green: green.0 };
                let can_split = rows != at.rows;
                differing.push(Differing { range, rows, before, can_split });
            }
            before += blue.0;
        }
        self.waiting.extend(differing.into_iter().rev());
    }

    fn fetched(&self, question: &Question, answer: &Answer) -> Result<Vec<Fetched>, AnswerError> {
        let key = &self.reads.blue.key;
        let rows = answer.texts(question, key.len() + 1)?;
        if rows.len() > MAX_FETCHED_ROWS {
            let found = format!("more than {MAX_FETCHED_ROWS} rows");
            return Err(AnswerError { about: question.about(), found, expected: "the rows that were counted before" });
        }
        let fetched = rows.iter().map(|row| {
            Ok(Fetched { key: read_key(question, key, &row[..key.len()])?, hash: row[key.len()].to_owned() })
        });
        fetched.collect()
    }

    fn hashes(&self, question: &Question, answer: &Answer) -> Result<BTreeMap<Key, Vec<String>>, AnswerError> {
        let (key, columns) = (&self.reads.blue.key, self.reads.blue.columns.len());
        let rows = answer.texts(question, key.len() + columns)?;
        let hashes = rows.iter().map(|row| {
            let (row, hashes) = row.split_at(key.len());
            Ok((read_key(question, key, row)?, hashes.iter().map(|hash| (*hash).to_owned()).collect()))
        });
        hashes.collect()
    }
}

fn read_key(question: &Question, columns: &[KeyColumn], texts: &[&str]) -> Result<Key, AnswerError> {
    if !columns.iter().zip(texts).all(|(column, text)| column.takes(text)) {
        let found = "something else in the place of a key".into();
        return Err(AnswerError { about: question.about(), found, expected: "keys of the column's type" });
    }
    Ok(Key(texts.iter().map(|text| (*text).to_owned()).collect()))
}

/// By part. A part without rows is not in the answer.
fn sums(question: &Question, answer: &Answer, bounds: usize) -> Result<BTreeMap<i64, Sum>, AnswerError> {
    let wrong = || AnswerError {
        about: question.about(),
        found: "a part, count or sum that cannot be".into(),
        expected: "each part of the range once, with its rows and their sum",
    };
    let mut sums = BTreeMap::new();
    for row in answer.texts(question, 3)? {
        let part: i64 = row[0].parse().map_err(|_| wrong())?;
        let sum = (count(question, row[1])?, row[2].parse().map_err(|_| wrong())?);
        if !(-1..=bounds as i64).contains(&part) || sums.insert(part, sum).is_some() {
            return Err(wrong());
        }
    }
    Ok(sums)
}
