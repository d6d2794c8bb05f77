//! The ways in which a pipeline lies, each injected into what green puts out.

use crate::nezha::Trace;
use judge::simulate::Random;
use model::{Check, SpanId, TraceId};
use std::collections::BTreeSet;

/// By how much a service's clock is moved.
const SKEW_NS: u64 = 3_600_000_000_000;

/// What is wrong with green.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Lost,
    LostParents,
    BlindSpot,
    Duplicated,
    Fabricated,
    Reparented,
    ManyRoots,
    Cycle,
    SplitTrace,
    NewDependency,
    MissingAttribute,
    AddedAttribute,
    ChangedType,
    ChangedValue,
    ChangedResource,
    Sampled,
    ChangedContext,
    ClockSkew,
    ChangedTime,
}

impl Fault {
    pub(super) const ALL: [Fault; 19] = [
        Fault::Lost,
        Fault::Duplicated,
        Fault::Fabricated,
        Fault::LostParents,
        Fault::Reparented,
        Fault::ManyRoots,
        Fault::Cycle,
        Fault::SplitTrace,
        Fault::BlindSpot,
        Fault::MissingAttribute,
        Fault::AddedAttribute,
        Fault::ChangedType,
        Fault::ChangedValue,
        Fault::ChangedResource,
        Fault::Sampled,
        Fault::ChangedContext,
        Fault::ClockSkew,
        Fault::ChangedTime,
        Fault::NewDependency,
    ];

    /// The number of its check in STATISTICS.md, and what is done to a span.
    pub(super) fn words(self) -> &'static str {
        match self {
            Fault::Lost => "1 lost spans",
            Fault::Duplicated => "2 duplicated spans",
            Fault::Fabricated => "2 fabricated spans",
            Fault::LostParents => "3 orphans: lost parents",
            Fault::Reparented => "4 another parent",
            Fault::ManyRoots => "4 no parent any more",
            Fault::Cycle => "4 a child as parent",
            Fault::SplitTrace => "5 another trace id",
            Fault::BlindSpot => "6 an operation never comes out",
            Fault::MissingAttribute => "7 an attribute dropped",
            Fault::AddedAttribute => "7 an attribute added",
            Fault::ChangedType => "7 a number as text",
            Fault::ChangedValue => "8 another value",
            Fault::ChangedResource => "9 another host",
            Fault::Sampled => "10 whole traces left out",
            Fault::ChangedContext => "11 tracestate dropped",
            Fault::ClockSkew => "12 a service 1 h early",
            Fault::ChangedTime => "13 cut to seconds",
            Fault::NewDependency => "14 a call nobody makes",
        }
    }

    /// The check that is to find it.
    pub(super) fn check(self) -> Check {
        match self {
            Fault::Lost | Fault::LostParents | Fault::BlindSpot => Check::LostSpan,
            Fault::Duplicated => Check::DuplicatedSpan,
            Fault::Fabricated => Check::FabricatedSpan,
            Fault::Reparented => Check::Reparented,
            Fault::ManyRoots => Check::ManyRoots,
            Fault::Cycle => Check::Cycle,
            Fault::SplitTrace => Check::SplitTrace,
            Fault::NewDependency => Check::NewDependency,
            Fault::MissingAttribute => Check::MissingAttribute,
            Fault::AddedAttribute => Check::AddedAttribute,
            Fault::ChangedType => Check::ChangedType,
            Fault::ChangedValue => Check::ChangedValue,
            Fault::ChangedResource => Check::ChangedResource,
            Fault::Sampled => Check::SampledOut,
            Fault::ChangedContext => Check::ChangedContext,
            Fault::ClockSkew => Check::ClockSkew,
            Fault::ChangedTime => Check::ChangedTime,
        }
    }

    /// What it shows besides: a consequence is no false finding.
    pub(super) fn consequences(self) -> &'static [Check] {
        match self {
            Fault::Lost | Fault::LostParents | Fault::BlindSpot => &[Check::Orphan],
            Fault::Reparented => &[Check::NewDependency],
            Fault::ManyRoots => &[Check::Reparented],
            // A child is of a service that does not call its caller, as a rule.
            Fault::Cycle => &[Check::Reparented, Check::NewDependency],
            Fault::NewDependency => &[Check::Reparented],
            Fault::SplitTrace => &[Check::LostSpan, Check::Orphan],
            Fault::ClockSkew => &[Check::ChangedTime],
            // A child can begin in the same second as its parent, and end in one before it ends.
            Fault::ChangedTime => &[Check::ClockSkew],
            Fault::Duplicated
            | Fault::Fabricated
            | Fault::MissingAttribute
            | Fault::AddedAttribute
            | Fault::ChangedType
            | Fault::ChangedValue
            | Fault::ChangedResource
            | Fault::Sampled
            | Fault::ChangedContext => &[],
        }
    }

    /// What a rollback may say instead, since it says the same.
    pub(super) fn may_be_named(self, named: Check) -> bool {
        let also = match self {
            Fault::BlindSpot => &[Check::BlindSpot][..],
            // Of which all are lost: an operation that never comes out.
            Fault::LostParents => &[Check::Orphan, Check::BlindSpot],
            _ => &[],
        };
        named == self.check() || also.contains(&named)
    }

    /// Whether it falls on traces as a whole rather than on spans.
    pub(super) fn of_traces(self) -> bool {
        matches!(self, Fault::Sampled | Fault::ClockSkew)
    }

    /// Whether a rate below 1 is this fault.
    pub(super) fn has_rates(self) -> bool {
        self != Fault::BlindSpot
    }
}

