//! A revision of a git repository, read by git itself: its archive holds the files and nothing of the working tree.

use super::{ConfigurationError, Files, MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, program};
use std::io::Read;
use std::path::Path;

/// Bytes of an archive: a head of 512 bytes and up to 511 more for each file, beside what is in them.
const MAX_ARCHIVE_BYTES: usize = MAX_BYTES + MAX_FILES * 1_536;
/// Bytes of a commit's name, with the line end.
const MAX_COMMIT_BYTES: usize = 128;

/// The files below `path`, by their names relative to it.
pub(super) async fn read(repository: &Path, revision: &str, path: Option<&str>) -> Result<Files, ConfigurationError> {
    let git = |arguments: &[&str]| -> Vec<String> {
        let repository = repository.display().to_string();
        let fixed = ["git", "-C", &repository, "-c", "core.fsmonitor=false"];
        fixed.iter().chain(arguments).map(|word| (*word).to_owned()).collect()
    };
    // First the commit, so that no revision can be taken for an option of what follows.
    let named = format!("{revision}^{{commit}}");
    let commit =
        program::output(&git(&["rev-parse", "--verify", "--end-of-options", &named]), MAX_COMMIT_BYTES).await?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();
    let mut arguments = vec!["archive", "--format=tar", commit.as_str()];
    arguments.extend(path.map(|path| ["--", path]).iter().flatten());
    let archive = program::output(&git(&arguments), MAX_ARCHIVE_BYTES).await?;
    let broken = |source| ConfigurationError::Archive { revision: revision.to_owned(), source };
    let below = path.unwrap_or_default().trim_end_matches('/');
    unpack(&archive, below).map_err(broken)?.ok_or_else(|| {
        let what = format!("more than {MAX_FILES} files, or one above {} MiB", MAX_FILE_BYTES >> 20);
        ConfigurationError::TooLarge { place: format!("{} at {revision}", repository.display()), what }
    })
}

/// The files of an archive in memory; `None` if they are beyond the bounds.
fn unpack(archive: &[u8], below: &str) -> std::io::Result<Option<Files>> {
    let mut files = Files::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if files.len() >= MAX_FILES || size > MAX_FILE_BYTES {
            return Ok(None);
        }
        let path = entry.path()?.to_string_lossy().into_owned();
        let relative = path.strip_prefix(below).unwrap_or(&path).trim_start_matches('/');
        // The path was the file itself.
        let name = if relative.is_empty() { path.rsplit('/').next().unwrap_or(&path) } else { relative };
        let mut content = Vec::with_capacity(size);
        entry.by_ref().take(MAX_FILE_BYTES as u64).read_to_end(&mut content)?;
        files.insert(name.to_owned(), content);
    }
    Ok(Some(files))
}
