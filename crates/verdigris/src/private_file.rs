//! Small files that nobody else may read: tokens and keys, beside the ledger's own, which `store` keeps.

use anyhow::bail;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What is in it, at most `at_most` bytes; `advice` says what to do with a file that others could read.
pub fn read(file: File, at_most: usize, advice: &str) -> anyhow::Result<Vec<u8>> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("may be read by others (mode {mode:03o}); expected 600: {advice}");
    }
    let mut bytes = Vec::with_capacity(at_most);
    file.take(at_most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The token on its one line, of so many letters; `None` where something else stands there.
pub fn token(file: File, (least, most): (usize, usize), advice: &str) -> anyhow::Result<Option<String>> {
    // The end of its line, and one byte more to see that it is too long.
    let bytes = read(file, most + 2, advice)?;
    let token = std::str::from_utf8(&bytes).map(str::trim_end).unwrap_or_default();
    let is_one = (least..=most).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    Ok(is_one.then(|| token.to_owned()))
}

/// Makes it, under another name first, so that no half of it is ever found.
pub fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
