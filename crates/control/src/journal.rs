//! Records on their way to the ledger and back.

use crate::kept::Kept;
use ledger::Origin;
use model::UnixMillis;
use notices::Outbox;
use rollout::{Body, Landmarks, Record, Replay, ReplayError, RolloutId, TimelineReport, Timelines};
use std::collections::BTreeMap;
use store::{Evidence, Reserve, Shards, Store};
use tokio::sync::watch;

/// A record that is longer than a tlog-tiles entry can be would be refused by the store; the observation's bounds keep
/// every record below this (see `model::MAX_FINDINGS_PER_OBSERVATION`), and a plan is at most 48 KiB of it.
const MAX_RECORD_BYTES: usize = 65_535;

/// Opens the ledger's store: at the start, and again after an append failed.
pub type OpenStore = Box<dyn FnMut() -> Result<Store, String> + Send>;

/// The part of the ledger that is being written, and how much is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The year that it is of; none of the first part.
    pub year: Option<u16>,
    /// How many entries are under a durable checkpoint.
    pub size: u64,
}

/// The ledger, and the state that its records lead to.
pub struct Journal {
    open: OpenStore,
    pub(crate) shards: Shards,
    /// Absent after an append failed, for the batch may be durable or not, and only opening it again tells which; and
    /// while another process has it.
    pub(crate) store: Option<Store>,
    replay: Replay,
    /// The entry with which each rollout began.
    began: BTreeMap<RolloutId, u64>,
    /// Which records prove the last rollout's shifts.
    landmarks: Landmarks,
    /// What was erased: commitments to persons, digests of evidence.
    erased: (Vec<String>, Vec<String>),
    /// The name of this part of the ledger (C2SP tlog-checkpoint, "Note text": the origin).
    origin: Origin,
    /// When this part's first record was made.
    since: Option<UnixMillis>,
    pub(crate) kept: Kept,
    /// What the newest rollouts did over time.
    timelines: Timelines,
    /// What is to be told and was not yet.
    pub(crate) outbox: Outbox,
    pub(crate) evidence: Evidence,
    extent: watch::Sender<Extent>,
}

/// Why records are not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store cannot be opened.
    #[error("{0}")]
    Open(String),
    /// An append failed and the store could not be opened since, or another process has it.
    #[error(
        "the ledger is closed, since an append failed or another process takes over; it is opened again as soon as \
             that works"
    )]
    Closed,
    /// The disk, or what is on it.
    #[error(transparent)]
    Append(#[from] store::AppendError),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] store::ReadError),
    /// An entry is not one of our records.
    #[error(
        "entry {index} of the ledger is not a record of this program: {source}; expected canonical JSON of record \
         version {}",
        Record::VERSION
    )]
    NotARecord {
        /// The entry.
        index: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The records contradict each other.
    #[error("entry {index} of the ledger does not follow from the entries before it: {source}")]
    Contradiction {
        /// The entry.
        index: u64,
        /// Why.
        source: ReplayError,
    },
    /// An input was recorded and its decisions were not.
    #[error("the ledger ends in the middle of a decision: {missing} record(s) are missing at its end")]
    Incomplete {
        /// How many.
        missing: usize,
    },
    /// A record cannot be an entry.
    #[error("a record of {bytes} bytes is longer than the {MAX_RECORD_BYTES} that an entry of the ledger holds")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The ledger cannot go on in another part.
    #[error("the next year's part of the ledger does not begin")]
    Shard(#[from] store::ShardError),
    /// A record cannot be written as JSON.
    #[error("a record cannot be written as canonical JSON: {0}")]
    Encode(serde_json::Error),
}

/// A record as the bytes of its entry.
pub fn encode(record: &Record) -> Result<Vec<u8>, JournalError> {
    let bytes = serde_json_canonicalizer::to_vec(record).map_err(JournalError::Encode)?;
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(JournalError::TooLong { bytes: bytes.len() });
    }
    Ok(bytes)
}

