//! Judges the traces of one batch and counts what they show.

use crate::content;
use crate::finding::{Example, Findings, Key, Place};
use crate::frequent::Frequent;
use crate::histogram::{record, record_of_operation};
use crate::keyed::Keyed;
use crate::service::{ServiceTally, TimedServices};
use crate::stray::Strays;
use crate::structure::ById;
use crate::subject::{RootId, SubjectId, Subjects, SubjectsEver};
use crate::trace::{Span, Trace};
use crate::vocabulary::{InUse, NameId, Vocabulary};
use model::{
    ArmCounts, BasisPoints, Check, Environment, MAX_OPERATIONS_PER_OBSERVATION, Observation, OperationCounts,
    OperationLatency, PerEnvironment, RootOperation, SlowTrace, SpanId, TraceId, UnixMillis,
};
use std::collections::BTreeSet;

/// Unsent edges of a batch that are held until all that was sent in it is known: 4,096 of 170 bytes are 700 KB. More are
/// not counted as new dependencies; each is a re-parented span nevertheless.
const MAX_UNSENT_EDGES: usize = 4_096;

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
    /// Where the plan guards it.
    services: Option<ServiceTally>,
    unsent_edges: Vec<UnsentEdge>,
    // Kept between traces, so that judging a trace allocates nothing where nothing is wrong.
    by_id: Vec<(SpanId, u32)>,
    sent_subjects: Vec<(SubjectId, bool)>,
}

/// What is counted, and what was chosen to be told by itself, since the start.
#[derive(Debug)]
pub(crate) struct Ever {
    pub(crate) subjects: SubjectsEver,
    pub(crate) roots: Frequent<RootId>,
    pub(crate) services: Option<TimedServices>,
}

impl Ever {
    pub(crate) fn new(keyed: Keyed) -> Ever {
        let roots = Frequent::new(keyed, MAX_OPERATIONS_PER_OBSERVATION);
        Ever { subjects: SubjectsEver::new(keyed), roots, services: None }
    }

    pub(crate) fn mark(&self, used: &mut InUse) {
        self.subjects.mark(used);
        self.roots.mark(used);
        self.services.iter().for_each(|services| services.mark(used));
    }
}

/// One chosen root operation in this batch.
#[derive(Debug)]
struct OperationTally {
    id: RootId,
    root: RootOperation,
    latency: PerEnvironment<OperationLatency>,
    slowest: Option<(SlowTrace, Place)>,
}

/// An edge between two services that came out of a trace in which it was not sent.
#[derive(Debug)]
struct UnsentEdge {
    from: NameId,
    span: Span,
    place: Place,
}

impl Tally {
    pub(crate) fn new(keyed: Keyed, ever: &Ever) -> Tally {
        let operation = |(id, root): &(RootId, RootOperation)| {
            let (latency, slowest) = (PerEnvironment::default(), None);
            OperationTally { id: *id, root: root.clone(), latency, slowest }
        };
        Tally {
            arms: PerEnvironment::default(),
            odd_blue: ArmCounts::default(),
            slowest: PerEnvironment::default(),
            operations: ever.roots.chosen().iter().map(operation).collect(),
            roots: Vec::new(),
            findings: Findings::new(keyed),
            subjects: Subjects::new(keyed),
            services: ever.services.as_ref().map(|services| ServiceTally::new(keyed, services)),
            unsent_edges: Vec::new(),
            by_id: Vec::new(),
            sent_subjects: Vec::new(),
        }
    }

