//! What the apps send: traces of a shop of five services.

use crate::random::Random;
use model::{SpanId, TraceId};
use std::ops::Range;
use verify::{SpanFact, Status};

type Resource = &'static [(&'static str, &'static [u8])];

pub(crate) struct Operation {
    pub(crate) service: &'static str,
    name: &'static str,
    kind: u8,
    attributes: &'static [(&'static str, &'static [u8])],
    resource: Resource,
}

const FRONTEND: Resource = &[("service.name", b"frontend")];
const CART: Resource = &[("service.name", b"cart")];
const PAYMENT: Resource = &[("k8s.pod.name", b"payment-1"), ("service.name", b"payment")];
const SHIPPING: Resource = &[("service.name", b"shipping")];
const MAIL: Resource = &[("service.name", b"mail")];

/// The root's operation comes first, then the most common one.
pub(crate) const OPERATIONS: [Operation; 7] = [
    Operation {
        service: "frontend",
        name: "GET /",
        kind: 2,
        attributes: &[("http.method", b""), ("url.path", b"")],
        resource: FRONTEND,
    },
    Operation { service: COMMON, name: "add", kind: 2, attributes: &[("rpc.method", b"")], resource: CART },
    Operation {
        service: COMMON,
        name: "save",
        kind: 3,
        attributes: &[("db.name", b""), ("db.system", b"")],
        resource: CART,
    },
    Operation { service: "payment", name: "charge", kind: 2, attributes: &[("amount", b"")], resource: PAYMENT },
    Operation { service: "shipping", name: "quote", kind: 2, attributes: &[("country", b"")], resource: SHIPPING },
    Operation { service: "frontend", name: "render", kind: 1, attributes: &[], resource: FRONTEND },
    Operation { service: "mail", name: "send", kind: 5, attributes: &[("queue", b"")], resource: MAIL },
];

/// A service that most traces pass.
pub(crate) const COMMON: &str = "cart";

/// Spans that a trace has at most: what comes out is told by a mask of 16 bits.
pub(crate) const MAX_SPANS: u64 = 12;

/// How long after its first span a trace's last is sent, at most; below every plan's pin.
pub(crate) const MAX_TRACE_MS: u64 = 700;

pub(crate) struct Span {
    id: SpanId,
    parent: SpanId,
    operation: usize,
    error: bool,
}

pub(crate) struct Trace {
    pub(crate) id: TraceId,
    pub(crate) spans: Vec<Span>,
    /// The requests that carry it, each with the time after the one before in milliseconds.
    pub(crate) requests: Vec<(u64, Range<usize>)>,
}

/// How a span that came out differs from what was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    Parent,
    Key,
}

impl Trace {
    pub(crate) fn random(random: &mut Random, max_spans: u64, error_share: f64) -> Trace {
        let id = TraceId(random.bytes());
        let count = random.between(2, max_spans);
        let mut spans: Vec<Span> = Vec::new();
        for at in 0..count {
            let parent = match at {
                0 => SpanId::NONE,
                _ => spans[random.between(0, at - 1) as usize].id,
            };
            let any = random.between(1, OPERATIONS.len() as u64 - 1) as usize;
            let operation = match at {
                0 => 0,
                1 if random.chance(0.7) => 1,
                _ => any.min(random.between(1, OPERATIONS.len() as u64 - 1) as usize),
            };
            let error = random.chance(error_share);
            spans.push(Span { id: SpanId(random.bits().to_le_bytes()), parent, operation, error });
        }
        let first = random.between(1, count) as usize;
        let mut requests = vec![(0, 0..first)];
        if first < count as usize {
            requests.push((random.between(1, MAX_TRACE_MS), first..count as usize));
        }
        Trace { id, spans, requests }
    }

    pub(crate) fn service(&self, span: usize) -> &'static str {
        OPERATIONS[self.spans[span].operation].service
    }

    /// What is read of a span as it was sent, or as it came out with a change.
    pub(crate) fn fact(&self, span: usize, change: Change) -> SpanFact<'static> {
        let &Span { id, parent, operation, error } = &self.spans[span];
        let of = &OPERATIONS[operation];
        let attributes = if change == Change::Key { of.attributes.get(1..).unwrap_or_default() } else { of.attributes };
        SpanFact {
            trace: self.id,
            span: id,
            parent: if change == Change::Parent { SpanId([1; 8]) } else { parent },
            kind: of.kind,
            status: Status { code: if error { 2 } else { 0 }, message: "" },
            service: of.service,
            operation: of.name,
            attributes,
            resource: of.resource,
            ..SpanFact::default()
        }
    }
}
