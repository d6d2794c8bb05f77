//! A bundle as one file: POSIX ustar (IEEE 1003.1, *pax*, "ustar Interchange Format"), with nothing in its headers that is
//! not the same for everybody.
//!
//! | path | what |
//! | --- | --- |
//! | `bundle.json` | the format, and of what it is: derived from the rest |
//! | `checkpoint` | the signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses |
//! | `consistency/SIZE.hashes` | that the log begins with the head of this size, which an approval names: hashes in base64, a line each |
//! | `evidence/SHA256` | a blob, called by its digest |
//! | `keys/INDEX.tlog-proof` | a change of the log's key: its record as extra data, under a checkpoint that both keys signed |
//! | `oscal-assessment-results.json` | the evidence for tools that collect it: derived |
//! | `plan.json` | the plan as canonical JSON: derived from the record that started the rollout |
//! | `proofs/INDEX.tlog-proof` | that the entry is in the ledger (C2SP tlog-proof) |
//! | `records/INDEX.hash` | an entry that is not shown: its leaf hash in base64 |
//! | `records/INDEX.json` | an entry: a record as canonical JSON |
//! | `statements/INDEX.dsse.json` | what the log's key states of an entry: an in-toto statement in a DSSE envelope |
//! | `witnesses` | the keys of those who cosigned the checkpoint, a line each; absent if nobody did |
//!
//! Indexes have ten digits, so that paths sort as entries do. What is derived is written again, and compared; nobody reads it
//! to learn something.

use crate::bundle::{Bundle, Entry, EntryContent};
use crate::derived::{self, is_derived};
use ledger::{
    Envelope, Hash, LogProof, MAX_ENTRY_BYTES, MAX_ENVELOPE_BYTES, MAX_LOG_PROOF_BYTES, MAX_NOTE_BYTES,
    MAX_PROOF_HASHES, MAX_SIGNATURES, Note, ParseEnvelopeError, ParseKeyError, ParseNoteError, WitnessKey,
};
use rollout::RolloutId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use tar::{Archive, Builder, EntryType, Header};

/// The longest bundle: 1 GiB. A rollout of a day with an observation of 10 kB every two seconds is 600 MB with its proofs.
pub const MAX_BUNDLE_BYTES: u64 = 1 << 30;

/// The longest blob, as the store keeps them.
const MAX_BLOB_BYTES: usize = 4 << 20;
/// The first file is a line.
const MAX_MANIFEST_BYTES: usize = 4_096;
/// A key with a name of 1 KiB is shorter than 1,200 bytes, and a note has so many signatures.
const MAX_WITNESSES_BYTES: usize = MAX_SIGNATURES * 1_200;

const FORMAT: &str = "verdigris.dev/bundle/v1";
const MANIFEST: &str = "bundle.json";
pub(crate) const CHECKPOINT: &str = "checkpoint";
const WITNESSES: &str = "witnesses";

/// Of what a bundle is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest {
    format: String,
    rollout: RolloutId,
    entries: u64,
    hidden: u64,
    evidence: u64,
    statements: u64,
    witnesses: u64,
    key_changes: u64,
    consistency: u64,
}

/// Bytes that are not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum ReadBundleError {
    /// It is no tar file.
    #[error("it is no bundle: {0}; expected a tar file that `verdigris ledger export` wrote")]
    Tar(std::io::Error),
    /// It has a format that this program does not know.
    #[error("bundle.json: found the format {found:?}, expected {FORMAT:?}; it was written by another version")]
    Format {
        /// What it says.
        found: String,
    },
    /// A file is not what its path says.
    #[error("{path}: found {found}, expected {expected}")]
    File {
        /// Which.
        path: String,
        /// What is there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A file is missing.
    #[error("{path} is missing")]
    Missing {
        /// Which.
        path: String,
    },
}

