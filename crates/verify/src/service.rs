//! How long services take in the traces of one batch.

use crate::finding::{Example, Place};
use crate::frequent::Frequent;
use crate::histogram::record_of_operation;
use crate::keyed::{Keyed, Map};
use crate::path::Paths;
use crate::structure::ById;
use crate::subject::SubjectId;
use crate::trace::Trace;
use crate::vocabulary::{InUse, Vocabulary};
use model::{
    Environment, MAX_CALLS, MAX_TIMED_CALLS, MAX_TIMED_OPERATIONS, PerEnvironment, ServiceTimes, ShortHistogram,
    SlowTrace, Subject, US_FOR_A_CALL,
};

/// The calls and operations that are timed, since the start.
#[derive(Debug)]
pub(crate) struct TimedServices {
    calls: Frequent<SubjectId>,
    operations: Frequent<SubjectId>,
}

impl TimedServices {
    pub(crate) fn new(keyed: Keyed) -> TimedServices {
        TimedServices {
            calls: Frequent::new(keyed, MAX_TIMED_CALLS),
            operations: Frequent::new(keyed, MAX_TIMED_OPERATIONS),
        }
    }

    pub(crate) fn mark(&self, used: &mut InUse) {
        self.calls.mark(used);
        self.operations.mark(used);
    }
}

/// The times of one batch.
#[derive(Debug)]
pub(crate) struct ServiceTally {
    timed: Vec<Timed>,
    /// Traces of what is not timed, as long as there is room for more.
    calls: Option<Map<SubjectId, u64>>,
    operations: Option<Map<SubjectId, u64>>,
    paths: Paths,
}

#[derive(Debug)]
struct Timed {
    id: SubjectId,
    subject: Subject,
    time_us: PerEnvironment<ShortHistogram>,
    calls: PerEnvironment<ShortHistogram>,
    slowest: Option<(SlowTrace, Place)>,
}

impl ServiceTally {
    pub(crate) fn new(keyed: Keyed, services: &TimedServices) -> ServiceTally {
        let timed = |(id, subject): &(SubjectId, Subject)| Timed {
            id: *id,
            subject: subject.clone(),
            time_us: PerEnvironment::default(),
            calls: PerEnvironment::default(),
            slowest: None,
        };
        let counted = |of: &Frequent<SubjectId>| (!of.is_full()).then(|| Map::with_hasher(keyed));
        ServiceTally {
            timed: services.calls.chosen().iter().chain(services.operations.chosen()).map(timed).collect(),
            calls: counted(&services.calls),
            operations: counted(&services.operations),
            paths: Paths::default(),
        }
    }

    /// Counts one trace, whose root stands at a position among its spans.
    pub(crate) fn judge(&mut self, trace: &Trace, tree: &ById<'_>, root: usize, place: Place) {
        for spent in self.paths.spent(trace, tree, root) {
            if let Some(timed) = self.timed.iter_mut().find(|timed| timed.id == spent.subject) {
                timed.count(spent.time_us, spent.calls, place);
                continue;
            }
            let counted = match spent.subject {
                SubjectId::Edge { .. } => &mut self.calls,
                SubjectId::Operation { .. } => &mut self.operations,
            };
            if let Some(counted) = counted {
                *counted.entry(spent.subject).or_default() += 1;
            }
        }
    }

    /// What was timed, in the order of the choice, and the traces that are its examples.
    pub(crate) fn finish(self, services: &mut TimedServices, words: &Vocabulary) -> (Vec<ServiceTimes>, Vec<Example>) {
        for (of, counted) in [(&mut services.calls, self.calls), (&mut services.operations, self.operations)] {
            let mut seen: Vec<_> = counted.into_iter().flatten().collect();
            // Which are counted on must not depend on the order of a hash map.
            seen.sort_unstable();
            of.count(seen, words);
        }
        let examples = self.timed.iter().filter_map(|timed| Some(timed.slowest?.1)).collect();
        (self.timed.into_iter().filter_map(Timed::times).collect(), examples)
    }
}

impl Timed {
    fn count(&mut self, time_us: u64, calls: u64, place: Place) {
        record_of_operation(&mut self.time_us[place.environment].0, time_us);
        if calls > 0 {
            record_of_operation(&mut self.calls[place.environment].0, calls.min(MAX_CALLS) * US_FOR_A_CALL);
        }
        let is_slower = self.slowest.is_none_or(|(known, _)| time_us > known.latency_us);
        if place.environment == Environment::Green && is_slower {
            let Place { trace, assigned, .. } = place;
            self.slowest = Some((SlowTrace { trace, latency_us: time_us, assigned }, place));
        }
    }

    /// `None` if no trace of the batch has it.
    fn times(self) -> Option<ServiceTimes> {
        let count = self.time_us.blue.count() + self.time_us.green.count();
        let is_call = self.calls.blue.count() + self.calls.green.count() > 0;
        let slowest = self.slowest.map(|(slow, _)| slow);
        let calls = is_call.then_some(self.calls);
        (count > 0).then_some(ServiceTimes { subject: self.subject, time_us: self.time_us, calls, slowest })
    }
}
