//! Passkeys, and what they sign: a WebAuthn assertion (W3C Web Authentication Level 3, section 7.2) whose challenge is the
//! digest of the statement, so that the authenticator signs what is approved and no number of a server's.
//!
//! It needs no state of a server, so that whoever has the statement, the assertion and the key checks it again. It reads no
//! CBOR: keys are SubjectPublicKeyInfo (RFC 5280), as a browser's `getPublicKey()` gives them, and an assertion that carries
//! extensions, for which nobody asked, is refused.

use super::MAX_SIGNATURE_BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What stands before the statement in what the challenge is the digest of: no challenge of anything else is one of these.
pub const CHALLENGE_PREFIX: &str = "approval@verdigris.dev webauthn v1\n";
/// The first word of a passkey's line.
pub const PASSKEY_TYPE: &str = "webauthn";
/// Bytes of a credential's id: 16 to 64 are common; WebAuthn allows 1,023, which four keys of 64 people have no room for.
pub const MAX_CREDENTIAL_BYTES: usize = 256;
/// Characters of a relying party's id.
const MAX_RP_ID_CHARACTERS: usize = 128;
/// Characters of an origin: the longest id with a subdomain, a scheme and a port.
const MAX_ORIGIN_CHARACTERS: usize = 160;
/// Bytes of the client's data: 250 are common, and browsers may add to them. With 342 characters of credential id, 122 of
/// key, 288 of names and two signatures' worth of Base64 it is within [`MAX_SIGNATURE_BYTES`].
const MAX_CLIENT_DATA_BYTES: usize = 1_024;
/// `rpIdHash`, flags, `signCount`, and nothing else (section 6.1).
const AUTHENTICATOR_DATA_BYTES: usize = 37;
/// What stands before the point in a key of ES256: id-ecPublicKey, prime256v1, 66 bytes of bits (RFC 5480), uncompressed.
const P256_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// What stands before the point in a key of Ed25519 (RFC 8410).
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// A passkey that approves, with the only site that it may do so at.
///
/// One line of text: `webauthn CREDENTIAL_ID KEY RP_ID ORIGIN`, single spaces, the first two in base64url.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passkey {
    credential: Vec<u8>,
    key: Vec<u8>,
    rp_id: String,
    origin: String,
}

/// Text or bytes that are no passkey.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Not in its form.
    #[error(
        "a passkey's line is `webauthn CREDENTIAL_ID KEY RP_ID ORIGIN`, with single spaces; the page /passkeys makes it"
    )]
    Shape,
    /// Not base64url.
    #[error("the {what} is not base64url without padding (RFC 4648, section 5)")]
    Base64 {
        /// Which part.
        what: &'static str,
    },
    /// No credential, or too long a one.
    #[error("the credential id has {found} bytes, expected 1 to {MAX_CREDENTIAL_BYTES}")]
    Credential {
        /// How many it has.
        found: usize,
    },
    /// Of another algorithm, or no point of the curve.
    #[error("the key is no SubjectPublicKeyInfo of ES256 (P-256, uncompressed) or EdDSA (Ed25519)")]
    Key,
    /// Where no passkey can be.
    #[error(
        "the relying party {found:?} is none: expected a domain in small letters (no IP address can be one), or localhost"
    )]
    RpId {
        /// What it is.
        found: String,
    },
    /// Not where a browser would use it.
    #[error(
        "the origin {found:?} is none of {rp_id}: expected https://{rp_id}, a subdomain of it, or http://localhost, with \
         the port if it is not the scheme's own"
    )]
    Origin {
        /// What it is.
        found: String,
        /// Of which relying party.
        rp_id: String,
    },
}

/// What an authenticator signed, as it stands in [`SignedStatement::signature`](super::SignedStatement::signature):
/// canonical JSON (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assertion {
    /// Which form it is.
    #[serde(rename = "type")]
    pub kind: AssertionType,
    /// The line of the passkey. Whose it is, the configuration says, as it does of a key within an SSH signature.
    pub key: String,
    /// As the authenticator gave it, in base64url.
    pub authenticator_data: String,
    /// As the browser gave it, in base64url.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: String,
    /// As the authenticator gave it, in base64url.
    pub signature: String,
}

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssertionType {
    /// The first version.
    #[serde(rename = "webauthn")]
    Webauthn,
}

