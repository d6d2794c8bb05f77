//! Which calls leave the traced system: a CLIENT span that no SERVER span of the same trace answers, once it has had time to.
//!
//! The two come in different messages and in any order, mostly the server's first, so both are remembered for a while: open
//! calls, and spans that a server answered. Calls of databases and brokers are external whoever answers.
//!
//! Memory: an open call is 24 bytes of key and 40 beside it in the table, and 32 in the queue; an answer is 24 and 32. Tables
//! have twice as many places at most, with a byte more each: [`MAX_OPEN`] take 10.6 MB and [`MAX_SERVED`] 10.8 MB. When either
//! is full, only every second trace is followed, then every fourth, chosen by a hash of its id: what is followed is followed
//! whole, and stays comparable. Of an environment with 10,000 calls a second and 30 s to settle, that is every eighth trace.

use crate::dependency::{CLIENT, Dependency, Kind, PRODUCER, of_span};
use crate::table::{Dependencies, MAX_DEPENDENCIES, OneCall};
use model::{SpanId, TraceId, UnixMillis};
use otlp::SpanView;
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

/// Calls that wait for an answer.
pub const MAX_OPEN: usize = 65_536;
/// Answers that wait for a call. A server's span is remembered by its parent, and by its own id, which Zipkin shares with
/// the client.
pub const MAX_SERVED: usize = 131_072;
/// Names that are known at once: external dependencies, and as many services of ours.
const MAX_NAMES: usize = 2 * MAX_DEPENDENCIES;
/// OTLP's `SPAN_KIND_SERVER` and `SPAN_KIND_CONSUMER`.
const SERVER: u8 = 2;
const CONSUMER: u8 = 5;
/// At most one trace of 2^20 is followed; fuller than that it cannot become.
const MAX_HALVINGS: u32 = 20;

type Key = (TraceId, SpanId);

/// SipHash-1-3 under a key that was given: whoever sends spans cannot choose ids that collide. Nothing depends on the order of
/// the tables.
#[derive(Clone, Copy, Debug)]
struct Keyed([u8; 16]);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// The spans of one environment that came last.
#[derive(Debug)]
pub struct Window {
    settle_ms: u64,
    names: BTreeMap<Dependency, u16>,
    by_number: Vec<Dependency>,
    open: HashMap<Key, Open, Keyed>,
    opened: VecDeque<(UnixMillis, Key)>,
    served: HashSet<Key, Keyed>,
    served_in: VecDeque<(UnixMillis, Key)>,
    /// Traces whose hash ends with so many zeros are followed.
    halvings: u32,
    settled: Dependencies,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    name: u16,
    call: OneCall,
}

impl Window {
    /// A call is external if it has not been answered for so long. Longer than spans of one trace take to come in.
    /// The key is a secret of this process; what comes out does not depend on it.
    pub fn new(settle_ms: u64, key: [u8; 16]) -> Window {
        Window {
            settle_ms,
            names: BTreeMap::new(),
            by_number: Vec::new(),
            open: HashMap::with_hasher(Keyed(key)),
            opened: VecDeque::new(),
            served: HashSet::with_hasher(Keyed(key)),
            served_in: VecDeque::new(),
            halvings: 0,
            settled: Dependencies::default(),
        }
    }

    /// Takes a span. Those of traces that are not followed, and of kinds that neither call nor answer, are passed over.
    pub fn take(&mut self, span: &SpanView<'_>, now: UnixMillis) {
        if !self.follows(span.trace_id) || span.trace_id == TraceId::default() {
            return;
        }
        match span.kind {
            SERVER | CONSUMER => self.answer(span, now),
            CLIENT | PRODUCER => self.call(span, now),
            _ => {}
        }
    }

    /// Settles what has waited long enough.
    pub fn settle(&mut self, now: UnixMillis) {
        let is_due = |at: UnixMillis| now.since_ms(at) >= self.settle_ms;
        while let Some((_, key)) = self.opened.pop_front_if(|(at, _)| is_due(*at)) {
            // An answered call is in the queue still, and not among the open ones.
            if let Some(Open { name, call }) = self.open.remove(&key) {
                self.settled.count(&self.by_number[usize::from(name)], call);
            }
        }
        while let Some((_, key)) = self.served_in.pop_front_if(|(at, _)| is_due(*at)) {
            self.served.remove(&key);
        }
    }

