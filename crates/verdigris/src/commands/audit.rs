//! `verdigris audit …`: what an auditor does offline with what was exported.

mod approvers;
mod export;
mod witnessed;

use super::ledger::witnessed::Asked;
use super::ledger::{verifier_key, words};
use crate::cli::{Audit, BundleAt, Format};
use crate::describe::{Exit, Failed, printable, say, timestamp};
use anyhow::{Context, anyhow};
use audit::{Bundle, MAX_BUNDLE_BYTES, Replayed, Verified, VerifyBundleError, Words};
pub(super) use export::{export, plain};
use ledger::{OpenCheckpointError, VerifierKey, VerifyNoteError};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use witnessed::Witnessed;

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
    let (Audit::Verify(at) | Audit::Replay(at) | Audit::Report { at, .. }) = command;
    let asked = Asked::read(&at.witness, at.quorum)?;
    let (bundle, verified) = verified(at)?;
    let witnessed = Witnessed::of(&asked, &verified)?;
    let replay = || bundle.replay(&verified).map_err(|error| Failed::not_verified(anyhow!(error)));
    let replayed = match command {
        Audit::Verify(_) => None,
        Audit::Replay(_) => Some(replay()?),
        Audit::Report { .. } => (verified.sequence.hidden == 0).then(replay).transpose()?,
    };
    if let Audit::Report { out, .. } = command {
        let words = Words { record: &words, time: &timestamp };
        write_new(out, bundle.report(&verified, replayed.as_ref(), &words).as_bytes())?;
    }
    told(&bundle, &verified, replayed.as_ref(), &witnessed, format);
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
    let known = at.approvers.as_deref().map(approvers::read).transpose()?.unwrap_or_default();
    let verified = Bundle::verify_known(&bytes, &key, &known).map_err(|error| match is_of_another_key(&error, &key) {
        true => anyhow!(error).context(format!(
            "it is signed by another key of the same name, and proves no change of the key; if the ledger's key was changed, \
             `verdigris ledger verify --key {key}` on the ledger shows the key of now, with which the bundle is verified"
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

fn told(bundle: &Bundle, verified: &Verified, replayed: Option<&Replayed>, witnessed: &Witnessed<'_>, format: Format) {
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
                "keys": verified.keys.iter().map(VerifierKey::to_string).collect::<Vec<_>>(),
                "approvals": verified.approvals.len(),
                "entries": bundle.entries.len(),
                "hidden": sequence.hidden,
                "evidence": bundle.evidence.len(),
                "missingEvidence": verified.missing_evidence,
                "witnesses": witnessed.json(),
                "statements": bundle.statements.len(),
                "decisions": replayed.map(|replayed| replayed.decisions),
                "judgedAgain": replayed.map(|replayed| replayed.judged_again),
            })
        )),
        Format::Text => {
            say(format_args!("the bundle holds: {} of {}", bundle.rollout, printable(checkpoint.origin())));
            say(format_args!("  checkpoint signed: {} entries, root {}", checkpoint.size(), checkpoint.root()));
            for (index, key) in bundle.key_changes.keys().zip(&verified.keys) {
                say(format_args!("  key        changed at entry {index}, where both keys signed: before it was {key}"));
            }
            witnessed.lines().iter().for_each(|line| say(format_args!("{line}")));
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
            match bundle.statements.len() {
                0 => say(format_args!("  statements none: the log's private key was not at hand")),
                count => say(format_args!("  statements {count} signed by the log's key, as the records have them")),
            }
            if let Some(Replayed { decisions, judged_again, .. }) = replayed {
                say(format_args!(
                    "  decisions  {decisions} made again, the same; the judge of {judged_again} verdicts asked again, the same"
                ));
            }
        }
    }
}
