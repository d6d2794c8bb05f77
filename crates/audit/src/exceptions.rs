//! What an auditor asks about first: where a rollout was not as its plan has it, where something was refused, not seen or left
//! out, and what of it is not here. Nothing of it says that something is wrong; each is there to be explained.

use crate::bundle::{Bundle, EntryContent};
use crate::verify::named_by;
use model::{BlindSpotCount, Environment, ShortDuration, Subject, UnixMillis};
use rollout::approval::Assertion;
use rollout::{Body, Command, Decision, Event, GateVerdict, Record};
use std::collections::BTreeMap;

/// Of how many of one kind is told. A rollout is held or refused something a few times; this bounds the page.
const MAX_TOLD: usize = 200;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// What it is.
    pub kind: ExceptionKind,
    /// The entry that says so; none where it is the bundle that lacks something.
    pub entry: Option<u64>,
    /// When.
    pub at: Option<UnixMillis>,
    /// What happened, in words.
    pub words: String,
}

/// Kinds of them, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ExceptionKind {
    /// One approval passed the gate alone.
    GlassBroken,
    /// A rollback was not safe any more, and whoever went back all the same.
    PastReturn,
    /// A passkey's count of signatures did not rise: somebody may have a copy of it.
    CountFell,
    /// Approvals did not count any more.
    ApprovalsVoid,
    /// The rollout stood still.
    Held,
    /// A wait was ended by a person.
    Skipped,
    /// What was asked for was not done.
    Refused,
    /// A gate did not pass.
    GateNotPassed,
    /// An analysis had more time than the plan gives it.
    Extended,
    /// A source of evidence failed.
    SourceFailed,
    /// Something never came out.
    BlindSpot,
    /// Traces were not compared.
    LeftOut,
    /// A rollback tore traces.
    Torn,
    /// The program that decides was started in its midst.
    Restarted,
    /// Evidence that a record names is not here.
    MissingEvidence,
    /// The traffic was recorded with all that is sensitive.
    RecordedInClear,
    /// Something was destroyed because somebody asked for it.
    Erased,
    /// Records are hidden.
    Hidden,
    /// The rollout had not ended.
    NotEnded,
}

impl ExceptionKind {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            ExceptionKind::GlassBroken => "glass broken",
            ExceptionKind::PastReturn => "past return",
            ExceptionKind::CountFell => "passkey count",
            ExceptionKind::ApprovalsVoid => "approvals void",
            ExceptionKind::Held => "held",
            ExceptionKind::Skipped => "skipped",
            ExceptionKind::Refused => "refused",
            ExceptionKind::GateNotPassed => "gate not passed",
            ExceptionKind::Extended => "extended",
            ExceptionKind::SourceFailed => "source failed",
            ExceptionKind::BlindSpot => "blind spot",
            ExceptionKind::LeftOut => "left out",
            ExceptionKind::Torn => "torn",
            ExceptionKind::Restarted => "restarted",
            ExceptionKind::MissingEvidence => "missing evidence",
            ExceptionKind::RecordedInClear => "recorded in clear",
            ExceptionKind::Erased => "erased",
            ExceptionKind::Hidden => "hidden",
            ExceptionKind::NotEnded => "not ended",
        }
    }
}

/// All of a bundle's, by kind and then as they happened.
pub(crate) fn exceptions(bundle: &Bundle, records: &[(u64, Record)]) -> Vec<Exception> {
    let mut found: Vec<Exception> = records.iter().filter_map(|(index, record)| of_record(*index, record)).collect();
    found.extend(measured(records));
    found.extend(counts(records));
    for (index, record) in records {
        if let Some(digest) = named_by(record).filter(|digest| !bundle.evidence.contains_key(*digest)) {
            let words = format!("sha256:{digest} is not in the bundle: deleted, or left out");
            found.push(told(ExceptionKind::MissingEvidence, *index, record, words));
        }
    }
    let hidden = bundle.entries.values().filter(|entry| matches!(entry.content, EntryContent::Hidden(_))).count();
    let of_bundle = |kind, words| Exception { kind, entry: None, at: None, words };
    if hidden > 0 {
        let words = format!("{hidden} records are hidden: that they are there is proved, what they say is not shown");
        found.push(of_bundle(ExceptionKind::Hidden, words));
    }
    if !records.iter().any(|(_, record)| is_end(record)) {
        let words = "no record that is shown says how it ended".to_owned();
        found.push(of_bundle(ExceptionKind::NotEnded, words));
    }
    found.sort_by_key(|exception| exception.kind);
    bounded(found)
}

fn told(kind: ExceptionKind, index: u64, record: &Record, words: String) -> Exception {
    Exception { kind, entry: Some(index), at: Some(record.at), words }
}

