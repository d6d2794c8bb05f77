//! Testers: what green served of theirs, by trace id, and what they say of it. Whether that counts is the state machine's to
//! decide; what the controller alone can know stands beside it in the record, and the traces are kept as evidence.
//!
//! A note may hold personal data: it is sealed like what is known of a person, the record has a commitment to it, and only
//! reports show its text.

use crate::controller::{Controller, answer};
use crate::errors::CommandError;
use crate::handle::SignOffReply;
use crate::release::Held;
use model::{TraceId, UnixMillis};
use rollout::acceptance::{Says, SignOff, Tested, check_note, note_words};
use rollout::{Body, Decision, Event, Principal, Record, Report, RolloutId, State, report};
use serde::Serialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Traces of one tester that are kept by their ids; more are counted. A day's clicks, or a quarter of an hour of all that the
/// gateway lets through. At some 100 bytes each 1 MB, and 14 MB of all testers.
pub const MAX_TRIED_TRACES: usize = 10_000;

/// What green acknowledged of one trace of a tester's, since this was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriedTrace {
    /// Which.
    pub trace: TraceId,
    /// Spans.
    pub spans: u64,
    /// Those with an error as their status.
    pub errors: u64,
    /// When, the last of them.
    pub at: UnixMillis,
}

/// What a tester says of a rollout.
#[derive(Clone, Debug)]
pub struct SaidOff {
    /// Accepted or refused.
    pub says: Says,
    /// Why, in their words.
    pub note: Option<String>,
    /// Who.
    pub by: Principal,
}

/// What testers of the rollout that runs had at green. In memory alone: after a restart each tries it again.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    of: Option<RolloutId>,
    testers: BTreeMap<String, Trial>,
}

#[derive(Debug, Default)]
struct Trial {
    traces: BTreeMap<TraceId, Served>,
    tested: Tested,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    spans: u64,
    errors: u64,
    first: UnixMillis,
    last: UnixMillis,
}

/// The blob that a sign-off names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evidence<'a> {
    rollout: &'a RolloutId,
    tester: &'a str,
    says: Says,
    at: UnixMillis,
    tested: Tested,
    /// By trace id.
    traces: Vec<Listed>,
    /// Spans of traces beyond those that are listed, so that their traces are not counted either.
    unlisted_spans: u64,
}

#[derive(Serialize)]
struct Listed {
    trace: TraceId,
    #[serde(flatten)]
    served: Served,
}

impl Trials {
    /// More of a tester's traces came to green.
    pub(crate) fn take(&mut self, rollout: &RolloutId, tester: &str, tried: &[TriedTrace]) {
        if self.of.as_ref() != Some(rollout) {
            *self = Trials { of: Some(rollout.clone()), testers: BTreeMap::new() };
        }
        if !self.testers.contains_key(tester) && self.testers.len() >= model::MAX_TESTERS {
            return;
        }
        let trial = self.testers.entry(tester.to_owned()).or_default();
        for TriedTrace { trace, spans, errors, at } in tried {
            trial.tested.spans = trial.tested.spans.saturating_add(*spans);
            trial.tested.errors = trial.tested.errors.saturating_add(*errors);
            if !trial.traces.contains_key(trace) && trial.traces.len() >= MAX_TRIED_TRACES {
                continue;
            }
            let fresh = Served { spans: 0, errors: 0, first: *at, last: *at };
            let served = trial.traces.entry(*trace).or_insert(fresh);
            served.spans = served.spans.saturating_add(*spans);
            served.errors = served.errors.saturating_add(*errors);
            served.last = *at;
            trial.tested.last = Some(*trace);
        }
        trial.tested.traces = trial.traces.len() as u64;
    }

    fn of(&self, rollout: &RolloutId, tester: &str) -> Option<&Trial> {
        self.testers.get(tester).filter(|_| self.of.as_ref() == Some(rollout))
    }
}

impl Controller {
    pub(crate) fn sign_off(&mut self, rollout: Option<&RolloutId>, said: SaidOff, reply: SignOffReply) {
        answer(reply, self.signed_off(rollout, said));
    }

