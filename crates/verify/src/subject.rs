//! What a blind spot can hide: operations, and edges between services. Counted by traces in which they were sent and
//! acknowledged, and of these the traces in which nothing of them came out.

use crate::finding::{Example, Place, printable};
use crate::frequent::Named;
use crate::keyed::{Keyed, Map};
use crate::vocabulary::{InUse, MAX_NAME_BYTES, NameId, Vocabulary};
use model::{
    BlindSpotCount, MAX_SUBJECTS_PER_OBSERVATION, MAX_TIMED_NAME_BYTES, PerEnvironment, RootOperation, Subject,
};
use std::cmp::Reverse;

/// Subjects that are counted since the start: 16,384 of at most 80 bytes are 1.3 MB. One that does not fit has the counts
/// of its batch alone, and is counted in `Stats::subjects_not_kept`.
pub(crate) const MAX_SUBJECTS_EVER: usize = 16_384;

/// A [`Subject`] by the ids of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SubjectId {
    Operation { service: NameId, operation: NameId, kind: u8 },
    Edge { from: NameId, to: NameId },
}

/// Traces in which a subject was sent, and in which nothing of it came out.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    traces: PerEnvironment<u64>,
    unseen: PerEnvironment<u64>,
}

/// The subjects of one batch.
#[derive(Debug)]
pub(crate) struct Subjects {
    counts: Map<SubjectId, (Seen, PerEnvironment<Option<Example>>)>,
}

/// The subjects since the start.
#[derive(Debug)]
pub(crate) struct SubjectsEver {
    counts: Map<SubjectId, Seen>,
    not_kept: u64,
}

impl Subjects {
    pub(crate) fn new(keyed: Keyed) -> Subjects {
        Subjects { counts: Map::with_hasher(keyed) }
    }

    /// Counts one trace: `sent` has each subject once for each span or edge, and whether that came out. It is used up.
    pub(crate) fn count(&mut self, sent: &mut Vec<(SubjectId, bool)>, place: Place) {
        sent.sort_unstable();
        for of_one in sent.chunk_by(|a, b| a.0 == b.0) {
            let (seen, examples) = self.counts.entry(of_one[0].0).or_default();
            seen.traces[place.environment] += 1;
            if !of_one.iter().any(|(_, came_out)| *came_out) {
                seen.unseen[place.environment] += 1;
                examples[place.environment].get_or_insert(place);
            }
        }
        sent.clear();
    }

    pub(crate) fn has(&self, subject: SubjectId) -> bool {
        self.counts.contains_key(&subject)
    }

    /// Adds the batch to the counts since the start. The subjects of which a trace went unseen, the most unseen first;
    /// the traces that are their examples; and how many subjects were omitted.
    pub(crate) fn finish(
        self,
        ever: &mut SubjectsEver,
        words: &Vocabulary,
    ) -> (Vec<BlindSpotCount>, Vec<Example>, u64) {
        let mut all: Vec<_> = self.counts.into_iter().collect();
        // Which subjects still fit must not depend on the order of a hash map.
        all.sort_unstable_by_key(|(subject, _)| *subject);
        let mut unseen = Vec::new();
        for (subject, (seen, examples)) in all {
            let since_start = ever.add(subject, seen);
            if seen.unseen.blue + seen.unseen.green > 0 {
                unseen.push((named(subject, words, MAX_NAME_BYTES), seen, since_start, examples));
            }
        }
        unseen.sort_by(|a, b| {
            let order = |seen: &Seen| Reverse(seen.unseen.blue + seen.unseen.green);
            order(&a.1).cmp(&order(&b.1)).then_with(|| a.0.cmp(&b.0))
        });
        let omitted = unseen.len().saturating_sub(MAX_SUBJECTS_PER_OBSERVATION) as u64;
        unseen.truncate(MAX_SUBJECTS_PER_OBSERVATION);
        let mut noted = Vec::new();
        let counts = unseen.into_iter().map(|(subject, seen, since_start, examples)| {
            let example = examples.green.or(examples.blue);
            noted.extend(example);
            BlindSpotCount {
                subject,
                traces: seen.traces,
                unseen: seen.unseen,
                traces_ever: since_start.traces,
                unseen_ever: since_start.unseen,
                example: example.map(|place| place.trace),
            }
        });
        let counts = counts.collect();
        (counts, noted, omitted)
    }
}

