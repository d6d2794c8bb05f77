//! What people did, and what became of it: the decisions that follow.

use super::Words;
use super::page::Page;
use crate::kind::Kind;
use rollout::{Body, Event, Record};

/// Who approved what; and who wanted to, and was refused.
pub(super) fn approvals(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    page.heading("Who approved what");
    asked(page, records, words, agrees);
}

/// What else was asked for.
pub(super) fn commands(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    page.heading("Who asked for what");
    asked(page, records, words, |kind| !agrees(kind));
}

/// Approvers and testers.
fn agrees(kind: Kind) -> bool {
    matches!(kind, Kind::Approval | Kind::Acceptance)
}

fn asked(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>, of: impl Fn(Kind) -> bool) {
    let asked = records.iter().enumerate().filter_map(|(place, (index, record))| match &record.body {
        Body::Happened(event) => match &**event {
            Event::Commanded { by, .. } if of(Kind::of(record)) => Some((place, index, record, by.roles.join(", "))),
            Event::SignedOff(sign_off) if of(Kind::of(record)) => {
                Some((place, index, record, sign_off.by.roles.join(", ")))
            }
            Event::ApprovalSubmitted(submission) if of(Kind::of(record)) => {
                let roles = submission.signer.as_ref().map_or(String::new(), |signer| signer.roles.join(", "));
                Some((place, index, record, roles))
            }
            _ => None,
        },
        _ => None,
    });
    if asked.clone().next().is_none() {
        return page.none();
    }
    page.head(&["entry", "when", "who", "roles", "what", "what was decided"]);
    for (place, index, record, roles) in asked {
        let decided = records[place + 1..].iter().take_while(|(_, next)| matches!(next.body, Body::Decided(_)));
        let decided: Vec<String> = decided.map(|(_, next)| (words.record)(&next.body).trim().to_owned()).collect();
        let (time, what) = ((words.time)(record.at), (words.record)(&record.body));
        page.row(2, &[&index.to_string(), &time, &record.by, &roles, &what, &decided.join("; ")]);
    }
    page.end();
}
