//! How it ended, of what it was, and what of it was checked.

use super::Words;
use super::page::Page;
use crate::bundle::Bundle;
use crate::derived::started;
use crate::replay::Replayed;
use crate::verify::Verified;
use model::{Environment, UnixMillis};
use rollout::{Body, Decision, Outcome, Record};

pub(super) fn outcome(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    let ended = records.iter().rev().find_map(|(_, record)| match &record.body {
        Body::Decided(decision) => match &**decision {
            Decision::Ended(outcome) => Some((outcome, record.at)),
            _ => None,
        },
        _ => None,
    });
    match ended {
        Some((outcome, at)) => {
            let at = (words.time)(at);
            match outcome {
                Outcome::Promoted => page.paragraph("outcome good", &format!("promoted, {at}")),
                Outcome::RolledBack(cause) => {
                    page.paragraph("outcome bad", &format!("rolled back: {}: {}, {at}", cause.guard, cause.finding));
                }
            }
        }
        None => page.paragraph("outcome quiet", "it had not ended when the bundle was made"),
    }
    let Some((entry, start)) = started(records) else {
        return page.remark("The record that started it is not shown.");
    };
    let at = records.iter().find(|(index, _)| *index == entry).map_or(UnixMillis(0), |(_, record)| record.at);
    let plan = &start.plan;
    page.facts();
    page.row(1, &["plan", &plan.name]);
    page.row(1, &["its digest", &start.plan_digest]);
    page.row(1, &["reason", &plan.reason]);
    for (name, text) in [("change", &plan.change), ("impact", &plan.impact)] {
        if let Some(text) = text {
            page.row(1, &[name, text]);
        }
    }
    for environment in Environment::BOTH {
        let it = &plan.environments[environment];
        let artifact = it.artifact.as_ref().map_or_else(String::new, |digest| format!(", artifact {digest}"));
        page.row(1, &[&environment.to_string(), &format!("version {}{artifact}", it.version)]);
    }
    page.row(1, &["started", &format!("by {}, {}", start.by.name, (words.time)(at))]);
    page.row(1, &["decided by", &format!("verdigris {}", start.program)]);
    page.end();
}

pub(super) fn checked(
    page: &mut Page,
    bundle: &Bundle,
    verified: &Verified,
    replayed: Option<&Replayed>,
    words: &Words<'_>,
) {
    page.heading("What was checked");
    page.head(&["what", "result"]);
    let checkpoint = &verified.checkpoint;
    let signed = format!("of {}, {} entries, root {}", checkpoint.origin(), checkpoint.size(), checkpoint.root());
    page.row(1, &["signed checkpoint", &signed]);
    for cosigned in &verified.cosigned {
        let at = (words.time)(UnixMillis(cosigned.at_s.saturating_mul(1_000)));
        let by = format!("it fits, {at}, by the key {}", cosigned.witness);
        page.row(1, &["cosignature", &by]);
    }
    let sequence = verified.sequence;
    let entries = format!(
        "{} entries, each proved to be in the ledger: {} of the rollout shown, {} hidden, {} of the server; none missing",
        bundle.entries.len(),
        sequence.shown,
        sequence.hidden,
        sequence.of_server
    );
    page.row(1, &["records", &entries]);
    let missing = match verified.missing_evidence.len() {
        0 => "none missing".to_owned(),
        missing => format!("{missing} that records name are not in the bundle"),
    };
    let evidence = format!("{} blobs, each with the digest that a record states; {missing}", bundle.evidence.len());
    page.row(1, &["evidence", &evidence]);
    let statements = match bundle.statements.len() {
        0 => "none in the bundle: the log's private key was not at hand when it was made".to_owned(),
        count => format!("{count} signed by the log's key, each as the records have it"),
    };
    page.row(1, &["statements", &statements]);
    let decisions = match replayed {
        Some(replayed) => format!(
            "{} made again from the records, all the same; the judge of {} verdicts asked again, the same",
            replayed.decisions, replayed.judged_again
        ),
        None => "not made again".to_owned(),
    };
    page.row(1, &["decisions", &decisions]);
    page.end();
}
