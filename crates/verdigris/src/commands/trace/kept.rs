//! `verdigris trace show`: the example traces that the ledger names, and what is there of them.

use super::{evidence, read, tell};
use crate::cli::{Format, Show};
use crate::commands::evidence::Deletions;
use crate::commands::ledger::open;
use crate::describe::{Exit, Failed, printable, say, timestamp};
use crate::system::EVIDENCE_DIR;
use anyhow::anyhow;
use model::{TraceId, UnixMillis};
use read::Contents;
use rollout::{Body, FindingName, RolloutId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The fewest digits that name something.
const MIN_DIGITS: usize = 6;

/// Findings that a line names; JSON has them all.
const MAX_SHOWN: usize = 2;

/// An example that was kept.
#[derive(Debug)]
struct Kept {
    digest: String,
    trace: TraceId,
    rollout: Option<RolloutId>,
    at: UnixMillis,
    findings: Vec<FindingName>,
    /// Whether it is the trace that shows why the rollout was rolled back.
    is_cause: bool,
}

/// All that a ledger says of examples.
struct Store {
    folder: PathBuf,
    kept: Vec<Kept>,
    deletions: Deletions,
}

/// Runs it.
pub(super) fn show(command: &Show, format: Format) -> Result<Exit, Failed> {
    let store = Store::read(command)?;
    let Some(which) = &command.which else {
        store.list(format);
        return Ok(Exit::Done);
    };
    let kept = store.find(which)?;
    let path = store.path(kept);
    if !path.exists() {
        let what = match store.deletions.of(&kept.digest) {
            Some(deletion) => format!("was {}", deletion.words()),
            None => format!("is not there ({}), and the ledger says of no deletion of it", path.display()),
        };
        return Err(Failed::usage(format!("the evidence of trace {}, {}, {what}", kept.trace, kept.digest)));
    }
    let file = read::file(&path)?;
    let Contents::Evidence(examples) = file.contents else {
        return Err(file.name.refused("no example trace"));
    };
    let told = evidence::told(examples).map_err(|error| file.name.refused(error))?;
    if format == Format::Text {
        say(format_args!("{}\n", kept.heading()));
    }
    tell(&told, command.look, format);
    Ok(Exit::Done)
}

impl Store {
    fn read(command: &Show) -> Result<Store, Failed> {
        let opened = open(&command.at)?;
        let checkpoint = opened.reader.checkpoint(&opened.key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let entries = opened.reader.entries(&checkpoint, 0..checkpoint.size());
        let (mut by_digest, mut kept, mut deletions) = (BTreeMap::new(), Vec::<Kept>::new(), Deletions::default());
        for (index, entry) in (0..).zip(entries.map_err(|error| Failed::not_verified(anyhow!(error)))?) {
            let entry = entry.map_err(|error| Failed::not_verified(anyhow!(error)))?;
            let record = control::decode(index, &entry).map_err(|error| Failed::not_verified(anyhow!(error)))?;
            deletions.take(index, &record);
            let (rollout, at) = (record.rollout, record.at);
            let Body::EvidenceKept { digest, trace, findings } = record.body else { continue };
            let place = *by_digest.entry(digest.clone()).or_insert(kept.len());
            if place == kept.len() {
                kept.push(Kept { digest, trace, rollout, at, findings: Vec::new(), is_cause: false });
            }
            kept[place].is_cause |= findings.is_empty();
            kept[place].findings.extend(findings);
        }
        let folder = command.at.dir.parent().unwrap_or(Path::new(".")).join(EVIDENCE_DIR);
        Ok(Store { folder, kept, deletions })
    }

    fn path(&self, kept: &Kept) -> PathBuf {
        self.folder.join(kept.digest.trim_start_matches("sha256:"))
    }

    /// Of several blobs of one trace the one that was kept last.
    fn find(&self, which: &str) -> Result<&Kept, Failed> {
        let digits = which.trim_start_matches("sha256:").to_ascii_lowercase();
        if digits.len() < MIN_DIGITS {
            return Err(Failed::usage(format!(
                "{which:?}: expected at least {MIN_DIGITS} digits of a trace or a digest"
            )));
        }
        let is_meant = |kept: &&Kept| {
            kept.trace.to_string().starts_with(&digits)
                || kept.digest.trim_start_matches("sha256:").starts_with(&digits)
        };
        let mut meant = self.kept.iter().rev().filter(is_meant);
        let first = meant.next().ok_or_else(|| {
            Failed::usage(format!(
                "the ledger names no evidence of {which:?}; `verdigris trace show` lists what it names"
            ))
        })?;
        match meant.find(|other| other.trace != first.trace) {
            None => Ok(first),
            Some(other) => Err(Failed::usage(format!(
                "{which:?} is the beginning of {} {} and {} {}: give more digits",
                first.trace, first.digest, other.trace, other.digest
            ))),
        }
    }

    fn list(&self, format: Format) {
        match format {
            Format::Json => {
                say(json!({ "examples": self.kept.iter().map(|kept| self.json(kept)).collect::<Vec<_>>() }))
            }
            Format::Text if self.kept.is_empty() => say("the ledger names no example trace"),
            Format::Text => {
                for kept in &self.kept {
                    let gone = match self.deletions.of(&kept.digest) {
                        _ if self.path(kept).exists() => String::new(),
                        Some(deletion) => format!("\n    {}", deletion.words()),
                        None => "\n    not there".to_owned(),
                    };
                    say(format_args!("{}{gone}", kept.heading()));
                }
            }
        }
    }

    fn json(&self, kept: &Kept) -> Value {
        let deleted =
            self.deletions.of(&kept.digest).map(|it| json!({ "entry": it.entry, "at": it.at, "because": it.because }));
        json!({
            "trace": kept.trace,
            "rollout": kept.rollout,
            "keptAt": kept.at,
            "digest": kept.digest,
            "findings": kept.findings,
            "isCause": kept.is_cause,
            "isThere": self.path(kept).exists(),
            "deleted": deleted,
        })
    }
}

impl Kept {
    /// `trace … of demo.1, kept …: lost spans in a / b; why it was rolled back`.
    fn heading(&self) -> String {
        let cause = self.is_cause.then(|| "why it was rolled back".to_owned());
        let more = self.findings.len().saturating_sub(MAX_SHOWN);
        let more = (more > 0).then(|| format!("and {more} more"));
        let findings = self.findings.iter().take(MAX_SHOWN).map(FindingName::to_string);
        let shows: Vec<String> = cause.into_iter().chain(findings).chain(more).collect();
        let of = self.rollout.as_ref().map(|rollout| format!(" of {rollout}")).unwrap_or_default();
        let short: String = self.digest.chars().take("sha256:".len() + 12).collect();
        printable(&format!("trace {}{of}  {}  {short}  {}", self.trace, timestamp(self.at), shows.join("; ")))
    }
}
