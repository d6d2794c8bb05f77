//! `verdigris ledger …`: reads a ledger's folder, and needs nothing else.

mod keys;
mod parts;
pub(super) mod witnessed;
mod words;

use crate::api::ApiClient;
use crate::cli::{Format, Ledger, LedgerAt};
use crate::commands::evidence::Deletions;
use crate::describe::{Exit, Failed, printable, read_text, say, say_as_is, timestamp};
use anyhow::{Context, anyhow};
use control::Erasure;
use ledger::VerifierKey;
use parts::PartBefore;
use rollout::{Body, Event, Record, Replay};
use serde_json::json;
use std::path::Path;
use store::{LogKeys, Reader};
use web::EraseRequest;
use witnessed::Asked;
pub(super) use words::{deleted_words, verdict_words, words};

/// A verifier key is a line.
const MAX_KEY_BYTES: u64 = 4_096;

/// Runs it.
pub async fn run(command: Ledger, format: Format) -> Result<Exit, Failed> {
    match command {
        Ledger::Evidence { digest, server } => evidence(&ApiClient::new(&server.socket), &digest).await,
        Ledger::Erase { subject, server } => erase(&ApiClient::new(&server.socket), subject, format).await,
        Ledger::Show { at, from, most, decisions } => show(&at, from, most, decisions, format),
        Ledger::Verify { at, witness, quorum } => verify(&at, &Asked::read(&witness, quorum)?, format),
        Ledger::Export(command) => super::audit::export(&command, format),
        Ledger::RotateKey(command) => keys::rotate(&command, format),
        Ledger::Key(command) => keys::run(&command, format),
        Ledger::Proof { index, at } => proof(&at, index, format),
    }
}

/// A ledger and the key that its checkpoint must be signed with.
pub(super) struct Opened {
    pub(super) reader: Reader,
    pub(super) key: VerifierKey,
    /// All keys that signed the ledger, that one the last, if the key that was named is one of them.
    pub(super) keys: LogKeys,
    /// Whether whoever asks said whose ledger it must be.
    pinned: bool,
}

/// A key as it stands in an argument: the key itself, or what is in the file that it names.
pub(crate) fn key_text(argument: &str) -> Result<String, Failed> {
    if argument.contains('+') { Ok(argument.to_owned()) } else { read_text(Path::new(argument), MAX_KEY_BYTES) }
}

pub(super) fn open(at: &LedgerAt) -> Result<Opened, Failed> {
    let beside = at.dir.parent().unwrap_or(Path::new(".")).join("ledger.key.pub");
    let key = match &at.key {
        Some(key) => verifier_key(key)?,
        None => parsed(&read_text(&beside, MAX_KEY_BYTES).map_err(|failed| {
            Failed::usage(format!("{failed}; name the verifier key with --key, as `verdigris serve` prints it"))
        })?)?,
    };
    let reader = Reader::open(&at.dir).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    // Whoever has a key from before follows its changes to the one in force.
    let keys = reader.keys(&key, control::key_change).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    Ok(Opened { reader, key: keys.current().clone(), keys, pinned: at.key.is_some() })
}

/// A verifier key, or that in a file.
pub(super) fn verifier_key(key: &str) -> Result<VerifierKey, Failed> {
    parsed(&key_text(key)?)
}

fn parsed(text: &str) -> Result<VerifierKey, Failed> {
    text.trim().parse().map_err(|error| Failed::usage(format!("the verifier key: {error}")))
}

