//! What a rollout's records say of its evidence: which blobs they name, and of which findings there are examples. A pure
//! fold of records, so that a restart knows it again.

use model::{Check, Finding, TraceId};
use rollout::{Body, FindingName, Record};
use std::collections::{BTreeMap, BTreeSet};

/// Example traces of one finding. They come from as many batches.
const MAX_EXAMPLES: u8 = 5;
/// Findings of one rollout that have examples: 128 of 5, at most 300 KiB each, are 190 MiB; the usual 20 KiB make 13.
const MAX_FINDINGS: usize = 128;
/// Blobs that one observation leaves: each is synced twice, so that four take some 80 ms of a slow disk, and there is an
/// observation a second at most.
const MAX_EXAMPLES_AT_ONCE: usize = 4;

/// The evidence of the rollout that started last.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    named: BTreeSet<String>,
    examples: BTreeMap<FindingName, u8>,
}

impl Kept {
    /// Takes the next record of the ledger.
    pub(crate) fn take(&mut self, record: &Record) {
        if let Body::Started(_) = record.body {
            *self = Kept::default();
        }
        self.named.extend(record.body.evidence().map(str::to_owned));
        if let Body::EvidenceKept { findings, .. } = &record.body {
            for finding in findings {
                let examples = self.examples.entry(finding.clone()).or_default();
                *examples = examples.saturating_add(1);
            }
        }
    }

    /// The digests of all blobs that are named.
    pub(crate) fn named(&self) -> &BTreeSet<String> {
        &self.named
    }

    /// The traces of an observation that are to be kept, each with the findings that it is an example of: those that have
    /// few examples so far, the most frequent first. What green does not show is noise; and spans with an error are no
    /// difference between the views, so there is nothing to be seen.
    pub(crate) fn wanted(&self, findings: &[Finding]) -> Vec<(TraceId, Vec<FindingName>)> {
        let mut wanted: Vec<(TraceId, Vec<FindingName>)> = Vec::new();
        let mut new = 0;
        let shown = |finding: &&Finding| finding.traces.green > 0 && finding.check != Check::ErrorSpan;
        for finding in findings.iter().filter(shown) {
            let Some(trace) = finding.example else { continue };
            let name = FindingName::of(finding);
            match self.examples.get(&name) {
                Some(examples) if *examples >= MAX_EXAMPLES => continue,
                None if self.examples.len() + new >= MAX_FINDINGS => continue,
                Some(_) => {}
                None => new += 1,
            }
            match wanted.iter().position(|(known, _)| *known == trace) {
                Some(at) => wanted[at].1.push(name),
                None if wanted.len() < MAX_EXAMPLES_AT_ONCE => wanted.push((trace, vec![name])),
                None => {}
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests;
