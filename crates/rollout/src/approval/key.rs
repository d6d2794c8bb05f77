//! Approvers' keys, in the text forms of OpenSSH, or passkeys.

use super::passkey::{PASSKEY_TYPE, Passkey, PasskeyError};
use super::{NAMESPACE, SignedStatement, Statement};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ssh_key::private::Ed25519Keypair;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, LineEnding, PrivateKey, SshSig};
use std::fmt;

/// Characters of a public key's line; one of Ed25519 has 80 and a comment.
const MAX_LINE_CHARACTERS: usize = 2_000;

/// A public key that approves: Ed25519 (RFC 8709), Ed25519 on a FIDO token (PROTOCOL.u2f), both written as OpenSSH does, or a
/// passkey. Without the comment, so that one key is one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey {
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    OpenSsh(KeyData),
    Passkey(Passkey),
}

/// A line that is no such key.
#[derive(Debug, thiserror::Error)]
pub enum PublicKeyError {
    /// Not in OpenSSH's form.
    #[error("not a public key as OpenSSH writes them (`ssh-ed25519 AAAA…`): {0}")]
    Shape(#[source] ssh_key::Error),
    /// It begins as a passkey, and is none.
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    /// Too long to be one.
    #[error("a public key of {found} characters, at most {MAX_LINE_CHARACTERS} are expected")]
    TooLong {
        /// How many.
        found: usize,
    },
    /// Of another algorithm.
    #[error(
        "a key of {found}: approvals are signed with Ed25519 (`ssh-keygen -t ed25519`, or `-t ed25519-sk` on a token)"
    )]
    Algorithm {
        /// Which.
        found: String,
    },
}

impl PublicKey {
    pub(super) fn of(data: KeyData) -> Result<PublicKey, PublicKeyError> {
        match data {
            KeyData::Ed25519(_) | KeyData::SkEd25519(_) => Ok(PublicKey { form: Form::OpenSsh(data) }),
            other => Err(PublicKeyError::Algorithm { found: other.algorithm().to_string() }),
        }
    }

    /// As a line of `authorized_keys` or a `.pub` file has it, or a passkey's; the comment is left out.
    pub fn from_line(line: &str) -> Result<PublicKey, PublicKeyError> {
        if line.len() > MAX_LINE_CHARACTERS {
            return Err(PublicKeyError::TooLong { found: line.len() });
        }
        if line.trim().split(' ').next() == Some(PASSKEY_TYPE) {
            return Ok(Passkey::from_line(line.trim())?.into());
        }
        let key = ssh_key::PublicKey::from_openssh(line.trim()).map_err(PublicKeyError::Shape)?;
        PublicKey::of(key.key_data().clone())
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it; of a passkey, that of its whole line, which says at which site it approves.
    pub fn fingerprint(&self) -> String {
        match &self.form {
            Form::OpenSsh(data) => data.fingerprint(HashAlg::Sha256).to_string(),
            Form::Passkey(passkey) => {
                format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(passkey.to_string())))
            }
        }
    }

    /// The passkey, if it is one.
    pub fn passkey(&self) -> Option<&Passkey> {
        match &self.form {
            Form::OpenSsh(_) => None,
            Form::Passkey(passkey) => Some(passkey),
        }
    }

    pub(super) fn verifies(&self, signature: &SshSig, message: &[u8]) -> bool {
        match &self.form {
            Form::OpenSsh(data) => ssh_key::PublicKey::from(data.clone()).verify(NAMESPACE, message, signature).is_ok(),
            Form::Passkey(_) => false,
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::OpenSsh(data) => {
                let line = ssh_key::PublicKey::from(data.clone()).to_openssh();
                f.write_str(&line.expect("a key that was read can be written"))
            }
            Form::Passkey(passkey) => passkey.fmt(f),
        }
    }
}

impl From<Passkey> for PublicKey {
    fn from(passkey: Passkey) -> PublicKey {
        PublicKey { form: Form::Passkey(passkey) }
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(line: String) -> Result<PublicKey, PublicKeyError> {
        PublicKey::from_line(&line)
    }
}

/// A private key that approves.
pub struct ApproverKey(PrivateKey);

/// A private key that cannot sign here.
#[derive(Debug, thiserror::Error)]
pub enum ApproverKeyError {
    /// Not a private key as OpenSSH writes them.
    #[error("not a private key as OpenSSH writes them (`-----BEGIN OPENSSH PRIVATE KEY-----`): {0}")]
    Shape(#[source] ssh_key::Error),
    /// It needs a passphrase, or a token.
    #[error(
        "the key is protected by a passphrase or lies on a token: sign with `ssh-keygen -Y sign`, which asks for it"
    )]
    Protected,
    /// Of another algorithm.
    #[error(transparent)]
    Public(#[from] PublicKeyError),
}

impl ApproverKey {
    /// From the text of a file such as `id_ed25519`.
    pub fn from_openssh(text: &str) -> Result<ApproverKey, ApproverKeyError> {
        let key = PrivateKey::from_openssh(text).map_err(ApproverKeyError::Shape)?;
        let public = PublicKey::of(key.public_key().key_data().clone())?;
        match (key.is_encrypted(), &public.form) {
            (false, Form::OpenSsh(KeyData::Ed25519(_))) => Ok(ApproverKey(key)),
            _ => Err(ApproverKeyError::Protected),
        }
    }

    /// The Ed25519 key of a seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> ApproverKey {
        ApproverKey(PrivateKey::from(Ed25519Keypair::from_seed(seed)))
    }

    /// The text of a private key's file. Holds the secret.
    pub fn to_openssh(&self) -> String {
        let text = self.0.to_openssh(LineEnding::LF);
        text.expect("a key that is not encrypted can be written").to_string()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { form: Form::OpenSsh(self.0.public_key().key_data().clone()) }
    }

    /// Signs a statement as `ssh-keygen -Y sign -n approval@verdigris.dev` does.
    pub fn sign(&self, statement: &Statement) -> SignedStatement {
        let statement = statement.to_text();
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, statement.as_bytes());
        let signature = signature.and_then(|signature| signature.to_pem(LineEnding::LF));
        SignedStatement { statement, signature: signature.expect("an Ed25519 key signs any message") }
    }
}

impl fmt::Debug for ApproverKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApproverKey({})", self.public().fingerprint())
    }
}
