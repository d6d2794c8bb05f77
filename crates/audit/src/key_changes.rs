//! From an older key of the ledger to the one that signed the bundle: each change is a record that is the last under a
//! checkpoint which both keys signed.

use crate::bundle::Bundle;
use ledger::{LogProof, OpenCheckpointError, VerifierKey, VerifyLogProofError};
use rollout::{Body, Record};

/// A change of the ledger's key that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    /// The file has no record of it.
    #[error("keys/{index:010}.tlog-proof has no record of a change of the key")]
    NoRecord {
        /// The entry.
        index: u64,
    },
    /// The old key did not sign it, or it is not there.
    #[error("keys/{index:010}.tlog-proof does not hold by the old key")]
    Proof {
        /// The entry.
        index: u64,
        /// Why.
        #[source]
        source: VerifyLogProofError,
    },
    /// The new key did not sign it.
    #[error("keys/{index:010}.tlog-proof does not hold by the new key")]
    NewKey {
        /// The entry.
        index: u64,
        /// Why.
        #[source]
        source: OpenCheckpointError,
    },
    /// Its checkpoint is not the one that ends with it, or not of this ledger, or others signed it.
    #[error(
        "keys/{index:010}.tlog-proof: expected a checkpoint of this ledger that ends with the change, signed by the old key and \
         the new one alone"
    )]
    Checkpoint {
        /// The entry.
        index: u64,
    },
    /// The old key is not the one that was in force.
    #[error("keys/{index:010}.tlog-proof changes the key from {found}, but {expected} was in force")]
    Chain {
        /// The entry.
        index: u64,
        /// Its old key.
        found: VerifierKey,
        /// The new key of the change before.
        expected: VerifierKey,
    },
    /// The key that the auditor has is none of them.
    #[error("the ledger was signed by {} in turn, and the key that is known is none of these", of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    UnknownKey {
        /// Those that signed it.
        of: Vec<VerifierKey>,
    },
}

/// All keys of the ledger in their order, of which one is known; the last signed the bundle's checkpoint. A bundle without
/// changes has the known key alone.
pub(crate) fn follow(bundle: &Bundle, known: &VerifierKey) -> Result<Vec<VerifierKey>, KeyChangeError> {
    let mut keys: Vec<VerifierKey> = Vec::new();
    for (index, proof) in &bundle.key_changes {
        let (old, new) = changed(*index, proof, bundle.origin())?;
        match keys.last() {
            None => keys.push(old),
            Some(before) if *before == old => {}
            Some(before) => {
                return Err(KeyChangeError::Chain { index: *index, found: old, expected: before.clone() });
            }
        }
        keys.push(new);
    }
    if keys.is_empty() {
        keys.push(known.clone());
    }
    if keys.contains(known) { Ok(keys) } else { Err(KeyChangeError::UnknownKey { of: keys }) }
}

/// One change, once it is proved: the old key and the new.
fn changed(index: u64, proof: &LogProof, origin: &str) -> Result<(VerifierKey, VerifierKey), KeyChangeError> {
    let bytes = proof.extra.as_deref().unwrap_or_default();
    let keys = || {
        let Body::KeyRotated { old, new } = serde_json::from_slice::<Record>(bytes).ok()?.body else { return None };
        Some((old.parse::<VerifierKey>().ok()?, new.parse::<VerifierKey>().ok()?))
    };
    let (old, new) = keys().ok_or(KeyChangeError::NoRecord { index })?;
    let checkpoint = proof.verify_key_change(&old, &new).map_err(|error| match error {
        ledger::KeyChangeError::Old(source) => KeyChangeError::Proof { index, source },
        ledger::KeyChangeError::New(source) => KeyChangeError::NewKey { index, source },
        ledger::KeyChangeError::Checkpoint => KeyChangeError::Checkpoint { index },
    })?;
    let signers: Vec<_> = proof.checkpoint.signatures().iter().map(|it| (&it.name, it.id)).collect();
    let both = signers == [(old.name(), old.id()), (new.name(), new.id())];
    if !both || checkpoint.origin() != origin {
        return Err(KeyChangeError::Checkpoint { index });
    }
    Ok((old, new))
}
