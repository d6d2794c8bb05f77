//! Whether a signed statement approves anything, and what makes an approval void.

use super::Decider;
use crate::approval::{Act, CheckpointCheck, PublicKey, Statement, Submission};
use crate::configuration::{Configuration, digests};
use crate::event::{Decision, HoldReason};
use crate::principal::Principal;
use crate::state::{Approval, BrokenGlass, Halt, Phase, State};
use model::{Environment, PerEnvironment, UnixMillis};

impl Decider {
    /// A configuration that differs from what was approved makes the approvals void: whoever signed, signed another one.
    pub(super) fn configurations_read(&mut self, read: &PerEnvironment<Configuration>) {
        let before = self.state.configurations.replace(read.clone());
        let Some(before) = before else { return };
        let changed: Vec<String> = Environment::BOTH
            .into_iter()
            .filter(|environment| before[*environment] != read[*environment])
            .map(|environment| environment.to_string())
            .collect();
        let progressing = matches!(self.state.phase, Phase::Progressing { .. });
        let none = self.state.approvals.is_empty() && self.state.point_approvals.is_empty();
        if changed.is_empty() || !progressing || none {
            return;
        }
        let because = format!("the configuration of {} changed after it was approved", changed.join(" and "));
        // The point of no return is passed or not: what was approved there cannot be approved again afterwards.
        let waiting = self.state.past_return.is_none();
        let of_point = if waiting { std::mem::take(&mut self.state.point_approvals) } else { Vec::new() };
        let mut of: Vec<String> = self.state.approvals.drain(..).map(|approval| approval.by).collect();
        for Approval { by, .. } in of_point {
            if !of.contains(&by) {
                of.push(by);
            }
        }
        if of.is_empty() {
            return;
        }
        self.decisions.push(Decision::ApprovalsVoid { because: because.clone(), of });
        if self.state.approved {
            self.state.void = Some(because);
        }
    }

    /// Somebody handed in a signed statement.
    pub(super) fn approval_submitted(&mut self, submission: &Submission) {
        if let Err(reason) = self.approve(submission) {
            self.decisions.push(Decision::Refused { command: "approve".to_owned(), reason });
        }
    }

    fn approve(&mut self, submission: &Submission) -> Result<(), String> {
        if !matches!(self.state.phase, Phase::Progressing { .. }) {
            return Err(self.no_longer());
        }
        let now = self.now;
        let Checked { statement, key, by, asked } = check(&self.state, submission, now)?;
        if statement.expires_at > now.plus_ms(asked.expires_ms) {
            return Err("it would hold longer than the plan lets an approval hold: ask for a new statement".to_owned());
        }
        if statement.point_of_no_return.is_some() {
            return self.approve_point(&statement, &key, by, asked.count);
        }
        self.state.approvals.retain(|approval| approval.expires_at > now);
        if self.state.approvals.iter().any(|approval| approval.by == by.name) {
            return Err(format!("{} approved already", by.name));
        }
        let breaks_glass = match &statement.act {
            Act::Approve => false,
            Act::BreakGlass { reason } => {
                self.break_glass(&by, reason)?;
                true
            }
            Act::Review => return Err("a review approves nothing".to_owned()),
        };
        let expires_at = statement.expires_at;
        self.state.approvals.push(Approval { by: by.name.clone(), at: now, expires_at, breaks_glass });
        let count = u32::try_from(self.state.approvals.len()).unwrap_or(u32::MAX);
        let (needed, key, of_point) = (asked.count, key.fingerprint(), false);
        self.decisions.push(Decision::Approved { by: by.name, key, expires_at, count, needed, of_point });
        self.approved_again();
        Ok(())
    }

    /// Counts an approval of the point of no return. It is given while the rollout waits there: whoever gives it has seen
    /// what the steps before showed. There is no glass to break.
    fn approve_point(
        &mut self,
        statement: &Statement,
        key: &PublicKey,
        by: Principal,
        needed: u32,
    ) -> Result<(), String> {
        if statement.act != Act::Approve {
            return Err(format!(
                "the point of no return is passed by approvals alone, and it is {}",
                statement.act.words()
            ));
        }
        if !self.state.waits_at_point() {
            return Err("the rollout does not wait at its point of no return".to_owned());
        }
        let (now, expires_at) = (self.now, statement.expires_at);
        self.state.point_approvals.retain(|approval| approval.expires_at > now);
        if self.state.point_approvals.iter().any(|approval| approval.by == by.name) {
            return Err(format!("{} approved the point of no return already", by.name));
        }
        self.state.point_approvals.push(Approval { by: by.name.clone(), at: now, expires_at, breaks_glass: false });
        let count = u32::try_from(self.state.point_approvals.len()).unwrap_or(u32::MAX);
        let key = key.fingerprint();
        self.decisions.push(Decision::Approved { by: by.name, key, expires_at, count, needed, of_point: true });
        Ok(())
    }

    fn break_glass(&mut self, by: &Principal, reason: &str) -> Result<(), String> {
        let Some(rule) = self.state.plan.gates.approval.as_ref().and_then(|gate| gate.break_glass) else {
            return Err(
                "the plan does not let one approval pass its gate: it has no gates.approval.breakGlass".to_owned()
            );
        };
        if let Some(open) = self.state.glass.as_ref().filter(|glass| glass.review.is_none()) {
            return Err(format!("{} broke the glass already, and nobody has reviewed it", open.by));
        }
        let review_until = self.now.plus_ms(rule.review_within_ms);
        let (by, reason) = (by.name.clone(), reason.to_owned());
        self.decisions.push(Decision::GlassBroken { by: by.clone(), reason: reason.clone(), review_until });
        let overdue = false;
        self.state.glass = Some(BrokenGlass { by, reason, at: self.now, review_until, overdue, review: None });
        Ok(())
    }

