//! Does green's configuration equal blue's, but for what the plan declares?
//!
//! YAML and JSON files are compared by meaning: order of keys, comments, anchors, quoting and indentation are no
//! difference. Every other file is compared by its bytes. Differences are named by file and path; values are never
//! shown, because they may be secrets.

use crate::configuration::{self, ConfigurationError, Files, Source};
use crate::run::Run;
use model::{Environment, GateResult, GateVerdict, PerEnvironment, UnixMillis};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Values compared in one file at most: enough for the largest configurations, little enough for memory.
const MAX_VALUES: usize = 200_000;
/// Differences named in the result; the others are counted.
const MAX_NAMED: usize = 20;

/// What is compared, and when.
pub struct Comparison {
    /// Of each environment.
    pub environments: PerEnvironment<Configurations>,
    /// What may differ between green and blue.
    pub expected: Vec<Expected>,
    /// What may differ between what runs and what was declared.
    pub expected_live: Vec<Expected>,
    /// A key that nobody else has.
    pub key: [u8; 32],
    /// When it is.
    pub now: UnixMillis,
}

/// Where the configuration of an environment is read.
#[derive(Clone, Debug)]
pub struct Configurations {
    /// As it was declared.
    pub declared: Vec<Source>,
    /// As it runs.
    pub live: Vec<Source>,
    /// Where it takes OTLP.
    pub endpoints: Vec<String>,
}

/// A difference that is meant.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Where; it covers what is below it.
    pub path: String,
    /// In which document alone.
    pub within: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when.
    pub expires: Option<UnixMillis>,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ConfigurationError),
    /// A bound is passed.
    #[error("{file}: more than {MAX_VALUES} values")]
    TooLarge {
        /// Which file.
        file: String,
    },
    /// It is neither.
    #[error("{file}: not valid {format}: {reason}")]
    Malformed {
        /// Which file.
        file: String,
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

/// Runs the gate.
pub async fn run(comparison: &Comparison, commands: &[PathBuf]) -> Run {
    for environment in Environment::BOTH {
        if comparison.environments[environment].declared.is_empty() {
            return Run::inconclusive(format!(
                "{environment} declares no configuration: add environments.{environment}.config to the plan"
            ));
        }
    }
    match differences(comparison, commands).await {
        Err(error) => Run::error(error.to_string()),
        Ok((declared, undeclared)) => {
            let mut reasons: Vec<String> = Vec::new();
            if undeclared.is_empty() {
                reasons.push(format!("green equals blue but for {declared} declared difference(s)"));
            } else {
                reasons.push(format!("{} undeclared difference(s): {}", undeclared.len(), undeclared[0]));
                reasons.extend(undeclared.iter().skip(1).take(MAX_NAMED).cloned());
            }
            let verdict = if undeclared.is_empty() { GateVerdict::Pass } else { GateVerdict::Fail };
            Run::without_evidence(GateResult { verdict, reasons, evidence: None })
        }
    }
}

async fn differences(comparison: &Comparison, commands: &[PathBuf]) -> Result<(usize, Vec<String>), DriftError> {
    let Comparison { environments, expected, expected_live, now, .. } = comparison;
    let blue = configuration::read(&environments.blue.declared, commands).await?;
    let green = configuration::read(&environments.green.declared, commands).await?;
    let (mut declared, mut undeclared) = (0, Vec::new());
    let mut sort = |found: Vec<Difference>, expected: &[Expected], prefix: &str| {
        for difference in found {
            match expected.iter().any(|it| it.covers(&difference, *now)) {
                true => declared += 1,
                false => undeclared.push(format!("{prefix}{difference}")),
            }
        }
    };
    for (environment, of, files) in [("blue", &environments.blue, &blue), ("green", &environments.green, &green)] {
        if !of.live.is_empty() {
            let live = configuration::read(&of.live, commands).await?;
            sort(compare(files, &live)?, expected_live, &format!("{environment} runs otherwise than declared: "));
        }
    }
    sort(compare(&blue, &green)?, expected, "");
    Ok((declared, undeclared))
}

impl Expected {
    /// It covers itself and everything below it, until it expires.
    fn covers(&self, difference: &Difference, now: UnixMillis) -> bool {
        let holds = self.expires.is_none_or(|expires| now <= expires);
        let within = self.within.as_ref().is_none_or(|file| *file == difference.file);
        let below = difference.path.strip_prefix(&self.path);
        holds && within && below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// All differences between two environments' configurations, in order of file and path.
pub fn compare(blue: &Files, green: &Files) -> Result<Vec<Difference>, DriftError> {
    let mut differences = Vec::new();
    for (file, blue_content) in blue {
        match green.get(file) {
            None => {
                differences.push(Difference { file: file.clone(), path: String::new(), change: Change::MissingInGreen })
            }
            Some(green_content) => compare_files(file, blue_content, green_content, &mut differences)?,
        }
    }
    for file in green.keys().filter(|file| !blue.contains_key(*file)) {
        differences.push(Difference { file: file.clone(), path: String::new(), change: Change::OnlyInGreen });
    }
    differences.sort();
    Ok(differences)
}

fn compare_files(name: &str, blue: &[u8], green: &[u8], into: &mut Vec<Difference>) -> Result<(), DriftError> {
    if blue == green {
        return Ok(());
    }
    let (Some(blue_values), Some(green_values)) = (values(name, blue)?, values(name, green)?) else {
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
fn values(file: &str, bytes: &[u8]) -> Result<Option<BTreeMap<String, Value>>, DriftError> {
    let malformed = |format, reason: String| DriftError::Malformed { file: file.to_owned(), format, reason };
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
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
            return Err(DriftError::TooLarge { file: file.to_owned() });
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
