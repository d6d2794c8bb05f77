//! The ledger on disk: files, fsync, recovery. The only writer of the ledger to disk. Blocking: callers run it on a
//! thread of their own.
//!
//! One directory holds a C2SP tlog-tiles log exactly as a static file server would serve it (`checkpoint`, `tile/…`), and
//! three files of ours: `wal` (what is being appended), `lock` (one writer) and, while a file is written, `tmp`.
//!
//! What an append does, in this order, each step durable before the next:
//! 1. one frame with the whole batch is written to `wal` and synced: from here on a crash keeps the batch;
//! 2. bundles and tiles are written to `tmp`, synced, renamed, and their directories synced;
//! 3. the checkpoint is signed, and written the same way: from here on readers see the batch;
//! 4. partial tiles that the new checkpoint does not need are removed; a long `wal` is emptied.
//!
//! So a crash at any call leaves the log as it was or with the whole batch, and an acknowledged batch is always there.
//! Opening replays what step 1 kept. A batch whose append *failed* may be there or not: the writer refuses to go on
//! until the ledger was opened again, and the log says which.
//!
//! **One deviation from tlog-tiles**: it wants a partial tile served until its full tile exists. Here a partial tile goes
//! as soon as a checkpoint that does not need it is durable, else there would be up to 255 files of each tile. A client
//! with an older checkpoint finds what it needs, the same hashes and more, in the current partial tile or the full one,
//! as [`Reader`] does; a client that cannot fetches the checkpoint again.
//!
//! It cannot notice a directory that was restored, whole, to an earlier state: a witness can. [`Cosignatures`] keeps what
//! witnesses cosigned beside the checkpoint, and [`Witnessed`] what a witness of ours cosigned of others.

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
mod served;
mod settle;
mod wal;
mod watch;
mod witnessed;

#[cfg(test)]
mod sim_disk;
#[cfg(test)]
mod tests;

pub use append::{AppendError, Reserve, Store};
pub use cosignatures::{CosignatureError, Cosignatures, CosignedHead};
pub use disk::DiskError;
pub use entries::{Entries, ProofError, ReadError};
pub use evidence::{Evidence, EvidenceError, MAX_BLOBS, MAX_EVIDENCE_BYTES, Retention, Surplus, evidence_digest};
pub use key_file::{KeyFileError, load_or_create_cosigner_key, load_or_create_signing_key};
pub use open::{CreateError, OpenError, Recovered};
pub use reader::{OpenReaderError, ReadCheckpointError, Reader, Report, VerifyError};
pub use group::{Appender, Group, GroupError};
pub use frame::MAX_BATCH_BYTES;
pub use watch::{Tampered, Tampering};
pub use witnessed::{Witnessed, WitnessedError};
