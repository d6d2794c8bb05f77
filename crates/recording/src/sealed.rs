//! age (C2SP age, X25519 recipients) around a recording: chunks of 64 KiB, each of which is authentic or is not read.

use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use std::io::{self, Read, Write};
use std::iter;

/// Stanzas of a file's head are as many as recipients; a recording has one, and age's own head is bounded by what is read.
const MAX_IDENTITY_BYTES: usize = 64 << 10;

/// Why a recording is not sealed, or not opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It is no public key.
    #[error("the recipient is no age public key; expected `age1…`, as `age-keygen` prints it")]
    Recipient,
    /// It is no private key.
    #[error(
        "the identity is no age private key; expected a file with a line `AGE-SECRET-KEY-1…`, as `age-keygen` writes it"
    )]
    Identity,
    /// Sealing failed.
    #[error("the recording cannot be sealed: {0}")]
    Seal(#[source] EncryptError),
    /// What it is written to fails.
    #[error("the sealed recording cannot be written: {0}")]
    Write(#[source] io::Error),
    /// It is sealed to somebody else, or no age file.
    #[error("the recording cannot be opened: {0}")]
    Open(#[source] DecryptError),
}

/// What is written is sealed. Without [`Sealed::finish`] it is a recording that was cut off.
pub struct Sealed<W: Write>(StreamWriter<W>);

/// What is read was sealed.
pub struct Opened<R: Read>(StreamReader<R>);

/// Seals what is written to the recipient, an age public key (`age1…`). Who writes cannot read it again.
pub fn seal<W: Write>(recipient: &str, out: W) -> Result<Sealed<W>, SealError> {
    let recipient: Recipient = recipient.trim().parse().map_err(|_| SealError::Recipient)?;
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient));
    let sealed = encryptor.map_err(SealError::Seal)?.wrap_output(out).map_err(SealError::Write)?;
    Ok(Sealed(sealed))
}

/// Opens what was sealed, by the text of an identity file: lines with `#` are comments, the first other one is the key. The
/// caller has seen to it that nobody else can read that file, and wipes the text.
pub fn open<R: Read>(identity: &str, input: R) -> Result<Opened<R>, SealError> {
    let whole = identity.get(..identity.len().min(MAX_IDENTITY_BYTES)).unwrap_or_default();
    let mut lines = whole.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key: Identity = lines.next().and_then(|line| line.parse().ok()).ok_or(SealError::Identity)?;
    let decryptor = Decryptor::new(input).map_err(SealError::Open)?;
    let opened = decryptor.decrypt(iter::once(&key as &dyn age::Identity)).map_err(SealError::Open)?;
    Ok(Opened(opened))
}

impl<W: Write> Sealed<W> {
    /// Writes the last chunk, and gives back what it was written to.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl<W: Write> std::fmt::Debug for Sealed<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed")
    }
}

impl<R: Read> std::fmt::Debug for Opened<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}
