//! What stands in the ledger, and how the state is had back from it.

use crate::approval::Submission;
use crate::decide::{Step, review, review_is_overdue, start, step};
use crate::event::{Decision, Event, RolloutId, Start};
use crate::principal::KnownPrincipal;
use crate::shard::ShardStart;
use crate::state::State;
use model::{Check, Finding, RouteTable, TraceId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt;

/// One entry of the ledger, as canonical JSON (RFC 8785).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The version of this format.
    pub version: u32,
    /// The rollout that it belongs to; none for the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// Counts up by one within the rollout (or within the server's own), so that a missing record shows.
    pub sequence: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: UnixMillis,
    /// Who: a principal's name, or `verdigris` for what it did by itself.
    pub by: String,
    /// What.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Body {
    /// A controller opened the ledger.
    ServerStarted {
        /// Verdigris' version.
        version: String,
    },
    /// A controller closed it in order.
    ServerStopped,
    /// A rollout began.
    Started(Box<Start>),
    /// Something happened to it: an input of the decisions that follow.
    Happened(Box<Event>),
    /// What was decided upon the input before.
    Decided(Box<Decision>),
    /// An example trace was kept as a blob, content-addressed.
    EvidenceKept {
        /// `sha256:…` of the blob.
        digest: String,
        /// The trace that it shows.
        trace: TraceId,
        /// What it is an example of; none for the trace that shows why the rollout was rolled back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<FindingName>,
    },
    /// The server's own: blobs of evidence are deleted, once this record is durable.
    EvidenceDeleted {
        /// `sha256:…` of each, at most [`MAX_DELETED`].
        digests: Vec<String>,
        /// What of `verdigris.yaml` wants it.
        because: DeletedBecause,
    },
    /// The server's own: whom its configuration names, at the start and whenever that changed.
    PrincipalsRead {
        /// In the order of their names, at most [`MAX_PRINCIPALS`](crate::MAX_PRINCIPALS).
        principals: Vec<KnownPrincipal>,
    },
    /// The server's own: what a person could ask to have erased is destroyed, once this record is durable. Everything that
    /// was recorded before stays provable.
    Erased {
        /// What was asked for: a principal's name, or `trace:` and a trace id.
        subject: String,
        /// Commitments whose keys and salts are destroyed.
        persons: Vec<String>,
        /// `sha256:…` of blobs of evidence that are deleted.
        evidence: Vec<String>,
    },
    /// The server's own: it runs, though there may be nothing to record. Whoever cuts the end of a ledger off cuts these.
    Heartbeat,
    /// The server's own, for the rollout may be long over: somebody handed in a review of a broken glass.
    Reviewed {
        /// Of which rollout.
        of: RolloutId,
        /// What was handed in.
        submission: Box<Submission>,
        /// Why it closes nothing, if it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// The server's own: nobody reviewed a broken glass in time.
    ReviewOverdue {
        /// Of which rollout.
        of: RolloutId,
    },
    /// The server's own: from the checkpoint that covers this record on, another key signs the ledger's checkpoints. That one
    /// is signed by both, and this record is the last under it.
    KeyRotated {
        /// The verifier key before (C2SP signed-note, `name+id+base64`).
        old: String,
        /// The verifier key from then on.
        new: String,
    },
    /// The server's own: somebody looked at a blob of evidence.
    EvidenceRead {
        /// `sha256:…`.
        digest: String,
        /// From where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// The server's own: somebody had what the gateway receives recorded.
    TrafficRecorded {
        /// For so long at most, in milliseconds.
        for_ms: u64,
        /// So many bytes at most.
        max_bytes: u64,
        /// Whether what is sensitive was replaced.
        redacted: bool,
        /// Who can open it: an age public key.
        recipient: String,
        /// From where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// The server's own: whoever asked is not known, or may not. One a minute of each.
    AccessRefused {
        /// What was asked for.
        what: String,
        /// Who asked, as far as the operating system says.
        who: String,
        /// From where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// The server's own: who is told of what by its configuration, at the start and whenever that changed. What was decided
    /// under it and is not [`Notified`](Body::Notified) is told after a restart.
    NotificationsRead {
        /// In the order of their names, at most [`MAX_TARGETS`].
        targets: Vec<NotificationTarget>,
    },
    /// The server's own: a notification was delivered, or given up. Neither the text nor where it went is here.
    Notified {
        /// The notification: what its receiver was told as `webhook-id`.
        id: String,
        /// What happened: `rolledBack`.
        event: String,
        /// Which of `notifications` in `verdigris.yaml`.
        to: String,
        /// How often it was tried.
        tries: u32,
        /// Why it was given up, if it was not delivered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gave_up: Option<String>,
    },
    /// The server's own, and entry 0 of a year's part of the ledger.
    ShardBegan(Box<ShardStart>),
    /// The server's own: the entries of a part that ended are removed, once this record is durable. Their hashes stay, and so
    /// every proof that was made of them holds.
    EntriesPruned {
        /// The year with which the part ended.
        ended: u16,
        /// How long entries are kept.
        keep_ms: u64,
        /// Commitments to persons that no part names any more: their keys and salts are destroyed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        persons: Vec<String>,
    },
}

impl Body {
    /// `sha256:…` of the blob of evidence that it names as its own, if it names one: an example trace, the judge's state, or
    /// what a gate rests on.
    pub fn evidence(&self) -> Option<&str> {
        match self {
            Body::EvidenceKept { digest, .. } => Some(digest),
            Body::Decided(decision) => match &**decision {
                Decision::Judged { evidence, .. } => evidence.as_deref(),
                _ => None,
            },
            Body::Happened(event) => match &**event {
                Event::GateFinished { result, .. } => result.evidence.as_deref(),
                Event::SignedOff(sign_off) => sign_off.evidence.as_deref(),
                _ => None,
            },
            Body::ServerStarted { .. }
            | Body::ServerStopped
            | Body::Started(_)
            | Body::EvidenceDeleted { .. }
            | Body::PrincipalsRead { .. }
            | Body::Heartbeat
            | Body::Erased { .. }
            | Body::Reviewed { .. }
            | Body::ReviewOverdue { .. }
            | Body::KeyRotated { .. }
            | Body::ShardBegan(_)
            | Body::EvidenceRead { .. }
            | Body::TrafficRecorded { .. }
            | Body::AccessRefused { .. }
            | Body::NotificationsRead { .. }
            | Body::Notified { .. }
            | Body::EntriesPruned { .. } => None,
        }
    }
}

/// Targets of notifications: 16 with all events and names of 64 bytes are 6 kB.
pub const MAX_TARGETS: usize = 16;

/// One of `notifications`: its name and what it is told of, but neither where it is nor what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotificationTarget {
    /// Its name.
    pub name: String,
    /// The names of events, in their order.
    pub on: Vec<String>,
}

/// Digests of an [`EvidenceDeleted`](Body::EvidenceDeleted): 500 of 74 bytes are 37 kB, a little more than half of what
/// an entry holds.
pub const MAX_DELETED: usize = 500;

/// Why evidence was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum DeletedBecause {
    /// It was older than evidence is kept.
    TooOld {
        /// For how long it is kept.
        keep_ms: u64,
    },
    /// There was no room, and it was the oldest.
    NoRoom {
        /// Bytes that all evidence may have.
        max_bytes: u64,
    },
}

/// 64 bits: a rollout has at most `State::MAX_FINDINGS` groups, and who could choose two names that meet gains nothing by it.
pub const FINDING_ID_DIGITS: usize = 16;

/// What makes two findings of different batches the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindingName {
    /// What is wrong.
    pub check: Check,
    /// `service.name` of the spans concerned.
    pub service: String,
    /// The name of the spans concerned.
    pub operation: String,
    /// What the check names beside them, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl FindingName {
    /// The name of a finding.
    pub fn of(finding: &Finding) -> FindingName {
        let Finding { check, service, operation, key, .. } = finding.clone();
        FindingName { check, service, operation, key }
    }

    /// The first [`FINDING_ID_DIGITS`] hexadecimal digits of the SHA-256 of its canonical JSON (RFC 8785): an address that stays
    /// the same whatever else is found.
    pub fn id(&self) -> String {
        let json = serde_json_canonicalizer::to_vec(self).expect("a name has text keys only");
        Sha256::digest(json)
            .iter()
            .take(FINDING_ID_DIGITS / 2)
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl fmt::Display for FindingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} / {}", self.check.words(), self.service, self.operation)?;
        self.key.iter().try_for_each(|key| write!(f, " ({key})"))
    }
}

