//! What an auditor takes away of a rollout: one file with its records, their proofs, the signed checkpoint and the evidence,
//! which is checked and replayed by whoever has it and the ledger's public key, with nothing else.
//!
//! Pure: bytes in, bytes out. A bundle is a function of what it is of, so the same bundle has the same bytes; and whatever
//! of it is not proved by itself is written again from what is, and compared. So no byte of a bundle can be changed unseen.

pub mod approvals;
mod bundle;
mod consistency;
mod controls;
mod derived;
mod exceptions;
mod files;
mod key_changes;
mod kind;
mod moment;
mod oscal;
mod replay;
mod report;
pub mod shift_proof;
mod statement;
mod verify;

pub use bundle::{Bundle, Entry, EntryContent};
pub use consistency::ConsistencyError;
pub use controls::{CONTROLS, Control, Framework, controls_markdown, records_markdown};
pub use files::{MAX_BUNDLE_BYTES, ReadBundleError};
pub use key_changes::KeyChangeError;
pub use kind::Kind;
pub use replay::{ReplayBundleError, Replayed};
pub use report::Words;
pub use statement::DECISION;
pub use verify::{CosignedBy, Sequence, Verified, VerifyBundleError, is_measurement, named_by};

#[cfg(test)]
mod tests;
