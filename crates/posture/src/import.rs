//! Reports of scanners: SARIF 2.1.0, CycloneDX 1.4 to 1.6, SPDX 2.3, Grype and Trivy, all as JSON. What is read is which
//! vulnerabilities and packages they name; what they say beside that is passed over.
//!
//! Memory: every list is bounded by [`MAX_ITEMS`] or [`MAX_FEW`], and every report by [`MAX_REPORT_BYTES`].

mod bounded;
mod cyclonedx;
mod grype;
mod sarif;
mod spdx;
mod trivy;

use crate::{Package, Severity, Vulnerability};
use bounded::Field;
use model::quoted;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The reports of large images have some megabytes.
pub const MAX_REPORT_BYTES: usize = 32 * 1024 * 1024;
/// Findings, packages and rules of a report: a full distribution has some ten thousand packages.
pub const MAX_ITEMS: usize = 50_000;
/// Ratings, places, licences and other names of one finding or package.
pub const MAX_FEW: usize = 1_024;
/// Characters that are kept of a name.
const MAX_NAME_CHARACTERS: usize = 512;

/// Which kind of report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OASIS SARIF 2.1.0.
    Sarif,
    /// CycloneDX (ECMA-424) 1.4, 1.5 and 1.6.
    CycloneDx,
    /// SPDX 2.3 (ISO/IEC 5962): packages alone.
    Spdx,
    /// What `grype -o json` writes.
    Grype,
    /// What `trivy --format json` writes (its schema 2).
    Trivy,
}

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Which kind of report it was.
    pub format: Format,
    /// What was found. What the report itself calls suppressed, resolved or a false alarm is left out.
    pub vulnerabilities: Vec<Vulnerability>,
    /// What the environment is made of, where the report says it.
    pub packages: Vec<Package>,
}

/// Why a report cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Longer than [`MAX_REPORT_BYTES`].
    #[error("the report has {bytes} bytes; {} MiB are read at most", MAX_REPORT_BYTES / (1024 * 1024))]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// Not JSON.
    #[error("the report is no JSON: {reason}")]
    Json {
        /// Where and why.
        reason: String,
    },
    /// None of the kinds that are read.
    #[error(
        "the report is of no kind that is read here: expected SARIF (`runs`), CycloneDX (`bomFormat`), SPDX \
         (`spdxVersion`), Grype (`matches`) or Trivy (`SchemaVersion`)"
    )]
    Unknown,
    /// A version that is not read.
    #[error("{field} of the {format} report is {found}, expected {expected}")]
    Version {
        /// The kind of report.
        format: Format,
        /// The field that says it.
        field: &'static str,
        /// What it says.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// A field is missing, of another type, or too long.
    #[error("{field} of the {format} report: {reason}")]
    Field {
        /// The kind of report.
        format: Format,
        /// `matches[3].vulnerability.id`.
        field: String,
        /// What is wrong, and at which line.
        reason: String,
    },
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Sarif => "SARIF",
            Format::CycloneDx => "CycloneDX",
            Format::Spdx => "SPDX",
            Format::Grype => "Grype",
            Format::Trivy => "Trivy",
        })
    }
}

/// What tells the kinds apart.
#[derive(Deserialize)]
struct Kind {
    runs: Option<IgnoredAny>,
    #[serde(rename = "bomFormat")]
    bom_format: Option<IgnoredAny>,
    #[serde(rename = "spdxVersion")]
    spdx_version: Option<IgnoredAny>,
    matches: Option<IgnoredAny>,
    #[serde(rename = "SchemaVersion")]
    schema_version: Option<IgnoredAny>,
}

/// Reads a report of any of the kinds. Takes linear time.
pub fn import(bytes: &[u8]) -> Result<Report, ImportError> {
    if bytes.len() > MAX_REPORT_BYTES {
        return Err(ImportError::TooLong { bytes: bytes.len() });
    }
    let kind: Kind =
        serde_json::from_slice(bytes).map_err(|error| ImportError::Json { reason: quoted(&error.to_string()) })?;
    match kind {
        Kind { runs: Some(_), .. } => sarif::read(bytes),
        Kind { bom_format: Some(_), .. } => cyclonedx::read(bytes),
        Kind { spdx_version: Some(_), .. } => spdx::read(bytes),
        Kind { schema_version: Some(_), .. } => trivy::read(bytes),
        Kind { matches: Some(_), .. } => grype::read(bytes),
        Kind { .. } => Err(ImportError::Unknown),
    }
}

/// Reads the whole of it, and names the field that cannot be read.
fn parse<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Result<T, ImportError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = quoted(&error.path().to_string());
        ImportError::Field { format, field, reason: quoted(&error.into_inner().to_string()) }
    })
}

/// A name as facts hold it: printable, and not too long.
fn name(text: &str) -> String {
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(MAX_NAME_CHARACTERS).map(printable).collect()
}

/// The names of a list.
fn names<'a>(texts: impl IntoIterator<Item = &'a Field>) -> BTreeSet<String> {
    texts.into_iter().map(|text| name(&text.0)).filter(|text| !text.is_empty()).collect()
}

/// A word for a severity; a word that nobody knows rates nothing.
fn rated(word: Option<&Field>) -> Severity {
    word.and_then(|word| Severity::of_word(&word.0)).unwrap_or(Severity::Unrated)
}

#[cfg(test)]
mod tests;
