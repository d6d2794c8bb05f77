//! JUnit XML, as Surefire, Gradle, pytest, jest-junit, gotestsum and cargo-nextest write it. There is no specification;
//! what is read is what these have in common: `testsuites`, `testsuite` (nested to any depth), `testcase`, and in it
//! `skipped`, `failure`, `error`, `rerunFailure`, `rerunError`, `flakyFailure`, `flakyError`; `property`; `timestamp`.
//!
//! A document type is refused, and no entity but XML's five and characters by number is known: nothing expands. Texts are
//! passed over without a copy.

use crate::digest::ArtifactDigest;
use crate::suite::{Case, Format, MAX_ARTIFACTS, MAX_TESTS, Outcome, ReadError, Reading, Signature, Span, Suite, name};
use crate::time::{Stamp, stamp};
use model::quoted;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::collections::BTreeSet;

/// Elements within elements. Reports have 6; whoever writes more means no report.
pub const MAX_DEPTH: usize = 64;
/// Attributes of one element. Reports have 12.
pub const MAX_ATTRIBUTES: usize = 64;

/// What is open.
enum Frame {
    Suite(OpenSuite),
    Case(OpenCase),
    /// Anything else.
    Other,
}

#[derive(Default)]
struct OpenSuite {
    name: String,
    /// Failures and errors that its attributes count.
    declared: Option<u64>,
    /// Those in its own tests.
    listed: u64,
    /// It holds suites, whose failures its attributes may count too.
    has_suites: bool,
}

struct OpenCase {
    name: String,
    outcome: Outcome,
    flaky: bool,
    /// `failure` and `error` elements, for suites count each.
    failing: u64,
}

/// The attributes that are read, of whatever element.
#[derive(Default)]
struct Attributes {
    name: Option<String>,
    classname: Option<String>,
    value: Option<String>,
    timestamp: Option<String>,
    failures: Option<u64>,
    errors: Option<u64>,
    not_run: bool,
}

struct Report<'r> {
    reading: &'r Reading<'r>,
    stack: Vec<Frame>,
    has_root: bool,
    cases: Vec<Case>,
    artifacts: BTreeSet<ArtifactDigest>,
    artifact_is_unreadable: bool,
    ran: Option<Span>,
    unlisted_failures: u64,
}

