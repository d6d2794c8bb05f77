//! Statements to sign, and signed ones that come back. Whether one counts is the state machine's to decide; what the
//! controller alone can know stands beside it in the record: whose key it is, and whether the ledger ever was what the
//! statement says.

use crate::configurations::Sources;
use crate::controller::{Controller, SELF, answer};
use crate::errors::CommandError;
use crate::handle::{Input, Offer, SubmitReply};
use crate::journal::Journal;
use crate::release::Held;
use model::PerEnvironment;
use rollout::approval::{Act, CheckpointCheck, LogHead, SignedStatement, Statement, Submission};
use rollout::{Body, Configuration, Decision, Event, Principal, RolloutId, State, review, review_is_overdue};
use store::Reserve;

/// What the commands are called in refusals.
const APPROVE: &str = "approve";

/// A signed statement that somebody handed in.
#[derive(Debug)]
pub struct HandedIn {
    /// What was signed, and the signature.
    pub signed: SignedStatement,
    /// Whose key it is, by the configuration.
    pub signer: Option<Principal>,
    /// Who carried it here.
    pub by: Principal,
}

impl Controller {
    /// What an approver would sign now.
    pub(crate) fn offer(&self, rollout: Option<&RolloutId>, act: Act) -> Result<Box<Offer>, CommandError> {
        let refused = |reason: String| CommandError::Refused { command: APPROVE.to_owned(), reason };
        let state = self.find(rollout).ok_or_else(|| CommandError::unknown(rollout))?;
        let head = self.journal.head().ok_or_else(|| CommandError::Ledger("it is closed at the moment".to_owned()))?;
        let now = (self.clock)();
        let statement = Statement::of(state, act, head, now).map_err(refused)?;
        let (plan, base_dir) = (state.plan.clone(), self.base_dir.display().to_string());
        Ok(Box::new(Offer { statement, plan, base_dir, report: self.told(state) }))
    }

    /// Has the configurations read before anything is decided upon what was handed in.
    pub(crate) fn hand_in(&self, handed: Box<HandedIn>, reply: SubmitReply) {
        let running = self.journal.replay().running();
        let sources = running.and_then(|state| {
            Some((state.rollout.clone(), Sources::of(state, &self.base_dir, &self.outlets.around.commands)?))
        });
        let handle = self.outlets.handle.clone();
        tokio::spawn(async move {
            if let Some((rollout, sources)) = sources {
                let configurations = sources.read().await;
                handle.tell(Input::ConfigurationsRead { rollout, configurations }).await;
            }
            handle.tell(Input::Submit { handed, reply }).await;
        });
    }

    /// Another digest than before is an input of the decisions; the same is none.
    pub(crate) fn configurations_read(&mut self, rollout: &RolloutId, read: PerEnvironment<Configuration>) {
        let Some(state) = self.journal.replay().running() else { return };
        if state.rollout == *rollout && state.configurations.as_ref() != Some(&read) {
            self.happened(Event::ConfigurationsRead(read), SELF);
        }
    }

    pub(crate) fn submit(&mut self, handed: HandedIn, reply: SubmitReply) {
        answer(reply, self.submitted(handed));
    }

    fn submitted(&mut self, handed: HandedIn) -> Result<Box<rollout::Report>, CommandError> {
        let HandedIn { signed, signer, by } = handed;
        // What cannot be read is of the rollout that runs, which refuses it and has the refusal recorded.
        let statement = signed.open().ok().map(|(statement, _)| statement);
        let named = statement.as_ref().map(|statement| &statement.rollout);
        let id = self.find(named).ok_or_else(|| CommandError::unknown(named))?.rollout.clone();
        let checkpoint = match &statement {
            Some(statement) => self.journal.check_head(&statement.checkpoint, &id),
            None => CheckpointCheck::OtherRoot,
        };
        let submission = Submission { signed, signer, checkpoint };
        match statement.map(|statement| statement.act) {
            Some(Act::Review) => self.reviewed(&id, submission, &by)?,
            Some(Act::Approve | Act::BreakGlass { .. }) | None => self.approved(&id, submission, &by)?,
        }
        let state = self.find(Some(&id)).ok_or(CommandError::Stopped)?;
        Ok(Box::new(self.told(state)))
    }

    fn approved(&mut self, id: &RolloutId, submission: Submission, by: &Principal) -> Result<(), CommandError> {
        if !self.runs(id) {
            let reason = format!("{id} has ended");
            return Err(CommandError::Refused { command: APPROVE.to_owned(), reason });
        }
        let decisions = self.happened(Event::ApprovalSubmitted(Box::new(submission)), &by.name);
        let decisions = decisions.ok_or_else(|| CommandError::Ledger("see the server's log".to_owned()))?;
        for decision in decisions {
            if let Decision::Refused { command, reason } = decision {
                return Err(CommandError::Refused { command, reason });
            }
        }
        Ok(())
    }

    /// The server's own record, for the rollout may be over, and another one run.
    fn reviewed(&mut self, id: &RolloutId, submission: Submission, by: &Principal) -> Result<(), CommandError> {
        if self.held != Held::Open {
            return Err(CommandError::Ledger("another process has it".to_owned()));
        }
        let now = (self.clock)();
        let state = self.find(Some(id)).ok_or_else(|| CommandError::unknown(Some(id)))?;
        let refused = review(&mut state.clone(), &submission, now).err();
        let body = Body::Reviewed { of: id.clone(), submission: Box::new(submission), refused: refused.clone() };
        let records = self.journal.number(None, now, [(by.name.clone(), body)]);
        self.journal.append(&records, Reserve::Keep).map_err(|error| CommandError::Ledger(error.to_string()))?;
        match refused {
            None => Ok(()),
            Some(reason) => Err(CommandError::Refused { command: APPROVE.to_owned(), reason }),
        }
    }

    /// Says, once, of each broken glass that nobody reviewed in time.
    pub(crate) fn note_overdue_reviews(&mut self) {
        if self.held != Held::Open {
            return;
        }
        let now = (self.clock)();
        let overdue = |state: &&State| review_is_overdue(state, now);
        let Some(of) = self.journal.replay().rollouts.iter().find(overdue).map(|state| state.rollout.clone()) else {
            return;
        };
        tracing::warn!(rollout = %of, "the glass was broken, and nobody reviewed it in time");
        let records = self.journal.number(None, now, [(SELF.to_owned(), Body::ReviewOverdue { of })]);
        if let Err(error) = self.journal.append(&records, Reserve::Keep) {
            tracing::error!("that a review is overdue is not in the ledger: {error}");
        }
    }
}

impl Journal {
    /// The checkpoint under which everything is that was acknowledged; none while the ledger is closed.
    pub(crate) fn head(&self) -> Option<LogHead> {
        let store = self.store()?;
        Some(LogHead { size: store.size(), root: store.root().to_string() })
    }

    /// Whether the ledger was ever what a statement says, since a rollout began.
    fn check_head(&self, head: &LogHead, of: &RolloutId) -> CheckpointCheck {
        let Some(store) = self.store() else { return CheckpointCheck::NotYet };
        if head.size > store.size() {
            return CheckpointCheck::NotYet;
        }
        if self.began(of).is_none_or(|first| head.size <= first) {
            return CheckpointCheck::BeforeTheRollout;
        }
        match store.root_at(head.size) {
            Ok(root) if root.to_string() == head.root => CheckpointCheck::Holds,
            Ok(_) | Err(_) => CheckpointCheck::OtherRoot,
        }
    }
}
