//! What a plan says of the gates for behaviour: tests, migration, load, dependencies, and the probe gate's calls.

use crate::plan::{GateName, LoadSource, Plan, SpansOf, Step};
use model::{BasisPoints, ShortDuration};

/// What the probe gate does.
pub(super) fn probe(plan: &Plan) -> String {
    let export = "both environments must take an empty OTLP export";
    match &plan.gates.probe {
        None => export.to_owned(),
        Some(probe) => {
            let from = match (&probe.agents.blue, &probe.agents.green) {
                (Some(_), Some(_)) => "from inside of each",
                _ if probe.from_controller => "from this server where there is no agent",
                _ => "inconclusive where there is no agent",
            };
            let count = probe.calls.len();
            format!("{export}, and be able to make {count} call{}, {from}", if count == 1 { "" } else { "s" })
        }
    }
}

/// What one of the others does.
pub(super) fn effect(plan: &Plan, gate: GateName) -> String {
    let gates = &plan.gates;
    let words = match gate {
        GateName::Tests => gates.tests.as_ref().map(|tests| {
            let blue = if tests.like_blue { ", and none that passed for blue skipped or gone" } else { "" };
            let age = tests.max_age_ms.map(|age| format!(" within {}", ShortDuration(age))).unwrap_or_default();
            format!("{} tests of green's artifact must have passed{age}{blue}", tests.at_least)
        }),
        GateName::Migration => gates.migration.as_ref().map(|migration| {
            let (tables, queries) = (migration.tables.len(), migration.queries.len());
            let schema = if migration.schema.is_some() { ", and the schema" } else { "" };
            let rows = migration.databases.as_ref().map(|_| {
                format!(
                    "green's data must be blue's: {tables} table{} row by row, {queries} quer{}{schema}",
                    if tables == 1 { "" } else { "s" },
                    if queries == 1 { "y" } else { "ies" }
                )
            });
            let traces = migration.older_traces.as_ref().map(|older| {
                let (at_least, since) = (older.at_least, ShortDuration(older.since_ms));
                format!("green's store must have {at_least} of {} of blue's traces of the last {since}", older.sample)
            });
            rows.into_iter().chain(traces).collect::<Vec<_>>().join("; ")
        }),
        GateName::Load => gates.load.as_ref().map(|load| {
            let what = match &load.source {
                LoadSource::Synthetic { topology, peak_spans_per_s } => {
                    let length = ShortDuration(load.for_ms);
                    format!("{} times {peak_spans_per_s} spans/s (synthetic, {topology}) for {length}", load.multiple)
                }
                LoadSource::Recording { file, .. } => format!("{} copies of the recording {file}", load.multiple),
            };
            let lost = match load.loss_at_most {
                BasisPoints::ZERO => "none".to_owned(),
                most => format!("at most {most}"),
            };
            format!("both environments are sent {what}, which stays there: green must lose {lost}, and not be slower")
        }),
        GateName::Dependencies => gates.dependencies.as_ref().map(|dependencies| {
            let least = dependencies.coverage.at_least;
            let often = if least == 1 { "at least once".to_owned() } else { format!("{least} times or more") };
            format!("green must have called every external dependency that blue called {often}")
        }),
        GateName::Drift | GateName::Approval | GateName::Probe | GateName::Security | GateName::Acceptance => None,
    };
    words.unwrap_or_else(|| format!("the gate {gate} is not configured"))
}

/// What is configured and not asked for, and what is asked for too early.
pub(super) fn notes(plan: &Plan) -> Vec<String> {
    let gates = &plan.gates;
    let configured = [
        (GateName::Tests, gates.tests.is_some()),
        (GateName::Migration, gates.migration.is_some()),
        (GateName::Load, gates.load.is_some()),
        (GateName::Probe, gates.probe.is_some()),
        (GateName::Dependencies, gates.dependencies.is_some()),
    ];
    let unused = configured.into_iter().filter(|(gate, there)| *there && !plan.steps.contains(&Step::Gate(*gate)));
    let unused = unused.map(|(gate, _)| format!("spec.gates.{gate} is configured, but no step uses it"));
    let serves = |step: &&Step| matches!(step, Step::SetWeight { .. } | Step::Gate(GateName::Acceptance));
    let asked = plan.steps.iter().position(|step| *step == Step::Gate(GateName::Dependencies));
    let early = asked.is_some_and(|asked| !plan.steps[..asked].iter().any(|step| serves(&step)));
    let by_serving = gates.dependencies.as_ref().is_some_and(|gate| gate.by == SpansOf::Serving);
    let too_early = (early && by_serving).then(|| {
        "gate: dependencies stands before green serves anything, so that none of its calls is known: move it behind a \
         setWeight"
            .to_owned()
    });
    unused.chain(too_early).collect()
}
