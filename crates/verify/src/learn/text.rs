//! What was learned as a plan writes it.

use super::{Change, Difference, Learned};
use crate::transformation::{Part, Precision};
use std::fmt;

/// Where the keys of an environment stand in a plan that is indented by two.
const INDENT: &str = "      ";

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Learned { declared, left_out, spans, not_kept, .. } = self;
        writeln!(
            f,
            "{INDENT}# Learned from {spans} spans that were sent and came out. What stands here is no finding any more:"
        )?;
        writeln!(f, "{INDENT}# review each line, and delete what the pipeline is not meant to do.")?;
        if declared.is_empty() {
            writeln!(f, "{INDENT}# Nothing has to be declared.")?;
        } else {
            writeln!(f, "{INDENT}transformations:")?;
            writeln!(f, "{INDENT}  reason: \"learned from {spans} spans\"")?;
            self.block(f)?;
        }
        if !left_out.is_empty() {
            writeln!(f, "{INDENT}# Left out, so that it stays a finding:")?;
        }
        left_out.iter().try_for_each(|difference| {
            let Difference { shown, of, change } = difference;
            writeln!(f, "{INDENT}#   {change}: {}", share(*shown, *of, change))
        })?;
        match not_kept {
            0 => Ok(()),
            1.. => writeln!(f, "{INDENT}#   {not_kept} differences of keys that cannot be declared"),
        }
    }
}

impl Learned {
    fn block(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Name = fn(&Change) -> Option<String>;
        let lists: [(&str, Name); 4] = [
            ("added", |change| if let Change::Added(key) = change { Some(item(key)) } else { None }),
            ("removed", |change| if let Change::Removed(key) = change { Some(item(key)) } else { None }),
            ("renamed", |change| match change {
                Change::Renamed(from, to) => Some(format!("{}: {}", quoted(from), quoted(to))),
                Change::Added(_) | Change::Removed(_) | Change::Changed(_) | Change::Resource(_) => None,
                Change::Part(_) | Change::Times(_) | Change::Samples => None,
            }),
            ("changed", |change| if let Change::Changed(key) = change { Some(item(key)) } else { None }),
        ];
        let is_any = |name: Name| self.declared.iter().any(|difference| name(&difference.change).is_some());
        if lists.iter().any(|(_, name)| is_any(*name)) {
            writeln!(f, "{INDENT}  attributes:")?;
        }
        lists.iter().try_for_each(|(list, name)| self.list(f, "    ", list, *name))?;
        self.list(
            f,
            "  ",
            "resource",
            |change| if let Change::Resource(key) = change { Some(item(key)) } else { None },
        )?;
        self.list(f, "  ", "parts", |change| match change {
            Change::Part(part) => Some(format!("- {}", part_name(*part))),
            Change::Added(_) | Change::Removed(_) | Change::Renamed(..) | Change::Changed(_) => None,
            Change::Resource(_) | Change::Times(_) | Change::Samples => None,
        })?;
        for Difference { change, shown, of } in &self.declared {
            let line = match change {
                Change::Times(precision) => format!("times: {}", unit(*precision)),
                Change::Samples => "samples: true".to_owned(),
                Change::Added(_) | Change::Removed(_) | Change::Renamed(..) | Change::Changed(_) => continue,
                Change::Resource(_) | Change::Part(_) => continue,
            };
            writeln!(f, "{INDENT}  {line}  # {}", share(*shown, *of, change))?;
        }
        Ok(())
    }

    fn list(
        &self,
        f: &mut fmt::Formatter<'_>,
        indent: &str,
        list: &str,
        name: impl Fn(&Change) -> Option<String>,
    ) -> fmt::Result {
        let mut head = Some(list);
        for Difference { change, shown, of } in &self.declared {
            let Some(entry) = name(change) else { continue };
            if let Some(list) = head.take() {
                writeln!(f, "{INDENT}{indent}{list}:")?;
            }
            writeln!(f, "{INDENT}{indent}  {entry}  # {}", share(*shown, *of, change))?;
        }
        Ok(())
    }
}

fn item(key: &str) -> String {
    format!("- {}", quoted(key))
}

/// A key as YAML takes it; it is printable ASCII.
fn quoted(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // With a dot and a letter first it is neither a number nor a word that YAML knows.
    if key.contains('.') && key.starts_with(|first: char| first.is_ascii_alphabetic()) && key.bytes().all(plain) {
        return key.to_owned();
    }
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}

fn share(shown: u64, of: u64, change: &Change) -> String {
    let percent = shown as f64 * 100.0 / of.max(1) as f64;
    let what = match change {
        Change::Added(_) => "of the spans of these services",
        Change::Removed(_) | Change::Renamed(..) | Change::Changed(_) => "of the spans that had it",
        Change::Resource(_) => "of the spans of these services",
        Change::Part(_) => "of the spans that have it",
        Change::Times(_) => "of the spans",
        Change::Samples => "of the traces",
    };
    format!("{percent:.1}% {what}: {shown} of {of}")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Added(key) => write!(f, "added {}", quoted(key)),
            Change::Removed(key) => write!(f, "removed {}", quoted(key)),
            Change::Renamed(from, to) => write!(f, "renamed {} to {}", quoted(from), quoted(to)),
            Change::Changed(key) => write!(f, "changed {}", quoted(key)),
            Change::Resource(key) => write!(f, "resource {}", quoted(key)),
            Change::Part(part) => write!(f, "part {}", part_name(*part)),
            Change::Times(Precision::Nanoseconds) => f.write_str("times that no precision explains"),
            Change::Times(precision) => write!(f, "times cut to {}", unit(*precision)),
            Change::Samples => f.write_str("whole traces that did not come out"),
        }
    }
}

fn unit(precision: Precision) -> &'static str {
    match precision {
        Precision::Nanoseconds => "ns",
        Precision::Microseconds => "us",
        Precision::Milliseconds => "ms",
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Name => "name",
        Part::Status => "status",
        Part::Events => "events",
        Part::Context => "context",
        Part::Scope => "scope",
    }
}
