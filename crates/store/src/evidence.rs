//! Blobs of evidence, each under the name of its digest. They are no part of the log: a record holds the digest.
//!
//! What is kept is bounded in age, bytes and number ([`Retention`]). A blob never goes by itself: [`Evidence::surplus`] says
//! which ones are too many, the oldest first, and whoever records that deletes them then. What is named as needed stays,
//! whatever its age; where that alone fills the room, the next blob is refused.

use crate::DiskError;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The largest blob: an example trace of 512 spans in two environments is about 300 KiB.
pub const MAX_EVIDENCE_BYTES: usize = 4 << 20;

/// Blobs that are kept, whatever their size: with 16 KiB each 1 GiB. What is known of them takes some 300 bytes each, 20 MB.
pub const MAX_BLOBS: usize = 65_536;

/// What the names of blobs begin with in records.
const PREFIX: &str = "sha256:";

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What is older goes, in milliseconds.
    pub keep_ms: u64,
    /// Bytes of all blobs together.
    pub max_bytes: u64,
}

/// A blob that was not kept.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It is too large.
    #[error("{bytes} bytes of evidence are more than the {MAX_EVIDENCE_BYTES} that are kept")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// What may not be deleted leaves no room for it.
    #[error(
        "{bytes} bytes of evidence do not fit: {kept} bytes in {blobs} blobs are there, {max_bytes} bytes in {MAX_BLOBS} \
         are allowed, and what a running rollout names is not deleted"
    )]
    NoRoom {
        /// How large it is.
        bytes: usize,
        /// Bytes that are there.
        kept: u64,
        /// Blobs that are there.
        blobs: usize,
        /// Bytes that may be there.
        max_bytes: u64,
    },
    /// What is there has another digest.
    #[error("what is kept as {digest} was altered: keep it for the audit, and restore a backup")]
    Altered {
        /// As it is called.
        digest: String,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Blobs that are to go, by their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surplus {
    /// Older than what is kept.
    pub too_old: Vec<String>,
    /// The oldest of the others, for there is no room.
    pub no_room: Vec<String>,
}

/// The digest that a blob is kept under: `sha256:` and 64 hexadecimal digits.
pub fn evidence_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A folder of blobs.
#[derive(Debug)]
pub struct Evidence {
    dir: PathBuf,
    retention: Retention,
    /// When each was kept, in milliseconds since the Unix epoch.
    kept_at: BTreeMap<String, u64>,
    /// Its bytes, the oldest first; of one millisecond in the order of digests.
    by_age: BTreeMap<(u64, String), u64>,
    bytes: u64,
}

impl Evidence {
    /// Makes the folder, 0700, if it is not there. What is in it is looked at by [`Evidence::look`].
    pub fn open(dir: &Path, retention: Retention) -> Result<Evidence, DiskError> {
        let failed = |source| DiskError { doing: "make the directory", path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let (kept_at, by_age) = (BTreeMap::new(), BTreeMap::new());
        Ok(Evidence { dir: dir.to_owned(), retention, kept_at, by_age, bytes: 0 })
    }

    /// How long and how much is kept.
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Looks what is there, and removes what a crash left half-written; for when no other process writes. Files that are
    /// called otherwise than a blob are nobody's business here: they are neither counted nor deleted.
    pub fn look(&mut self) -> Result<(), DiskError> {
        (self.kept_at, self.by_age, self.bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
        let failed = |doing, path: &Path, source| DiskError { doing, path: path.to_owned(), source };
        let entries = fs::read_dir(&self.dir).map_err(|source| failed("list", &self.dir, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failed("list", &self.dir, source))?;
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            if name.strip_suffix(".tmp").is_some_and(is_hex) {
                remove(&path)?;
            } else if is_hex(name) {
                let metadata = match entry.metadata() {
                    // Somebody removed it just now.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    metadata => metadata.map_err(|source| failed("look at", &path, source))?,
                };
                if metadata.is_file() {
                    let modified = metadata.modified().map_err(|source| failed("look at", &path, source))?;
                    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    self.count(format!("{PREFIX}{name}"), unix_ms(since), metadata.len());
                }
            }
        }
        Ok(())
    }

    /// Which blobs are too many if one of `room` bytes comes (0: none comes). Those in `named` never are.
    pub fn surplus(&self, now_ms: u64, room: u64, named: &BTreeSet<String>) -> Surplus {
        let mut surplus = Surplus::default();
        let oldest_ms = now_ms.saturating_sub(self.retention.keep_ms);
        let (mut bytes, mut blobs) = (self.bytes.saturating_add(room), self.by_age.len() + usize::from(room > 0));
        for ((kept_at_ms, digest), size) in &self.by_age {
            let is_too_old = *kept_at_ms < oldest_ms;
            let has_room = bytes <= self.retention.max_bytes && blobs <= MAX_BLOBS;
            match (is_too_old, has_room) {
                (false, true) => break,
                _ if named.contains(digest) => continue,
                (true, _) => surplus.too_old.push(digest.clone()),
                (false, false) => surplus.no_room.push(digest.clone()),
            }
            bytes -= size;
            blobs -= 1;
        }
        surplus
    }

    /// A blob, if it is there and is what its digest says; also of a text that is no digest there is none.
    pub fn read(&self, digest: &str) -> Result<Option<Vec<u8>>, EvidenceError> {
        if !is_evidence_digest(digest) {
            return Ok(None);
        }
        let path = self.path(digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| DiskError { doing: "open", path: path.clone(), source })?,
        };
        // One that is longer than any blob is cut, and has another digest.
        let mut blob = Vec::new();
        let read = file.take(MAX_EVIDENCE_BYTES as u64 + 1).read_to_end(&mut blob);
        read.map_err(|source| DiskError { doing: "read", path: path.clone(), source })?;
        match evidence_digest(&blob) == digest {
            true => Ok(Some(blob)),
            false => Err(EvidenceError::Altered { digest: digest.to_owned() }),
        }
    }

    /// Deletes blobs, durable when this returns. One that is not there is gone already.
    pub fn delete(&mut self, digests: &[String]) -> Result<(), DiskError> {
        for digest in digests {
            remove(&self.path(digest))?;
            self.forget(digest);
        }
        self.sync_folder()
    }

    /// Keeps a blob, 0600 and durable when this returns, and says its digest, `sha256:…`. The same blob is kept once, and
    /// is as old as it was kept last.
    pub fn keep(&mut self, bytes: &[u8], now_ms: u64) -> Result<String, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(EvidenceError::TooLarge { bytes: bytes.len() });
        }
        let digest = evidence_digest(bytes);
        let path = self.path(&digest);
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms);
        if path.exists() {
            let file = OpenOptions::new().write(true).open(&path);
            let touched = file.and_then(|file| file.set_modified(modified));
            touched.map_err(|source| DiskError { doing: "set the time of", path, source })?;
        } else {
            let size = bytes.len() as u64;
            if self.bytes.saturating_add(size) > self.retention.max_bytes || self.by_age.len() >= MAX_BLOBS {
                let (kept, blobs, max_bytes) = (self.bytes, self.by_age.len(), self.retention.max_bytes);
                return Err(EvidenceError::NoRoom { bytes: bytes.len(), kept, blobs, max_bytes });
            }
            self.write(&path, bytes, modified)?;
        }
        self.forget(&digest);
        self.count(digest.clone(), now_ms, bytes.len() as u64);
        Ok(digest)
    }

    fn write(&self, path: &Path, bytes: &[u8], modified: SystemTime) -> Result<(), DiskError> {
        let temporary = path.with_extension("tmp");
        let failed = |doing, source| DiskError { doing, path: temporary.clone(), source };
        // What a crash left, or nothing.
        remove(&temporary)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|source| failed("make", source))?;
        file.write_all(bytes).map_err(|source| failed("write", source))?;
        file.set_modified(modified).map_err(|source| failed("set the time of", source))?;
        file.sync_all().map_err(|source| failed("sync", source))?;
        fs::rename(&temporary, path).map_err(|source| failed("rename", source))?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> Result<(), DiskError> {
        let failed = |doing, source| DiskError { doing, path: self.dir.clone(), source };
        let folder = File::open(&self.dir).map_err(|source| failed("open the directory", source))?;
        folder.sync_all().map_err(|source| failed("sync the directory", source))
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(digest.trim_start_matches(PREFIX))
    }

    fn count(&mut self, digest: String, kept_at_ms: u64, bytes: u64) {
        self.bytes += bytes;
        self.by_age.insert((kept_at_ms, digest.clone()), bytes);
        self.kept_at.insert(digest, kept_at_ms);
    }

    fn forget(&mut self, digest: &str) {
        if let Some(kept_at_ms) = self.kept_at.remove(digest) {
            let bytes = self.by_age.remove(&(kept_at_ms, digest.to_owned()));
            self.bytes -= bytes.expect("both maps have the same blobs");
        }
    }
}

/// Whether a text has the form of a blob's digest, `sha256:` and 64 hexadecimal digits.
pub fn is_evidence_digest(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(is_hex)
}

fn is_hex(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(DiskError { doing: "remove", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn unix_ms(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
