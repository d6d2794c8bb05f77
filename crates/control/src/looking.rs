//! Looks at evidence and at the traffic itself: who looked stands in the ledger before there is something to be seen, and
//! who was refused too.

use crate::controller::{Controller, SELF};
use crate::release::Held;
use model::{UnixMillis, with_causes};
use rollout::{Body, Principal};
use std::collections::BTreeMap;
use store::{Reserve, is_evidence_digest};

/// Of one principal's refusals of one kind one a minute is recorded, so that nobody fills the ledger with them.
const REFUSALS_EVERY_MS: u64 = 60_000;
/// Principals and kinds whose last refusal is remembered; when there are more, all are forgotten.
const MAX_REFUSED: usize = 256;

/// What stands in the place of the name of a client without a certificate that counts.
const UNKNOWN_CLIENT: &str = "a client without a certificate that is let in";
/// Characters of the reason that are recorded.
const MAX_REASON_CHARACTERS: usize = 300;

/// What stands in the place of the name of a caller whom nobody knows.
const UNKNOWN_CALLER: &str = "a caller whom nobody knows";

/// When whom was refused what last, and how often since.
pub(crate) type Refused = BTreeMap<(String, &'static str, String), (UnixMillis, u64)>;

/// What is recorded of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// For so long at most, in milliseconds.
    pub for_ms: u64,
    /// So many bytes at most.
    pub max_bytes: u64,
    /// Whether what is sensitive is replaced.
    pub redacted: bool,
    /// Who can open it: an age public key, which was checked.
    pub recipient: String,
}

/// Why there is nothing to be seen.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Not for this principal.
    #[error(
        "{by} is not named in verdigris.yaml, and what was seen of the traffic is for whom `principals` names; the refusal \
         is recorded"
    )]
    Refused {
        /// Who asked.
        by: String,
    },
    /// There is no such blob.
    #[error("there is no evidence {digest}: it was deleted, or never kept")]
    NotThere {
        /// What was asked for.
        digest: String,
    },
    /// It could not be recorded, so nothing is shown.
    #[error("the ledger did not take it, so nothing is shown: {0}")]
    Ledger(String),
    /// It is there and cannot be read.
    #[error("the evidence cannot be read: {0}")]
    Disk(String),
    /// The controller has stopped.
    #[error("the server is stopping")]
    Stopped,
}

impl Controller {
    /// A blob of evidence, `sha256:…`. Where the configuration names principals it is for them alone.
    pub(crate) fn look(&mut self, digest: &str, by: &Principal) -> Result<Vec<u8>, LookError> {
        if self.held != Held::Open {
            return Err(LookError::Ledger("another process has it".to_owned()));
        }
        let not_there = || LookError::NotThere { digest: digest.to_owned() };
        // What is recorded of a refusal is of bounded length, too.
        if !is_evidence_digest(digest) {
            return Err(not_there());
        }
        self.admit(&format!("evidence {digest}"), by)?;
        let read = self.journal.evidence.read(digest).map_err(|error| LookError::Disk(with_causes(&error)))?;
        let blob = read.ok_or_else(not_there)?;
        self.note(Body::EvidenceRead { digest: digest.to_owned(), from: by.from.clone() }, by)?;
        Ok(blob)
    }

    /// That somebody has the traffic recorded from here on. The same principals may as look at evidence.
    pub(crate) fn record_traffic(&mut self, recording: Recording, by: &Principal) -> Result<(), LookError> {
        if self.held != Held::Open {
            return Err(LookError::Ledger("another process has it".to_owned()));
        }
        self.admit("a recording of the traffic", by)?;
        let Recording { for_ms, max_bytes, redacted, recipient } = recording;
        self.note(Body::TrafficRecorded { for_ms, max_bytes, redacted, recipient, from: by.from.clone() }, by)
    }

    fn admit(&mut self, what: &str, by: &Principal) -> Result<(), LookError> {
        let named = &self.settings.principals;
        if !named.is_empty() && !named.iter().any(|known| known.name == by.name) {
            self.note_refusal(("evidence", ""), what, by);
            return Err(LookError::Refused { by: by.name.clone() });
        }
        Ok(())
    }

    fn note(&mut self, body: Body, by: &Principal) -> Result<(), LookError> {
        let record = self.journal.number(None, (self.clock)(), [(by.name.clone(), body)]);
        self.journal.append(&record, Reserve::Keep).map_err(|error| LookError::Ledger(error.to_string()))
    }

    /// Attempts at the gateway's ports by clients that nobody let in. They have no names, so that one a minute of them all is
    /// recorded, with how many there were.
    pub(crate) fn note_clients_refused(&mut self, clients: u64, from: Option<String>, reason: &str) {
        if self.held != Held::Open {
            return;
        }
        let reason: String = reason.chars().take(MAX_REASON_CHARACTERS).collect();
        let what = format!("OTLP ({clients} refused since the start; the last: {reason})");
        self.note_refusal(("clients", ""), &what, &unnamed(UNKNOWN_CLIENT, from));
    }

    /// What a principal asked for and may not, by their roles.
    pub(crate) fn note_access_refused(&mut self, what: &str, by: &Principal) {
        self.note_refusal(("action", what), what, by);
    }

    /// What the web port refused before it knew anybody; it tells that once a minute.
    pub(crate) fn note_callers_refused(&mut self, what: &str, from: Option<String>) {
        let what: String = what.chars().take(MAX_REASON_CHARACTERS).collect();
        self.note_refusal(("callers", ""), &what, &unnamed(UNKNOWN_CALLER, from));
    }

    fn note_refusal(&mut self, (kind, which): (&'static str, &str), what: &str, by: &Principal) {
        if self.held != Held::Open {
            return;
        }
        let now = (self.clock)();
        let key = (by.name.clone(), kind, which.to_owned());
        let mut since = 0;
        if let Some((last, more)) = self.refused.get_mut(&key) {
            if now < last.plus_ms(REFUSALS_EVERY_MS) {
                *more += 1;
                return;
            }
            since = *more;
        }
        if self.refused.len() >= MAX_REFUSED {
            self.refused.clear();
        }
        self.refused.insert(key, (now, 0));
        let again = if since > 0 { format!(" ({since} more times since the last record)") } else { String::new() };
        let what = format!("{what}{again}");
        tracing::warn!(by = %by.name, what, "access was refused");
        let body = Body::AccessRefused { what, who: by.name.clone(), from: by.from.clone() };
        let record = self.journal.number(None, now, [(SELF.to_owned(), body)]);
        if let Err(error) = self.journal.append(&record, Reserve::Keep) {
            tracing::error!("that access was refused is not in the ledger: {error}");
        }
    }
}

fn unnamed(name: &str, from: Option<String>) -> Principal {
    Principal { from, ..Principal::new(name, Vec::new()) }
}
