//! DSSE 1.0.0 (secure-systems-lab/dsse, *protocol.md* and *envelope.md*): a signed payload with its type, as in-toto statements
//! are signed. Ed25519 with the log's own key, over the pre-authentication encoding.
//!
//! One key signs checkpoints and envelopes, and neither can be taken for the other: what is signed here begins with `DSSEv1` and
//! a space, and what is signed of a note with a key's name and a newline (or `cosignature/v1` and a newline), in which there is
//! no space ([`KeyName`](crate::KeyName)).
//!
//! Payloads are text here, as JSON is; the protocol would allow any bytes.

use crate::{SignerKey, VerifierKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest envelope: a payload of 72 KiB, which is an entry of the greatest length with what is said about it, is 96 KiB of
/// base64; 32 KiB are left for the type and the signatures.
pub const MAX_ENVELOPE_BYTES: usize = 128 * 1024;

/// Signatures of one envelope, as of a note.
const MAX_ENVELOPE_SIGNATURES: usize = crate::MAX_SIGNATURES;

/// A payload and its signatures. Nothing of it is to be believed before [`Envelope::verify`] has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is: a media type or a URI. It is signed too.
    pub payload_type: String,
    /// What is said.
    pub payload: String,
    /// Who says it.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// A hint whose it is, which nobody vouches for; the key's id in hexadecimal digits, where we signed.
    pub key_id: String,
    /// 64 bytes if it is of an Ed25519 key.
    pub signature: Vec<u8>,
}

/// Text that is not an envelope.
#[derive(Debug, thiserror::Error)]
pub enum ParseEnvelopeError {
    /// It is too long.
    #[error("the envelope has {found} bytes, more than {MAX_ENVELOPE_BYTES}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// It is not the JSON of one.
    #[error("it is not a DSSE envelope")]
    Json(#[from] serde_json::Error),
    /// A part is not base64.
    #[error("{what} is not base64")]
    Base64 {
        /// Which part.
        what: &'static str,
    },
    /// The payload is not text.
    #[error("the payload is not UTF-8")]
    NoText,
    /// It has too many signatures.
    #[error("the envelope has more than {MAX_ENVELOPE_SIGNATURES} signatures")]
    TooManySignatures,
}

/// No signature of the key fits the payload and its type.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("no signature in the envelope is the key's and fits: it was altered, or another key signed it")]
pub struct VerifyEnvelopeError;

/// As it stands in JSON (*envelope.md*, "Standard JSON envelope"). What else is in it is ignored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
struct RawSignature {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
}

/// The pre-authentication encoding: what is signed (*protocol.md*, "Signature Definition").
fn pae(payload_type: &str, payload: &str) -> String {
    format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len())
}

impl Envelope {
    /// A payload signed by one key.
    pub fn sign(payload_type: &str, payload: String, key: &SignerKey) -> Envelope {
        let signature = key.sign(&pae(payload_type, &payload)).signature;
        let signatures = vec![EnvelopeSignature { key_id: key.verifier().id().to_string(), signature }];
        Envelope { payload_type: payload_type.to_owned(), payload, signatures }
    }

    /// Whether one of the signatures is this key's. The hint of whose it is is not looked at.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), VerifyEnvelopeError> {
        let signed = pae(&self.payload_type, &self.payload);
        let fits = self.signatures.iter().any(|signature| key.verifies(&signed, &signature.signature));
        if fits { Ok(()) } else { Err(VerifyEnvelopeError) }
    }
}

/// Its JSON, in the order of the keys and without spaces, so that the same envelope has the same bytes.
impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature =
            |it: &EnvelopeSignature| RawSignature { keyid: it.key_id.clone(), sig: STANDARD.encode(&it.signature) };
        let raw = RawEnvelope {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self.signatures.iter().map(signature).collect(),
        };
        f.write_str(&serde_json::to_string(&raw).expect("texts under text keys are JSON"))
    }
}

impl FromStr for Envelope {
    type Err = ParseEnvelopeError;

    fn from_str(text: &str) -> Result<Envelope, ParseEnvelopeError> {
        if text.len() > MAX_ENVELOPE_BYTES {
            return Err(ParseEnvelopeError::TooLong { found: text.len() });
        }
        let RawEnvelope { payload, payload_type, signatures } = serde_json::from_str(text)?;
        if signatures.len() > MAX_ENVELOPE_SIGNATURES {
            return Err(ParseEnvelopeError::TooManySignatures);
        }
        let payload = String::from_utf8(decode(&payload, "the payload")?).map_err(|_| ParseEnvelopeError::NoText)?;
        let signatures = signatures.into_iter().map(|RawSignature { keyid, sig }| {
            Ok(EnvelopeSignature { key_id: keyid, signature: decode(&sig, "a signature")? })
        });
        let signatures = signatures.collect::<Result<_, ParseEnvelopeError>>()?;
        Ok(Envelope { payload_type, payload, signatures })
    }
}

/// Either alphabet: who signs may take either, and who verifies must take both.
fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, ParseEnvelopeError> {
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    decoded.map_err(|_| ParseEnvelopeError::Base64 { what })
}

#[cfg(test)]
mod tests;
