//! What is watched all the time, halted or not.

use super::{Decider, GATE_LIMIT_MS, SILENCE_GRACE_MS};
use crate::event::{Cause, Decision, HoldReason};
use crate::evidence::JudgeEvidence;
use crate::found::{self, Group};
use crate::plan::GateName;
use crate::state::{Halt, Phase, Stage, State};
use judge::{Failure, Guard, NoiseAssessment, Verdict};
use model::{
    BlindSpotCount, Check, Environment, MAX_OPERATIONS_PER_OBSERVATION, MAX_TIMED_CALLS, MAX_TIMED_OPERATIONS,
    Observation, SlowTrace, Subject, UnixMillis,
};

impl Decider {
    pub(super) fn observe(&mut self, observation: &Observation) {
        self.state.heard_at = self.now;
        self.state.observations += 1;
        let weight = self.state.steady.during(observation);
        found::merge(&mut self.state.findings, &observation.findings);
        merge_blind_spots(&mut self.state.blind_spots, &observation.blind_spots);
        self.state.slowest = observation.arms[Environment::Green].slowest.or(self.state.slowest);
        let of_roots = observation.operations.iter().filter_map(|counts| Some((&counts.root, counts.slowest?)));
        keep_slowest(&mut self.state.slowest_of, of_roots, MAX_OPERATIONS_PER_OBSERVATION);
        let in_services = observation.services.iter().filter_map(|times| Some((&times.subject, times.slowest?)));
        keep_slowest(&mut self.state.slowest_in, in_services, MAX_TIMED_CALLS + MAX_TIMED_OPERATIONS);
        if let Phase::Progressing { stage, halt, .. } = &mut self.state.phase {
            if matches!(halt, Some(Halt::Held { reason: HoldReason::SourceSilent { .. }, .. })) {
                *halt = None;
                self.decisions.push(Decision::Resumed);
            }
            if let Stage::Analysing { since, batches, .. } = stage
                && observation.assigned_from >= *since
                && observation.arms[Environment::Green].traces > 0
            {
                *batches += 1;
            }
        }
        if self.compare_blue_with_itself(observation) {
            return;
        }
        self.state.judge.observe(observation, weight);
        self.assess();
    }

    /// Asks the judge, and acts upon a failure. Nothing is concluded while the measurement is broken.
    pub(super) fn assess(&mut self) {
        if self.state.measurement_is_broken() {
            return;
        }
        let assessment = self.state.judge.assess();
        let changed = match &self.state.assessment {
            Some(before) => std::mem::discriminant(&before.verdict) != std::mem::discriminant(&assessment.verdict),
            None => true,
        };
        if changed {
            let evidence = match &assessment.verdict {
                Verdict::Pass | Verdict::Fail(_) => Some(JudgeEvidence::of(&self.state, &assessment).digest()),
                Verdict::Inconclusive { .. } | Verdict::Error { .. } => None,
            };
            self.decisions.push(Decision::Judged { assessment: Box::new(assessment.clone()), evidence });
        }
        let failure = match &assessment.verdict {
            Verdict::Fail(failure) => Some(failure.clone()),
            Verdict::Pass | Verdict::Inconclusive { .. } | Verdict::Error { .. } => None,
        };
        self.state.assessment = Some(assessment);
        if let Some(failure) = failure
            && matches!(self.state.phase, Phase::Progressing { .. })
            && self.state.candidate_has_traffic()
        {
            let cause = cause_of(&self.state, &failure);
            self.roll_back(cause);
        }
    }

    /// Whether blue differs from itself, so that nothing is concluded from the observation. What was concluded before is
    /// forgotten: it was made from the same measurement.
    fn compare_blue_with_itself(&mut self, observation: &Observation) -> bool {
        let under_way = matches!(self.state.phase, Phase::Progressing { .. });
        if under_way && self.state.compares_blue_with_itself() {
            self.state.noise.observe(observation);
            let NoiseAssessment { alarmed, differences, .. } = self.state.noise.assess();
            if alarmed && !self.state.measurement_is_broken() {
                self.state.judge = self.state.judge.anew();
                self.state.assessment = None;
                self.hold(HoldReason::MeasurementBroken { differences });
            }
        }
        self.state.measurement_is_broken()
    }

