//! The key in force and the one that may follow it, from where the configuration says that they are.

use crate::secret::{Secret, SecretError, SecretFrom};
use crate::token::{self, TokenAt, TokenError};
use crate::{AgeFile, PlainFile};
use ledger::{KeyName, LogSigner, VerifierKey};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{KeyEncoding, KeyFileError, Signers};

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// Where its passphrase is, if it is encrypted.
        passphrase: Option<SecretFrom>,
    },
    /// In a PKCS#11 token.
    Token {
        /// Which key of which token.
        at: TokenAt,
        /// Where the user's PIN is.
        pin: SecretFrom,
    },
}

/// The keys of one ledger.
pub struct Keyring {
    current: Held,
    next: Option<Held>,
    origin: KeyName,
    /// Where the key in force is, in words.
    place: String,
    /// Whether it has signed a ledger before, as far as can be told.
    has_signed: bool,
    /// Where the key that verifies stands beside the ledger.
    public: PathBuf,
    /// The file that a new key takes the place of, and how both stand in theirs. None if the configuration says where each
    /// key is.
    switches: Option<(PathBuf, Encoding)>,
}

/// A key, or where it will be.
enum Held {
    Ready(LogSigner),
    Missing { path: PathBuf, encoding: Encoding },
}

type Encoding = Arc<dyn KeyEncoding + Send + Sync>;

/// How the files stand to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// There is one key, and it is in force.
    InForce,
    /// A new key waits in a file, and the ledger knows nothing of it.
    Waiting,
    /// The ledger has gone on to a new key, whose file has taken the place of the old one.
    Switched,
    /// The ledger has gone on to the next key of the configuration, which should name it as its key now.
    GoneOn,
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// There is no passphrase or PIN.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The token does not give it.
    #[error("{at} cannot be used")]
    Token {
        /// Which.
        at: Box<TokenAt>,
        /// Why.
        #[source]
        source: Box<TokenError>,
    },
    /// Nothing says where the new key is.
    #[error("the key is in a token: make another one there, and name it in `ledger.nextKey`")]
    NoNext,
    /// The key that verifies, as it stands beside the ledger, is another's.
    #[error("{} does not belong to the ledger's key {key}: move it away, and it is written again", path.display())]
    OtherPublicKey {
        /// The file.
        path: PathBuf,
        /// The key in force.
        key: VerifierKey,
    },
}

impl KeySource {
    /// A passphrase or PIN is had here, so that nobody waits for it later.
    fn open(&self, origin: &KeyName) -> Result<Held, KeyError> {
        match self {
            KeySource::File { path, passphrase } => Held::open(path, encoding(path, passphrase.as_ref())?, origin),
            KeySource::Token { at, pin } => {
                let pin: Secret = pin.read(&format!("PIN of the token {:?}", at.token), false)?;
                let opened = token::open(at, pin, origin.clone());
                opened
                    .map(Held::Ready)
                    .map_err(|source| KeyError::Token { at: Box::new(at.clone()), source: Box::new(source) })
            }
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File { path, passphrase: None } => write!(f, "{}", path.display()),
            KeySource::File { path, passphrase: Some(from) } => {
                write!(f, "{}, encrypted, with its passphrase from {from}", path.display())
            }
            KeySource::Token { at, pin } => write!(f, "{at}, with its PIN from {pin}"),
        }
    }
}

fn encoding(path: &Path, passphrase: Option<&SecretFrom>) -> Result<Encoding, KeyError> {
    let Some(from) = passphrase else { return Ok(Arc::new(PlainFile)) };
    let passphrase = from.read(&format!("passphrase of {}", path.display()), !path.exists())?;
    Ok(Arc::new(AgeFile::new(passphrase)))
}

impl Held {
    fn open(path: &Path, encoding: Encoding, origin: &KeyName) -> Result<Held, KeyError> {
        match store::load_signing_key(path, origin, &*encoding)? {
            Some(key) => Ok(Held::Ready(key.into())),
            None => Ok(Held::Missing { path: path.to_owned(), encoding }),
        }
    }

    fn ready(&self) -> Option<&LogSigner> {
        match self {
            Held::Ready(signer) => Some(signer),
            Held::Missing { .. } => None,
        }
    }

