//! The point of no return, in the words of a preview.

use crate::plan::{Plan, Step};
use model::ShortDuration;

pub(super) fn effect(plan: &Plan) -> String {
    let Some(point) = &plan.point_of_no_return else { return String::new() };
    let (count, expires) = (point.count, ShortDuration(point.expires_ms));
    format!(
        "from here on a rollback is not safe: {}. {count} approval(s) of this very step by principals with the role {}, \
         each valid for {expires}, must be signed while it waits here; whoever wrote or started the plan cannot give one, \
         and those of the approval gate do not count",
        point.reason, point.role
    )
}

pub(super) fn note(plan: &Plan) -> Option<String> {
    let at = plan.steps.iter().position(|step| *step == Step::PointOfNoReturn)? + 1;
    Some(format!(
        "after step {at} nothing rolls back by itself: what would do so holds the rollout instead, and `verdigris rollout \
         rollback` needs --past-the-point-of-no-return and a --reason"
    ))
}
