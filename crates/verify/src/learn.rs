//! Learns from what was sent and what came out which transformations explain the differences, for a person to review.
//!
//! It counts and proposes; nothing is declared by it. What shows too seldom is named as left out, for a rare difference is
//! a finding, and no transformation.

mod kept;
mod live;
mod text;

pub use kept::Kept;
pub use live::{LiveConfig, LiveLearner, Watched};

use crate::fact::SpanFact;
use crate::transformation::{Part, Precision, Transformations};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Keys of attributes that are counted, and as many of resources: at most 4,096 of 200 bytes, each with at most 256
/// services, are some 4 MB.
const MAX_KEYS: usize = 4_096;
/// Bytes of a key that can be declared.
const MAX_KEY_BYTES: usize = 200;
/// Services that are told apart; those beyond are counted as one.
const MAX_SERVICES: usize = 256;
/// Pairs of a key that is missing and one that was added with its value: 16,384 of 16 bytes.
const MAX_RENAMES: usize = 16_384;
/// Keys of one span that are compared with each other's values: 32 times 32 comparisons.
const MAX_COMPARED: usize = 32;
/// Names that are declared in one list, as a plan takes them; those that show most come first.
const MAX_DECLARED: usize = 200;

const PARTS: [Part; 5] = [Part::Name, Part::Status, Part::Events, Part::Context, Part::Scope];

/// What is too seldom to be declared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Least {
    /// The least share, in (0, 0.5], of the spans in which a difference could have shown.
    pub share: f64,
    /// The fewest spans, or traces, that show it.
    pub count: u64,
}

/// Counts how what came out differs from what was sent.
#[derive(Debug)]
pub struct Learner {
    least: Least,
    spans: u64,
    traces: Seen,
    services: BTreeMap<Box<str>, usize>,
    spans_of: Vec<u64>,
    ids: BTreeMap<Box<str>, u32>,
    attributes: Vec<Attribute>,
    /// By the key that is missing and the one that has its value.
    renames: BTreeMap<(u32, u32), u64>,
    resource: BTreeMap<Box<str>, InServices>,
    parts: [Seen; PARTS.len()],
    /// Spans whose times differ when they are cut to nanoseconds, microseconds and milliseconds.
    times: [u64; 3],
    not_kept: u64,
}

/// How often something shows, and how often it could have.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    shown: u64,
    of: u64,
}

/// What shows in spans of some services; it could have in all of theirs.
#[derive(Clone, Debug, Default)]
struct InServices {
    shown: u64,
    services: BTreeSet<u16>,
}

/// What became of one key.
#[derive(Clone, Debug, Default)]
struct Attribute {
    sent: u64,
    missing: u64,
    added: InServices,
    changed: u64,
}

/// One difference, in how many spans it shows, and of how many in which it could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub change: Change,
    /// Spans that show it; traces, for [`Change::Samples`].
    pub shown: u64,
    /// Of so many: those that had the key when they were sent; for what is added and for the resource all of the services in
    /// which it shows; for a part those that have it; for times all.
    pub of: u64,
}

/// What a difference is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A key comes out that was not sent.
    Added(String),
    /// A key does not come out.
    Removed(String),
    /// A value comes out under another key.
    Renamed(String, String),
    /// A value comes out changed.
    Changed(String),
    /// An attribute of the resource differs.
    Resource(String),
    /// A part differs.
    Part(Part),
    /// Times are cut.
    Times(Precision),
    /// Whole traces do not come out.
    Samples,
}

/// What was learned. Its text is the YAML of an environment's `transformations`, with the shares as comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// What explains it.
    pub meant: Transformations,
    /// The differences that `meant` declares.
    pub declared: Vec<Difference>,
    /// Those that are too seldom, or too many: they stay findings.
    pub left_out: Vec<Difference>,
    /// Spans that were compared.
    pub spans: u64,
    /// Differences of keys that cannot be declared: not printable ASCII, too long, or one of too many.
    pub not_kept: u64,
}

