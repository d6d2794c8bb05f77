//! `verdigris ledger export` and `verdigris audit …`: what an auditor takes away, and does with it offline.

use super::evidence::check_name;
use super::ledger::witnessed::{Asked, time};
use super::ledger::{Opened, open, verifier_key, words};
use crate::cli::{Audit, BundleAt, Export, Format};
use crate::describe::{Exit, Failed, printable, say, timestamp};
use crate::system::EVIDENCE_DIR;
use anyhow::{Context, anyhow};
use audit::{
    Bundle, CosignedBy, Entry, EntryContent, MAX_BUNDLE_BYTES, Replayed, Verified, Words, is_measurement, named_by,
};
use ledger::{Checkpoint, Note, WitnessKey};
use rollout::RolloutId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use store::CosignedNote;

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
        if let Some(digest) = named_by(&record).filter(|_| !command.without_evidence) {
            evidence.extend(blob(&folder, digest)?.map(|blob| (digest.to_owned(), blob)));
        }
        contents.append(&mut between);
        contents.push((index, bytes, command.decisions && is_measurement(&record)));
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
    Ok(Bundle { rollout, checkpoint: note, witnesses, entries, evidence })
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

/// What the witnesses whose keys were named, and others, cosigned of a bundle.
struct Witnessed<'asked> {
    asked: &'asked Asked,
    cosigned: &'asked [CosignedBy],
}

impl Witnessed<'_> {
    fn of<'asked>(asked: &'asked Asked, verified: &'asked Verified) -> Result<Witnessed<'asked>, Failed> {
        let witnessed = Witnessed { asked, cosigned: &verified.cosigned };
        let named = asked.witnesses.iter().filter(|witness| witnessed.at_s(witness).is_some()).count();
        match asked.quorum {
            Some(quorum) if named < quorum => {
                let words = format!("{named} of the witnesses cosigned the bundle's checkpoint, expected {quorum}");
                Err(Failed::not_verified(anyhow!(words)))
            }
            Some(_) | None => Ok(witnessed),
        }
    }

    /// When a witness cosigned it.
    fn at_s(&self, witness: &WitnessKey) -> Option<u64> {
        self.cosigned.iter().find(|it| it.witness == *witness).map(|it| it.at_s)
    }

    /// Cosignatures of keys that are in the bundle alone: they fit, and nobody here says whose they are.
    fn others(&self) -> impl Iterator<Item = &CosignedBy> {
        self.cosigned.iter().filter(|it| !self.asked.witnesses.contains(&it.witness))
    }

    fn json(&self) -> Vec<Value> {
        let named = self.asked.witnesses.iter().map(|witness| (witness, self.at_s(witness), true));
        let others = self.others().map(|it| (&it.witness, Some(it.at_s), false));
        let one = |(witness, at_s, named): (&WitnessKey, Option<u64>, bool)| json!({ "name": witness.name().as_str(), "at": at_s.map(time), "keyPinned": named });
        named.chain(others).map(one).collect()
    }

    fn lines(&self) -> Vec<String> {
        let named = self.asked.witnesses.iter().map(|witness| match self.at_s(witness) {
            Some(at_s) => format!("  witness    {} cosigned the checkpoint at {}", witness.name(), time(at_s)),
            None => format!("  witness    {} cosigned nothing of it", witness.name()),
        });
        let others = self.others().map(|it| {
            let (name, at) = (it.witness.name(), time(it.at_s));
            format!(
                "  cosigned   at {at} by a key that says that it is {name}; to know whose it is, name it with --witness"
            )
        });
        let quorum =
            self.asked.quorum.map(|quorum| format!("  quorum     {quorum} witness(es) cosigned the checkpoint"));
        named.chain(others).chain(quorum).collect()
    }
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
    let verified = Bundle::verify(&bytes, &key).with_context(|| at.bundle.display().to_string());
    verified.map_err(Failed::not_verified)
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
                "entries": bundle.entries.len(),
                "hidden": sequence.hidden,
                "evidence": bundle.evidence.len(),
                "missingEvidence": verified.missing_evidence,
                "witnesses": witnessed.json(),
                "decisions": replayed.map(|replayed| replayed.decisions),
                "judgedAgain": replayed.map(|replayed| replayed.judged_again),
            })
        )),
        Format::Text => {
            say(format_args!("the bundle holds: {} of {}", bundle.rollout, printable(checkpoint.origin())));
            say(format_args!("  checkpoint signed: {} entries, root {}", checkpoint.size(), checkpoint.root()));
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
            if let Some(Replayed { decisions, judged_again, .. }) = replayed {
                say(format_args!(
                    "  decisions  {decisions} made again, the same; the judge of {judged_again} verdicts asked again, the same"
                ));
            }
        }
    }
}