impl Journal {
    /// Replays the whole ledger: the state after a crash is what this gives.
    pub fn open(mut open: OpenStore, shards: Shards, evidence: Evidence) -> Result<Journal, JournalError> {
        let store = open().map_err(JournalError::Open)?;
        let past = replay_store(&store)?;
        let extent = watch::Sender::new(extent_of(&store));
        let origin = store.origin().clone();
        let Past { replay, kept, timelines, outbox, began, landmarks, erased, since } = past;
        let mut journal = Journal {
            open,
            shards,
            store: Some(store),
            replay,
            began,
            landmarks,
            erased,
            origin,
            since,
            kept,
            timelines,
            outbox,
            evidence,
            extent,
        };
        journal.look_at_evidence();
        Ok(journal)
    }

    /// Goes on from a store that was opened.
    pub(crate) fn go_on(&mut self, store: Store) -> Result<(), JournalError> {
        let past = replay_store(&store)?;
        (self.replay, self.kept, self.began, self.landmarks) = (past.replay, past.kept, past.began, past.landmarks);
        self.timelines = past.timelines;
        let before = std::mem::replace(&mut self.outbox, past.outbox);
        if *store.origin() != self.origin {
            // Another part of the ledger: what is not told yet stands in the one before.
            self.outbox.inherit(before);
        }
        (self.origin, self.since) = (store.origin().clone(), past.since);
        self.extent.send_replace(extent_of(&store));
        self.store = Some(store);
        self.look_at_evidence();
        Ok(())
    }

    /// Closes the store, and with it gives up its lock.
    pub fn close(&mut self) {
        if let Some(Err(error)) = self.store.take().map(Store::close) {
            tracing::warn!("the ledger was not closed in order, and is completed when it is opened: {error}");
        }
    }

    /// Opens the store again after it was closed. `true` if it was closed and is open now.
    pub fn mend(&mut self) -> Result<bool, JournalError> {
        if self.store.is_some() {
            return Ok(false);
        }
        let store = (self.open)().map_err(JournalError::Open)?;
        self.go_on(store)?;
        Ok(true)
    }

    /// Another process may have written there since. Only who has the ledger's lock writes. A folder that cannot be read
    /// costs evidence, and no decision.
    fn look_at_evidence(&mut self) {
        if let Err(error) = self.evidence.look() {
            tracing::error!("the evidence that is there is not known, and none of it is deleted: {error}");
        }
    }

    /// What is under a durable checkpoint: for witnesses, who must not see it before.
    pub fn extent(&self) -> watch::Receiver<Extent> {
        self.extent.subscribe()
    }

    /// The store, unless it is closed.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The name of this part of the ledger.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// When this part's first record was made; none while it has none.
    pub(crate) fn since(&self) -> Option<UnixMillis> {
        self.since
    }

