//! Files and folders. Blocking.

use super::{ConfigurationError, Files, MAX_BYTES, MAX_FILES};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How deep folders are followed; symbolic links are not.
const MAX_DEPTH: usize = 32;

/// Every file below a folder, by its name relative to it; or the one file, by its name. None may be larger than that.
pub(crate) fn read(root: &Path, max_file_bytes: usize) -> Result<Files, ConfigurationError> {
    let refused = |source| ConfigurationError::Read { path: root.to_owned(), source };
    let mut paths = Vec::new();
    if std::fs::metadata(root).map_err(refused)?.is_dir() {
        walk(root, root, 0, &mut paths)?;
    } else {
        let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        paths.push((name, root.to_owned()));
    }
    let mut files = Files::new();
    let mut bytes = 0;
    for (name, path) in paths {
        let content = content(&path, max_file_bytes)?;
        bytes += content.len();
        if bytes > MAX_BYTES {
            let what = format!("more than {} MiB of configuration", MAX_BYTES >> 20);
            return Err(ConfigurationError::TooLarge { place: root.display().to_string(), what });
        }
        files.insert(name, content);
    }
    Ok(files)
}

fn walk(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), ConfigurationError> {
    let too_large = |path: &Path, what| ConfigurationError::TooLarge { place: path.display().to_string(), what };
    let refused = |source| ConfigurationError::Read { path: folder.to_owned(), source };
    if depth > MAX_DEPTH {
        return Err(too_large(folder, format!("folders are nested deeper than {MAX_DEPTH}")));
    }
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let kind = entry.file_type().map_err(refused)?;
        let path = entry.path();
        // What git keeps for itself is no configuration.
        if kind.is_dir() && entry.file_name() != ".git" {
            walk(root, &path, depth + 1, files)?;
        } else if kind.is_file() {
            if files.len() >= MAX_FILES {
                return Err(too_large(root, format!("more than {MAX_FILES} files")));
            }
            files.push((path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned(), path));
        }
    }
    Ok(())
}

fn content(path: &Path, max_bytes: usize) -> Result<Vec<u8>, ConfigurationError> {
    let refused = |source| ConfigurationError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() > max_bytes {
        let what = format!("larger than {} MiB", max_bytes >> 20);
        return Err(ConfigurationError::TooLarge { place: path.display().to_string(), what });
    }
    Ok(bytes)
}
