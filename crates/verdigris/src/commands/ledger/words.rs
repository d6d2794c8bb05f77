//! Records in words.

use crate::describe::timestamp;
use judge::Verdict;
use model::{CanaryFate, Environment, Measurement, ShortDuration};
use rollout::acceptance::{Says, note_words};
use rollout::approval::Submission;
use rollout::{
    Body, Configuration, Decision, DeletedBecause, Event, FindingName, KnownPrincipal, NotificationTarget, Outcome,
    Shift,
};

/// A record in words.
pub(in crate::commands) fn words(body: &Body) -> String {
    match body {
        Body::ServerStarted { version } => format!("the server started (verdigris {version})"),
        Body::ServerStopped => "the server stopped".to_owned(),
        Body::Started(start) => format!("started the rollout of {}: {}", start.plan.name, start.plan_digest),
        Body::EvidenceKept { digest, trace, findings } => {
            let findings: Vec<String> = findings.iter().map(FindingName::to_string).collect();
            let of = if findings.is_empty() { String::new() } else { format!(": {}", findings.join("; ")) };
            format!("  kept {digest}: trace {trace}{of}")
        }
        Body::EvidenceDeleted { digests, because } => {
            format!("evidence deleted, {}: {}", deleted_words(*because), digests.join(" "))
        }
        Body::KeyRotated { old, new } => format!("the ledger is signed by {new} from here on, before by {old}"),
        Body::EvidenceRead { digest, from } => format!("looked at {digest}{}", from_words(from.as_deref())),
        Body::TrafficRecorded { for_ms, max_bytes, redacted, recipient, from } => format!(
            "recorded what the gateway received, for {} and {} MiB at most, {}, for {recipient} to open{}",
            ShortDuration(*for_ms),
            max_bytes >> 20,
            if *redacted { "without what is sensitive" } else { "with all that is sensitive" },
            from_words(from.as_deref())
        ),
        Body::NotificationsRead { targets } if targets.is_empty() => "nobody is notified".to_owned(),
        Body::NotificationsRead { targets } => {
            let one = |target: &NotificationTarget| format!("{} of {}", target.name, target.on.join(", "));
            format!("notified are: {}", targets.iter().map(one).collect::<Vec<_>>().join("; "))
        }
        Body::Notified { id, event, to, tries, gave_up: None } => {
            format!("{to} was notified of {event} ({id}, {tries} tries)")
        }
        Body::Notified { id, event, to, tries, gave_up: Some(why) } => {
            format!("{to} was NOT notified of {event}, given up after {tries} tries: {why} ({id})")
        }
        Body::AccessRefused { what, who, from } => {
            format!("{who} asked for {what}{} and was refused", from_words(from.as_deref()))
        }
        Body::ShardBegan(start) => {
            let rollouts = start.rollouts;
            format!(
                "this part of the ledger began, after the one that ended with {}; {rollouts} rollout(s) so far",
                start.ended
            )
        }
        Body::EntriesPruned { ended, keep_ms, persons } => format!(
            "entries of the part that ended with {ended} were removed, older than {}; {} sealed text(s) about persons with them",
            ShortDuration(*keep_ms),
            persons.len()
        ),
        Body::PrincipalsRead { principals } => {
            let one = |it: &KnownPrincipal| match it.roles.is_empty() {
                true => it.name.clone(),
                false => format!("{} ({})", it.name, it.roles.join(", ")),
            };
            format!("the configuration names {}", principals.iter().map(one).collect::<Vec<_>>().join("; "))
        }
        Body::Heartbeat => "the server runs".to_owned(),
        Body::Erased { subject, persons, evidence } => {
            let (persons, blobs) = (persons.len(), evidence.len());
            format!("{subject} was erased: {persons} sealed text(s) about a person, {blobs} blob(s) of evidence")
        }
        Body::Reviewed { of, submission, refused: None } => {
            format!("the broken glass of {of} was reviewed: {}", submission_words(submission))
        }
        Body::Reviewed { of, refused: Some(reason), .. } => format!("a review of {of} was refused: {reason}"),
        Body::ReviewOverdue { of } => format!("the glass of {of} was broken, and nobody reviewed it in time"),
        Body::Happened(event) => event_words(event),
        Body::Decided(decision) => format!("  decided: {}", decision_words(decision)),
    }
}