impl Record {
    /// The version that this code writes and reads.
    pub const VERSION: u32 = 1;
}

/// Records that do not explain each other.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ReplayError {
    /// Written by another version.
    #[error("record {sequence}: it has version {found}, this program reads version {}", Record::VERSION)]
    Version {
        /// The record's sequence number.
        sequence: u64,
        /// What it has.
        found: u32,
    },
    /// A record is missing, or stands twice.
    #[error("{of}: expected sequence number {expected}, found {found}: a record is missing or stands twice")]
    Gap {
        /// The rollout, or the server.
        of: String,
        /// The next number.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// An event of a rollout that does not run.
    #[error("record {sequence} belongs to {found}, but {expected}")]
    WrongRollout {
        /// The record's sequence number.
        sequence: u64,
        /// What it names.
        found: String,
        /// What runs.
        expected: String,
    },
    /// A part of the ledger begins in the midst of another.
    #[error("record {sequence}: a part of the ledger begins, but there are records before it")]
    LateShard {
        /// The record's sequence number.
        sequence: u64,
    },
    /// The recorded decision is not the one that the records before it lead to.
    #[error("record {sequence}: the records lead to {expected}, but {found} was recorded")]
    OtherDecision {
        /// The record's sequence number.
        sequence: u64,
        /// What replaying decides.
        expected: String,
        /// What stands there.
        found: String,
    },
}

