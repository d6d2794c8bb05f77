//! Blobs of evidence, each under the name of its digest. They are no part of the log: a record holds the digest.

use crate::DiskError;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest blob: an example trace of 512 spans in two environments is about 300 KiB.
pub const MAX_EVIDENCE_BYTES: usize = 4 << 20;

/// A blob that was not kept.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It is too large.
    #[error("{bytes} bytes of evidence are more than the {MAX_EVIDENCE_BYTES} that are kept")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The digest that a blob is kept under: `sha256:` and 64 hexadecimal digits.
pub fn evidence_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A folder of blobs.
#[derive(Debug)]
pub struct Evidence {
    dir: PathBuf,
}

impl Evidence {
    /// Makes the folder, 0700, if it is not there.
    pub fn open(dir: &Path) -> Result<Evidence, DiskError> {
        let failed = |source| DiskError { doing: "make the directory", path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        Ok(Evidence { dir: dir.to_owned() })
    }

    /// Keeps a blob, 0600 and durable when this returns, and says its digest, `sha256:…`. The same blob is kept once.
    pub fn keep(&self, bytes: &[u8]) -> Result<String, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(EvidenceError::TooLarge { bytes: bytes.len() });
        }
        let digest = evidence_digest(bytes);
        let hex = digest.trim_start_matches("sha256:").to_owned();
        let path = self.dir.join(&hex);
        if !path.exists() {
            self.write(&path, &hex, bytes)?;
        }
        Ok(digest)
    }

    fn write(&self, path: &Path, hex: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = self.dir.join(format!("{hex}.tmp"));
        let failed = |doing, source| DiskError { doing, path: temporary.clone(), source };
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", error)),
            // What a crash left, or nothing.
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|source| failed("make", source))?;
        file.write_all(bytes).map_err(|source| failed("write", source))?;
        file.sync_all().map_err(|source| failed("sync", source))?;
        fs::rename(&temporary, path).map_err(|source| failed("rename", source))?;
        let folder = File::open(&self.dir).map_err(|source| failed("open the directory of", source))?;
        folder.sync_all().map_err(|source| failed("sync the directory of", source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_kept_once_under_its_digest() {
        let root = tempfile::tempdir().unwrap();
        let evidence = Evidence::open(&root.path().join("evidence")).unwrap();
        let digest = evidence.keep(b"abc").unwrap();
        assert_eq!(digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(evidence.keep(b"abc").unwrap(), digest);
        let names: Vec<_> =
            fs::read_dir(root.path().join("evidence")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1);
        assert_eq!(fs::read(root.path().join("evidence").join(&names[0])).unwrap(), b"abc");
    }

    #[test]
    fn what_a_crash_left_does_not_hinder_and_too_much_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let evidence = Evidence::open(root.path()).unwrap();
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::write(root.path().join(format!("{hex}.tmp")), b"a").unwrap();
        evidence.keep(b"abc").unwrap();
        assert!(matches!(evidence.keep(&vec![0; MAX_EVIDENCE_BYTES + 1]), Err(EvidenceError::TooLarge { .. })));
    }
}
