//! `verdigris ledger export`: one rollout, as an auditor takes it away.

use super::super::evidence::check_name;
use super::super::ledger::{Opened, open};
use super::write_new;
use crate::cli::{Export, Format, LedgerAt, Selected};
use crate::describe::{Exit, Failed, printable, say};
use crate::system::EVIDENCE_DIR;
use anyhow::{Context, anyhow};
use audit::{Bundle, Entry, EntryContent, MAX_BUNDLE_BYTES, is_measurement, named_by};
use ledger::{Checkpoint, Note, SignerKey, VerifierKey, WitnessKey};
use rollout::{Record, RolloutId};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use store::CosignedNote;

/// Writes a rollout's bundle.
pub(in crate::commands) fn export(command: &Export, format: Format) -> Result<Exit, Failed> {
    let (mut bundle, verifier) = gathered(command)?;
    if let Some(key) = signing_key(command, &verifier)? {
        bundle.sign_statements(&key);
    }
    let bytes = bundle.to_bytes();
    if bytes.len() as u64 > MAX_BUNDLE_BYTES {
        let help = "leave out what was measured with --decisions";
        return Err(Failed::usage(format!(
            "the bundle would have {} bytes, more than {MAX_BUNDLE_BYTES}: {help}",
            bytes.len()
        )));
    }
    write_new(&command.out, &bytes)?;
    let (entries, evidence, statements) = (bundle.entries.len(), bundle.evidence.len(), bundle.statements.len());
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({
                "bundle": command.out,
                "bytes": bytes.len(),
                "entries": entries,
                "evidence": evidence,
                "statements": statements,
                "witnesses": bundle.witnesses.len(),
            })
        )),
        Format::Text => {
            let (file, rollout) = (printable(&command.out.display().to_string()), &bundle.rollout);
            say(format_args!("{file}: {rollout}, {entries} entries and {evidence} blobs in {} bytes", bytes.len()));
            match statements {
                0 => say(format_args!(
                    "no statements in it: the log's private key is not here; name it with --key-file to sign them"
                )),
                count => say(format_args!("{count} statements signed by the log's key")),
            }
            say(format_args!("check it with `verdigris audit replay {file} --key KEY`"));
        }
    }
    Ok(Exit::Done)
}

fn gathered(command: &Export) -> Result<(Bundle, VerifierKey), Failed> {
    let Opened { reader, key, keys, .. } = open(&command.at)?;
    let refused = |error: anyhow::Error| Failed::not_verified(error);
    // Before the checkpoint: nothing is cosigned that is not under a checkpoint already.
    let cosigned = reader.cosigned_notes(&key).map_err(|error| refused(anyhow!(error)))?;
    let (newest, note) = reader.signed_checkpoint(&key).map_err(|error| refused(anyhow!(error)))?;
    let rollout = RolloutId(command.rollout.clone());
    let folder = command.at.dir.parent().unwrap_or(Path::new(".")).join(EVIDENCE_DIR);
    // What the server itself recorded between the rollout's records belongs there; what comes after the last does not.
    let (mut contents, mut between) = (Vec::new(), Vec::new());
    let mut evidence = BTreeMap::new();
    let mut known = Vec::<RolloutId>::new();
    let read = reader.entries(&newest, 0..newest.size()).map_err(|error| refused(anyhow!(error)))?;
    for (index, bytes) in (0..).zip(read) {
        let bytes = bytes.map_err(|error| refused(anyhow!(error)))?;
        let record = control::decode(index, &bytes).map_err(|error| refused(anyhow!(error)))?;
        let of_rollout = record.rollout.as_ref() == Some(&rollout);
        known.extend(record.rollout.iter().filter(|id| !known.contains(id)).cloned().collect::<Vec<_>>());
        if !of_rollout {
            if record.rollout.is_none() && !contents.is_empty() {
                between.push((index, bytes, false));
            }
            continue;
        }
        let hide = hides(command, index, &record);
        // What a hidden record names would be a blob that no shown record explains.
        if let Some(digest) = named_by(&record).filter(|_| !command.without_evidence && !hide) {
            evidence.extend(blob(&folder, digest)?.map(|blob| (digest.to_owned(), blob)));
        }
        contents.append(&mut between);
        contents.push((index, bytes, hide));
    }
    let Some((last, ..)) = contents.last() else {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(Failed::usage(format!("the ledger has no rollout {:?}; {known}", command.rollout)));
    };
    let Head { checkpoint, note, witnesses } = Head::over(*last, cosigned).unwrap_or_else(|| Head {
        checkpoint: newest,
        note: note.signed_only_by(&key),
        witnesses: Vec::new(),
    });
    let mut entries = BTreeMap::new();
    for (index, bytes, hide) in contents {
        let proof = reader.inclusion_proof(&checkpoint, index).map_err(|error| refused(anyhow!(error)))?;
        let entry = Entry { content: EntryContent::Shown(bytes), proof };
        entries.insert(index, if hide { entry.hidden() } else { entry });
    }
    let changes = reader.key_change_proofs(&keys).map_err(|error| refused(anyhow!(error)))?;
    let key_changes = changes.into_iter().map(|proof| (proof.index, proof)).collect();
    let (statements, consistency) = (BTreeMap::new(), BTreeMap::new());
    let mut bundle =
        Bundle { rollout, checkpoint: note, witnesses, key_changes, consistency, entries, evidence, statements };
    for size in bundle.approved_heads(&key) {
        let proof = reader.consistency_proof(&checkpoint, size).map_err(|error| refused(anyhow!(error)))?;
        bundle.consistency.insert(size, proof);
    }
    Ok((bundle, key))
}

