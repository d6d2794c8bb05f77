//! From one signing key to the next: an entry that says so, under a checkpoint that both keys sign. From the next checkpoint
//! on the new key signs alone. What the entry says is the caller's; here it is opaque.
//!
//! `rotation/<size>` keeps each doubly signed checkpoint: the entry is the last of the `size` that it covers, so whoever has the
//! old public key alone comes from it to the entry, and from the entry to the new key ([`Reader::keys`]). While it happens
//! there is `rotation/next`, which says at which entry, and from which key to which.
//!
//! The order, each step durable before the next: `rotation/next`; the entry, as any other; `rotation/<size>`; `checkpoint`, the
//! same note; `rotation/next` is removed. Opening after a crash completes it if the entry is in the write-ahead log, and else
//! undoes it. The new key signs nothing before the entry is durable.

use crate::append::{AppendError, Head, Store};
use crate::disk::{Disk, ReadDisk};
use crate::entries::{Entries, ProofError, read_tile};
use crate::place::CHECKPOINT;
use crate::{DiskError, ReadError, Reader};
use ledger::{
    Checkpoint, Edge, KeyChangeError, LogProof, LogSigner, MAX_KEY_NAME_BYTES, MAX_NOTE_BYTES, Note,
    OpenCheckpointError, SignerKey, TileTree, VerifierKey, VerifyLogProofError,
};

/// The folder, below the ledger's.
const FOLDER: &str = "rotation";

/// What is going on, while it is.
const INTENT: &str = "rotation/next";

/// A file before it gets its name. What a crash left of it is overwritten.
const TEMPORARY: &str = "rotation/tmp";

/// A number of 20 digits, and two keys of a name and 58 characters each, with their newlines.
const MAX_INTENT_BYTES: usize = 21 + 2 * (MAX_KEY_NAME_BYTES + 59);

/// Key changes of one log: one a day for eleven years. It bounds what somebody else's ledger costs to read.
const MAX_ROTATIONS: usize = 4_000;

/// The key in force, and the one that may follow it: which of them signs, the ledger says.
#[derive(Clone, Debug)]
pub struct Signers {
    /// The key in force, unless the ledger has gone on to the next.
    pub current: LogSigner,
    /// The one that follows it, while a rotation is under way.
    pub next: Option<LogSigner>,
}

impl From<LogSigner> for Signers {
    fn from(current: LogSigner) -> Signers {
        Signers { current, next: None }
    }
}

impl From<SignerKey> for Signers {
    fn from(key: SignerKey) -> Signers {
        LogSigner::from(key).into()
    }
}

impl Signers {
    fn find(&self, fits: impl Fn(&VerifierKey) -> bool) -> Option<&LogSigner> {
        std::iter::once(&self.current).chain(&self.next).find(|signer| fits(signer.verifier()))
    }

    fn ids(&self) -> String {
        let ids = std::iter::once(&self.current).chain(&self.next).map(|signer| signer.verifier().id().to_string());
        ids.collect::<Vec<_>>().join(" and ")
    }
}

/// A rotation that is under way.
pub(crate) struct Rotating {
    /// The entry that says so.
    index: u64,
    next: LogSigner,
}

