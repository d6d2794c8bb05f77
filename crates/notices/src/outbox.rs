//! What is to be told and was not yet: a fold over the ledger's records.

use crate::Event;
use model::{GateVerdict, UnixMillis};
use rollout::plan::{GateName, Step};
use rollout::{Body, Decision, Event as Happened, NotificationTarget, Outcome, Record, RolloutId};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

/// Notifications that wait at once. A rollout makes a dozen for each of 16 targets; while a receiver is down, each is given
/// up after an hour. More than this is a flood, and the oldest give way.
pub const MAX_PENDING: usize = 256;
/// Characters of a headline or a cause; a rollback's cause is some hundred.
const MAX_WORDS: usize = 500;

/// Something to be told to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same whenever it is sent, so that its receiver can tell that it had it: a digest, and no secret.
    pub id: String,
    /// The name of the target.
    pub to: String,
    /// What happened.
    pub event: Event,
    /// To which rollout; none if to the server.
    pub rollout: Option<RolloutId>,
    /// When.
    pub at: UnixMillis,
    /// In one sentence.
    pub headline: String,
    /// Why, where there is more to say.
    pub cause: Option<String>,
}

/// What waits, shared with whoever sends it. Another one as soon as anything in it changes.
pub type Pending = Arc<[Notice]>;

/// The fold.
#[derive(Debug)]
pub struct Outbox {
    targets: Vec<NotificationTarget>,
    pending: VecDeque<Notice>,
    shared: Pending,
    /// The steps of the rollout that runs.
    steps: Vec<Step>,
    /// Whether the ledger's trouble was told.
    troubled: bool,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox {
            targets: Vec::new(),
            pending: VecDeque::new(),
            shared: Arc::new([]),
            steps: Vec::new(),
            troubled: false,
        }
    }
}

/// An event, its headline and its cause.
type Told = (Event, String, Option<String>);

impl Outbox {
    /// Takes the next record of the ledger.
    pub fn take(&mut self, record: &Record) {
        match &record.body {
            Body::NotificationsRead { targets } => self.targets.clone_from(targets),
            Body::Notified { id, .. } => self.done(id),
            Body::Started(start) => self.steps.clone_from(&start.plan.steps),
            _ => {}
        }
        if self.targets.is_empty() {
            return;
        }
        if let Some(told) = self.told(record) {
            let of = format!("{}\n{}\n{}", rollout_of(record).map_or("", |id| &id.0), record.sequence, record.at.0);
            self.tell(told, rollout_of(record).cloned(), record.at, &of);
        }
    }

    /// What the ledger says of who is told.
    pub fn targets(&self) -> &[NotificationTarget] {
        &self.targets
    }

    /// What waits, the oldest first.
    pub fn pending(&self) -> Pending {
        Arc::clone(&self.shared)
    }

    /// One that waits.
    pub fn find(&self, id: &str) -> Option<&Notice> {
        self.pending.iter().find(|notice| notice.id == id)
    }

    /// It waits no more.
    pub fn done(&mut self, id: &str) {
        let before = self.pending.len();
        self.pending.retain(|notice| notice.id != id);
        if self.pending.len() != before {
            self.share();
        }
    }

    /// Takes over what waited in the part of the ledger before.
    pub fn inherit(&mut self, before: Outbox) {
        for notice in before.pending.into_iter().rev() {
            self.pending.push_front(notice);
        }
        (self.troubled, self.steps) = (before.troubled, before.steps);
        self.share();
    }

    /// Whether the ledger is closed. That it is can stand in no record; it is told once, until it is open again.
    pub fn trouble(&mut self, closed: bool, now: UnixMillis) {
        if closed && !self.troubled {
            let headline = "the ledger takes no record: nothing is decided until it does".to_owned();
            let cause = Some("the server's log says why; `verdigris doctor` looks at the disk".to_owned());
            self.tell((Event::LedgerTrouble, headline, cause), None, now, &format!("trouble\n{}", now.0));
        }
        self.troubled = closed;
    }

    fn tell(&mut self, told: Told, rollout: Option<RolloutId>, at: UnixMillis, of: &str) {
        let (event, headline, cause) = told;
        for target in self.targets.iter().filter(|target| target.on.iter().any(|name| name == event.name())) {
            let notice = Notice {
                id: id(of, event, &target.name),
                to: target.name.clone(),
                event,
                rollout: rollout.clone(),
                at,
                headline: bounded(&headline),
                cause: cause.as_deref().map(bounded),
            };
            self.pending.push_back(notice);
        }
        let surplus = self.pending.len().saturating_sub(MAX_PENDING);
        self.pending.drain(..surplus);
        self.share();
    }

