//! Judges the traces of one batch and counts what they show.

use crate::finding::{Example, Findings, Key, Place};
use crate::histogram::{record, record_of_operation};
use crate::keyed::Keyed;
use crate::root::{RootId, Roots};
use crate::subject::{SubjectId, Subjects, SubjectsEver};
use crate::trace::{Span, Trace};
use crate::vocabulary::Vocabulary;
use model::{
    ArmCounts, Check, Environment, MAX_OPERATIONS_PER_OBSERVATION, Observation, OperationCounts, OperationLatency,
    PerEnvironment, RootOperation, SlowTrace, SpanId, TraceId, UnixMillis,
};
use std::collections::BTreeSet;

/// A trace whose batch closes.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) environment: Environment,
    pub(crate) id: TraceId,
    pub(crate) trace: Trace,
    /// What came out from here on is known to have been sent, or not: before, views were lost or not yet taken.
    pub(crate) known_from: UnixMillis,
    /// What came out after this and was not sent is no matter of this batch.
    pub(crate) unsent_until: UnixMillis,
}

impl Closing {
    /// Came out and was never sent, as far as this batch can tell.
    pub(crate) fn is_fabricated(&self, span: &Span) -> bool {
        let out_at = span.out_at();
        !span.is_sent() && span.is_out() && self.known_from <= out_at && out_at <= self.unsent_until
    }
}

/// The counts of one batch.
#[derive(Debug)]
pub(crate) struct Tally {
    arms: PerEnvironment<ArmCounts>,
    /// Blue's traces are counted in two halves; here are those whose mark is odd, and the others in `arms`.
    odd_blue: ArmCounts,
    slowest: PerEnvironment<Option<(SlowTrace, Place)>>,
    operations: Vec<OperationTally>,
    /// The roots of the traces, as long as not all operations are chosen; 8 bytes each.
    roots: Vec<RootId>,
    findings: Findings,
    subjects: Subjects,
    // Kept between traces, so that judging a trace allocates nothing where nothing is wrong.
    by_id: Vec<(SpanId, u32)>,
    sent_subjects: Vec<(SubjectId, bool)>,
}

/// One chosen root operation in this batch.
#[derive(Debug)]
struct OperationTally {
    id: RootId,
    root: RootOperation,
    latency: PerEnvironment<OperationLatency>,
    slowest: Option<(SlowTrace, Place)>,
}

/// Spans of the trace that have one id: more than one where client and server share it.
struct ById<'a> {
    trace: &'a Trace,
    by_id: &'a [(SpanId, u32)],
}

impl<'a> ById<'a> {
    fn get(&self, id: SpanId) -> impl Iterator<Item = &'a Span> + Clone {
        let from = self.by_id.partition_point(|(known, _)| *known < id);
        let (trace, by_id) = (self.trace, self.by_id);
        by_id[from..].iter().take_while(move |(known, _)| *known == id).map(move |(_, at)| &trace.spans[*at as usize])
    }
}

impl Tally {
    pub(crate) fn new(keyed: Keyed, roots: &Roots) -> Tally {
        let operation = |(id, root): &(RootId, RootOperation)| {
            let (latency, slowest) = (PerEnvironment::default(), None);
            OperationTally { id: *id, root: root.clone(), latency, slowest }
        };
        Tally {
            arms: PerEnvironment::default(),
            odd_blue: ArmCounts::default(),
            slowest: PerEnvironment::default(),
            operations: roots.chosen().iter().map(operation).collect(),
            roots: Vec::new(),
            findings: Findings::new(keyed),
            subjects: Subjects::new(keyed),
            by_id: Vec::new(),
            sent_subjects: Vec::new(),
        }
    }

