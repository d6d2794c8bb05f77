//! The point of no return: past it nothing goes back by itself. What would have rolled back holds the rollout instead, for
//! a person to say whether it goes on, or back all the same.

use super::Decider;
use crate::event::{Cause, Decision, HoldReason};
use crate::state::{Halt, Phase, Stage, State};
use model::UnixMillis;

impl Decider {
    /// Everything back to blue by the machine's own decision, while that is safe. Past the point of no return it holds,
    /// unless a person has resumed after this guard held it: the guard would only say the same again.
    pub(super) fn roll_back(&mut self, cause: Cause) {
        match self.state.past_return {
            None => self.order_rollback(cause),
            Some(_) if self.state.gone_past.contains(&cause.guard) => {}
            Some(_) => self.hold_past_return(cause),
        }
    }

    /// The same where the present step asks for it, which cannot go on without an answer: it holds each time.
    pub(super) fn roll_back_of_step(&mut self, cause: Cause) {
        match self.state.past_return {
            None => self.order_rollback(cause),
            Some(_) => self.hold_past_return(cause),
        }
    }

    /// The first cause is the one to show; what a person or another hold waits for is less.
    fn hold_past_return(&mut self, cause: Cause) {
        let holds = matches!(
            self.state.phase,
            Phase::Progressing { halt: Some(Halt::Held { reason: HoldReason::PastReturn { .. }, .. }), .. }
        );
        if !holds {
            self.hold(HoldReason::PastReturn { cause });
        }
    }

    /// Traffic that no record orders, past the point of no return: it goes to where the records say, by a table that is
    /// newer than whatever the gateway has.
    pub(super) fn order_again(&mut self, newest: u64, cause: Cause) {
        self.state.table.generation = newest;
        let generation = self.next_generation();
        self.order_table();
        if let Phase::Promoting { generation: awaited } = &mut self.state.phase {
            *awaited = generation;
        }
        if let Phase::Progressing { stage: Stage::Shifting { generation: awaited, .. }, .. } = &mut self.state.phase {
            *awaited = generation;
        }
        self.roll_back_of_step(cause);
    }

    /// A person goes on although something would have rolled back: a guard that is watched all the time is not to hold
    /// it again for the same. What the present step asks for is asked for again.
    pub(super) fn go_past(&mut self, step: usize, cause: &Cause) {
        if !self.state.gone_past.contains(&cause.guard) {
            // At most one for each guard, gate and metric of the plan.
            self.state.gone_past.push(cause.guard.clone());
        }
        let Phase::Progressing { stage, .. } = &self.state.phase else { return };
        match stage {
            Stage::Gate { gate, .. } => {
                let gate = *gate;
                self.request_gate(gate);
            }
            Stage::Analysing { .. } | Stage::Baking { .. } => self.wait_again(step),
            Stage::Shifting { .. }
            | Stage::Settling { .. }
            | Stage::Approval
            | Stage::Acceptance
            | Stage::PointOfNoReturn
            | Stage::Mirroring { .. }
            | Stage::Pausing { .. } => {}
        }
    }

    /// The point is passed: from now on nothing goes back by itself.
    pub(super) fn pass_point(&mut self, step: usize) {
        let Some(point) = &self.state.plan.point_of_no_return else { return };
        let of = self.state.point_approvals.iter().filter(|it| it.expires_at > self.now).map(|it| it.by.clone());
        let (reason, of) = (point.reason.clone(), of.collect());
        self.state.past_return = Some(step);
        self.decisions.push(Decision::PointPassed { step: step + 1, reason, of });
    }
}

/// How many approvals the point of no return still asks for: only those count that have not expired.
pub(crate) fn point_approvals_missing(state: &State, now: UnixMillis) -> u32 {
    let Some(point) = &state.plan.point_of_no_return else { return 0 };
    let valid = state.point_approvals.iter().filter(|approval| approval.expires_at > now).count();
    point.count.saturating_sub(u32::try_from(valid).unwrap_or(u32::MAX))
}
