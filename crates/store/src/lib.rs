//! The ledger on disk: files, fsync, recovery. The only writer of the ledger to disk. Blocking: callers run it on a
//! thread of their own.
//!
//! One directory holds a C2SP tlog-tiles log exactly as a static file server would serve it (`checkpoint`, `tile/…`), and
//! three names of ours: `wal` (what is being appended, [`wal`]), `lock` (one writer) and `tmp/` (files before they get their
//! names).
//!
//! What an append does, in this order:
//! 1. bundles and tiles are written to `tmp/`: a full disk shows here, before anything is logged;
//! 2. one frame with the whole batch is written to `wal` and synced: from here on the batch is durable;
//! 3. bundles and tiles get their names; the checkpoint is signed, written to `tmp/` and gets its name: from here on readers see
//!    the batch. Then it is acknowledged;
//! 4. partial files that neither the new checkpoint nor the durable base needs are removed.
//!
//! Step 2 has the only sync. What step 3 wrote may be lost or torn when the power goes, and is made again from `wal`: so a
//! checkpoint is signed and seen over durable entries only, and never newer than what opening gives. When a half of `wal` is full
//! everything that was written is synced, beside the appends, and `wal` remembers the head up to which it was: the **base**. Then
//! that half is free ([`settle`]).
//!
//! So a crash at any call leaves the log as it was or with the whole batch, and an acknowledged batch is always there.
//! Opening makes again what step 2 kept. A batch whose append *failed* may be there or not: the writer refuses to go on until
//! the ledger was opened again, and the log says which. A batch that was *refused* ([`AppendError::is_refusal`]) is not.
//!
//! **A full disk** does not reach `wal`, whose room is set aside. Ordinary batches are refused; one that may use the reserve
//! ([`Reserve`]) is durable and in the tree, and its files stay in memory until there is room. **A file that somebody else
//! touches** while the ledger is open is noticed before the next batch is acknowledged ([`watch`]).
//!
//! **One deviation from tlog-tiles**: it wants a partial tile served until its full tile exists. Here a partial tile goes
//! as soon as neither a checkpoint nor the base needs it, else there would be up to 255 files of each tile. A client
//! with an older checkpoint finds what it needs, the same hashes and more, in the current partial tile or the full one,
//! as [`Reader`] does; a client that cannot fetches the checkpoint again.
//!
//! It goes on in another folder each year: [`Shards`]. Its key can change: [`Store::rotate`], with a checkpoint that the old and
//! the new key sign.
//!
//! It cannot notice a directory that was restored, whole, to an earlier state: a witness can. [`Cosignatures`] keeps what
//! witnesses cosigned beside the checkpoint, and a log that is shorter than that does not open. [`Witnessed`] is what a witness of
//! ours cosigned of others.

mod append;
mod cosignatures;
mod disk;
mod entries;
mod evidence;
mod frame;
mod group;
mod key_file;
mod open;
mod place;
mod reader;
mod real_disk;
mod recover;
mod rotation;
mod served;
mod settle;
mod shards;
mod subjects;
mod wal;
mod watch;
mod witnessed;

#[cfg(test)]
mod sim_disk;
#[cfg(test)]
mod tests;

pub use append::{AppendError, Reserve, Store};
pub use cosignatures::{CosignatureError, Cosignatures, CosignedHead, CosignedNote};
pub use disk::DiskError;
pub use entries::{Entries, ProofError, ReadError};
pub use evidence::{
    Evidence, EvidenceError, MAX_BLOBS, MAX_EVIDENCE_BYTES, Retention, Surplus, evidence_digest, is_evidence_digest,
};
pub use frame::MAX_BATCH_BYTES;
pub use group::{Appender, Group, GroupError};
pub use key_file::{
    KeyEncoding, KeyFileError, MAX_KEY_FILE_BYTES, finish_key_switch, load_or_create_cosigner_key,
    load_or_create_encoded_signing_key, load_or_create_signing_key, load_plain_signing_key, load_signing_key,
    next_key_path, publish_verifier_key, read_public, read_secret, retire_verifier_key, rewrite_signing_key,
    switch_key,
};
pub use open::{CreateError, OpenError, Recovered};
pub use reader::{OpenReaderError, ReadCheckpointError, Reader, Report, VerifyError};
pub use rotation::{KeyChange, LogKeys, RotateError, RotationError, Signers};
pub use shards::{Ended, ShardError, Shards};
pub use subjects::{MAX_SUBJECT_BYTES, SubjectError, Subjects};
pub use watch::{Tampered, Tampering};
pub use witnessed::{Witnessed, WitnessedError};