impl SubjectsEver {
    pub(crate) fn new(keyed: Keyed) -> SubjectsEver {
        SubjectsEver { counts: Map::with_hasher(keyed), not_kept: 0 }
    }

    /// Times that a subject of a batch did not fit.
    pub(crate) fn not_kept(&self) -> u64 {
        self.not_kept
    }

    pub(crate) fn has(&self, subject: SubjectId) -> bool {
        self.counts.contains_key(&subject)
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(crate) fn mark(&self, used: &mut InUse) {
        for subject in self.counts.keys() {
            subject.names().into_iter().for_each(|name| used.name(name));
        }
    }

    fn add(&mut self, subject: SubjectId, batch: Seen) -> Seen {
        if self.counts.len() >= MAX_SUBJECTS_EVER && !self.counts.contains_key(&subject) {
            self.not_kept += 1;
            return batch;
        }
        let ever = self.counts.entry(subject).or_default();
        for environment in model::Environment::BOTH {
            ever.traces[environment] += batch.traces[environment];
            ever.unseen[environment] += batch.unseen[environment];
        }
        *ever
    }
}

/// A call of one service by another, in the traces that were verified since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// `service.name` of the caller.
    pub from: String,
    /// Of the called one.
    pub to: String,
    /// Traces in which it was sent and acknowledged.
    pub sent: PerEnvironment<u64>,
    /// Of these, the traces in which it came out.
    pub out: PerEnvironment<u64>,
}

/// What came out of the calls between services, since the verifier began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCounts {
    /// Traces that were verified.
    pub traces: PerEnvironment<u64>,
    /// Those that most traces have first.
    pub calls: Vec<CallCount>,
    /// Calls for which there was no room.
    pub left_out: usize,
}

impl SubjectsEver {
    /// The calls that most traces have, at most so many of them, and how many more there are.
    pub(crate) fn calls(&self, most: usize, words: &Vocabulary) -> (Vec<CallCount>, usize) {
        let calls = self.counts.iter().filter(|(subject, _)| matches!(subject, SubjectId::Edge { .. }));
        let mut calls: Vec<(SubjectId, Seen)> = calls.map(|(subject, seen)| (*subject, *seen)).collect();
        calls.sort_unstable_by_key(|(subject, seen)| (Reverse(seen.traces.blue + seen.traces.green), *subject));
        let left_out = calls.len().saturating_sub(most);
        calls.truncate(most);
        let named = calls.into_iter().filter_map(|(subject, seen)| {
            let Subject::Edge { from, to } = named(subject, words, MAX_NAME_BYTES) else { return None };
            let out = PerEnvironment::from_fn(|it| seen.traces[it] - seen.unseen[it]);
            Some(CallCount { from, to, sent: seen.traces, out })
        });
        (named.collect(), left_out)
    }
}

fn named(subject: SubjectId, words: &Vocabulary, bytes: usize) -> Subject {
    let name = |id| printable(words.name_of(id), bytes);
    match subject {
        SubjectId::Operation { service, operation, kind } => {
            Subject::Operation { service: name(service), operation: name(operation), kind }
        }
        SubjectId::Edge { from, to } => Subject::Edge { from: name(from), to: name(to) },
    }
}

impl Named for SubjectId {
    type Told = Subject;

    fn names(self) -> [NameId; 2] {
        match self {
            SubjectId::Operation { service, operation, kind: _ } => [service, operation],
            SubjectId::Edge { from, to } => [from, to],
        }
    }

    fn told(self, words: &Vocabulary) -> Subject {
        named(self, words, MAX_TIMED_NAME_BYTES)
    }
}

/// Service and name of a root span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RootId {
    pub(crate) service: NameId,
    pub(crate) operation: NameId,
}

impl Named for RootId {
    type Told = RootOperation;

    fn names(self) -> [NameId; 2] {
        [self.service, self.operation]
    }

    fn told(self, words: &Vocabulary) -> RootOperation {
        let text = |id| printable(words.name_of(id), MAX_NAME_BYTES);
        RootOperation { service: text(self.service), operation: text(self.operation) }
    }
}
