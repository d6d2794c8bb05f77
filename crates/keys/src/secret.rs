//! A passphrase or a PIN, and where it comes from.

use crate::terminal::{self, TerminalError};
use age::secrecy::{ExposeSecret as _, SecretString};
use std::env;
use std::fmt;
use std::path::PathBuf;
use store::KeyFileError;
use zeroize::Zeroizing;

/// The longest passphrase. Ten words have 80.
pub const MAX_SECRET_BYTES: usize = 1024;

/// A passphrase or a PIN. Wiped when it is dropped; `Debug` does not show it.
pub type Secret = SecretString;

/// Where a passphrase or PIN comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// The first line of a file that nobody else may read.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Whoever sits at the terminal is asked.
    Terminal,
}

/// A passphrase or PIN that is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its file cannot be used.
    #[error("the file with the {what} cannot be used")]
    File {
        /// Of what.
        what: String,
        /// Why.
        #[source]
        source: KeyFileError,
    },
    /// It is not there.
    #[error("there is no {what}: {place} is not there")]
    Missing {
        /// Of what.
        what: String,
        /// Where it should be.
        place: SecretFrom,
    },
    /// It cannot be one.
    #[error("the {what} from {place} is {found}: expected one line of 1 to {MAX_SECRET_BYTES} bytes of UTF-8")]
    Malformed {
        /// Of what.
        what: String,
        /// Where it is from.
        place: SecretFrom,
        /// What is wrong.
        found: &'static str,
    },
    /// It was typed twice, and differently.
    #[error("the {what} was typed twice, and not the same: nothing was changed")]
    Differs {
        /// Of what.
        what: String,
    },
    /// Nobody typed it.
    #[error("the {what} cannot be asked for")]
    Terminal {
        /// Of what.
        what: String,
        /// Why.
        #[source]
        source: TerminalError,
    },
}

impl SecretFrom {
    /// Reads it. `what` it is stands in the question and in errors, such as `passphrase of ledger.key`; one that is new is
    /// asked for twice, for nobody sees it typed.
    pub fn read(&self, what: &str, is_new: bool) -> Result<Secret, SecretError> {
        let missing = || SecretError::Missing { what: what.to_owned(), place: self.clone() };
        match self {
            SecretFrom::File(path) => {
                let read = store::read_secret(path, MAX_SECRET_BYTES + 2);
                let bytes = read.map_err(|source| SecretError::File { what: what.to_owned(), source })?;
                self.checked(what, &bytes.ok_or_else(missing)?)
            }
            SecretFrom::Variable(name) => {
                let value = env::var_os(name).ok_or_else(missing)?;
                self.checked(what, &Zeroizing::new(value.into_encoded_bytes()))
            }
            SecretFrom::Terminal => {
                let ask = |question: &str| {
                    let typed = terminal::ask(question);
                    let typed = typed.map_err(|source| SecretError::Terminal { what: what.to_owned(), source })?;
                    self.checked(what, &typed)
                };
                let secret = ask(&format!("{what}: "))?;
                if is_new && ask(&format!("{what}, again: "))?.expose_secret() != secret.expose_secret() {
                    return Err(SecretError::Differs { what: what.to_owned() });
                }
                Ok(secret)
            }
        }
    }

    fn checked(&self, what: &str, bytes: &[u8]) -> Result<Secret, SecretError> {
        let malformed = |found| SecretError::Malformed { what: what.to_owned(), place: self.clone(), found };
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Err(_) => Err(malformed("not UTF-8")),
            Ok("") => Err(malformed("empty")),
            Ok(text) if text.len() > MAX_SECRET_BYTES => Err(malformed("too long")),
            Ok(text) if text.contains(['\n', '\r', '\0']) => Err(malformed("more than one line")),
            Ok(text) => Ok(text.to_owned().into()),
        }
    }
}

impl fmt::Display for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretFrom::File(path) => write!(f, "the file {}", path.display()),
            SecretFrom::Variable(name) => write!(f, "the environment variable {name}"),
            SecretFrom::Terminal => f.write_str("the terminal"),
        }
    }
}

#[cfg(test)]
mod tests;
