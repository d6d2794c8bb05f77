//! What testers decide, in the words of a preview.

use crate::plan::{GateName, Plan, Step};
use crate::report::route_words;
use model::{MAX_TESTER_TRACES_PER_MINUTE, ShortDuration};

fn is_asked(plan: &Plan) -> bool {
    plan.steps.contains(&Step::Gate(GateName::Acceptance))
}

pub(super) fn effect(plan: &Plan) -> String {
    let Some(gate) = &plan.gates.acceptance else { return String::new() };
    let names = gate.testers.join(", ");
    format!(
        "{} of {} tester(s) must accept green ({names}), each after {} trace(s) of their own there, within {}: {} with a \
         tester's name leads to green from here on, at most {MAX_TESTER_TRACES_PER_MINUTE} new traces a minute",
        gate.count,
        gate.testers.len(),
        gate.traces,
        ShortDuration(gate.expires_ms),
        route_words(&gate.route)
    )
}

pub(super) fn rolls_back(plan: &Plan) -> Option<String> {
    is_asked(plan).then(|| "a tester's refusal, from the acceptance gate on".to_owned())
}

pub(super) fn note(plan: &Plan) -> Option<String> {
    (plan.gates.acceptance.is_some() && !is_asked(plan))
        .then(|| "spec.gates.acceptance is configured, but no step asks for it: nobody has to accept".to_owned())
}