    /// Which records prove the last rollout's shifts.
    pub(crate) fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }

    /// What was erased before this process began, and may be there still: commitments to persons, digests of evidence.
    pub(crate) fn erased(&self) -> &(Vec<String>, Vec<String>) {
        &self.erased
    }

    /// The entry with which a rollout began.
    pub(crate) fn began(&self, rollout: &RolloutId) -> Option<u64> {
        self.began.get(rollout).copied()
    }

    /// What the last rollout's records say of its evidence.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What a rollout did over time; none if it is not among the newest.
    pub(crate) fn timeline(&self, rollout: &RolloutId) -> Option<TimelineReport> {
        self.timelines.report(rollout)
    }

    /// The state that the records lead to.
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Appends an input with all its decisions in one batch, durable when this returns, and brings the state up to it. On a full
    /// disk only what may use the reserve gets in.
    pub fn append(&mut self, records: &[Record], reserve: Reserve) -> Result<(), JournalError> {
        let entries = records.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let store = self.store.as_mut().ok_or(JournalError::Closed)?;
        let appended = match store.append_with(&entries, reserve) {
            Ok(appended) => appended,
            Err(error) => {
                // Whoever asked is told that it failed; why is for who operates the disk, or the token that signs.
                tracing::error!("the ledger took no entry, and is opened again: {}", model::with_causes(&error));
                if !error.is_refusal() {
                    // Closed, so that nothing is decided upon a state that may not be the ledger's.
                    self.store = None;
                }
                return Err(error.into());
            }
        };
        self.extent.send_replace(extent_of(store));
        for (index, record) in appended.zip(records) {
            note_beginning(&mut self.began, index, record);
            self.since = self.since.or(Some(record.at));
            self.landmarks.take(index, record);
            self.replay.take(record).expect("the records were decided from this very state");
            self.kept.take(record);
            self.timelines.take(record, self.replay.rollouts.last());
            self.outbox.take(record);
        }
        Ok(())
    }

    /// The next sequence number of the server's own records, or of a rollout's.
    pub fn next_sequence(&self, rollout: Option<&RolloutId>) -> u64 {
        match rollout {
            None => self.replay.next_server_sequence,
            Some(rollout) => match self.replay.rollouts.last() {
                Some(state) if state.rollout == *rollout => self.replay.next_sequence,
                _ => 0,
            },
        }
    }

    /// A rollout's (or the server's) records in a row, numbered.
    pub fn number(
        &self,
        rollout: Option<&RolloutId>,
        at: UnixMillis,
        bodies: impl IntoIterator<Item = (String, Body)>,
    ) -> Vec<Record> {
        (self.next_sequence(rollout)..)
            .zip(bodies)
            .map(|(sequence, (by, body))| Record {
                version: Record::VERSION,
                rollout: rollout.cloned(),
                sequence,
                at,
                by,
                body,
            })
            .collect()
    }
}

/// What a ledger's records say.
pub(crate) struct Past {
    pub(crate) replay: Replay,
    kept: Kept,
    timelines: Timelines,
    outbox: Outbox,
    began: BTreeMap<RolloutId, u64>,
    landmarks: Landmarks,
    erased: (Vec<String>, Vec<String>),
    since: Option<UnixMillis>,
}

fn extent_of(store: &Store) -> Extent {
    Extent { year: store.origin().year(), size: store.size() }
}

fn note_beginning(began: &mut BTreeMap<RolloutId, u64>, index: u64, record: &Record) {
    if let Body::Started(start) = &record.body {
        began.insert(start.rollout.clone(), index);
    }
}

pub(crate) fn replay_store(store: &Store) -> Result<Past, JournalError> {
    let (mut replay, mut kept, mut outbox) = (Replay::default(), Kept::default(), Outbox::default());
    let mut timelines = Timelines::default();
    let (mut began, mut landmarks) = (BTreeMap::new(), Landmarks::default());
    let (mut erased, mut since) = ((Vec::new(), Vec::new()), None);
    for (index, entry) in (0..).zip(store.read(0..store.size())?) {
        let record = decode(index, &entry?)?;
        replay.take(&record).map_err(|source| JournalError::Contradiction { index, source })?;
        note_beginning(&mut began, index, &record);
        since = since.or(Some(record.at));
        landmarks.take(index, &record);
        kept.take(&record);
        timelines.take(&record, replay.rollouts.last());
        outbox.take(&record);
        if let Body::Erased { persons, evidence, .. } = record.body {
            erased.0.extend(persons);
            erased.1.extend(evidence);
        }
    }
    match replay.unrecorded() {
        0 => Ok(Past { replay, kept, timelines, outbox, began, landmarks, erased, since }),
        missing => Err(JournalError::Incomplete { missing }),
    }
}

/// The record that an entry of the ledger is.
pub fn decode(index: u64, entry: &[u8]) -> Result<Record, JournalError> {
    serde_json::from_slice(entry).map_err(|source| JournalError::NotARecord { index, source })
}
