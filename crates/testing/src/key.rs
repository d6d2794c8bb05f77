//! Whose attestations of tests are believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use std::fmt;
use std::str::FromStr;

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4): its length and the
/// algorithm 1.3.101.112 never differ.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A PEM of an Ed25519 key has 113 bytes; comments before and after it are not read.
const MAX_KEY_BYTES: usize = 4_096;

/// An Ed25519 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct AttestationKey(VerifyingKey);

/// Text that is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no Ed25519 public key; expected PEM that begins with -----BEGIN PUBLIC KEY----- (as `openssl pkey -pubout` \
     writes it), of the algorithm Ed25519"
)]
pub struct ParseAttestationKeyError;

impl FromStr for AttestationKey {
    type Err = ParseAttestationKeyError;

    fn from_str(text: &str) -> Result<AttestationKey, ParseAttestationKeyError> {
        let read = || {
            let text = (text.len() <= MAX_KEY_BYTES).then_some(text)?.trim();
            let inside = text.strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
            let joined: String = inside.split_ascii_whitespace().collect();
            let der = STANDARD.decode(joined).ok()?;
            let key: [u8; 32] = der.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
            VerifyingKey::from_bytes(&key).ok()
        };
        read().map(AttestationKey).ok_or(ParseAttestationKeyError)
    }
}

impl AttestationKey {
    /// Whether a signature (64 bytes) is this key's over the bytes. Strict: keys of small order and malleable signatures
    /// are refused (RFC 8032, section 5.1.7, and *Taming the many EdDSAs*).
    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(signed, &signature).is_ok())
    }
}

impl fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttestationKey({})", STANDARD.encode(self.0.as_bytes()))
    }
}
