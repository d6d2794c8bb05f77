//! What a report says, and how it is read.

use crate::digest::ArtifactDigest;
use crate::key::AttestationKey;
use crate::{attestation, junit};
use model::UnixMillis;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// 100,000 tests of some 300 bytes each.
pub const MAX_REPORT_BYTES: usize = 32 * 1024 * 1024;
/// Tests of one report. Each is a name of [`MAX_NAME_CHARACTERS`] at most: 205 MB if all repeated the name of a suite of
/// four-byte characters, 10 MB in reports that mean it.
pub const MAX_TESTS: usize = 100_000;
/// Characters that are kept of a test's name.
pub const MAX_NAME_CHARACTERS: usize = 512;
/// Artifacts that one report names. More than one is a mistake already.
pub(crate) const MAX_ARTIFACTS: usize = 16;

/// How a report is read.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// What reasons call it: a file's name, or a command.
    pub source: &'a str,
    /// Names of the properties that hold the artifact's digest, `artifact` for one.
    pub properties: &'a [String],
    /// Minutes east of UTC, for moments without a time zone; 0 is UTC.
    pub zone_minutes: i16,
    /// Whose signature an attestation needs; `None` asks for none.
    pub key: Option<&'a AttestationKey>,
}

/// Which kind of report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// JUnit XML.
    JUnit,
    /// An in-toto statement with the predicate test-result v0.1.
    Attestation,
}

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suite {
    /// What reasons call it.
    pub source: String,
    /// Which kind of report it was.
    pub format: Format,
    /// SHA-256 of the report's bytes, `sha256:…`.
    pub digest: String,
    /// Which artifacts it says that it is of. None is not known; more than one is none in particular.
    pub artifacts: BTreeSet<ArtifactDigest>,
    /// A property had the artifact's name and no digest.
    pub artifact_is_unreadable: bool,
    /// When the tests ran; `None` if the report does not say.
    pub ran: Option<Span>,
    /// Every test, in the report's order.
    pub cases: Vec<Case>,
    /// Failures that the report counts and does not list, and an attestation's result that is FAILED without a name.
    pub unlisted_failures: u64,
    /// Whether anybody vouches for it.
    pub signature: Signature,
}

/// Who vouches for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signature {
    /// Nobody that was asked for.
    NotAsked,
    /// The key that was given.
    Verified,
}

/// The earliest and the latest moment in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// The earliest.
    pub earliest: UnixMillis,
    /// The latest.
    pub latest: UnixMillis,
    /// At least one of the moments stands without a time zone.
    pub zone_is_assumed: bool,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// The class (or, where there is none, the suite), `::`, and the name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// It passed only after it had failed, or with a warning.
    pub flaky: bool,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// As it should.
    Passed,
    /// It was not run.
    Skipped,
    /// An assertion did not hold.
    Failed,
    /// It broke otherwise.
    Errored,
}

/// Why a report cannot be read. Never holds more of it than names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Longer than [`MAX_REPORT_BYTES`].
    #[error("the report has {bytes} bytes; {} MiB are read at most", MAX_REPORT_BYTES / (1024 * 1024))]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// Neither XML nor JSON.
    #[error(
        "the report is of no kind that is read here: expected JUnit XML (`<testsuites>` or `<testsuite>`), or an in-toto \
         statement with the predicate {}, as JSON, also in a DSSE envelope",
        attestation::PREDICATE_TYPE
    )]
    Unknown,
    /// Not UTF-8.
    #[error(
        "the report is not UTF-8 at byte {offset}; expected UTF-8, which reports are written in unless told otherwise"
    )]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// XML that is broken, or that does more than a report should.
    #[error("the report's XML at byte {offset}: {what}")]
    Xml {
        /// Where.
        offset: u64,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A bound is passed.
    #[error("the report has more than {most} {of}")]
    TooMany {
        /// Of what.
        of: &'static str,
        /// The bound.
        most: usize,
    },
    /// JSON that is broken, or not what was expected.
    #[error("the attestation cannot be read: {reason}")]
    Json {
        /// Where and why.
        reason: String,
    },
    /// Another statement.
    #[error("{field} of the attestation is {found}; expected {expected}")]
    Statement {
        /// Which field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// Nobody that is believed signed it.
    #[error("{what}, and the plan names the key that must have signed it; expected a DSSE envelope with its signature")]
    NotSigned {
        /// What it is instead.
        what: &'static str,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Passed => "passed",
            Outcome::Skipped => "was skipped",
            Outcome::Failed => "failed",
            Outcome::Errored => "ended with an error",
        })
    }
}

/// Reads a report of either kind. Takes linear time, and memory in proportion to the report's.
pub fn read(bytes: &[u8], reading: &Reading<'_>) -> Result<Suite, ReadError> {
    if bytes.len() > MAX_REPORT_BYTES {
        return Err(ReadError::TooLong { bytes: bytes.len() });
    }
    let text = str::from_utf8(bytes).map_err(|error| ReadError::NotUtf8 { offset: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let digest = Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    match text.trim_start().chars().next() {
        // JUnit XML is signed by nobody: where a signature is demanded it is none.
        Some('<') if reading.key.is_some() => Err(ReadError::NotSigned { what: "the report is JUnit XML" }),
        Some('<') => junit::read(text, digest, reading),
        Some('{') => attestation::read(text, digest, reading),
        Some(_) | None => Err(ReadError::Unknown),
    }
}

/// A name as facts hold it: printable, and not too long.
pub(crate) fn name(text: &str) -> String {
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(MAX_NAME_CHARACTERS).map(printable).collect()
}
