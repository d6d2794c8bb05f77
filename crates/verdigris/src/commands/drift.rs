//! `verdigris drift`: what differs in meaning between two configurations.

use super::gate::surroundings;
use crate::cli::{Drift, Format};
use crate::describe::{Exit, Failed, say};
use gates::configuration::Source;
use gates::drift::{Comparison, Configurations, Difference, Expected, Report, SecretKey, compare};
use model::PerEnvironment;
use std::path::Path;

/// Runs it.
pub async fn run(command: &Drift, format: Format) -> Result<Exit, Failed> {
    let around = surroundings(&[])?;
    let of = |path: &Path| Configurations {
        declared: vec![Source::Files(path.to_owned())],
        live: Vec::new(),
        endpoints: Vec::new(),
    };
    let meant =
        |path: &String| Expected { path: path.clone(), in_file: None, reason: "--expected".to_owned(), expires: None };
    let comparison = Comparison {
        environments: PerEnvironment { blue: of(&command.blue), green: of(&command.green) },
        expected: command.expected.iter().map(meant).collect(),
        expected_live: Vec::new(),
        key: SecretKey::new(around.key),
        now: around.now,
    };
    let report = compare(comparison, &[]).await.map_err(|error| Failed::usage(error.to_string()))?;
    match format {
        Format::Json => say(format_args!("{}", serde_json::to_string(&report)?)),
        Format::Text => print(&report, &command.expected),
    }
    Ok(if report.undeclared().is_empty() { Exit::Done } else { Exit::RolledBack })
}

fn print(report: &Report, expected: &[String]) {
    let of_tracing = &report.tracing.undeclared;
    if !of_tracing.is_empty() {
        say(format_args!("What tracing would lose in green"));
        of_tracing.iter().for_each(|finding| say(format_args!("  {finding}")));
        say(format_args!(""));
    }
    let undeclared = &report.differences.undeclared;
    match undeclared.len() + report.left_out {
        0 if report.differences.declared.is_empty() => say(format_args!("green equals blue")),
        0 => say(format_args!("green equals blue, but for what was expected")),
        1 => say(format_args!("1 difference")),
        count => say(format_args!("{count} differences")),
    }
    undeclared.iter().for_each(|difference| say(format_args!("  {}", told(difference))));
    if report.left_out > 0 {
        say(format_args!("  … and {} more", report.left_out));
    }
    if !report.differences.declared.is_empty() {
        say(format_args!("\nExpected"));
        let declared = report.differences.declared.iter();
        declared.for_each(|(_, difference)| say(format_args!("  {}", told(difference))));
    }
    for unused in &report.differences.unused {
        say(format_args!("\n--expected {} covers no difference", expected[*unused]));
    }
}

fn told(difference: &Difference) -> String {
    let Difference { file, path, change } = difference;
    if path.is_empty() { format!("{file} {change}") } else { format!("{file}: {path}: {change}") }
}
