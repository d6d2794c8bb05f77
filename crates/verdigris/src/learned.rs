//! What was learned, as a plan takes it and as JSON: the same from recordings and from a running server.

use crate::describe::thousands;
use serde_json::{Value, json};
use verify::{Difference, Learned};

/// Where the keys of an environment stand in a plan that is indented by two.
const INDENT: &str = "      ";

/// What was learned, and what has to be said beside it.
pub struct Told<'a> {
    /// What explains what was seen.
    pub learned: &'a Learned,
    /// Sentences that become comments.
    pub notes: Vec<String>,
}

impl Told<'_> {
    /// For a plan.
    pub fn yaml(&self) -> String {
        let notes: String = self.notes.iter().map(|note| format!("{INDENT}# {note}\n")).collect();
        format!("{}{notes}", self.learned)
    }

    /// For programs; more is said beside it by whoever saw it.
    pub fn json(&self) -> Value {
        let told = |differences: &[Difference]| -> Vec<Value> {
            let one = |it: &Difference| json!({ "what": it.change.to_string(), "shown": it.shown, "of": it.of });
            differences.iter().map(one).collect()
        };
        json!({
            "yaml": self.yaml(),
            "declared": told(&self.learned.declared),
            "leftOut": told(&self.learned.left_out),
        })
    }
}

/// What no declaration explains: spans that did not come out of traces that came out in part, and spans that came out and
/// were not sent.
pub fn unexplained(lost: u64, unsent: u64) -> Vec<String> {
    let kinds = [(lost, "did not come out of traces that did"), (unsent, "came out and were not sent")];
    let note = |(count, what)| format!("No declaration explains {} spans that {what}.", thousands(count));
    kinds.into_iter().filter(|(count, _)| *count > 0).map(note).collect()
}