    /// Counts one trace. `position` is its own among the batch's traces.
    pub(crate) fn judge(&mut self, position: usize, closing: &Closing, words: &Vocabulary) {
        let trace = &closing.trace;
        let place = Place { environment: closing.environment, position, trace: closing.id, assigned: trace.assigned };
        let mut by_id = std::mem::take(&mut self.by_id);
        by_id.clear();
        by_id.extend(trace.spans.iter().enumerate().map(|(at, span)| (span.span, at as u32)));
        by_id.sort_unstable();
        let parents = ById { trace, by_id: &by_id };

        let mut shown = BTreeSet::new();
        let mut slowest_us = None;
        let mut whole = true;
        let mut root: Option<&Span> = None;
        for span in &trace.spans {
            if closing.is_fabricated(span) {
                shown.insert(Check::FabricatedSpan);
                self.findings.note(Check::FabricatedSpan, span, Key::None, place);
            }
            if !span.judged {
                continue;
            }
            // Of several roots the one with the lowest id, whichever came first and in either environment.
            if span.sent.parent == SpanId::NONE
                && root.is_none_or(|root| (span.span, span.kind) < (root.span, root.kind))
            {
                root = Some(span);
            }
            self.judge_delivery(span, closing, place, &mut shown);
            if span.is_out() {
                self.judge_content(span, &parents, place, words, &mut shown);
            }
            if span.acknowledged {
                let latency_us = span.out_us.saturating_sub(span.handed_over_us);
                whole &= span.is_out();
                slowest_us = slowest_us.max(Some(latency_us));
                self.collect_subjects(span, &parents);
            }
        }

        let arm = self.arm(closing);
        arm.traces += 1;
        shown.into_iter().for_each(|check| *arm.events.entry(check).or_insert(0) += 1);
        let took = slowest_us.map(|latency_us| Took { latency_us, whole });
        match took {
            Some(took) if took.whole => {
                record(&mut arm.latency_us, took.latency_us);
                took.keep_slowest(&mut self.slowest[closing.environment], place);
            }
            Some(_) => arm.unfinished += 1,
            None => {}
        }
        if let Some(root) = root {
            self.count_root((root.service, root.operation), took, place);
        }
        self.subjects.count(&mut self.sent_subjects, place);
        self.by_id = by_id;
    }

    /// The batch's observation, and the traces that are its examples.
    pub(crate) fn finish(
        self,
        batch: u64,
        batch_ms: u64,
        left_out: PerEnvironment<u64>,
        (subjects, roots): (&mut SubjectsEver, &mut Roots),
        words: &Vocabulary,
    ) -> (Observation, Vec<Example>) {
        let (findings, mut examples, omitted_findings) = self.findings.finish(words);
        let (blind_spots, unseen, omitted_subjects) = self.subjects.finish(subjects, words);
        examples.extend(unseen);
        let mut arms = self.arms;
        arms.blue.add(&self.odd_blue);
        for environment in Environment::BOTH {
            let slowest = self.slowest[environment];
            arms[environment].slowest = slowest.map(|(slow, _)| slow);
            examples.extend(slowest.map(|(_, place)| place));
        }
        examples.extend(self.operations.iter().filter_map(|operation| operation.slowest.map(|(_, place)| place)));
        let mut seen = self.roots;
        seen.sort_unstable();
        roots.count(seen.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)), words);
        let observation = Observation {
            batch,
            assigned_from: UnixMillis(batch.saturating_mul(batch_ms)),
            assigned_until: UnixMillis(batch.saturating_add(1).saturating_mul(batch_ms)),
            arms,
            blue_half: Some(self.odd_blue),
            left_out,
            findings,
            blind_spots,
            operations: self.operations.into_iter().filter_map(OperationTally::counts).collect(),
            omitted: omitted_findings + omitted_subjects,
        };
        (observation, examples)
    }

    /// Counts what a trace of this root operation took, if that operation is chosen; else the root, for the choice.
    fn count_root(&mut self, id: RootId, took: Option<Took>, place: Place) {
        let all_chosen = self.operations.len() >= MAX_OPERATIONS_PER_OBSERVATION;
        match (self.operations.iter_mut().find(|operation| operation.id == id), took) {
            (Some(operation), Some(took)) => operation.count(took, place),
            (None, _) if !all_chosen => self.roots.push(id),
            (Some(_) | None, _) => {}
        }
    }

    /// Where the trace is counted. The lowest bit of its mark says nothing of its bucket, nor of whether it is verified.
    fn arm(&mut self, closing: &Closing) -> &mut ArmCounts {
        match closing.environment {
            Environment::Blue if closing.trace.hash & 1 == 1 => &mut self.odd_blue,
            environment @ (Environment::Blue | Environment::Green) => &mut self.arms[environment],
        }
    }

    /// What can be told from how often the span was handed over, with which answers, and how often it came out.
    fn judge_delivery(&mut self, span: &Span, closing: &Closing, place: Place, shown: &mut BTreeSet<Check>) {
        let arm = self.arm(closing);
        arm.spans_acknowledged += u64::from(span.acknowledged);
        arm.spans_out += u64::from(span.acknowledged && span.is_out());
        // Where views were lost, a hand-over may be among them.
        let counted = span.is_out() && closing.known_from <= span.out_at();
        let checks = [
            (Check::LostSpan, span.acknowledged && !span.is_out()),
            (Check::ExportFailure, span.failed),
            (Check::ErrorSpan, span.error),
            (Check::DuplicatedSpan, counted && span.outs > span.hand_overs),
        ];
        for (check, _) in checks.into_iter().filter(|(_, is_shown)| *is_shown) {
            shown.insert(check);
            self.findings.note(check, span, Key::None, place);
        }
    }

    /// What can be told from the span that came out beside the one that was sent.
    fn judge_content(
        &mut self,
        span: &Span,
        parents: &ById<'_>,
        place: Place,
        words: &Vocabulary,
        shown: &mut BTreeSet<Check>,
    ) {
        let mut note = |check, key| {
            shown.insert(check);
            self.findings.note(check, span, key, place);
        };
        if span.came_out.parent != span.sent.parent {
            note(Check::Reparented, Key::None);
        }
        if let Some(parent) = lost_parent(span, parents) {
            note(Check::Orphan, Key::Parent { service: parent.service, operation: parent.operation });
        }
        words.missing_keys(span.sent.keys, span.came_out.keys, |key| {
            note(Check::MissingAttribute, Key::Attribute(key.into()));
        });
        words.changed_attributes(span.sent.resource, span.came_out.resource, |key| {
            note(Check::ChangedResource, Key::Attribute(key.into()));
        });
    }

    /// The operation of an acknowledged span, and the edge from its parent's service.
    fn collect_subjects(&mut self, span: &Span, parents: &ById<'_>) {
        let operation = SubjectId::Operation { service: span.service, operation: span.operation, kind: span.kind };
        self.sent_subjects.push((operation, span.is_out()));
        if span.sent.parent == SpanId::NONE {
            return;
        }
        let candidates = parents.get(span.sent.parent).filter(|parent| parent.judged && parent.acknowledged);
        // Where client and server share the parent's id, the one in the span's own service is its parent.
        let Some(parent) = candidates.clone().next() else { return };
        if candidates.clone().any(|parent| parent.service == span.service) {
            return;
        }
        let linked = span.is_out() && span.came_out.parent == span.sent.parent;
        let edge = SubjectId::Edge { from: parent.service, to: span.service };
        self.sent_subjects.push((edge, linked && candidates.clone().any(Span::is_out)));
    }
}

