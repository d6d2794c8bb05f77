//! The verdict of the tests gate.

use crate::demand::{Demand, Excepted, excepted};
use crate::suite::{Format, Outcome, Signature, Span, Suite};
use model::{GateVerdict, ShortDuration, UnixMillis};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Reasons that are told; the others are counted.
const MAX_REASONS: usize = 20;
/// Names of each kind that the evidence lists; the reports' digests stand for the rest. 1,000 of 512 characters are 0.5 MB.
const MAX_LISTED: usize = 1_000;
/// How far the clock of whoever ran the tests may be ahead of ours.
const MAX_AHEAD_MS: u64 = 5 * 60 * 1_000;
/// The widest that a moment without a time zone can be wrong by: zones are UTC-12 to UTC+14.
const MAX_ZONE_MS: u64 = 14 * 60 * 60 * 1_000;

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Fail if what a report says is not what was demanded; Inconclusive if no report says it; else Pass. Both of the
    /// former hold a rollout.
    pub verdict: GateVerdict,
    /// In words, what decided first. Names of tests and of files, never a test's message.
    pub reasons: Vec<String>,
    /// What the verdict follows from: the demand, and of each report its digest and counts.
    pub evidence: Value,
}

#[derive(Default)]
struct Reasons {
    fails: Vec<String>,
    unsure: Vec<String>,
    notes: Vec<String>,
}

/// What became of a test, over all reports: the worst counts, and what passed in one of several runs is flaky.
#[derive(Clone, Copy, Debug)]
struct Test<'s> {
    outcome: Outcome,
    flaky: bool,
    passed: bool,
    source: &'s str,
}

type Tests<'s> = BTreeMap<&'s str, Test<'s>>;

/// Decides whether green is tested as was demanded. `blue`'s reports, where there are any, say which tests ran before; the
/// same arguments have the same answer.
pub fn decide(demand: &Demand, green: &[Suite], blue: Option<&[Suite]>, now: UnixMillis) -> Assessment {
    let mut reasons = Reasons::default();
    if green.is_empty() {
        reasons
            .unsure
            .push("there is no report of green's tests: a change without tests is not let through".to_owned());
    }
    let counted: Vec<&Suite> = green.iter().filter(|suite| reasons.counts(suite, demand, now)).collect();
    let are_all_counted = counted.len() == green.len() && !green.is_empty();
    let tests = tests(counted.iter().copied());
    reasons.add_failures(&tests, demand, now);
    for suite in counted.iter().filter(|suite| suite.unlisted_failures > 0) {
        let Suite { unlisted_failures, source, .. } = suite;
        reasons.fails.push(format!("{source} counts {unlisted_failures} failures that it does not list as tests"));
    }
    // What is missing because a whole report is missing has been told.
    let gone = if are_all_counted { reasons.add_gone(&tests, demand, blue, now) } else { Vec::new() };
    let passed = tests.values().filter(|test| test.outcome == Outcome::Passed).count() as u64;
    if passed < demand.at_least && !green.is_empty() {
        let of = if are_all_counted { "" } else { " in the reports that count" };
        let words = format!("{passed} tests passed{of}, {} are demanded at least", demand.at_least);
        if are_all_counted || !reasons.fails.is_empty() { &mut reasons.fails } else { &mut reasons.unsure }.push(words);
    }
    reasons.add_skipped(&tests, demand);
    reasons.add_flaky(&tests);
    let evidence = evidence(demand, green, blue, &tests, &gone, now);
    let (verdict, reasons) = reasons.verdict(passed, demand);
    Assessment { verdict, reasons, evidence }
}

fn tests<'s>(suites: impl Iterator<Item = &'s Suite>) -> Tests<'s> {
    let mut tests = Tests::new();
    for suite in suites {
        for case in &suite.cases {
            let passed = case.outcome == Outcome::Passed;
            let test = Test { outcome: case.outcome, flaky: case.flaky, passed, source: &suite.source };
            let known = tests.entry(&case.name).or_insert(test);
            known.flaky |= case.flaky;
            known.passed |= passed;
            // A test that is skipped in one run and passes in another has passed.
            if rank(case.outcome) > rank(known.outcome) {
                *known = Test { flaky: known.flaky, passed: known.passed, ..test };
            }
        }
    }
    tests
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Skipped => 0,
        Outcome::Passed => 1,
        Outcome::Failed => 2,
        Outcome::Errored => 3,
    }
}

