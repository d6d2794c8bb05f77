//! Whoever signs a log's checkpoints: a key in memory, or one that never leaves its token. A key elsewhere is behind
//! [`Sign`], which the caller brings, for this crate does nothing but compute. It may fail, and it may be wrong: what it
//! gives is verified before it is used.

use crate::{Checkpoint, Note, NoteSignature, SignerKey, VerifierKey};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// An Ed25519 key that is somewhere else.
pub trait Sign: Send + Sync {
    /// Signs a message (RFC 8032, Ed25519). Must come back, with an error if need be: the log waits for it.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Box<dyn Error + Send + Sync>>;
}

/// Whoever signs a log's checkpoints.
#[derive(Clone)]
pub struct LogSigner(Key);

#[derive(Clone)]
enum Key {
    Here(Box<SignerKey>),
    Elsewhere { verifier: VerifierKey, key: Arc<dyn Sign> },
}

/// A signature that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Whoever has the key did not sign.
    #[error("the key of {verifier} did not sign")]
    Refused {
        /// The key.
        verifier: VerifierKey,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It signed with another key, or something else.
    #[error("what was signed as {verifier} does not verify with it: another key signed, or the token is broken")]
    DoesNotFit {
        /// The key.
        verifier: VerifierKey,
    },
}

impl LogSigner {
    /// A key that is somewhere else, and the key that verifies what it signs.
    pub fn elsewhere(verifier: VerifierKey, key: Arc<dyn Sign>) -> LogSigner {
        LogSigner(Key::Elsewhere { verifier, key })
    }

    /// The key with which others verify.
    pub fn verifier(&self) -> &VerifierKey {
        match &self.0 {
            Key::Here(key) => key.verifier(),
            Key::Elsewhere { verifier, .. } => verifier,
        }
    }

    /// Signs a note's text.
    pub fn sign(&self, text: &str) -> Result<NoteSignature, SignError> {
        match &self.0 {
            Key::Here(key) => Ok(key.sign(text)),
            Key::Elsewhere { verifier, key } => {
                let signed = key.sign(text.as_bytes());
                let signature =
                    signed.map_err(|source| SignError::Refused { verifier: verifier.clone(), source })?.to_vec();
                if !verifier.verifies(text, &signature) {
                    return Err(SignError::DoesNotFit { verifier: verifier.clone() });
                }
                Ok(NoteSignature { name: verifier.name().clone(), id: verifier.id(), signature })
            }
        }
    }
}

impl From<SignerKey> for LogSigner {
    fn from(key: SignerKey) -> LogSigner {
        LogSigner(Key::Here(Box::new(key)))
    }
}

/// Shows which key it is, never a secret.
impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.0 {
            Key::Here(_) => "here",
            Key::Elsewhere { .. } => "elsewhere",
        };
        write!(f, "the private key of {}, {place}", self.verifier())
    }
}

impl Checkpoint {
    /// The checkpoint as a note with the signatures of these keys, in their order. Whoever signs sees to it that no earlier
    /// checkpoint contradicts it.
    pub fn signed_by(&self, signers: &[&LogSigner]) -> Result<Note, SignError> {
        let text = self.to_string();
        let signatures = signers.iter().map(|signer| signer.sign(&text)).collect::<Result<_, _>>()?;
        Ok(Note::new(text, signatures))
    }
}

#[cfg(test)]
mod tests;
