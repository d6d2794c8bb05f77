//! A signing key in a PKCS#11 token (OASIS PKCS #11 3.1, CKM_EDDSA with Ed25519, section 6.3.16), which it never leaves.
//!
//! The module is code of somebody else's, loaded into this process, and its calls may hang: they are made on a thread of
//! their own, and waited for as long as [`CALL_LIMIT`]. A session that was lost is opened again, once for each signature. A
//! PIN that the token refused is never shown to it again, for a token locks itself after some wrong ones.

use crate::module::Module;
use crate::secret::Secret;
use crate::worker::{Silent, Worker};
use cryptoki::context::Pkcs11;
use cryptoki::error::{Error as CallError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use ledger::{KeyName, LogSigner, SIGNATURE_BYTES, Sign, VerifierKey};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long one signature is waited for, its session included. A token signs in a millisecond to a second; a network to
/// one in a data centre takes some more.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Which key of which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAt {
    /// The shared object of the token's maker.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The label of the private key.
    pub key: String,
}

impl fmt::Display for TokenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?} of the token {:?} ({})", self.key, self.token, self.module.display())
    }
}

/// A token that does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The module cannot be loaded.
    #[error("{} cannot be used as a PKCS#11 module", module.display())]
    Module {
        /// The module.
        module: PathBuf,
        /// Why.
        #[source]
        source: CallError,
    },
    /// There is no such token.
    #[error("there are {} tokens {expected:?}, expected one; there is {found:?}", found.iter().filter(|it| *it == expected).count())]
    Token {
        /// The label asked for.
        expected: String,
        /// The labels of all tokens that are there.
        found: Vec<String>,
    },
    /// There is no such key.
    #[error("there are {found} {class} Ed25519 keys {key:?} in the token, expected one")]
    Key {
        /// The label asked for.
        key: String,
        /// Private or public.
        class: &'static str,
        /// How many there are.
        found: usize,
    },
    /// The public key is not one.
    #[error("the public key {key:?} in the token is not an Ed25519 key (32 bytes, RFC 8032)")]
    PublicKey {
        /// The label asked for.
        key: String,
    },
    /// The token took the PIN for a wrong one.
    #[error("the token refused the PIN; it is not tried again before a restart, lest the token locks itself")]
    Pin,
    /// The key in the token is another one than at the start.
    #[error("the token holds another key than before under this label: {found}, expected {expected}")]
    Replaced {
        /// The key that is there.
        found: VerifierKey,
        /// The one that was.
        expected: VerifierKey,
    },
    /// A signature has not 64 bytes.
    #[error("the token gave a signature of {found} bytes, expected {SIGNATURE_BYTES}")]
    Signature {
        /// How many it has.
        found: usize,
    },
    /// A call failed.
    #[error("the token cannot {doing}")]
    Call {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        #[source]
        source: CallError,
    },
    /// A call did not come back.
    #[error("the token is not to be reached")]
    Silent(#[from] Silent),
    /// There is no thread for it.
    #[error("no thread can be begun for the token")]
    Thread(#[source] io::Error),
}

impl TokenError {
    /// Whether it may be otherwise in a new session.
    fn may_pass(&self) -> bool {
        match self {
            TokenError::Token { .. } | TokenError::Key { .. } | TokenError::Call { .. } => true,
            TokenError::Module { .. }
            | TokenError::PublicKey { .. }
            | TokenError::Pin
            | TokenError::Replaced { .. }
            | TokenError::Signature { .. }
            | TokenError::Silent(_)
            | TokenError::Thread(_) => false,
        }
    }
}

/// The key in the token, for a [`LogSigner`].
struct TokenKey {
    worker: Worker<Card>,
}

impl Sign for TokenKey {
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Box<dyn Error + Send + Sync>> {
        let message = message.to_vec();
        let signed = self.worker.call(move |card| card.sign(&message)).map_err(TokenError::from)?;
        Ok(signed?)
    }
}

/// Opens a session, and finds the key.
pub(crate) fn open(at: &TokenAt, pin: Secret, name: KeyName) -> Result<LogSigner, TokenError> {
    let card = Card { at: at.clone(), name, pin, pin_refused: false, module: None, open: None, verifier: None };
    let worker = Worker::begin("token", card, CALL_LIMIT).map_err(TokenError::Thread)?;
    let verifier = worker.call(|card| card.open().map(|open| open.verifier.clone()))??;
    Ok(LogSigner::elsewhere(verifier, Arc::new(TokenKey { worker })))
}

/// What the thread has.
struct Card {
    at: TokenAt,
    name: KeyName,
    pin: Secret,
    /// Never shown again then.
    pin_refused: bool,
    module: Option<Module>,
    open: Option<Open>,
    /// The key when it was opened first.
    verifier: Option<VerifierKey>,
}

/// A session in which the user is logged in.
struct Open {
    session: Session,
    private: ObjectHandle,
    verifier: VerifierKey,
}

fn failed(doing: &'static str) -> impl FnOnce(CallError) -> TokenError {
    move |source| TokenError::Call { doing, source }
}

impl Card {
    /// Signs; if that fails, once more after everything was opened anew: the token may have been removed and put back, or the
    /// machine slept.
    fn sign(&mut self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], TokenError> {
        match self.sign_once(message) {
            Err(error) if error.may_pass() => {
                self.open = None;
                self.module.as_ref().map_or(Ok(()), Module::renew)?;
                self.sign_once(message)
            }
            result => result,
        }
    }

    fn sign_once(&mut self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], TokenError> {
        let Open { session, private, .. } = self.open()?;
        // Pure Ed25519, by the curve of the key: no parameter (table 65 of the specification).
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let signature = session.sign(&mechanism, *private, message).map_err(failed("sign"))?;
        let found = signature.len();
        signature.try_into().map_err(|_| TokenError::Signature { found })
    }

    /// The session, opened if there is none.
    fn open(&mut self) -> Result<&Open, TokenError> {
        if self.open.is_none() {
            let open = self.new_session()?;
            let expected = self.verifier.get_or_insert_with(|| open.verifier.clone());
            if open.verifier != *expected {
                return Err(TokenError::Replaced { found: open.verifier, expected: expected.clone() });
            }
            self.open = Some(open);
        }
        Ok(self.open.as_ref().expect("it was opened just now"))
    }

    fn new_session(&mut self) -> Result<Open, TokenError> {
        if self.pin_refused {
            return Err(TokenError::Pin);
        }
        if self.module.is_none() {
            self.module = Some(Module::load(&self.at.module)?);
        }
        let module = self.module.as_ref().expect("it was loaded just now").calls();
        let slot = self.slot(module)?;
        let session = module.open_ro_session(slot).map_err(failed("open a session"))?;
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) => {}
            // By another key of this process in the same token.
            Err(CallError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(CallError::Pkcs11(RvError::PinIncorrect | RvError::PinLocked | RvError::PinExpired, _)) => {
                self.pin_refused = true;
                return Err(TokenError::Pin);
            }
            Err(source) => return Err(TokenError::Call { doing: "log in", source }),
        }
        let (private, id) = self.private_key(&session)?;
        let verifier = self.verifier(&session, id)?;
        Ok(Open { session, private, verifier })
    }

    fn slot(&self, module: &Pkcs11) -> Result<Slot, TokenError> {
        let slots = module.get_slots_with_token().map_err(failed("list its slots"))?;
        let (mut found, mut with_label) = (Vec::new(), Vec::new());
        for slot in slots {
            // One that cannot be asked is not the one that is looked for.
            let Ok(info) = module.get_token_info(slot) else { continue };
            let label = info.label().trim_end().to_owned();
            if label == self.at.token {
                with_label.push(slot);
            }
            found.push(label);
        }
        match with_label[..] {
            [slot] => Ok(slot),
            _ => Err(TokenError::Token { expected: self.at.token.clone(), found }),
        }
    }

    /// The private key, and the id by which its public key is known.
    fn private_key(&self, session: &Session) -> Result<(ObjectHandle, Vec<u8>), TokenError> {
        let wanted = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::Label(self.at.key.clone().into_bytes()),
        ];
        let keys = session.find_objects(&wanted).map_err(failed("look for its private key"))?;
        let [key] = keys[..] else {
            return Err(TokenError::Key { key: self.at.key.clone(), class: "private", found: keys.len() });
        };
        let attributes = session.get_attributes(key, &[AttributeType::Id]);
        let id = attributes.map_err(failed("say the id of its private key"))?.into_iter().find_map(|it| match it {
            Attribute::Id(id) => Some(id),
            _ => None,
        });
        Ok((key, id.unwrap_or_default()))
    }

    /// The public key with the private one's id, or without an id its label.
    fn verifier(&self, session: &Session, id: Vec<u8>) -> Result<VerifierKey, TokenError> {
        let by = if id.is_empty() { Attribute::Label(self.at.key.clone().into_bytes()) } else { Attribute::Id(id) };
        let wanted = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(KeyType::EC_EDWARDS), by];
        let keys = session.find_objects(&wanted).map_err(failed("look for its public key"))?;
        let [key] = keys[..] else {
            return Err(TokenError::Key { key: self.at.key.clone(), class: "public", found: keys.len() });
        };
        let attributes = session.get_attributes(key, &[AttributeType::EcPoint]);
        let point = attributes.map_err(failed("show its public key"))?.into_iter().find_map(|it| match it {
            Attribute::EcPoint(point) => Some(point),
            _ => None,
        });
        let verifier = point
            .as_deref()
            .and_then(public_bytes)
            .and_then(|bytes| VerifierKey::from_public_bytes(self.name.clone(), bytes).ok());
        verifier.ok_or_else(|| TokenError::PublicKey { key: self.at.key.clone() })
    }
}

/// CKA_EC_POINT: the 32 bytes of RFC 8032, since version 3.0 as they are, before that and often since as a DER octet string.
fn public_bytes(point: &[u8]) -> Option<&[u8; 32]> {
    match point {
        [0x04, 0x20, bytes @ ..] if bytes.len() == 32 => bytes.try_into().ok(),
        bytes => bytes.try_into().ok(),
    }
}

#[cfg(test)]
mod tests;