impl Reasons {
    /// Whether a report is of this artifact and recent; what is wrong with it is told.
    fn counts(&mut self, suite: &Suite, demand: &Demand, now: UnixMillis) -> bool {
        let Suite { source, artifacts, artifact_is_unreadable, ran, .. } = suite;
        let artifact = &demand.artifact;
        let is_named = artifacts.contains(artifact);
        match artifacts.iter().find(|other| *other != artifact) {
            // A statement may be about several artifacts (in-toto's `subject`); a report of tests is about one.
            Some(_) if is_named && suite.format == Format::Attestation => {}
            Some(other) => {
                self.fails.push(format!("{source} is of another artifact, {other}; green is {artifact}"));
                return false;
            }
            None => {}
        }
        if artifacts.is_empty() {
            let why = match artifact_is_unreadable {
                true => "names an artifact by something that is no digest (sha256:…)",
                false => "does not say which artifact was tested",
            };
            self.unsure.push(format!("{source} {why}; expected {artifact}"));
            return false;
        }
        if demand.max_age_ms.is_none() && demand.built.is_none() {
            return true;
        }
        let Some(ran) = ran else {
            // What is signed for this very artifact is no older than it.
            if demand.max_age_ms.is_none() {
                return true;
            }
            self.unsure.push(format!("{source} does not say when the tests ran"));
            return false;
        };
        self.is_recent(source, ran, demand, now)
    }

    fn is_recent(&mut self, source: &str, ran: &Span, demand: &Demand, now: UnixMillis) -> bool {
        let zone = |off_by_ms: u64| match ran.zone_is_assumed && off_by_ms <= MAX_ZONE_MS {
            true => "; the report writes no time zone, and the plan can say which one it means",
            false => "",
        };
        let ahead_ms = ran.latest.since_ms(now);
        if ahead_ms > MAX_AHEAD_MS {
            let words = format!("{source} says that tests ran {} from now", ShortDuration(ahead_ms));
            self.unsure.push(words + ": one of the clocks is wrong" + zone(ahead_ms));
            return false;
        }
        if let Some(built) = demand.built.filter(|built| ran.earliest < *built) {
            let early_ms = built.since_ms(ran.earliest);
            let words = format!("{source} is of tests that ran {} before green was built", ShortDuration(early_ms));
            self.fails.push(words + zone(early_ms));
            return false;
        }
        let age_ms = now.since_ms(ran.earliest);
        if let Some(max_age_ms) = demand.max_age_ms.filter(|most| age_ms > *most) {
            let (age, most) = (ShortDuration(age_ms), ShortDuration(max_age_ms));
            let words = format!("{source} is stale: its tests ran {age} ago, {most} are allowed");
            self.fails.push(words + zone(age_ms - max_age_ms));
            return false;
        }
        true
    }

    /// Tells something of a test, unless it is tolerated.
    fn add_unless_excepted(&mut self, test: &str, words: String, demand: &Demand, now: UnixMillis) -> bool {
        match excepted(&demand.exceptions, test, now) {
            Excepted::No => self.fails.push(words),
            Excepted::Expired(it) => {
                self.fails.push(format!("{words}; the exception for it has expired ({})", it.reason))
            }
            Excepted::By(it) => {
                self.notes.push(format!("{words}; tolerated: {}", it.reason));
                return false;
            }
        }
        true
    }

    fn add_failures(&mut self, tests: &Tests<'_>, demand: &Demand, now: UnixMillis) {
        for (name, Test { outcome, passed, source, .. }) in tests {
            if matches!(outcome, Outcome::Failed | Outcome::Errored) {
                let also = if *passed { ", and passed in another run of it" } else { "" };
                self.add_unless_excepted(name, format!("the test {name} {outcome}{also} ({source})"), demand, now);
            }
        }
    }