/// What the fault falls on: the spans of one operation, of one service, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Victim {
    pub(super) service: String,
    pub(super) operation: String,
}

/// Calls from one service to another that some trace has.
pub(super) type Edges = BTreeSet<(String, String)>;

/// A span as it comes out.
#[derive(Clone, Debug)]
pub(super) struct Out {
    /// Its place among the spans of the trace as sent.
    pub(super) place: usize,
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: SpanId,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) drops: bool,
    pub(super) adds: bool,
    pub(super) as_text: bool,
    pub(super) other_value: bool,
    pub(super) other_host: bool,
    pub(super) no_state: bool,
}

/// Ids that are as if they were drawn.
pub(super) fn trace_id(trace: usize) -> TraceId {
    TraceId((trace as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes())
}

pub(super) fn span_id(trace: usize, span: usize) -> SpanId {
    let number = ((trace as u64) << 24 | span as u64) + 1;
    SpanId(number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes())
}

pub(super) fn as_sent(number: usize, trace: &Trace) -> Vec<Out> {
    let spans = trace.spans.iter().enumerate();
    let out = spans.map(|(place, span)| Out {
        place,
        trace: trace_id(number),
        span: span_id(number, place),
        parent: span.parent.map_or(SpanId::NONE, |parent| span_id(number, parent)),
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        drops: false,
        adds: false,
        as_text: false,
        other_value: false,
        other_host: false,
        no_state: false,
    });
    out.collect()
}

/// Does the fault to a share of what it falls on. The trace's spans as they come out, and how many show the fault: spans,
/// or the one trace.
pub(super) fn inject(
    fault: Fault,
    (victim, edges): (&Victim, &Edges),
    rate: f64,
    number: usize,
    trace: &Trace,
    random: &mut Random,
) -> (Vec<Out>, u64) {
    let mut outs = as_sent(number, trace);
    let of_victim = |place: usize| {
        let span = &trace.spans[place];
        span.service == victim.service && span.operation == victim.operation
    };
    if fault.of_traces() {
        return whole_trace(fault, victim, rate, trace, outs, random);
    }
    let (mut extra, mut gone, mut injected) = (Vec::new(), BTreeSet::new(), 0);
    for place in 0..outs.len() {
        let is_everywhere = matches!(fault, Fault::Lost);
        if !(is_everywhere || of_victim(place)) || random.unit() >= rate {
            continue;
        }
        let done = one_span(fault, edges, (number, trace), place, &mut outs, &mut extra, &mut gone);
        injected += u64::from(done);
    }
    let mut kept: Vec<Out> = outs.into_iter().filter(|out| !gone.contains(&out.place)).collect();
    kept.extend(extra);
    (kept, injected)
}

/// Whether the fault could be done to this span.
fn one_span(
    fault: Fault,
    edges: &Edges,
    (number, trace): (usize, &Trace),
    place: usize,
    outs: &mut [Out],
    extra: &mut Vec<Out>,
    gone: &mut BTreeSet<usize>,
) -> bool {
    let span = &trace.spans[place];
    let out = &mut outs[place];
    let children = || (0..trace.spans.len()).filter(|child| trace.spans[*child].parent == Some(place));
    match fault {
        Fault::Lost | Fault::BlindSpot => {
            gone.insert(place);
        }
        Fault::LostParents => {
            if children().next().is_none() {
                return false;
            }
            gone.insert(place);
        }
        Fault::Duplicated => extra.push(out.clone()),
        Fault::Fabricated => {
            extra.push(Out { span: span_id(number, place + (1 << 20)), parent: out.span, ..out.clone() });
        }
        Fault::Reparented => {
            // To another span of the service that its parent is of, so that no new call comes of it.
            let Some(parent) = span.parent else { return false };
            let other = (0..trace.spans.len()).find(|other| {
                let is_other = *other != parent && *other != place && trace.spans[*other].parent != Some(place);
                is_other && *other < place && trace.spans[*other].service == trace.spans[parent].service
            });
            let Some(other) = other else { return false };
            out.parent = span_id(number, other);
        }
        Fault::ManyRoots => {
            if span.parent.is_none() {
                return false;
            }
            out.parent = SpanId::NONE;
        }
        Fault::Cycle => {
            let Some(child) = children().next() else { return false };
            out.parent = span_id(number, child);
        }
        Fault::SplitTrace => out.trace = trace_id(number + (1 << 40)),
        Fault::NewDependency => {
            // A span before it of a service that calls its own in no trace.
            let is_new = |other: &usize| {
                let from = &trace.spans[*other].service;
                *from != span.service && !edges.contains(&(from.clone(), span.service.clone()))
            };
            let other = (0..place).find(is_new).filter(|_| span.parent.is_some());
            let Some(other) = other else { return false };
            out.parent = span_id(number, other);
        }
        Fault::MissingAttribute => out.drops = true,
        Fault::AddedAttribute => out.adds = true,
        Fault::ChangedType => out.as_text = true,
        Fault::ChangedValue => out.other_value = true,
        Fault::ChangedResource => out.other_host = true,
        Fault::ChangedContext => out.no_state = true,
        Fault::ChangedTime => {
            let cut = |ns: u64| ns / 1_000_000_000 * 1_000_000_000;
            (out.start_ns, out.end_ns) = (cut(out.start_ns), cut(out.end_ns));
        }
        Fault::Sampled | Fault::ClockSkew => unreachable!("they fall on traces"),
    }
    true
}

fn whole_trace(
    fault: Fault,
    victim: &Victim,
    rate: f64,
    trace: &Trace,
    mut outs: Vec<Out>,
    random: &mut Random,
) -> (Vec<Out>, u64) {
    let is_hit = random.unit() < rate;
    if fault == Fault::Sampled {
        return if is_hit { (Vec::new(), 1) } else { (outs, 0) };
    }
    let moved: Vec<usize> = (0..outs.len()).filter(|place| trace.spans[*place].service == victim.service).collect();
    // A root has no parent to be outside of, and what was outside before has not come to be.
    let called = moved.iter().filter(|place| {
        let span = &trace.spans[**place];
        span.parent.map(|parent| &trace.spans[parent]).is_some_and(|parent| {
            let is_inside = parent.start_ns <= span.start_ns && span.end_ns <= parent.end_ns;
            parent.service != victim.service && is_inside
        })
    });
    let called = called.count() as u64;
    if !is_hit || called == 0 {
        return (outs, 0);
    }
    for place in moved {
        outs[place].start_ns -= SKEW_NS;
        outs[place].end_ns -= SKEW_NS;
    }
    (outs, called)
}
