//! C2SP signed-note: key names, key ids, and Ed25519 keys (signature type 0x01). The key strings are those of Go's
//! sumdb/note, which the C2SP tools share: `name+id+base64` and `PRIVATE+KEY+name+id+base64`.

use crate::NoteSignature;
use crate::tile::excerpt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The longest key name. The specification has no limit; names are host names with a path, and 1 KiB bounds an error.
pub const MAX_KEY_NAME_BYTES: usize = 1024;

/// What a key signs, as key ids and key strings have it (C2SP signed-note, "Signature types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Signature type 0x01: Ed25519 over the note's text.
    Note,
    /// Signature type 0x04: Ed25519 over time and text (C2SP tlog-cosignature).
    Cosignature,
}

impl KeyKind {
    fn byte(self) -> u8 {
        match self {
            KeyKind::Note => 1,
            KeyKind::Cosignature => 4,
        }
    }

    fn words(self) -> &'static str {
        match self {
            KeyKind::Note => "Ed25519 (0x01)",
            KeyKind::Cosignature => "an Ed25519 cosignature (0x04)",
        }
    }
}

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// The name of a key, and the origin of a log: not empty, without Unicode spaces, control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

/// The first four bytes of SHA-256(name, newline, signature type, public key). It tells keys apart; it is no protection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

/// A key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    // With its decompressed point it is 192 bytes, and keys stand in errors.
    key: Box<VerifyingKey>,
}

/// A key that signs. The seed is overwritten when it is dropped.
#[derive(Clone)]
pub struct SignerKey {
    verifier: VerifierKey,
    key: SigningKey,
}

/// A key or key name that cannot be read. Never holds any part of a private key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseKeyError {
    /// The name is not one that signed-note allows.
    #[error(
        "{found:?} cannot name a key: expected 1 to {MAX_KEY_NAME_BYTES} bytes without spaces, control characters and \
         plus signs, such as example.com/log"
    )]
    Name {
        /// The beginning of the name.
        found: String,
    },
    /// The parts are missing or not encoded as they should be.
    #[error("expected a key of the form {expected}")]
    Form {
        /// The form.
        expected: &'static str,
    },
    /// The key is of another type than the one that is needed here.
    #[error("the key of {name} has signature type {found:#04x}: only {expected} is supported")]
    Type {
        /// The key's name.
        name: String,
        /// The signature type.
        found: u8,
        /// The one that is needed.
        expected: &'static str,
    },
    /// The public key is not a point on the curve.
    #[error("the key of {name} is not an Ed25519 public key")]
    Point {
        /// The key's name.
        name: String,
    },
    /// The id does not belong to the name and the key.
    #[error("the key of {name} has the id {computed}, but its text says {found:?}: name or key was altered")]
    Id {
        /// The key's name.
        name: String,
        /// What name and key give.
        computed: KeyId,
        /// What the text says.
        found: String,
    },
}

