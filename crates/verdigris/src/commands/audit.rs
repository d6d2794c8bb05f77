//! `verdigris ledger export` and `verdigris audit …`: what an auditor takes away, and does with it offline.

use super::evidence::check_name;
use super::ledger::{Opened, open, verifier_key, words};
use crate::cli::{Audit, BundleAt, Export, Format};
use crate::describe::{Exit, Failed, printable, say, timestamp};
use crate::system::EVIDENCE_DIR;
use anyhow::{Context, anyhow};
use audit::{
    Bundle, Entry, EntryContent, MAX_BUNDLE_BYTES, Replayed, Verified, VerifyBundleError, Words, is_measurement,
    named_by,
};
use ledger::{OpenCheckpointError, VerifierKey, VerifyNoteError};
use rollout::RolloutId;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a rollout's bundle.
pub(super) fn export(command: &Export, format: Format) -> Result<Exit, Failed> {
    let bundle = gathered(command)?;
    let bytes = bundle.to_bytes();
    if bytes.len() as u64 > MAX_BUNDLE_BYTES {
        let help = "leave out what was measured with --decisions";
        return Err(Failed::usage(format!(
            "the bundle would have {} bytes, more than {MAX_BUNDLE_BYTES}: {help}",
            bytes.len()
        )));
    }
    write_new(&command.out, &bytes)?;
    let (entries, evidence) = (bundle.entries.len(), bundle.evidence.len());
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({ "bundle": command.out, "bytes": bytes.len(), "entries": entries, "evidence": evidence })
        )),
        Format::Text => {
            let (file, rollout) = (printable(&command.out.display().to_string()), &bundle.rollout);
            say(format_args!("{file}: {rollout}, {entries} entries and {evidence} blobs in {} bytes", bytes.len()));
            say(format_args!("check it with `verdigris audit replay {file} --key KEY`"));
        }
    }
    Ok(Exit::Done)
}

fn gathered(command: &Export) -> Result<Bundle, Failed> {
    let Opened { reader, key, .. } = open(&command.at)?;
    let refused = |error: anyhow::Error| Failed::not_verified(error);
    let (checkpoint, note) = reader.signed_checkpoint(&key).map_err(|error| refused(anyhow!(error)))?;
    let rollout = RolloutId(command.rollout.clone());
    let folder = command.at.dir.parent().unwrap_or(Path::new(".")).join(EVIDENCE_DIR);
    // What the server itself recorded between the rollout's records belongs there; what comes after the last does not.
    let (mut entries, mut between) = (BTreeMap::new(), Vec::new());
    let mut evidence = BTreeMap::new();
    let mut known = Vec::<RolloutId>::new();
    let read = reader.entries(&checkpoint, 0..checkpoint.size()).map_err(|error| refused(anyhow!(error)))?;
    for (index, bytes) in (0..).zip(read) {
        let bytes = bytes.map_err(|error| refused(anyhow!(error)))?;
        let record = control::decode(index, &bytes).map_err(|error| refused(anyhow!(error)))?;
        let of_rollout = record.rollout.as_ref() == Some(&rollout);
        known.extend(record.rollout.iter().filter(|id| !known.contains(id)).cloned().collect::<Vec<_>>());
        if !of_rollout {
            if record.rollout.is_none() && !entries.is_empty() {
                between.push((index, bytes));
            }
            continue;
        }
        if let Some(digest) = named_by(&record).filter(|_| !command.without_evidence) {
            evidence.extend(blob(&folder, digest)?.map(|blob| (digest.to_owned(), blob)));
        }
        let mut add = |index, bytes, hide: bool| -> Result<(), Failed> {
            let proof = reader.inclusion_proof(&checkpoint, index).map_err(|error| refused(anyhow!(error)))?;
            let entry = Entry { content: EntryContent::Shown(bytes), proof };
            entries.insert(index, if hide { entry.hidden() } else { entry });
            Ok(())
        };
        between.drain(..).try_for_each(|(index, bytes)| add(index, bytes, false))?;
        add(index, bytes, command.decisions && is_measurement(&record))?;
    }
    if entries.is_empty() {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(Failed::usage(format!("the ledger has no rollout {:?}; {known}", command.rollout)));
    }
    Ok(Bundle { rollout, checkpoint: note.signed_only_by(&key), entries, evidence })
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

/// Writes a file that was not there, for its owner alone; nothing half-written stays behind.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| Failed::usage(format!("cannot write {}: {error}", path.display())))?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        let _ = fs::remove_file(path);
        return Err(anyhow!(error).context(format!("cannot write {}", path.display())).into());
    }
    Ok(())
}

