//! What a plan says of the search for sensitive values.

use crate::plan::canary::without_taps;
use crate::plan::{LeakGuard, OnLeak, Plan};

/// What of it rolls back.
pub(super) fn rolls_back(plan: &Plan) -> Option<String> {
    match plan.guards.leaks.as_ref()? {
        LeakGuard { on_leak: OnLeak::Rollback, expected } => {
            let but = match expected.len() {
                0 => String::new(),
                _ => {
                    let keys: Vec<&str> = expected.iter().map(|tolerated| tolerated.key.as_str()).collect();
                    format!(", but for {}", keys.join(", "))
                }
            };
            Some(format!("leaks: sensitive values in clear in what comes out of green, and never of blue{but}"))
        }
        LeakGuard { on_leak: OnLeak::Report, .. } => None,
    }
}

/// What whoever wrote the plan should know of it.
pub(super) fn note(plan: &Plan) -> Option<String> {
    match &plan.guards.leaks {
        Some(LeakGuard { on_leak: OnLeak::Rollback, .. }) => None,
        Some(LeakGuard { on_leak: OnLeak::Report, .. }) => {
            Some("leaks: sensitive values that green alone puts out are reported, and roll nothing back".to_owned())
        }
        // That there are no taps is said of the canaries.
        None if without_taps(&plan.environments) => None,
        None => Some("leaks: off, so what comes out is not searched for sensitive values".to_owned()),
    }
}