/// At most [`MAX_TOLD`] of each kind, and how many more there are.
fn bounded(found: Vec<Exception>) -> Vec<Exception> {
    let mut bounded = Vec::new();
    for same in found.chunk_by(|one, other| one.kind == other.kind) {
        bounded.extend(same.iter().take(MAX_TOLD).cloned());
        if let (Some(first), Some(more)) = (same.first(), same.len().checked_sub(MAX_TOLD).filter(|more| *more > 0)) {
            bounded.push(Exception { kind: first.kind, entry: None, at: None, words: format!("and {more} more") });
        }
    }
    bounded
}

fn is_end(record: &Record) -> bool {
    matches!(&record.body, Body::Decided(decision) if matches!(**decision, Decision::Ended(_)))
}

fn of_record(index: u64, record: &Record) -> Option<Exception> {
    let (kind, words) = match &record.body {
        Body::Happened(event) => of_event(event)?,
        Body::Decided(decision) => of_decision(decision)?,
        Body::ReviewOverdue { of } => {
            (ExceptionKind::GlassBroken, format!("the glass of {of} was broken, and nobody reviewed it in time"))
        }
        Body::Reviewed { of, refused: Some(reason), .. } => {
            (ExceptionKind::Refused, format!("a review of the broken glass of {of}: {reason}"))
        }
        Body::AccessRefused { what, who, .. } => {
            (ExceptionKind::Refused, format!("{who} asked for {what}, and is not known"))
        }
        Body::TrafficRecorded { redacted: false, recipient, .. } => {
            let by = &record.by;
            let words = format!(
                "{by} had the traffic recorded with all that is sensitive, for whoever has the identity of {recipient}"
            );
            (ExceptionKind::RecordedInClear, words)
        }
        Body::Erased { subject, .. } => (ExceptionKind::Erased, format!("what was kept of {subject} was destroyed")),
        Body::ServerStarted { .. }
        | Body::ServerStopped
        | Body::Started(_)
        | Body::KeyRotated { .. }
        | Body::ShardBegan(_)
        | Body::EntriesPruned { .. }
        | Body::EvidenceRead { .. }
        | Body::TrafficRecorded { redacted: true, .. }
        | Body::PrincipalsRead { .. }
        | Body::NotificationsRead { .. }
        | Body::Notified { .. }
        | Body::Heartbeat
        | Body::Reviewed { refused: None, .. }
        | Body::EvidenceKept { .. }
        | Body::EvidenceDeleted { .. } => return None,
    };
    Some(told(kind, index, record, words))
}

fn of_event(event: &Event) -> Option<(ExceptionKind, String)> {
    match event {
        Event::GateFinished { gate, run, result } => {
            let verdict = match result.verdict {
                GateVerdict::Pass => return None,
                GateVerdict::Fail => "Fail",
                GateVerdict::Inconclusive => "Inconclusive",
                GateVerdict::Error => "Error",
            };
            let words = format!("{gate}, run {run}: {verdict}: {}", result.reasons.join("; "));
            Some((ExceptionKind::GateNotPassed, words))
        }
        Event::Commanded { command: Command::Rollback { reason, past_point_of_no_return: true }, by } => {
            let words = format!("{} asked to roll back, past the point of no return or not: {reason}", by.name);
            Some((ExceptionKind::PastReturn, words))
        }
        Event::Restarted => Some((ExceptionKind::Restarted, "the program that decides was started again".to_owned())),
        Event::Tick
        | Event::Observed(_)
        | Event::Measured { .. }
        | Event::CanaryFollowed(_)
        | Event::LeaksSearched(_)
        | Event::ConfigurationsRead(_)
        | Event::ApprovalSubmitted(_)
        | Event::SignedOff(_)
        | Event::Applied { .. }
        | Event::Commanded { .. } => None,
    }
}

fn of_decision(decision: &Decision) -> Option<(ExceptionKind, String)> {
    match decision {
        Decision::Held(reason) if reason.details().is_empty() => Some((ExceptionKind::Held, reason.to_string())),
        Decision::Held(reason) => Some((ExceptionKind::Held, format!("{reason}: {}", reason.details().join("; ")))),
        Decision::Skipped { step } => {
            Some((ExceptionKind::Skipped, format!("the wait of step {step} was ended by an operator")))
        }
        Decision::Refused { command, reason } => Some((ExceptionKind::Refused, format!("{command}: {reason}"))),
        Decision::Extended { by_ms, times } => {
            let words = format!("an analysis was extended by {}, {times} times so far", ShortDuration(*by_ms));
            Some((ExceptionKind::Extended, words))
        }
        Decision::SourceFails { metric, reason } => {
            Some((ExceptionKind::SourceFailed, format!("metric {metric}: {reason}")))
        }
        Decision::GlassBroken { by, reason, .. } => {
            Some((ExceptionKind::GlassBroken, format!("{by} passed the approval gate alone: {reason}")))
        }
        Decision::PointPassed { step, reason, of } => {
            let words = format!("step {step} was passed, approved by {}: {reason}", of.join(", "));
            Some((ExceptionKind::PastReturn, words))
        }
        Decision::ApprovalsVoid { because, of } => {
            Some((ExceptionKind::ApprovalsVoid, format!("those of {}: {because}", of.join(", "))))
        }
        Decision::StepEntered { .. }
        | Decision::ShiftOrdered(_)
        | Decision::ShiftObserved(_)
        | Decision::GateRequested { .. }
        | Decision::Judged { .. }
        | Decision::SourceAnswers { .. }
        | Decision::Approved { .. }
        | Decision::SignedOff { .. }
        | Decision::Paused
        | Decision::Resumed
        | Decision::RollbackOrdered(_)
        | Decision::PromotionOrdered
        | Decision::Ended(_) => None,
    }
}

