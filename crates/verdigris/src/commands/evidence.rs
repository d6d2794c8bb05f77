//! What the ledger says of blobs of evidence that are not there any more.

use crate::cli::LedgerAt;
use crate::commands::ledger::{Opened, deleted_words, open};
use crate::describe::{Failed, timestamp};
use anyhow::anyhow;
use model::UnixMillis;
use rollout::{Body, DeletedBecause, Record};
use std::collections::BTreeMap;
use std::path::Path;

/// An entry about evidence has one of these in it: others need not be decoded.
const ABOUT_EVIDENCE: [&[u8]; 2] = [b"evidenceDeleted", b"evidenceKept"];

/// That a blob was deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deletion {
    /// The ledger's entry that says so.
    pub(super) entry: u64,
    pub(super) at: UnixMillis,
    pub(super) because: DeletedBecause,
}

impl Deletion {
    pub(super) fn words(&self) -> String {
        let (at, why) = (timestamp(self.at), deleted_words(self.because));
        format!("deleted by retention at {at}: {why} (entry {} of the ledger)", self.entry)
    }
}

/// By digest. Of several deletions of one blob the last.
#[derive(Debug, Default)]
pub(super) struct Deletions(BTreeMap<String, Deletion>);

impl Deletions {
    /// What a ledger says from this entry on.
    pub(super) fn read(ledger: &Opened, from: u64) -> Result<Deletions, Failed> {
        let mut deletions = Deletions::default();
        let checkpoint = ledger.reader.checkpoint(&ledger.key).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let entries = ledger.reader.entries(&checkpoint, from.min(checkpoint.size())..checkpoint.size());
        for (index, entry) in (from..).zip(entries.map_err(|error| Failed::not_verified(anyhow!(error)))?) {
            let entry = entry.map_err(|error| Failed::not_verified(anyhow!(error)))?;
            if ABOUT_EVIDENCE.iter().any(|name| entry.windows(name.len()).any(|window| window == *name)) {
                let record = control::decode(index, &entry).map_err(|error| Failed::not_verified(anyhow!(error)))?;
                deletions.take(index, &record);
            }
        }
        Ok(deletions)
    }

    pub(super) fn take(&mut self, entry: u64, record: &Record) {
        match &record.body {
            Body::EvidenceDeleted { digests, because } => {
                let deletion = Deletion { entry, at: record.at, because: *because };
                self.0.extend(digests.iter().map(|digest| (digest.clone(), deletion)));
            }
            // What was deleted can come again.
            Body::EvidenceKept { digest, .. } => {
                self.0.remove(digest);
            }
            _ => {}
        }
    }

    pub(super) fn of(&self, digest: &str) -> Option<&Deletion> {
        self.0.get(digest)
    }
}

/// The digest that a path is called by; `None` for one that is called otherwise.
fn digest_in_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let is_digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| format!("sha256:{name}"))
}

/// A blob that is called by a digest must have it.
pub(super) fn check_name(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let digest = store::evidence_digest(bytes);
    match digest_in_name(path).is_some_and(|named| named != digest) {
        true => Err(Failed::not_verified(anyhow!("{}: what is in it has the digest {digest}", path.display()))),
        false => Ok(()),
    }
}

/// Of a path that should be a blob and where nothing is: what became of it, as far as the ledger beside the folder of
/// evidence says. `None` for any other path.
pub(super) fn gone(path: &Path, key: Option<&str>) -> Option<Failed> {
    let digest = digest_in_name(path)?;
    if path.exists() {
        return None;
    }
    let dir = std::path::absolute(path).ok()?.parent()?.with_file_name(crate::system::LEDGER_DIR);
    let opened = open(&LedgerAt { dir, key: key.map(str::to_owned) });
    let deletions = opened.and_then(|opened| Deletions::read(&opened, 0));
    let shown = path.display();
    Some(match deletions {
        Ok(deletions) => match deletions.of(&digest) {
            Some(deletion) => Failed::usage(format!("{shown}: this evidence was {}", deletion.words())),
            None => Failed::usage(format!("{shown}: no such evidence, and the ledger says of no deletion of it")),
        },
        Err(error) => Failed::usage(format!(
            "{shown}: no such evidence; whether it was deleted by retention is not known, for the ledger cannot be read: \
             {error}"
        )),
    })
}