    pub(super) fn watch_the_clock(&mut self) {
        self.watch_the_sources();
        let Phase::Progressing { halt, .. } = &self.state.phase else { return };
        let silent_ms = self.now.since_ms(self.state.heard_at);
        if halt.is_none() && self.state.candidate_has_traffic() && silent_ms > silence_limit_ms(&self.state) {
            self.hold(HoldReason::SourceSilent { for_ms: silent_ms });
        }
        // A run that is given up is followed by the next at once, so that the change is recorded with its request.
        let due = self.state.drift_guard.as_ref().is_some_and(|guard| match guard.running {
            Some((_, give_up)) => self.now >= give_up,
            None => self.now >= guard.due,
        });
        if due {
            let give_up = self.now.plus_ms(GATE_LIMIT_MS);
            let run = self.run_gate(GateName::Drift, true);
            if let Some(guard) = &mut self.state.drift_guard {
                guard.running = Some((run, give_up));
            }
        }
    }
}

/// A batch is at most this late; then its source counts as silent.
pub(crate) fn silence_limit_ms(state: &State) -> u64 {
    let verification = &state.plan.verification;
    2 * state.plan.analysis.batch_ms + verification.linger_ms + verification.horizon_ms + SILENCE_GRACE_MS
}

fn merge_blind_spots(known: &mut Vec<BlindSpotCount>, new: &[BlindSpotCount]) {
    for spot in new {
        if let Some(known) = known.iter_mut().find(|known| known.subject == spot.subject) {
            let example = known.example.or(spot.example);
            *known = BlindSpotCount { example, ..spot.clone() };
        } else if known.len() < State::MAX_FINDINGS {
            known.push(spot.clone());
        }
    }
}