/// An assertion that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// Too long to be one.
    #[error("the assertion has {found} bytes, at most {MAX_SIGNATURE_BYTES} are expected")]
    TooLong {
        /// How many it has.
        found: usize,
    },
    /// Not of its shape.
    #[error("it is no assertion of a passkey: {0}")]
    Shape(#[source] serde_json::Error),
    /// Of its shape, and other bytes.
    #[error("the assertion is not canonical JSON (RFC 8785)")]
    NotCanonical,
    /// Its key is none.
    #[error(transparent)]
    Key(#[from] PasskeyError),
    /// What the browser says is not readable.
    #[error("clientDataJSON is not of its shape: {0}")]
    ClientData(#[source] serde_json::Error),
    /// Too long to be what a browser says.
    #[error("clientDataJSON has {found} bytes, at most {MAX_CLIENT_DATA_BYTES} are expected")]
    ClientDataTooLong {
        /// How many it has.
        found: usize,
    },
    /// For something else than signing in.
    #[error("the assertion is of the type {found:?}, expected \"webauthn.get\"")]
    Type {
        /// What it is.
        found: String,
    },
    /// Of another statement.
    #[error("the passkey signed something else: the challenge is not the digest of this statement")]
    Challenge,
    /// At another site.
    #[error("the passkey was used at {found:?}, expected {expected:?}: its origin stands in the line of the key")]
    Origin {
        /// Where.
        found: String,
        /// Where it may be.
        expected: String,
    },
    /// In a frame of another site.
    #[error("the passkey was used in a frame of another site, which nobody approves in")]
    CrossOrigin,
    /// For another site.
    #[error("the authenticator signed for another relying party than {expected:?}")]
    RpId {
        /// For which it should have.
        expected: String,
    },
    /// Longer or shorter.
    #[error("authenticatorData has {found} bytes, expected {AUTHENTICATOR_DATA_BYTES}, without extensions")]
    AuthenticatorData {
        /// How many it has.
        found: usize,
    },
    /// Nobody was there.
    #[error("the authenticator does not say that {what}: it must ask for a PIN, a fingerprint or a face")]
    Flag {
        /// What it does not say.
        what: &'static str,
    },
    /// What cannot be at once.
    #[error("the authenticator's flags say what cannot be: {flags:#04x}")]
    Flags {
        /// Which.
        flags: u8,
    },
    /// It is another one's, or something was changed.
    #[error(
        "the passkey's signature does not hold: something was changed after it was signed, or the key is another one"
    )]
    DoesNotHold,
}

/// What a browser says of an assertion (section 5.8.1). It may say more, which means nothing here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

/// What an authenticator is to sign for a statement: SHA-256 of [`CHALLENGE_PREFIX`] and its bytes.
pub fn challenge(statement: &str) -> [u8; 32] {
    Sha256::new().chain_update(CHALLENGE_PREFIX).chain_update(statement).finalize().into()
}

/// The challenge in base64url, as the client's data has it.
pub fn challenge_text(statement: &str) -> String {
    URL_SAFE_NO_PAD.encode(challenge(statement))
}

impl Passkey {
    /// Of these parts; `key` is a SubjectPublicKeyInfo (RFC 5280).
    pub fn new(credential: &[u8], key: &[u8], rp_id: &str, origin: &str) -> Result<Passkey, PasskeyError> {
        if !(1..=MAX_CREDENTIAL_BYTES).contains(&credential.len()) {
            return Err(PasskeyError::Credential { found: credential.len() });
        }
        Verifying::of(key).ok_or(PasskeyError::Key)?;
        if rp_id.len() > MAX_RP_ID_CHARACTERS || !is_domain(rp_id) {
            return Err(PasskeyError::RpId { found: rp_id.chars().take(MAX_RP_ID_CHARACTERS).collect() });
        }
        if !is_origin_of(origin, rp_id) {
            let found = origin.chars().take(MAX_ORIGIN_CHARACTERS).collect();
            return Err(PasskeyError::Origin { found, rp_id: rp_id.to_owned() });
        }
        let (credential, key) = (credential.to_vec(), key.to_vec());
        Ok(Passkey { credential, key, rp_id: rp_id.to_owned(), origin: origin.to_owned() })
    }

