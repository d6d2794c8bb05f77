//! Secrets: which values are, and what is kept of them. A value is secret by the name of its key ([`names`]) or by its
//! own shape ([`shapes`]). Of a secret only a keyed hash is kept: it is equal to another one or not, and that is all.

pub(crate) mod names;
pub(crate) mod shapes;
mod url;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// The key of the hashes that stand for secrets. Both trees of a comparison are read under one key; whoever has it can
/// try guesses, so it is made anew for each run, or kept as a secret itself.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// 32 bytes of a cryptographic source.
    pub fn new(key: [u8; 32]) -> SecretKey {
        SecretKey(key)
    }

    /// HMAC-SHA256 (RFC 2104) of a secret's bytes.
    pub(crate) fn seal(&self, secret: &[u8]) -> Seal {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(secret);
        Seal(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

/// What is kept of a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seal([u8; 32]);

impl Seal {
    /// Tells two secret keys of one map apart, where they are shown.
    pub(crate) fn mark(&self) -> String {
        self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// What stands where a secret was.
pub(crate) const HIDDEN: &str = "(secret)";

/// What may be shown of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Visible {
    /// All of it.
    Whole,
    /// The text with its secrets taken out, and the secrets.
    Masked { shown: String, secret: Secret },
    /// Nothing.
    Nothing,
}

/// A secret on its way to its seal.
#[derive(PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What may be shown of a text that no name makes secret.
pub(crate) fn visible(text: &str) -> Visible {
    // Nothing shorter is a secret by its shape, and most values are.
    const SHORTEST: usize = 6;
    if text.len() < SHORTEST {
        return Visible::Whole;
    }
    if text.contains("://")
        && let Some(masked) = url::mask(text)
    {
        let rest = masked.shown.replace(HIDDEN, "");
        if shapes::is_secret(&rest) {
            return Visible::Nothing;
        }
        return Visible::Masked { shown: masked.shown, secret: Secret(masked.secret) };
    }
    if shapes::is_secret(text) { Visible::Nothing } else { Visible::Whole }
}

/// What may be shown of a text whose name makes it secret: a reference to where the secret is, and of a connection's
/// URL everything but its password.
pub(crate) fn visible_when_named(name: &str, text: &str) -> Visible {
    if text.is_empty() || is_reference(text) {
        return visible(text);
    }
    match visible(text) {
        masked @ Visible::Masked { .. } if names::is_connection(name) => masked,
        Visible::Masked { .. } | Visible::Whole | Visible::Nothing => Visible::Nothing,
    }
}

/// Whether a text only says where a value comes from: `${env:TOKEN}`, `$(TOKEN)`, `Bearer ${TOKEN}`. One with a
/// default (`${TOKEN:-s3cret}`) holds a value.
pub(crate) fn is_reference(text: &str) -> bool {
    let text = text.trim();
    let rest = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("Basic ")).unwrap_or(text).trim();
    let inner = rest
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .or_else(|| rest.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')));
    let Some(inner) = inner else { return false };
    let name = inner.strip_prefix("env:").or_else(|| inner.strip_prefix("file:")).unwrap_or(inner);
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-');
    !name.is_empty() && !name.contains(":-") && name.bytes().all(valid) && !shapes::is_secret(name)
}

#[cfg(test)]
mod tests;
