//! What the judge sees: counts of traces per environment and check, for one batch of assignment time.

use crate::{BasisPoints, Environment, OperationCounts, PerEnvironment, ServiceTimes, TraceId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Grouped findings that one observation carries at most. A record must stay below the 65,535 bytes that a tlog-tiles
/// entry holds: 32 findings of at most 600 bytes (two names of 128 bytes and a key of 64 as they stand in JSON, and 280
/// besides) are 19,200 bytes.
pub const MAX_FINDINGS_PER_OBSERVATION: usize = 32;

/// Blind-spot subjects that one observation carries at most: 24 of at most 550 bytes (two names of 128, 170 of keys and
/// eight counts of up to 15 digits) are 13,200 bytes. With the findings, three arms and half arms of at most 3,900 bytes
/// (21 checks, and 293 buckets up to a day of at most 11 bytes), root operations of 8,720 and service times of 10,920 that
/// is 63,740, and 1,700 are left for the record around them.
pub const MAX_SUBJECTS_PER_OBSERVATION: usize = 24;

/// What can be wrong with a trace, checked span by span against what was sent (STATISTICS.md, "the checks").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Acknowledged by the environment, not put out within the horizon.
    LostSpan,
    /// The export was refused, or not answered, by the environment.
    ExportFailure,
    /// A span with status ERROR was sent.
    ErrorSpan,
    /// Put out more often than it was sent.
    DuplicatedSpan,
    /// Put out, never sent.
    FabricatedSpan,
    /// Its parent was sent, but is not among what came out.
    Orphan,
    /// Its parent differs from what was sent.
    Reparented,
    /// It was a child, came out as a root, and is not the only one.
    ManyRoots,
    /// As it came out, it is its own ancestor.
    Cycle,
    /// It was sent in one trace and came out in another.
    SplitTrace,
    /// A call between two services that was never sent: the span's parent, as it came out, is another service's.
    NewDependency,
    /// Of a whole trace nothing came out, from a pipeline that is meant to sample.
    SampledOut,
    /// An attribute key that was sent did not come out.
    MissingAttribute,
    /// An attribute key came out that was not sent.
    AddedAttribute,
    /// An attribute came out with a value of another type.
    ChangedType,
    /// An attribute came out with another value; or the span's name, status, events or scope did.
    ChangedValue,
    /// The span came out with another `tracestate`, or other flags.
    ChangedContext,
    /// Start or end came out changed.
    ChangedTime,
    /// The span came out moved in time, as long as it was, and no longer within its parent in another service.
    ClockSkew,
    /// A `service.*`, `k8s.*`, `host.*` or `deployment.*` attribute of the resource differs from what was sent.
    ChangedResource,
    /// An operation, or an edge between services, of which nothing ever came out.
    BlindSpot,
    /// The pipeline took longer from taking a trace to putting it out.
    Slow,
    /// A service's operation took longer on the critical path of its traces, as they were sent.
    SlowOperation,
    /// Calls of a service took longer, beside what the called service takes.
    SlowCall,
    /// A service was called more often in a trace.
    MoreCalls,
    /// A unit of a metric from outside had its event. Never in an observation: such metrics come as measurements.
    External,
}

impl Check {
    /// In words, as a person would say it.
    pub fn words(self) -> &'static str {
        match self {
            Check::LostSpan => "lost spans",
            Check::ExportFailure => "refused or failed exports",
            Check::ErrorSpan => "spans with an error",
            Check::DuplicatedSpan => "duplicated spans",
            Check::FabricatedSpan => "fabricated spans",
            Check::Orphan => "orphaned spans",
            Check::Reparented => "re-parented spans",
            Check::ManyRoots => "spans that became roots",
            Check::Cycle => "cycles of parents",
            Check::SplitTrace => "split traces",
            Check::NewDependency => "calls that were never made",
            Check::SampledOut => "traces sampled out",
            Check::MissingAttribute => "missing attributes",
            Check::AddedAttribute => "added attributes",
            Check::ChangedType => "changed types of attributes",
            Check::ChangedValue => "changed values",
            Check::ChangedContext => "changed trace context",
            Check::ChangedTime => "changed times",
            Check::ClockSkew => "clock skew",
            Check::ChangedResource => "changed resources",
            Check::BlindSpot => "blind spot",
            Check::Slow => "slow pipeline",
            Check::SlowOperation => "slow operations",
            Check::SlowCall => "slow calls",
            Check::MoreCalls => "more calls",
            Check::External => "a metric from outside",
        }
    }
}

