//! `verdigris ledger …`: reads a ledger's folder, and needs nothing else.

pub(super) mod witnessed;

use crate::cli::{Format, Ledger, LedgerAt};
use crate::commands::evidence::Deletions;
use crate::describe::{Exit, Failed, printable, read_text, say, say_as_is, timestamp};
use anyhow::{Context, anyhow};
use judge::Verdict;
use ledger::VerifierKey;
use model::{CanaryFate, Environment, Measurement, ShortDuration};
use rollout::{Body, Decision, DeletedBecause, Event, FindingName, Outcome, Record, Replay, Shift};
use serde_json::json;
use std::path::Path;
use store::Reader;
use witnessed::Asked;

/// A verifier key is a line.
const MAX_KEY_BYTES: u64 = 4_096;

/// Runs it.
pub fn run(command: Ledger, format: Format) -> Result<Exit, Failed> {
    match command {
        Ledger::Show { at, from, most, decisions } => show(&at, from, most, decisions, format),
        Ledger::Verify { at, witness, quorum } => verify(&at, &Asked::read(&witness, quorum)?, format),
        Ledger::Export(command) => super::audit::export(&command, format),
        Ledger::Proof { index, at } => proof(&at, index, format),
    }
}

/// A ledger and the key that its checkpoint must be signed with.
pub(super) struct Opened {
    pub(super) reader: Reader,
    pub(super) key: VerifierKey,
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
    Ok(Opened { reader, key, pinned: at.key.is_some() })
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
    let Opened { reader, key, pinned } = open(at)?;
    let report = reader.verify(&key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let checkpoint = reader.checkpoint(&key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let mut replay = Replay::default();
    let entries = reader.entries(&checkpoint, 0..checkpoint.size());
    for (index, entry) in (0..).zip(entries.map_err(|error| Failed::not_verified(anyhow!(error)))?) {
        let entry = entry.map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let record = control::decode(index, &entry).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let taken = replay.take(&record).with_context(|| format!("entry {index}"));
        taken.map_err(Failed::not_verified)?;
    }
    if replay.unrecorded() > 0 {
        return Err(Failed::not_verified(anyhow!("the ledger ends in the middle of a decision")));
    }
    let witnessed = asked.look(&reader, &key)?;
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({
                "verified": true,
                "origin": report.origin,
                "size": report.size,
                "root": report.root.to_string(),
                "rollouts": replay.rollouts.len(),
                "keyPinned": pinned,
                "witnesses": witnessed.json(),
                "quorumSize": witnessed.quorum_size,
            })
        )),
        Format::Text => {
            say(format_args!("the ledger holds: {} entries of {}", report.size, report.origin));
            say(format_args!("  root       {}", report.root));
            say(format_args!("  checkpoint signed by {key}"));
            say(format_args!("  hashes     every entry leads to the root ({} tiles compared)", report.tiles));
            say(format_args!(
                "  decisions  made again from the records: the same, in {} rollout(s)",
                replay.rollouts.len()
            ));
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

fn proof(at: &LedgerAt, index: u64, format: Format) -> Result<Exit, Failed> {
    let Opened { reader, key, .. } = open(at)?;
    let proof = reader.log_proof(&key, index).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    match format {
        Format::Text => say_as_is(format_args!("{proof}")),
        Format::Json => say(format_args!("{}", json!({ "index": index, "proof": proof.to_string() }))),
    }
    Ok(Exit::Done)
}

/// A record in words.
pub(super) fn words(body: &Body) -> String {
    match body {
        Body::ServerStarted { version } => format!("the server started (verdigris {version})"),
        Body::ServerStopped => "the server stopped".to_owned(),
        Body::Started(start) => format!("started the rollout of {}: {}", start.plan.name, start.plan_digest),
        Body::EvidenceKept { digest, trace, findings } => {
            let findings: Vec<String> = findings.iter().map(FindingName::to_string).collect();
            let of = if findings.is_empty() { String::new() } else { format!(": {}", findings.join("; ")) };
            format!("  kept {digest}: trace {trace}{of}")
        }
        Body::EvidenceDeleted { digests, because } => {
            format!("evidence deleted, {}: {}", deleted_words(*because), digests.join(" "))
        }
        Body::Happened(event) => event_words(event),
        Body::Decided(decision) => format!("  decided: {}", decision_words(decision)),
    }
}

/// Why evidence was deleted, in words.
pub(super) fn deleted_words(because: DeletedBecause) -> String {
    match because {
        DeletedBecause::TooOld { keep_ms } => format!("older than {}", ShortDuration(keep_ms)),
        DeletedBecause::NoRoom { max_bytes } => format!("the oldest beyond {} MiB", max_bytes >> 20),
    }
}

fn event_words(event: &Event) -> String {
    match event {
        Event::Tick => "time went by".to_owned(),
        Event::Observed(observation) => format!(
            "observed batch {}: {} traces of blue, {} of green, {} finding(s)",
            observation.batch,
            observation.arms.blue.traces,
            observation.arms.green.traces,
            observation.findings.len()
        ),
        Event::GateFinished { gate, result, .. } => {
            let reason = result.reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("the {gate} gate ended in {:?}{reason}", result.verdict)
        }
        Event::Measured { metric, measurement } => match measurement {
            Measurement::Read(reading) => {
                let words = |counters: model::Counters| format!("{} of {}", counters.events, counters.total);
                let (blue, green) = (words(reading.counters.blue), words(reading.counters.green));
                format!("metric {metric} stands at {blue} in blue, {green} in green")
            }
            Measurement::Failed { reason } => format!("metric {metric} could not be read: {reason}"),
        },
        Event::CanaryFollowed(canary) => {
            let of = |environment: Environment| format!("{} {environment}", fate_words(&canary.fates[environment]));
            format!("canary {}: {}, {}", canary.trace, of(Environment::Blue), of(Environment::Green))
        }
        Event::Applied { generation, .. } => format!("the gateway applied generation {generation}"),
        Event::Commanded { command, .. } => format!("asked to {}", command.name()),
        Event::Restarted => "the controller started again".to_owned(),
    }
}

/// What became of a canary, before the environment's name.
fn fate_words(fate: &CanaryFate) -> String {
    match fate {
        CanaryFate::NotTaken => "not taken by".to_owned(),
        CanaryFate::NotOut => "nothing came out of".to_owned(),
        CanaryFate::Out { leaks } if leaks.is_empty() => "masked by".to_owned(),
        CanaryFate::Out { leaks } => format!("{} secret(s) in clear out of", leaks.len()),
    }
}

fn shift_words(shift: &Shift) -> String {
    let mirror = if shift.mirror { ", mirror on" } else { "" };
    format!("green {}{mirror}, {} active (generation {})", shift.weight, shift.active, shift.generation)
}

/// A verdict in words.
pub(super) fn verdict_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "Pass".to_owned(),
        Verdict::Fail(failure) => format!("Fail: {}", failure.reasons.join("; ")),
        Verdict::Inconclusive { missing } => format!("Inconclusive: {}", missing.join("; ")),
        Verdict::Error { reason } => format!("Error: {reason}"),
    }
}

