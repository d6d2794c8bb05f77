//! What a plan says of metrics from outside. How many units they count a second is not known here, so their proofs are
//! forecast in units.

use super::words::{Number, Percent};
use crate::plan::{MetricFrom, MetricSource, OnError, Plan};
use judge::MetricGuard;
use judge::planning::traces_to_prove_rate;
use model::ShortDuration;

fn metrics(plan: &Plan) -> impl Iterator<Item = (&MetricGuard, &MetricSource)> {
    plan.guards.judged.metrics.iter().zip(&plan.guards.sources)
}

/// What of them rolls back, one line for each.
pub(super) fn rolls_back(plan: &Plan) -> Vec<String> {
    let line = |(guard, source): (&MetricGuard, &MetricSource)| {
        let (name, by) = (&guard.name, Percent(guard.worse_than_active_by));
        let every = ShortDuration(guard.every_ms);
        let failing = match source.on_error {
            OnError::Hold => "; if that fails, the rollout is held until it is back",
            OnError::Rollback => ", or that fails",
            OnError::Ignore => "; if that fails, the metric is left out until it is back",
        };
        let counted = match &source.from {
            MetricFrom::Prometheus { server, .. } => format!("asked of {} every {every}", server.url),
            MetricFrom::Stores(check) => format!("{}, counted every {every}", check.words()),
        };
        format!("metrics.{name}: its share in green beyond blue's by more than {by}; {counted}{failing}")
    };
    metrics(plan).map(line).collect()
}

/// How many units the proofs take.
pub(super) fn notes(plan: &Plan) -> Vec<String> {
    let needed = |(guard, _): (&MetricGuard, &MetricSource)| {
        let (share, alpha) = (0.5, plan.analysis.false_promotion);
        let units = traces_to_prove_rate(plan.traffic.errors, guard.worse_than_active_by, share, alpha);
        let (name, errors) = (&guard.name, Percent(plan.traffic.errors));
        match units.is_finite() {
            true => format!(
                "metrics.{name}: its proof takes about {} units in both environments together, half of them in green, if \
                 {errors} of them have the event (spec.traffic.errors); with less in green it takes more",
                Number(units.ceil())
            ),
            false => format!("metrics.{name}: its margin cannot be proved at spec.traffic.errors: widen it"),
        }
    };
    metrics(plan).filter(|(guard, _)| guard.critical).map(needed).collect()
}
