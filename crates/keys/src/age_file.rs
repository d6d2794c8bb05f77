//! A key file that age encrypted with a passphrase (C2SP age, the scrypt recipient), so that `age -d` and `rage -d` open it, and
//! `age -p` makes it.

use crate::secret::Secret;
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::scrypt::{Identity, Recipient};
use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::iter;
use store::{KeyEncoding, MAX_KEY_FILE_BYTES};
use zeroize::Zeroizing;

/// What a new file costs to open: scrypt with N = 2^18 and r = 8, as `age` has it; 256 MiB for about a second.
pub const WORK_FACTOR: u8 = 18;

/// What a file may cost to open at most: 1 GiB for some four seconds. A file chosen to hurt costs no more than that.
pub const MAX_WORK_FACTOR: u8 = 20;

/// Encrypts key files with a passphrase.
pub struct AgeFile {
    passphrase: Secret,
    work_factor: u8,
}

/// Refuses encrypted files with words that help.
pub struct PlainFile;

/// A key file that cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum AgeFileError {
    /// There is no passphrase.
    #[error("it is encrypted, and no passphrase is named: say in `passphrase`, beside `file`, where it is")]
    Encrypted,
    /// There is a passphrase, and nothing that needs it.
    #[error(
        "it is not encrypted, though a passphrase is named: encrypt it with `verdigris ledger key encrypt`, or name no passphrase"
    )]
    NotEncrypted,
    /// The passphrase is another.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// It is encrypted to somebody's key.
    #[error("it is encrypted to a key, expected a passphrase (`age --passphrase`)")]
    Recipient,
    /// It would cost too much to open.
    #[error("opening it would cost scrypt 2^{required}, more than 2^{MAX_WORK_FACTOR}: encrypt it anew")]
    TooMuchWork {
        /// The binary logarithm of N.
        required: u8,
    },
    /// It is no age file, or was altered.
    #[error("it is not a whole age file")]
    Damaged(#[source] DecryptError),
    /// What is in it is too long.
    #[error("what is encrypted in it has more than {MAX_KEY_FILE_BYTES} bytes, so it is no key")]
    TooLong,
    /// Reading what it holds failed.
    #[error("it is not a whole age file")]
    Read(#[source] io::Error),
    /// It cannot be encrypted.
    #[error("it cannot be encrypted")]
    Encrypt(#[source] EncryptError),
    /// It cannot be encrypted.
    #[error("it cannot be encrypted")]
    Write(#[source] io::Error),
}

/// Whether a file says of itself that age encrypted it, as bytes or as text.
pub fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/v1")
        || bytes.trim_ascii_start().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

impl AgeFile {
    /// Encrypts and decrypts with this passphrase.
    pub fn new(passphrase: Secret) -> AgeFile {
        AgeFile { passphrase, work_factor: WORK_FACTOR }
    }

    #[cfg(test)]
    pub(crate) fn costing(passphrase: &str, work_factor: u8) -> AgeFile {
        AgeFile { passphrase: passphrase.to_owned().into(), work_factor }
    }

    fn encrypt(&self, text: &str) -> Result<Vec<u8>, AgeFileError> {
        let mut recipient = Recipient::new(self.passphrase.clone());
        recipient.set_work_factor(self.work_factor);
        let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient));
        let mut file = Vec::new();
        let armor = ArmoredWriter::wrap_output(&mut file, Format::AsciiArmor).map_err(AgeFileError::Write)?;
        let writer = encryptor.map_err(AgeFileError::Encrypt)?.wrap_output(armor);
        let write = || {
            let mut writer = writer?;
            writer.write_all(text.as_bytes())?;
            writer.finish()?.finish().map(drop)
        };
        write().map_err(AgeFileError::Write)?;
        Ok(file)
    }

    fn decrypt(&self, bytes: &[u8]) -> Result<Zeroizing<String>, AgeFileError> {
        if !is_encrypted(bytes) {
            return Err(AgeFileError::NotEncrypted);
        }
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(bytes)).map_err(AgeFileError::Damaged)?;
        if !decryptor.is_scrypt() {
            return Err(AgeFileError::Recipient);
        }
        let mut identity = Identity::new(self.passphrase.clone());
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        let opened = decryptor.decrypt(iter::once(&identity as &dyn age::Identity));
        let opened = opened.map_err(|error| match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys => {
                AgeFileError::Passphrase
            }
            DecryptError::ExcessiveWork { required, .. } => AgeFileError::TooMuchWork { required },
            error => AgeFileError::Damaged(error),
        })?;
        // It never grows, so no copy of it stays behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES + 1));
        opened.take(MAX_KEY_FILE_BYTES as u64 + 1).read_to_string(&mut text).map_err(AgeFileError::Read)?;
        if text.len() > MAX_KEY_FILE_BYTES {
            return Err(AgeFileError::TooLong);
        }
        Ok(text)
    }
}

impl KeyEncoding for AgeFile {
    fn encode(&self, text: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(self.encrypt(text)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Zeroizing<String>, Box<dyn Error + Send + Sync>> {
        Ok(self.decrypt(bytes)?)
    }
}

impl KeyEncoding for PlainFile {
    fn encode(&self, text: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(text.into())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Zeroizing<String>, Box<dyn Error + Send + Sync>> {
        if is_encrypted(bytes) {
            return Err(AgeFileError::Encrypted.into());
        }
        // Bytes that are no text are no key either, and the parser says that.
        Ok(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests;
