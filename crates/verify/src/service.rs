//! How long services take: counted by batch, and told by some observations.

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
    SlowTrace, Subject, TIMED_OVER_OBSERVATIONS, US_FOR_A_CALL,
};

/// The calls and operations that are timed, since the start.
#[derive(Debug)]
pub(crate) struct TimedServices {
    calls: Chosen,
    operations: Chosen,
    paths: Paths,
}

/// Those of one kind.
#[derive(Debug)]
struct Chosen {
    frequent: Frequent<SubjectId>,
    /// In the order of the choice: what was counted and not told yet.
    times: Vec<Times>,
    /// Traces of what is not timed in the batch that is judged, as long as there is room for more.
    others: Option<Map<SubjectId, u64>>,
}

#[derive(Debug, Default)]
struct Times {
    time_us: PerEnvironment<ShortHistogram>,
    calls: PerEnvironment<ShortHistogram>,
    slowest: Option<SlowTrace>,
    /// The slowest is of the batch that is judged.
    place: Option<Place>,
}

impl TimedServices {
    pub(crate) fn new(keyed: Keyed) -> TimedServices {
        let chosen = |room| Chosen {
            frequent: Frequent::new(keyed, room),
            times: Vec::new(),
            others: Some(Map::with_hasher(keyed)),
        };
        let (calls, operations) = (chosen(MAX_TIMED_CALLS), chosen(MAX_TIMED_OPERATIONS));
        TimedServices { calls, operations, paths: Paths::default() }
    }

    pub(crate) fn mark(&self, used: &mut InUse) {
        self.calls.frequent.mark(used);
        self.operations.frequent.mark(used);
    }

    /// Counts one trace of a batch, whose root stands at a position among its spans.
    pub(crate) fn judge(&mut self, trace: &Trace, tree: &ById<'_>, root: usize, place: Place) {
        for spent in self.paths.spent(trace, tree, root) {
            let chosen = match spent.subject {
                SubjectId::Edge { .. } => &mut self.calls,
                SubjectId::Operation { .. } => &mut self.operations,
            };
            let known = chosen.frequent.chosen().iter().position(|(id, _)| *id == spent.subject);
            match (known, &mut chosen.others) {
                (Some(at), _) => chosen.times[at].count(spent.time_us, spent.calls, place),
                (None, Some(others)) => *others.entry(spent.subject).or_default() += 1,
                (None, None) => {}
            }
        }
    }

    /// What the observation of a batch tells, in the order of the choice, and the traces that are examples of what it or a
    /// later one tells.
    pub(crate) fn finish(&mut self, batch: u64, words: &Vocabulary) -> (Vec<ServiceTimes>, Vec<Example>) {
        let (mut told, mut examples) = (Vec::new(), Vec::new());
        for chosen in [&mut self.calls, &mut self.operations] {
            examples.extend(chosen.times.iter_mut().filter_map(|times| times.place.take()));
            for (at, (times, (_, subject))) in chosen.times.iter_mut().zip(chosen.frequent.chosen()).enumerate() {
                if (at as u64 + batch).is_multiple_of(TIMED_OVER_OBSERVATIONS) {
                    told.extend(std::mem::take(times).told(subject));
                }
            }
            chosen.choose(words);
        }
        (told, examples)
    }
}

impl Chosen {
    fn choose(&mut self, words: &Vocabulary) {
        let Some(others) = &mut self.others else { return };
        // Which are counted on must not depend on the order of a hash map.
        let mut seen: Vec<_> = others.drain().collect();
        seen.sort_unstable();
        self.frequent.count(seen, words);
        self.times.resize_with(self.frequent.chosen().len(), Times::default);
        if self.frequent.is_full() {
            self.others = None;
        }
    }
}

impl Times {
    fn count(&mut self, time_us: u64, calls: u64, place: Place) {
        record_of_operation(&mut self.time_us[place.environment].0, time_us);
        if calls > 0 {
            record_of_operation(&mut self.calls[place.environment].0, calls.min(MAX_CALLS) * US_FOR_A_CALL);
        }
        let is_slower = self.slowest.is_none_or(|known| time_us > known.latency_us);
        if place.environment == Environment::Green && is_slower {
            let Place { trace, assigned, .. } = place;
            self.slowest = Some(SlowTrace { trace, latency_us: time_us, assigned });
            self.place = Some(place);
        }
    }

    /// `None` if no trace had it.
    fn told(self, subject: &Subject) -> Option<ServiceTimes> {
        let Times { time_us, calls, slowest, place: _ } = self;
        let is_call = calls.blue.count() + calls.green.count() > 0;
        let is_empty = time_us.blue.count() + time_us.green.count() == 0;
        let calls = is_call.then_some(calls);
        (!is_empty).then(|| ServiceTimes { subject: subject.clone(), time_us, calls, slowest })
    }
}