fn show(at: &LedgerAt, from: u64, most: Option<u64>, decisions: bool, format: Format) -> Result<Exit, Failed> {
    let opened = open(at)?;
    let deletions = Deletions::read(&opened, from)?;
    let Opened { reader, key, .. } = opened;
    let checkpoint = reader.checkpoint(&key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let until = most.map_or(checkpoint.size(), |most| from.saturating_add(most).min(checkpoint.size()));
    let entries = reader.entries(&checkpoint, from..until.max(from));
    let entries = entries.map_err(|error| Failed::usage(error.to_string()))?;
    for (index, entry) in (from..).zip(entries) {
        let entry = entry.map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let record = control::decode(index, &entry).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let observation = matches!(&record.body, Body::Happened(event) if matches!(**event, Event::Observed(_)));
        if decisions && observation {
            continue;
        }
        match format {
            Format::Text => say(format_args!("{}{}", line(index, &record), gone(&record.body, &deletions))),
            Format::Json => say(format_args!("{}", json!({ "index": index, "record": record }))),
        }
    }
    Ok(Exit::Done)
}

fn line(index: u64, record: &Record) -> String {
    let of = record.rollout.as_ref().map_or("server", |rollout| rollout.0.as_str());
    format!(
        "{index:>6}  {}  {}/{:<4} {:<10} {}",
        timestamp(record.at),
        printable(of),
        record.sequence,
        printable(&record.by),
        printable(&words(&record.body))
    )
}

/// Of a record that names a blob: that it was deleted since, if it was.
fn gone(body: &Body, deletions: &Deletions) -> String {
    let deletion = body.evidence().and_then(|digest| deletions.of(digest));
    deletion.map(|deletion| format!(" [{}]", deletion.words())).unwrap_or_default()
}

fn verify(at: &LedgerAt, asked: &Asked, format: Format) -> Result<Exit, Failed> {
    let Opened { reader, key, keys, pinned } = open(at)?;
    let pruned = parts::is_pruned(at, &reader, &keys)?;
    let report = if pruned { reader.verify_pruned(&key) } else { reader.verify(&key) };
    let report = report.map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let checkpoint = reader.checkpoint(&key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let mut replay = Replay::default();
    let shown = if pruned { 0 } else { checkpoint.size() };
    let entries = reader.entries(&checkpoint, 0..shown);
    for (index, entry) in (0..).zip(entries.map_err(|error| Failed::not_verified(anyhow!(error)))?) {
        let entry = entry.map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let record = control::decode(index, &entry).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let taken = replay.take(&record).with_context(|| format!("entry {index}"));
        taken.map_err(Failed::not_verified)?;
    }
    if replay.unrecorded() > 0 {
        return Err(Failed::not_verified(anyhow!("the ledger ends in the middle of a decision")));
    }
    let witnessed = asked.look(&reader, &keys.keys)?;
    let before = parts::before(at, &replay, &keys)?;
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({
                "verified": true,
                "origin": report.origin,
                "size": report.size,
                "root": report.root.to_string(),
                "rollouts": replay.rollouts.len(),
                "entriesPruned": pruned,
                "partBefore": before.as_ref().map(|before| json!({ "ended": before.ended, "checked": before.checked })),
                "keyPinned": pinned,
                "keys": keys.keys.iter().map(VerifierKey::to_string).collect::<Vec<_>>(),
                "keyChangedAt": keys.changed_at,
                "witnesses": witnessed.json(),
                "quorumSize": witnessed.quorum_size,
            })
        )),
        Format::Text => {
            say(format_args!("the ledger holds: {} entries of {}", report.size, report.origin));
            say(format_args!("  root       {}", report.root));
            say(format_args!("  checkpoint signed by {key}"));
            for (entry, before) in keys.changed_at.iter().zip(&keys.keys) {
                say(format_args!(
                    "  key        changed at entry {entry}, where both keys signed: before it was {before}"
                ));
            }
            if pruned {
                say(format_args!("  hashes     every hash leads to the root ({} tiles compared)", report.tiles));
                say(format_args!(
                    "  entries    removed after their time: proofs of them hold, what they said is not here"
                ));
            } else {
                say(format_args!("  hashes     every entry leads to the root ({} tiles compared)", report.tiles));
                say(format_args!(
                    "  decisions  made again from the records: the same, in {} rollout(s)",
                    replay.rollouts.len()
                ));
            }
            if let Some(PartBefore { ended, checked }) = before {
                let checked = match checked {
                    true => "as its folder has it",
                    false => "by its checkpoint alone: its folder is not beside this one",
                };
                say(format_args!("  before     the part that ended with {ended}, {checked}"));
            }
            for line in witnessed.lines(report.size) {
                say(format_args!("{line}"));
            }
            if !pinned {
                say(format_args!(
                    "  note       the key was taken from beside the ledger; to know whose it is, name it with --key"
                ));
            }
        }
    }
    Ok(Exit::Done)
}

/// Writes it to standard output, once it has the digest that was asked for.
async fn evidence(api: &ApiClient, digest: &str) -> Result<Exit, Failed> {
    if !store::is_evidence_digest(digest) {
        return Err(Failed::usage(format!("found {digest:?}, expected sha256: and 64 hexadecimal digits")));
    }
    let blob = api.bytes(&format!("/v1/evidence/{digest}")).await?;
    if store::evidence_digest(&blob) != digest {
        return Err(Failed::not_verified(anyhow!("what the server sent is not {digest}")));
    }
    say_as_is(format_args!("{}", String::from_utf8_lossy(&blob)));
    Ok(Exit::Done)
}

async fn erase(api: &ApiClient, subject: String, format: Format) -> Result<Exit, Failed> {
    let erasure: Erasure = api.post("/v1/erasures", &EraseRequest { subject }).await?;
    match format {
        Format::Json => say(format_args!("{}", serde_json::to_string(&erasure)?)),
        Format::Text => say(format_args!(
            "{} is erased: {} sealed text(s) about a person, {} blob(s) of evidence",
            printable(&erasure.subject),
            erasure.persons,
            erasure.evidence
        )),
    }
    Ok(Exit::Done)
}

fn proof(at: &LedgerAt, index: u64, format: Format) -> Result<Exit, Failed> {
    let Opened { reader, key, .. } = open(at)?;
    let proof = reader.log_proof(&key, index).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    match format {
        Format::Text => say_as_is(format_args!("{proof}")),
        Format::Json => say(format_args!("{}", json!({ "index": index, "proof": proof.to_string() }))),
    }
    Ok(Exit::Done)
}
