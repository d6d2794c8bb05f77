//! What witnesses cosigned of a ledger, beside its checkpoint: `cosignatures/<key id>`, one signed note for each witness, the
//! newest that it cosigned, with the log's signature and its own. The `checkpoint` itself stays as the log signed it, for
//! readers of tlog-tiles, and is replaced by each append; a witness is slower than that.
//!
//! Beside it `cosignatures/<key id>.pub`, the key that verifies it: so that what was cosigned can be handed on whole. It proves
//! nothing to whoever does not know the witness; they name the keys that they trust.

use crate::disk::{Disk, ReadDisk};
use crate::real_disk::RealDisk;
use crate::recover::Claim;
use crate::wal::open_by_any;
use crate::{DiskError, ProofError, ReadCheckpointError};
use ledger::{
    Checkpoint, Hash, Head, KeyName, MAX_NOTE_BYTES, Note, NoteSignature, OpenCheckpointError, ParseKeyError,
    VerifierKey, WitnessKey,
};
use std::path::Path;

/// The folder, below the ledger's.
const FOLDER: &str = "cosignatures";

/// What a key's file has behind the key's id.
const KEY_SUFFIX: &str = ".pub";

/// The longest key: a name of 1 KiB and 54 characters of id and key, rounded up.
const MAX_KEY_BYTES: usize = 2048;

/// Witnesses whose cosignatures are kept beside one ledger. A note cannot have more than 32 signatures; twice that are keys
/// of which some are no longer asked.
const MAX_KEPT: usize = 64;

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

/// The newest that a witness cosigned, as a note that can be handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedNote {
    /// Who, by the key that is kept beside it.
    pub witness: WitnessKey,
    /// What.
    pub checkpoint: Checkpoint,
    /// The log's signature and the witness', and no other.
    pub note: Note,
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
    /// The file with a witness' key does not hold it.
    #[error("cosignatures/{file} does not hold the key of a witness with that id: move it away, and what it cosigned")]
    Key {
        /// Its name.
        file: String,
        /// What is wrong, if it is no key at all.
        #[source]
        source: Option<ParseKeyError>,
    },
    /// There are more of them than any ledger has.
    #[error("there are more than {MAX_KEPT} keys of witnesses in {FOLDER}: move those away that do not belong there")]
    TooManyKeys,
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
        // First: what was cosigned is of no use without it, and it is of use without that. It never changes.
        let key = format!("{path}{KEY_SUFFIX}");
        if self.disk.length(&key)?.is_none() {
            let temporary = format!("{key}.tmp");
            self.disk.write_synced(&temporary, format!("{witness}\n").as_bytes())?;
            self.disk.rename(&temporary, &key)?;
        }
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

/// The newest that a witness cosigned, if there is something; both signatures hold, the log's by one of its keys.
pub(crate) fn read<'key>(
    disk: &dyn ReadDisk,
    keys: &[VerifierKey],
    witness: &'key WitnessKey,
) -> Result<Option<CosignedHead<'key>>, CosignatureError> {
    let read = read_note(disk, keys, witness)?;
    Ok(read.map(|(_, checkpoint, at_s)| CosignedHead { witness, head: Head::of(&checkpoint), at_s }))
}

/// The note, what it says, and when it was cosigned.
pub(crate) fn read_note(
    disk: &dyn ReadDisk,
    keys: &[VerifierKey],
    witness: &WitnessKey,
) -> Result<Option<(Note, Checkpoint, u64)>, CosignatureError> {
    let Some(bytes) = disk.read(&path(witness), MAX_NOTE_BYTES)? else { return Ok(None) };
    let refused = |source| CosignatureError::Note { witness: witness.name().clone(), source };
    // A byte that is not UTF-8 is replaced, which no signature survives.
    let note = String::from_utf8_lossy(&bytes).parse();
    let note: Note = note.map_err(|error| refused(OpenCheckpointError::Note(error)))?;
    // A witness that did not answer since the key changed has cosigned what an earlier key signed.
    let made = |key: &&VerifierKey| note.signatures().iter().any(|it| it.name == *key.name() && it.id == key.id());
    let key = keys.iter().rev().find(made).or(keys.last()).expect("a log has a key");
    let (checkpoint, cosigned) = Checkpoint::open_cosigned(&note, key, &[witness]).map_err(refused)?;
    // Without its cosignature, the file says nothing of this witness.
    let at_s = cosigned.first().map(|it| it.at_s);
    Ok(at_s.map(|at_s| (note, checkpoint, at_s)))
}

/// What all witnesses cosigned whose keys are kept, in the order of these keys' ids.
pub(crate) fn read_all(disk: &dyn ReadDisk, key: &VerifierKey) -> Result<Vec<CosignedNote>, CosignatureError> {
    let mut files = disk.list(FOLDER)?.unwrap_or_default();
    files.retain(|file| file.ends_with(KEY_SUFFIX));
    files.sort();
    if files.len() > MAX_KEPT {
        return Err(CosignatureError::TooManyKeys);
    }
    let mut notes = Vec::new();
    for file in files {
        let Some(bytes) = disk.read(&format!("{FOLDER}/{file}"), MAX_KEY_BYTES)? else { continue };
        let witness = String::from_utf8_lossy(&bytes).trim_end().parse::<WitnessKey>();
        let witness = witness.map_err(|error| CosignatureError::Key { file: file.clone(), source: Some(error) })?;
        if format!("{}{KEY_SUFFIX}", witness.id()) != file {
            return Err(CosignatureError::Key { file, source: None });
        }
        if let Some((note, checkpoint, _)) = read_note(disk, std::slice::from_ref(key), &witness)? {
            let of_log = |it: &NoteSignature| it.name == *key.name() && it.id == key.id();
            let note = note.retaining(|it| of_log(it) || witness.made(it));
            notes.push(CosignedNote { witness, checkpoint, note });
        }
    }
    Ok(notes)
}

/// Everything that the log signed and somebody cosigned, whoever that is: the log's own signature is enough for the log to know
/// that it was as long once. What is not signed so says nothing here; [`crate::Reader::cosigned`] tells what is wrong with it.
pub(crate) fn claims(disk: &dyn ReadDisk, (keys, origin): (&[&VerifierKey], &str)) -> Result<Vec<Claim>, DiskError> {
    let mut claims = Vec::new();
    for name in disk.list(FOLDER)?.unwrap_or_default() {
        let by = format!("{FOLDER}/{name}");
        let Some(bytes) = disk.read(&by, MAX_NOTE_BYTES)? else { continue };
        let Ok(note) = String::from_utf8_lossy(&bytes).parse() else { continue };
        if let Ok(checkpoint) = open_by_any(&note, keys)
            && checkpoint.origin() == origin
        {
            claims.push(Claim { size: checkpoint.size(), root: checkpoint.root(), by });
        }
    }
    Ok(claims)
}