    /// From its line. What follows the origin is a comment, which is left out.
    pub(super) fn from_line(line: &str) -> Result<Passkey, PasskeyError> {
        let mut words = line.split(' ');
        let mut word = || words.next().filter(|word| !word.is_empty()).ok_or(PasskeyError::Shape);
        if word()? != PASSKEY_TYPE {
            return Err(PasskeyError::Shape);
        }
        let credential = decode("credential id", word()?)?;
        let key = decode("key", word()?)?;
        let (rp_id, origin) = (word()?, word()?);
        Passkey::new(&credential, &key, rp_id, origin)
    }

    /// What a browser must be told to find it.
    pub fn credential_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.credential)
    }

    /// The site that it is of.
    pub fn rp_id(&self) -> &str {
        &self.rp_id
    }

    /// Where alone it approves: `https://verdigris.example`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Display for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = URL_SAFE_NO_PAD.encode(&self.key);
        write!(f, "{PASSKEY_TYPE} {} {key} {} {}", self.credential_id(), self.rp_id, self.origin)
    }
}

impl Assertion {
    /// Of what a browser gave, in base64url.
    pub fn of(key: &Passkey, authenticator_data: &str, client_data_json: &str, signature: &str) -> Assertion {
        Assertion {
            kind: AssertionType::Webauthn,
            key: key.to_string(),
            authenticator_data: authenticator_data.to_owned(),
            client_data_json: client_data_json.to_owned(),
            signature: signature.to_owned(),
        }
    }

    /// Canonical JSON (RFC 8785).
    pub fn to_text(&self) -> String {
        serde_json_canonicalizer::to_string(self).expect("an assertion has text keys only, and no numbers")
    }

    /// The assertion that this text is.
    pub fn from_text(text: &str) -> Result<Assertion, AssertionError> {
        if text.len() > MAX_SIGNATURE_BYTES {
            return Err(AssertionError::TooLong { found: text.len() });
        }
        let assertion: Assertion = serde_json::from_str(text).map_err(AssertionError::Shape)?;
        // With any other form, two texts of one assertion would both hold.
        if assertion.to_text() != text {
            return Err(AssertionError::NotCanonical);
        }
        Ok(assertion)
    }

    /// The authenticator's count of signatures, if it says one. Passkeys that several devices share always say 0, for they
    /// cannot count together; so a count that falls may be a copied key, and is said, but refuses nothing.
    pub fn sign_count(&self) -> Option<u32> {
        let data = decode("authenticatorData", &self.authenticator_data).ok()?;
        let count = data.get(33..AUTHENTICATOR_DATA_BYTES)?.try_into().ok()?;
        Some(u32::from_be_bytes(count)).filter(|count| *count > 0)
    }

    /// The passkey that signed this statement (section 7.2, steps 7 to 21, without state).
    pub(super) fn verify(&self, statement: &str) -> Result<Passkey, AssertionError> {
        let key = Passkey::from_line(&self.key)?;
        if key.to_string() != self.key {
            return Err(AssertionError::NotCanonical);
        }
        let authenticator_data = decode("authenticatorData", &self.authenticator_data)?;
        let client_data = decode("clientDataJSON", &self.client_data_json)?;
        let signature = decode("signature", &self.signature)?;
        key.check_client(&client_data, statement)?;
        key.check_authenticator(&authenticator_data)?;
        let signed = [&authenticator_data[..], &Sha256::digest(&client_data)].concat();
        let verifying = Verifying::of(&key.key).ok_or(PasskeyError::Key)?;
        match verifying.holds(&signed, &signature) {
            true => Ok(key),
            false => Err(AssertionError::DoesNotHold),
        }
    }
}

