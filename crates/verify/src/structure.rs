//! The tree that a trace's spans are: as it was sent and as it came out.

use crate::trace::{Span, Times, Trace};
use model::SpanId;

/// How far a span may be outside its parent before it counts: clocks of one host and rounding to milliseconds are within.
const SKEW_US: i64 = 1_000;

/// The spans of a trace by their id: more than one where client and server share it.
#[derive(Clone, Copy)]
pub(crate) struct ById<'a> {
    trace: &'a Trace,
    by_id: &'a [(SpanId, u32)],
}

/// Where client and server share an id, the one of the span's own service is its parent; of two of these the one of the
/// lower kind, whichever came first.
fn nearness(span: &Span, parent: &Span) -> (bool, u8) {
    (parent.service != span.service, parent.kind)
}

impl<'a> ById<'a> {
    /// `scratch` is written over; it is kept between traces, so that nothing is allocated.
    pub(crate) fn new(trace: &'a Trace, scratch: &'a mut Vec<(SpanId, u32)>) -> ById<'a> {
        scratch.clear();
        scratch.extend(trace.spans.iter().enumerate().map(|(at, span)| (span.span, at as u32)));
        scratch.sort_unstable();
        ById { trace, by_id: scratch }
    }

    pub(crate) fn get(&self, id: SpanId) -> impl Iterator<Item = &'a Span> + Clone + use<'a> {
        let trace = self.trace;
        self.places(id).map(move |at| &trace.spans[at])
    }

    fn places(&self, id: SpanId) -> impl Iterator<Item = usize> + Clone + use<'a> {
        let by_id = self.by_id;
        let from = by_id.partition_point(|(known, _)| *known < id);
        by_id[from..].iter().take_while(move |(known, _)| *known == id).map(|(_, at)| *at as usize)
    }

    /// The parent of a span that came out, if it was sent in time and nothing with its id came out.
    pub(crate) fn lost_parent(&self, span: &Span) -> Option<&'a Span> {
        if span.came_out().parent == SpanId::NONE {
            return None;
        }
        let candidates = self.get(span.came_out().parent);
        if candidates.clone().any(Span::is_out) {
            return None;
        }
        candidates.clone().find(|parent| parent.judged)
    }

    /// The parent of a span that came out, among what came out.
    pub(crate) fn parent_out(&self, span: &Span) -> Option<&'a Span> {
        self.parent(span, span.came_out().parent, Span::is_out)
    }

    /// The position of the parent of a span that was sent, among what was sent.
    pub(crate) fn place_of_parent_sent(&self, span: &Span) -> Option<usize> {
        if span.sent().parent == SpanId::NONE {
            return None;
        }
        let spans = &self.trace.spans;
        let sent = self.places(span.sent().parent).filter(|parent| spans[*parent].is_sent());
        sent.min_by_key(|parent| nearness(span, &spans[*parent]))
    }

    fn parent_sent(&self, span: &Span) -> Option<&'a Span> {
        self.parent(span, span.sent().parent, Span::is_sent)
    }

    fn parent(&self, span: &Span, id: SpanId, is_there: fn(&Span) -> bool) -> Option<&'a Span> {
        if id == SpanId::NONE {
            return None;
        }
        self.get(id).filter(move |parent| is_there(parent)).min_by_key(|parent| nearness(span, parent))
    }

    /// Whether the span came out as a child that begins before its parent in another service, or ends after it, and was
    /// sent within it.
    pub(crate) fn is_skewed(&self, span: &Span) -> bool {
        let outside = |child: Times, parent: Times| {
            i64::from(child.start_us) + SKEW_US < i64::from(parent.start_us)
                || child.end_us() > parent.end_us() + SKEW_US
        };
        let (Some(sent), Some(out)) = (self.parent_sent(span), self.parent_out(span)) else { return false };
        span.is_as_long()
            && sent.service != span.service
            && outside(span.out_times(), out.out_times())
            && !outside(span.sent_times(), sent.sent_times())
    }

    /// Calls `each` with every span that came out among its own ancestors, and hung elsewhere when it was sent.
    pub(crate) fn cycles(&self, mut each: impl FnMut(&'a Span)) {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            OnPath(u32),
            Done,
        }
        let spans = &self.trace.spans;
        let mut marks = vec![Mark::New; spans.len()];
        let mut path = Vec::new();
        for (start, span) in spans.iter().enumerate() {
            if !span.is_out() || marks[start] != Mark::New {
                continue;
            }
            path.clear();
            let mut at = Some(start);
            while let Some(place) = at.filter(|place| marks[*place] == Mark::New) {
                marks[place] = Mark::OnPath(path.len() as u32);
                path.push(place);
                let parents = self.places(spans[place].came_out().parent);
                at = parents
                    .filter(|parent| spans[*parent].is_out())
                    .min_by_key(|parent| nearness(&spans[place], &spans[*parent]))
                    .filter(|_| spans[place].came_out().parent != SpanId::NONE);
            }
            if let Some(Mark::OnPath(from)) = at.map(|place| marks[place]) {
                let on_cycle = path[from as usize..].iter().map(|place| &spans[*place]);
                let hangs_elsewhere = |span: &&Span| span.judged && span.came_out().parent != span.sent().parent;
                on_cycle.filter(hangs_elsewhere).for_each(&mut each);
            }
            path.iter().for_each(|place| marks[*place] = Mark::Done);
        }
    }
}
