//! Differences of one batch, grouped by check, service, operation and key.

use crate::keyed::{Keyed, Map};
use crate::trace::Span;
use crate::vocabulary::{MAX_NAME_BYTES, NameId, Vocabulary};
use model::{Check, Environment, Finding, MAX_FINDINGS_PER_OBSERVATION, PerEnvironment, TraceId, UnixMillis};
use std::cmp::Reverse;

/// Groups that one batch keeps: 4,096 of at most 300 bytes are 1.2 MB. Beyond, each span that would begin a group is
/// counted as omitted.
pub(crate) const MAX_GROUPS: usize = 4_096;

/// Bytes of a finding's key, as `model::MAX_FINDINGS_PER_OBSERVATION` reckons with.
const MAX_KEY_BYTES: usize = 64;

/// The trace of a batch that is being judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) environment: Environment,
    /// Its position among the batch's traces.
    pub(crate) position: usize,
    pub(crate) trace: TraceId,
    /// The half of its environment's traces that it is counted in.
    pub(crate) is_odd: bool,
    pub(crate) assigned: UnixMillis,
}

/// What the check names beside service and operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    None,
    Attribute(Box<str>),
    /// One of these, which cannot be told apart.
    OneOf(Box<[Box<str>]>),
    Part(&'static str),
    Edge {
        from: NameId,
    },
    Parent {
        service: NameId,
        operation: NameId,
    },
}

/// Where to find a trace again: its environment, id and position in the batch.
pub(crate) type Example = Place;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    check: Check,
    service: NameId,
    operation: NameId,
    key: Key,
}

#[derive(Clone, Debug, Default)]
struct Shown {
    traces: PerEnvironment<u64>,
    spans: PerEnvironment<u64>,
    first: UnixMillis,
    last: UnixMillis,
    last_position: usize,
    examples: PerEnvironment<Option<Example>>,
}

/// The groups of one batch.
#[derive(Debug)]
pub(crate) struct Findings {
    groups: Map<Group, Shown>,
    omitted: u64,
}

impl Findings {
    pub(crate) fn new(keyed: Keyed) -> Findings {
        Findings { groups: Map::with_hasher(keyed), omitted: 0 }
    }

    /// Counts one span that shows a difference.
    pub(crate) fn note(&mut self, check: Check, span: &Span, key: Key, place: Place) {
        let group = Group { check, service: span.service, operation: span.operation, key };
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&group) {
            self.omitted += 1;
            return;
        }
        let shown = self.groups.entry(group).or_insert_with(|| Shown {
            first: place.assigned,
            last: place.assigned,
            last_position: usize::MAX,
            ..Shown::default()
        });
        shown.spans[place.environment] += 1;
        if shown.last_position != place.position {
            shown.last_position = place.position;
            shown.traces[place.environment] += 1;
            shown.first = shown.first.min(place.assigned);
            shown.last = shown.last.max(place.assigned);
            shown.examples[place.environment].get_or_insert(place);
        }
    }

    /// The findings, the traces that are their examples, and how many groups were omitted. The most frequent come
    /// first; spans with an error come behind all others, since they are no difference between the views.
    pub(crate) fn finish(self, words: &Vocabulary) -> (Vec<Finding>, Vec<Example>, u64) {
        let mut groups: Vec<(Group, Shown)> = self.groups.into_iter().collect();
        groups.sort_by_cached_key(|(group, shown)| {
            let traces = shown.traces.blue + shown.traces.green;
            let names = (words.name_of(group.service).to_owned(), words.name_of(group.operation).to_owned());
            (group.check == Check::ErrorSpan, Reverse(traces), group.check, names, key_text(&group.key, words))
        });
        let omitted = self.omitted + groups.len().saturating_sub(MAX_FINDINGS_PER_OBSERVATION) as u64;
        groups.truncate(MAX_FINDINGS_PER_OBSERVATION);
        let examples = groups
            .iter()
            .flat_map(|(_, shown)| [shown.examples.green, shown.examples.blue])
            .flatten()
            .collect::<Vec<Example>>();
        let findings = groups.into_iter().map(|(group, shown)| finding(&group, &shown, words)).collect();
        (findings, examples, omitted)
    }
}

fn finding(group: &Group, shown: &Shown, words: &Vocabulary) -> Finding {
    Finding {
        check: group.check,
        service: printable(words.name_of(group.service), MAX_NAME_BYTES),
        operation: printable(words.name_of(group.operation), MAX_NAME_BYTES),
        key: key_text(&group.key, words),
        traces: shown.traces,
        spans: shown.spans,
        first_seen: shown.first,
        last_seen: shown.last,
        example: shown.examples.green.or(shown.examples.blue).map(|place| place.trace),
    }
}

pub(crate) fn key_text(key: &Key, words: &Vocabulary) -> Option<String> {
    match key {
        Key::None => None,
        Key::Attribute(key) => Some(printable(key, MAX_KEY_BYTES)),
        Key::OneOf(keys) => Some(printable(&keys.join(" or "), MAX_KEY_BYTES)),
        Key::Part(part) => Some((*part).to_owned()),
        Key::Edge { from } => Some(printable(&format!("from {}", words.name_of(*from)), MAX_KEY_BYTES)),
        Key::Parent { service, operation } => {
            let parent = format!("{} {}", words.name_of(*service), words.name_of(*operation));
            Some(printable(&parent, MAX_KEY_BYTES))
        }
    }
}

/// As much of the text as takes at most `bytes` bytes in JSON, which writes quotes and backslashes as two: what the bounds
/// of an observation reckon with. Control characters become question marks: JSON would write each as six bytes, and a
/// terminal would obey them.
pub(crate) fn printable(text: &str, bytes: usize) -> String {
    let shown = text.chars().map(|character| if character.is_control() { '?' } else { character });
    let mut left = bytes;
    let fits = |character: &char| {
        let escaped = character.len_utf8() + usize::from(matches!(character, '"' | '\\'));
        left.checked_sub(escaped).inspect(|rest| left = *rest).is_some()
    };
    shown.take_while(fits).collect()
}