    /// What has been settled since the last time, to be merged into a table.
    pub fn drain(&mut self) -> Dependencies {
        let mut settled = std::mem::take(&mut self.settled);
        settled.one_trace_of = 1 << self.halvings;
        settled
    }

    /// Calls that wait.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    fn call(&mut self, span: &SpanView<'_>, now: UnixMillis) {
        let key = (span.trace_id, span.span_id);
        let Some(dependency) = of_span(span) else {
            self.settled.unnamed = self.settled.unnamed.saturating_add(1);
            return;
        };
        let is_broker = matches!(dependency.kind, Kind::Database | Kind::Messaging);
        if !is_broker && self.served.contains(&key) {
            self.settled.internal = self.settled.internal.saturating_add(1);
            return;
        }
        // One that came twice is one call.
        if self.open.contains_key(&key) {
            return;
        }
        if self.opened.len() >= MAX_OPEN && !self.narrow(span.trace_id) {
            return;
        }
        let Some(name) = self.number(dependency) else {
            self.settled.not_kept = self.settled.not_kept.saturating_add(1);
            return;
        };
        let latency_us = span.end_unix_ns.saturating_sub(span.start_unix_ns) / 1_000;
        let call = OneCall { trace: span.trace_id, latency_us, is_error: span.is_error(), seen: now };
        self.open.insert(key, Open { name, call });
        self.opened.push_back((now, key));
    }

    fn answer(&mut self, span: &SpanView<'_>, now: UnixMillis) {
        for id in [span.parent_span_id, span.span_id] {
            let key = (span.trace_id, id);
            if id == SpanId::NONE || self.served.contains(&key) {
                continue;
            }
            let is_ours = self.open.get(&key).is_some_and(|open| {
                !matches!(self.by_number[usize::from(open.name)].kind, Kind::Database | Kind::Messaging)
            });
            if is_ours {
                self.open.remove(&key);
                self.settled.internal = self.settled.internal.saturating_add(1);
            }
            if self.served_in.len() >= MAX_SERVED && !self.narrow(span.trace_id) {
                return;
            }
            self.served.insert(key);
            self.served_in.push_back((now, key));
        }
    }

    /// Follows half as many traces, until there is room; whether that trace is among them.
    fn narrow(&mut self, trace: TraceId) -> bool {
        // Calls that were answered are in the queue still. An eighth of room, so that this is done seldom.
        let open = &self.open;
        self.opened.retain(|(_, key)| open.contains_key(key));
        if self.opened.len() <= MAX_OPEN / 8 * 7 && self.served_in.len() < MAX_SERVED {
            return true;
        }
        while (self.opened.len() > MAX_OPEN / 8 * 7 || self.served_in.len() >= MAX_SERVED)
            && self.halvings < MAX_HALVINGS
        {
            self.halvings += 1;
            let halvings = self.halvings;
            self.open.retain(|(trace, _), _| is_followed(*trace, halvings));
            let open = &self.open;
            self.opened.retain(|(_, key)| open.contains_key(key));
            self.served.retain(|(trace, _)| is_followed(*trace, halvings));
            self.served_in.retain(|(_, (trace, _))| is_followed(*trace, halvings));
        }
        self.opened.len() < MAX_OPEN && self.served_in.len() < MAX_SERVED && self.follows(trace)
    }

    fn follows(&self, trace: TraceId) -> bool {
        is_followed(trace, self.halvings)
    }

    fn number(&mut self, dependency: Dependency) -> Option<u16> {
        if let Some(number) = self.names.get(&dependency) {
            return Some(*number);
        }
        if self.by_number.len() == MAX_NAMES {
            return None;
        }
        let number = u16::try_from(self.by_number.len()).expect("names are fewer than 65,536");
        self.names.insert(dependency.clone(), number);
        self.by_number.push(dependency);
        Some(number)
    }
}

/// The same traces in both environments and in every gateway.
fn is_followed(trace: TraceId, halvings: u32) -> bool {
    let [.., a, b, c, d, e, f, g, h] = trace.0;
    // SplitMix64's finalizer: ids need not be random in their last bits.
    let mut mixed = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).trailing_zeros() >= halvings
}

#[cfg(test)]
pub(crate) mod tests;