/// The state that a ledger's records lead to. Each decision is made again and compared with what was recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// All rollouts, in order; only the last one can still run.
    pub rollouts: Vec<State>,
    /// The next sequence number of the last rollout.
    pub next_sequence: u64,
    /// The next sequence number of the server's own records.
    pub next_server_sequence: u64,
    /// Whom the server's configuration names.
    pub principals: Vec<KnownPrincipal>,
    expected: VecDeque<Decision>,
    base_dir: Option<String>,
    /// What was before the first record, where that is not the ledger's first.
    before: Option<ShardStart>,
}

/// Replays a whole ledger.
pub fn replay<'r>(records: impl IntoIterator<Item = &'r Record>) -> Result<Replay, ReplayError> {
    let mut replay = Replay::default();
    for record in records {
        replay.take(record)?;
    }
    Ok(replay)
}

impl Replay {
    /// The rollout that runs, if one does.
    pub fn running(&self) -> Option<&State> {
        self.rollouts.last().filter(|state| state.outcome().is_none())
    }

    /// The table that was ordered last, over all rollouts.
    pub fn table(&self) -> Option<&RouteTable> {
        let before = || self.before.as_ref().and_then(|before| before.table.as_ref());
        self.rollouts.last().map(|state| &state.table).or_else(before)
    }

    /// The last table that needed no proof or had one.
    pub fn standing(&self) -> Option<&RouteTable> {
        match self.rollouts.last() {
            Some(state) => state.standing.as_ref(),
            None => self.before.as_ref().and_then(|before| before.standing.as_ref()),
        }
    }