    fn signed_off(&mut self, rollout: Option<&RolloutId>, said: SaidOff) -> Result<Box<Report>, CommandError> {
        let SaidOff { says, note, by } = said;
        let refused = |reason: String| CommandError::Refused { command: says.command().to_owned(), reason };
        let state = self.find(rollout).ok_or_else(|| CommandError::unknown(rollout))?;
        let (id, now) = (state.rollout.clone(), (self.clock)());
        if !self.runs(&id) {
            return Err(refused(format!("{id} has ended")));
        }
        if self.held != Held::Open {
            return Err(CommandError::Ledger("another process has it".to_owned()));
        }
        if let Some(note) = &note {
            check_note(note).map_err(refused)?;
        }
        // Nothing is kept of strangers, nor of whoever comes too early: what they say is refused, and that is recorded.
        let gate = state.plan.gates.acceptance.as_ref();
        let may = gate.is_some_and(|gate| gate.testers.contains(&by.name)) && state.table.testers.is_some();
        let tested = self.trials.of(&id, &by.name).map(|trial| trial.tested).unwrap_or_default();
        let (mut commitment, mut evidence) = (None, None);
        if may {
            commitment = note.as_deref().map(|note| self.seal_note(note)).transpose()?;
            evidence = self.keep_trial(&id, (&by.name, says), now);
        }
        let who = by.name.clone();
        let event = Event::SignedOff(Box::new(SignOff { by, says, note: commitment, tested, evidence }));
        let decisions = self.happened(event, &who);
        let decisions = decisions.ok_or_else(|| CommandError::Ledger("see the server's log".to_owned()))?;
        for decision in decisions {
            if let Decision::Refused { command, reason } = decision {
                return Err(CommandError::Refused { command, reason });
            }
        }
        let state = self.find(Some(&id)).ok_or(CommandError::Stopped)?;
        Ok(Box::new(self.told(state)))
    }

    fn seal_note(&self, note: &str) -> Result<String, CommandError> {
        let mut secret = Zeroizing::new([0; 64]);
        for part in secret.chunks_exact_mut(16) {
            part.copy_from_slice(&(self.random)());
        }
        let sealed = self.subjects.seal(note, &secret);
        sealed.map_err(|error| CommandError::Ledger(format!("the note was not sealed: {}", model::with_causes(&error))))
    }

    /// The digest of what a tester did. A sign-off stands without it, as a gate's result does.
    fn keep_trial(&mut self, rollout: &RolloutId, (tester, says): (&str, Says), at: UnixMillis) -> Option<String> {
        let trial = self.trials.of(rollout, tester)?;
        let traces: Vec<_> =
            trial.traces.iter().map(|(trace, served)| Listed { trace: *trace, served: *served }).collect();
        let listed: u64 = traces.iter().map(|listed| listed.served.spans).sum();
        let tested = trial.tested;
        let unlisted_spans = tested.spans.saturating_sub(listed);
        let evidence = Evidence { rollout, tester, says, at, tested, traces, unlisted_spans };
        let bytes = serde_json::to_vec(&evidence).expect("it has text keys only, and no floats");
        match self.journal.keep_evidence(&bytes, at) {
            Ok(digest) => Some(digest),
            Err(error) => {
                tracing::error!("what a tester did could not be kept: {error}");
                None
            }
        }
    }

    /// Where a rollout stands, with the words of testers' notes.
    pub(crate) fn told(&self, state: &State) -> Report {
        let mut report = report(state, (self.clock)());
        let mut sign_offs = std::mem::take(&mut report.sign_offs);
        for word in &mut sign_offs {
            let Some(commitment) = word.note.take() else { continue };
            let text = match self.subjects.reveal(&commitment) {
                Ok(Some(text)) => text.replace('\n', " "),
                Ok(None) => "(the note was erased)".to_owned(),
                Err(error) => {
                    tracing::warn!("a note cannot be read: {}", model::with_causes(&error));
                    "(the note cannot be read)".to_owned()
                }
            };
            let sealed = note_words(&commitment);
            report.headline = report.headline.replace(&sealed, &text);
            if let Some(cause) = &mut report.cause {
                cause.finding = cause.finding.replace(&sealed, &text);
            }
            for what in &mut report.waits_for {
                *what = what.replace(&sealed, &text);
            }
            word.note = Some(text);
        }
        report.sign_offs = sign_offs;
        report
    }
}

/// The commitment to a note that a record has, and whose it is.
pub(crate) fn note_of(record: &Record) -> Option<(&str, &str)> {
    let Body::Happened(event) = &record.body else { return None };
    match &**event {
        Event::SignedOff(sign_off) => sign_off.note.as_deref().map(|note| (sign_off.by.name.as_str(), note)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(number: u64) -> TriedTrace {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        TriedTrace { trace: TraceId(id), spans: 2, errors: 1, at: UnixMillis(number) }
    }

    fn check(numbers: impl Iterator<Item = u64>, expect: (u64, u64)) {
        let (mut trials, id) = (Trials::default(), RolloutId("demo.1".to_owned()));
        let all: Vec<_> = numbers.map(tried).collect();
        trials.take(&id, "bob", &all);
        let tested = trials.of(&id, "bob").map(|trial| trial.tested).unwrap();
        assert_eq!((tested.traces, tested.spans), expect);
        assert!(trials.of(&RolloutId("demo.2".to_owned()), "bob").is_none(), "another rollout has its own");
    }

    #[test]
    fn traces_are_kept_by_their_ids_up_to_the_bound_and_spans_beyond_it_are_counted() {
        check(0..3, (3, 6));
        check([1, 1, 1].into_iter(), (1, 6));
        let most = MAX_TRIED_TRACES as u64;
        check(0..most + 5, (most, 2 * most + 10));
    }
}
