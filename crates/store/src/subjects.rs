//! What a person could ask to have erased, outside the log: each text is sealed under a key of its own, and records have a
//! salted commitment to it. Key and salt destroyed, the commitment says nothing any more, also to whoever has copies of log and
//! sealed texts; and every proof over the records still verifies.

use crate::DiskError;
use crate::disk::Disk;
use crate::real_disk::RealDisk;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of a text: a name, an address and whatever else of a line.
pub const MAX_SUBJECT_BYTES: usize = 1_024;
/// Bytes of a tag of ChaCha20-Poly1305 (RFC 8439, section 2.8).
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 32;
/// What commitments begin with in records.
const PREFIX: &str = "sha256:";

/// A folder of sealed texts, each beside its key: `HEX.sealed` and `HEX.key`, where HEX is the commitment.
pub struct Subjects {
    disk: Box<dyn Disk>,
}

/// A text that cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// It is too long.
    #[error("{found} bytes about a person, at most {MAX_SUBJECT_BYTES} are expected")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// What is there is not what was sealed.
    #[error("what was sealed as {commitment} was altered")]
    Altered {
        /// Its commitment.
        commitment: String,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Subjects {
    /// Makes the folder, 0700, if it is not there.
    pub fn open(dir: &Path) -> Result<Subjects, DiskError> {
        let parent = RealDisk::new(dir.parent().unwrap_or(Path::new(".")));
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if parent.create_dir(&name)? {
            parent.sync_dir("")?;
        }
        Ok(Subjects { disk: Box::new(RealDisk::new(dir)) })
    }

    /// Seals a text, durably, and gives the commitment: SHA-256 over salt and text. The secret is key and salt.
    pub fn seal(&self, text: &str, secret: &Zeroizing<[u8; KEY_BYTES + SALT_BYTES]>) -> Result<String, SubjectError> {
        if text.len() > MAX_SUBJECT_BYTES {
            return Err(SubjectError::TooLong { found: text.len() });
        }
        let (key, salt) = secret.split_at(KEY_BYTES);
        let hex = commitment(salt, text);
        let sealed = cipher(key).encrypt(&Nonce::default(), Payload { msg: text.as_bytes(), aad: hex.as_bytes() });
        let sealed = sealed.expect("a short text can be sealed");
        // The key last: without it the text is nothing, and with it the text must be there.
        for (suffix, content) in [("sealed", &sealed[..]), ("key", &secret[..])] {
            let (temporary, path) = (format!("{hex}.tmp"), format!("{hex}.{suffix}"));
            self.disk.write_synced(&temporary, content)?;
            self.disk.rename(&temporary, &path)?;
        }
        self.disk.sync_dir("")?;
        Ok(format!("{PREFIX}{hex}"))
    }

    /// The text behind a commitment; none if it was erased, or is not here.
    pub fn reveal(&self, commitment: &str) -> Result<Option<String>, SubjectError> {
        let Some(hex) = hex_of(commitment) else { return Ok(None) };
        let altered = || SubjectError::Altered { commitment: commitment.to_owned() };
        let Some(secret) = self.disk.read(&format!("{hex}.key"), KEY_BYTES + SALT_BYTES)? else { return Ok(None) };
        let secret = Zeroizing::new(secret);
        let sealed = self.disk.read(&format!("{hex}.sealed"), MAX_SUBJECT_BYTES + TAG_BYTES)?;
        let Some((key, salt)) = secret.split_at_checked(KEY_BYTES).filter(|(_, salt)| salt.len() == SALT_BYTES) else {
            return Err(altered());
        };
        let sealed = sealed.ok_or_else(altered)?;
        let text = cipher(key).decrypt(&Nonce::default(), Payload { msg: &sealed, aad: hex.as_bytes() });
        let text = String::from_utf8(text.map_err(|_| altered())?).map_err(|_| altered())?;
        match self::commitment(salt, &text) == hex {
            true => Ok(Some(text)),
            false => Err(altered()),
        }
    }

    /// Destroys key and salt, and then what was sealed. What is gone already is no error: a crash may have come between.
    pub fn erase(&self, commitment: &str) -> Result<(), DiskError> {
        let Some(hex) = hex_of(commitment) else { return Ok(()) };
        for suffix in ["key", "sealed"] {
            let path = format!("{hex}.{suffix}");
            if self.disk.length(&path)?.is_some() {
                self.disk.remove(&path)?;
                self.disk.sync_dir("")?;
            }
        }
        Ok(())
    }
}

/// One key seals one text, so that one nonce is enough (RFC 8439, section 4).
fn cipher(key: &[u8]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new_from_slice(key).expect("the key has 32 bytes")
}

fn commitment(salt: &[u8], text: &str) -> String {
    let hash = Sha256::new().chain_update(salt).chain_update(text).finalize();
    hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The hexadecimal digits of a commitment, if it is one: it names a file.
fn hex_of(commitment: &str) -> Option<&str> {
    let hex = commitment.strip_prefix(PREFIX)?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(seed: u8) -> Zeroizing<[u8; 64]> {
        let mut secret = Zeroizing::new([seed; 64]);
        secret[63] = 1;
        secret
    }

    #[test]
    fn what_is_sealed_is_revealed_until_it_is_erased() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("subjects");
        let subjects = Subjects::open(&dir).unwrap();
        let ada = subjects.seal("Ada Lovelace, ada@example.com", &secret(7)).unwrap();
        let other = subjects.seal("Ada Lovelace, ada@example.com", &secret(8)).unwrap();
        assert_ne!(ada, other, "the salt decides too");
        let again = Subjects::open(&dir).unwrap();
        assert_eq!(again.reveal(&ada).unwrap().as_deref(), Some("Ada Lovelace, ada@example.com"));
        for entry in std::fs::read_dir(&dir).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("Ada"), "nothing is there in clear");
        }
        // What is left of a crash between the two.
        std::fs::remove_file(dir.join(format!("{}.key", hex_of(&other).unwrap()))).unwrap();
        again.erase(&ada).unwrap();
        again.erase(&other).unwrap();
        again.erase(&ada).unwrap();
        assert_eq!((again.reveal(&ada).unwrap(), again.reveal(&other).unwrap()), (None, None));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn what_was_altered_is_not_revealed() {
        let folder = tempfile::tempdir().unwrap();
        let subjects = Subjects::open(&folder.path().join("subjects")).unwrap();
        let ada = subjects.seal("Ada", &secret(7)).unwrap();
        for suffix in ["key", "sealed"] {
            let path = folder.path().join(format!("subjects/{}.{suffix}", hex_of(&ada).unwrap()));
            let whole = std::fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut altered = whole.clone();
                altered[at] ^= 1;
                std::fs::write(&path, &altered).unwrap();
                assert!(matches!(subjects.reveal(&ada), Err(SubjectError::Altered { .. })), "{suffix} {at}");
            }
            std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
            assert!(subjects.reveal(&ada).is_err());
            std::fs::write(&path, &whole).unwrap();
        }
        assert_eq!(subjects.reveal("sha256:../../etc/passwd").unwrap(), None);
        assert!(matches!(subjects.seal(&"x".repeat(1_025), &secret(1)), Err(SubjectError::TooLong { found: 1_025 })));
    }
}
