//! One digest for all that gates and verdicts rested on so far.

use crate::plan::GateName;
use model::GateResult;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// A hash chain over the results of the steps' gates, as canonical JSON (RFC 8785), and the digests of what verdicts were
/// made from, in the order of their records: the SHA-256 of the root before, the length in bytes (8, big endian) and the
/// text. A gate's runs as a guard are not in it: they say the same again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceRoot(#[serde(with = "hex")] [u8; 32]);

impl Default for EvidenceRoot {
    /// The root of no evidence: zeros, which are the hash of nothing that is known.
    fn default() -> EvidenceRoot {
        EvidenceRoot([0; 32])
    }
}

impl EvidenceRoot {
    /// With one digest more.
    pub fn with(&self, digest: &str) -> EvidenceRoot {
        self.and(digest.as_bytes())
    }

    /// With the result of a gate more.
    pub(crate) fn with_gate(&self, gate: GateName, result: &GateResult) -> EvidenceRoot {
        let text = serde_json_canonicalizer::to_vec(&(gate, result));
        self.and(&text.expect("a gate's result has text keys only, and no floats"))
    }

    fn and(&self, text: &[u8]) -> EvidenceRoot {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let hash = Sha256::new().chain_update(self.0).chain_update(length.to_be_bytes()).chain_update(text);
        EvidenceRoot(hash.finalize().into())
    }
}

/// `sha256:…`.
impl fmt::Display for EvidenceRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::EvidenceRoot(*hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("expected sha256: and 64 hexadecimal digits");
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii());
        let digits = digits.ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(hash)
    }
}