/// What a blind spot can hide, and what can be slow by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Subject {
    /// Spans of one kind with one name in one service.
    #[serde(rename_all = "camelCase")]
    Operation {
        /// `service.name`.
        service: String,
        /// The span's name.
        operation: String,
        /// OTLP's SpanKind, 0 to 5.
        kind: u8,
    },
    /// Spans of `to` whose parent is a span of `from`.
    #[serde(rename_all = "camelCase")]
    Edge {
        /// The calling service.
        from: String,
        /// The called service.
        to: String,
    },
}

/// Traces of one batch in which a subject was sent, and in which nothing of it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlindSpotCount {
    /// The operation or edge.
    pub subject: Subject,
    /// Traces in which it was sent, in this batch.
    pub traces: PerEnvironment<u64>,
    /// Of these, the traces in which nothing of it came out.
    pub unseen: PerEnvironment<u64>,
    /// Traces in which it was sent since the rollout's first observation, this batch included.
    pub traces_ever: PerEnvironment<u64>,
    /// Of these, the traces in which nothing of it came out.
    pub unseen_ever: PerEnvironment<u64>,
    /// A trace that shows it.
    pub example: Option<TraceId>,
}

/// Differences of one kind, grouped by where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding {
    /// What is wrong.
    pub check: Check,
    /// `service.name` of the spans concerned.
    pub service: String,
    /// The name of the spans concerned.
    pub operation: String,
    /// The attribute's key, or the parent's and child's services, where the check has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Traces that show it.
    pub traces: PerEnvironment<u64>,
    /// Spans that show it.
    pub spans: PerEnvironment<u64>,
    /// When the first of these traces was assigned.
    pub first_seen: UnixMillis,
    /// When the last of these traces was assigned.
    pub last_seen: UnixMillis,
    /// A trace that shows it, of the candidate's where there is one.
    pub example: Option<TraceId>,
}

/// Counts of values on a logarithmic scale: bucket `i` of the map counts values in (base^i, base^(i+1)], with
/// base = 2^(2^-scale), as OTLP's exponential histogram of that scale has it; scale 3, so a value is known within 4.5 %.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExponentialHistogram(pub BTreeMap<i32, u64>);

/// One environment's counts for one batch. The unit is the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArmCounts {
    /// Traces assigned to the environment in this batch and checked.
    pub traces: u64,
    /// Traces that the environment was first handed in this batch, of those that are verified by their hash, whatever became
    /// of them after, be it that they were left out: what the weight is held against. 0 in both environments where it is
    /// not known of every trace: after the start of verification, and after views were lost, for as long as a trace is
    /// in flight.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub assigned: u64,
    /// Traces with at least one event of the check. Absent means none.
    pub events: BTreeMap<Check, u64>,
    /// Spans that the environment acknowledged.
    pub spans_acknowledged: u64,
    /// Of these, spans that came out in time.
    pub spans_out: u64,
    /// Microseconds from the gateway's hand-over of a trace's span to its arrival at the tap, the slowest of the trace.
    /// Traces that had not come out whole when the batch closed are not in it: they are `unfinished`.
    pub latency_us: ExponentialHistogram,
    /// Acknowledged traces that had not come out whole when the batch closed; they exceed every latency threshold.
    pub unfinished: u64,
    /// Of the traces that came out whole, the one that took longest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slowest: Option<SlowTrace>,
}

/// A trace as an example of how long the pipeline takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowTrace {
    /// The trace.
    pub trace: TraceId,
    /// Microseconds from the hand-over of its slowest span to that span's arrival at the tap.
    pub latency_us: u64,
    /// When the trace was assigned.
    pub assigned: UnixMillis,
}

fn all() -> BasisPoints {
    BasisPoints::ALL
}

