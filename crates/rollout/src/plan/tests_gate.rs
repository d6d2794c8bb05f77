//! The tests gate: which reports are read, and what green's tests must be.

use super::problems::{Expected, Place, Problems, list};
use super::quantity::{DAY_CHARACTERS, DAY_MS, MAX_PATH_CHARACTERS, duration_ms, line, moment, prose, whole};
use super::raw::{RawTestException, RawTestSource, RawTestsGate};
use super::typed::yes_or_no;
use model::{Environment, PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};

/// Places of reports of one environment.
const MAX_SOURCES: usize = 16;
/// Tests that are tolerated: with all texts full the plan's own bound is met first.
const MAX_EXCEPTIONS: usize = 200;
/// Words of a command.
const MAX_WORDS: usize = 64;
/// Characters of a test's name, of a reason, and of a property's name.
const MAX_CHARACTERS: usize = 500;
/// Names of the property that holds the artifact's digest.
const MAX_PROPERTIES: usize = 8;

/// What green's tests must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestsGate {
    /// Tests that must have passed.
    pub at_least: u32,
    /// How long ago they may have run, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_age_ms: Option<u64>,
    /// Tests that may be skipped; `None` for any number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_skipped: Option<u32>,
    /// When the artifact was built: tests from before it were of something else.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub built: Option<UnixMillis>,
    /// Whether tests that passed for blue may not be skipped or gone.
    pub like_blue: bool,
    /// Where reports are.
    pub reports: PerEnvironment<Vec<TestSource>>,
    /// Names of the property that holds the artifact's digest.
    pub properties: Vec<String>,
    /// The file of the public key that must have signed green's attestations, relative to the plan.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_file: Option<String>,
    /// What is tolerated.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exceptions: Vec<TestException>,
}

/// Where reports come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TestSource {
    /// A file or a folder, relative to the plan.
    Files(String),
    /// A program that prints a report, by its whole path, and its arguments.
    Command(Vec<String>),
}

/// A test that may fail, be skipped or be gone, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestException {
    /// Its whole name.
    pub test: String,
    /// Why.
    pub reason: String,
    /// Until when; after that it counts again.
    pub expires: UnixMillis,
}

/// `gates.tests`.
pub(super) fn gate(problems: &mut Problems, at: &Place, raw: &RawTestsGate) -> Option<TestsGate> {
    let wanted = "how many tests must have passed, such as 100";
    let at_least = problems.needed(at, "atLeast", &raw.at_least, wanted, |text| whole(text, (1, 10_000_000)));
    let read = |text: &str| duration_ms(text, (60_000, 366 * DAY_MS));
    let max_age = problems.optional(at, "maxAge", &raw.max_age, read);
    let skipped = problems.optional(at, "maxSkipped", &raw.max_skipped, |text| whole(text, (0, 10_000_000)));
    let built = problems.optional(at, "built", &raw.built, built_at);
    let like_blue = problems.or(at, "likeBlue", &raw.like_blue, false, yes_or_no);
    let key = problems.optional(at, "keyFile", &raw.key_file, |text| line(text, MAX_PATH_CHARACTERS));
    let exceptions = list(problems, at, ("exceptions", MAX_EXCEPTIONS), &raw.exceptions, exception);
    let properties =
        list(problems, at, ("properties", MAX_PROPERTIES), &raw.properties, |problems, at, raw: &String| {
            let refused = |expected: Expected| problems.refuse(at, super::error::quoted(raw), expected);
            line(raw, MAX_CHARACTERS).map_err(refused).ok()
        });
    let wanted = "where the reports are, such as { green: [{ files: ./reports }] }";
    let (reports_at, reports) = problems.section(at, "reports", &raw.reports, wanted)?;
    let of = |problems: &mut Problems, environment: Environment, raw| {
        list(problems, &reports_at, (environment.name(), MAX_SOURCES), raw, source)
    };
    let blue = of(problems, Environment::Blue, &reports.blue);
    let green = of(problems, Environment::Green, &reports.green);
    let (reports, like_blue, exceptions) = (PerEnvironment { blue: blue?, green: green? }, like_blue?, exceptions?);
    if reports.green.is_empty() || like_blue && reports.blue.is_empty() {
        let missing = if reports.green.is_empty() { "green" } else { "blue" };
        problems.refuse(&reports_at, format!("no report of {missing}"), wanted);
        return None;
    }
    let mut properties = properties?;
    if properties.is_empty() {
        properties.push("artifact".to_owned());
    }
    let (max_age_ms, max_skipped, built) = (max_age?, skipped?, built?);
    Some(TestsGate {
        at_least: at_least?,
        max_age_ms,
        max_skipped,
        built,
        like_blue,
        reports,
        properties,
        key_file: key?,
        exceptions,
    })
}

/// A day has tests from before the build and from after it.
fn built_at(text: &str) -> Result<UnixMillis, Expected> {
    let moment = if text.len() == DAY_CHARACTERS { None } else { moment(text).ok() };
    moment.ok_or_else(|| "a moment, such as 2026-11-30T18:00:00Z".to_owned())
}

fn source(problems: &mut Problems, at: &Place, raw: &RawTestSource) -> Option<TestSource> {
    let wanted = "either { files: ./reports } or { command: [/usr/bin/program, …] }";
    match (&raw.files, &raw.command) {
        (Some(_), None) => {
            let read = |text: &str| line(text, MAX_PATH_CHARACTERS);
            problems.needed(at, "files", &raw.files, wanted, read).map(TestSource::Files)
        }
        (None, Some(_)) => {
            let words = list(problems, at, ("command", MAX_WORDS), &raw.command, |problems, at, raw: &String| {
                let refused = |expected: Expected| problems.refuse(at, super::error::quoted(raw), expected);
                line(raw, MAX_PATH_CHARACTERS).map_err(refused).ok()
            })?;
            if words.first().is_some_and(|program| program.starts_with('/')) {
                return Some(TestSource::Command(words));
            }
            problems.refuse(at, "no whole path of a program", wanted);
            None
        }
        (Some(_), Some(_)) | (None, None) => {
            problems.refuse(at, "both or neither of `files` and `command`", wanted);
            None
        }
    }
}

fn exception(problems: &mut Problems, at: &Place, raw: &RawTestException) -> Option<TestException> {
    let test = problems.needed(at, "test", &raw.test, "the test's whole name", |text| line(text, MAX_CHARACTERS));
    let read = |text: &str| prose(text, MAX_CHARACTERS);
    let reason = problems.needed(at, "reason", &raw.reason, "why it is tolerated", read);
    let expires = problems.needed(at, "expires", &raw.expires, "until when, such as 2027-01-31", moment);
    Some(TestException { test: test?, reason: reason?, expires: expires? })
}
