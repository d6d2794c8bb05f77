//! Comparisons on their way out, and as JSON.

use model::{Environment, TraceId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use verify::diff::{By, Comparison, Difference, ExampleSides, Side, compare};

/// One comparison, with what its sides are.
pub(super) struct Told {
    pub(super) environment: Option<Environment>,
    pub(super) a: Named,
    pub(super) b: Named,
    pub(super) by: By,
    /// Spans that neither side has, for the blob has no room for them.
    pub(super) omitted: usize,
    /// Members of the blob that this program does not know.
    pub(super) unread: BTreeSet<String>,
    pub(super) comparison: Comparison,
}

/// A side, as it is called.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) trace: TraceId,
    pub(super) spans: usize,
}

impl Told {
    /// Of one trace the spans are held against each other by their ids; two traces have none in common, and are by the
    /// places of their spans.
    pub(super) fn of_two(a: (String, TraceId, Side), b: (String, TraceId, Side)) -> Told {
        let by = if a.1 == b.1 { By::Id } else { By::Place };
        let comparison = compare(&a.2, &b.2, by);
        let named = |(name, trace, side): (String, TraceId, Side)| Named { name, trace, spans: side.spans().len() };
        let (omitted, unread) = (0, BTreeSet::new());
        Told { environment: None, a: named(a), b: named(b), by, omitted, unread, comparison }
    }

    pub(super) fn of_evidence(example: ExampleSides) -> Told {
        let ExampleSides { trace, environment, omitted, unread, sent, out } = example;
        let comparison = compare(&sent, &out, By::Id);
        let named = |name: String, side: &Side| Named { name, trace, spans: side.spans().len() };
        let a = named(format!("sent to {environment}"), &sent);
        let b = named(format!("out of {environment}"), &out);
        Told { environment: Some(environment), a, b, by: By::Id, omitted, unread, comparison }
    }

    pub(super) fn is_equal(&self) -> bool {
        self.comparison.is_equal()
    }

    /// How often each difference is told, by its name; in the order of the names' variants.
    pub(super) fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: BTreeMap<(usize, &'static str), usize> = BTreeMap::new();
        for difference in self.comparison.rows.iter().flat_map(|row| &row.differences) {
            *counts.entry(name(difference)).or_default() += 1;
        }
        counts.into_iter().map(|((_, name), count)| (name, count)).collect()
    }
}

/// As JSON calls it, with its rank.
fn name(difference: &Difference) -> (usize, &'static str) {
    match difference {
        Difference::Lost => (0, "lost"),
        Difference::Fabricated => (1, "fabricated"),
        Difference::Duplicated { .. } => (2, "duplicated"),
        Difference::FewerCopies { .. } => (3, "fewerCopies"),
        Difference::Reparented { .. } => (4, "reparented"),
        Difference::Orphan { .. } => (5, "orphan"),
        Difference::Kind { .. } => (6, "kind"),
        Difference::Operation { .. } => (7, "operation"),
        Difference::Start { .. } => (8, "start"),
        Difference::End { .. } => (9, "end"),
        Difference::Status { .. } => (10, "status"),
        Difference::Missing { .. } => (11, "missing"),
        Difference::Added { .. } => (12, "added"),
        Difference::Changed { .. } => (13, "changed"),
    }
}

/// One value for all comparisons. docs/operations.md has its members.
pub(super) fn json(told: &[Told]) -> Value {
    let side = |named: &Named| json!({ "name": named.name, "trace": named.trace, "spans": named.spans });
    let one = |told: &Told| {
        json!({
            "equal": told.is_equal(),
            "environment": told.environment,
            "a": side(&told.a),
            "b": side(&told.b),
            "by": told.by,
            "omitted": told.omitted,
            "unread": told.unread,
            "counts": told.counts().into_iter().collect::<BTreeMap<_, _>>(),
            "spans": told.comparison.rows,
        })
    };
    json!({ "equal": told.iter().all(Told::is_equal), "comparisons": told.iter().map(one).collect::<Vec<_>>() })
}
