//! Does what runs equal what was declared, and does green equal blue, but for what the plan declares?
//!
//! Reads both environments' configurations, has them compared by meaning ([`::drift`]), and holds what differs against
//! what the plan declares. Reasons name places and what tracing loses by a difference; values stand only in the
//! evidence, which can be deleted, and secrets nowhere.

use crate::configuration::{self, ConfigurationError, Files, Source};
use crate::run::Run;
use ::drift::expected;
pub use ::drift::expected::{Expected, Sorted};
pub use ::drift::tracing::TracingFinding;
use ::drift::tracing::{Environments, rules};
pub use ::drift::{Change, Difference, SecretKey, Shown};
use ::drift::{ReadError, Tree};
use model::{Environment, GateResult, GateVerdict, PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Differences named in the result; all are counted, and stand in the evidence.
const MAX_NAMED: usize = 20;

/// What is compared, and when.
#[derive(Debug)]
pub struct Comparison {
    /// Of each environment.
    pub environments: PerEnvironment<Configurations>,
    /// What may differ between green and blue.
    pub expected: Vec<Expected>,
    /// What may differ between what runs and what was declared.
    pub expected_live: Vec<Expected>,
    /// Under which key secrets are compared.
    pub key: SecretKey,
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
    /// Where it takes OTLP, and where its back end does: the other one's configuration must not lead there.
    pub endpoints: Vec<String>,
}

/// Everything that differs, held against what was declared. Its JSON is the gate's evidence.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The digests of what was read: those that an approval binds to.
    pub configurations: PerEnvironment<String>,
    /// What would make green's traces less than blue's.
    pub tracing: Sorted<TracingFinding>,
    /// Between green and blue.
    pub differences: Sorted<Difference>,
    /// Between what runs and what was declared, of each environment where both are known.
    pub live: PerEnvironment<Option<Sorted<Difference>>>,
    /// How much more there is of all that, beyond what is listed.
    pub left_out: usize,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A configuration cannot be had.
    #[error("{environment}: {source}")]
    Source {
        /// Whose.
        environment: Environment,
        /// Why.
        source: ConfigurationError,
    },
    /// It is not what its name says.
    #[error("{environment}: {source}")]
    Read {
        /// Whose.
        environment: Environment,
        /// Where and why, without any of its text.
        source: ReadError,
    },
    /// The thread that compared is gone.
    #[error("the comparison was given up")]
    GivenUp,
}

/// Runs the gate.
pub async fn run(comparison: Comparison, commands: &[PathBuf]) -> Run {
    for environment in Environment::BOTH {
        if comparison.environments[environment].declared.is_empty() {
            return Run::inconclusive(format!(
                "{environment} declares no configuration: add environments.{environment}.config to the plan"
            ));
        }
    }
    match compare(comparison, commands).await {
        Err(error) => Run::error(error.to_string()),
        Ok(report) => {
            let evidence = serde_json::to_vec(&report).expect("a report has no maps with other keys than texts");
            Run { result: report.result(), evidence: Some(evidence) }
        }
    }
}

/// Reads and compares.
///
/// # Errors
/// If a configuration cannot be had, or not be read.
pub async fn compare(comparison: Comparison, commands: &[PathBuf]) -> Result<Report, CompareError> {
    let mut declared = PerEnvironment::from_fn(|_| Files::new());
    let mut live = PerEnvironment::from_fn(|_| None);
    for environment in Environment::BOTH {
        let of = &comparison.environments[environment];
        let refused = |source| CompareError::Source { environment, source };
        declared[environment] = configuration::read(&of.declared, commands).await.map_err(refused)?;
        if !of.live.is_empty() {
            live[environment] = Some(configuration::read(&of.live, commands).await.map_err(refused)?);
        }
    }
    let compared = tokio::task::spawn_blocking(move || held_against(&comparison, &declared, &live));
    compared.await.map_err(|_| CompareError::GivenUp)?
}

