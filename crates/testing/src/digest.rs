//! Which artifact was tested.

use model::quoted;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// The SHA-256 of an artifact: `sha256:` and 64 lower-case hexadecimal digits, as OCI's image specification writes digests.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArtifactDigest(String);

/// Text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no digest; expected sha256: and {DIGITS} hexadecimal digits")]
pub struct DigestError {
    /// What was found.
    pub found: String,
}

impl FromStr for ArtifactDigest {
    type Err = DigestError;

    /// Takes an image's name before an `@` too: `registry.example/shop@sha256:…`.
    fn from_str(text: &str) -> Result<ArtifactDigest, DigestError> {
        let trimmed = text.trim();
        let digest = trimmed.rsplit_once('@').map_or(trimmed, |(_, digest)| digest);
        let digits = digest
            .strip_prefix("sha256:")
            .filter(|digits| digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| DigestError { found: quoted(text) })?;
        Ok(ArtifactDigest(format!("sha256:{}", digits.to_ascii_lowercase())))
    }
}

impl fmt::Display for ArtifactDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArtifactDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ArtifactDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArtifactDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
