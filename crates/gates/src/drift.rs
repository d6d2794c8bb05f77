//! Does green's configuration equal blue's, but for what the plan declares?
//!
//! YAML and JSON files are compared by meaning: order of keys, comments, anchors, quoting and indentation are no
//! difference. Every other file is compared by its bytes. Differences are named by file and path; values are never
//! shown, because they may be secrets.

use model::{GateResult, GateVerdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Files of one environment that are read at most, and how large each may be: 4,096 files of 4 MiB.
const MAX_FILES: usize = 4_096;
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// How deep folders are followed; symbolic links are not.
const MAX_DEPTH: usize = 32;
/// Values compared in one file at most: enough for the largest configurations, little enough for memory.
const MAX_VALUES: usize = 200_000;
/// Differences named in the result; the others are counted.
const MAX_NAMED: usize = 20;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// The file system refused.
    #[error("{path}: cannot be read: {source}; expected a file or folder of configuration", path = path.display())]
    Read {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A bound is passed.
    #[error("{path}: {what}", path = path.display())]
    TooLarge {
        /// Which path.
        path: PathBuf,
        /// Which bound.
        what: String,
    },
    /// It is neither.
    #[error("{path}: not valid {format}: {reason}", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// YAML or JSON.
        format: &'static str,
        /// Where and why.
        reason: String,
    },
}

/// One difference, without its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The file, relative to the environment's folder.
    pub file: String,
    /// The path in the file, `exporters.otlp.endpoint`; empty for a whole file.
    pub path: String,
    /// What differs.
    pub change: Change,
}

/// What differs between blue and green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Both have it, with other values.
    Changed,
    /// Blue alone has it.
    MissingInGreen,
    /// Green alone has it.
    OnlyInGreen,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = match self.change {
            Change::Changed => "differs",
            Change::MissingInGreen => "is missing in green",
            Change::OnlyInGreen => "is in green alone",
        };
        match self.path.as_str() {
            "" => write!(f, "{} {change}", self.file),
            path => write!(f, "{}: {path} {change}", self.file),
        }
    }
}

/// Runs the gate: blue's and green's files and folders, and the paths that may differ. Blocking.
pub fn run(blue: &[PathBuf], green: &[PathBuf], expected: &[String]) -> GateResult {
    if blue.is_empty() || green.is_empty() {
        let which = if blue.is_empty() { "blue" } else { "green" };
        let reason = format!("{which} declares no configuration: add environments.{which}.config to the plan");
        return GateResult { verdict: GateVerdict::Inconclusive, reasons: vec![reason], evidence: None };
    }
    match compare(blue, green) {
        Err(error) => GateResult { verdict: GateVerdict::Error, reasons: vec![error.to_string()], evidence: None },
        Ok(differences) => {
            let (declared, undeclared): (Vec<_>, Vec<_>) =
                differences.iter().partition(|difference| expected.iter().any(|path| covers(path, difference)));
            let mut reasons: Vec<String> = Vec::new();
            if undeclared.is_empty() {
                reasons.push(format!("green equals blue but for {} declared difference(s)", declared.len()));
            } else {
                reasons.push(format!("{} undeclared difference(s): {}", undeclared.len(), undeclared[0]));
                reasons.extend(undeclared.iter().skip(1).take(MAX_NAMED).map(ToString::to_string));
            }
            let verdict = if undeclared.is_empty() { GateVerdict::Pass } else { GateVerdict::Fail };
            GateResult { verdict, reasons, evidence: None }
        }
    }
}

/// An expected path covers itself and everything below it, in any file.
fn covers(expected: &str, difference: &Difference) -> bool {
    match difference.path.strip_prefix(expected) {
        Some(rest) => rest.is_empty() || rest.starts_with('.') || rest.starts_with('['),
        None => false,
    }
}

/// All differences between two environments' configurations, in order of file and path.
pub fn compare(blue: &[PathBuf], green: &[PathBuf]) -> Result<Vec<Difference>, DriftError> {
    let (blue, green) = (collect(blue)?, collect(green)?);
    let mut differences = Vec::new();
    for (file, blue_path) in &blue {
        match green.get(file) {
            None => {
                differences.push(Difference { file: file.clone(), path: String::new(), change: Change::MissingInGreen })
            }
            Some(green_path) => compare_files(file, blue_path, green_path, &mut differences)?,
        }
    }
    for file in green.keys().filter(|file| !blue.contains_key(*file)) {
        differences.push(Difference { file: file.clone(), path: String::new(), change: Change::OnlyInGreen });
    }
    differences.sort();
    Ok(differences)
}