impl Learner {
    /// One that has seen nothing. Panics if the share is not in (0, 0.5].
    pub fn new(least: Least) -> Learner {
        assert!(least.share > 0.0 && least.share <= 0.5, "a share above 0 and up to one half");
        Learner {
            least,
            spans: 0,
            traces: Seen::default(),
            services: BTreeMap::new(),
            spans_of: Vec::new(),
            ids: BTreeMap::new(),
            attributes: Vec::new(),
            renames: BTreeMap::new(),
            resource: BTreeMap::new(),
            parts: [Seen::default(); PARTS.len()],
            times: [0; 3],
            not_kept: 0,
        }
    }

    /// A trace that was sent, and whether any of its spans came out.
    pub fn trace(&mut self, came_out: bool) {
        self.traces.of += 1;
        self.traces.shown += u64::from(!came_out);
    }

    /// A span as it was sent and as it came out.
    pub fn pair(&mut self, sent: &SpanFact<'_>, out: &SpanFact<'_>) {
        self.spans += 1;
        let service = self.service(sent.service);
        self.spans_of[usize::from(service)] += 1;
        self.attributes(service, sent, out);
        each_key(sent.resource, out.resource, |key, sent, out| {
            if sent == out {
                return;
            }
            let fits = is_declarable(key) && (self.resource.len() < MAX_KEYS || self.resource.contains_key(key));
            if !fits {
                self.not_kept += 1;
                return;
            }
            self.resource.entry(key.into()).or_default().note(service);
        });
        for (seen, part) in self.parts.iter_mut().zip(PARTS) {
            let (differs, is_there) = compared(part, sent, out);
            seen.shown += u64::from(differs);
            seen.of += u64::from(differs || is_there);
        }
        let precisions = [Precision::Nanoseconds, Precision::Microseconds, Precision::Milliseconds];
        for (differing, precision) in self.times.iter_mut().zip(precisions) {
            let cut = |fact: &SpanFact<'_>| [precision.cut(fact.start_ns), precision.cut(fact.end_ns)];
            *differing += u64::from(cut(sent) != cut(out));
        }
    }

    /// What explains what was seen.
    pub fn finish(&self) -> Learned {
        let mut found = self.attribute_changes();
        found.extend(self.resource.iter().map(|(key, seen)| {
            let Seen { shown, of } = self.in_services(seen);
            Difference { change: Change::Resource(key.to_string()), shown, of }
        }));
        let parts = PARTS.into_iter().zip(self.parts);
        found.extend(parts.map(|(part, Seen { shown, of })| Difference { change: Change::Part(part), shown, of }));
        found.extend(self.time_changes());
        found.push(Difference { change: Change::Samples, shown: self.traces.shown, of: self.traces.of });
        found.retain(|difference| difference.shown > 0);
        found.sort_by(|a, b| (Reverse(a.shown), &a.change).cmp(&(Reverse(b.shown), &b.change)));

        let (mut meant, mut declared, mut left_out) = (Transformations::default(), Vec::new(), Vec::new());
        for difference in found {
            let Difference { ref change, shown, of } = difference;
            if self.shows_enough(Seen { shown, of }) && declare(&mut meant, change) {
                declared.push(difference);
            } else {
                left_out.push(difference);
            }
        }
        Learned { meant, declared, left_out, spans: self.spans, not_kept: self.not_kept }
    }

    fn service(&mut self, name: &str) -> u16 {
        if let Some(known) = self.services.get(name) {
            return *known as u16;
        }
        // The last place is that of all services that do not fit.
        let place = self.services.len().min(MAX_SERVICES - 1);
        if place < MAX_SERVICES - 1 {
            self.services.insert(name.into(), place);
        }
        self.spans_of.resize(self.spans_of.len().max(place + 1), 0);
        place as u16
    }

    fn attributes(&mut self, service: u16, sent: &SpanFact<'_>, out: &SpanFact<'_>) {
        let (mut missing, mut added) = (Vec::new(), Vec::new());
        each_key(sent.attributes, out.attributes, |key, sent, out| {
            let Some(id) = self.id(key) else {
                self.not_kept += u64::from(sent != out);
                return;
            };
            let seen = &mut self.attributes[id as usize];
            seen.sent += u64::from(sent.is_some());
            match (sent, out) {
                (Some(sent), Some(out)) => seen.changed += u64::from(sent != out),
                (Some(value), None) => {
                    seen.missing += 1;
                    missing.push((id, value));
                }
                (None, Some(value)) => {
                    seen.added.note(service);
                    added.push((id, value));
                }
                (None, None) => {}
            }
        });
        for (from, value) in missing.iter().take(MAX_COMPARED) {
            for (to, _) in added.iter().take(MAX_COMPARED).filter(|(_, other)| other == value) {
                let pair = (*from, *to);
                if self.renames.len() < MAX_RENAMES || self.renames.contains_key(&pair) {
                    *self.renames.entry(pair).or_default() += 1;
                }
            }
        }
    }

