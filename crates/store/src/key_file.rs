//! The file with a key that signs or cosigns checkpoints, and the file beside it with the key that verifies them.

use crate::DiskError;
use crate::disk::Disk as _;
use crate::real_disk::RealDisk;
use ledger::{CosignerKey, KeyName, ParseKeyError, SignerKey};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The longest key file: a name of 1 KiB, 66 characters of prefix, id and key, and a newline, rounded up.
const MAX_KEY_FILE_BYTES: u64 = 2048;

/// A signing key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Others may read the private key.
    #[error(
        "{} may be read or written by others (mode {mode:04o}): run `chmod 600` on it, and make a new key if others had \
         the chance to read it", path.display()
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a private key.
    #[error("{} does not hold a private key", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong. Shows nothing of the key.
        #[source]
        source: ParseKeyError,
    },
    /// The key is another log's, or another witness'.
    #[error("{} is the key of {found}, expected that of {expected}", path.display())]
    OtherOrigin {
        /// The key file.
        path: PathBuf,
        /// The name in the file.
        found: KeyName,
        /// The origin or name asked for.
        expected: KeyName,
    },
    /// The file with the public key is not this key's.
    #[error("{} does not belong to the private key beside it: move it away, and it is written again", path.display())]
    OtherPublicKey {
        /// The file with the public key.
        path: PathBuf,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Reads the log's signing key from `path`; if there is no such file, makes the key from `seed` (32 secret random bytes
/// of the caller's) and writes it there with mode 0600. The key that verifies is kept beside it, in `<path>.pub`.
///
/// # Errors
/// A file that others may read or write, that is malformed, or that holds the key of another origin.
pub fn load_or_create_signing_key(path: &Path, origin: &KeyName, seed: [u8; 32]) -> Result<SignerKey, KeyFileError> {
    load_or_create(path, origin, seed)
}

/// The same for a witness' key, under the witness' name.
pub fn load_or_create_cosigner_key(path: &Path, name: &KeyName, seed: [u8; 32]) -> Result<CosignerKey, KeyFileError> {
    load_or_create(path, name, seed)
}

/// What the two kinds of private key have in common.
trait PrivateKey: Sized {
    fn make(name: KeyName, seed: &[u8; 32]) -> Self;
    fn read(text: &str) -> Result<Self, ParseKeyError>;
    /// Holds the secret.
    fn private_text(&self) -> String;
    fn public_text(&self) -> String;
    fn name(&self) -> &KeyName;
}

impl PrivateKey for SignerKey {
    fn make(name: KeyName, seed: &[u8; 32]) -> SignerKey {
        SignerKey::new(name, seed)
    }

    fn read(text: &str) -> Result<SignerKey, ParseKeyError> {
        SignerKey::from_private_text(text)
    }

    fn private_text(&self) -> String {
        self.to_private_text()
    }

    fn public_text(&self) -> String {
        self.verifier().to_string()
    }

    fn name(&self) -> &KeyName {
        self.verifier().name()
    }
}

impl PrivateKey for CosignerKey {
    fn make(name: KeyName, seed: &[u8; 32]) -> CosignerKey {
        CosignerKey::new(name, seed)
    }

    fn read(text: &str) -> Result<CosignerKey, ParseKeyError> {
        CosignerKey::from_private_text(text)
    }

    fn private_text(&self) -> String {
        self.to_private_text()
    }

    fn public_text(&self) -> String {
        self.verifier().to_string()
    }

    fn name(&self) -> &KeyName {
        self.verifier().name()
    }
}

fn load_or_create<K: PrivateKey>(path: &Path, origin: &KeyName, seed: [u8; 32]) -> Result<K, KeyFileError> {
    let key: K = match load(path)? {
        Some(key) => key,
        None => {
            let key = K::make(origin.clone(), &seed);
            if publish(path, 0o600, &format!("{}\n", key.private_text()))? {
                key
            } else {
                // Another process was faster: its key is the log's.
                load(path)?.ok_or_else(|| DiskError {
                    doing: "read",
                    path: path.to_owned(),
                    source: ErrorKind::NotFound.into(),
                })?
            }
        }
    };
    let found = key.name();
    if found != origin {
        let (found, expected) = (found.clone(), origin.clone());
        return Err(KeyFileError::OtherOrigin { path: path.to_owned(), found, expected });
    }
    let public_path = with_suffix(path, ".pub");
    let public_text = format!("{}\n", key.public_text());
    if !publish(&public_path, 0o644, &public_text)? {
        let (_, found) = read_small(&public_path)?.unwrap_or_default();
        if found.trim_end() != public_text.trim_end() {
            return Err(KeyFileError::OtherPublicKey { path: public_path });
        }
    }
    Ok(key)
}

fn load<K: PrivateKey>(path: &Path) -> Result<Option<K>, KeyFileError> {
    let Some((mode, text)) = read_small(path)? else { return Ok(None) };
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let key = K::read(text);
    key.map(Some).map_err(|source| KeyFileError::Malformed { path: path.to_owned(), source })
}

/// A file's permission bits and its text; `None` if there is no such file.
fn read_small(path: &Path) -> Result<Option<(u32, String)>, DiskError> {
    let read = || {
        // Not every file ends or answers: only a regular one is opened.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let file = File::open(path)?;
        let mode = file.metadata()?.mode() & 0o7777;
        let mut text = String::new();
        file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text)?;
        Ok(Some((mode, text)))
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map_err(|source| DiskError { doing: "read", path: path.to_owned(), source }),
    }
}

/// Writes a file that is there whole or not at all, and never replaces one: false if there is one already.
fn publish(path: &Path, mode: u32, text: &str) -> Result<bool, DiskError> {
    if path.exists() {
        return Ok(false);
    }
    let temporary = with_suffix(path, ".tmp");
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link does not replace what another process put there meanwhile.
        let linked = match fs::hard_link(&temporary, path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        fs::remove_file(&temporary)?;
        Ok(linked)
    };
    let linked = write().map_err(|source| DiskError { doing: "write", path: path.to_owned(), source })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    RealDisk::new(parent).sync_dir("")?;
    Ok(linked)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
