//! Where the time of one trace goes, as it was sent: the exclusive time of calls, and the critical path.
//!
//! The critical path is that of CRISP (Zhang et al., *CRISP: Critical Path Analysis of Large-Scale Microservice
//! Architectures*, USENIX ATC 2022, section 3): from the end of the root backward, always into the child that ended last
//! before that point, and from its start on again. What no child was waited for is the span's own time on the path. A child
//! that ends after its parent is cut off there: nobody waited for the rest.
//!
//! A call is charged to the called service by the client's exclusive time (STATISTICS.md, check 14): what its span takes
//! without what its children take, so that a caller is not blamed for what is behind the call.

use crate::structure::ById;
use crate::subject::SubjectId;
use crate::trace::{Span, Trace};
use std::cmp::Reverse;

/// What one trace has of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) subject: SubjectId,
    pub(crate) time_us: u64,
    /// Of an edge: the calls.
    pub(crate) calls: u64,
}

/// Kept between traces, so that nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Parent and child by position, of each parent the child that ends last first.
    children: Vec<(u32, u32)>,
    /// Spans on the path that are still to be walked, each with where its part of the path begins and ends.
    waiting: Vec<(u32, i64, i64)>,
    spent: Vec<Spent>,
}

impl Paths {
    /// What the trace has of each call and of each operation on its critical path, each once and in order.
    pub(crate) fn spent(&mut self, trace: &Trace, tree: &ById<'_>, root: usize) -> &[Spent] {
        self.children.clear();
        for (at, span) in trace.spans.iter().enumerate().filter(|(_, span)| span.is_sent()) {
            if let Some(parent) = tree.place_of_parent_sent(span).filter(|parent| *parent != at) {
                self.children.push((parent as u32, at as u32));
            }
        }
        let end = |at: u32| trace.spans[at as usize].sent_times().end_us();
        self.children.sort_unstable_by_key(|(parent, child)| (*parent, Reverse(end(*child)), *child));
        self.spent.clear();
        self.calls(&trace.spans);
        self.walk(&trace.spans, root);
        self.spent.sort_unstable_by_key(|spent| spent.subject);
        self.spent.dedup_by(|next, kept| {
            let is_same = next.subject == kept.subject;
            if is_same {
                kept.time_us += next.time_us;
                kept.calls += next.calls;
            }
            is_same
        });
        &self.spent
    }

    /// A span whose children are all of one other service calls that service. One that calls several, or also does work of
    /// its own service beneath itself, is no client, and nobody can say whom to charge.
    fn calls(&mut self, spans: &[Span]) {
        for of_one in self.children.chunk_by(|a, b| a.0 == b.0) {
            let client = &spans[of_one[0].0 as usize];
            let to = spans[of_one[0].1 as usize].service;
            if to == client.service || of_one.iter().any(|(_, child)| spans[*child as usize].service != to) {
                continue;
            }
            let times = client.sent_times();
            let (from, mut until) = (i64::from(times.start_us), times.end_us());
            let mut exclusive = until - from;
            // They come by their ends, the last first: what is after the earliest start so far is covered or a gap that no
            // other can reach.
            for (_, child) in of_one {
                let child = spans[*child as usize].sent_times();
                let start = i64::from(child.start_us).max(from);
                exclusive -= (child.end_us().min(until) - start).max(0);
                until = until.min(start);
            }
            let subject = SubjectId::Edge { from: client.service, to };
            self.spent.push(Spent { subject, time_us: exclusive.max(0).unsigned_abs(), calls: 1 });
        }
    }

    fn walk(&mut self, spans: &[Span], root: usize) {
        self.waiting.clear();
        self.waiting.push((root as u32, i64::MIN, i64::MAX));
        // A span has one parent and the root has none, so each is walked once at most.
        while let Some((at, from, until)) = self.waiting.pop() {
            let span = &spans[at as usize];
            let times = span.sent_times();
            let start = i64::from(times.start_us).max(from);
            let end = times.end_us().min(until);
            let mut reached = end;
            let mut own = 0;
            let first = self.children.partition_point(|(parent, _)| *parent < at);
            for (_, child) in self.children[first..].iter().take_while(|(parent, _)| *parent == at) {
                let child_times = spans[*child as usize].sent_times();
                let child_end = child_times.end_us().min(end);
                let child_start = i64::from(child_times.start_us).max(start);
                if child_end <= reached && child_start < child_end {
                    own += reached - child_end;
                    reached = child_start;
                    self.waiting.push((*child, child_start, child_end));
                }
            }
            own += (reached - start).max(0);
            let subject = SubjectId::Operation { service: span.service, operation: span.operation, kind: span.kind };
            self.spent.push(Spent { subject, time_us: own.unsigned_abs(), calls: 0 });
        }
    }
}

#[cfg(test)]
mod tests;
