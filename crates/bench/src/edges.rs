//! Calls between services: what they take beside the callee, and what a delay on one of them does to a trace.

use crate::nezha::{Span, Trace};
use std::collections::BTreeMap;
use std::fmt;

/// Calls from one service to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// The exclusive time of a trace's client spans in microseconds, summed by edge: the time of a span that calls another
/// service, without the time that its children cover.
pub(crate) fn edge_times(trace: &Trace) -> BTreeMap<Edge, u64> {
    let children = children(trace);
    let mut times = BTreeMap::new();
    for (index, span) in trace.spans.iter().enumerate() {
        if let Some(edge) = called(trace, span, &children[index]) {
            *times.entry(edge).or_default() += exclusive_ns(trace, span, &children[index]) / 1_000;
        }
    }
    times
}

fn children(trace: &Trace) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); trace.spans.len()];
    for (index, span) in trace.spans.iter().enumerate() {
        if let Some(parent) = span.parent {
            children[parent].push(index);
        }
    }
    children
}

/// The edge that a span calls over. A span that calls several services, or also does work of its own service beneath
/// itself, is no client span, and nobody can say whom to charge.
fn called(trace: &Trace, span: &Span, children: &[usize]) -> Option<Edge> {
    let to = &trace.spans[*children.first()?].service;
    let one = *to != span.service && children.iter().all(|child| trace.spans[*child].service == *to);
    one.then(|| Edge { from: span.service.clone(), to: to.clone() })
}

fn exclusive_ns(trace: &Trace, span: &Span, children: &[usize]) -> u64 {
    let mut intervals: Vec<(u64, u64)> = children
        .iter()
        .map(|child| (trace.spans[*child].start_ns, trace.spans[*child].end_ns.min(span.end_ns)))
        .collect();
    intervals.sort_unstable();
    let (mut covered, mut until) = (0, span.start_ns);
    for (start, end) in intervals {
        covered += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    (span.end_ns - span.start_ns).saturating_sub(covered)
}

/// The same trace as it would be if every call of an edge arrived later: the callee and what is beneath it begin later,
/// the caller and everything above it end later, and so does what began after the call.
pub(crate) fn delayed(trace: &Trace, edge: &Edge, delay_ns: u64) -> Trace {
    let children = children(trace);
    let calls = |index: &usize| called(trace, &trace.spans[*index], &children[*index]).as_ref() == Some(edge);
    let clients: Vec<usize> = (0..trace.spans.len()).filter(calls).collect();
    let mut late = trace.clone();
    for client in clients {
        // As the trace stands with the calls before it delayed already.
        let ended_ns = late.spans[client].end_ns;
        for child in &children[client] {
            shift(&mut late, &children, *child, delay_ns);
        }
        let mut inner = client;
        late.spans[inner].end_ns += delay_ns;
        // A trace's parents form no circle: each step goes to another span, at most as many as there are.
        for _ in 0..trace.spans.len() {
            let Some(outer) = trace.spans[inner].parent else { break };
            for sibling in children[outer].iter().filter(|sibling| **sibling != inner) {
                if late.spans[*sibling].start_ns >= ended_ns {
                    shift(&mut late, &children, *sibling, delay_ns);
                }
            }
            late.spans[outer].end_ns += delay_ns;
            inner = outer;
        }
    }
    late
}

/// Everything from a span downward begins and ends later.
fn shift(trace: &mut Trace, children: &[Vec<usize>], top: usize, by_ns: u64) {
    let mut waiting = vec![top];
    // Bounded like the climb above: a circle would visit a span again.
    for _ in 0..trace.spans.len() {
        let Some(index) = waiting.pop() else { return };
        trace.spans[index].start_ns += by_ns;
        trace.spans[index].end_ns += by_ns;
        waiting.extend(&children[index]);
    }
}