fn from_words(from: Option<&str>) -> String {
    from.map_or_else(String::new, |from| format!(" ({from})"))
}

/// Why evidence was deleted, in words.
pub(in crate::commands) fn deleted_words(because: DeletedBecause) -> String {
    match because {
        DeletedBecause::TooOld { keep_ms } => format!("older than {}", ShortDuration(keep_ms)),
        DeletedBecause::NoRoom { max_bytes } => format!("the oldest beyond {} MiB", max_bytes >> 20),
    }
}

fn event_words(event: &Event) -> String {
    match event {
        Event::Tick => "time went by".to_owned(),
        Event::Observed(observation) => format!(
            "observed batch {}: {} traces of blue, {} of green, {} finding(s)",
            observation.batch,
            observation.arms.blue.traces,
            observation.arms.green.traces,
            observation.findings.len()
        ),
        Event::GateFinished { gate, result, .. } => {
            let reason = result.reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("the {gate} gate ended in {:?}{reason}", result.verdict)
        }
        Event::Measured { metric, measurement } => match measurement {
            Measurement::Read(reading) => {
                let words = |counters: model::Counters| format!("{} of {}", counters.events, counters.total);
                let (blue, green) = (words(reading.counters.blue), words(reading.counters.green));
                format!("metric {metric} stands at {blue} in blue, {green} in green")
            }
            Measurement::Failed { reason } => format!("metric {metric} could not be read: {reason}"),
        },
        Event::ConfigurationsRead(configurations) => {
            let of = |environment| format!("{environment} {}", configuration_words(&configurations[environment]));
            format!("configurations: {}, {}", of(Environment::Blue), of(Environment::Green))
        }
        Event::ApprovalSubmitted(submission) => format!("handed in: {}", submission_words(submission)),
        Event::SignedOff(sign_off) => {
            let note = sign_off.note.as_deref().map(|note| format!(", {}", note_words(note))).unwrap_or_default();
            format!("signed off by {}: {}{note}", sign_off.by.name, sign_off.says.command())
        }
        Event::CanaryFollowed(canary) => {
            let of = |environment: Environment| format!("{} {environment}", fate_words(&canary.fates[environment]));
            format!("canary {}: {}, {}", canary.trace, of(Environment::Blue), of(Environment::Green))
        }
        Event::LeaksSearched(search) => {
            let (blue, green) = (search.searched.blue, search.searched.green);
            let places = search.exposures.len();
            format!("{blue} traces of blue, {green} of green searched: something in clear at {places} place(s)")
        }
        Event::Applied { generation, .. } => format!("the gateway applied generation {generation}"),
        Event::Commanded { command, .. } => format!("asked to {}", command.name()),
        Event::Restarted => "the controller started again".to_owned(),
    }
}

fn configuration_words(configuration: &Configuration) -> &str {
    match configuration {
        Configuration::Undeclared => "none",
        Configuration::Read { digest } => digest,
        Configuration::Unreadable { reason } => reason,
    }
}

fn submission_words(submission: &Submission) -> String {
    let signer = submission.signer.as_ref().map_or("nobody who is known", |signer| signer.name.as_str());
    match submission.signed.open() {
        Ok((statement, key)) => {
            let by = format!("{}, signed by {signer} ({}", statement.act.words(), key.fingerprint());
            match key.passkey() {
                Some(passkey) => format!("{by}, a passkey at {})", passkey.origin()),
                None => by + ")",
            }
        }
        Err(error) => format!("a statement that does not hold: {error}"),
    }
}

