//! What was found, and the traces that show it.

use super::Words;
use super::page::Page;
use super::verdicts::here;
use crate::bundle::Bundle;
use crate::replay::Replayed;
use rollout::{Body, FindingName, GroupReport, Record};

/// The groups of findings, as replaying the records gives them.
pub(super) fn findings(page: &mut Page, replayed: Option<&Replayed>, words: &Words<'_>) {
    page.heading("Findings");
    let Some(replayed) = replayed else {
        return page.remark("What was measured is hidden, and so nothing is known of what was found in it.");
    };
    let state = &replayed.state;
    let found = rollout::report(state, state.heard_at).findings;
    if found.is_empty() {
        return page.none();
    }
    page.remark("Of how many traces of each environment, when the first and the last of them was assigned.");
    page.head(&["green", "blue", "first", "last", "what", "where", "traces that show it"]);
    for GroupReport { group, .. } in found {
        let key = group.key.as_ref().map_or(String::new(), |key| format!(" ({key})"));
        let place = format!("{} / {}{key}", group.service, group.operation);
        let examples: Vec<String> = group.examples.iter().map(ToString::to_string).collect();
        let [green, blue] = [group.traces.green, group.traces.blue].map(|traces| traces.to_string());
        let [first, last] = [group.first_seen, group.last_seen].map(|at| (words.time)(at));
        page.row(5, &[&green, &blue, &first, &last, group.check.words(), &place, &examples.join(" ")]);
    }
    page.end();
}

/// The traces that were kept as examples.
pub(super) fn examples(page: &mut Page, bundle: &Bundle, records: &[(u64, Record)], words: &Words<'_>) {
    page.subheading("Traces that were kept");
    let kept = records.iter().filter_map(|(index, record)| match &record.body {
        Body::EvidenceKept { digest, trace, findings } => Some((index, record.at, digest, trace, findings)),
        _ => None,
    });
    if kept.clone().next().is_none() {
        return page.none();
    }
    page.remark(
        "Each is a file of the bundle, evidence/ and its digest, with what was sent of the trace, and what of it came out.",
    );
    page.head(&["entry", "when", "trace", "shows", "evidence"]);
    for (index, at, digest, trace, findings) in kept {
        let shows = match findings.as_slice() {
            [] => "why the rollout was rolled back".to_owned(),
            findings => findings.iter().map(FindingName::to_string).collect::<Vec<_>>().join("; "),
        };
        page.row(3, &[&index.to_string(), &(words.time)(at), &trace.to_string(), &shows, &here(bundle, digest)]);
    }
    page.end();
}