/// Every file below the given paths, by its name relative to the path that it was found under.
pub(crate) fn collect(roots: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, DriftError> {
    let mut files = BTreeMap::new();
    for root in roots {
        let metadata = std::fs::metadata(root).map_err(|source| DriftError::Read { path: root.clone(), source })?;
        if metadata.is_dir() {
            walk(root, root, 0, &mut files)?;
        } else {
            let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.insert(name, root.clone());
        }
    }
    Ok(files)
}

fn walk(root: &Path, folder: &Path, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> Result<(), DriftError> {
    let refused = |source| DriftError::Read { path: folder.to_owned(), source };
    if depth > MAX_DEPTH {
        let what = format!("folders are nested deeper than {MAX_DEPTH}");
        return Err(DriftError::TooLarge { path: folder.to_owned(), what });
    }
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let kind = entry.file_type().map_err(refused)?;
        let path = entry.path();
        if kind.is_dir() {
            walk(root, &path, depth + 1, files)?;
        } else if kind.is_file() {
            if files.len() >= MAX_FILES {
                let what = format!("more than {MAX_FILES} files");
                return Err(DriftError::TooLarge { path: root.to_owned(), what });
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.insert(name, path);
        }
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DriftError> {
    let refused = |source| DriftError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(refused)?.len() > MAX_FILE_BYTES {
        let what = format!("larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024);
        return Err(DriftError::TooLarge { path: path.to_owned(), what });
    }
    std::fs::read(path).map_err(refused)
}

fn compare_files(name: &str, blue: &Path, green: &Path, into: &mut Vec<Difference>) -> Result<(), DriftError> {
    let (blue_bytes, green_bytes) = (read(blue)?, read(green)?);
    if blue_bytes == green_bytes {
        return Ok(());
    }
    let (Some(blue_values), Some(green_values)) = (values(blue, &blue_bytes)?, values(green, &green_bytes)?) else {
        into.push(Difference { file: name.to_owned(), path: String::new(), change: Change::Changed });
        return Ok(());
    };
    let mut push = |path: &str, change| into.push(Difference { file: name.to_owned(), path: path.to_owned(), change });
    for (path, value) in &blue_values {
        match green_values.get(path) {
            None => push(path, Change::MissingInGreen),
            Some(other) if other != value => push(path, Change::Changed),
            Some(_) => {}
        }
    }
    for path in green_values.keys().filter(|path| !blue_values.contains_key(*path)) {
        push(path, Change::OnlyInGreen);
    }
    Ok(())
}

/// The leaves of a YAML or JSON file by their paths; `None` for every other file.
fn values(path: &Path, bytes: &[u8]) -> Result<Option<BTreeMap<String, Value>>, DriftError> {
    let malformed = |format, reason: String| DriftError::Malformed { path: path.to_owned(), format, reason };
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let documents: Vec<Value> = match extension.as_deref() {
        Some("yaml" | "yml") => {
            let text = str::from_utf8(bytes).map_err(|error| malformed("YAML", error.to_string()))?;
            // Without the lines around the mistake: they may hold secrets, and the reason goes into the ledger.
            let options = serde_saphyr::options! { with_snippet: false };
            let documents = serde_saphyr::from_multiple_with_options(text, options);
            documents.map_err(|error| malformed("YAML", error.to_string()))?
        }
        Some("json") => {
            vec![serde_json::from_slice(bytes).map_err(|error| malformed("JSON", error.to_string()))?]
        }
        _ => return Ok(None),
    };
    let mut leaves = BTreeMap::new();
    let single = documents.len() == 1;
    for (index, document) in documents.into_iter().enumerate() {
        let prefix = if single { String::new() } else { format!("[{index}]") };
        flatten(document, prefix, &mut leaves);
        if leaves.len() > MAX_VALUES {
            let what = format!("more than {MAX_VALUES} values");
            return Err(DriftError::TooLarge { path: path.to_owned(), what });
        }
    }
    Ok(Some(leaves))
}

/// Recursion is bounded by the parsers: both refuse documents nested deeper than their limits.
fn flatten(value: Value, path: String, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                flatten(value, path, leaves);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.into_iter().enumerate() {
                flatten(item, format!("{path}[{index}]"), leaves);
            }
        }
        leaf @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)
        | Value::Array(_)) => {
            leaves.insert(path, leaf);
        }
    }
}

#[cfg(test)]
mod tests;
