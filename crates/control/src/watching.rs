//! What verification is told of the rollout that runs.

use model::{Environment, PerEnvironment, RouteKey};
use rollout::plan::{MetricFrom, SpansOf, StoreCheck, StoreQuery, Transformations};
use rollout::{RolloutId, State};
use std::path::Path;

/// What verification needs to know of the rollout that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    /// Which rollout: its observations name it.
    pub rollout: RolloutId,
    /// The length of a batch.
    pub batch_ms: u64,
    /// How long after its batch a trace's spans still count as its own.
    pub linger_ms: u64,
    /// Within which time a span must have come out.
    pub horizon_ms: u64,
    /// What the gateway routes by: verification chooses traces by its other hash.
    pub route_key: RouteKey,
    /// How each environment's trace store is asked, if at all; paths are the server's.
    pub queries: PerEnvironment<Option<StoreQuery>>,
    /// The metrics that are counted of the stores.
    pub counted: Vec<CountedMetric>,
    /// How often the controller took the ledger back from another process: what that one saw is missing here, so
    /// verification begins anew.
    pub taken_back: u32,
    /// How often canaries are planted, in milliseconds; `None` if they are not.
    pub canary_every_ms: Option<u64>,
    /// Whether a load may come out that the load gate sends and verification is not told of.
    pub sends_load: bool,
    /// Whether what comes out is searched for sensitive values.
    pub searches_leaks: bool,
    /// Whether whom the environments call is counted: by what it is known whose a span is, and the environments' versions.
    pub callees: Option<(SpansOf, PerEnvironment<String>)>,
    /// What each environment's pipeline is meant to change.
    pub transformations: PerEnvironment<Transformations>,
    /// Whether calls and operations of services are timed.
    pub times_services: bool,
}

/// A metric that is counted of trace stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedMetric {
    /// Its name.
    pub metric: String,
    /// What is counted.
    pub check: StoreCheck,
    /// From one reading to the next, in milliseconds.
    pub every_ms: u64,
}

impl Watching {
    pub(crate) fn of(state: &State, base_dir: &Path, taken_back: u32) -> Watching {
        let verification = &state.plan.verification;
        let query = |environment: Environment| state.plan.environments[environment].query.as_ref();
        let guards = &state.plan.guards;
        let counted =
            guards.judged.metrics.iter().zip(&guards.sources).filter_map(|(guard, source)| match source.from {
                MetricFrom::Stores(check) => {
                    Some(CountedMetric { metric: source.metric.clone(), check, every_ms: guard.every_ms })
                }
                MetricFrom::Prometheus { .. } => None,
            });
        Watching {
            rollout: state.rollout.clone(),
            batch_ms: state.plan.analysis.batch_ms,
            linger_ms: verification.linger_ms,
            horizon_ms: verification.horizon_ms,
            route_key: state.table.key,
            queries: PerEnvironment::from_fn(|environment| query(environment).map(|query| query.under(base_dir))),
            counted: counted.collect(),
            taken_back,
            canary_every_ms: state.plan.canary.map(|canary| canary.every_ms),
            sends_load: state.plan.gates.load.is_some(),
            searches_leaks: state.plan.guards.leaks.is_some(),
            callees: state
                .plan
                .gates
                .dependencies
                .as_ref()
                .map(|gate| (gate.by, PerEnvironment::from_fn(|it| state.plan.environments[it].version.clone()))),
            transformations: PerEnvironment::from_fn(|environment| {
                state.plan.environments[environment].transformations.clone()
            }),
            times_services: guards.judged.service_latency.is_some(),
        }
    }
}