/// A rotation that cannot begin. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The new key would make it another log.
    #[error("the new key is {new}, expected another key of the same name as {old}")]
    Key {
        /// The key in force.
        old: VerifierKey,
        /// The new one.
        new: VerifierKey,
    },
    /// There were too many.
    #[error("the ledger's key was changed {MAX_ROTATIONS} times, more than a reader follows: begin another ledger")]
    TooMany,
    /// What is there cannot be read, or the beginning cannot be noted.
    #[error("the rotation cannot begin")]
    Begin(#[from] DiskError),
    /// The entry was not acknowledged: opening the ledger again completes the rotation or undoes it.
    #[error("the rotation is completed or undone when the ledger is opened again, with both keys")]
    Append(#[from] AppendError),
}

/// Keys that do not belong to the ledger.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// A rotation was interrupted, and one of its keys is not there.
    #[error(
        "a change of the key from {old} to {new} was interrupted, and both are needed to complete or undo it; there is \
         key id {found}"
    )]
    BothKeys {
        /// The old key.
        old: VerifierKey,
        /// The new key.
        new: VerifierKey,
        /// The ids of the keys that are there.
        found: String,
    },
    /// The key was replaced.
    #[error("since entry {entry} the ledger is signed by another key: there is key id {found}, expected {expected}")]
    Retired {
        /// The entry that says so.
        entry: u64,
        /// The ids of the keys that are there.
        found: String,
        /// The id of the key in force.
        expected: String,
    },
    /// The ledger is shorter than what both keys signed.
    #[error("both keys of a change signed {signed} entries ({path}), but there are {size}: the ledger was set back")]
    SetBack {
        /// The doubly signed checkpoint.
        path: String,
        /// How many entries it covers.
        signed: u64,
        /// How many there are.
        size: u64,
    },
    /// A file has not the form that it is written in.
    #[error("{path} is not what was written there: restore it from a backup")]
    Malformed {
        /// The file.
        path: String,
    },
    /// A doubly signed checkpoint is not signed by both keys, or not of this log.
    #[error("{path} does not hold")]
    Note {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: OpenCheckpointError,
    },
    /// The entry cannot be read.
    #[error("entry {entry}, where the key changed, cannot be read")]
    Entry {
        /// The entry.
        entry: u64,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// The entry says nothing of a change of keys.
    #[error("{path} is of a change of the key, but entry {entry} does not record one")]
    NoRecord {
        /// The file.
        path: String,
        /// The entry.
        entry: u64,
    },
    /// The old key of one change is not the new key of the one before.
    #[error("entry {entry} changes the key from {found}, but that in force was {expected}")]
    Chain {
        /// The entry.
        entry: u64,
        /// Its old key.
        found: VerifierKey,
        /// The new key of the change before.
        expected: VerifierKey,
    },
    /// The tiles do not lead to the root that both keys signed.
    #[error("no proof leads from entry {entry} to the root that both keys signed")]
    Proof {
        /// The entry.
        entry: u64,
        /// Why.
        #[source]
        source: ProofError,
    },
    /// A proof that was made of the tiles does not lead to the signed root.
    #[error("entry {entry} is not under the root that both keys signed: it was altered")]
    Altered {
        /// The entry.
        entry: u64,
        /// Why.
        #[source]
        source: ledger::ProofError,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What an entry says of a change of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key before.
    pub old: VerifierKey,
    /// The key from then on.
    pub new: VerifierKey,
}

/// All keys of a log, each with the signature of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeys {
    /// In their order; the last is in force.
    pub keys: Vec<VerifierKey>,
    /// The entries where they changed: one fewer than keys.
    pub changed_at: Vec<u64>,
}

impl LogKeys {
    /// The key in force.
    pub fn current(&self) -> &VerifierKey {
        self.keys.last().expect("a log has a key")
    }
}

impl Store {
    /// Appends the entry that says so, and goes on with another key: from here on that one signs. Returns the entry's index.
    /// When this fails after it began, opening the ledger again with both keys tells which of them is in force.
    pub fn rotate(&mut self, entry: &[u8], next: LogSigner) -> Result<u64, RotateError> {
        let (old, new) = (self.verifier().clone(), next.verifier().clone());
        if old.name() != new.name() || old.id() == new.id() {
            return Err(RotateError::Key { old, new });
        }
        if sizes(&**self.served.disk())?.len() >= MAX_ROTATIONS {
            return Err(RotateError::TooMany);
        }
        let index = self.size();
        if self.broken.is_none() {
            // So that the durable head is the last that the old key signs alone.
            self.settle_head()?;
            self.served.disk().create_dir(FOLDER)?;
            self.served.disk().sync_dir("")?;
            keep(&**self.served.disk(), INTENT, &format!("{index}\n{old}\n{new}\n"))?;
            self.rotating = Some(Rotating { index, next });
        }
        self.append(&[entry.to_vec()])?;
        // The change is durable whatever becomes of this; if it fails, opening does it.
        if let Err(error) = self.close_rotation() {
            self.broken = Some(format!("{error}: {}", error.source));
        }
        Ok(index)
    }

    /// Signs the head of a tree whose tiles are durable: with both keys where they change, and goes on with the new one.
    pub(crate) fn sign_head(&mut self, edge: Edge, tail: Vec<u8>) -> Result<Head, DiskError> {
        let Some(Rotating { next, .. }) = self.rotating.take_if(|it| it.index + 1 == edge.size()) else {
            return Head::sign(&self.origin, edge, tail, &[&self.signer]);
        };
        let head = Head::sign(&self.origin, edge, tail, &[&self.signer, &next])?;
        keep(&**self.served.disk(), &path(head.edge.size()), &head.text)?;
        self.signer = next;
        Ok(head)
    }

    /// After opening, or after a rotation: nothing is under way any more, once the durable head is what both keys signed.
    pub(crate) fn close_rotation(&mut self) -> Result<(), DiskError> {
        if self.rotating.take().is_none() {
            if self.served.is_behind() {
                // On a full disk: opening it when there is room finds the beginning, and that it was completed.
                return Ok(());
            }
            self.settle_head()?;
        }
        if self.served.disk().length(INTENT)?.is_some() {
            self.served.disk().remove(INTENT)?;
        }
        // Also if it is gone: whoever removed it may have died before that was durable.
        self.served.disk().sync_dir(FOLDER).map(drop)
    }