    /// The key's place; `None` if it cannot be declared, or does not fit.
    fn id(&mut self, key: &str) -> Option<u32> {
        if let Some(known) = self.ids.get(key) {
            return Some(*known);
        }
        if self.ids.len() >= MAX_KEYS || !is_declarable(key) {
            return None;
        }
        let id = self.attributes.len() as u32;
        self.ids.insert(key.into(), id);
        self.attributes.push(Attribute::default());
        Some(id)
    }

    fn in_services(&self, seen: &InServices) -> Seen {
        let of = seen.services.iter().map(|service| self.spans_of[usize::from(*service)]).sum();
        Seen { shown: seen.shown, of }
    }

    fn shows_enough(&self, Seen { shown, of }: Seen) -> bool {
        shown >= self.least.count && shown as f64 >= self.least.share * of as f64
    }

    /// The keys that are renamed, with the spans that show it: each key in one rename at most.
    fn renamed(&self) -> BTreeMap<u32, (u32, u64)> {
        let mut candidates: Vec<((u32, u32), u64)> = self.renames.iter().map(|(pair, shown)| (*pair, *shown)).collect();
        candidates.sort_by_key(|(pair, shown)| (Reverse(*shown), *pair));
        let (mut renamed, mut targets) = (BTreeMap::new(), BTreeSet::new());
        for ((from, to), shown) in candidates {
            if !renamed.contains_key(&from) && !targets.contains(&to) && self.is_renamed(from, to, shown) {
                renamed.insert(from, (to, shown));
                targets.insert(to);
            }
        }
        renamed
    }

    /// Whether nearly every span that had the one key came out with its value under the other, and nothing else becomes of
    /// the two that would have to be declared.
    fn is_renamed(&self, from: u32, to: u32, shown: u64) -> bool {
        let [source, target] = [from, to].map(|id| &self.attributes[id as usize]);
        let (all, mut unexplained) = (Seen { shown, of: source.sent }, self.in_services(&target.added));
        unexplained.shown -= shown;
        let is_rare = |shown: u64, of: u64| (shown as f64) < self.least.share * of as f64 || shown == 0;
        self.shows_enough(all)
            && is_rare(source.sent - shown, source.sent)
            && is_rare(unexplained.shown, unexplained.of)
            && is_rare(target.missing, target.sent)
            && is_rare(source.added.shown, self.in_services(&source.added).of)
    }

    fn attribute_changes(&self) -> Vec<Difference> {
        let renamed = self.renamed();
        let targets: BTreeSet<u32> = renamed.values().map(|(to, _)| *to).collect();
        let names: BTreeMap<u32, &str> = self.ids.iter().map(|(key, id)| (*id, &**key)).collect();
        let mut found = Vec::new();
        for (id, name) in &names {
            let seen = &self.attributes[*id as usize];
            let name = (*name).to_owned();
            if let Some((to, shown)) = renamed.get(id) {
                let change = Change::Renamed(name, names[to].to_owned());
                found.push(Difference { change, shown: *shown, of: seen.sent });
                continue;
            }
            let added = self.in_services(&seen.added);
            let missing = Seen { shown: seen.missing, of: seen.sent };
            let changed = Seen { shown: seen.changed, of: seen.sent - seen.missing };
            let is_target = targets.contains(id);
            // What is removed or added is not compared, so that one entry explains whatever else becomes of the key.
            let entries: [(Change, Seen); 3] = [
                (Change::Removed(name.clone()), missing),
                (Change::Added(name.clone()), if is_target { Seen::default() } else { added }),
                (Change::Changed(name), changed),
            ];
            let enough = entries.iter().find(|(_, seen)| self.shows_enough(*seen) && seen.shown > 0);
            let told = enough.map_or(&entries[..], std::slice::from_ref);
            let told = told.iter().map(|(change, Seen { shown, of })| (change.clone(), *shown, *of));
            found.extend(told.map(|(change, shown, of)| Difference { change, shown, of }));
        }
        found
    }

