//! What a plan says of canaries.

use crate::canary::ENOUGH;
use crate::plan::canary::without_taps;
use crate::plan::{CanaryPlan, OnLeak, Plan};
use model::ShortDuration;

/// What of them rolls back.
pub(super) fn rolls_back(plan: &Plan) -> Option<String> {
    match plan.canary? {
        CanaryPlan { every_ms, on_leak: OnLeak::Rollback } => Some(format!(
            "canary: {ENOUGH} synthetic traces whose marked secrets come out of green in clear, and of blue masked; one is \
             planted every {} while green gets anything",
            ShortDuration(every_ms)
        )),
        CanaryPlan { on_leak: OnLeak::Report, .. } => None,
    }
}

/// What whoever wrote the plan should know of them.
pub(super) fn note(plan: &Plan) -> Option<String> {
    match plan.canary {
        Some(CanaryPlan { on_leak: OnLeak::Rollback, .. }) => None,
        Some(CanaryPlan { every_ms, on_leak: OnLeak::Report }) => Some(format!(
            "canary: a synthetic trace with marked secrets is planted every {}; what comes out in clear is reported, and \
             rolls nothing back",
            ShortDuration(every_ms)
        )),
        None if without_taps(&plan.environments) => Some(
            "canary: no synthetic secrets are planted, for without taps what comes out is not searched: that green masks \
             what blue masks is not watched"
                .to_owned(),
        ),
        None => Some(
            "canary: off, so no synthetic secrets are planted: that green masks what blue masks is not watched".to_owned(),
        ),
    }
}