impl Bundle {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        archive(&self.files()).expect("memory takes everything, and paths are short")
    }

    /// Its files, by their paths.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::from([(CHECKPOINT.to_owned(), self.checkpoint.to_string().into_bytes())]);
        files.insert(MANIFEST.to_owned(), self.manifest());
        if !self.witnesses.is_empty() {
            let keys: String = self.witnesses.iter().map(|key| format!("{key}\n")).collect();
            files.insert(WITNESSES.to_owned(), keys.into_bytes());
        }
        for (size, hashes) in &self.consistency {
            let lines: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
            files.insert(format!("consistency/{size:010}.hashes"), lines.into_bytes());
        }
        for (index, proof) in &self.key_changes {
            files.insert(format!("keys/{index:010}.tlog-proof"), proof.to_string().into_bytes());
        }
        for (digest, blob) in &self.evidence {
            files.insert(format!("evidence/{digest}"), blob.clone());
        }
        for (index, entry) in &self.entries {
            let (suffix, content) = match &entry.content {
                EntryContent::Shown(record) => ("json", record.clone()),
                EntryContent::Hidden(leaf) => ("hash", format!("{leaf}\n").into_bytes()),
            };
            files.insert(format!("records/{index:010}.{suffix}"), content);
            let proof = self.proof_of(*index, entry).to_string();
            files.insert(format!("proofs/{index:010}.tlog-proof"), proof.into_bytes());
        }
        for (index, envelope) in &self.statements {
            files.insert(format!("statements/{index:010}.dsse.json"), envelope.to_string().into_bytes());
        }
        files.extend(derived::files(self, &self.shown()));
        files
    }

    /// Which of its files has this byte.
    pub(crate) fn path_at(&self, byte: usize) -> String {
        let mut end = 0;
        let blocks = |bytes: usize| bytes.div_ceil(512) * 512;
        let at = self.files().into_iter().find(|(_, content)| {
            end += 512 + blocks(content.len());
            byte < end
        });
        at.map_or_else(|| "what is behind the last file".to_owned(), |(path, _)| path)
    }

    fn manifest(&self) -> Vec<u8> {
        let hidden = self.entries.values().filter(|entry| matches!(entry.content, EntryContent::Hidden(_))).count();
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            rollout: self.rollout.clone(),
            entries: self.entries.len() as u64,
            hidden: hidden as u64,
            evidence: self.evidence.len() as u64,
            statements: self.statements.len() as u64,
            witnesses: self.witnesses.len() as u64,
            key_changes: self.key_changes.len() as u64,
            consistency: self.consistency.len() as u64,
        };
        serde_json_canonicalizer::to_vec(&manifest).expect("text keys and whole numbers are JSON")
    }

    /// What a file holds. Nothing of it is believed yet: that is for [`Bundle::verify`](crate::Bundle::verify).
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, ReadBundleError> {
        let mut files = BTreeMap::new();
        let mut archive = Archive::new(bytes);
        for file in archive.entries().map_err(ReadBundleError::Tar)? {
            let mut file = file.map_err(ReadBundleError::Tar)?;
            let path = String::from_utf8_lossy(&file.path_bytes()).into_owned();
            if file.header().entry_type() != EntryType::Regular {
                return Err(refused(&path, "something that is no file", "files alone"));
            }
            let most = longest(&path);
            if file.size() > most as u64 {
                return Err(ReadBundleError::File {
                    found: format!("{} bytes", file.size()),
                    expected: "a file of the size that its like has",
                    path,
                });
            }
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(ReadBundleError::Tar)?;
            if files.insert(path.clone(), content).is_some() {
                return Err(refused(&path, "it a second time", "each file once"));
            }
        }
        Bundle::of_files(files)
    }

    fn of_files(mut files: BTreeMap<String, Vec<u8>>) -> Result<Bundle, ReadBundleError> {
        let mut needed =
            |path: &str| files.remove(path).ok_or_else(|| ReadBundleError::Missing { path: path.to_owned() });
        let manifest: Manifest = serde_json::from_slice(&needed(MANIFEST)?)
            .map_err(|error| refused(MANIFEST, &error.to_string(), "what bundle it is"))?;
        if manifest.format != FORMAT {
            return Err(ReadBundleError::Format { found: manifest.format });
        }
        let checkpoint: Note = text(CHECKPOINT, needed(CHECKPOINT)?)?
            .parse()
            .map_err(|error: ParseNoteError| refused(CHECKPOINT, &error.to_string(), "a signed note"))?;
        let witnesses = files.remove(WITNESSES).map(witnesses).transpose()?.unwrap_or_default();
        let (entries, evidence, statements) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (rollout, key_changes, consistency) = (manifest.rollout, BTreeMap::new(), BTreeMap::new());
        let mut bundle =
            Bundle { rollout, checkpoint, witnesses, key_changes, consistency, entries, evidence, statements };
        let mut proofs = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for (path, content) in files {
            if let Some(digest) = path.strip_prefix("evidence/") {
                bundle.evidence.insert(digest.to_owned(), content);
            } else if let Some(index) = index_of(&path, "proofs/", ".tlog-proof") {
                proofs.insert(index, proof_of(&path, index, content)?.hashes);
            } else if let Some(index) = index_of(&path, "keys/", ".tlog-proof") {
                bundle.key_changes.insert(index, proof_of(&path, index, content)?);
            } else if let Some(size) = index_of(&path, "consistency/", ".hashes") {
                bundle.consistency.insert(size, hashes(&path, content)?);
            } else if let Some(index) = index_of(&path, "records/", ".json") {
                contents.insert(index, EntryContent::Shown(content));
            } else if let Some(index) = index_of(&path, "records/", ".hash") {
                let leaf = text(&path, content)?.trim_end().parse::<Hash>();
                let leaf = leaf.map_err(|error| refused(&path, &error.to_string(), "a hash in base64"))?;
                if contents.insert(index, EntryContent::Hidden(leaf)).is_some() {
                    return Err(refused(&path, "an entry that is shown too", "each entry once"));
                }
            } else if let Some(index) = index_of(&path, "statements/", ".dsse.json") {
                let envelope = text(&path, content)?.parse::<Envelope>();
                let envelope = envelope
                    .map_err(|error: ParseEnvelopeError| refused(&path, &error.to_string(), "a DSSE envelope"))?;
                bundle.statements.insert(index, envelope);
            } else if is_derived(&path) {
                // What belongs there is known, and compared when the whole is written again.
            } else {
                return Err(refused(&path, "a file", "no file of that name"));
            }
        }
        for (index, content) in contents {
            let proof = proofs.remove(&index);
            let path = || format!("proofs/{index:010}.tlog-proof");
            let proof = proof.ok_or_else(|| ReadBundleError::Missing { path: path() })?;
            bundle.entries.insert(index, Entry { content, proof });
        }
        match proofs.first_key_value() {
            Some((index, _)) => Err(ReadBundleError::Missing { path: format!("records/{index:010}.json") }),
            None => Ok(bundle),
        }
    }
}

