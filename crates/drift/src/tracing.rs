//! What would make green's traces less than blue's, by the two configurations alone: rules with names in words, each
//! finding with its place. They look one way, from blue to green; only crossed endpoints are looked for in both.
//!
//! Nothing is guessed from what the configuration does not say: a value in a secret, or set by a program, is not seen.

mod address;
mod instrumentation;
mod pipelines;
mod services;
mod transport;
mod variables;

use crate::difference::{cut, cut_at};
use crate::limits::{MAX_FINDINGS, MAX_SHOWN};
use crate::tree::Tree;
use crate::value::{Node, Scalar, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// Blue's service is traced, green's is not set up, or turned off.
    #[serde(rename = "service without tracing")]
    ServiceWithoutTracing,
    /// An `OTEL_` variable of blue's service is not set in green.
    #[serde(rename = "variable missing")]
    VariableMissing,
    /// One has another value.
    #[serde(rename = "variable changed")]
    VariableChanged,
    /// An `Instrumentation` of the OpenTelemetry operator is not there.
    #[serde(rename = "instrumentation missing")]
    InstrumentationMissing,
    /// A sampler, its ratio or its policies differ.
    #[serde(rename = "sampling differs")]
    SamplingDiffers,
    /// Propagators, or their order, differ: traces break where services of both meet.
    #[serde(rename = "propagators differ")]
    PropagatorsDiffer,
    /// TLS, or the verification of certificates, is on in blue and off in green.
    #[serde(rename = "TLS weakened")]
    TlsWeakened,
    /// One environment's configuration names an endpoint of the other.
    #[serde(rename = "endpoint of the other environment")]
    CrossedEndpoint,
    /// No pipeline has one of blue's signals.
    #[serde(rename = "signal missing")]
    SignalMissing,
    /// One of blue's pipelines is not there.
    #[serde(rename = "pipeline missing")]
    PipelineMissing,
    /// A pipeline receives from one source less.
    #[serde(rename = "receiver missing")]
    ReceiverMissing,
    /// A pipeline exports to one place less.
    #[serde(rename = "exporter missing")]
    ExporterMissing,
    /// A processor that takes out or rewrites attributes is not in a pipeline.
    #[serde(rename = "processor missing")]
    ProcessorMissing,
    /// Batches are made before sampling, unlike in blue.
    #[serde(rename = "batch before sampler")]
    BatchBeforeSampler,
}

/// Every rule.
pub const RULES: [Rule; 14] = [
    Rule::ServiceWithoutTracing,
    Rule::VariableMissing,
    Rule::VariableChanged,
    Rule::InstrumentationMissing,
    Rule::SamplingDiffers,
    Rule::PropagatorsDiffer,
    Rule::TlsWeakened,
    Rule::CrossedEndpoint,
    Rule::SignalMissing,
    Rule::PipelineMissing,
    Rule::ReceiverMissing,
    Rule::ExporterMissing,
    Rule::ProcessorMissing,
    Rule::BatchBeforeSampler,
];

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::ServiceWithoutTracing => "service without tracing",
            Rule::VariableMissing => "variable missing",
            Rule::VariableChanged => "variable changed",
            Rule::InstrumentationMissing => "instrumentation missing",
            Rule::SamplingDiffers => "sampling differs",
            Rule::PropagatorsDiffer => "propagators differ",
            Rule::TlsWeakened => "TLS weakened",
            Rule::CrossedEndpoint => "endpoint of the other environment",
            Rule::SignalMissing => "signal missing",
            Rule::PipelineMissing => "pipeline missing",
            Rule::ReceiverMissing => "receiver missing",
            Rule::ExporterMissing => "exporter missing",
            Rule::ProcessorMissing => "processor missing",
            Rule::BatchBeforeSampler => "batch before sampler",
        })
    }
}

/// One finding. Sorted by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TracingFinding {
    /// The file that it is in: green's, or blue's where green has none.
    pub file: String,
    /// The path, as that of a [`crate::Difference`].
    pub path: String,
    /// Which rule.
    pub rule: Rule,
    /// What was found, in one line with its place.
    pub message: String,
}

impl fmt::Display for TracingFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What the rules found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TracingFindings {
    /// Sorted by file and path, [`MAX_FINDINGS`] at most.
    pub findings: Vec<TracingFinding>,
    /// How many more there are.
    pub left_out: usize,
}

/// The endpoints that belong to one environment alone: its collectors and back ends, as URLs or `host:port`. A host
/// without a port stands for all of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environments {
    /// Blue's.
    pub blue: Vec<String>,
    /// Green's.
    pub green: Vec<String>,
}

/// Holds every rule against the two trees.
pub fn rules(blue: &Tree, green: &Tree, environments: &Environments) -> TracingFindings {
    let mut report = Report::default();
    services::compare(blue, green, &mut report);
    instrumentation::compare(blue, green, &mut report);
    pipelines::compare(blue, green, &mut report);
    address::crossed(green, "green", &environments.blue, "blue", &environments.green, &mut report);
    address::crossed(blue, "blue", &environments.green, "green", &environments.blue, &mut report);
    report.finish()
}

/// Characters of a finding's sentence: two values, a name and the words around them.
const MAX_SENTENCE: usize = 3 * MAX_SHOWN + 200;

/// Findings as they come.
#[derive(Default)]
struct Report {
    findings: Vec<TracingFinding>,
    left_out: usize,
}

impl Report {
    fn push(&mut self, rule: Rule, file: &str, path: String, what: &str) {
        // Twice what is told, for one place may be found twice.
        if self.findings.len() >= 2 * MAX_FINDINGS {
            self.left_out += 1;
            return;
        }
        // An object's name says where it is; anything else needs its file.
        let place = if path.contains(": ") || path.matches('/').count() == 2 {
            path.clone()
        } else if path.is_empty() {
            file.to_owned()
        } else {
            format!("{file}: {path}")
        };
        let message = format!("{} ({place})", cut_at(what, MAX_SENTENCE));
        self.findings.push(TracingFinding { file: file.to_owned(), path, rule, message });
    }

    fn finish(mut self) -> TracingFindings {
        self.findings.sort();
        self.findings.dedup_by(|one, other| (one.rule, &one.file, &one.path) == (other.rule, &other.file, &other.path));
        let more = self.findings.len().saturating_sub(MAX_FINDINGS);
        self.findings.truncate(MAX_FINDINGS);
        TracingFindings { findings: self.findings, left_out: self.left_out + more }
    }
}

/// A value in a sentence.
fn told(node: Option<&Node>) -> String {
    let Some(node) = node else { return "nothing".to_owned() };
    match node {
        Value::Leaf(Scalar::Null) => "nothing".to_owned(),
        Value::Leaf(Scalar::Secret(_)) => "a secret".to_owned(),
        Value::Leaf(_) => node.shown().map_or_else(|| "a value".to_owned(), |text| cut(&text)),
        Value::Map(_) | Value::List(_) | Value::Bag(_) | Value::Named(_) => "another value".to_owned(),
    }
}

fn is_true(node: Option<&Node>) -> bool {
    node.and_then(Node::shown).is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests;
