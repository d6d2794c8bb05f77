//! The file with a key that signs or cosigns checkpoints, and the file beside it with the key that verifies them.

use crate::DiskError;
use crate::disk::Disk as _;
use crate::real_disk::RealDisk;
use ledger::{CosignerKey, KeyName, ParseKeyError, SignerKey, VerifierKey};
use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest key file: a name of 1 KiB, 66 characters of prefix, id and key, and a newline; encrypted by age 300 bytes of
/// header more, and a third more again as armored text. Rounded up.
pub const MAX_KEY_FILE_BYTES: usize = 4096;

/// How a private key's text stands in its file.
pub trait KeyEncoding {
    /// The file's bytes.
    fn encode(&self, text: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>;
    /// The text in a file's bytes.
    fn decode(&self, bytes: &[u8]) -> Result<Zeroizing<String>, Box<dyn Error + Send + Sync>>;
}

/// As it is, with a newline.
struct Plain;

impl KeyEncoding for Plain {
    fn encode(&self, text: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(text.into())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Zeroizing<String>, Box<dyn Error + Send + Sync>> {
        Ok(Zeroizing::new(std::str::from_utf8(bytes)?.to_owned()))
    }
}

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
    /// The private key in the file cannot be had, or not put there.
    #[error("{}: the private key cannot be read or written", path.display())]
    Encoding {
        /// The key file.
        path: PathBuf,
        /// Why. Shows nothing of the key.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no such file.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The key file.
        path: PathBuf,
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
    load_or_create(path, origin, seed, &Plain)
}

/// The same, of a file in which the key stands in another way.
pub fn load_or_create_encoded_signing_key(
    path: &Path,
    origin: &KeyName,
    seed: [u8; 32],
    encoding: &dyn KeyEncoding,
) -> Result<SignerKey, KeyFileError> {
    load_or_create(path, origin, seed, encoding)
}

/// The log's signing key, if there is such a file. The key that verifies is kept beside it, as when it was made.
pub fn load_signing_key(
    path: &Path,
    origin: &KeyName,
    encoding: &dyn KeyEncoding,
) -> Result<Option<SignerKey>, KeyFileError> {
    load(path, encoding)?.map(|key| checked(path, origin, key)).transpose()
}

/// The log's signing key, if there is such a file and it is not encrypted. Nothing is written beside it.
pub fn load_plain_signing_key(path: &Path, origin: &KeyName) -> Result<Option<SignerKey>, KeyFileError> {
    let Some(key) = load::<SignerKey>(path, &Plain)? else { return Ok(None) };
    check_origin(path, &key, origin)?;
    Ok(Some(key))
}

/// Writes a signing key's file anew, in another way: whole or not at all, durably, and only once what was written is read
/// again as the same key. What was there before is not overwritten on the disk, only unlinked.
pub fn rewrite_signing_key(
    path: &Path,
    from: &dyn KeyEncoding,
    to: &dyn KeyEncoding,
) -> Result<SignerKey, KeyFileError> {
    let key: SignerKey = load(path, from)?.ok_or_else(|| KeyFileError::Missing { path: path.to_owned() })?;
    let bytes = encoded(path, &key, to)?;
    let temporary = with_suffix(path, ".tmp");
    write_synced(&temporary, 0o600, &bytes).map_err(failed("write", path))?;
    let read = load::<SignerKey>(&temporary, to);
    if read.as_ref().ok().and_then(Option::as_ref).map(SignerKey::verifier) != Some(key.verifier()) {
        let _ = fs::remove_file(&temporary);
        let path = temporary;
        return Err(read.err().unwrap_or(KeyFileError::Missing { path }));
    }
    rename(&temporary, path)?;
    Ok(key)
}

/// Keeps a public key in a file of its own, 0644. False if there is another file; the same key is as good as written.
pub fn publish_verifier_key(path: &Path, key: &VerifierKey) -> Result<bool, KeyFileError> {
    publish_public(path, &key.to_string())
}

/// Where the key that follows another one waits for its turn, and where the key that verifies stands.
pub fn next_key_path(path: &Path) -> PathBuf {
    with_suffix(path, ".next")
}

/// The key that is in `<path>.next` takes the place of the one in `path`, which is gone then; the old key that verifies stays
/// in `<path>.<its id>.pub`. Can be repeated: what a crash left of an earlier call is completed, also by
/// [`finish_key_switch`] alone.
pub fn switch_key(path: &Path, old: &VerifierKey) -> Result<(), KeyFileError> {
    let next = next_key_path(path);
    if next.exists() {
        publish_public(&with_suffix(path, &format!(".{}.pub", old.id())), &old.to_string())?;
        rename(&next, path)?;
    }
    finish_key_switch(path)
}

/// Gives `<path>` the public key that belongs to it, if a switch was interrupted before that.
pub fn finish_key_switch(path: &Path) -> Result<(), KeyFileError> {
    let next = next_key_path(path);
    let public = with_suffix(&next, ".pub");
    // A private key is written before its public one, so one without the other is what a switch leaves.
    if public.exists() && !next.exists() {
        rename(&public, &with_suffix(path, ".pub"))?;
    }
    Ok(())
}

/// Replaces the public key in `<name>.pub`, durably, and keeps the old one in `<name>.<its id>.pub`.
pub fn retire_verifier_key(path: &Path, old: &VerifierKey, new: &VerifierKey) -> Result<(), KeyFileError> {
    publish_public(&path.with_extension(format!("{}.pub", old.id())), &old.to_string())?;
    let temporary = with_suffix(path, ".tmp");
    write_synced(&temporary, 0o644, format!("{new}\n").as_bytes()).map_err(failed("write", path))?;
    rename(&temporary, path)
}

/// What stands in a file with a public key; `None` if there is no such file.
pub fn read_public(path: &Path) -> Result<Option<String>, KeyFileError> {
    let read = read_small(path, MAX_KEY_FILE_BYTES)?;
    Ok(read.map(|(_, bytes)| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// [`load_or_create_signing_key`] for a witness' key, under the witness' name.
pub fn load_or_create_cosigner_key(path: &Path, name: &KeyName, seed: [u8; 32]) -> Result<CosignerKey, KeyFileError> {
    load_or_create(path, name, seed, &Plain)
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

fn load_or_create<K: PrivateKey>(
    path: &Path,
    origin: &KeyName,
    seed: [u8; 32],
    encoding: &dyn KeyEncoding,
) -> Result<K, KeyFileError> {
    let key: K = match load(path, encoding)? {
        Some(key) => key,
        None => {
            let key = K::make(origin.clone(), &seed);
            if publish(path, 0o600, &encoded(path, &key, encoding)?)? {
                key
            } else {
                // Another process was faster: its key is the log's.
                load(path, encoding)?.ok_or_else(|| KeyFileError::Missing { path: path.to_owned() })?
            }
        }
    };
    checked(path, origin, key)
}

/// The key, once it has the right name and the file beside it holds its public key.
fn checked<K: PrivateKey>(path: &Path, origin: &KeyName, key: K) -> Result<K, KeyFileError> {
    check_origin(path, &key, origin)?;
    let public_path = with_suffix(path, ".pub");
    if publish_public(&public_path, &key.public_text())? {
        return Ok(key);
    }
    Err(KeyFileError::OtherPublicKey { path: public_path })
}

fn check_origin<K: PrivateKey>(path: &Path, key: &K, origin: &KeyName) -> Result<(), KeyFileError> {
    let found = key.name();
    if found == origin {
        return Ok(());
    }
    let (found, expected) = (found.clone(), origin.clone());
    Err(KeyFileError::OtherOrigin { path: path.to_owned(), found, expected })
}

/// Whether the file holds this public key now: it is written if it was not there.
fn publish_public(path: &Path, text: &str) -> Result<bool, KeyFileError> {
    if publish(path, 0o644, format!("{text}\n").as_bytes())? {
        return Ok(true);
    }
    Ok(read_public(path)?.as_deref() == Some(text))
}

/// What stands in the file of a private key.
fn encoded<K: PrivateKey>(
    path: &Path,
    key: &K,
    encoding: &dyn KeyEncoding,
) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(key.private_text())));
    let bytes = encoding.encode(&text);
    bytes.map(Zeroizing::new).map_err(|source| KeyFileError::Encoding { path: path.to_owned(), source })
}

fn load<K: PrivateKey>(path: &Path, encoding: &dyn KeyEncoding) -> Result<Option<K>, KeyFileError> {
    let Some(bytes) = read_secret(path, MAX_KEY_FILE_BYTES)? else { return Ok(None) };
    let text = encoding.decode(&bytes);
    let text = text.map_err(|source| KeyFileError::Encoding { path: path.to_owned(), source })?;
    let key = K::read(text.strip_suffix('\n').unwrap_or(&text));
    key.map(Some).map_err(|source| KeyFileError::Malformed { path: path.to_owned(), source })
}

/// A file that is nobody else's to read, such as a key or a passphrase; `None` if there is none. What is beyond `at_most`
/// bytes is not read.
pub fn read_secret(path: &Path, at_most: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
    match read_small(path, at_most)? {
        Some((mode, _)) if mode & 0o077 != 0 => Err(KeyFileError::Exposed { path: path.to_owned(), mode }),
        Some((_, bytes)) => Ok(Some(bytes)),
        None => Ok(None),
    }
}

/// A file's permission bits and its bytes.
type SmallFile = (u32, Zeroizing<Vec<u8>>);

/// A file that is not long; `None` if there is no such file.
fn read_small(path: &Path, at_most: usize) -> Result<Option<SmallFile>, DiskError> {
    let read = || {
        // Not every file ends or answers: only a regular one is opened.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let file = File::open(path)?;
        let mode = file.metadata()?.mode() & 0o7777;
        // It never grows, so no copy of it stays behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(at_most + 1));
        file.take(at_most as u64).read_to_end(&mut bytes)?;
        Ok(Some((mode, bytes)))
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map_err(failed("read", path)),
    }
}

/// Writes a file that is there whole or not at all, and never replaces one: false if there is one already.
fn publish(path: &Path, mode: u32, bytes: &[u8]) -> Result<bool, DiskError> {
    if path.exists() {
        return Ok(false);
    }
    let temporary = with_suffix(path, ".tmp");
    let write = || {
        write_synced(&temporary, mode, bytes)?;
        // Unlike a rename, a link does not replace what another process put there meanwhile.
        let linked = match fs::hard_link(&temporary, path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        fs::remove_file(&temporary)?;
        Ok(linked)
    };
    let linked = write().map_err(failed("write", path))?;
    sync_parent(path)?;
    Ok(linked)
}

/// Writes a new file, in the place of one that a crash left.
fn write_synced(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file another name, durably, in the place of what had it.
fn rename(from: &Path, to: &Path) -> Result<(), KeyFileError> {
    fs::rename(from, to).map_err(failed("rename a file to", to))?;
    Ok(sync_parent(to)?)
}

fn sync_parent(path: &Path) -> Result<(), DiskError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    RealDisk::new(parent).sync_dir("").map(drop)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError { doing, path: path.to_owned(), source }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
