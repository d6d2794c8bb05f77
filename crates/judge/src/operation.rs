//! L for each root operation, and for each call and operation of a service: what is slow for one kind of trace, or in one
//! place, is seen there first, and named.
//!
//! Alarms only. That a pipeline is not slower is proved over all traces: a proof for each operation would have to be had
//! from the rarest of them.

use crate::config;
use crate::latency::{Latencies, LatencyMetric, Terms};
use model::{
    Check, Environment, MAX_OPERATIONS_PER_OBSERVATION, MAX_TIMED_CALLS, MAX_TIMED_OPERATIONS,
    OPERATION_BUCKETS_PER_DOUBLING, PerEnvironment, RootOperation, ServiceTimes, Subject,
};
use serde::{Deserialize, Serialize};

/// Root operations that are judged: the first that are told of. The others are counted as overflow, and not judged: after
/// a restart verification may choose others.
const MAX_JUDGED: usize = MAX_OPERATIONS_PER_OBSERVATION;

/// The part of the latency guard's weight that the latency over all traces has.
pub(crate) const PART_OVER_ALL: f64 = 0.5;

/// The part that each operation has, fixed before any of them is known. What is not taken yet counts as evidence of 1.
pub(crate) const PART_OF_ONE: f64 = (1.0 - PART_OVER_ALL) / MAX_JUDGED as f64;

/// What is judged by itself, in the order in which it was told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Book<Of> {
    pub(crate) judged: Vec<Judged<Of>>,
    /// Times that one was told of for which there was no room.
    overflow: u64,
}

/// One of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Judged<Of> {
    pub(crate) of: Of,
    pub(crate) latency: LatencyMetric,
}

impl<Of> Default for Book<Of> {
    fn default() -> Book<Of> {
        Book { judged: Vec::new(), overflow: 0 }
    }
}

impl<Of: Clone + PartialEq> Book<Of> {
    /// Takes what one batch has of each, which stands once.
    pub(crate) fn observe<'o>(
        &mut self,
        batch: impl Iterator<Item = (&'o Of, PerEnvironment<Latencies<'o>>)>,
        room: usize,
        candidate: Environment,
        guard: &config::Latency,
        hazard: f64,
    ) where
        Of: 'o,
    {
        for (of, latency) in batch {
            let position = self.judged.iter().position(|judged| judged.of == *of);
            let judged = match position {
                Some(position) => &mut self.judged[position],
                None if self.judged.len() < room => {
                    self.judged.push(Judged { of: of.clone(), latency: LatencyMetric::new() });
                    let last = self.judged.len() - 1;
                    &mut self.judged[last]
                }
                None => {
                    self.overflow = self.overflow.saturating_add(1);
                    continue;
                }
            };
            judged.latency.observe(latency[candidate], latency[candidate.other()], &terms(guard), hazard);
        }
    }

    pub(crate) fn latency_of(&self, of: &Of) -> Option<&LatencyMetric> {
        self.judged.iter().find(|judged| judged.of == *of).map(|judged| &judged.latency)
    }
}

/// Root operations: how long the pipeline takes with their traces.
pub(crate) type RootOperations = Book<RootOperation>;

impl RootOperations {
    pub(crate) fn room() -> usize {
        MAX_JUDGED
    }

    /// The part of the latency guard's weight that no operation has yet.
    pub(crate) fn unspent(&self) -> f64 {
        PART_OF_ONE * (MAX_JUDGED - self.judged.len()) as f64
    }
}

/// What is looked for in what services take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// The time of operations on the critical path.
    Operations,
    /// The time of calls.
    Calls,
    /// How often calls are made.
    Numbers,
}

impl Timing {
    pub(crate) const ALL: [Timing; 3] = [Timing::Operations, Timing::Calls, Timing::Numbers];

    pub(crate) fn of(check: Check) -> Option<Timing> {
        Timing::ALL.into_iter().find(|timing| timing.check() == check)
    }

    pub(crate) fn check(self) -> Check {
        match self {
            Timing::Operations => Check::SlowOperation,
            Timing::Calls => Check::SlowCall,
            Timing::Numbers => Check::MoreCalls,
        }
    }

    fn room(self) -> usize {
        match self {
            Timing::Operations => MAX_TIMED_OPERATIONS,
            Timing::Calls | Timing::Numbers => MAX_TIMED_CALLS,
        }
    }

    /// The part of the check's weight that one subject has, fixed before any of them is known.
    pub(crate) fn part(self) -> f64 {
        1.0 / self.room() as f64
    }
}

/// How long services take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Services {
    operations: Book<Subject>,
    calls: Book<Subject>,
    numbers: Book<Subject>,
}

impl Services {
    pub(crate) fn book(&self, timing: Timing) -> &Book<Subject> {
        match timing {
            Timing::Operations => &self.operations,
            Timing::Calls => &self.calls,
            Timing::Numbers => &self.numbers,
        }
    }

    /// The part of the guard's weight that nothing has yet.
    pub(crate) fn unspent(&self) -> f64 {
        let of = |timing: Timing| (timing.room() - self.book(timing).judged.len()) as f64 * timing.part();
        Timing::ALL.into_iter().map(of).sum::<f64>() / Timing::ALL.len() as f64
    }

    /// Takes one batch's times, each subject of which stands once.
    pub(crate) fn observe(
        &mut self,
        batch: &[ServiceTimes],
        candidate: Environment,
        guard: &config::Latency,
        hazard: f64,
    ) {
        for timing in Timing::ALL {
            let times = batch.iter().filter_map(|it| Some((&it.subject, histograms(it, timing)?)));
            let book = match timing {
                Timing::Operations => &mut self.operations,
                Timing::Calls => &mut self.calls,
                Timing::Numbers => &mut self.numbers,
            };
            book.observe(times, timing.room(), candidate, guard, hazard);
        }
    }
}

/// What is looked at of a subject; `None` where it has none of it.
fn histograms(times: &ServiceTimes, timing: Timing) -> Option<PerEnvironment<Latencies<'_>>> {
    let of = match (timing, &times.calls) {
        (Timing::Operations, None) | (Timing::Calls, Some(_)) => &times.time_us,
        (Timing::Numbers, Some(calls)) => calls,
        (Timing::Operations, Some(_)) | (Timing::Calls | Timing::Numbers, None) => return None,
    };
    Some(PerEnvironment::from_fn(|environment| Latencies::from(&of[environment])))
}

/// The plan's guard for histograms of single operations.
pub(crate) fn terms(guard: &config::Latency) -> Terms {
    Terms::of(guard, f64::from(OPERATION_BUCKETS_PER_DOUBLING))
}