    /// Counts one trace. `position` is its own among the batch's traces; `samples` says that the pipeline may leave out
    /// whole traces.
    pub(crate) fn judge(
        &mut self,
        position: usize,
        closing: &Closing,
        strays: &Strays,
        samples: bool,
        words: &Vocabulary,
    ) {
        let trace = &closing.trace;
        let place = Place {
            environment: closing.environment,
            position,
            trace: closing.id,
            is_odd: trace.hash & 1 == 1,
            assigned: trace.assigned,
        };
        let mut by_id = std::mem::take(&mut self.by_id);
        let tree = ById::new(trace, &mut by_id);

        let mut shown = BTreeSet::new();
        let mut took = None;
        let mut root: Option<(usize, &Span)> = None;
        for (at, span) in trace.spans.iter().enumerate() {
            if closing.is_fabricated(span) {
                let is_stray = strays.sent_in(span.span, span.kind).is_some_and(|sent_in| sent_in != closing.id);
                let check = if is_stray { Check::SplitTrace } else { Check::FabricatedSpan };
                shown.insert(check);
                self.findings.note(check, span, Key::None, place);
            }
            // Of several roots the one with the lowest id, whichever came first and in either environment.
            if span.judged
                && span.sent().parent == SpanId::NONE
                && root.is_none_or(|(_, root)| (span.span, span.kind) < (root.span, root.kind))
            {
                root = Some((at, span));
            }
        }
        if samples && is_sampled_out(trace) {
            shown.insert(Check::SampledOut);
            if let Some(root) = root.map(|(_, root)| root).or(trace.spans.first()) {
                self.findings.note(Check::SampledOut, root, Key::None, place);
            }
        } else {
            for span in trace.spans.iter().filter(|span| span.judged) {
                self.judge_delivery(span, closing, place, &mut shown);
                if span.is_out() {
                    self.judge_content(span, &tree, place, words, &mut shown);
                }
                if span.acknowledged {
                    Took::add(&mut took, span);
                    self.collect_subjects(span, &tree);
                }
            }
            self.judge_structure(trace, &tree, place, &mut shown);
        }

        if let Some(took) = &mut took {
            took.latency_us = took.latency_us.max(trace.settled_latency_us);
        }
        let arm = self.arm(place);
        arm.traces += 1;
        shown.into_iter().for_each(|check| *arm.events.entry(check).or_insert(0) += 1);
        match took {
            Some(took) if took.whole => {
                record(&mut arm.latency_us, took.latency_us);
                took.keep_slowest(&mut self.slowest[closing.environment], place);
            }
            Some(_) => arm.unfinished += 1,
            None => {}
        }
        if let Some((at, root)) = root {
            self.count_root(RootId { service: root.service, operation: root.operation }, took, place);
            if let Some(services) = &mut self.services {
                services.judge(trace, &tree, at, place);
            }
        }
        self.subjects.count(&mut self.sent_subjects, place);
        self.by_id = by_id;
    }

