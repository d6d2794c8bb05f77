//! Which span of one side is which of the other.

use super::Span;
use model::SpanId;
use std::collections::BTreeMap;

/// OTLP's SpanKind (opentelemetry/proto/trace/v1).
pub(super) const SERVER: u8 = 2;
pub(super) const CONSUMER: u8 = 5;

/// A span and its copies: positions among the spans of each side. Those that are held against each other have the same
/// place in both lists; what one list has more is copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) a: Vec<usize>,
    pub(super) b: Vec<usize>,
}

impl Node {
    /// The span as `a` has it; as `b` has it, if `a` does not.
    pub(super) fn first<'s>(&self, a: &'s [Span], b: &'s [Span]) -> &'s Span {
        match (self.a.first(), self.b.first()) {
            (Some(at), _) => &a[*at],
            (None, Some(at)) => &b[*at],
            (None, None) => unreachable!("a node is made of a span"),
        }
    }
}

/// Every span of both sides, in the order in which siblings are shown.
pub(super) fn pair(a: &[Span], b: &[Span]) -> Vec<Node> {
    let mut by_key: BTreeMap<SpanId, BTreeMap<u8, Node>> = BTreeMap::new();
    for (at, span) in a.iter().enumerate() {
        by_key.entry(span.span).or_default().entry(span.kind).or_default().a.push(at);
    }
    for (at, span) in b.iter().enumerate() {
        by_key.entry(span.span).or_default().entry(span.kind).or_default().b.push(at);
    }
    let mut nodes: Vec<Node> = by_key.into_values().flat_map(|by_kind| join_kinds(by_kind.into_values())).collect();
    for node in &mut nodes {
        put_equal_copies_together(node, a, b);
    }
    sort(&mut nodes, a, b);
    nodes
}

/// Every span of one side by itself, in the same order: copies are spans like others.
pub(super) fn alone(spans: &[Span]) -> Vec<Node> {
    let mut nodes: Vec<Node> = (0..spans.len()).map(|at| Node { a: vec![at], b: Vec::new() }).collect();
    sort(&mut nodes, spans, &[]);
    nodes
}

fn sort(nodes: &mut [Node], a: &[Span], b: &[Span]) {
    nodes.sort_by_cached_key(|node| {
        let span = node.first(a, b);
        // Where no start is known the order in which they came says most; what b alone has comes behind.
        let position = node.a.first().copied().unwrap_or_else(|| a.len() + node.b[0]);
        let start = (span.times.map(|times| times.start_unix_ns), span.since.map(|since| since.start_us));
        (start, if start == (None, None) { position } else { 0 }, span.span, span.kind)
    });
}

/// Spans of one id whose kind is found on one side alone are the same span with another kind, as far as there is one on
/// each side.
fn join_kinds(by_kind: impl Iterator<Item = Node>) -> Vec<Node> {
    let (mut joined, mut only_a, mut only_b) = (Vec::new(), Vec::new(), Vec::new());
    for node in by_kind {
        match (node.a.is_empty(), node.b.is_empty()) {
            (false, true) => only_a.push(node),
            (true, false) => only_b.push(node),
            (false, false) | (true, true) => joined.push(node),
        }
    }
    let (mut only_a, mut only_b) = (only_a.into_iter(), only_b.into_iter());
    loop {
        match (only_a.next(), only_b.next()) {
            (Some(a), Some(b)) => joined.push(Node { a: a.a, b: b.b }),
            (Some(node), None) | (None, Some(node)) => joined.push(node),
            (None, None) => return joined,
        }
    }
}

fn put_equal_copies_together(node: &mut Node, a: &[Span], b: &[Span]) {
    if node.a.len().max(node.b.len()) < 2 {
        return;
    }
    let by_content = |copies: &[usize], spans: &[Span]| {
        let mut by_content: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for at in copies {
            by_content.entry(format!("{:?}", spans[*at])).or_default().push(*at);
        }
        by_content
    };
    let (in_a, mut in_b) = (by_content(&node.a, a), by_content(&node.b, b));
    let (mut equal, mut rest) = (Node::default(), Node::default());
    for (content, mut of_a) in in_a {
        let mut of_b = in_b.remove(&content).unwrap_or_default();
        let both = of_a.len().min(of_b.len());
        rest.a.extend(of_a.split_off(both));
        rest.b.extend(of_b.split_off(both));
        equal.a.extend(of_a);
        equal.b.extend(of_b);
    }
    rest.b.extend(in_b.into_values().flatten());
    equal.a.extend(rest.a);
    equal.b.extend(rest.b);
    *node = equal;
}
