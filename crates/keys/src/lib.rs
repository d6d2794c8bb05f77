//! Where a ledger's private key is: in a file, in a file that age encrypted with a passphrase, or in a PKCS#11 token, which it
//! never leaves. A [`Keyring`] has the key in force and the one that may follow it, and lets the files follow the ledger.
//!
//! It never decides which key is in force (the ledger does), and never logs. A passphrase or PIN is read from a file, from an
//! environment variable or from the terminal, never from a command line, where other users see it; it is wiped from memory
//! when it is dropped. A crate of its own for the weight of `age` and `cryptoki`.

mod age_file;
mod keyring;
mod module;
mod secret;
mod terminal;
mod token;
mod worker;

pub use age_file::{AgeFile, AgeFileError, MAX_WORK_FACTOR, PlainFile, WORK_FACTOR, is_encrypted};
pub use keyring::{KeyError, KeySource, Keyring, Settled};
pub use secret::{MAX_SECRET_BYTES, Secret, SecretError, SecretFrom};
pub use terminal::TerminalError;
pub use token::{CALL_LIMIT, TokenAt, TokenError};