    /// Completes what a crash left, once the write-ahead log was replayed.
    pub(crate) fn settle_rotation(&mut self) -> Result<(), RotationError> {
        let signed = sizes(&**self.served.disk())?.last().copied().unwrap_or(0);
        if signed > self.size() {
            return Err(RotationError::SetBack { path: path(signed), signed, size: self.size() });
        }
        Ok(self.close_rotation()?)
    }
}

/// Which keys may have signed what is there, and which of them signs from here on.
pub(crate) enum Choice {
    /// Nothing is under way.
    One(LogSigner),
    /// The key changes at this entry: before it the one signs, behind it the other.
    Changing { index: u64, before: LogSigner, next: LogSigner },
}

impl Choice {
    pub fn of(disk: &dyn ReadDisk, signers: Signers) -> Result<Choice, RotationError> {
        if let Some((index, KeyChange { old, new })) = read_intent(disk)? {
            let (Some(before), Some(next)) = (signers.find(|key| *key == old), signers.find(|key| *key == new)) else {
                return Err(RotationError::BothKeys { old, new, found: signers.ids() });
            };
            return Ok(Choice::Changing { index, before: before.clone(), next: next.clone() });
        }
        let Some(size) = sizes(disk)?.last().copied() else { return Ok(Choice::One(signers.current)) };
        // The new key signed last.
        let note = read_note(disk, &path(size))?;
        let expected = note.signatures().last().map(|signature| signature.id);
        match signers.find(|key| Some(key.id()) == expected) {
            Some(signer) => Ok(Choice::One(signer.clone())),
            None => Err(RotationError::Retired {
                entry: size.saturating_sub(1),
                found: signers.ids(),
                expected: expected.map(|id| id.to_string()).unwrap_or_default(),
            }),
        }
    }

    /// Whoever may have signed what is there.
    pub fn keys(&self) -> Vec<&VerifierKey> {
        match self {
            Choice::One(signer) => vec![signer.verifier()],
            Choice::Changing { before, next, .. } => vec![before.verifier(), next.verifier()],
        }
    }

    /// Who signs a log that was `durable` entries long and is `end` entries long, and what is under way there.
    pub fn at(&self, durable: u64, end: u64) -> (LogSigner, Option<Rotating>) {
        match self {
            Choice::One(signer) => (signer.clone(), None),
            // Nothing is appended behind the change before both keys have signed it.
            Choice::Changing { index, next, .. } if durable > *index || end > index + 1 => (next.clone(), None),
            Choice::Changing { index, before, next } => {
                (before.clone(), Some(Rotating { index: *index, next: next.clone() }))
            }
        }
    }
}

/// What `rotation/next` says.
fn read_intent(disk: &dyn ReadDisk) -> Result<Option<(u64, KeyChange)>, RotationError> {
    let Some(bytes) = disk.read(INTENT, MAX_INTENT_BYTES)? else { return Ok(None) };
    let parts = || {
        let text = std::str::from_utf8(&bytes).ok()?.strip_suffix('\n')?;
        let [index, old, new] = text.split('\n').collect::<Vec<_>>().try_into().ok()?;
        Some((index.parse().ok()?, KeyChange { old: old.parse().ok()?, new: new.parse().ok()? }))
    };
    parts().map(Some).ok_or_else(|| RotationError::Malformed { path: INTENT.to_owned() })
}

/// The size in the checkpoint, which nobody has verified yet.
pub(crate) fn claimed_size(disk: &dyn ReadDisk) -> Result<Option<u64>, DiskError> {
    let bytes = disk.read(CHECKPOINT, MAX_NOTE_BYTES)?.unwrap_or_default();
    let size = || {
        let note: Note = std::str::from_utf8(&bytes).ok()?.parse().ok()?;
        Some(note.text().parse::<Checkpoint>().ok()?.size())
    };
    Ok(size())
}

/// How many entries each doubly signed checkpoint covers, in their order.
fn sizes(disk: &dyn ReadDisk) -> Result<Vec<u64>, DiskError> {
    let names = disk.list(FOLDER)?.unwrap_or_default();
    let mut sizes: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    sizes.sort_unstable();
    Ok(sizes)
}

fn path(size: u64) -> String {
    format!("{FOLDER}/{size}")
}

