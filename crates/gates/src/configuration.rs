//! The digest of an environment's configuration: what an approval binds to. It covers the names and the bytes of all
//! files, so that whatever changes is another configuration; what is in them never leaves this module.

use crate::drift::{DriftError, collect, read};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// `sha256:` and the hexadecimal SHA-256 over each file in the order of its name: the name's length in bytes (8, big
/// endian), the name, and the SHA-256 of what is in it. Blocking. The bounds are those of the drift gate.
pub fn digest(roots: &[PathBuf]) -> Result<String, DriftError> {
    let mut all = Sha256::new();
    for (name, path) in collect(roots)? {
        let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
        all.update(length.to_be_bytes());
        all.update(name.as_bytes());
        all.update(Sha256::digest(read(&path)?));
    }
    Ok(all.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_byte_more_is_another_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let digest = || digest(&[folder.path().to_owned()]).unwrap();
        write("a.yaml", "x: 1\n");
        let first = digest();
        write("a.yaml", "x: 1 # a comment\n");
        let second = digest();
        write("a.yaml", "x: 1\n");
        assert_eq!(digest(), first);
        std::fs::rename(folder.path().join("a.yaml"), folder.path().join("b.yaml")).unwrap();
        let third = digest();
        assert!(first != second && first != third && second != third);
        assert!(super::digest(&[folder.path().join("none")]).is_err());
    }
}
