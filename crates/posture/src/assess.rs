//! The verdict of the security gate.

use crate::import::{Format, Report};
use crate::rules::{Policy, evaluate};
use crate::{
    Difference, Excepted, Exception, Facts, New, Outcome, Package, Setting, Severity, Vulnerability, differences,
    excepted, newly,
};
use model::{GateVerdict, PerEnvironment, UnixMillis};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Reasons that are told, and differences of each kind; the others are counted. The evidence holds them all.
const MAX_REASONS: usize = 20;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What was found at each environment.
    pub facts: PerEnvironment<&'a Facts>,
    /// What scanners say of each environment: reports of the same kinds, or none at all.
    pub reports: PerEnvironment<&'a [Report]>,
    /// The least severity that counts.
    pub at_least: Severity,
    /// What is tolerated.
    pub exceptions: &'a [Exception],
    /// Rules of the organisation's own, and which of the shipped ones the plan chooses.
    pub policies: &'a [Policy],
    /// What the plan tells its policies, `input.context`; `now` is added.
    pub context: &'a Map<String, Value>,
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
    /// What could not be asked, and the settings of which that was.
    unasked: Vec<(String, Vec<Setting>)>,
    errors: Vec<String>,
    unsure: Vec<String>,
    notes: Vec<String>,
}

/// Decides. The same question has the same answer.
pub fn assess(question: &Question<'_>) -> Assessment {
    let Question { facts, reports, at_least, exceptions, policies, context, now } = question;
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
    let new = match comparable(reports) {
        Ok(false) => None,
        Ok(true) => {
            let found = reports.map(vulnerabilities);
            let found = PerEnvironment { blue: found.blue.as_slice(), green: found.green.as_slice() };
            Some(newly(found, *at_least, exceptions, *now))
        }
        Err(words) => {
            reasons.unsure.push(words);
            None
        }
    };
    if let Some(new) = &new {
        reasons.add_vulnerabilities(new);
    }
    let mut told = (*context).clone();
    told.insert("now".to_owned(), json!(now));
    let input = json!({
        "blue": facts.blue,
        "green": facts.green,
        "differences": differences,
        "vulnerabilities": new,
        "packages": packages(reports),
        "context": told,
    });
    let denied = reasons.add_policies(policies, &input);
    let evidence = json!({ "input": input, "exceptions": exceptions, "violations": denied });
    let (verdict, reasons) = reasons.verdict();
    Assessment { verdict, reasons, evidence }
}

/// Whether there is anything to compare. What one environment alone was searched for is new to nobody.
fn comparable(reports: &PerEnvironment<&[Report]>) -> Result<bool, String> {
    let formats = reports.map(|reports| reports.iter().map(|report| report.format).collect::<BTreeSet<Format>>());
    let missing = |of: &BTreeSet<Format>, who: &str, other: &BTreeSet<Format>| {
        let format = other.difference(of).next()?;
        Some(format!("there is no report of {who} by {format}, so nothing of it can be called new"))
    };
    let missing =
        missing(&formats.blue, "blue", &formats.green).or_else(|| missing(&formats.green, "green", &formats.blue));
    match missing {
        Some(words) => Err(words),
        None => Ok(!formats.blue.is_empty()),
    }
}

fn vulnerabilities(reports: &[Report]) -> Vec<Vulnerability> {
    reports.iter().flat_map(|report| &report.vulnerabilities).cloned().collect()
}

/// For policies: the packages that green alone has, whatever their version, and the licences that came with them.
fn packages(reports: &PerEnvironment<&[Report]>) -> Value {
    let all = |reports: &[Report]| reports.iter().flat_map(|report| report.packages.clone()).collect::<Vec<Package>>();
    let PerEnvironment { blue, green } = reports.map(all);
    let names: BTreeSet<&String> = blue.iter().map(|package| &package.name).collect();
    let licences: BTreeSet<&String> = blue.iter().flat_map(|package| &package.licences).collect();
    let added: BTreeSet<&Package> = green.iter().filter(|package| !names.contains(&package.name)).collect();
    let new: BTreeSet<&String> =
        green.iter().flat_map(|package| &package.licences).filter(|licence| !licences.contains(licence)).collect();
    json!({ "added": added, "licences": new })
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
            Outcome::Failed => self.add_unasked(difference.setting, &words),
            Outcome::Unknown => self.unsure.push(words),
            Outcome::Incomparable => self.unsure.push(format!("{words}: which is less safe is for a person to say")),
            Outcome::Stronger => self.notes.push(words),
            Outcome::Equal => {}
        }
    }

    /// An endpoint that is not there has one cause, and not as many as settings.
    fn add_unasked(&mut self, setting: Setting, words: &str) {
        let cause = words.strip_prefix(setting.name()).unwrap_or(words);
        match self.unasked.iter_mut().find(|(known, _)| known == cause) {
            Some((_, settings)) => settings.push(setting),
            None => self.unasked.push((cause.to_owned(), vec![setting])),
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

    /// What policies deny is a failure; one that comes to no answer is an error.
    fn add_policies(&mut self, policies: &[Policy], input: &Value) -> Value {
        let mut denied = Vec::new();
        for policy in policies {
            match evaluate(policy, input) {
                Ok(violations) => denied.extend(violations),
                Err(error) => self.errors.push(error.to_string()),
            }
        }
        self.fails.extend(denied.iter().map(|one| format!("policy {}: {}", one.rule, one.message)));
        json!(denied)
    }

    fn verdict(self) -> (GateVerdict, Vec<String>) {
        let Reasons { fails, unasked, errors, unsure, notes } = self;
        let unasked = unasked.into_iter().map(|(cause, settings)| match settings[..] {
            [one] => format!("{one}{cause}"),
            [first, _] => format!("{first} and 1 other setting{cause}"),
            [first, ..] => format!("{first} and {} other settings{cause}", settings.len() - 1),
            [] => cause,
        });
        let errors: Vec<String> = unasked.chain(errors).collect();
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
