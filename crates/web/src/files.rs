//! The ledger's files as pages need them: read without the writer's lock, in the way in which an auditor reads a copy.
//!
//! It never writes, and no request reads more than a bounded number of entries. Everything here blocks on the disk, so that it
//! runs where tokio expects that ([`LedgerFiles::read`]).

use crate::api::problem::Problem;
use axum::http::StatusCode;
use control::rollout::{Body, Event, Record, RolloutId};
use ledger::{Checkpoint, Note, TILE_WIDTH, VerifierKey};
use model::UnixMillis;
use std::path::PathBuf;
use std::sync::Arc;
use store::Reader;

/// Makes an audit bundle of a rollout, without blobs of evidence; the error says what is wrong, in words.
pub type Export = Arc<dyn Fn(&RolloutId) -> Result<Vec<u8>, String> + Send + Sync>;

/// Where the ledger is, and how what is in it is told.
#[derive(Clone)]
pub struct LedgerFiles {
    /// The folder.
    pub dir: PathBuf,
    /// A key of its own: the one in force when the server started. Whoever changes it since signed the change with both.
    pub key: VerifierKey,
    /// A record in a line of words.
    pub words: fn(&Body) -> String,
    /// A time as text.
    pub time: fn(UnixMillis) -> String,
    /// A bundle for an auditor.
    pub export: Export,
}

/// A ledger that was opened, and its head.
pub(crate) struct Opened {
    pub(crate) reader: Reader,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
    /// The key that signed it.
    pub(crate) key: VerifierKey,
}

/// An entry, read.
pub(crate) struct Entry {
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
}

impl LedgerFiles {
    /// Asks the files something, where waiting for a disk holds up nobody.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&LedgerFiles, &Opened) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let files = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&files.dir).map_err(|error| unreadable(&error))?;
            ask(&files, &Opened::of(reader, &files.key)?)
        });
        asked.await.unwrap_or_else(|_| {
            Err(Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, "reading the ledger was broken off"))
        })
    }
}

impl Opened {
    /// Under the key that is in force now: where the known one did not sign the checkpoint, the way from it is followed, each
    /// change of which both keys signed. The error is of the known key, if there is no way from it.
    fn of(reader: Reader, known: &VerifierKey) -> Result<Opened, Problem> {
        let mut key = known.clone();
        let mut signed = reader.signed_checkpoint(known);
        if signed.is_err() {
            let keys = reader.keys(known, control::key_change).map_err(|error| unreadable(&error))?;
            if keys.current() != known {
                key = keys.current().clone();
                signed = reader.signed_checkpoint(&key);
            }
        }
        let (checkpoint, note) = signed.map_err(|error| unreadable(&error))?;
        Ok(Opened { reader, checkpoint, note, key })
    }

    /// The entry, if the checkpoint covers it.
    pub(crate) fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Problem> {
        if index >= self.checkpoint.size() {
            return Ok(None);
        }
        let mut entries =
            self.reader.entries(&self.checkpoint, index..index + 1).map_err(|error| unreadable(&error))?;
        entries.next().transpose().map_err(|error| unreadable(&error))
    }

    /// Entries below `before`, the newest first, while `look` wants more, and at most so many. The lowest index that was looked
    /// at: 0 if there are no more.
    pub(crate) fn backward(
        &self,
        before: u64,
        most: u64,
        mut look: impl FnMut(Entry) -> Result<bool, Problem>,
    ) -> Result<u64, Problem> {
        let mut end = before.min(self.checkpoint.size());
        let last = end.saturating_sub(most);
        while end > last {
            let start = ((end - 1) / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH)).max(last);
            let entries = self.reader.entries(&self.checkpoint, start..end).map_err(|error| unreadable(&error))?;
            // One bundle: at most 256 entries, 16 MiB.
            let entries: Vec<Vec<u8>> = entries.collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
            for (at, bytes) in entries.into_iter().enumerate().rev() {
                let index = start + at as u64;
                if !look(Entry { index, bytes })? {
                    return Ok(index);
                }
            }
            end = start;
        }
        Ok(end)
    }

    /// What happened in a rollout of one kind, as its JSON names it, the newest first, while `take` wants more: within so many
    /// entries, and back to the rollout's start. Whether anything of the rollout was seen.
    pub(crate) fn happened(
        &self,
        rollout: &RolloutId,
        kind: &str,
        most: u64,
        mut take: impl FnMut(u64, UnixMillis, Event) -> bool,
    ) -> Result<bool, Problem> {
        let mut is_known = false;
        self.backward(u64::MAX, most, |entry| {
            // Other records need not be decoded.
            if !entry.mentions(&rollout.0) || !(entry.mentions("\"started\"") || entry.mentions(kind)) {
                return Ok(true);
            }
            let record = entry.record()?;
            if record.rollout.as_ref() != Some(rollout) {
                return Ok(true);
            }
            is_known = true;
            match record.body {
                Body::Started(_) => Ok(false),
                Body::Happened(event) => Ok(take(entry.index, record.at, *event)),
                _ => Ok(true),
            }
        })?;
        Ok(is_known)
    }
}

impl Entry {
    /// The record that it is.
    pub(crate) fn record(&self) -> Result<Record, Problem> {
        control::decode(self.index, &self.bytes).map_err(|error| unreadable(&error))
    }

    /// Whether these bytes are somewhere in it: cheaper than to decode what is of no interest.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        text.is_empty() || self.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// A ledger that cannot be read, or does not hold.
pub(crate) fn unreadable(error: &dyn std::error::Error) -> Problem {
    let detail = format!("the ledger cannot be read: {}", model::with_causes(error));
    Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
}
