//! Who a webhook comes from: Standard Webhooks 1.0 (standardwebhooks.com, "Signature scheme"), symmetric: HMAC-SHA256 of
//! `id.timestamp.body` in `webhook-signature`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// Bytes of a secret, as the specification recommends: 24 to 64.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What the specification puts before it.
const PREFIX: &str = "whsec_";

/// A secret that both sides know.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// What is no secret. Never says what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not in its form.
    #[error("expected whsec_ and Base64, such as `echo whsec_$(openssl rand -base64 32)` makes")]
    Form,
    /// Too short to be secret, or longer than it can be.
    #[error("found {bytes} bytes behind whsec_, expected 24 to 64 of randomness")]
    Length {
        /// How long it is.
        bytes: usize,
    },
}

impl SigningSecret {
    /// Reads `whsec_…`, with or without a line end.
    pub fn parse(text: &str) -> Result<SigningSecret, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError::Form)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| SecretError::Form)?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length { bytes: bytes.len() });
        }
        Ok(SigningSecret(bytes))
    }

    /// The value of `webhook-signature`. `timestamp` is when it is sent, in seconds since the Unix epoch, as it stands in
    /// `webhook-timestamp`: a receiver refuses what is too old, so that nobody plays it again.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests;
