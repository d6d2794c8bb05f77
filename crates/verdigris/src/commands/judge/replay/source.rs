//! Where recorded evidence comes from: a ledger, a file of its records, or a blob.

use crate::cli::{LedgerAt, Replay};
use crate::commands::evidence::{check_name, gone};
use crate::commands::ledger::{Opened, open};
use crate::describe::{Failed, read_text};
use anyhow::anyhow;
use rollout::{JudgeEvidence, Record};
use serde::Deserialize;
use std::path::Path;

/// The largest file of records: a month of observations, one each two seconds, of 2 KiB.
const MAX_FILE_BYTES: u64 = 3 << 30;

pub(super) enum Source {
    Blob(Box<JudgeEvidence>),
    Records(Vec<Record>),
}

pub(super) fn read(command: &Replay) -> Result<Source, Failed> {
    let path = &command.evidence;
    if path.is_dir() {
        return ledger(&LedgerAt { dir: path.clone(), key: command.key.clone() });
    }
    if let Some(failed) = gone(path, command.key.as_deref()) {
        return Err(failed);
    }
    let text = read_text(path, MAX_FILE_BYTES)?;
    // A blob is one line of canonical JSON, with keys that no record has.
    match JudgeEvidence::from_bytes(text.as_bytes()) {
        Ok(evidence) => {
            let evidence = Box::new(evidence);
            check_name(path, text.as_bytes())?;
            Ok(Source::Blob(evidence))
        }
        Err(error) if text.starts_with("{\"assessment\":") => {
            Err(Failed::not_verified(anyhow!("{}: {error}", path.display())))
        }
        Err(_) => records(path, &text),
    }
}

fn ledger(at: &LedgerAt) -> Result<Source, Failed> {
    let Opened { reader, key, .. } = open(at)?;
    let checkpoint = reader.checkpoint(&key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let entries = reader.entries(&checkpoint, 0..checkpoint.size());
    let entries = entries.map_err(|error| Failed::not_verified(anyhow!(error)))?;
    let records = (0..).zip(entries).map(|(index, entry)| {
        let entry = entry.map_err(|error| Failed::not_verified(anyhow!(error)))?;
        control::decode(index, &entry).map_err(|error| Failed::not_verified(anyhow!(error)))
    });
    Ok(Source::Records(records.collect::<Result<_, Failed>>()?))
}

/// A line of `ledger show --format json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// Where it stands in the ledger.
    #[serde(rename = "index")]
    _index: u64,
    record: Record,
}

fn records(path: &Path, text: &str) -> Result<Source, Failed> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(index, line)| {
        // Not as one untagged enum: serde would go through a value of its own, in which histograms lose their keys' type.
        let shown = serde_json::from_str::<Shown>(line).map(|shown| shown.record);
        shown.or_else(|_| serde_json::from_str::<Record>(line)).map_err(|error| {
            Failed::usage(format!(
                "{}:{}: {error}; expected a record of a ledger, as `verdigris ledger show --format json` prints it, or a \
                 blob of the judge's evidence",
                path.display(),
                index + 1
            ))
        })
    });
    Ok(Source::Records(records.collect::<Result<_, Failed>>()?))
}
