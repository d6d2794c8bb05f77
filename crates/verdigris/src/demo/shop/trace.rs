//! Makes one visit's trace: first its shape (what called what, when, and what failed), then the spans. A trace is a
//! function of the shop's seed, its number and its start alone.

use super::attributes;
use super::topology::{Call, Database, Operation, Role, Service, VISITS};
use crate::demo::random::SplitMix64;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

/// Which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceSeed {
    /// The shop's seed.
    pub seed: u64,
    /// Which visit it is, from 0.
    pub number: u64,
}

/// A span and the service that sends it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShopSpan {
    /// The service.
    pub service: Service,
    /// The span.
    pub span: Span,
}

/// W3C trace flags: sampled; OTLP's bits 8 and 9: it is known whether the parent is remote, and it is.
const FLAGS_LOCAL_PARENT: u32 = 0x101;
const FLAGS_REMOTE_PARENT: u32 = 0x301;

/// A span to be: made before the spans, for an error in a callee changes its callers.
pub(super) struct Node {
    pub(super) operation: &'static Operation,
    pub(super) side: Side,
    /// The service whose span it is: the caller's for [`Side::Caller`].
    pub(super) service: Service,
    parent: Option<usize>,
    /// Whether an error of this span is one of its parent's, too.
    fatal: bool,
    start_us: u64,
    end_us: u64,
    pub(super) failed: bool,
}

/// Which side of an operation a span shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The client of a remote call.
    Caller,
    /// The operation itself.
    Callee,
}

impl TraceSeed {
    /// The spans of this trace, callers first. Something fails with probability `error_share`.
    pub fn trace(self, start_us: u64, error_share: f64) -> Vec<ShopSpan> {
        let mut random = SplitMix64::nth(self.seed, self.number);
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&random.next_u64().to_be_bytes());
        trace_id[8..].copy_from_slice(&random.next_u64().max(1).to_be_bytes());
        let mut nodes = shape(&mut random, start_us);
        if random.chance(error_share) {
            fail(&mut nodes, &mut random);
        }
        let ids: Vec<[u8; 8]> = nodes.iter().map(|_| random.next_u64().max(1).to_be_bytes()).collect();
        let visitor = attributes::Visitor::new(&mut random);
        let spans = nodes.iter().zip(&ids).map(|(node, id)| ShopSpan {
            service: node.service,
            span: Span {
                trace_id: trace_id.to_vec(),
                span_id: id.to_vec(),
                parent_span_id: node.parent.map(|parent| ids[parent].to_vec()).unwrap_or_default(),
                flags: match node.parent {
                    Some(parent) if nodes[parent].service != node.service => FLAGS_REMOTE_PARENT,
                    Some(_) | None => FLAGS_LOCAL_PARENT,
                },
                name: node.name(),
                kind: node.kind() as i32,
                start_time_unix_nano: node.start_us * 1_000,
                end_time_unix_nano: node.end_us * 1_000,
                attributes: attributes::of_span(node, &visitor, &mut random),
                events: node.failed.then(|| attributes::exception(node, node.end_us * 1_000)).into_iter().collect(),
                status: node.failed.then(|| Status { message: String::new(), code: StatusCode::Error as i32 }),
                ..Span::default()
            },
        });
        spans.collect()
    }
}

impl Node {
    fn kind(&self) -> SpanKind {
        match (&self.operation.role, self.side) {
            (Role::Rpc { .. }, Side::Caller) | (Role::Query { .. }, _) => SpanKind::Client,
            (Role::Rpc { .. }, Side::Callee) | (Role::Page { .. }, _) => SpanKind::Server,
            (Role::Function { .. }, _) => SpanKind::Internal,
        }
    }

    /// By the semantic conventions: low cardinality.
    fn name(&self) -> String {
        match self.operation.role {
            Role::Page { method, route } => format!("{method} {route}"),
            Role::Rpc { service, method } => format!("{service}/{method}"),
            Role::Function { name, .. } => name.to_owned(),
            Role::Query { system: Database::Postgresql, collection, operation, .. } => {
                format!("{operation} {collection}")
            }
            Role::Query { system: Database::Redis, operation, .. } => operation.to_owned(),
        }
    }
}

/// One visit: the page, and everything that it calls.
fn shape(random: &mut SplitMix64, start_us: u64) -> Vec<Node> {
    let total = VISITS.iter().map(|(weight, _)| weight).sum();
    let mut drawn = random.below(total);
    let (_, page) = VISITS
        .iter()
        .find(|(weight, _)| {
            let here = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            here
        })
        .expect("the number drawn is below the sum of the weights");
    let mut nodes = Vec::new();
    visit(&mut nodes, page, None, true, start_us, random);
    nodes
}

/// Adds an operation and what it calls, and returns when it ends.
fn visit(
    nodes: &mut Vec<Node>,
    operation: &'static Operation,
    caller: Option<usize>,
    fatal: bool,
    start_us: u64,
    random: &mut SplitMix64,
) -> u64 {
    let remote = matches!(operation.role, Role::Rpc { .. });
    let client = caller.filter(|_| remote);
    let client = client.map(|caller| {
        let service = nodes[caller].service;
        add(nodes, Node::new(operation, Side::Caller, service, Some(caller), fatal, start_us))
    });
    // There and back between two pods of a cluster.
    let network_us = if remote { 120 + random.below(400) } else { 0 };
    let parent = client.or(caller);
    let fatal_here = fatal || client.is_some();
    let server = add(
        nodes,
        Node::new(operation, Side::Callee, operation.service, parent, fatal_here, start_us + network_us / 2),
    );
    let mut now_us = nodes[server].start_us + work_us(operation, random) / 2;
    for Call { operation: called, percent, optional } in operation.calls {
        if random.below(100) < *percent {
            now_us = visit(nodes, called, Some(server), !optional, now_us, random) + 20 + random.below(80);
        }
    }
    now_us += work_us(operation, random) / 2;
    nodes[server].end_us = now_us;
    if let Some(client) = client {
        now_us += network_us / 2;
        nodes[client].end_us = now_us;
    }
    now_us
}

impl Node {
    fn new(
        operation: &'static Operation,
        side: Side,
        service: Service,
        parent: Option<usize>,
        fatal: bool,
        start_us: u64,
    ) -> Node {
        Node { operation, side, service, parent, fatal, start_us, end_us: start_us, failed: false }
    }
}

fn add(nodes: &mut Vec<Node>, node: Node) -> usize {
    nodes.push(node);
    nodes.len() - 1
}

/// Half to one and a half times the usual; one in 25 three times as long (a pause, a cold cache), one in 200 ten times.
fn work_us(operation: &Operation, random: &mut SplitMix64) -> u64 {
    let slow = match random.below(200) {
        0 => 10,
        1..=8 => 3,
        _ => 1,
    };
    (operation.work_us * (50 + random.below(101)) / 100 * slow).max(1)
}

/// One operation fails; so do its callers, up to one that can do without.
fn fail(nodes: &mut [Node], random: &mut SplitMix64) {
    let callees: Vec<usize> = (0..nodes.len()).filter(|node| nodes[*node].side == Side::Callee).collect();
    let mut failing = Some(callees[random.below(callees.len() as u64) as usize]);
    while let Some(node) = failing {
        nodes[node].failed = true;
        failing = nodes[node].parent.filter(|_| nodes[node].fatal);
    }
}