/// What became of a canary, before the environment's name.
fn fate_words(fate: &CanaryFate) -> String {
    match fate {
        CanaryFate::NotTaken => "not taken by".to_owned(),
        CanaryFate::NotOut => "nothing came out of".to_owned(),
        CanaryFate::Out { leaks } if leaks.is_empty() => "masked by".to_owned(),
        CanaryFate::Out { leaks } => format!("{} secret(s) in clear out of", leaks.len()),
    }
}

fn shift_words(shift: &Shift) -> String {
    let mirror = if shift.mirror { ", mirror on" } else { "" };
    let testers = if shift.testers { ", testers to green" } else { "" };
    format!("green {}{mirror}{testers}, {} active (generation {})", shift.weight, shift.active, shift.generation)
}

/// A verdict in words.
pub(in crate::commands) fn verdict_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "Pass".to_owned(),
        Verdict::Fail(failure) => format!("Fail: {}", failure.reasons.join("; ")),
        Verdict::Inconclusive { missing } => format!("Inconclusive: {}", missing.join("; ")),
        Verdict::Error { reason } => format!("Error: {reason}"),
    }
}

fn decision_words(decision: &Decision) -> String {
    match decision {
        Decision::StepEntered { step, does } => format!("step {step}: {does}"),
        Decision::ShiftOrdered(shift) => format!("shift ordered: {}", shift_words(shift)),
        Decision::ShiftObserved(shift) => format!("shift observed: {}", shift_words(shift)),
        Decision::GateRequested { gate, run, guard } => {
            format!("run {run}: the {gate} {}", if *guard { "guard" } else { "gate" })
        }
        Decision::Judged { assessment, evidence } => {
            let evidence = evidence.as_ref().map(|digest| format!(" (evidence {digest})")).unwrap_or_default();
            format!("verdict: {}{evidence}", verdict_words(&assessment.verdict))
        }
        Decision::SourceFails { metric, reason } => format!("the source of metric {metric} fails: {reason}"),
        Decision::SourceAnswers { metric } => format!("the source of metric {metric} answers again"),
        Decision::Approved { by, key, expires_at, count, needed, of_point } => {
            let what = if *of_point { "point of no return approved" } else { "approved" };
            format!("{what} by {by} ({key}) until {}: {count} of {needed}", timestamp(*expires_at))
        }
        Decision::PointPassed { step, reason, of } => {
            format!("POINT OF NO RETURN passed at step {step}, approved by {}: {reason}", of.join(", "))
        }
        Decision::GlassBroken { by, reason, review_until } => {
            format!("GLASS BROKEN by {by}: {reason}; to be reviewed until {}", timestamp(*review_until))
        }
        Decision::ApprovalsVoid { because, of } => format!("approvals of {} are void: {because}", of.join(", ")),
        Decision::SignedOff { word, count, needed } => {
            let counts =
                word.uncounted.as_deref().map(|why| format!(", which does not count: {why}")).unwrap_or_default();
            let said = if word.says == Says::Accept { "accepted" } else { "REFUSED" };
            let traces = word.tested.traces;
            format!("{said} by {} after {traces} trace(s) at green: {count} of {needed}{counts}", word.by)
        }
        Decision::Refused { command, reason } => format!("refused to {command}: {reason}"),
        Decision::Paused => "paused".to_owned(),
        Decision::Resumed => "goes on".to_owned(),
        Decision::Skipped { step } => format!("the wait of step {step} ended by an operator"),
        Decision::Held(reason) if reason.details().is_empty() => format!("held: {reason}"),
        Decision::Held(reason) => format!("held: {reason}: {}", reason.details().join("; ")),
        Decision::Extended { by_ms, times } => {
            format!("extended by {} ({times} so far)", ShortDuration(*by_ms))
        }
        Decision::RollbackOrdered(cause) => format!("ROLLBACK: {}: {}", cause.guard, cause.finding),
        Decision::PromotionOrdered => "promotion".to_owned(),
        Decision::Ended(Outcome::Promoted) => "ended: promoted".to_owned(),
        Decision::Ended(Outcome::RolledBack(cause)) => format!("ended: rolled back: {}", cause.guard),
    }
}

#[cfg(test)]
mod tests;
