//! Whether a tester's word counts, and what a refusal does.

use super::Decider;
use crate::acceptance::{Says, SignOff, SignedOff, Tested, note_words};
use crate::event::{Cause, Decision};
use crate::plan::AcceptanceGate;
use crate::state::{Phase, State};
use model::UnixMillis;

impl Decider {
    /// Somebody signed off.
    pub(super) fn signed_off(&mut self, sign_off: &SignOff) {
        if let Err(reason) = self.take_sign_off(sign_off) {
            self.decisions.push(Decision::Refused { command: sign_off.says.command().to_owned(), reason });
        }
    }

    fn take_sign_off(&mut self, sign_off: &SignOff) -> Result<(), String> {
        let gate = may(&self.state, sign_off)?;
        let SignOff { by, says, note, tested, evidence } = sign_off;
        let uncounted = match says {
            Says::Accept => too_little(&gate, &by.name, *tested),
            Says::Refuse => None,
        };
        let now = self.now;
        let accepted = |it: &SignedOff| it.by == by.name && it.counts(now);
        if *says == Says::Accept && self.state.sign_offs.iter().any(accepted) {
            return Err(format!("{} accepted it already", by.name));
        }
        let word = SignedOff {
            by: by.name.clone(),
            says: *says,
            at: now,
            expires_at: now.plus_ms(gate.expires_ms),
            note: note.clone(),
            tested: *tested,
            uncounted: uncounted.clone(),
        };
        self.state.sign_offs.retain(|before| before.by != by.name);
        self.state.sign_offs.push(word.clone());
        if let Some(digest) = evidence {
            // An approver who signs from here on has seen what testers said, and on what.
            self.state.evidence = self.state.evidence.with(digest);
        }
        let missing = acceptances_missing(&self.state, now);
        let count = gate.count - missing.min(gate.count);
        self.decisions.push(Decision::SignedOff { word: Box::new(word), count, needed: gate.count });
        match (says, uncounted) {
            (Says::Accept, None) => Ok(()),
            (Says::Accept, Some(why)) => Err(why),
            (Says::Refuse, _) => {
                let words = note.as_deref().map(note_words).unwrap_or_default();
                self.roll_back_of_step(Cause {
                    guard: "acceptance".to_owned(),
                    finding: format!("{} refused it: {words}", by.name),
                    example_trace: tested.last,
                    first_seen: None,
                    reasons: vec![served_words(&by.name, *tested)],
                });
                Ok(())
            }
        }
    }
}

/// Whether this person may say this now.
fn may(state: &State, sign_off: &SignOff) -> Result<AcceptanceGate, String> {
    let name = &sign_off.by.name;
    let Some(gate) = &state.plan.gates.acceptance else {
        return Err("the plan asks no tester: it has no gates.acceptance".to_owned());
    };
    match state.phase {
        Phase::Progressing { .. } => {}
        Phase::RollingBack { .. } => return Err("it is being rolled back already".to_owned()),
        Phase::Promoting { .. } | Phase::Ended { .. } => return Err("it is too late: the rollout is over".to_owned()),
    }
    if !gate.testers.contains(name) {
        return Err(format!("{name} is not one of the testers, who are {}", gate.testers.join(", ")));
    }
    if *name == state.started_by.name {
        return Err(format!("{name} started this rollout, and who wrote a plan does not accept what it brings"));
    }
    if state.table.testers.is_none() {
        return Err("testers have no route to green yet: the acceptance gate comes later".to_owned());
    }
    if sign_off.says == Says::Refuse && sign_off.note.is_none() {
        return Err("a refusal says why: add a note".to_owned());
    }
    Ok(gate.clone())
}

/// Why an acceptance does not count: nothing was tried, or less than the plan wants.
fn too_little(gate: &AcceptanceGate, name: &str, tested: Tested) -> Option<String> {
    match (tested.traces, u64::from(gate.traces)) {
        (traces, least) if traces >= least => None,
        (0, _) => Some(format!("{name} accepted, but none of their traffic came to green")),
        (traces, least) => {
            Some(format!("{name} accepted, but {traces} of their traces came to green, and the plan wants {least}"))
        }
    }
}

fn served_words(name: &str, tested: Tested) -> String {
    let Tested { traces, spans, errors, last: _ } = tested;
    format!("green had served {traces} trace(s) of {name}: {spans} span(s), {errors} of them errors")
}

/// How many testers must still accept it: only what counts now does.
pub(crate) fn acceptances_missing(state: &State, now: UnixMillis) -> u32 {
    let Some(gate) = &state.plan.gates.acceptance else { return 0 };
    let counting = state.sign_offs.iter().filter(|word| word.counts(now)).count();
    gate.count.saturating_sub(u32::try_from(counting).unwrap_or(u32::MAX))
}
