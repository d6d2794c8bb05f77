//! What the search for sensitive values found is counted, and a leak rolls back at once, halted or not.

use super::Decider;
use crate::plan::OnLeak;
use crate::state::Phase;
use model::LeakSearch;

impl Decider {
    pub(super) fn leaks_searched(&mut self, search: &LeakSearch) {
        let Some(guard) = &self.state.plan.guards.leaks else { return };
        self.state.leaks.add(search, self.now);
        let acts = match guard.on_leak {
            OnLeak::Rollback => {
                matches!(self.state.phase, Phase::Progressing { .. }) && self.state.candidate_has_traffic()
            }
            OnLeak::Report => false,
        };
        let cause = self.state.leaks.cause(guard, self.state.plan.analysis.false_alarm, self.now);
        if let Some(cause) = cause.filter(|_| acts) {
            self.roll_back(cause);
        }
    }
}
