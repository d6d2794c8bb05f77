//! What is well with a server and what is not: findings of `config check` and `doctor`. The checks read, connect and ask;
//! they never change anything but a probe file that is removed at once, and never show what is in a file.

mod certificates;
mod files;
mod ground;
mod reach;
mod senders;
mod skew;
mod web;

pub use certificates::{certificates, left};
pub use files::files;
pub use ground::{clock, data_folder, disk, ledger, ports};
pub use reach::{reach, sender};

use crate::cli::Format;
use crate::describe::{printable, say};
use serde::Serialize;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// It does not work, or will not.
    Trouble,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at: `port 127.0.0.1:4317`.
    pub what: String,
    /// What was seen.
    pub says: String,
    /// What to do; none where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub do_this: Option<String>,
}

impl Finding {
    /// Nothing to be done.
    pub fn ok(what: impl Into<String>, says: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, what: what.into(), says: says.into(), do_this: None }
    }

    /// It works, and should be looked at.
    pub fn warning(what: impl Into<String>, says: impl Into<String>, do_this: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, do_this: Some(do_this.into()), ..Finding::ok(what, says) }
    }

    /// It does not work.
    pub fn trouble(what: impl Into<String>, says: impl Into<String>, do_this: impl Into<String>) -> Finding {
        Finding { level: Level::Trouble, do_this: Some(do_this.into()), ..Finding::ok(what, says) }
    }
}

/// The worst of them.
pub fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

/// Prints them, a line each and one more for what to do; `more` is a program's alone.
pub fn print(findings: &[Finding], more: serde_json::Value, format: Format) {
    match format {
        Format::Json => {
            let mut value = serde_json::json!({ "worst": worst(findings), "findings": findings });
            if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
                value.extend(more);
            }
            say(value);
        }
        Format::Text => {
            for finding in findings {
                let level = match finding.level {
                    Level::Ok => "ok     ",
                    Level::Warning => "WARNING",
                    Level::Trouble => "TROUBLE",
                };
                say(format_args!("{level}  {}: {}", printable(&finding.what), printable(&finding.says)));
                if let Some(do_this) = &finding.do_this {
                    say(format_args!("         > {}", printable(do_this)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
