//! A transparency log over opaque bytes: what is hashed, signed and proved, and how it is written down.
//!
//! Pure: no clock, no randomness, no I/O, no async, no logging, and nothing of ours beneath it. It does not know what
//! an entry means (invariant 6). Reading and writing tiles is the caller's: functions that need one take a closure.
//!
//! | module | follows |
//! | --- | --- |
//! | `hash` | RFC 6962 section 2.1: leaf and node hashes, SHA-256 |
//! | `tile` | C2SP tlog-tiles, "Merkle Tree", "Partial Tiles", "Log entries": coordinates, paths, widths, bundles |
//! | `edge` | the same: the incomplete tiles of a growing tree, so that an append never reads the log |
//! | `tree` | RFC 6962 sections 2.1.1 and 2.1.2: roots and proofs, made from tiles |
//! | `proof` | RFC 9162 sections 2.1.3.2 and 2.1.4.2: proofs of RFC 6962's tree, verified |
//! | `key` | C2SP signed-note, "Signatures", "Signature types" (0x01, Ed25519); key strings as in Go's sumdb/note |
//! | `signer` | the same: who signs, with a key here or one elsewhere, such as in a token |
//! | `note` | C2SP signed-note, "Format", "Signatures" |
//! | `checkpoint` | C2SP tlog-checkpoint, "Note text" |
//! | `log_proof` | C2SP tlog-proof, "Format" |
//! | `cosignature` | C2SP tlog-cosignature, "Format", "Ed25519 signed message" (0x04) |
//! | `add_checkpoint` | C2SP tlog-witness, "add-checkpoint": the request |
//! | `witness` | the same: what a witness decides upon it |
//! | `dsse` | DSSE 1.0.0, "Signature Definition", "Standard JSON envelope" |
//!
//! Everything that parses takes outside bytes: it refuses what the specification does not allow, and what is larger
//! than a named bound, and never panics. Signatures of unknown keys are kept and ignored, as signed-note wants it.

mod add_checkpoint;
mod checkpoint;
mod cosignature;
mod dsse;
mod edge;
mod hash;
mod key;
mod log_proof;
mod note;
mod origin;
mod proof;
mod signer;
mod tile;
mod tree;
mod witness;

pub use add_checkpoint::{AddCheckpoint, MAX_ADD_CHECKPOINT_BYTES, MAX_WITNESS_PROOF_HASHES, ParseAddCheckpointError};
pub use checkpoint::{Checkpoint, OpenCheckpointError, ParseCheckpointError};
pub use cosignature::{Cosigned, CosignerKey, WitnessKey};
pub use dsse::{Envelope, EnvelopeSignature, MAX_ENVELOPE_BYTES, ParseEnvelopeError, VerifyEnvelopeError};
pub use edge::{Edge, EdgeError, TileContent};
pub use hash::{HASH_BYTES, Hash, ParseHashError};
pub use key::{KeyId, KeyName, MAX_KEY_NAME_BYTES, ParseKeyError, SignerKey, VerifierKey};
pub use log_proof::{
    KeyChangeError, LogProof, MAX_EXTRA_BYTES, MAX_LOG_PROOF_BYTES, ParseLogProofError, VerifyLogProofError,
};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteSignature, ParseNoteError, VerifyNoteError};
pub use origin::Origin;
pub use proof::{MAX_PROOF_HASHES, ProofError, verify_consistency, verify_inclusion};
pub use signer::{LogSigner, SIGNATURE_BYTES, Sign, SignError};
pub use tile::{
    Bundle, BundleError, EntryTooLong, MAX_BUNDLE_BYTES, MAX_ENTRY_BYTES, ParsePathError, TILE_WIDTH, Tile,
    decode_bundle, encode_entry,
};
pub use tree::{TileTree, TreeError};
pub use witness::{Head, Misbehaviour, Refusal, consider};