/// Runs `verdigris audit …`.
pub fn run(command: &Audit, format: Format) -> Result<Exit, Failed> {
    match command {
        Audit::Verify(at) => {
            let (bundle, verified) = verified(at)?;
            told(&bundle, &verified, None, format);
        }
        Audit::Replay(at) => {
            let (bundle, verified) = verified(at)?;
            let replayed = bundle.replay(&verified).map_err(|error| Failed::not_verified(anyhow!(error)))?;
            told(&bundle, &verified, Some(&replayed), format);
        }
        Audit::Report { at, out } => {
            let (bundle, verified) = verified(at)?;
            let replayed = match verified.sequence.hidden {
                0 => Some(bundle.replay(&verified).map_err(|error| Failed::not_verified(anyhow!(error)))?),
                _ => None,
            };
            let words = Words { record: &words, time: &timestamp };
            write_new(out, bundle.report(&verified, replayed.as_ref(), &words).as_bytes())?;
            told(&bundle, &verified, replayed.as_ref(), format);
        }
    }
    Ok(Exit::Done)
}

fn verified(at: &BundleAt) -> Result<(Bundle, Verified), Failed> {
    let key = verifier_key(&at.key)?;
    let file = fs::File::open(&at.bundle);
    let file = file.map_err(|error| Failed::usage(format!("cannot read {}: {error}", at.bundle.display())))?;
    let mut bytes = Vec::new();
    file.take(MAX_BUNDLE_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", at.bundle.display()))?;
    if bytes.len() as u64 > MAX_BUNDLE_BYTES {
        return Err(Failed::usage(format!("{}: more than {MAX_BUNDLE_BYTES} bytes", at.bundle.display())));
    }
    let verified = Bundle::verify(&bytes, &key).map_err(|error| match is_of_another_key(&error, &key) {
        true => anyhow!(error).context(format!(
            "it is signed by another key of the same name; if the ledger's key was changed, `verdigris ledger verify --key {key}` \
             on the ledger shows the key of now, with which the bundle is verified"
        )),
        false => anyhow!(error),
    });
    verified.with_context(|| at.bundle.display().to_string()).map_err(Failed::not_verified)
}

/// Whether a key with the log's name signed, but not this one: as after a change of the key, if it is no forgery.
fn is_of_another_key(error: &VerifyBundleError, key: &VerifierKey) -> bool {
    match error {
        VerifyBundleError::Checkpoint(OpenCheckpointError::Signature(VerifyNoteError::UnknownKeys {
            found, ..
        })) => found.starts_with(&format!("{} (key id ", key.name())),
        _ => false,
    }
}

fn told(bundle: &Bundle, verified: &Verified, replayed: Option<&Replayed>, format: Format) {
    let (checkpoint, sequence) = (&verified.checkpoint, verified.sequence);
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({
                "verified": true,
                "rollout": bundle.rollout,
                "origin": checkpoint.origin(),
                "size": checkpoint.size(),
                "root": checkpoint.root().to_string(),
                "entries": bundle.entries.len(),
                "hidden": sequence.hidden,
                "evidence": bundle.evidence.len(),
                "missingEvidence": verified.missing_evidence,
                "decisions": replayed.map(|replayed| replayed.decisions),
                "judgedAgain": replayed.map(|replayed| replayed.judged_again),
            })
        )),
        Format::Text => {
            say(format_args!("the bundle holds: {} of {}", bundle.rollout, printable(checkpoint.origin())));
            say(format_args!("  checkpoint signed: {} entries, root {}", checkpoint.size(), checkpoint.root()));
            say(format_args!(
                "  records    {} entries in the ledger by their proofs, none missing ({} hidden, {} of the server)",
                bundle.entries.len(),
                sequence.hidden,
                sequence.of_server
            ));
            let missing = match verified.missing_evidence.len() {
                0 => "none missing".to_owned(),
                missing => format!("{missing} that records name are not in it: deleted, or left out"),
            };
            say(format_args!(
                "  evidence   {} blobs with the digests that records state, {missing}",
                bundle.evidence.len()
            ));
            if let Some(Replayed { decisions, judged_again, .. }) = replayed {
                say(format_args!(
                    "  decisions  {decisions} made again, the same; the judge of {judged_again} verdicts asked again, the same"
                ));
            }
        }
    }
}