fn decision_words(decision: &Decision) -> String {
    match decision {
        Decision::StepEntered { step, does } => format!("step {step}: {does}"),
        Decision::ShiftOrdered(shift) => format!("shift ordered: {}", shift_words(shift)),
        Decision::ShiftObserved(shift) => format!("shift observed: {}", shift_words(shift)),
        Decision::GateRequested { gate, run, guard } => {
            format!("run {run}: the {gate} {}", if *guard { "guard" } else { "gate" })
        }
        Decision::Judged { assessment, evidence } => {
            let evidence = evidence.as_ref().map(|digest| format!(" (evidence {digest})")).unwrap_or_default();
            format!("verdict: {}{evidence}", verdict_words(&assessment.verdict))
        }
        Decision::SourceFails { metric, reason } => format!("the source of metric {metric} fails: {reason}"),
        Decision::SourceAnswers { metric } => format!("the source of metric {metric} answers again"),
        Decision::Approved { by, count, needed } => format!("approved by {by}: {count} of {needed}"),
        Decision::Refused { command, reason } => format!("refused to {command}: {reason}"),
        Decision::Paused => "paused".to_owned(),
        Decision::Resumed => "goes on".to_owned(),
        Decision::Skipped { step } => format!("the wait of step {step} ended by an operator"),
        Decision::Held(reason) if reason.details().is_empty() => format!("held: {reason}"),
        Decision::Held(reason) => format!("held: {reason}: {}", reason.details().join("; ")),
        Decision::Extended { by_ms, times } => {
            format!("extended by {} ({times} so far)", ShortDuration(*by_ms))
        }
        Decision::RollbackOrdered(cause) => format!("ROLLBACK: {}: {}", cause.guard, cause.finding),
        Decision::PromotionOrdered => "promotion".to_owned(),
        Decision::Ended(Outcome::Promoted) => "ended: promoted".to_owned(),
        Decision::Ended(Outcome::RolledBack(cause)) => format!("ended: rolled back: {}", cause.guard),
    }
}

#[cfg(test)]
mod tests;
