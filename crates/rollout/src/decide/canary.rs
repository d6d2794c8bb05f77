//! Canaries: what became of one is counted, and a leak rolls back at once, halted or not.

use super::Decider;
use crate::plan::OnLeak;
use crate::state::Phase;
use model::Canary;

impl Decider {
    pub(super) fn canary_followed(&mut self, canary: &Canary) {
        let Some(plan) = self.state.plan.canary else { return };
        self.state.canaries.add(canary);
        let acts = match plan.on_leak {
            OnLeak::Rollback => {
                matches!(self.state.phase, Phase::Progressing { .. }) && self.state.candidate_has_traffic()
            }
            OnLeak::Report => false,
        };
        if let Some(cause) = self.state.canaries.cause().filter(|_| acts) {
            self.roll_back(cause);
        }
    }
}
