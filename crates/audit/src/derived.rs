//! Files of a bundle that follow from the others: written for whoever reads a bundle with other tools, and never read by us.

use crate::bundle::Bundle;
use crate::oscal;
use rollout::{Body, Record, Start};

/// The longest of them: of the OSCAL file the observations are at most 9.8 MB and the risks 12 MB, with their arithmetic there.
pub(crate) const MAX_DERIVED_BYTES: usize = 32 << 20;

/// The plan, in the bytes whose SHA-256 is the plan's digest.
pub(crate) const PLAN: &str = "plan.json";

/// The evidence as OSCAL assessment results.
pub(crate) const OSCAL: &str = "oscal-assessment-results.json";

/// Whether there is such a file.
pub(crate) fn is_derived(path: &str) -> bool {
    path == PLAN || path == OSCAL
}

/// All of them, by their paths. Where a record that one follows from is not shown, the file is not there.
pub(crate) fn files(bundle: &Bundle, records: &[(u64, Record)]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let plan = started(records)
        .map(|(_, start)| serde_json_canonicalizer::to_vec(&start.plan).expect("a plan was read from JSON"));
    if let Some(results) = oscal::assessment_results(bundle, plan.as_deref(), records) {
        files.push((OSCAL.to_owned(), results));
    }
    files.extend(plan.map(|plan| (PLAN.to_owned(), plan)));
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
        | Body::EvidenceDeleted { .. }
        | Body::KeyRotated { .. }
        | Body::ShardBegan(_)
        | Body::EntriesPruned { .. }
        | Body::EvidenceRead { .. }
        | Body::TrafficRecorded { .. }
        | Body::AccessRefused { .. }
        | Body::NotificationsRead { .. }
        | Body::Notified { .. }
        | Body::PrincipalsRead { .. }
        | Body::Heartbeat
        | Body::Erased { .. }
        | Body::Reviewed { .. }
        | Body::ReviewOverdue { .. } => None,
    })
}