/// A rollout's bundle as a server hands it out: without evidence, of which each look is to be recorded, and without
/// statements, for the private key signs nothing because of a request.
pub(in crate::commands) fn plain(dir: &Path, key: &VerifierKey, rollout: &RolloutId) -> Result<Vec<u8>, String> {
    let command = Export {
        rollout: rollout.0.clone(),
        out: PathBuf::new(),
        at: LedgerAt { dir: dir.to_owned(), key: Some(key.to_string()) },
        decisions: false,
        hide: Vec::new(),
        only: Vec::new(),
        without_evidence: true,
        key_file: None,
    };
    let (bundle, _) = gathered(&command).map_err(|failed| failed.to_string())?;
    let bytes = bundle.to_bytes();
    match bytes.len() as u64 > MAX_BUNDLE_BYTES {
        true => Err(format!("the bundle would have more than {MAX_BUNDLE_BYTES} bytes: use `verdigris ledger export`")),
        false => Ok(bytes),
    }
}

/// Whether a record of the rollout is to be hidden.
fn hides(command: &Export, index: u64, record: &Record) -> bool {
    let named = |selected: &[Selected]| selected.iter().any(|it| it.is(index, record));
    let Export { decisions, hide, only, .. } = command;
    (*decisions && is_measurement(record)) || named(hide) || (!only.is_empty() && !named(only))
}

/// The log's private key, where this is its machine, or it was named: it signs the statements.
fn signing_key(command: &Export, verifier: &VerifierKey) -> Result<Option<SignerKey>, Failed> {
    let beside = command.at.dir.parent().unwrap_or(Path::new(".")).join("ledger.key");
    let path = command.key_file.as_deref().unwrap_or(&beside);
    let usage = |words: String| Failed::usage(format!("--key-file: {words}"));
    let key =
        store::load_plain_signing_key(path, verifier.name()).map_err(|error| {
            match std::error::Error::source(&error) {
                Some(source) => usage(format!("{error}: {source}")),
                None => usage(error.to_string()),
            }
        })?;
    match key {
        Some(key) if key.verifier() != verifier => {
            Err(usage(format!("{} is not the key that signed this ledger", path.display())))
        }
        None if command.key_file.is_some() => Err(usage(format!("there is no {}", path.display()))),
        key => Ok(key),
    }
}

/// The signed head that all proofs of a bundle lead to.
struct Head {
    checkpoint: Checkpoint,
    note: Note,
    witnesses: Vec<WitnessKey>,
}

impl Head {
    /// The one over this entry that most witnesses cosigned, with all their cosignatures; of several the newest. `None` if
    /// nobody cosigned one.
    fn over(entry: u64, cosigned: Vec<CosignedNote>) -> Option<Head> {
        let mut heads: Vec<Head> = Vec::new();
        for CosignedNote { witness, checkpoint, note } in cosigned.into_iter().filter(|it| it.checkpoint.size() > entry)
        {
            match heads.iter_mut().find(|head| head.note.text() == note.text()) {
                None => heads.push(Head { checkpoint, note, witnesses: vec![witness] }),
                Some(head) => {
                    let by_it = note.signatures().iter().filter(|signature| witness.made(signature)).cloned();
                    // A ledger has fewer witnesses than a note can have signatures; one too many is left out.
                    if let Some(both) = head.note.with_signatures(by_it) {
                        head.note = both;
                        head.witnesses.push(witness);
                    }
                }
            }
        }
        heads.into_iter().max_by_key(|head| (head.witnesses.len(), head.checkpoint.size()))
    }
}

/// A blob, if it is there; retention deletes them.
fn blob(folder: &Path, digest: &str) -> Result<Option<Vec<u8>>, Failed> {
    let path = folder.join(digest);
    let file = match fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| format!("cannot read {}", path.display()))?,
    };
    // One that is longer than any blob is cut, and has another digest.
    let mut blob = Vec::new();
    let read = file.take(store::MAX_EVIDENCE_BYTES as u64 + 1).read_to_end(&mut blob);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    check_name(&path, &blob)?;
    Ok(Some(blob))
}
