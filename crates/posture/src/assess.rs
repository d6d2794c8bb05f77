//! The verdict of the security gate.

use crate::{
    Difference, Excepted, Exception, Facts, New, Outcome, Severity, Vulnerability, differences, excepted, newly,
};
use model::{GateVerdict, PerEnvironment, UnixMillis};
use serde_json::{Value, json};

/// Reasons that are told, and differences of each kind; the others are counted. The evidence holds them all.
const MAX_REASONS: usize = 20;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What was found at each environment.
    pub facts: PerEnvironment<&'a Facts>,
    /// What scanners found in each environment; `None` where no report was given.
    pub vulnerabilities: PerEnvironment<Option<&'a [Vulnerability]>>,
    /// The least severity that counts.
    pub at_least: Severity,
    /// What is tolerated.
    pub exceptions: &'a [Exception],
    /// When it is asked.
    pub now: UnixMillis,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Fail if green is less safe in anything; Error if something could not be asked; Inconclusive if something is not
    /// known; else Pass.
    pub verdict: GateVerdict,
    /// In words, what decided first.
    pub reasons: Vec<String>,
    /// Everything that the verdict follows from. No secrets.
    pub evidence: Value,
}

/// What speaks for each verdict.
#[derive(Default)]
struct Reasons {
    fails: Vec<String>,
    errors: Vec<String>,
    unsure: Vec<String>,
    notes: Vec<String>,
}

/// Decides. The same question has the same answer.
pub fn assess(question: &Question<'_>) -> Assessment {
    let Question { facts, vulnerabilities, at_least, exceptions, now } = question;
    let mut reasons = Reasons::default();
    let differences = differences(facts.blue, facts.green);
    if facts.blue.surfaces.is_empty() || facts.green.surfaces.is_empty() {
        reasons
            .unsure
            .push("nothing was asked of one of the environments: the plan names no endpoint of it".to_owned());
    }
    for difference in &differences {
        reasons.add_difference(difference, exceptions, *now);
    }
    let new = match (vulnerabilities.blue, vulnerabilities.green) {
        (None, None) => None,
        (Some(blue), Some(green)) => Some(newly(PerEnvironment { blue, green }, *at_least, exceptions, *now)),
        (Some(_), None) => {
            reasons.unsure.push("there is no scanner's report of green, and one of blue".to_owned());
            None
        }
        (None, Some(_)) => {
            reasons.unsure.push("there is no scanner's report of blue, and one of green".to_owned());
            None
        }
    };
    if let Some(new) = &new {
        reasons.add_vulnerabilities(new);
    }
    let evidence = json!({
        "now": now,
        "blue": facts.blue,
        "green": facts.green,
        "differences": differences,
        "vulnerabilities": new,
        "exceptions": exceptions,
    });
    let (verdict, reasons) = reasons.verdict();
    Assessment { verdict, reasons, evidence }
}

impl Reasons {
    fn add_difference(&mut self, difference: &Difference, exceptions: &[Exception], now: UnixMillis) {
        let words = difference.words.clone();
        match difference.outcome {
            Outcome::Weaker => match excepted(exceptions, &[difference.setting.name()], &difference.surface, now) {
                Excepted::By(exception) => self.notes.push(format!("{words}; tolerated: {}", exception.reason)),
                Excepted::Expired(exception) => {
                    self.fails.push(format!("{words}; the exception for it has expired ({})", exception.reason));
                }
                Excepted::No => self.fails.push(words),
            },
            Outcome::Failed => self.errors.push(words),
            Outcome::Unknown => self.unsure.push(words),
            Outcome::Incomparable => self.unsure.push(format!("{words}: which is less safe is for a person to say")),
            Outcome::Stronger => self.notes.push(words),
            Outcome::Equal => {}
        }
    }

    fn add_vulnerabilities(&mut self, new: &New) {
        for vulnerability in &new.findings {
            let expired = new.expired.get(&vulnerability.id);
            let expired = expired.map(|reason| format!("; the exception for it has expired ({reason})"));
            self.fails.push(format!("green has {vulnerability}; blue has not{}", expired.unwrap_or_default()));
        }
        for vulnerability in &new.unrated {
            self.unsure.push(format!("green has {vulnerability}; blue has not, and nobody said how bad it is"));
        }
        for (id, reason) in &new.excepted {
            self.notes.push(format!("green has {id}; blue has not; tolerated: {reason}"));
        }
    }

    fn verdict(self) -> (GateVerdict, Vec<String>) {
        let Reasons { fails, errors, unsure, notes } = self;
        let verdict = match (fails.is_empty(), errors.is_empty(), unsure.is_empty()) {
            (false, _, _) => GateVerdict::Fail,
            (true, false, _) => GateVerdict::Error,
            (true, true, false) => GateVerdict::Inconclusive,
            (true, true, true) => GateVerdict::Pass,
        };
        let mut reasons = [fails, errors, unsure].concat();
        if verdict == GateVerdict::Pass {
            reasons.push("green is nowhere less safe than blue, in what was asked".to_owned());
        }
        reasons.extend(notes);
        let more = reasons.len().saturating_sub(MAX_REASONS);
        reasons.truncate(MAX_REASONS);
        if more > 0 {
            reasons.push(format!("and {more} more: see the evidence"));
        }
        (verdict, reasons)
    }
}

#[cfg(test)]
mod tests;
