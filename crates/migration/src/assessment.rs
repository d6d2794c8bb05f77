//! What a comparison ends with.

use model::GateVerdict;
use serde_json::{Map, Value, json};

/// Reasons that are given. What is left out is counted.
const MAX_REASONS: usize = 32;

/// Characters of a reason: the names of eight columns, and the words around them.
const MAX_REASON_CHARACTERS: usize = 1_000;
/// Entries of each list of the evidence: 1,000 definitions of some 300 bytes are 0.3 MB.
const MAX_NOTED: usize = 1_000;

/// The verdict, and what it follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Fail where a difference was found, whatever else failed. Error where a database did not answer; Inconclusive where
    /// something could not be compared.
    pub verdict: GateVerdict,
    /// The cause first, a sentence each.
    pub reasons: Vec<String>,
    /// Counts, checksums, paths; no values of rows.
    pub evidence: Value,
}

/// What is found on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// What differs: rows, then sequences, then queries, then definitions.
    failed: Vec<(Rank, String)>,
    missing: Vec<String>,
    errors: Vec<String>,
    evidence: Map<String, Value>,
}

/// A name in a database may hold any character but NUL.
fn printable(words: &str) -> String {
    let shown = |character: char| if character.is_control() { ' ' } else { character };
    words.chars().map(shown).take(MAX_REASON_CHARACTERS).collect()
}

/// What is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A table or column that is not there.
    Lost,
    /// Rows.
    Rows,
    /// A sequence.
    Sequence,
    /// A query of the plan's.
    Query,
    /// A definition.
    Schema,
}

impl Findings {
    pub(crate) fn fail(&mut self, rank: Rank, words: String) {
        self.failed.push((rank, words));
    }

    pub(crate) fn miss(&mut self, words: String) {
        self.missing.push(words);
    }

    pub(crate) fn error(&mut self, words: String) {
        self.errors.push(words);
    }

    /// By what its verdict says.
    pub(crate) fn add(&mut self, rank: Rank, verdict: GateVerdict, reason: Option<String>) {
        let Some(words) = reason else { return };
        match verdict {
            GateVerdict::Pass => {}
            GateVerdict::Fail => self.fail(rank, words),
            GateVerdict::Inconclusive => self.miss(words),
            GateVerdict::Error => self.error(words),
        }
    }

    /// One more of a list, which ends with the number of those that did not fit.
    pub(crate) fn note(&mut self, list: &str, value: Value) {
        let list = self.evidence.entry(list).or_insert_with(|| json!([]));
        let list = list.as_array_mut().expect("only lists are noted");
        if list.len() < MAX_NOTED {
            list.push(value);
        } else if let Some(more) = list.get(MAX_NOTED).map(|more| more["more"].as_u64().unwrap_or_default()) {
            list[MAX_NOTED] = json!({"more": more + 1});
        } else {
            list.push(json!({"more": 1}));
        }
    }

    pub(crate) fn assess(mut self) -> Assessment {
        let verdict = if !self.failed.is_empty() {
            GateVerdict::Fail
        } else if !self.errors.is_empty() {
            GateVerdict::Error
        } else if !self.missing.is_empty() {
            GateVerdict::Inconclusive
        } else {
            GateVerdict::Pass
        };
        self.failed.sort_by_key(|(rank, _)| *rank);
        let failed = self.failed.into_iter().map(|(_, words)| words);
        let all = failed.chain(self.errors).chain(self.missing);
        let mut reasons: Vec<_> = all.map(|words| printable(&words)).collect();
        if reasons.len() > MAX_REASONS {
            let more = reasons.len() - (MAX_REASONS - 1);
            reasons.truncate(MAX_REASONS - 1);
            reasons.push(format!("{more} more are in the evidence"));
        }
        self.evidence.insert("verdict".into(), json!(verdict));
        self.evidence.insert("reasons".into(), json!(reasons));
        Assessment { verdict, reasons, evidence: Value::Object(self.evidence) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(add: impl Fn(&mut Findings), verdict: GateVerdict, reasons: &[&str]) {
        let mut findings = Findings::default();
        add(&mut findings);
        let assessment = findings.assess();
        assert_eq!(
            (assessment.verdict, assessment.reasons),
            (verdict, reasons.iter().map(|words| (*words).into()).collect())
        );
    }

    #[test]
    fn what_differs_comes_before_what_failed_and_what_is_missing() {
        let missing = |findings: &mut Findings| findings.miss("m".into());
        let failing = |findings: &mut Findings| {
            missing(findings);
            findings.error("e".into());
        };
        check(|_| {}, GateVerdict::Pass, &[]);
        check(missing, GateVerdict::Inconclusive, &["m"]);
        check(failing, GateVerdict::Error, &["e", "m"]);
        let different = |findings: &mut Findings| {
            failing(findings);
            findings.fail(Rank::Schema, "s".into());
            findings.fail(Rank::Rows, "r".into());
        };
        check(different, GateVerdict::Fail, &["r", "s", "e", "m"]);
    }

    #[test]
    fn lists_and_reasons_are_bounded_and_say_so() {
        let mut findings = Findings::default();
        for at in 0..MAX_NOTED + 5 {
            findings.note("list", json!(at));
            findings.fail(Rank::Schema, at.to_string());
        }
        let assessment = findings.assess();
        assert_eq!(assessment.reasons.len(), MAX_REASONS);
        assert_eq!(
            assessment.reasons[MAX_REASONS - 1],
            format!("{} more are in the evidence", MAX_NOTED + 5 - (MAX_REASONS - 1))
        );
        assert_eq!(assessment.evidence["list"].as_array().unwrap().last().unwrap(), &json!({"more": 5}));
    }
}
