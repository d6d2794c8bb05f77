//! What a pipeline is meant to change. What is declared here is no finding.

use crate::fact::SpanFact;
use std::collections::{BTreeMap, BTreeSet};

/// What one environment's pipeline is meant to change of a span. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transformations {
    /// Attributes that come out under another key, by the key that is sent.
    pub renamed: BTreeMap<String, String>,
    /// Attributes that do not come out.
    pub removed: BTreeSet<String>,
    /// Attributes that the pipeline adds, or writes over.
    pub added: BTreeSet<String>,
    /// Attributes whose value, or its type, comes out changed: masked, hashed, cut.
    pub changed: BTreeSet<String>,
    /// Identity attributes of the resource that are added, removed or changed.
    pub resource: BTreeSet<String>,
    /// What of a span comes out changed, beside its attributes.
    pub parts: BTreeSet<Part>,
    /// The finest part of time that is kept.
    pub times: Precision,
    /// Whether only ids, parents, names of services, keys and resources are compared: what came out is read from a trace store,
    /// which writes values, times and the rest in its own way.
    pub keys_alone: bool,
    /// Whether whole traces may be left out: then a trace of which nothing comes out is sampled, not lost.
    pub samples: bool,
}

/// A part of a span that is compared as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The span's name.
    Name,
    /// Status code and message.
    Status,
    /// Events, links, and how many were dropped.
    Events,
    /// `tracestate` and flags.
    Context,
    /// The instrumentation scope and the schema.
    Scope,
}

/// The finest part of a time that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// All of it.
    #[default]
    Nanoseconds,
    /// As Zipkin and Jaeger keep it.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
}

impl Precision {
    /// The time as it is kept.
    pub(crate) fn cut(self, ns: u64) -> u64 {
        let unit = match self {
            Precision::Nanoseconds => 1,
            Precision::Microseconds => 1_000,
            Precision::Milliseconds => 1_000_000,
        };
        ns / unit * unit
    }
}

/// Which side of a pipeline a fact is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Sent,
    Out,
}

impl Transformations {
    /// Calls `then` with the fact as it is to be compared: as it was sent with what is meant to change done to it, or as it
    /// came out without what was added.
    pub(crate) fn apply<T>(&self, side: Side, fact: &SpanFact<'_>, then: impl FnOnce(&SpanFact<'_>) -> T) -> T {
        if !self.keys_alone {
            return self.do_declared(side, fact, then);
        }
        let attributes: Vec<(&str, &[u8])> = fact.attributes.iter().map(|(key, _)| (*key, &b""[..])).collect();
        let SpanFact { trace, span, parent, kind, service, resource, .. } = *fact;
        let known = SpanFact { trace, span, parent, kind, service, resource, ..SpanFact::default() };
        self.do_declared(side, &SpanFact { attributes: &attributes, ..known }, then)
    }

    fn do_declared<T>(&self, side: Side, fact: &SpanFact<'_>, then: impl FnOnce(&SpanFact<'_>) -> T) -> T {
        let keeps_keys = self.removed.is_empty() && self.added.is_empty();
        let keeps_names = side == Side::Out || self.renamed.is_empty();
        if keeps_keys && keeps_names && self.changed.is_empty() && self.resource.is_empty() {
            return then(fact);
        }
        // What is to be removed may stay, and what is to be added may have been there: neither is compared.
        let is_compared = |key: &str| !self.removed.contains(key) && !self.added.contains(key);
        let name = |key| match side {
            Side::Sent => self.renamed.get(key).map_or(key, |renamed| renamed.as_str()),
            Side::Out => key,
        };
        let mut attributes: Vec<(&str, &[u8])> =
            fact.attributes.iter().map(|(key, value)| (name(*key), *value)).collect();
        for (_, value) in attributes.iter_mut().filter(|(key, _)| self.changed.contains(*key)) {
            *value = &[];
        }
        attributes.retain(|(key, _)| is_compared(key));
        attributes.sort_by_key(|(key, _)| *key);
        attributes.dedup_by_key(|(key, _)| *key);
        let is_kept = |(key, _): &&(&str, &[u8])| !self.resource.contains(*key);
        let resource: Vec<(&str, &[u8])> = fact.resource.iter().filter(is_kept).copied().collect();
        then(&SpanFact { attributes: &attributes, resource: &resource, ..*fact })
    }
}