fn held_against(
    comparison: &Comparison,
    declared: &PerEnvironment<Files>,
    live: &PerEnvironment<Option<Files>>,
) -> Result<Report, CompareError> {
    let Comparison { environments, expected, expected_live, key, now } = comparison;
    let of = |environment| move |source| CompareError::Read { environment, source };
    let (blue, green) = Tree::read_two(&declared.blue, &declared.green, key);
    let (blue, green) = (blue.map_err(of(Environment::Blue))?, green.map_err(of(Environment::Green))?);
    let mut left_out = 0;
    let mut sort = |one: &Tree, other: &Tree, expected: &[Expected]| {
        let found = ::drift::compare(one, other);
        left_out += found.left_out;
        expected::sort(found.differences, expected, now.0)
    };
    let differences = sort(&blue, &green, expected);
    let mut of_live = PerEnvironment::from_fn(|_| None);
    for (environment, declared) in [(Environment::Blue, &blue), (Environment::Green, &green)] {
        if let Some(files) = &live[environment] {
            of_live[environment] =
                Some(sort(declared, &Tree::read(files, key).map_err(of(environment))?, expected_live));
        }
    }
    let endpoints = |of: &Configurations| of.endpoints.clone();
    let of = Environments { blue: endpoints(&environments.blue), green: endpoints(&environments.green) };
    let found = rules(&blue, &green, &of);
    left_out += found.left_out;
    Ok(Report {
        configurations: PerEnvironment::from_fn(|it| configuration::digest(&declared[it])),
        tracing: expected::sort(found.findings, expected, now.0),
        differences,
        live: of_live,
        left_out,
    })
}

impl Report {
    /// The verdict, what tracing loses first.
    pub fn result(&self) -> GateResult {
        let undeclared = self.undeclared();
        let (verdict, reasons) = match undeclared.first() {
            None => (GateVerdict::Pass, self.passed()),
            Some(first) => {
                let count = undeclared.len() + self.left_out;
                let counted =
                    if count == 1 { "1 undeclared difference" } else { &*format!("{count} undeclared differences") };
                let rest = undeclared.iter().skip(1).take(MAX_NAMED).cloned();
                (GateVerdict::Fail, std::iter::once(format!("{counted}: {first}")).chain(rest).collect())
            }
        };
        GateResult { verdict, reasons, evidence: None }
    }

    /// Everything that nobody declared, a line each, without values of single settings.
    pub fn undeclared(&self) -> Vec<String> {
        let told: BTreeSet<(&str, &str)> =
            all(&self.tracing).map(|(finding, _)| (finding.file.as_str(), finding.path.as_str())).collect();
        let tracing = all(&self.tracing).map(|(finding, over)| format!("{finding}{over}"));
        // What the rules of tracing say in words needs not be said again.
        let differences = all(&self.differences)
            .filter(|(difference, _)| !told.contains(&(difference.file.as_str(), difference.path.as_str())))
            .map(|(difference, over)| format!("{}{over}", between_environments(difference)));
        let live = Environment::BOTH.into_iter().filter_map(|it| Some((it, self.live[it].as_ref()?)));
        let live = live.flat_map(|(environment, sorted)| {
            all(sorted).map(move |(difference, over)| format!("{}{over}", in_force(environment, difference)))
        });
        tracing.chain(live).chain(differences).collect()
    }

    fn passed(&self) -> Vec<String> {
        let declared = self.differences.declared.len();
        let first = match declared {
            0 => "green equals blue".to_owned(),
            1 => "green equals blue but for 1 declared difference".to_owned(),
            _ => format!("green equals blue but for {declared} declared differences"),
        };
        let live = Environment::BOTH.into_iter().filter(|it| self.live[*it].is_some());
        std::iter::once(first).chain(live.map(|it| format!("{it} runs as it was declared"))).collect()
    }
}

/// What no declaration covers, and what only one covers that is over.
fn all<T>(sorted: &Sorted<T>) -> impl Iterator<Item = (&T, &'static str)> {
    let undeclared = sorted.undeclared.iter().map(|one| (one, ""));
    undeclared.chain(sorted.expired.iter().map(|(_, one)| (one, "; what declared it has expired")))
}

fn between_environments(difference: &Difference) -> String {
    let change = match difference.change {
        Change::Changed { .. } => "differs",
        Change::MissingInGreen { .. } => "is missing in green",
        Change::OnlyInGreen { .. } => "is in green alone",
        Change::Reordered { .. } => "has another order in green",
    };
    format!("{} {change}", place(difference))
}

fn in_force(environment: Environment, difference: &Difference) -> String {
    let change = match difference.change {
        Change::Changed { .. } => "differs",
        Change::MissingInGreen { .. } => "is not there",
        Change::OnlyInGreen { .. } => "was never declared",
        Change::Reordered { .. } => "has another order",
    };
    format!("{environment} does not run as it was declared: {} {change}", place(difference))
}

fn place(difference: &Difference) -> String {
    match difference.path.as_str() {
        "" => difference.file.clone(),
        path => format!("{}: {path}", difference.file),
    }
}

#[cfg(test)]
mod tests;