pub(crate) fn read(text: &str, digest: String, reading: &Reading<'_>) -> Result<Suite, ReadError> {
    let mut xml = Reader::from_str(text);
    let mut report = Report {
        reading,
        stack: Vec::new(),
        has_root: false,
        cases: Vec::new(),
        artifacts: BTreeSet::new(),
        artifact_is_unreadable: false,
        ran: None,
        unlisted_failures: 0,
    };
    loop {
        let offset = xml.buffer_position();
        let refused = |what: String| ReadError::Xml { offset, what };
        match xml.read_event() {
            Ok(Event::Start(element)) => report.open(&element).map_err(|error| error.at(offset))?,
            Ok(Event::Empty(element)) => {
                report.open(&element).map_err(|error| error.at(offset))?;
                report.close();
            }
            Ok(Event::End(_)) => report.close(),
            Ok(Event::DocType(_)) => {
                return Err(refused(
                    "a document type; reports need none, and what it defines is not looked up".to_owned(),
                ));
            }
            Ok(Event::Eof) => break,
            // References stand in texts alone here, and texts are not read.
            Ok(Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
            Ok(Event::GeneralRef(_)) => {}
            Err(error) => return Err(refused(quoted(&error.to_string()))),
        }
    }
    report.finish(text.len(), digest)
}

/// What is wrong with an element.
enum Refused {
    Xml(String),
    TooMany(&'static str, usize),
}

impl Refused {
    fn at(self, offset: u64) -> ReadError {
        match self {
            Refused::Xml(what) => ReadError::Xml { offset, what },
            Refused::TooMany(of, most) => ReadError::TooMany { of, most },
        }
    }
}

impl Report<'_> {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), Refused> {
        if self.stack.len() == MAX_DEPTH {
            return Err(Refused::TooMany("elements within each other", MAX_DEPTH));
        }
        let local_name = element.local_name();
        let kind = local_name.as_ref();
        if self.stack.is_empty() {
            if self.has_root || !matches!(kind, "testsuites" | "testsuite") {
                let what = format!("<{}> at the top; expected one <testsuites> or <testsuite>", quoted(kind));
                return Err(Refused::Xml(what));
            }
            self.has_root = true;
        }
        let frame = match kind {
            "testsuites" | "testsuite" => {
                let attributes = attributes(element)?;
                self.ran_at(attributes.timestamp.as_deref());
                let failing = [attributes.failures, attributes.errors];
                let declared = failing.iter().flatten().copied().reduce(u64::saturating_add);
                if let Some(Frame::Suite(outer)) = self.stack.last_mut() {
                    outer.has_suites = true;
                }
                // Cut here: its tests without a class repeat it.
                let name = name(attributes.name.as_deref().unwrap_or_default());
                Frame::Suite(OpenSuite { name, declared, ..OpenSuite::default() })
            }
            "testcase" => {
                let attributes = attributes(element)?;
                self.ran_at(attributes.timestamp.as_deref());
                Frame::Case(self.begin_case(attributes)?)
            }
            "property" => {
                let attributes = attributes(element)?;
                self.property(attributes.name.as_deref(), attributes.value.as_deref())?;
                Frame::Other
            }
            _ => {
                if let Some(Frame::Case(case)) = self.stack.last_mut() {
                    case.holds(kind);
                }
                Frame::Other
            }
        };
        self.stack.push(frame);
        Ok(())
    }

    fn begin_case(&self, attributes: Attributes) -> Result<OpenCase, Refused> {
        if self.cases.len() == MAX_TESTS {
            return Err(Refused::TooMany("tests", MAX_TESTS));
        }
        let suite = self.stack.iter().rev().find_map(|frame| match frame {
            Frame::Suite(suite) => Some(suite.name.as_str()),
            Frame::Case(_) | Frame::Other => None,
        });
        let class = attributes.classname.filter(|class| !class.is_empty());
        let class = class.as_deref().or(suite).unwrap_or_default();
        let test = attributes.name.as_deref().unwrap_or_default();
        let name = if class.is_empty() { name(test) } else { name(&format!("{class}::{test}")) };
        let outcome = if attributes.not_run { Outcome::Skipped } else { Outcome::Passed };
        Ok(OpenCase { name, outcome, flaky: false, failing: 0 })
    }

    fn close(&mut self) {
        match self.stack.pop() {
            Some(Frame::Case(OpenCase { name, outcome, flaky, failing })) => {
                if let Some(Frame::Suite(suite)) = self.stack.last_mut() {
                    suite.listed = suite.listed.saturating_add(failing);
                }
                self.cases.push(Case { name, outcome, flaky });
            }
            // A suite that broke before its tests began (jest-junit, Surefire) has its failure in its attributes alone.
            Some(Frame::Suite(suite)) if !suite.has_suites => {
                let unlisted = suite.declared.unwrap_or(0).saturating_sub(suite.listed);
                self.unlisted_failures = self.unlisted_failures.saturating_add(unlisted);
            }
            Some(Frame::Suite(_) | Frame::Other) | None => {}
        }
    }

    fn ran_at(&mut self, timestamp: Option<&str>) {
        let Some(Stamp { at, zone_is_assumed }) = timestamp.and_then(|text| stamp(text, self.reading.zone_minutes))
        else {
            return;
        };
        let span = self.ran.get_or_insert(Span { earliest: at, latest: at, zone_is_assumed });
        span.earliest = span.earliest.min(at);
        span.latest = span.latest.max(at);
        span.zone_is_assumed |= zone_is_assumed;
    }

    fn property(&mut self, name: Option<&str>, value: Option<&str>) -> Result<(), Refused> {
        if !self.reading.properties.iter().any(|property| Some(property.as_str()) == name) {
            return Ok(());
        }
        match value.unwrap_or_default().parse::<ArtifactDigest>() {
            Ok(digest) => {
                self.artifacts.insert(digest);
            }
            Err(_) => self.artifact_is_unreadable = true,
        }
        if self.artifacts.len() > MAX_ARTIFACTS {
            return Err(Refused::TooMany("artifacts", MAX_ARTIFACTS));
        }
        Ok(())
    }

    fn finish(self, offset: usize, digest: String) -> Result<Suite, ReadError> {
        let offset = offset as u64;
        if !self.has_root || !self.stack.is_empty() {
            let what = "the report ends before its root element does; was it cut off?".to_owned();
            return Err(ReadError::Xml { offset, what });
        }
        Ok(Suite {
            source: name(self.reading.source),
            format: Format::JUnit,
            digest,
            artifacts: self.artifacts,
            artifact_is_unreadable: self.artifact_is_unreadable,
            ran: self.ran,
            cases: self.cases,
            unlisted_failures: self.unlisted_failures,
            signature: Signature::NotAsked,
        })
    }
}

impl OpenCase {
    /// An element directly in it. The worst counts.
    fn holds(&mut self, kind: &str) {
        let outcome = match kind {
            "failure" => Outcome::Failed,
            "error" => Outcome::Errored,
            "skipped" => Outcome::Skipped,
            "flakyFailure" | "flakyError" => {
                self.flaky = true;
                return;
            }
            // Of `rerunFailure` and `rerunError` the `failure` beside them says that it failed at all.
            _ => return,
        };
        self.failing += u64::from(matches!(outcome, Outcome::Failed | Outcome::Errored));
        self.outcome = self.outcome.max(outcome);
    }
}

/// Duplicates are not looked for, which would take quadratic time: the first counts.
fn attributes(element: &BytesStart<'_>) -> Result<Attributes, Refused> {
    let mut found = Attributes::default();
    for (index, attribute) in element.attributes().with_checks(false).enumerate() {
        if index == MAX_ATTRIBUTES {
            return Err(Refused::TooMany("attributes of one element", MAX_ATTRIBUTES));
        }
        let attribute = attribute.map_err(|error| Refused::Xml(quoted(&error.to_string())))?;
        let local_name = attribute.key.local_name();
        let key = local_name.as_ref();
        if !["name", "classname", "value", "timestamp", "failures", "errors", "status", "result"].contains(&key) {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| Refused::Xml(quoted(&error.to_string())))?;
        let first = |into: &mut Option<String>| {
            into.get_or_insert_with(|| value.clone().into_owned());
        };
        match key {
            "name" => first(&mut found.name),
            "classname" => first(&mut found.classname),
            "value" => first(&mut found.value),
            "timestamp" => first(&mut found.timestamp),
            "failures" => found.failures = found.failures.or(value.trim().parse().ok()),
            "errors" => found.errors = found.errors.or(value.trim().parse().ok()),
            // GoogleTest and CTest say it there.
            _ => found.not_run |= ["notrun", "skipped", "disabled", "suppressed"].contains(&value.as_ref()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