/// Where a passkey counts its signatures and the count did not rise from one that held to the next (W3C Web Authentication,
/// section 6.1.1). It refuses nothing, for an authenticator may have been reset; keys that devices share do not count.
pub(crate) fn counts(records: &[(u64, Record)]) -> Vec<Exception> {
    let (mut last, mut found) = (BTreeMap::<String, (u32, &str)>::new(), Vec::new());
    for (index, record) in records {
        let Body::Happened(event) = &record.body else { continue };
        let Event::ApprovalSubmitted(submission) = &**event else { continue };
        let Ok((_, key)) = submission.signed.open() else { continue };
        let assertion = key.passkey().and_then(|_| Assertion::from_text(&submission.signed.signature).ok());
        let Some(count) = assertion.and_then(|assertion| assertion.sign_count()) else { continue };
        // What was handed in twice was signed once.
        let signature = submission.signed.signature.as_str();
        let before = last.insert(key.to_string(), (count, signature));
        if let Some((before, _)) = before.filter(|(before, other)| count <= *before && *other != signature) {
            let whose = submission.signer.as_ref().map_or("nobody who is known", |signer| signer.name.as_str());
            let words = format!(
                "the passkey {} of {whose} counted {before} signatures, and then {count}: it was reset, or there is a copy",
                key.fingerprint()
            );
            found.push(told(ExceptionKind::CountFell, *index, record, words));
        }
    }
    found
}

/// What observations and gateways say over the whole rollout.
fn measured(records: &[(u64, Record)]) -> Vec<Exception> {
    let (mut blind, mut left_out, mut torn) = (Vec::<(&BlindSpotCount, u64, &Record)>::new(), (0_u64, None), None);
    for (index, record) in records {
        let Body::Happened(event) = &record.body else { continue };
        match &**event {
            Event::Observed(observation) => {
                for count in &observation.blind_spots {
                    // The newest says what ever came out.
                    blind.retain(|(known, ..)| known.subject != count.subject);
                    blind.push((count, *index, record));
                }
                let lost: u64 = Environment::BOTH.iter().map(|it| observation.left_out[*it]).sum();
                if lost > 0 {
                    left_out = (left_out.0.saturating_add(lost), Some((*index, record)));
                }
            }
            Event::Applied { torn: traces, .. } if *traces > 0 => torn = Some((*traces, *index, record)),
            Event::Applied { .. }
            | Event::Tick
            | Event::GateFinished { .. }
            | Event::Measured { .. }
            | Event::CanaryFollowed(_)
            | Event::LeaksSearched(_)
            | Event::ConfigurationsRead(_)
            | Event::ApprovalSubmitted(_)
            | Event::SignedOff(_)
            | Event::Commanded { .. }
            | Event::Restarted => {}
        }
    }
    let green = Environment::Green;
    blind.retain(|(it, ..)| it.traces_ever[green] > 0 && it.unseen_ever[green] == it.traces_ever[green]);
    let mut found: Vec<Exception> = blind
        .into_iter()
        .map(|(it, index, record)| {
            let place = subject_words(&it.subject);
            let example = it.example.map(|trace| format!(", such as {trace}")).unwrap_or_default();
            let words =
                format!("{place}: nothing of it came out of green, in {} traces{example}", it.traces_ever[green]);
            told(ExceptionKind::BlindSpot, index, record, words)
        })
        .collect();
    if let (traces, Some((index, record))) = left_out {
        let words = format!("{traces} traces were seen and left out of what was compared");
        found.push(told(ExceptionKind::LeftOut, index, record, words));
    }
    if let Some((traces, index, record)) = torn {
        let words = format!("{traces} traces were torn by rollbacks since the gateway started");
        found.push(told(ExceptionKind::Torn, index, record, words));
    }
    found
}

fn subject_words(subject: &Subject) -> String {
    match subject {
        Subject::Operation { service, operation, .. } => format!("{service} / {operation}"),
        Subject::Edge { from, to } => format!("calls from {from} to {to}"),
    }
}
