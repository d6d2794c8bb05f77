//! Files of a bundle that follow from the others: written for whoever reads a bundle with other tools, and never read by us.

use crate::bundle::Bundle;
use rollout::{Body, Record, Start};

/// The longest of them.
pub(crate) const MAX_DERIVED_BYTES: usize = 16 << 20;

/// The plan, in the bytes whose SHA-256 is the plan's digest.
pub(crate) const PLAN: &str = "plan.json";

/// Whether there is such a file.
pub(crate) fn is_derived(path: &str) -> bool {
    path == PLAN
}

/// All of them, by their paths. Where a record that one follows from is not shown, the file is not there.
pub(crate) fn files(_bundle: &Bundle, records: &[(u64, Record)]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    if let Some((_, start)) = started(records) {
        let plan = serde_json_canonicalizer::to_vec(&start.plan).expect("a plan was read from JSON");
        files.push((PLAN.to_owned(), plan));
    }
    files
}

/// How the rollout began, and the entry that says so.
pub(crate) fn started(records: &[(u64, Record)]) -> Option<(u64, &Start)> {
    records.iter().find_map(|(index, record)| match &record.body {
        Body::Started(start) => Some((*index, &**start)),
        Body::ServerStarted { .. }
        | Body::ServerStopped
        | Body::Happened(_)
        | Body::Decided(_)
        | Body::EvidenceKept { .. }
        | Body::EvidenceDeleted { .. } => None,
    })
}