    fn share(&mut self) {
        self.shared = self.pending.iter().cloned().collect();
    }

    fn told(&self, record: &Record) -> Option<Told> {
        let name = rollout_of(record).map_or("the server", |id| &id.0);
        match &record.body {
            Body::Started(_) => Some((Event::RolloutStarted, format!("{name} started, by {}", record.by), None)),
            Body::ReviewOverdue { .. } => {
                Some((Event::ReviewOverdue, format!("nobody has reviewed the broken glass of {name} in time"), None))
            }
            Body::AccessRefused { what, who, .. } => {
                Some((Event::AccessRefused, format!("{who} was refused {what}"), None))
            }
            Body::Happened(event) => match &**event {
                Happened::GateFinished { gate, result, .. } if result.verdict != GateVerdict::Pass => {
                    let headline = format!("{name}: the {gate} gate ended in {:?}", result.verdict);
                    Some((Event::GateFailed, headline, result.reasons.first().cloned()))
                }
                _ => None,
            },
            Body::Decided(decision) => self.decided(name, decision),
            _ => None,
        }
    }

    fn decided(&self, name: &str, decision: &Decision) -> Option<Told> {
        match decision {
            Decision::StepEntered { step, does } => self.entered(name, *step, does),
            Decision::ApprovalsVoid { because, .. } => {
                let headline = format!("{name} needs new approvals: those that it had do not count any more");
                Some((Event::NeedsApproval, headline, Some(because.clone())))
            }
            Decision::Paused => Some((Event::Paused, format!("{name} was paused, and waits to be resumed"), None)),
            Decision::Held(reason) => {
                Some((Event::Held, format!("{name} is held: {reason}"), reason.details().first().cloned()))
            }
            Decision::GlassBroken { by, reason, .. } => {
                Some((Event::GlassBroken, format!("GLASS BROKEN by {by} in {name}"), Some(reason.clone())))
            }
            Decision::PointPassed { step, reason, .. } => {
                let headline = format!("{name} has passed its point of no return, at step {step}");
                Some((Event::PastReturn, headline, Some(reason.clone())))
            }
            Decision::RollbackOrdered(cause) => {
                let headline = format!("{name} rolls back: {}: {}", cause.guard, cause.finding);
                Some((Event::RolledBack, headline, cause.reasons.first().cloned()))
            }
            Decision::Ended(Outcome::Promoted) => {
                Some((Event::Promoted, format!("{name} is promoted: green is active"), None))
            }
            _ => None,
        }
    }

    /// Steps count from 1.
    fn entered(&self, name: &str, step: usize, does: &str) -> Option<Told> {
        let what = match self.steps.get(step.checked_sub(1)?)? {
            Step::Gate(GateName::Approval) => (Event::NeedsApproval, "waits for approvals"),
            Step::Gate(GateName::Acceptance) => (Event::NeedsAcceptance, "waits for its testers"),
            Step::PointOfNoReturn => (Event::NeedsApproval, "waits for approvals of its point of no return"),
            Step::Pause { for_ms: None } => (Event::Paused, "waits to be resumed"),
            _ => return None,
        };
        Some((what.0, format!("{name} {}, at step {step}: {does}", what.1), None))
    }
}

/// Whose the record is; the server's own may be about a rollout that is over.
fn rollout_of(record: &Record) -> Option<&RolloutId> {
    match &record.body {
        Body::ReviewOverdue { of } => Some(of),
        _ => record.rollout.as_ref(),
    }
}

fn id(of: &str, event: Event, to: &str) -> String {
    let digest = Sha256::digest(format!("verdigris notice\n{of}\n{}\n{to}", event.name()));
    digest[..16].iter().fold("msg_".to_owned(), |mut id, byte| {
        write!(id, "{byte:02x}").expect("a string takes everything");
        id
    })
}

/// On one line: what is told goes into subjects and headers.
fn bounded(words: &str) -> String {
    let one_line = words.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut text: String = one_line.take(MAX_WORDS).collect();
    if words.chars().nth(MAX_WORDS).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
