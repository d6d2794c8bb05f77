//! From a file's bytes to its documents. The name decides which format is read, and the content where the name says
//! nothing; what has no format is opaque.

mod budget;
mod json;
mod lines;
mod toml;
mod yaml;

use crate::error::{FileError, Format};
use crate::value::{Raw, RawScalar, Value};
pub(crate) use budget::Budget;
use std::borrow::Cow;

/// The documents of a file, in their order; empty documents of YAML are left out.
pub(crate) fn read(name: &str, bytes: &[u8], budget: &mut Budget) -> Result<Vec<Raw>, FileError> {
    if let Some(format) = by_name(name) {
        let text = text(bytes, format)?;
        return read_as(format, &text, budget);
    }
    Ok(by_content(bytes, budget).unwrap_or_else(|| vec![Value::Leaf(RawScalar::Opaque(bytes.to_vec()))]))
}

/// The document in a text that another document holds under a name (`config.yaml` of a ConfigMap); `None` where it has
/// no format or is broken: then it is a text as any other.
pub(crate) fn embedded(name: &str, text: &str, depth: usize, budget: &mut Budget) -> Option<Raw> {
    let documents = budget.below(depth, |budget| match by_name(name) {
        Some(format) => read_as(format, text, budget).ok(),
        None => by_content(text.as_bytes(), budget),
    })?;
    let structured = documents.iter().all(|document| !matches!(document, Value::Leaf(_)));
    match documents.len() {
        0 => None,
        _ if !structured => None,
        1 => documents.into_iter().next(),
        _ => Some(Value::List(documents)),
    }
}

fn read_as(format: Format, text: &str, budget: &mut Budget) -> Result<Vec<Raw>, FileError> {
    match format {
        Format::Yaml => yaml::read(text, budget),
        Format::Json => json::read(text, budget).map(|document| vec![document]),
        Format::Toml => toml::read(text, budget).map(|document| vec![document]),
        Format::Env => lines::env(text, budget).map(|document| vec![document]),
        Format::Properties => lines::properties(text, budget).map(|document| vec![document]),
    }
}

fn by_name(name: &str) -> Option<Format> {
    let last = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    if last == ".env" || last.starts_with(".env.") {
        return Some(Format::Env);
    }
    match last.rsplit_once('.')?.1 {
        "yaml" | "yml" => Some(Format::Yaml),
        "json" => Some(Format::Json),
        "toml" => Some(Format::Toml),
        "env" => Some(Format::Env),
        "properties" => Some(Format::Properties),
        _ => None,
    }
}

/// Only what cannot be anything else: a JSON object or array, and YAML that says so or is a Kubernetes manifest or a
/// Collector's configuration.
fn by_content(bytes: &[u8], budget: &mut Budget) -> Option<Vec<Raw>> {
    const YAML: [&str; 6] = ["---", "apiVersion:", "receivers:", "exporters:", "processors:", "extensions:"];
    let text = str::from_utf8(bytes).ok()?;
    let start = text.trim_start();
    if start.starts_with(['{', '[']) {
        return json::read(text, budget).ok().map(|document| vec![document]);
    }
    let yaml = YAML.iter().any(|begin| start.starts_with(begin));
    let documents = if yaml { yaml::read(text, budget).ok()? } else { return None };
    documents.iter().all(|document| document.map().is_some()).then_some(documents)
}

/// Text as UTF-8, without a byte order mark. Properties may be ISO-8859-1, as they were until Java 9.
fn text(bytes: &[u8], format: Format) -> Result<Cow<'_, str>, FileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) if format == Format::Properties => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Err(error) => Err(FileError::NotText { format, valid: error.valid_up_to() }),
    }
}

#[cfg(test)]
mod tests;
