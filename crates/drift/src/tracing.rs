//! Rules about tracing.
use serde::Serialize;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TracingFinding {
    /// The file that it is in.
    pub file: String,
    /// The path in it.
    pub path: String,
}