fn keep_slowest<'o, Of: Clone + PartialEq + 'o>(
    known: &mut Vec<(Of, SlowTrace)>,
    new: impl Iterator<Item = (&'o Of, SlowTrace)>,
    room: usize,
) {
    for (of, slow) in new {
        if let Some((_, known)) = known.iter_mut().find(|(known, _)| known == of) {
            *known = slow;
        } else if known.len() < room {
            known.push((of.clone(), slow));
        }
    }
}

fn cause_of(state: &State, failure: &Failure) -> Cause {
    let slowest = match &failure.operation {
        Some(root) => state.slowest_of.iter().find(|(known, _)| known == root).map(|(_, slow)| *slow),
        None => state.slowest,
    };
    if let (Check::Slow, Some(slow)) = (failure.check, slowest) {
        let latency_ms = slow.latency_us / 1_000;
        let of = failure.operation.as_ref().map_or(String::new(), |root| format!(" for {root}"));
        return Cause {
            guard: failure.guard.name().to_owned(),
            finding: format!("slow pipeline{of} in green: lately up to {latency_ms} ms from hand-over to coming out"),
            example_trace: Some(slow.trace),
            first_seen: Some(slow.assigned),
            reasons: failure.reasons.clone(),
        };
    }
    if let Some(metric) = &failure.metric {
        return metric_cause(metric, failure);
    }
    if let (Guard::ServiceLatency, Some(subject)) = (failure.guard, &failure.subject) {
        return service_cause(state, failure, subject);
    }
    let finding = worst_finding(state, failure.check, failure.subject.as_ref());
    let spot = failure.subject.as_ref().and_then(|subject| state.blind_spots.iter().find(|s| s.subject == *subject));
    let words = match (&failure.subject, spot, finding) {
        (Some(subject), Some(spot), _) => blind_spot_words(subject, spot),
        (Some(subject), None, _) => format!("{} never comes out of green", subject_words(subject)),
        (None, _, Some(finding)) => finding_words(finding),
        (None, _, None) => {
            let of = failure.operation.as_ref().map_or(String::new(), |root| format!(" for {root}"));
            format!("{}{of} in green", failure.check.words())
        }
    };
    let example =
        spot.and_then(|spot| spot.example).or_else(|| finding.and_then(|finding| finding.examples.first().copied()));
    let first_seen: Option<UnixMillis> = finding.map(|finding| finding.first_seen);
    // A blind spot shows as span loss first; the guard that the plan has for it is the one to name.
    let guard = match failure.check {
        Check::BlindSpot if state.plan.guards.judged.has(Guard::BlindSpots) => Guard::BlindSpots,
        _ => failure.guard,
    };
    Cause {
        guard: guard.name().to_owned(),
        finding: words,
        example_trace: example,
        first_seen,
        reasons: failure.reasons.clone(),
    }
}

/// The time is the called service's or the operation's own, so it is the cause and not a caller that waits.
fn service_cause(state: &State, failure: &Failure, subject: &Subject) -> Cause {
    let slowest = state.slowest_in.iter().find(|(known, _)| known == subject).map(|(_, slow)| slow);
    let lately = slowest.map_or(String::new(), |slow| {
        let us = slow.latency_us;
        if us < 10_000 { format!(": lately up to {us} us") } else { format!(": lately up to {} ms", us / 1_000) }
    });
    let words = subject_words(subject);
    let finding = match (failure.check, subject) {
        (Check::MoreCalls, _) => format!("{words} is made more often in a trace of green"),
        (_, Subject::Edge { to, .. }) => format!("{words} takes longer in green{lately} beside what {to} itself takes"),
        (_, Subject::Operation { .. }) => format!("{words} takes longer in green{lately} by itself"),
    };
    Cause {
        guard: failure.guard.name().to_owned(),
        finding,
        example_trace: slowest.map(|slow| slow.trace),
        first_seen: slowest.map(|slow| slow.assigned),
        reasons: failure.reasons.clone(),
    }
}

/// A metric from outside knows no traces.
fn metric_cause(metric: &str, failure: &Failure) -> Cause {
    // The guard says the name already.
    let counts = failure.reasons.first().map(|reason| reason.trim_start_matches(metric).trim_start_matches(": "));
    Cause {
        guard: format!("{}.{metric}", failure.guard.name()),
        finding: counts.unwrap_or("worse in green").to_owned(),
        example_trace: None,
        first_seen: None,
        reasons: failure.reasons.clone(),
    }
}

/// The finding of the candidate that the active environment explains least: its traces beyond what the other
/// environment shows.
fn worst_finding<'s>(state: &'s State, check: Check, subject: Option<&Subject>) -> Option<&'s Group> {
    let of_subject = |finding: &&Group| match (check, subject) {
        (Check::BlindSpot, Some(Subject::Operation { service, operation, .. })) => {
            finding.check == Check::LostSpan && finding.service == *service && finding.operation == *operation
        }
        (Check::BlindSpot, Some(Subject::Edge { to, .. })) => {
            finding.check == Check::LostSpan && finding.service == *to
        }
        _ => finding.check == check,
    };
    state
        .findings
        .iter()
        .filter(of_subject)
        .filter(|finding| finding.traces[Environment::Green] > 0)
        .max_by_key(|finding| finding.beyond_blue())
}

fn finding_words(finding: &Group) -> String {
    let place = match (finding.service.as_str(), finding.operation.as_str()) {
        ("", operation) => operation.to_owned(),
        (service, "") => service.to_owned(),
        (service, operation) => format!("{service} / {operation}"),
    };
    let key = match (&finding.key, finding.check) {
        (Some(key), Check::Orphan) => format!(" (parent: {key})"),
        (Some(key), _) => format!(" `{key}`"),
        (None, _) => String::new(),
    };
    format!(
        "{}{key} in {place}: {} traces of green, {} of blue",
        finding.check.words(),
        finding.traces[Environment::Green],
        finding.traces[Environment::Blue]
    )
}

/// A subject in words.
pub(crate) fn subject_words(subject: &Subject) -> String {
    match subject {
        Subject::Operation { service, operation, kind } => {
            let kind = match kind {
                1 => "internal",
                2 => "server",
                3 => "client",
                4 => "producer",
                5 => "consumer",
                _ => "unspecified",
            };
            format!("{service} / {operation} ({kind})")
        }
        Subject::Edge { from, to } => format!("the call from {from} to {to}"),
    }
}

fn blind_spot_words(subject: &Subject, spot: &BlindSpotCount) -> String {
    let seen = |environment: Environment| {
        let traces = spot.traces_ever[environment];
        format!("{} of {traces}", traces.saturating_sub(spot.unseen_ever[environment]))
    };
    format!(
        "{} never comes out of green: {} traces show it, blue shows {}",
        subject_words(subject),
        seen(Environment::Green),
        seen(Environment::Blue)
    )
}