fn is_all(share: &BasisPoints) -> bool {
    *share == BasisPoints::ALL
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ArmCounts {
    /// Traces with an event of this check.
    pub fn events(&self, check: Check) -> u64 {
        self.events.get(&check).copied().unwrap_or(0)
    }

    /// Adds the counts of other traces of the same environment and batch. Sums saturate.
    pub fn add(&mut self, more: &ArmCounts) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.traces, more.traces);
        add(&mut self.assigned, more.assigned);
        add(&mut self.spans_acknowledged, more.spans_acknowledged);
        add(&mut self.spans_out, more.spans_out);
        add(&mut self.unfinished, more.unfinished);
        more.events.iter().for_each(|(check, traces)| add(self.events.entry(*check).or_insert(0), *traces));
        let histogram = &mut self.latency_us.0;
        more.latency_us.0.iter().for_each(|(bucket, traces)| add(histogram.entry(*bucket).or_insert(0), *traces));
        self.slowest = self.slowest.into_iter().chain(more.slowest).max_by_key(|slow| slow.latency_us);
    }

    /// The counts without those of a part of the traces, and without an example; `None` if that is no part of them.
    pub fn without(&self, part: &ArmCounts) -> Option<ArmCounts> {
        let mut rest = self.clone();
        rest.slowest = None;
        rest.traces = rest.traces.checked_sub(part.traces)?;
        rest.assigned = rest.assigned.checked_sub(part.assigned)?;
        rest.spans_acknowledged = rest.spans_acknowledged.checked_sub(part.spans_acknowledged)?;
        rest.spans_out = rest.spans_out.checked_sub(part.spans_out)?;
        rest.unfinished = rest.unfinished.checked_sub(part.unfinished)?;
        take(&mut rest.events, &part.events)?;
        take(&mut rest.latency_us.0, &part.latency_us.0)?;
        Some(rest)
    }
}

/// Takes a part of the counts away; what is 0 then is absent.
fn take<K: Ord>(counts: &mut BTreeMap<K, u64>, part: &BTreeMap<K, u64>) -> Option<()> {
    for (key, traces) in part.iter().filter(|(_, traces)| **traces > 0) {
        let count = counts.get_mut(key)?;
        *count = count.checked_sub(*traces)?;
    }
    counts.retain(|_, traces| *traces > 0);
    Some(())
}

/// One batch of traces, closed at a fixed age: the judge's only input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observation {
    /// Counts up; a batch is judged once.
    pub batch: u64,
    /// Traces first seen from here on ...
    pub assigned_from: UnixMillis,
    /// ... and before this.
    pub assigned_until: UnixMillis,
    /// The counts.
    pub arms: PerEnvironment<ArmCounts>,
    /// Of blue's counts those of one half of its traces, by the lowest bit of [`RouteKey::mark`](crate::RouteKey::mark)
    /// and so whatever their buckets are: what blue is compared with itself by. Absent where nobody compares them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blue_half: Option<ArmCounts>,
    /// Traces that were seen and left out of the counts: mirror copies dropped, over the memory bound, or in flight
    /// when this process started.
    pub left_out: PerEnvironment<u64>,
    /// What was found, the most frequent first, at most [`MAX_FINDINGS_PER_OBSERVATION`].
    pub findings: Vec<Finding>,
    /// Operations and edges of which a trace went unseen in this batch, the most unseen first, at most
    /// [`MAX_SUBJECTS_PER_OBSERVATION`].
    pub blind_spots: Vec<BlindSpotCount>,
    /// The latency of the most frequent root operations, at most
    /// [`MAX_OPERATIONS_PER_OBSERVATION`](crate::MAX_OPERATIONS_PER_OBSERVATION), in an order that stays. Each stands once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub operations: Vec<OperationCounts>,
    /// What calls and operations of services took, where the plan guards that, in an order that stays. Each stands once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub services: Vec<ServiceTimes>,
    /// How many findings and blind-spot subjects did not fit.
    pub omitted: u64,
    /// The share of the traces that is verified, chosen by a hash of their id, rounded down: all, unless there are more than
    /// can be followed.
    #[serde(skip_serializing_if = "is_all", default = "all")]
    pub verified: BasisPoints,
}

impl Observation {
    /// A batch of which nothing is known but when it was: for whoever makes observations, to say no more than they know.
    pub fn of_nothing(batch: u64, assigned_from: UnixMillis, assigned_until: UnixMillis) -> Observation {
        Observation {
            batch,
            assigned_from,
            assigned_until,
            arms: PerEnvironment::default(),
            blue_half: None,
            left_out: PerEnvironment::default(),
            findings: vec![],
            blind_spots: vec![],
            operations: vec![],
            services: vec![],
            omitted: 0,
            verified: BasisPoints::ALL,
        }
    }

    /// Traces checked in both environments.
    pub fn traces(&self) -> u64 {
        self.arms[Environment::Blue].traces + self.arms[Environment::Green].traces
    }
}

#[cfg(test)]
mod tests;
