//! The key of the hashes in redacted copies: in a file of its own, so that the same value gets the same hash after a
//! restart, and in whichever process took the traffic over.

use crate::{clock, private_file};
use anyhow::Context;
use redact::Key;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

const NAME: &str = "redaction.key";
const BYTES: usize = 32;

/// The key in the data folder, which is made if it is not there.
pub fn open(data: &Path) -> anyhow::Result<Key> {
    let path = data.join(NAME);
    match File::open(&path) {
        Ok(file) => read(file).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path).with_context(|| path.display().to_string()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn read(file: File) -> anyhow::Result<Key> {
    let bytes = private_file::read(file, BYTES + 1, "delete it, and a new one is made")?;
    let key = <[u8; BYTES]>::try_from(bytes.as_slice());
    key.map(Key).map_err(|_| anyhow::anyhow!("expected {BYTES} bytes: delete it, and a new one is made"))
}

fn make(path: &Path) -> anyhow::Result<Key> {
    let key = clock::random::<BYTES>();
    private_file::make(path, &key)?;
    Ok(Key(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap();
        assert_eq!(open(folder.path()).unwrap().0, first.0);
        let path = folder.path().join(NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let refused = format!("{:#}", open(folder.path()).err().unwrap());
        assert!(refused.contains("redaction.key: may be read by others (mode 644)"), "{refused}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(format!("{:#}", open(folder.path()).err().unwrap()).contains("expected 32 bytes"));
    }
}