impl KeyName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<KeyName, ParseKeyError> {
        let refused = |c: char| c == '+' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > MAX_KEY_NAME_BYTES || name.contains(refused) {
            return Err(ParseKeyError::Name { found: excerpt(name) });
        }
        Ok(KeyName(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyId {
    pub(crate) fn of(name: &KeyName, kind: KeyKind, key: &VerifyingKey) -> KeyId {
        let mut hash = Sha256::new();
        hash.update(name.as_str());
        hash.update([b'\n', kind.byte()]);
        hash.update(key.as_bytes());
        let hash = hash.finalize();
        KeyId([hash[0], hash[1], hash[2], hash[3]])
    }

    pub(crate) fn check(self, name: &KeyName, found: &str) -> Result<(), ParseKeyError> {
        if found == self.to_string() {
            return Ok(());
        }
        Err(ParseKeyError::Id { name: name.to_string(), computed: self, found: excerpt(found) })
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Eight lower-case hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl VerifierKey {
    fn new(name: KeyName, key: VerifyingKey) -> VerifierKey {
        let id = KeyId::of(&name, KeyKind::Note, &key);
        VerifierKey { name, id, key: Box::new(key) }
    }

    /// The key with this name that these 32 bytes are (RFC 8032): what a token says of the key that it holds.
    pub fn from_public_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<VerifierKey, ParseKeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) => Ok(VerifierKey::new(name, key)),
            Err(_) => Err(ParseKeyError::Point { name: name.to_string() }),
        }
    }

    /// The key's name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether these bytes are this key's signature of the text (RFC 8032, and stricter: keys and points of small order,
    /// with which one signature can fit several texts, are refused).
    pub fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl SignerKey {
    /// The key with this name that the 32 secret bytes give.
    pub fn new(name: KeyName, seed: &[u8; 32]) -> SignerKey {
        let key = SigningKey::from_bytes(seed);
        SignerKey { verifier: VerifierKey::new(name, key.verifying_key()), key }
    }

    /// Reads `PRIVATE+KEY+name+id+base64`.
    pub fn from_private_text(text: &str) -> Result<SignerKey, ParseKeyError> {
        let (name, id, seed) = split_private_key(text, KeyKind::Note)?;
        let key = SignerKey::new(name, &Zeroizing::new(seed));
        key.verifier.id.check(&key.verifier.name, id)?;
        Ok(key)
    }

    /// `PRIVATE+KEY+name+id+base64`, which holds the secret: a function with a name that says so, and no `Display`.
    pub fn to_private_text(&self) -> String {
        join_private_key(&self.verifier.name, self.verifier.id, KeyKind::Note, &self.key)
    }

    /// The key with which others verify.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note's text.
    pub fn sign(&self, text: &str) -> NoteSignature {
        let signature = self.key.sign(text.as_bytes()).to_vec();
        NoteSignature { name: self.verifier.name.clone(), id: self.verifier.id, signature }
    }
}

/// `name+id+base64`.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join_key(&self.name, self.id, KeyKind::Note, self.key.as_bytes()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows which key it is, never the secret.
impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the private key of {}", self.verifier)
    }
}

impl FromStr for VerifierKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<VerifierKey, ParseKeyError> {
        let (name, id, key) = split_public_key(text, KeyKind::Note)?;
        let verifier = VerifierKey::new(name, key);
        verifier.id.check(&verifier.name, id)?;
        Ok(verifier)
    }
}

/// `name+id+base64`.
pub(crate) fn join_key(name: &KeyName, id: KeyId, kind: KeyKind, key: &[u8; 32]) -> String {
    // It may be a private key's.
    let mut typed = Zeroizing::new([kind.byte(); 33]);
    typed[1..].copy_from_slice(key);
    format!("{name}+{id}+{}", *Zeroizing::new(STANDARD.encode(*typed)))
}

/// `PRIVATE+KEY+name+id+base64`, with the secret.
pub(crate) fn join_private_key(name: &KeyName, id: KeyId, kind: KeyKind, key: &SigningKey) -> String {
    format!("{PRIVATE_PREFIX}{}", *Zeroizing::new(join_key(name, id, kind, key.as_bytes())))
}

/// Splits `name+id+base64` into name, id and the point that the key is.
pub(crate) fn split_public_key(text: &str, kind: KeyKind) -> Result<(KeyName, &str, VerifyingKey), ParseKeyError> {
    let (name, id, key) = split_key(text, kind, "name+id+base64")?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| ParseKeyError::Point { name: name.to_string() })?;
    Ok((name, id, key))
}

/// Splits `PRIVATE+KEY+name+id+base64` into name, id and seed.
pub(crate) fn split_private_key(text: &str, kind: KeyKind) -> Result<(KeyName, &str, [u8; 32]), ParseKeyError> {
    let form = "PRIVATE+KEY+name+id+base64";
    let text = text.strip_prefix(PRIVATE_PREFIX).ok_or(ParseKeyError::Form { expected: form })?;
    split_key(text, kind, form)
}

/// Splits `name+id+base64` into name, id and the 32 bytes after the type. Base64 may hold further plus signs.
fn split_key<'text>(
    text: &'text str,
    expected: KeyKind,
    form: &'static str,
) -> Result<(KeyName, &'text str, [u8; 32]), ParseKeyError> {
    let parts = || {
        let (name, rest) = text.split_once('+')?;
        let (id, encoded) = rest.split_once('+')?;
        // A type and 32 bytes are 33, or 44 characters: other lengths are refused before anything is allocated.
        let typed = Zeroizing::new((encoded.len() == 44).then(|| STANDARD.decode(encoded).ok())??);
        let (kind, key) = typed.split_first()?;
        Some((name, id, *kind, key.try_into().ok()?))
    };
    let (name, id, kind, key) = parts().ok_or(ParseKeyError::Form { expected: form })?;
    if kind != expected.byte() {
        return Err(ParseKeyError::Type { name: excerpt(name), found: kind, expected: expected.words() });
    }
    Ok((KeyName::new(name)?, id, key))
}

#[cfg(test)]
mod tests;
