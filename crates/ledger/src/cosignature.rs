//! C2SP tlog-cosignature: a witness states that, at a time, this checkpoint was the largest that it saw of the log, and that it
//! continued all that it saw before. Ed25519 (signature type 0x04); ML-DSA-44 (0x06) is another key's, and ignored.

use crate::key::{KeyKind, join_key, join_private_key, split_private_key, split_public_key};
use crate::{KeyId, KeyName, Note, NoteSignature, ParseKeyError, VerifyNoteError};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;
use std::str::FromStr;

/// The first line of what is signed: it tells cosignatures from everything else that a key could sign.
const HEADER: &str = "cosignature/v1";

/// A timestamp must not exceed 2^63 - 1 seconds.
const MAX_TIMESTAMP_S: u64 = i64::MAX as u64;

/// The key that verifies a witness' cosignatures.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: KeyName,
    id: KeyId,
    key: VerifyingKey,
}

/// A witness' key that cosigns. The seed is overwritten when it is dropped.
#[derive(Clone)]
pub struct CosignerKey {
    verifier: WitnessKey,
    key: SigningKey,
}

/// That a witness cosigned, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned<'key> {
    /// Who.
    pub witness: &'key WitnessKey,
    /// When, by the witness' clock: seconds since the Unix epoch.
    pub at_s: u64,
}

impl Note {
    /// Which of the known witnesses cosigned this text, and when; of several cosignatures of one witness the latest.
    /// Signatures of others are ignored; a known witness' that does not fit is an error.
    pub fn cosigned_by<'key>(&self, known: &[&'key WitnessKey]) -> Result<Vec<Cosigned<'key>>, VerifyNoteError> {
        let mut cosigned: Vec<Cosigned<'key>> = Vec::new();
        for signature in self.signatures() {
            let Some(witness) = known.iter().copied().find(|key| key.made(signature)) else { continue };
            let Some(at_s) = witness.cosigned_at(self.text(), &signature.signature) else {
                return Err(VerifyNoteError::BadSignature { name: signature.name.clone(), id: signature.id });
            };
            match cosigned.iter_mut().find(|other| other.witness == witness) {
                Some(other) => other.at_s = other.at_s.max(at_s),
                None => cosigned.push(Cosigned { witness, at_s }),
            }
        }
        Ok(cosigned)
    }
}

impl WitnessKey {
    fn new(name: KeyName, key: VerifyingKey) -> WitnessKey {
        let id = KeyId::of(&name, KeyKind::Cosignature, &key);
        WitnessKey { name, id, key }
    }

    /// The key's name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether a signature says that it is this key's, by name and id. It need not fit.
    pub fn made(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.id == signature.id
    }

    /// When this witness cosigned a note's text, in seconds since the Unix epoch; `None` if these bytes (the time in 8 bytes,
    /// the highest first, and 64 of signature) are not its cosignature of it. As strict as [`crate::VerifierKey::verifies`].
    pub fn cosigned_at(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let (time, signature) = signature.split_first_chunk::<8>()?;
        let at_s = u64::from_be_bytes(*time);
        let signature = Signature::from_slice(signature).ok()?;
        let fits =
            at_s <= MAX_TIMESTAMP_S && self.key.verify_strict(message(text, at_s).as_bytes(), &signature).is_ok();
        fits.then_some(at_s)
    }
}

impl CosignerKey {
    /// The key with this name that the 32 secret bytes give. No other cosigner may use the same bytes, under whatever name:
    /// the signed message does not hold the name.
    pub fn new(name: KeyName, seed: &[u8; 32]) -> CosignerKey {
        let key = SigningKey::from_bytes(seed);
        CosignerKey { verifier: WitnessKey::new(name, key.verifying_key()), key }
    }

    /// Reads `PRIVATE+KEY+name+id+base64`.
    pub fn from_private_text(text: &str) -> Result<CosignerKey, ParseKeyError> {
        let (name, id, seed) = split_private_key(text, KeyKind::Cosignature)?;
        let key = CosignerKey::new(name, &seed);
        key.verifier.id.check(&key.verifier.name, id)?;
        Ok(key)
    }

    /// `PRIVATE+KEY+name+id+base64`, which holds the secret: a function with a name that says so, and no `Display`.
    pub fn to_private_text(&self) -> String {
        join_private_key(&self.verifier.name, self.verifier.id, KeyKind::Cosignature, &self.key)
    }

    /// The key with which others verify.
    pub fn verifier(&self) -> &WitnessKey {
        &self.verifier
    }

    /// Cosigns a checkpoint's text. Whoever cosigns has persisted before that this is the largest that it saw.
    pub fn cosign(&self, text: &str, at_s: u64) -> NoteSignature {
        assert!(at_s <= MAX_TIMESTAMP_S, "a clock does not come to the year 292277026596");
        let mut signature = at_s.to_be_bytes().to_vec();
        signature.extend_from_slice(&self.key.sign(message(text, at_s).as_bytes()).to_bytes());
        NoteSignature { name: self.verifier.name.clone(), id: self.verifier.id, signature }
    }
}

/// What is signed.
fn message(text: &str, at_s: u64) -> String {
    format!("{HEADER}\ntime {at_s}\n{text}")
}

/// `name+id+base64`.
impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join_key(&self.name, self.id, KeyKind::Cosignature, self.key.as_bytes()))
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows which key it is, never the secret.
impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the private key of {}", self.verifier)
    }
}

impl FromStr for WitnessKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<WitnessKey, ParseKeyError> {
        let (name, id, key) = split_public_key(text, KeyKind::Cosignature)?;
        let witness = WitnessKey::new(name, key);
        witness.id.check(&witness.name, id)?;
        Ok(witness)
    }
}

#[cfg(test)]
mod tests;
