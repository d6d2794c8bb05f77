//! A change of the ledger's signing key: the server's own record of it, appended by whoever has the ledger's lock. No
//! controller runs meanwhile.

use crate::journal::{JournalError, decode, encode, replay_store};
use ledger::{LogSigner, VerifierKey};
use model::UnixMillis;
use rollout::{Body, Record};
use store::{KeyChange, RotateError, Store};

/// A key that was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeyError {
    /// The records do not lead to a state, so nothing is appended to them.
    #[error("the ledger's records do not hold")]
    Records(#[source] JournalError),
    /// The record, or the signatures over it.
    #[error(transparent)]
    Rotate(#[from] RotateError),
}

/// Records that another key signs from here on, and has it sign. Returns the record's entry.
pub fn rotate_key(store: &mut Store, next: LogSigner, at: UnixMillis, by: String) -> Result<u64, RotateKeyError> {
    let replay = replay_store(store).map_err(RotateKeyError::Records)?.replay;
    let record = Record {
        version: Record::VERSION,
        rollout: None,
        sequence: replay.next_server_sequence,
        at,
        by,
        body: Body::KeyRotated { old: store.verifier().to_string(), new: next.verifier().to_string() },
    };
    let entry = encode(&record).map_err(RotateKeyError::Records)?;
    Ok(store.rotate(&entry, next)?)
}

/// What an entry says of a change of the key, if it does: for [`store::Reader::keys`].
pub fn key_change(entry: &[u8]) -> Option<KeyChange> {
    match decode(0, entry).ok()?.body {
        Body::KeyRotated { old, new } => {
            let (old, new): (VerifierKey, VerifierKey) = (old.parse().ok()?, new.parse().ok()?);
            Some(KeyChange { old, new })
        }
        _ => None,
    }
}