    /// The finest precision that explains as much as any.
    fn time_changes(&self) -> Vec<Difference> {
        let [ns, us, ms] = self.times;
        let of = self.spans;
        let told = |precision, shown| Difference { change: Change::Times(precision), shown, of };
        let enough = |shown: u64| shown > 0 && self.shows_enough(Seen { shown, of });
        match (enough(ns.saturating_sub(us)), enough(us.saturating_sub(ms))) {
            (_, true) => vec![told(Precision::Milliseconds, ns.saturating_sub(ms)), told(Precision::Nanoseconds, ms)],
            (true, false) => vec![told(Precision::Microseconds, ns - us), told(Precision::Nanoseconds, us)],
            (false, false) => vec![told(Precision::Nanoseconds, ns)],
        }
    }
}

impl InServices {
    fn note(&mut self, service: u16) {
        self.shown += 1;
        self.services.insert(service);
    }
}

/// Declares it, if it can be and there is room.
fn declare(meant: &mut Transformations, change: &Change) -> bool {
    let insert = |names: &mut BTreeSet<String>, key: &String| {
        let fits = names.len() < MAX_DECLARED;
        if fits {
            names.insert(key.clone());
        }
        fits
    };
    match change {
        Change::Added(key) => insert(&mut meant.added, key),
        Change::Removed(key) => insert(&mut meant.removed, key),
        Change::Changed(key) => insert(&mut meant.changed, key),
        Change::Resource(key) => insert(&mut meant.resource, key),
        Change::Renamed(from, to) => {
            let fits = meant.renamed.len() < MAX_DECLARED;
            if fits {
                meant.renamed.insert(from.clone(), to.clone());
            }
            fits
        }
        Change::Part(part) => meant.parts.insert(*part),
        // No precision explains times that differ in all of them.
        Change::Times(Precision::Nanoseconds) => false,
        Change::Times(precision) => {
            meant.times = *precision;
            true
        }
        Change::Samples => {
            meant.samples = true;
            true
        }
    }
}

/// Whether a plan takes the key as it is written here.
fn is_declarable(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len())
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !key.starts_with(' ')
        && !key.ends_with(' ')
}

/// Calls `each` with every key of either side and its values there. Both are sorted and distinct.
fn each_key<'a>(
    sent: &[(&'a str, &'a [u8])],
    out: &[(&'a str, &'a [u8])],
    mut each: impl FnMut(&'a str, Option<&'a [u8]>, Option<&'a [u8]>),
) {
    let (mut sent, mut out) = (sent.iter().peekable(), out.iter().peekable());
    loop {
        let key = match (sent.peek(), out.peek()) {
            (Some((one, _)), Some((other, _))) => *one.min(other),
            (Some((key, _)), None) | (None, Some((key, _))) => *key,
            (None, None) => return,
        };
        let value = |side: &mut std::iter::Peekable<std::slice::Iter<'_, (&'a str, &'a [u8])>>| {
            side.next_if(|(known, _)| *known == key).map(|(_, value)| *value)
        };
        each(key, value(&mut sent), value(&mut out));
    }
}

/// Whether a part differs, and whether either side has anything of it.
fn compared(part: Part, sent: &SpanFact<'_>, out: &SpanFact<'_>) -> (bool, bool) {
    let either = |is_there: fn(&SpanFact<'_>) -> bool| is_there(sent) || is_there(out);
    match part {
        Part::Name => (sent.operation != out.operation, true),
        Part::Status => (sent.status != out.status, either(|it| it.status.code != 0 || !it.status.message.is_empty())),
        Part::Events => {
            let differs = (sent.events, sent.links, sent.dropped) != (out.events, out.links, out.dropped);
            (differs, either(|it| !it.events.is_empty() || !it.links.is_empty() || it.dropped != [0; 3]))
        }
        Part::Context => {
            let differs = (sent.flags, sent.trace_state) != (out.flags, out.trace_state);
            (differs, either(|it| it.flags != 0 || !it.trace_state.is_empty()))
        }
        Part::Scope => (sent.scope != out.scope, either(|it| it.scope != [""; 3])),
    }
}

#[cfg(test)]
mod tests;
