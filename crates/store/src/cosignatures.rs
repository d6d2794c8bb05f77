//! What witnesses cosigned of a ledger, beside its checkpoint: `cosignatures/<key id>`, one signed note for each witness, the
//! newest that it cosigned, with the log's signature and its own. The `checkpoint` itself stays as the log signed it, for
//! readers of tlog-tiles, and is replaced by each append; a witness is slower than that.

use crate::disk::{Disk, ReadDisk};
use crate::real_disk::RealDisk;
use crate::recover::Claim;
use crate::{DiskError, ProofError, ReadCheckpointError};
use ledger::{Checkpoint, Hash, Head, KeyName, MAX_NOTE_BYTES, Note, OpenCheckpointError, VerifierKey, WitnessKey};
use std::path::Path;

/// The folder, below the ledger's.
const FOLDER: &str = "cosignatures";

/// Keeps what witnesses cosigned. One process at a time, the ledger's writer, has it.
pub struct Cosignatures {
    disk: Box<dyn Disk>,
}

/// The newest that a witness cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CosignedHead<'key> {
    /// Who.
    pub witness: &'key WitnessKey,
    /// What.
    pub head: Head,
    /// When, by the witness' clock: seconds since the Unix epoch.
    pub at_s: u64,
}

/// Cosignatures that do not belong to the ledger, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CosignatureError {
    /// The note does not hold.
    #[error("what {witness} cosigned does not hold")]
    Note {
        /// The witness.
        witness: KeyName,
        /// What is wrong.
        #[source]
        source: OpenCheckpointError,
    },
    /// The witness saw more entries than there are.
    #[error("{witness} has cosigned {cosigned} entries, but there are {size}: the ledger was set back")]
    SetBack {
        /// The witness.
        witness: KeyName,
        /// What it cosigned.
        cosigned: u64,
        /// What the checkpoint was signed over.
        size: u64,
    },
    /// The witness saw other entries.
    #[error(
        "{witness} has cosigned {size} entries with the root {cosigned}, but here they have {root}: the log was forked"
    )]
    Forked {
        /// The witness.
        witness: KeyName,
        /// How many.
        size: u64,
        /// The root that it cosigned.
        cosigned: Hash,
        /// The root that the tiles give.
        root: Hash,
    },
    /// The root of the cosigned entries cannot be made.
    #[error("the root of what was cosigned cannot be computed")]
    Tree(#[source] ProofError),
    /// The ledger's own checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] ReadCheckpointError),
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Cosignatures {
    /// Those of the ledger in this folder. Makes their folder if it is not there.
    pub fn open(ledger: &Path) -> Result<Cosignatures, DiskError> {
        Cosignatures::on(Box::new(RealDisk::new(ledger)))
    }

    pub(crate) fn on(disk: Box<dyn Disk>) -> Result<Cosignatures, DiskError> {
        disk.create_dir(FOLDER)?;
        disk.sync_dir("")?;
        Ok(Cosignatures { disk })
    }

    /// Replaces, durably, what this witness cosigned before. The caller has verified it.
    pub fn keep(&self, witness: &WitnessKey, cosigned: &Note) -> Result<(), DiskError> {
        let path = path(witness);
        // A name for each witness, for several are kept at the same time.
        let temporary = format!("{path}.tmp");
        self.disk.write_synced(&temporary, cosigned.to_string().as_bytes())?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_dir(FOLDER).map(drop)
    }
}

fn path(witness: &WitnessKey) -> String {
    format!("{FOLDER}/{}", witness.id())
}

/// The newest that a witness cosigned, if there is something; both signatures hold.
pub(crate) fn read<'key>(
    disk: &dyn ReadDisk,
    key: &VerifierKey,
    witness: &'key WitnessKey,
) -> Result<Option<CosignedHead<'key>>, CosignatureError> {
    let Some(bytes) = disk.read(&path(witness), MAX_NOTE_BYTES)? else { return Ok(None) };
    let refused = |source| CosignatureError::Note { witness: witness.name().clone(), source };
    // A byte that is not UTF-8 is replaced, which no signature survives.
    let note = String::from_utf8_lossy(&bytes).parse();
    let note: Note = note.map_err(|error| refused(OpenCheckpointError::Note(error)))?;
    let (checkpoint, cosigned) = Checkpoint::open_cosigned(&note, key, &[witness]).map_err(refused)?;
    // Without its cosignature, the file says nothing of this witness.
    Ok(cosigned.first().map(|it| CosignedHead { witness, head: Head::of(&checkpoint), at_s: it.at_s }))
}

/// Everything that the log signed and somebody cosigned, whoever that is: the log's own signature is enough for the log to know
/// that it was as long once. What is not signed so says nothing here; [`crate::Reader::cosigned`] tells what is wrong with it.
pub(crate) fn claims(disk: &dyn ReadDisk, key: &VerifierKey) -> Result<Vec<Claim>, DiskError> {
    let mut claims = Vec::new();
    for name in disk.list(FOLDER)?.unwrap_or_default() {
        let by = format!("{FOLDER}/{name}");
        let Some(bytes) = disk.read(&by, MAX_NOTE_BYTES)? else { continue };
        if let Ok(checkpoint) = Checkpoint::open(&String::from_utf8_lossy(&bytes), key) {
            claims.push(Claim { size: checkpoint.size(), root: checkpoint.root(), by });
        }
    }
    Ok(claims)
}
