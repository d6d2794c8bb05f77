//! The evidence: what decisions and findings were made from is kept, and what is too old or too much is deleted. It comes
//! after the actions, for it must not delay them, and a decision stands without it.

use crate::controller::{Controller, SELF};
use crate::journal::{Journal, JournalError};
use crate::release::Held;
use model::{GateResult, TraceId, UnixMillis};
use rollout::{Body, Decision, DeletedBecause, FindingName, JudgeEvidence, MAX_DELETED};
use store::{EvidenceError, Reserve, Surplus};

/// How often evidence is looked through for what is too old.
const SWEEP_EVERY_MS: u64 = 3_600_000;

/// Why evidence was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The ledger did not take the record, and without it nothing is deleted.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] store::DiskError),
}

impl Journal {
    /// Keeps a blob under its digest, durable when this returns. What must go for it is recorded, and deleted before.
    pub(crate) fn keep_evidence(&mut self, bytes: &[u8], now: UnixMillis) -> Result<String, EvidenceError> {
        let room = bytes.len() as u64;
        loop {
            match self.sweep_evidence(now, room) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!("evidence cannot be deleted: {error}");
                    break;
                }
            }
        }
        self.evidence.keep(bytes, now.0)
    }

    /// Deletes what is too old, and what must go for `room` more bytes: at most [`MAX_DELETED`] blobs of each at once. The
    /// record comes first. `true` if there were that many, and so perhaps more.
    pub(crate) fn sweep_evidence(&mut self, now: UnixMillis, room: u64) -> Result<bool, SweepError> {
        let nothing_named = Default::default();
        let named = if self.replay().running().is_some() { self.kept.named() } else { &nothing_named };
        let Surplus { mut too_old, mut no_room } = self.evidence.surplus(now.0, room, named);
        let is_more = too_old.len().max(no_room.len()) > MAX_DELETED;
        too_old.truncate(MAX_DELETED);
        no_room.truncate(MAX_DELETED);
        let store::Retention { keep_ms, max_bytes } = self.evidence.retention();
        let reasons = [(too_old, DeletedBecause::TooOld { keep_ms }), (no_room, DeletedBecause::NoRoom { max_bytes })];
        for (digests, because) in reasons.into_iter().filter(|(digests, _)| !digests.is_empty()) {
            let body = Body::EvidenceDeleted { digests: digests.clone(), because };
            self.append(&self.number(None, now, [(SELF.to_owned(), body)]), Reserve::Keep)?;
            tracing::info!(blobs = digests.len(), ?because, "evidence is deleted");
            self.evidence.delete(&digests)?;
        }
        Ok(is_more)
    }
}

impl Controller {
    /// Once an hour, and at once where there is more to delete; and, as often, what becomes of the ledger with the years.
    pub(crate) fn sweep(&mut self) {
        let now = (self.clock)();
        if self.held != Held::Open || now < self.sweep_at {
            return;
        }
        self.sweep_at = now.plus_ms(SWEEP_EVERY_MS);
        self.prune(now);
        match self.journal.sweep_evidence(now, 0) {
            Ok(true) => self.sweep_at = now,
            Ok(false) => {}
            Err(error) => tracing::error!("evidence cannot be deleted: {error}"),
        }
        self.begin_shard(now);
    }

    /// After a Pass or a Fail: the judge's whole state, under the digest that the decision names. The observations in the
    /// ledger lead to the same bytes.
    pub(crate) fn keep_judges_evidence(&mut self, decisions: &[Decision]) {
        let named = decisions.iter().find_map(|decision| match decision {
            Decision::Judged { assessment, evidence: Some(digest) } => Some((assessment, digest)),
            _ => None,
        });
        let Some((assessment, digest)) = named else { return };
        let Some(state) = self.journal.replay().rollouts.last() else { return };
        let bytes = JudgeEvidence::of(state, assessment).to_bytes();
        match self.journal.keep_evidence(&bytes, (self.clock)()) {
            Ok(kept) => assert_eq!(kept, *digest, "the decision was made from this very state"),
            Err(error) => tracing::error!("evidence could not be kept: {error}"),
        }
    }

    /// A gate's result with the digest of what it rests on, once that is durable. A result stands without it.
    pub(crate) fn with_evidence(&mut self, result: GateResult, evidence: Option<Vec<u8>>) -> GateResult {
        let Some(bytes) = evidence.filter(|_| self.held == Held::Open) else { return result };
        match self.journal.keep_evidence(&bytes, (self.clock)()) {
            Ok(digest) => GateResult { evidence: Some(digest), ..result },
            Err(error) => {
                tracing::error!("a gate's evidence could not be kept: {error}");
                result
            }
        }
    }

    /// What was sent and what came out of traces that show findings, and, after a rollback was ordered, of the one that
    /// shows why.
    pub(crate) fn keep_examples(&mut self, wanted: Vec<(TraceId, Vec<FindingName>)>, decisions: &[Decision]) {
        let cause = decisions.iter().find_map(|decision| match decision {
            Decision::RollbackOrdered(cause) => cause.example_trace,
            _ => None,
        });
        let cause = cause.map(|trace| (trace, Vec::new()));
        let bodies: Vec<_> =
            wanted.into_iter().chain(cause).filter_map(|(trace, of)| self.keep_example(trace, of)).collect();
        let Some(rollout) = self.journal.replay().rollouts.last().map(|state| state.rollout.clone()) else { return };
        if bodies.is_empty() {
            return;
        }
        let bodies = bodies.into_iter().map(|body| (SELF.to_owned(), body));
        let records = self.journal.number(Some(&rollout), (self.clock)(), bodies);
        if let Err(error) = self.journal.append(&records, Reserve::Keep) {
            tracing::error!("evidence could not be recorded: {error}");
        }
    }

    fn keep_example(&mut self, trace: TraceId, findings: Vec<FindingName>) -> Option<Body> {
        let example = (self.examples)(trace)?;
        match self.journal.keep_evidence(example.to_string().as_bytes(), (self.clock)()) {
            Ok(digest) => Some(Body::EvidenceKept { digest, trace, findings }),
            Err(error) => {
                tracing::error!("evidence could not be kept: {error}");
                None
            }
        }
    }
}