    /// How many rollouts there were, those in parts of the ledger that ended included.
    pub fn rollout_count(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.rollouts) + self.rollouts.len() as u64
    }

    /// How this part of the ledger began, if it is not the first.
    pub fn shard_start(&self) -> Option<&ShardStart> {
        self.before.as_ref()
    }

    /// The folder that the last plan's relative paths start from.
    pub fn base_dir(&self) -> Option<&str> {
        self.base_dir.as_deref()
    }

    /// Decisions that the last input leads to and that no record states yet. Never empty-handed after a whole ledger:
    /// an input and its decisions are appended in one batch.
    pub fn unrecorded(&self) -> usize {
        self.expected.len()
    }

    /// Takes the next record.
    pub fn take(&mut self, record: &Record) -> Result<(), ReplayError> {
        let sequence = record.sequence;
        if record.version != Record::VERSION {
            return Err(ReplayError::Version { sequence, found: record.version });
        }
        match (&record.body, &record.rollout) {
            (Body::ShardBegan(start), _) => return self.begins(sequence, start),
            (
                Body::ServerStarted { .. }
                | Body::ServerStopped
                | Body::EvidenceDeleted { .. }
                | Body::Erased { .. }
                | Body::KeyRotated { .. }
                | Body::EntriesPruned { .. }
                | Body::EvidenceRead { .. }
                | Body::TrafficRecorded { .. }
                | Body::AccessRefused { .. }
                | Body::NotificationsRead { .. }
                | Body::Notified { .. }
                | Body::Heartbeat,
                _,
            ) => return self.of_server(sequence),
            (Body::PrincipalsRead { principals }, _) => {
                self.principals.clone_from(principals);
                return self.of_server(sequence);
            }
            (Body::Reviewed { of, submission, refused }, _) => {
                self.of_server(sequence)?;
                return self.reviewed(record, of, submission, refused.as_ref());
            }
            (Body::ReviewOverdue { of }, _) => {
                self.of_server(sequence)?;
                return self.overdue(record, of);
            }
            (Body::Started(start_event), rollout) => {
                let running = self.running().map(|state| state.rollout.clone());
                if running.is_some() || rollout.as_ref() != Some(&start_event.rollout) {
                    return Err(wrong_rollout(sequence, rollout.as_ref(), running.as_ref()));
                }
                check_sequence(&start_event.rollout.0, 0, sequence)?;
                self.nothing_expected(sequence, "the start of a rollout")?;
                self.next_sequence = 0;
                self.base_dir = Some(start_event.base_dir.clone());
                self.decided(start(start_event, record.at), true);
            }
            (Body::Happened(event), rollout) => {
                let state = self.current(sequence, rollout.as_ref())?;
                let next = step(state, event, record.at);
                check_sequence(&state.rollout.0, self.next_sequence, sequence)?;
                self.nothing_expected(sequence, "another event")?;
                self.decided(next, false);
            }
            (Body::EvidenceKept { .. }, rollout) => {
                let name = self.current(sequence, rollout.as_ref())?.rollout.0.clone();
                check_sequence(&name, self.next_sequence, sequence)?;
                self.nothing_expected(sequence, "evidence")?;
            }
            (Body::Decided(decision), rollout) => {
                let name = self.current(sequence, rollout.as_ref())?.rollout.0.clone();
                check_sequence(&name, self.next_sequence, sequence)?;
                match self.expected.pop_front() {
                    Some(expected) if expected == **decision => {}
                    expected => {
                        return Err(ReplayError::OtherDecision {
                            sequence,
                            expected: expected.map_or("no decision".to_owned(), |decision| format!("{decision:?}")),
                            found: format!("{decision:?}"),
                        });
                    }
                }
            }
        }
        self.next_sequence += 1;
        Ok(())
    }

    fn begins(&mut self, sequence: u64, start: &ShardStart) -> Result<(), ReplayError> {
        if *self != Replay::default() {
            return Err(ReplayError::LateShard { sequence });
        }
        self.next_server_sequence = sequence + 1;
        self.base_dir.clone_from(&start.base_dir);
        self.before = Some(start.clone());
        Ok(())
    }

    fn of_server(&mut self, sequence: u64) -> Result<(), ReplayError> {
        check_sequence("the server", self.next_server_sequence, sequence)?;
        self.next_server_sequence += 1;
        Ok(())
    }

    fn reviewed(
        &mut self,
        record: &Record,
        of: &RolloutId,
        submission: &Submission,
        refused: Option<&String>,
    ) -> Result<(), ReplayError> {
        let expected = review(self.named(record.sequence, of)?, submission, record.at).err();
        match expected.as_ref() == refused {
            true => Ok(()),
            false => Err(other_decision(record.sequence, &expected, &refused)),
        }
    }

    fn overdue(&mut self, record: &Record, of: &RolloutId) -> Result<(), ReplayError> {
        let state = self.named(record.sequence, of)?;
        match (review_is_overdue(state, record.at), &mut state.glass) {
            (true, Some(glass)) => {
                glass.overdue = true;
                Ok(())
            }
            _ => Err(other_decision(record.sequence, &"that no review is overdue", &"that one is")),
        }
    }

    fn named(&mut self, sequence: u64, rollout: &RolloutId) -> Result<&mut State, ReplayError> {
        let state = self.rollouts.iter_mut().rev().find(|state| state.rollout == *rollout);
        state.ok_or_else(|| wrong_rollout(sequence, Some(rollout), None))
    }

    fn current(&self, sequence: u64, rollout: Option<&RolloutId>) -> Result<&State, ReplayError> {
        match self.rollouts.last() {
            Some(state) if Some(&state.rollout) == rollout => Ok(state),
            other => Err(wrong_rollout(sequence, rollout, other.map(|state| &state.rollout))),
        }
    }

    fn decided(&mut self, next: Step, new: bool) {
        self.expected = next.decisions.into();
        if new {
            self.rollouts.push(next.state);
        } else if let Some(last) = self.rollouts.last_mut() {
            *last = next.state;
        }
    }

    fn nothing_expected(&self, sequence: u64, found: &str) -> Result<(), ReplayError> {
        match self.expected.front() {
            None => Ok(()),
            Some(decision) => {
                Err(ReplayError::OtherDecision { sequence, expected: format!("{decision:?}"), found: found.to_owned() })
            }
        }
    }
}

fn other_decision(sequence: u64, expected: &impl fmt::Debug, found: &impl fmt::Debug) -> ReplayError {
    ReplayError::OtherDecision { sequence, expected: format!("{expected:?}"), found: format!("{found:?}") }
}

fn check_sequence(of: &str, expected: u64, found: u64) -> Result<(), ReplayError> {
    if expected == found { Ok(()) } else { Err(ReplayError::Gap { of: of.to_owned(), expected, found }) }
}

fn wrong_rollout(sequence: u64, found: Option<&RolloutId>, running: Option<&RolloutId>) -> ReplayError {
    ReplayError::WrongRollout {
        sequence,
        found: found.map_or("no rollout".to_owned(), RolloutId::to_string),
        expected: running.map_or("no rollout runs".to_owned(), |rollout| format!("{rollout} runs")),
    }
}
