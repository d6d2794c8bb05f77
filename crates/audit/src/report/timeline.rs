//! What happened when: in short, and record by record.

use super::Words;
use super::page::Page;
use crate::kind::Kind;
use crate::verify::is_measurement;
use rollout::Record;

/// Steps, shifts, holds, what people did, and the end.
pub(super) fn milestones(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    page.head(&["when", "what"]);
    for (_, record) in records.iter().filter(|(_, record)| is_milestone(record)) {
        page.row(1, &[&(words.time)(record.at), (words.record)(&record.body).trim().trim_start_matches("decided: ")]);
    }
    page.end();
}

fn is_milestone(record: &Record) -> bool {
    match Kind::of(record) {
        Kind::Start | Kind::Refusal | Kind::Hold | Kind::Rollback | Kind::End | Kind::Command | Kind::Approval => true,
        Kind::Acceptance | Kind::Emergency | Kind::Configuration | Kind::Key | Kind::Erasure => true,
        // The time that went by, and what was ordered before it was observed, are among the records below.
        Kind::Step | Kind::Shift => match &record.body {
            rollout::Body::Decided(decision) => !matches!(**decision, rollout::Decision::ShiftOrdered(_)),
            _ => false,
        },
        Kind::Gate | Kind::Observation | Kind::Verdict | Kind::Evidence | Kind::Principals | Kind::Access => false,
        Kind::Server => false,
    }
}

/// Every record that is not a measurement.
pub(super) fn all(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    page.heading("Records");
    let measured = records.iter().filter(|(_, record)| is_measurement(record)).count();
    page.remark(&format!("{measured} observations and measurements are left out here."));
    page.head(&["entry", "when", "who", "what"]);
    for (index, record) in records.iter().filter(|(_, record)| !is_measurement(record)) {
        let Record { at, by, body, .. } = record;
        page.row(2, &[&index.to_string(), &(words.time)(*at), by, (words.record)(body).trim()]);
    }
    page.end();
}
