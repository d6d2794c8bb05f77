//! Example traces of the evidence store: what was sent of a trace beside what an environment put out.

use super::told::Told;
pub(super) use verify::diff::RawExample;

/// One comparison for each environment.
pub(super) fn told(examples: Vec<RawExample>) -> Result<Vec<Told>, String> {
    examples.into_iter().map(|example| example.sides().map(Told::of_evidence)).collect()
}