    /// The batch's observation, and the traces that are its examples.
    pub(crate) fn finish(
        mut self,
        batch: u64,
        batch_ms: u64,
        left_out: PerEnvironment<u64>,
        ever: &mut Ever,
        words: &Vocabulary,
    ) -> (Observation, Vec<Example>) {
        self.count_new_dependencies(&ever.subjects);
        let (findings, mut examples, omitted_findings) = self.findings.finish(words);
        let (blind_spots, unseen, omitted_subjects) = self.subjects.finish(&mut ever.subjects, words);
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
        ever.roots.count(seen.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)), words);
        let timed = self.services.zip(ever.services.as_mut());
        let (services, slow) = timed.map(|(batch, ever)| batch.finish(ever, words)).unwrap_or_default();
        examples.extend(slow);
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
            services,
            omitted: omitted_findings + omitted_subjects,
            // Of the verifier, which alone knows it.
            verified: BasisPoints::ALL,
        };
        (observation, examples)
    }

    /// An edge that came out of a trace in which it was not sent is new if it was sent in no other trace so far.
    fn count_new_dependencies(&mut self, ever: &SubjectsEver) {
        let mut last = None;
        for UnsentEdge { from, span, place } in std::mem::take(&mut self.unsent_edges) {
            let edge = SubjectId::Edge { from, to: span.service };
            if self.subjects.has(edge) || ever.has(edge) {
                continue;
            }
            self.findings.note(Check::NewDependency, &span, Key::Edge { from }, place);
            let trace = (place.environment, place.position);
            if last != Some(trace) {
                last = Some(trace);
                let arm = self.arm(place);
                *arm.events.entry(Check::NewDependency).or_insert(0) += 1;
            }
        }
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
    fn arm(&mut self, place: Place) -> &mut ArmCounts {
        match place.environment {
            Environment::Blue if place.is_odd => &mut self.odd_blue,
            Environment::Blue | Environment::Green => &mut self.arms[place.environment],
        }
    }

    /// What can be told from how often the span was handed over, with which answers, and how often it came out.
    fn judge_delivery(&mut self, span: &Span, closing: &Closing, place: Place, shown: &mut BTreeSet<Check>) {
        let arm = self.arm(place);
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
        tree: &ById<'_>,
        place: Place,
        words: &Vocabulary,
        shown: &mut BTreeSet<Check>,
    ) {
        let mut note = |check, key| {
            shown.insert(check);
            self.findings.note(check, span, key, place);
        };
        if span.came_out().parent != span.sent().parent {
            note(Check::Reparented, Key::None);
        }
        if let Some(parent) = tree.lost_parent(span) {
            note(Check::Orphan, Key::Parent { service: parent.service, operation: parent.operation });
        }
        content::differences(span, tree.is_skewed(span), words, note);
    }

    /// What can be told from all spans that came out together, where one of them hangs elsewhere.
    fn judge_structure(&mut self, trace: &Trace, tree: &ById<'_>, place: Place, shown: &mut BTreeSet<Check>) {
        let hangs_elsewhere =
            |span: &&Span| span.judged && span.is_out() && span.came_out().parent != span.sent().parent;
        if !trace.spans.iter().any(|span| hangs_elsewhere(&span)) {
            return;
        }
        let is_root = |span: &&Span| span.is_out() && span.came_out().parent == SpanId::NONE;
        let roots = trace.spans.iter().filter(is_root).count();
        for span in trace.spans.iter().filter(hangs_elsewhere) {
            if is_root(&span) && roots > 1 {
                shown.insert(Check::ManyRoots);
                self.findings.note(Check::ManyRoots, span, Key::None, place);
            }
            if let Some(parent) = tree.parent_out(span)
                && parent.service != span.service
                && self.unsent_edges.len() < MAX_UNSENT_EDGES
            {
                self.unsent_edges.push(UnsentEdge { from: parent.service, span: *span, place });
            }
        }
        tree.cycles(|span| {
            shown.insert(Check::Cycle);
            self.findings.note(Check::Cycle, span, Key::None, place);
        });
    }

    /// The operation of an acknowledged span, and the edge from its parent's service.
    fn collect_subjects(&mut self, span: &Span, tree: &ById<'_>) {
        let operation = SubjectId::Operation { service: span.service, operation: span.operation, kind: span.kind };
        self.sent_subjects.push((operation, span.is_out()));
        if span.sent().parent == SpanId::NONE {
            return;
        }
        let candidates = tree.get(span.sent().parent).filter(|parent| parent.judged && parent.acknowledged);
        // Where client and server share the parent's id, the one in the span's own service is its parent.
        let Some(parent) = candidates.clone().next() else { return };
        if candidates.clone().any(|parent| parent.service == span.service) {
            return;
        }
        let linked = span.is_out() && span.came_out().parent == span.sent().parent;
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
    /// Takes one acknowledged span of the trace.
    fn add(took: &mut Option<Took>, span: &Span) {
        let latency_us = span.out_us.saturating_sub(span.handed_over_us);
        let of_trace = took.get_or_insert(Took { latency_us, whole: true });
        of_trace.latency_us = of_trace.latency_us.max(latency_us);
        of_trace.whole &= span.is_out();
    }

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

/// Whether the pipeline took spans of the trace, and nothing of it came out.
fn is_sampled_out(trace: &Trace) -> bool {
    trace.spans.iter().any(|span| span.acknowledged) && !trace.spans.iter().any(Span::is_out)
}