    /// Makes it, if it is a file that is not there.
    fn make(&mut self, origin: &KeyName, seed: [u8; 32]) -> Result<&LogSigner, KeyError> {
        if let Held::Missing { path, encoding } = self {
            let key = store::load_or_create_encoded_signing_key(path, origin, seed, &**encoding)?;
            *self = Held::Ready(key.into());
        }
        Ok(self.ready().expect("it was made just now"))
    }
}

impl Keyring {
    /// Has the keys that are there, and asks for what opens them. `public` is the file beside the ledger with the key that
    /// verifies it. A file of a key that is not there is made by [`Keyring::make`].
    pub fn open(
        key: &KeySource,
        next: Option<&KeySource>,
        public: &Path,
        origin: KeyName,
    ) -> Result<Keyring, KeyError> {
        let public = public.to_owned();
        let (current, next, switches) = match (key, next) {
            (KeySource::File { path, passphrase }, None) => {
                store::finish_key_switch(path)?;
                let encoding = encoding(path, passphrase.as_ref())?;
                let waiting = store::next_key_path(path);
                let next = waiting.exists().then(|| Held::open(&waiting, encoding.clone(), &origin)).transpose()?;
                (Held::open(path, encoding.clone(), &origin)?, next, Some((path.clone(), encoding)))
            }
            (key, next) => (key.open(&origin)?, next.map(|next| next.open(&origin)).transpose()?, None),
        };
        // A token's key is there before its first use. The public key is written beside the ledger once that is there.
        let has_signed = match key {
            KeySource::File { .. } => current.ready().is_some(),
            KeySource::Token { .. } => public.exists(),
        };
        Ok(Keyring { current, next, origin, place: key.to_string(), has_signed, public, switches })
    }

    /// Where the key is, in words.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether the key has signed a ledger before: a file that was there, or a token's key whose public key is beside the
    /// ledger. A new ledger under such a key would be a fork.
    pub fn has_signed(&self) -> bool {
        self.has_signed
    }

    /// Whether the key is there.
    pub fn is_there(&self) -> bool {
        self.current.ready().is_some()
    }

    /// Makes the key from 32 secret random bytes, if it is a file that is not there.
    pub fn make(&mut self, seed: [u8; 32]) -> Result<Signers, KeyError> {
        let current = self.current.make(&self.origin, seed)?.clone();
        Ok(Signers { current, next: self.next.as_ref().and_then(Held::ready).cloned() })
    }

    /// The key that is to follow: one that waits already, the one that the configuration names, or a new one from 32 secret
    /// random bytes, in a file beside the key's and encrypted as that one is.
    pub fn make_next(&mut self, seed: [u8; 32]) -> Result<LogSigner, KeyError> {
        if self.next.is_none() {
            let (path, encoding) = self.switches.as_ref().ok_or(KeyError::NoNext)?;
            self.next = Some(Held::Missing { path: store::next_key_path(path), encoding: encoding.clone() });
        }
        let next = self.next.as_mut().expect("it was named just now");
        Ok(next.make(&self.origin, seed)?.clone())
    }

    /// Lets the files follow the ledger, which says which key is in force. Can be repeated.
    pub fn settle(&self, in_force: &VerifierKey) -> Result<Settled, KeyError> {
        let current = self.current.ready().map(LogSigner::verifier);
        let next = self.next.as_ref().and_then(Held::ready).map(LogSigner::verifier);
        let settled = match (next, current) {
            (None, _) => Settled::InForce,
            (Some(next), Some(current)) if next == in_force && current != in_force => match &self.switches {
                Some((path, _)) => {
                    store::switch_key(path, current)?;
                    Settled::Switched
                }
                None => Settled::GoneOn,
            },
            (Some(_), _) => Settled::Waiting,
        };
        if !store::publish_verifier_key(&self.public, in_force)? {
            let read = store::read_public(&self.public)?;
            let known = |key: &&VerifierKey| read.as_deref() == Some(key.to_string().as_str());
            let Some(old) = current.into_iter().chain(next).find(known) else {
                return Err(KeyError::OtherPublicKey { path: self.public.clone(), key: in_force.clone() });
            };
            store::retire_verifier_key(&self.public, old, in_force)?;
        }
        Ok(settled)
    }
}

#[cfg(test)]
mod tests;
