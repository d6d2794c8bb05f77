//! Learns while the traffic passes: what was sent waits here until it comes out, and what came out first until it is told
//! that it was sent.
//!
//! A pair that was seen is a fact, whatever was missed around it. That something did not come out is one only when all
//! could have been seen: it is said of traces alone that were within the share for all of their life, without a gap in the
//! views, and only when the horizon after the last of their spans is over. What still waits at the end is left out.
//! No value stays here: of each a hash under a key of this learner is kept, which is all that is needed to compare.

use super::kept::Kept;
use super::{Learned, Learner, Least};
use crate::fact::{Delivery, SpanFact, Status};
use crate::keyed::Keyed;
use crate::pace::Pace;
use crate::share::Share;
use model::{BasisPoints, RouteKey, SpanId, TraceId, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// So much later than the horizon a trace is settled: the gateway tells within a second that views were missed.
const GRACE_MS: u64 = 2_000;
/// One trace may have this part of all bounds; a larger one is left out, so that the share is not cut for its sake.
const TRACES_AT_LEAST: usize = 16;

/// What a [`LiveLearner`] is given.
#[derive(Clone, Copy, Debug)]
pub struct LiveConfig {
    /// What is too seldom to be declared.
    pub least: Least,
    /// Within which time a span must have come out.
    pub horizon_ms: u64,
    /// Spans that are followed at once; beyond, the share of the traces is halved.
    pub max_spans: usize,
    /// Bytes that those which wait for their other side have at most.
    pub max_bytes: usize,
    /// Spans a second, those that were sent and those that came out; beyond, the share of the traces is cut.
    pub max_rate: u64,
    /// The key under which values are hashed. Nobody else may know it.
    pub key: [u8; 16],
}

/// Counts how what comes out of one environment differs from what was sent to it.
#[derive(Debug)]
pub struct LiveLearner {
    config: LiveConfig,
    learner: Learner,
    traces: BTreeMap<TraceId, Trace>,
    /// When each of them is settled.
    due: BTreeSet<(UnixMillis, TraceId)>,
    spans: usize,
    bytes: usize,
    pace: Pace,
    /// The largest mark of a trace that is looked at.
    ceiling: u64,
    /// By what traces are marked, and up to which mark others show them; what they do not show cannot come here.
    route_key: RouteKey,
    shown: u64,
    /// Of a trace that began since then, all spans were seen: what came out and was not sent is known to be so.
    whole_since: UnixMillis,
    watched: Watched,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Distinct spans that were handed over.
    pub sent: u64,
    /// Distinct spans that came out.
    pub out: u64,
    /// Those of both that are the same span.
    pub compared: u64,
    /// Spans that were acknowledged and did not come out within the horizon, of traces that came out in part.
    pub lost: u64,
    /// Spans that came out and were not sent, of traces that were.
    pub unsent: u64,
    /// Traces of which all is known that can be.
    pub traces: u64,
    /// Traces that were in flight when views were missed, of which copies were dropped, or that are too large.
    pub left_out: u64,
    /// Traces that were sent, and may still come out.
    pub awaited: u64,
    /// How often views were missed.
    pub gaps: u64,
    /// The share of the traces that is looked at in the end, in hundredths of a percent, rounded down.
    pub share: BasisPoints,
}

/// One trace in flight.
#[derive(Debug)]
struct Trace {
    first: UnixMillis,
    due: UnixMillis,
    spans: BTreeMap<(SpanId, u8), Span>,
    bytes: usize,
    is_left_out: bool,
}

/// One span of it.
#[derive(Debug)]
enum Span {
    Sent { kept: Box<Kept>, is_acknowledged: bool },
    Out(Box<Kept>),
    Paired,
}

impl LiveLearner {
    /// One that has seen nothing. Panics if the least share is not in (0, 0.5].
    pub fn new(config: LiveConfig, route_key: RouteKey, now: UnixMillis) -> LiveLearner {
        LiveLearner {
            learner: Learner::new(config.least),
            traces: BTreeMap::new(),
            due: BTreeSet::new(),
            spans: 0,
            bytes: 0,
            pace: Pace::new(now),
            ceiling: u64::MAX,
            route_key,
            shown: u64::MAX,
            whole_since: now.plus_ms(config.horizon_ms),
            watched: Watched::default(),
            config,
        }
    }

    /// A span handed over to the environment; it may be told again, when more is known of the delivery or it was sent again.
    pub fn sent(&mut self, delivery: Delivery, at: UnixMillis, fact: &SpanFact<'_>) {
        if !self.includes(fact.trace) {
            return;
        }
        self.pace.count();
        let id = (fact.span, fact.kind);
        let acknowledged = delivery == Delivery::Acknowledged;
        self.put_off(fact.trace, at);
        let trace = self.trace(fact.trace, at);
        if trace.is_left_out {
            return;
        }
        match trace.spans.get_mut(&id) {
            Some(Span::Paired) => {}
            Some(Span::Sent { is_acknowledged, .. }) => *is_acknowledged |= acknowledged,
            Some(Span::Out(_)) => {
                self.watched.sent += 1;
                self.pair(fact, |learner, out, sent| learner.pair(sent, out));
            }
            None => {
                self.watched.sent += 1;
                self.keep(fact, |kept| Span::Sent { kept, is_acknowledged: acknowledged });
            }
        }
    }

    /// A span that came out.
    pub fn out(&mut self, at: UnixMillis, fact: &SpanFact<'_>) {
        if !self.includes(fact.trace) {
            return;
        }
        self.pace.count();
        let id = (fact.span, fact.kind);
        let trace = self.trace(fact.trace, at);
        if trace.is_left_out {
            return;
        }
        match trace.spans.get(&id) {
            // What comes out twice is compared once, as verification does it.
            Some(Span::Paired | Span::Out(_)) => {}
            Some(Span::Sent { .. }) => {
                self.watched.out += 1;
                self.pair(fact, |learner, sent, out| learner.pair(sent, out));
            }
            None => {
                self.watched.out += 1;
                self.keep(fact, Span::Out);
            }
        }
    }

    /// Nothing can be said of a trace: a copy of a part of it was dropped.
    pub fn leave_out(&mut self, trace: TraceId, now: UnixMillis) {
        if self.includes(trace) {
            self.trace(trace, now);
            self.empty(trace);
            self.keep_within_bounds();
        }
    }

    /// Views were missed, nobody knows which: what is in flight now is left out.
    pub fn missed(&mut self, now: UnixMillis) {
        self.watched.gaps += 1;
        self.watched.left_out += self.awaited();
        self.forget_all(now);
    }

    /// By which key and up to which mark the views show traces from now on. To be told before any view that was made so.
    pub fn shown(&mut self, route_key: RouteKey, ceiling: u64, now: UnixMillis) {
        if route_key != self.route_key {
            self.route_key = route_key;
            self.watched.left_out += self.awaited();
            self.forget_all(now);
        }
        let is_less = ceiling < self.shown;
        self.shown = ceiling;
        if is_less {
            self.forget_beyond_share();
        }
    }

    /// Settles what is due, and keeps to what can be followed in time.
    pub fn advance(&mut self, now: UnixMillis) {
        while let Some((due, trace)) = self.due.first().copied()
            && due.plus_ms(GRACE_MS) <= now
        {
            self.settle(trace);
        }
        if let Some(rate) = self.pace.measure(now, self.config.max_rate)
            && rate > self.config.max_rate
        {
            let ceiling = u128::from(self.ceiling) * u128::from(self.config.max_rate) / u128::from(rate);
            self.ceiling = ceiling as u64;
            self.forget_beyond_share();
        }
    }

    /// The largest mark of a trace that is looked at. It never rises.
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// What explains what was seen so far.
    pub fn learned(&self) -> Learned {
        self.learner.finish()
    }

    /// What was seen so far.
    pub fn watched(&self) -> Watched {
        let parts = (self.ceiling.min(self.shown) >> 32) + 1;
        Watched { awaited: self.awaited(), share: Share::basis_points(parts), ..self.watched }
    }

    fn includes(&self, trace: TraceId) -> bool {
        let ceiling = self.ceiling.min(self.shown);
        ceiling == u64::MAX || self.route_key.mark(trace) <= ceiling
    }

    /// The trace; one that is not known yet is due a horizon after this.
    fn trace(&mut self, id: TraceId, at: UnixMillis) -> &mut Trace {
        let (due, all) = (at.plus_ms(self.config.horizon_ms), &mut self.due);
        self.traces.entry(id).or_insert_with(|| {
            all.insert((due, id));
            Trace { first: at, due, spans: BTreeMap::new(), bytes: 0, is_left_out: false }
        })
    }

    /// A trace of which something was handed over is due a horizon after that at the earliest.
    fn put_off(&mut self, id: TraceId, at: UnixMillis) {
        let due = at.plus_ms(self.config.horizon_ms);
        let trace = self.trace(id, at);
        trace.first = trace.first.min(at);
        if due > trace.due {
            let before = std::mem::replace(&mut trace.due, due);
            self.due.remove(&(before, id));
            self.due.insert((due, id));
        }
    }

    /// Keeps one side of a span whose trace is there.
    fn keep(&mut self, fact: &SpanFact<'_>, side: impl FnOnce(Box<Kept>) -> Span) {
        let kept = with_digests(Keyed(self.config.key), fact, |fact| Box::new(Kept::of(fact)));
        let trace = self.traces.get_mut(&fact.trace).expect("who keeps a span has its trace");
        trace.bytes += kept.bytes();
        self.bytes += kept.bytes();
        self.spans += 1;
        trace.spans.insert((fact.span, fact.kind), side(kept));
        let LiveConfig { max_spans, max_bytes, .. } = self.config;
        if trace.spans.len() > max_spans / TRACES_AT_LEAST || trace.bytes > max_bytes / TRACES_AT_LEAST {
            self.empty(fact.trace);
        }
        self.keep_within_bounds();
    }

    /// A trace counts as a span more, for one that was left out has none.
    fn keep_within_bounds(&mut self) {
        let LiveConfig { max_spans, max_bytes, .. } = self.config;
        // Each turn forgets half of what is looked at, and no trace alone is above the bounds.
        while self.spans + self.traces.len() > max_spans || self.bytes > max_bytes {
            self.ceiling /= 2;
            self.forget_beyond_share();
        }
    }

    /// Compares a span with its other side, which is there, as `(learner, other, this)`.
    fn pair(&mut self, fact: &SpanFact<'_>, learn: impl FnOnce(&mut Learner, &SpanFact<'_>, &SpanFact<'_>)) {
        let trace = self.traces.get_mut(&fact.trace).expect("who pairs a span has its trace");
        let Some(Span::Sent { kept, .. } | Span::Out(kept)) = trace.spans.insert((fact.span, fact.kind), Span::Paired)
        else {
            return;
        };
        trace.bytes -= kept.bytes();
        self.bytes -= kept.bytes();
        self.watched.compared += 1;
        let learner = &mut self.learner;
        with_digests(Keyed(self.config.key), fact, |fact| kept.with(|other| learn(learner, other, fact)));
    }

    /// Leaves a trace out that is there. It is remembered until it is due, so that none of it is taken for another.
    fn empty(&mut self, id: TraceId) {
        let Some(trace) = self.traces.get_mut(&id) else { return };
        self.watched.left_out += u64::from(!trace.is_left_out);
        self.spans -= trace.spans.len();
        self.bytes -= trace.bytes;
        (trace.spans, trace.bytes, trace.is_left_out) = (BTreeMap::new(), 0, true);
    }

    fn remove(&mut self, id: TraceId) -> Option<Trace> {
        let trace = self.traces.remove(&id)?;
        self.due.remove(&(trace.due, id));
        self.spans -= trace.spans.len();
        self.bytes -= trace.bytes;
        Some(trace)
    }

    fn forget_all(&mut self, now: UnixMillis) {
        (self.traces, self.due) = (BTreeMap::new(), BTreeSet::new());
        (self.spans, self.bytes) = (0, 0);
        self.whole_since = now.plus_ms(self.config.horizon_ms);
    }

    fn forget_beyond_share(&mut self) {
        let beyond: Vec<TraceId> = self.traces.keys().copied().filter(|trace| !self.includes(*trace)).collect();
        for trace in beyond {
            self.remove(trace);
        }
    }

    fn settle(&mut self, id: TraceId) {
        let Some(trace) = self.remove(id) else { return };
        if trace.is_left_out || !trace.was_sent() {
            return;
        }
        let came_out = trace.came_out();
        let awaited = trace.count(|span| matches!(span, Span::Sent { is_acknowledged: true, .. }));
        // Of what was not acknowledged nobody knows whether it should have come out.
        if came_out || awaited > 0 {
            self.learner.trace(came_out);
            self.watched.traces += 1;
        }
        if came_out {
            self.watched.lost += awaited;
        }
        if trace.first >= self.whole_since {
            self.watched.unsent += trace.count(|span| matches!(span, Span::Out(_)));
        }
    }

    fn awaited(&self) -> u64 {
        self.traces.values().filter(|trace| !trace.is_left_out && trace.was_sent()).count() as u64
    }
}

impl Trace {
    fn was_sent(&self) -> bool {
        self.spans.values().any(|span| matches!(span, Span::Sent { .. } | Span::Paired))
    }

    fn came_out(&self) -> bool {
        self.spans.values().any(|span| matches!(span, Span::Out(_) | Span::Paired))
    }

    fn count(&self, is_so: impl Fn(&Span) -> bool) -> u64 {
        self.spans.values().filter(|span| is_so(span)).count() as u64
    }
}

/// Shows a span with a hash in the place of each value, of events, links, the status message and `tracestate`. What is
/// empty stays empty, for to compare that is something else than a value.
fn with_digests<T>(key: Keyed, fact: &SpanFact<'_>, then: impl FnOnce(&SpanFact<'_>) -> T) -> T {
    let digest = |bytes: &[u8]| key.of(std::iter::once(bytes)).to_be_bytes();
    let text = |text: &str| if text.is_empty() { String::new() } else { hex(digest(text.as_bytes())) };
    let list = |of: &[&[u8]]| of.iter().map(|bytes| digest(bytes)).collect::<Vec<_>>();
    let values = |of: &[(&str, &[u8])]| of.iter().map(|(_, value)| digest(value)).collect::<Vec<_>>();
    let (message, state) = (text(fact.status.message), text(fact.trace_state));
    let (events, links) = (list(fact.events), list(fact.links));
    let (attributes, resource) = (values(fact.attributes), values(fact.resource));
    then(&SpanFact {
        status: Status { code: fact.status.code, message: &message },
        trace_state: &state,
        attributes: &keyed(fact.attributes, &attributes),
        resource: &keyed(fact.resource, &resource),
        events: &events.iter().map(|it| &it[..]).collect::<Vec<_>>(),
        links: &links.iter().map(|it| &it[..]).collect::<Vec<_>>(),
        ..*fact
    })
}

fn keyed<'a>(of: &[(&'a str, &[u8])], values: &'a [[u8; 8]]) -> Vec<(&'a str, &'a [u8])> {
    of.iter().zip(values).map(|((key, _), value)| (*key, &value[..])).collect()
}

fn hex(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