fn read_note(disk: &dyn ReadDisk, path: &str) -> Result<Note, RotationError> {
    let bytes = disk.read(path, MAX_NOTE_BYTES)?.unwrap_or_default();
    // A byte that is not UTF-8 is replaced, which no signature survives.
    let note = String::from_utf8_lossy(&bytes).parse();
    note.map_err(|error| RotationError::Note { path: path.to_owned(), source: OpenCheckpointError::Note(error) })
}

/// Replaces a file, durably.
fn keep(disk: &dyn Disk, path: &str, text: &str) -> Result<(), DiskError> {
    disk.write_synced(TEMPORARY, text.as_bytes())?;
    disk.rename(TEMPORARY, path)?;
    disk.sync_dir(FOLDER).map(drop)
}

impl Reader {
    /// All keys of the log, for whoever has one of them. `change` says what an entry says of a change of keys, if it does.
    ///
    /// Each change is checked: both keys signed the checkpoint, the entry is the last under it by a proof, it names these
    /// keys, and its old key is the new one of the change before. A key that is none of them is given back alone: the
    /// checkpoint is not signed by it then.
    pub fn keys(
        &self,
        key: &VerifierKey,
        change: impl Fn(&[u8]) -> Option<KeyChange>,
    ) -> Result<LogKeys, RotationError> {
        // Without its entries nothing of the log names a key: it is the one in force that verifies it.
        if self.is_pruned()? {
            return Ok(LogKeys { keys: vec![key.clone()], changed_at: Vec::new() });
        }
        let mut log = LogKeys { keys: Vec::new(), changed_at: Vec::new() };
        let size = claimed_size(self.disk())?.unwrap_or(0);
        let under_way = self.disk().length(INTENT)?.is_some();
        for signed in sizes(self.disk())?.into_iter().take(MAX_ROTATIONS) {
            let path = path(signed);
            let (Some(entry), true) = (signed.checked_sub(1), signed <= size) else {
                // What a crash left before the checkpoint has followed: the old key is in force.
                if under_way {
                    break;
                }
                return Err(RotationError::SetBack { path, signed, size });
            };
            let KeyChange { old, new } = self.changed(&path, entry, size, &change)?;
            match log.keys.last() {
                None => log.keys.push(old),
                Some(before) if *before == old => {}
                Some(before) => {
                    return Err(RotationError::Chain { entry, found: old, expected: before.clone() });
                }
            }
            log.keys.push(new);
            log.changed_at.push(entry);
        }
        if !log.keys.contains(key) {
            log = LogKeys { keys: vec![key.clone()], changed_at: Vec::new() };
        }
        Ok(log)
    }

    /// The changes of these keys, for whoever is to follow them without the ledger.
    pub fn key_change_proofs(&self, keys: &LogKeys) -> Result<Vec<LogProof>, RotationError> {
        let size = claimed_size(self.disk())?.unwrap_or(0);
        keys.changed_at.iter().map(|entry| self.key_change_proof(*entry, size)).collect()
    }

    /// A change of the key as the proof of its entry, which is the extra data, under the checkpoint that both keys signed.
    fn key_change_proof(&self, entry: u64, size: u64) -> Result<LogProof, RotationError> {
        let checkpoint = read_note(self.disk(), &path(entry + 1))?;
        let read = Entries::new(self.disk(), size, entry..entry + 1).and_then(|mut all| all.next().transpose());
        let extra = read.map_err(|source| RotationError::Entry { entry, source })?;
        let mut tree = TileTree::new(size, |tile| read_tile(self.disk(), tile));
        let hashes = tree.inclusion_proof(entry, entry + 1);
        let hashes = hashes.map_err(|source| RotationError::Proof { entry, source })?;
        Ok(LogProof { extra, index: entry, hashes, checkpoint })
    }

    /// One change of keys, once it is proved.
    fn changed(
        &self,
        path: &str,
        entry: u64,
        size: u64,
        change: impl Fn(&[u8]) -> Option<KeyChange>,
    ) -> Result<KeyChange, RotationError> {
        let proof = self.key_change_proof(entry, size)?;
        let found = proof.extra.as_deref().and_then(change);
        let found = found.ok_or_else(|| RotationError::NoRecord { path: path.to_owned(), entry })?;
        proof.verify_key_change(&found.old, &found.new).map_err(|error| match error {
            KeyChangeError::Old(VerifyLogProofError::Inclusion(source)) => RotationError::Altered { entry, source },
            KeyChangeError::Old(VerifyLogProofError::Checkpoint(source)) | KeyChangeError::New(source) => {
                RotationError::Note { path: path.to_owned(), source }
            }
            KeyChangeError::Checkpoint => RotationError::Malformed { path: path.to_owned() },
        })?;
        Ok(found)
    }
}