fn refused(path: &str, found: &str, expected: &'static str) -> ReadBundleError {
    ReadBundleError::File { path: path.to_owned(), found: found.to_owned(), expected }
}

fn hashes(path: &str, content: Vec<u8>) -> Result<Vec<Hash>, ReadBundleError> {
    let text = text(path, content)?;
    let parsed = text.lines().take(MAX_PROOF_HASHES).map(str::parse::<Hash>).collect::<Result<_, _>>();
    parsed.map_err(|error| refused(path, &error.to_string(), "hashes in base64, a line each"))
}

fn proof_of(path: &str, index: u64, content: Vec<u8>) -> Result<LogProof, ReadBundleError> {
    let proof: LogProof = text(path, content)?
        .parse()
        .map_err(|error: ledger::ParseLogProofError| refused(path, &error.to_string(), "a tlog-proof"))?;
    match proof.index == index {
        true => Ok(proof),
        false => Err(refused(path, &format!("index {}", proof.index), "the index of its path")),
    }
}

fn text(path: &str, content: Vec<u8>) -> Result<String, ReadBundleError> {
    String::from_utf8(content).map_err(|_| refused(path, "bytes that are no UTF-8", "text"))
}

fn witnesses(content: Vec<u8>) -> Result<Vec<WitnessKey>, ReadBundleError> {
    let text = text(WITNESSES, content)?;
    let keys = text.lines().take(MAX_SIGNATURES).map(|line| {
        line.parse().map_err(|error: ParseKeyError| refused(WITNESSES, &error.to_string(), "the key of a witness"))
    });
    keys.collect()
}

fn index_of(path: &str, prefix: &str, suffix: &str) -> Option<u64> {
    let digits = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let index = digits.parse().ok()?;
    (format!("{index:010}") == digits).then_some(index)
}

fn longest(path: &str) -> usize {
    match path.split('/').next() {
        Some("evidence") => MAX_BLOB_BYTES,
        Some("proofs" | "keys") => MAX_LOG_PROOF_BYTES,
        Some("records") => MAX_ENTRY_BYTES,
        Some("statements") => MAX_ENVELOPE_BYTES,
        Some(CHECKPOINT) => MAX_NOTE_BYTES,
        Some(WITNESSES) => MAX_WITNESSES_BYTES,
        Some(_) if is_derived(path) => derived::MAX_DERIVED_BYTES,
        Some(_) | None => MAX_MANIFEST_BYTES,
    }
}

/// The files in the order of their paths.
fn archive(files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        archive.append(&header, content.as_slice())?;
    }
    let mut bytes = archive.into_inner()?;
    bytes.flush()?;
    Ok(bytes)
}