impl Passkey {
    /// What the browser says: for which statement, and at which site.
    fn check_client(&self, bytes: &[u8], statement: &str) -> Result<(), AssertionError> {
        if bytes.len() > MAX_CLIENT_DATA_BYTES {
            return Err(AssertionError::ClientDataTooLong { found: bytes.len() });
        }
        let said: ClientData = serde_json::from_slice(bytes).map_err(AssertionError::ClientData)?;
        if said.kind != "webauthn.get" {
            return Err(AssertionError::Type { found: said.kind });
        }
        if said.challenge != challenge_text(statement) {
            return Err(AssertionError::Challenge);
        }
        if said.origin != self.origin {
            return Err(AssertionError::Origin { found: said.origin, expected: self.origin.clone() });
        }
        if said.cross_origin || said.top_origin.is_some() {
            return Err(AssertionError::CrossOrigin);
        }
        Ok(())
    }

    /// What the authenticator says: for which site, and that a person was there whom it knew.
    fn check_authenticator(&self, bytes: &[u8]) -> Result<(), AssertionError> {
        let unexpected = AssertionError::AuthenticatorData { found: bytes.len() };
        let Ok(data) = <&[u8; AUTHENTICATOR_DATA_BYTES]>::try_from(bytes) else { return Err(unexpected) };
        let flags = data[32];
        if data[..32] != Sha256::digest(&self.rp_id)[..] {
            return Err(AssertionError::RpId { expected: self.rp_id.clone() });
        }
        if flags & USER_PRESENT == 0 {
            return Err(AssertionError::Flag { what: "somebody was there" });
        }
        if flags & USER_VERIFIED == 0 {
            return Err(AssertionError::Flag { what: "it knew who was there" });
        }
        let more = flags & (ATTESTED | EXTENSIONS) != 0;
        let backed_up = flags & (BACKED_UP | BACKUP_ELIGIBLE) == BACKED_UP;
        if more || backed_up {
            return Err(AssertionError::Flags { flags });
        }
        Ok(())
    }
}

/// A key that verifies.
enum Verifying {
    Es256(p256::ecdsa::VerifyingKey),
    EdDsa(ed25519_dalek::VerifyingKey),
}

impl Verifying {
    /// Of a SubjectPublicKeyInfo in the one form that DER has of it. None if it is of another algorithm, or no key.
    fn of(info: &[u8]) -> Option<Verifying> {
        if let Some(point) = info.strip_prefix(&ED25519_HEAD) {
            let key = ed25519_dalek::VerifyingKey::from_bytes(point.try_into().ok()?).ok()?;
            // Of a key of small order anybody makes signatures.
            return Some(Verifying::EdDsa(key)).filter(|_| !key.is_weak());
        }
        let point: &[u8; 64] = info.strip_prefix(&P256_HEAD)?.try_into().ok()?;
        let point = p256::EncodedPoint::from_untagged_bytes(point.into());
        p256::ecdsa::VerifyingKey::from_encoded_point(&point).ok().map(Verifying::Es256)
    }

    /// Either half of the curve is taken as an authenticator's `s`: half of all real ones have the greater one. So another
    /// text of one signature can hold; it says the same of the same person, and counts no second time.
    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Verifying::Es256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|read| read.to_der().as_bytes() == signature && key.verify(message, &read).is_ok()),
            Verifying::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, PasskeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PasskeyError::Base64 { what })
}

/// A domain in the form that browsers give (RFC 1123, A-labels); the last label of a domain has a letter, of an address none.
fn is_domain(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        let edge = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && label.bytes().all(letter) && !edge
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(label) && last.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Whether a browser at this origin may use a passkey of this relying party: same domain or below it, and over TLS, unless
/// it is this machine.
fn is_origin_of(origin: &str, rp_id: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let own = match scheme {
        "https" => 443,
        "http" if host == "localhost" => 80,
        _ => return false,
    };
    // As browsers write it: without a zero before it, and not at all where it is the scheme's own.
    let port = port
        .is_none_or(|text| text.parse::<u16>().is_ok_and(|port| port != own && port > 0 && port.to_string() == text));
    let below = host.strip_suffix(rp_id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    origin.len() <= MAX_ORIGIN_CHARACTERS && port && below && is_domain(host)
}

#[cfg(test)]
mod tests;