    /// Tests that passed for blue, and are skipped or gone for green.
    fn add_gone(&mut self, tests: &Tests<'_>, demand: &Demand, blue: Option<&[Suite]>, now: UnixMillis) -> Vec<String> {
        let Some(blue) = blue else { return Vec::new() };
        if blue.is_empty() {
            self.unsure
                .push("there is no report of blue's tests, so nobody knows which of them green lacks".to_owned());
        }
        let mut gone = Vec::new();
        for (name, before) in self::tests(blue.iter()) {
            let words = match tests.get(name).map(|test| test.outcome) {
                _ if before.outcome != Outcome::Passed => continue,
                Some(Outcome::Passed | Outcome::Failed | Outcome::Errored) => continue,
                Some(Outcome::Skipped) => format!("the test {name} was skipped for green and passed for blue"),
                None => format!("the test {name} is gone from green's reports and passed for blue"),
            };
            if self.add_unless_excepted(name, words, demand, now) {
                gone.push(name.to_owned());
            }
        }
        gone
    }

    fn add_skipped(&mut self, tests: &Tests<'_>, demand: &Demand) {
        let skipped = tests.values().filter(|test| test.outcome == Outcome::Skipped).count() as u64;
        if let Some(most) = demand.max_skipped.filter(|most| skipped > *most) {
            self.fails.push(format!("{skipped} tests were skipped, {most} are allowed"));
        }
    }

    fn add_flaky(&mut self, tests: &Tests<'_>) {
        for (name, Test { outcome, source, flaky, .. }) in tests {
            if *flaky && *outcome == Outcome::Passed {
                self.notes
                    .push(format!("the test {name} passed only after it had failed, or with a warning ({source})"));
            }
        }
    }

    fn verdict(self, passed: u64, demand: &Demand) -> (GateVerdict, Vec<String>) {
        let Reasons { fails, unsure, notes } = self;
        let verdict = match (fails.is_empty(), unsure.is_empty()) {
            (false, _) => GateVerdict::Fail,
            (true, false) => GateVerdict::Inconclusive,
            (true, true) => GateVerdict::Pass,
        };
        let mut reasons = [fails, unsure].concat();
        if verdict == GateVerdict::Pass {
            reasons.push(format!("{passed} tests passed for {}, {} are demanded", demand.artifact, demand.at_least));
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

fn evidence(
    demand: &Demand,
    green: &[Suite],
    blue: Option<&[Suite]>,
    tests: &Tests<'_>,
    gone: &[String],
    now: UnixMillis,
) -> Value {
    let named = |is: &dyn Fn(&Test<'_>) -> bool| {
        let names: Vec<&str> = tests.iter().filter(|(_, test)| is(test)).map(|(name, _)| *name).collect();
        json!({ "count": names.len(), "tests": &names[..names.len().min(MAX_LISTED)] })
    };
    json!({
        "now": now,
        "demand": demand,
        "reports": green.iter().map(summary).collect::<Vec<_>>(),
        "blue": blue.map(|suites| suites.iter().map(summary).collect::<Vec<_>>()),
        "failed": named(&|test| matches!(test.outcome, Outcome::Failed | Outcome::Errored)),
        "skipped": named(&|test| test.outcome == Outcome::Skipped),
        "flaky": named(&|test| test.flaky),
        "passed": tests.values().filter(|test| test.outcome == Outcome::Passed).count(),
        "gone": json!({ "count": gone.len(), "tests": &gone[..gone.len().min(MAX_LISTED)] }),
    })
}

fn summary(suite: &Suite) -> Value {
    let count = |outcome: Outcome| suite.cases.iter().filter(|case| case.outcome == outcome).count();
    json!({
        "source": suite.source,
        "format": suite.format,
        "digest": suite.digest,
        "artifacts": suite.artifacts,
        "ran": suite.ran,
        "isSigned": suite.signature == Signature::Verified,
        "passed": count(Outcome::Passed),
        "skipped": count(Outcome::Skipped),
        "failed": count(Outcome::Failed) + count(Outcome::Errored),
        "unlistedFailures": suite.unlisted_failures,
    })
}

#[cfg(test)]
mod tests;
