//! Values in 32 bytes a span: what is compared by hash of what was sent and what came out.
//!
//! Whichever side comes first leaves its digests; when the other comes they are compared, and what differs is all that
//! stays. Sixteen bits let one change in 65,536 pass, of one span in one trace: a change that shows in a share of the spans
//! shows in all but that part of it.

use crate::fact::SpanFact;
use crate::keyed::Keyed;
use crate::transformation::{Part, Transformations};
use crate::vocabulary::{Attributes, type_of};

/// Parts of a span with a place of their own, times first.
const PARTS: usize = 6;
/// Places for attributes: by their position among the span's keys, so that up to so many can be told apart.
pub(crate) const ATTRIBUTE_PLACES: usize = 10;

/// What is compared of a span beside ids, keys and resource.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digests {
    parts: [u16; PARTS],
    attributes: [u16; ATTRIBUTE_PLACES],
}

/// What of a span came out otherwise than it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences(u16);

const TIMES: usize = 0;

fn place(part: Part) -> usize {
    match part {
        Part::Name => 1,
        Part::Status => 2,
        Part::Events => 3,
        Part::Context => 4,
        Part::Scope => 5,
    }
}

impl Differences {
    pub(crate) fn times(self) -> bool {
        self.has(TIMES)
    }

    pub(crate) fn part(self, part: Part) -> bool {
        self.has(place(part))
    }

    pub(crate) fn any_attribute(self) -> bool {
        self.0 >> PARTS != 0
    }

    /// Whether an attribute at this position among the keys of the side that came first may differ.
    pub(crate) fn attribute(self, position: usize) -> bool {
        self.has(PARTS + position % ATTRIBUTE_PLACES)
    }

    fn has(self, bit: usize) -> bool {
        self.0 >> bit & 1 == 1
    }

    fn set(&mut self, bit: usize, differs: bool) {
        self.0 |= u16::from(differs) << bit;
    }
}

impl Digests {
    /// The digests of a fact that has been transformed.
    pub(crate) fn of(keyed: Keyed, fact: &SpanFact<'_>, meant: &Transformations) -> Digests {
        let hash = |part: Part, pieces: &mut dyn Iterator<Item = &[u8]>| match meant.parts.contains(&part) {
            true => 0,
            false => keyed.of(pieces) as u16,
        };
        let mut digests = Digests::default();
        let [start, end] = [fact.start_ns, fact.end_ns].map(|ns| meant.times.cut(ns).to_le_bytes());
        digests.parts[TIMES] = keyed.of([&start[..], &end].into_iter()) as u16;
        let name = [fact.operation.as_bytes()];
        digests.parts[place(Part::Name)] = hash(Part::Name, &mut name.into_iter());
        let code = fact.status.code.to_le_bytes();
        digests.parts[place(Part::Status)] =
            hash(Part::Status, &mut [&code[..], fact.status.message.as_bytes()].into_iter());
        let dropped = fact.dropped.map(u32::to_le_bytes);
        let counts = [(fact.events.len() as u64).to_le_bytes()];
        let events = counts.iter().map(|bytes| &bytes[..]).chain(dropped.iter().map(|bytes| &bytes[..]));
        digests.parts[place(Part::Events)] =
            hash(Part::Events, &mut events.chain(fact.events.iter().copied()).chain(fact.links.iter().copied()));
        let flags = fact.flags.to_le_bytes();
        digests.parts[place(Part::Context)] =
            hash(Part::Context, &mut [&flags[..], fact.trace_state.as_bytes()].into_iter());
        digests.parts[place(Part::Scope)] = hash(Part::Scope, &mut fact.scope.iter().map(|text| text.as_bytes()));
        for (position, (key, value)) in fact.attributes.iter().enumerate() {
            let place = &mut digests.attributes[position % ATTRIBUTE_PLACES];
            *place = place.wrapping_add(of_attribute(keyed, key, value, meant));
        }
        digests
    }

    /// What differs between the side that came first, with its attributes where they are kept, and the fact of the other.
    pub(crate) fn compare(
        &self,
        first: Option<&Attributes>,
        keyed: Keyed,
        second: &SpanFact<'_>,
        meant: &Transformations,
    ) -> Differences {
        let other = Digests::of(keyed, second, meant);
        let mut differences = Differences::default();
        for place in 0..PARTS {
            differences.set(place, self.parts[place] != other.parts[place]);
        }
        let same_keys = |first: &Attributes| {
            first.len() == second.attributes.len()
                && first.iter().zip(second.attributes).all(|(known, (key, _))| *known.0 == **key)
        };
        match first {
            Some(first) if !same_keys(first) => self.compare_common(first, keyed, second, meant, &mut differences),
            Some(_) => {
                for place in 0..ATTRIBUTE_PLACES {
                    differences.set(PARTS + place, self.attributes[place] != other.attributes[place]);
                }
            }
            // Keys that are not kept cannot be told from each other.
            None => {}
        }
        differences
    }

    /// Compares the places all of whose keys the other side has, whatever else it has.
    fn compare_common(
        &self,
        first: &Attributes,
        keyed: Keyed,
        second: &SpanFact<'_>,
        meant: &Transformations,
        differences: &mut Differences,
    ) {
        for (place, digest) in self.attributes.iter().enumerate() {
            let keys = || first.iter().skip(place).step_by(ATTRIBUTE_PLACES);
            let value = |key: &str| {
                let found = second.attributes.binary_search_by_key(&key, |(key, _)| *key);
                found.ok().map(|at| second.attributes[at].1)
            };
            let sum = keys()
                .try_fold(0u16, |sum, (key, _)| Some(sum.wrapping_add(of_attribute(keyed, key, value(key)?, meant))));
            differences.set(PARTS + place, sum.is_some_and(|sum| sum != *digest));
        }
    }
}

fn of_attribute(keyed: Keyed, key: &str, value: &[u8], meant: &Transformations) -> u16 {
    match meant.changed.contains(key) {
        true => 0,
        false => keyed.of([key.as_bytes(), &[type_of(value)], value].into_iter()) as u16,
    }
}

#[cfg(test)]
mod tests;
