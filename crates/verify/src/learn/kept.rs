//! A span that is held until its other side is seen.

use crate::fact::{SpanFact, Status};
use model::{SpanId, TraceId};

type Attributes = Box<[(Box<str>, Box<[u8]>)]>;

/// A [`SpanFact`] that owns what it has.
#[derive(Debug)]
pub struct Kept {
    trace: TraceId,
    span: SpanId,
    parent: SpanId,
    kind: u8,
    /// Service, operation, status message, `tracestate`, and the scope's three.
    texts: [Box<str>; 7],
    times_ns: [u64; 2],
    code: i32,
    flags: u32,
    attributes: Attributes,
    events: Box<[Box<[u8]>]>,
    links: Box<[Box<[u8]>]>,
    dropped: [u32; 3],
    resource: Attributes,
}

impl Kept {
    /// A copy of all of it.
    pub fn of(fact: &SpanFact<'_>) -> Kept {
        let attributes =
            |of: &[(&str, &[u8])]| of.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let list = |of: &[&[u8]]| of.iter().map(|bytes| (*bytes).into()).collect();
        let [scope, version, schema] = fact.scope;
        let (message, state) = (fact.status.message, fact.trace_state);
        Kept {
            trace: fact.trace,
            span: fact.span,
            parent: fact.parent,
            kind: fact.kind,
            texts: [fact.service, fact.operation, message, state, scope, version, schema].map(Into::into),
            times_ns: [fact.start_ns, fact.end_ns],
            code: fact.status.code,
            flags: fact.flags,
            attributes: attributes(fact.attributes),
            events: list(fact.events),
            links: list(fact.links),
            dropped: fact.dropped,
            resource: attributes(fact.resource),
        }
    }

    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let of = |it: &Attributes| it.iter().map(|(key, value)| key.len() + value.len() + 32).sum::<usize>();
        let texts: usize = self.texts.iter().map(|text| text.len()).sum();
        let lists: usize = self.events.iter().chain(&self.links).map(|bytes| bytes.len() + 16).sum();
        size_of::<Kept>() + texts + lists + of(&self.attributes) + of(&self.resource)
    }

    /// Shows it as what it is a copy of.
    pub fn with(&self, then: impl FnOnce(&SpanFact<'_>)) {
        let [service, operation, message, state, scope, version, schema] = &self.texts;
        then(&SpanFact {
            trace: self.trace,
            span: self.span,
            parent: self.parent,
            kind: self.kind,
            service,
            operation,
            start_ns: self.times_ns[0],
            end_ns: self.times_ns[1],
            status: Status { code: self.code, message },
            trace_state: state,
            flags: self.flags,
            attributes: &borrowed(&self.attributes),
            events: &self.events.iter().map(|bytes| &**bytes).collect::<Vec<_>>(),
            links: &self.links.iter().map(|bytes| &**bytes).collect::<Vec<_>>(),
            dropped: self.dropped,
            scope: [scope, version, schema],
            resource: &borrowed(&self.resource),
        });
    }
}

fn borrowed(attributes: &Attributes) -> Vec<(&str, &[u8])> {
    attributes.iter().map(|(key, value)| (&**key, &**value)).collect()
}