    /// Goes on where it was held because nothing approved it any more.
    fn approved_again(&mut self) {
        if self.state.void.is_none() || self.approvals_missing() > 0 {
            return;
        }
        self.state.void = None;
        if let Phase::Progressing { halt, .. } = &mut self.state.phase
            && matches!(halt, Some(Halt::Held { reason: HoldReason::ApprovalsVoid { .. }, .. }))
        {
            *halt = None;
            self.decisions.push(Decision::Resumed);
        }
    }
}

/// A statement that holds, and who signed it.
struct Checked {
    statement: Statement,
    key: PublicKey,
    by: Principal,
    asked: Asked,
}

/// What the plan asks of the approvals of the gate, or of the point of no return.
struct Asked {
    role: String,
    count: u32,
    expires_ms: u64,
}

/// What is asked of this statement's kind; `Err` where the plan asks for none.
fn asked(state: &State, statement: &Statement) -> Result<Asked, String> {
    let (plan, asks_for_none) = (&state.plan, || "the plan asks for no approval".to_owned());
    if let Some(reason) = &statement.point_of_no_return {
        let point = plan.point_of_no_return.as_ref().ok_or_else(asks_for_none)?;
        if *reason != point.reason {
            return Err("it is signed for another point of no return than the plan's".to_owned());
        }
        return Ok(Asked { role: point.role.clone(), count: point.count, expires_ms: point.expires_ms });
    }
    let gate = plan.gates.approval.as_ref().ok_or_else(asks_for_none)?;
    Ok(Asked { role: gate.role.clone(), count: gate.count, expires_ms: gate.expires_ms })
}

/// Whether somebody who may do so said what is the case, of this rollout, at this time.
fn check(state: &State, submission: &Submission, now: UnixMillis) -> Result<Checked, String> {
    let (statement, key) = submission.signed.open().map_err(|error| error.to_string())?;
    let Some(by) = submission.signer.clone() else {
        return Err(format!("no principal has the key {}", key.fingerprint()));
    };
    is_of(state, &statement)?;
    is_fresh(state, &statement, submission.checkpoint, now)?;
    let asked = asked(state, &statement)?;
    may(state, &by, &asked.role)?;
    Ok(Checked { statement, key, by, asked })
}

fn is_of(state: &State, statement: &Statement) -> Result<(), String> {
    let same = |what: &str, found: &str, expected: &str| match found == expected {
        true => Ok(()),
        false => Err(format!("it is signed for the {what} {found}, and this is {expected}")),
    };
    same("ledger", &statement.log, &state.log)?;
    same("rollout", &statement.rollout.0, &state.rollout.0)?;
    same("plan", &statement.plan, &state.plan_digest)
}

fn is_fresh(state: &State, statement: &Statement, checkpoint: CheckpointCheck, now: UnixMillis) -> Result<(), String> {
    let stale = |what: &str| Err(format!("{what}: look at the rollout again, and sign a new statement"));
    if statement.expires_at <= now {
        return stale("it has expired");
    }
    let Some(configurations) = &state.configurations else {
        return Err("the configurations are being read: try again in a moment".to_owned());
    };
    if statement.configurations != digests(configurations)? {
        return stale("a configuration is not the one that was signed");
    }
    if statement.evidence != state.evidence.to_string() {
        return stale("evidence came since it was made");
    }
    match checkpoint {
        CheckpointCheck::Holds => Ok(()),
        CheckpointCheck::OtherRoot => Err("the ledger never had the checkpoint that was signed".to_owned()),
        CheckpointCheck::NotYet => Err("the ledger is shorter than the checkpoint that was signed".to_owned()),
        CheckpointCheck::BeforeTheRollout => {
            Err("the checkpoint that was signed is from before the rollout began".to_owned())
        }
    }
}

fn may(state: &State, by: &Principal, role: &String) -> Result<(), String> {
    if by.name == state.started_by.name {
        return Err(format!("{} started this rollout, and who wrote a plan cannot approve it", by.name));
    }
    if state.plan.authors.contains(&by.name) {
        return Err(format!("{} is an author of the plan, and who wrote a plan cannot approve it", by.name));
    }
    if !by.roles.contains(role) {
        return Err(format!("{} does not have the role {role}", by.name));
    }
    Ok(())
}

/// Closes a broken glass, if a signed statement of somebody else reviews it. `Err` with the reason if it does not; then
/// nothing was changed.
pub fn review(state: &mut State, submission: &Submission, now: UnixMillis) -> Result<(), String> {
    let Checked { statement, by, .. } = check(state, submission, now)?;
    if statement.point_of_no_return.is_some() {
        return Err("it is of the point of no return, and no review".to_owned());
    }
    match statement.act {
        Act::Review => {}
        act @ (Act::Approve | Act::BreakGlass { .. }) => return Err(format!("it is {}, and no review", act.words())),
    }
    let Some(glass) = &mut state.glass else {
        return Err("nobody broke the glass: there is nothing to review".to_owned());
    };
    if let Some(review) = &glass.review {
        return Err(format!("{} reviewed it already", review.by));
    }
    if glass.by == by.name {
        return Err(format!("{} broke the glass: somebody else reviews it", by.name));
    }
    glass.review = Some(crate::state::Review { by: by.name, at: now });
    Ok(())
}

/// Whether nobody reviewed a broken glass in time, which is said once.
pub fn review_is_overdue(state: &State, now: UnixMillis) -> bool {
    let open = |glass: &&BrokenGlass| glass.review.is_none() && !glass.overdue && now >= glass.review_until;
    state.glass.as_ref().is_some_and(|glass| open(&glass))
}
