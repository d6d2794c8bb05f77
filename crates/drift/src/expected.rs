//! Which differences were declared. A declaration has a reason, and may have an end; one that is over covers nothing,
//! and one that covers nothing is told, so that declarations don't outlive what they were for.

use crate::difference::Difference;
use crate::path::covers;
use crate::tracing::TracingFinding;
use serde::{Deserialize, Serialize};

/// A difference that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The place, which covers itself and everything below it: with an object's name
    /// (`Deployment/shop/checkout: spec.replicas`), or in every object and file (`exporters.otlp.endpoint`). An empty
    /// path covers the whole of `in_file`, and nothing without one.
    pub path: String,
    /// The only file that it holds for.
    pub in_file: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when, in milliseconds since 1970; that moment is after it.
    pub expires: Option<u64>,
}

/// What has a place that a declaration can cover.
pub trait Placed {
    /// The file.
    fn file(&self) -> &str;
    /// The path in it.
    fn path(&self) -> &str;
}

impl Placed for Difference {
    fn file(&self) -> &str {
        &self.file
    }

    fn path(&self) -> &str {
        &self.path
    }
}

impl Placed for TracingFinding {
    fn file(&self) -> &str {
        &self.file
    }

    fn path(&self) -> &str {
        &self.path
    }
}

/// What was found, held against what was declared. Indices are those of the declarations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sorted<T> {
    /// What no declaration covers.
    pub undeclared: Vec<T>,
    /// What one covers: the first of them.
    pub declared: Vec<(usize, T)>,
    /// What only a declaration covers that is over; it counts as undeclared.
    pub expired: Vec<(usize, T)>,
    /// Declarations that cover nothing.
    pub unused: Vec<usize>,
}

impl Expected {
    /// Whether it covers a place, over or not.
    pub fn covers(&self, place: &impl Placed) -> bool {
        if self.in_file.as_deref().is_some_and(|file| file != place.file()) {
            return false;
        }
        if self.path.is_empty() {
            return self.in_file.is_some();
        }
        // Objects' names hold no blank, so the first `: ` ends one.
        let inside = place.path().split_once(": ").map(|(_, inside)| inside);
        covers(&self.path, place.path()) || inside.is_some_and(|inside| covers(&self.path, inside))
    }

    /// Whether it is over.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now_ms)
    }
}

/// Holds what was found against what was declared; `now_ms` is in milliseconds since 1970.
pub fn sort<T: Placed>(found: Vec<T>, expected: &[Expected], now_ms: u64) -> Sorted<T> {
    let mut used = vec![false; expected.len()];
    let mut sorted = Sorted { undeclared: Vec::new(), declared: Vec::new(), expired: Vec::new(), unused: Vec::new() };
    for one in found {
        let covering: Vec<usize> = (0..expected.len()).filter(|at| expected[*at].covers(&one)).collect();
        covering.iter().for_each(|at| used[*at] = true);
        match (covering.iter().find(|at| !expected[**at].is_over(now_ms)), covering.first()) {
            (Some(at), _) => sorted.declared.push((*at, one)),
            (None, Some(at)) => sorted.expired.push((*at, one)),
            (None, None) => sorted.undeclared.push(one),
        }
    }
    sorted.unused = (0..expected.len()).filter(|at| !used[*at]).collect();
    sorted
}

#[cfg(test)]
mod tests;
