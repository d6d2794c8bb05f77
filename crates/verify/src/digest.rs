//! Values in 32 bytes a span: what is compared by hash of what was sent and what came out.
//!
//! Whichever side comes first leaves its digests; when the other comes they are compared, and what differs is all that
//! stays. Sixteen bits let one change in 65,536 pass, of one span in one trace: a change that shows in a share of the spans
//! shows in all but that part of it.

use crate::fact::SpanFact;
use crate::keyed::Keyed;
use crate::transformation::{Part, Transformations};
use crate::vocabulary::Attributes;
use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hasher};

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

    pub(crate) fn note_times(&mut self) {
        self.set(TIMES, true);
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

/// Hashes quickly. It need not withstand anybody: who could choose values by their hash had 65,536 to choose from.
#[derive(Debug)]
struct Hash {
    state: FixedState,
    /// Odd, so that a product loses nothing.
    factors: [u64; 2],
}

impl Hash {
    fn new(keyed: Keyed) -> Hash {
        let (eights, _) = keyed.0.as_chunks();
        let [first, second] = [eights[0], eights[1]].map(u64::from_le_bytes);
        Hash { state: FixedState::with_seed(first), factors: [first, second].map(|half| half | 1) }
    }

    /// Both times, to the nanosecond. A product's high bits depend on all of a factor's.
    fn of_times(&self, [start, end]: [u64; 2]) -> u16 {
        let high =
            |time: u64, factor: u64| ((u128::from(time) * u128::from(factor)) >> 64) as u64 ^ time.wrapping_mul(factor);
        let mixed = high(start, self.factors[0]).rotate_left(32) ^ high(end, self.factors[1]);
        (mixed.wrapping_mul(self.factors[0]) >> 48) as u16
    }

    /// Each piece with its length, so that no two lists of pieces are written alike.
    fn of<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> u16 {
        let mut hasher = self.state.build_hasher();
        for piece in pieces {
            hasher.write_usize(piece.len());
            hasher.write(piece);
        }
        hasher.finish() as u16
    }

    /// The value at a position among the keys of the side that came first. The key is not in it: keys are compared by
    /// themselves, and two values in one place weigh differently, so that they cannot change places unseen.
    fn of_value(&self, position: usize, value: &[u8]) -> u16 {
        let mut hasher = self.state.build_hasher();
        hasher.write(value);
        (hasher.finish() as u16).wrapping_mul((position / ATTRIBUTE_PLACES * 2 + 1) as u16)
    }
}

impl Digests {
    /// The digests of a fact that has been transformed.
    pub(crate) fn of(keyed: Keyed, fact: &SpanFact<'_>, meant: &Transformations) -> Digests {
        let hash = Hash::new(keyed);
        let mut digests = Digests::default();
        digests.parts[TIMES] = hash.of_times([fact.start_ns, fact.end_ns].map(|ns| meant.times.cut(ns)));
        // Most spans have none of most parts: nothing is 0 on both sides, and is not hashed.
        let mut note = |part: Part, is_empty: bool, digest: &dyn Fn() -> u16| {
            if !is_empty && !meant.parts.contains(&part) {
                digests.parts[place(part)] = digest();
            }
        };
        note(Part::Name, false, &|| hash.of([fact.operation.as_bytes()].into_iter()));
        let (code, message) = (fact.status.code, fact.status.message);
        note(Part::Status, code == 0 && message.is_empty(), &|| {
            hash.of([&code.to_le_bytes()[..], message.as_bytes()].into_iter())
        });
        let no_events = fact.dropped == [0; 3] && fact.events.is_empty() && fact.links.is_empty();
        note(Part::Events, no_events, &|| {
            let [attributes, events, links] = fact.dropped.map(u32::to_le_bytes);
            let counts = [&attributes[..], &events, &links, &(fact.events.len() as u64).to_le_bytes()];
            hash.of(counts.into_iter().chain(fact.events.iter().copied()).chain(fact.links.iter().copied()))
        });
        note(Part::Context, fact.flags == 0 && fact.trace_state.is_empty(), &|| {
            hash.of([&fact.flags.to_le_bytes()[..], fact.trace_state.as_bytes()].into_iter())
        });
        note(Part::Scope, fact.scope.iter().all(|text| text.is_empty()), &|| {
            hash.of(fact.scope.iter().map(|text| text.as_bytes()))
        });
        for (position, (_, value)) in fact.attributes.iter().enumerate() {
            let place = &mut digests.attributes[position % ATTRIBUTE_PLACES];
            *place = place.wrapping_add(hash.of_value(position, value));
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
            Some(first) if !same_keys(first) => self.compare_common(first, keyed, second, &mut differences),
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
    fn compare_common(&self, first: &Attributes, keyed: Keyed, second: &SpanFact<'_>, differences: &mut Differences) {
        let hash = Hash::new(keyed);
        for (place, digest) in self.attributes.iter().enumerate() {
            let keys = || first.iter().enumerate().skip(place).step_by(ATTRIBUTE_PLACES);
            let value = |key: &str| {
                let found = second.attributes.binary_search_by_key(&key, |(key, _)| *key);
                found.ok().map(|at| second.attributes[at].1)
            };
            let sum = keys().try_fold(0u16, |sum, (position, (key, _))| {
                Some(sum.wrapping_add(hash.of_value(position, value(key)?)))
            });
            differences.set(PARTS + place, sum.is_some_and(|sum| sum != *digest));
        }
    }
}

#[cfg(test)]
mod tests;
