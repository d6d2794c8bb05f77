//! What is demanded of tests.

use crate::digest::ArtifactDigest;
use model::UnixMillis;
use serde::{Deserialize, Serialize};

/// What green's tests must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Demand {
    /// Of which artifact: green's.
    pub artifact: ArtifactDigest,
    /// When the artifact was built, where that is known: tests from before it were of something else.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub built: Option<UnixMillis>,
    /// Tests that must have passed, at least. Each name counts once.
    pub at_least: u64,
    /// How long ago the tests may have run, in milliseconds; `None` if that does not matter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_age_ms: Option<u64>,
    /// Tests that may be skipped, at most; `None` for any number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_skipped: Option<u64>,
    /// What is tolerated.
    pub exceptions: Vec<Exception>,
}

/// A test that may fail, be skipped or be gone, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exception {
    /// The test's whole name, as reasons write it.
    pub test: String,
    /// Why it is tolerated, for people.
    pub reason: String,
    /// From then on it counts again.
    pub expires: UnixMillis,
}

/// What is said of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excepted<'a> {
    No,
    By(&'a Exception),
    Expired(&'a Exception),
}

/// Looks for an exception; one that still counts is preferred.
pub(crate) fn excepted<'a>(exceptions: &'a [Exception], test: &str, now: UnixMillis) -> Excepted<'a> {
    let mut expired = Excepted::No;
    for exception in exceptions.iter().filter(|exception| exception.test == test) {
        if now < exception.expires {
            return Excepted::By(exception);
        }
        expired = Excepted::Expired(exception);
    }
    expired
}
