//! What the plan declares that the pipelines are meant to change, as verification takes it. The plan knows nothing of
//! verification.

use control::Watching;
use model::PerEnvironment;
use rollout::plan::{self, AttributeChanges, SpanPart, TimeUnit};
use verify::{Part, Precision, Transformations};

/// Of both environments.
pub(super) fn meant(watching: &Watching) -> PerEnvironment<Transformations> {
    PerEnvironment::from_fn(|environment| {
        let keys_alone = watching.queries[environment].as_ref().is_some_and(|query| query.replaces_tap);
        Transformations { keys_alone, ..transformations(&watching.transformations[environment]) }
    })
}

/// Of one environment.
fn transformations(declared: &plan::Transformations) -> Transformations {
    let plan::Transformations { reason: _, attributes, resource, parts, times, samples } = declared.clone();
    let AttributeChanges { added, removed, renamed, changed } = attributes;
    let part = |part| match part {
        SpanPart::Name => Part::Name,
        SpanPart::Status => Part::Status,
        SpanPart::Events => Part::Events,
        SpanPart::Context => Part::Context,
        SpanPart::Scope => Part::Scope,
    };
    let times = match times {
        None => Precision::Nanoseconds,
        Some(TimeUnit::Us) => Precision::Microseconds,
        Some(TimeUnit::Ms) => Precision::Milliseconds,
    };
    let parts = parts.into_iter().map(part).collect();
    Transformations { renamed, removed, added, changed, resource, parts, times, samples, keys_alone: false }
}