/// What an acknowledged trace took: microseconds of the slowest span that came out, and whether all of them did.
#[derive(Clone, Copy, Debug)]
struct Took {
    latency_us: u64,
    whole: bool,
}

impl Took {
    /// Keeps the trace as an example if it is slower than the one that is kept.
    fn keep_slowest(self, slowest: &mut Option<(SlowTrace, Place)>, place: Place) {
        if slowest.as_ref().is_none_or(|(known, _)| self.latency_us > known.latency_us) {
            let Place { trace, assigned, .. } = place;
            *slowest = Some((SlowTrace { trace, latency_us: self.latency_us, assigned }, place));
        }
    }
}

impl OperationTally {
    fn count(&mut self, took: Took, place: Place) {
        let latency = &mut self.latency[place.environment];
        if !took.whole {
            latency.unfinished += 1;
            return;
        }
        record_of_operation(&mut latency.latency_us, took.latency_us);
        if place.environment == Environment::Green {
            took.keep_slowest(&mut self.slowest, place);
        }
    }

    /// `None` if no trace of it has a latency in this batch.
    fn counts(self) -> Option<OperationCounts> {
        let empty = |environment| self.latency[environment] == OperationLatency::default();
        let OperationTally { id: _, root, ref latency, slowest } = self;
        let slowest = slowest.map(|(slow, _)| slow);
        (!Environment::BOTH.into_iter().all(empty)).then(|| OperationCounts { root, latency: latency.clone(), slowest })
    }
}

/// The parent of a span that came out, if it was sent in time and nothing with its id came out.
fn lost_parent<'a>(span: &Span, parents: &ById<'a>) -> Option<&'a Span> {
    if span.came_out.parent == SpanId::NONE {
        return None;
    }
    let candidates = parents.get(span.came_out.parent);
    if candidates.clone().any(Span::is_out) {
        return None;
    }
    candidates.clone().find(|parent| parent.judged)
}
