//! One trace in one environment, while it is in flight: what was sent of it and what came out.

use crate::digest::{Differences, Digests};
use crate::keyed::{Keyed, Map};
use crate::settled::Settled;
use crate::vocabulary::{KeysId, NameId, ResourceId};
use model::{SpanId, UnixMillis};
use std::collections::BTreeMap;

/// From this many spans on a trace gets an index. Up to here a scan over 32 spans of at most 104 bytes is as fast.
const INDEX_FROM: usize = 32;

/// In the index: the span is among those that are settled.
const SETTLED: u32 = 1 << 31;

/// What a span weighs, and a trace besides its spans, and a hand-over that waits for its answer, which takes less: 8 bytes
/// are 1.
pub(crate) const SPAN_WEIGHT: usize = size_of::<Span>() / 8;
/// What a span weighs that came out as it was sent.
const SETTLED_WEIGHT: usize = size_of::<Settled>() / 8;

/// Spans of one trace that are kept; a larger trace is left out. 65,536 spans of 104 bytes are 6.5 MiB.
pub(crate) const MAX_SPANS_PER_TRACE: usize = 65_536;

/// Why a trace is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Something came out and nothing was sent yet. It belongs to the batch in which it came out.
    Held,
    /// Something was sent. It belongs to the batch in which it was first handed over.
    Assigned,
    /// It will be counted as left out; nothing of it is kept.
    LeftOut,
    /// Its batch has closed. What came out late and was not sent waits for the batch in which it came out.
    Residue,
}

/// One trace in one environment.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) standing: Standing,
    pub(crate) batch: u64,
    /// When it was first handed over, or first came out.
    pub(crate) assigned: UnixMillis,
    pub(crate) hash: u64,
    /// Its first hand-over was told of in time, and before anything left it out.
    pub(crate) is_assigned: bool,
    /// Those that are not settled; all of them once the trace is judged.
    pub(crate) spans: Vec<Span>,
    settled: Vec<Settled>,
    /// Microseconds from hand-over to coming out, of the slowest that was settled.
    pub(crate) settled_latency_us: u64,
    /// What the spans' times count from: the start of the span that was known first, nanoseconds since the epoch.
    pub(crate) begins_ns: u64,
    index: Option<Box<Map<(SpanId, u8), u32>>>,
    /// Hand-overs without an answer so far, by the span's position and the time in microseconds, and how many there
    /// are. Empty but for a pipeline that hangs, so they are kept here and do not make every span larger.
    unanswered: BTreeMap<(u32, u64), u32>,
}

/// What is compared between what was sent and what came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) parent: SpanId,
    pub(crate) keys: KeysId,
    pub(crate) resource: ResourceId,
}

/// When a span was, beside the beginning of its trace; times that are further away are as far as can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Microseconds from the trace's beginning.
    pub(crate) start_us: i32,
    pub(crate) duration_us: u32,
}

impl Times {
    pub(crate) fn end_us(self) -> i64 {
        i64::from(self.start_us) + i64::from(self.duration_us)
    }
}

/// What is known of the side of a span that came second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Second {
    /// Nothing yet: the first one's digests wait for it.
    Awaited(Digests),
    /// What is kept of it, and what of it differs from the first.
    Compared {
        content: Content,
        differences: Differences,
        /// By how many microseconds it starts later than the first.
        shift_us: i32,
        /// It is as long as the first.
        is_as_long: bool,
    },
}

/// One span: 104 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) span: SpanId,
    /// Of the side that was known first: as it was first sent, or first came out.
    pub(crate) first: Content,
    pub(crate) second: Second,
    /// Of the side that was known first.
    pub(crate) times: Times,
    /// When it was first handed over without being refused.
    pub(crate) handed_over_us: u64,
    /// When it first came out.
    pub(crate) out_us: u64,
    pub(crate) service: NameId,
    pub(crate) operation: NameId,
    /// How often it was handed over, whatever the answer was, and however late. A hand-over that waits for its answer is
    /// one, and stays one when it is answered.
    pub(crate) hand_overs: u16,
    pub(crate) outs: u16,
    pub(crate) kind: u8,
    /// The side that was known first is what came out.
    pub(crate) out_first: bool,
    pub(crate) error: bool,
    /// Handed over in time at least once.
    pub(crate) judged: bool,
    /// Acknowledged in time at least once.
    pub(crate) acknowledged: bool,
    /// Refused or not answered, of what was handed over in time, at least once.
    pub(crate) failed: bool,
}

const _: () = assert!(size_of::<Span>() == 104, "the bounds on memory reckon with it");

impl Span {
    pub(crate) fn is_sent(&self) -> bool {
        self.hand_overs > 0
    }

    pub(crate) fn is_out(&self) -> bool {
        self.outs > 0
    }

    pub(crate) fn out_at(&self) -> UnixMillis {
        UnixMillis(self.out_us / 1_000)
    }

    /// A span of which nothing is known yet.
    pub(crate) fn new(span: SpanId, kind: u8) -> Span {
        Span {
            span,
            first: Content::default(),
            second: Second::Awaited(Digests::default()),
            times: Times::default(),
            handed_over_us: 0,
            out_us: 0,
            service: NameId::default(),
            operation: NameId::default(),
            hand_overs: 0,
            outs: 0,
            kind,
            out_first: false,
            error: false,
            judged: false,
            acknowledged: false,
            failed: false,
        }
    }

    /// As it was first sent; nothing if it was not.
    pub(crate) fn sent(&self) -> Content {
        if self.out_first { self.second_content() } else { self.first }
    }

    /// As it first came out; nothing if it did not.
    pub(crate) fn came_out(&self) -> Content {
        if self.out_first { self.first } else { self.second_content() }
    }

    fn second_content(&self) -> Content {
        match self.second {
            Second::Awaited(_) => Content::default(),
            Second::Compared { content, .. } => content,
        }
    }

    /// Between what was sent and what came out; none before both are known.
    pub(crate) fn differences(&self) -> Differences {
        match self.second {
            Second::Awaited(_) => Differences::default(),
            Second::Compared { differences, .. } => differences,
        }
    }

    /// Whether it came out as long as it was sent.
    pub(crate) fn is_as_long(&self) -> bool {
        matches!(self.second, Second::Compared { is_as_long: true, .. })
    }

    /// When it was as it was sent, if it came out as long.
    pub(crate) fn sent_times(&self) -> Times {
        if self.out_first { self.second_times() } else { self.times }
    }

    /// When it was as it came out, if it came out as long.
    pub(crate) fn out_times(&self) -> Times {
        if self.out_first { self.times } else { self.second_times() }
    }

    fn second_times(&self) -> Times {
        let shift_us = match self.second {
            Second::Awaited(_) => 0,
            Second::Compared { shift_us, .. } => shift_us,
        };
        Times { start_us: self.times.start_us.saturating_add(shift_us), ..self.times }
    }
}

impl Trace {
    pub(crate) fn new(standing: Standing, batch: u64, assigned: UnixMillis, hash: u64) -> Trace {
        let is_assigned = standing == Standing::Assigned;
        Trace {
            standing,
            batch,
            assigned,
            hash,
            is_assigned,
            spans: Vec::new(),
            settled: Vec::new(),
            settled_latency_us: 0,
            begins_ns: 0,
            index: None,
            unanswered: BTreeMap::new(),
        }
    }

    /// What it counts against the bound on spans in flight.
    pub(crate) fn weight(&self) -> usize {
        SPAN_WEIGHT * (1 + self.spans.len() + self.unanswered.len()) + SETTLED_WEIGHT * self.settled.len()
    }

    /// Spans that are known.
    pub(crate) fn len(&self) -> usize {
        self.spans.len() + self.settled.len()
    }

    /// Keeps nothing of it but that it is left out. Returns by how much its weight became less.
    pub(crate) fn leave_out(&mut self) -> usize {
        let before = self.weight();
        if self.standing != Standing::Residue {
            self.standing = Standing::LeftOut;
        }
        self.index = None;
        self.unanswered.clear();
        self.spans = Vec::new();
        self.settled = Vec::new();
        before - self.weight()
    }

    /// Whether no more hand-overs without an answer are kept of it: as many as spans.
    pub(crate) fn waits_for_enough(&self) -> bool {
        self.unanswered.len() >= MAX_SPANS_PER_TRACE
    }

    /// The span at this position was handed over, and there is no answer yet. Returns by how much the weight grew.
    pub(crate) fn wait_for_answer(&mut self, position: usize, handed_over_us: u64) -> usize {
        let before = self.weight();
        let waiting = self.unanswered.entry((position as u32, handed_over_us)).or_insert(0);
        *waiting = waiting.saturating_add(1);
        self.weight() - before
    }

    /// The answer to a hand-over that was waited for; `None` if it was not. Returns by how much the weight fell.
    pub(crate) fn answered(&mut self, position: usize, handed_over_us: u64) -> Option<usize> {
        let key = (position as u32, handed_over_us);
        let waiting = self.unanswered.get_mut(&key)?;
        *waiting -= 1;
        if *waiting > 0 {
            return Some(0);
        }
        self.unanswered.remove(&key);
        Some(SPAN_WEIGHT)
    }

    /// Waits for no answer any more: of what was handed over until then, spans without one have failed.
    pub(crate) fn stop_waiting(&mut self, until: UnixMillis) {
        for ((position, handed_over_us), _) in std::mem::take(&mut self.unanswered) {
            self.spans[position as usize].failed |= handed_over_us / 1_000 <= until.0;
        }
    }

    /// The position of a span among those that are not settled; one that is settled is so no more.
    pub(crate) fn find(&mut self, span: SpanId, kind: u8) -> Option<usize> {
        let settled = match &self.index {
            Some(index) => match index.get(&(span, kind))? {
                settled if settled & SETTLED != 0 => (settled & !SETTLED) as usize,
                position => return Some(*position as usize),
            },
            None => {
                if let Some(position) = self.spans.iter().position(|known| known.span == span && known.kind == kind) {
                    return Some(position);
                }
                self.settled.iter().position(|known| known.span == span && known.kind() == kind)?
            }
        };
        Some(self.unsettle(settled))
    }

    /// Keeps of a span at a position only that it came out as it was sent, if that is all there is to it. Hand-overs that
    /// wait for their answer are known by positions, so that these stay. Returns by how much the weight fell.
    pub(crate) fn settle(&mut self, position: usize) -> usize {
        let span = self.spans[position];
        let Some(settled) = Settled::of(&span, self.assigned).filter(|_| self.unanswered.is_empty()) else { return 0 };
        self.settled_latency_us = self.settled_latency_us.max(span.out_us.saturating_sub(span.handed_over_us));
        self.spans.swap_remove(position);
        self.settled.push(settled);
        if let Some(index) = &mut self.index {
            index.insert((span.span, span.kind), (self.settled.len() - 1) as u32 | SETTLED);
            if let Some(moved) = self.spans.get(position) {
                index.insert((moved.span, moved.kind), position as u32);
            }
        }
        if self.spans.is_empty() {
            self.spans = Vec::new();
            self.settled.shrink_to_fit();
        }
        SPAN_WEIGHT - SETTLED_WEIGHT
    }

    fn unsettle(&mut self, at: usize) -> usize {
        let settled = self.settled.swap_remove(at);
        let position = self.spans.len();
        self.spans.push(settled.span(self.assigned));
        if let Some(index) = &mut self.index {
            index.insert((settled.span, settled.kind()), position as u32);
            if let Some(moved) = self.settled.get(at) {
                index.insert((moved.span, moved.kind()), at as u32 | SETTLED);
            }
        }
        position
    }

    /// Has all spans among those that are judged.
    pub(crate) fn unsettle_all(&mut self) {
        self.index = None;
        let assigned = self.assigned;
        self.spans.extend(std::mem::take(&mut self.settled).iter().map(|settled| settled.span(assigned)));
    }

    /// All spans, whichever of them are settled.
    pub(crate) fn all_spans(&self) -> impl Iterator<Item = Span> {
        self.spans.iter().copied().chain(self.settled.iter().map(|settled| settled.span(self.assigned)))
    }

    /// Times beside the trace's beginning, which is the first start that is asked for.
    pub(crate) fn times(&mut self, start_ns: u64, end_ns: u64) -> Times {
        if self.begins_ns == 0 {
            self.begins_ns = start_ns;
        }
        let start_us = (i128::from(start_ns) - i128::from(self.begins_ns)) / 1_000;
        let duration_us = end_ns.saturating_sub(start_ns) / 1_000;
        Times {
            start_us: start_us.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            duration_us: u32::try_from(duration_us).unwrap_or(u32::MAX),
        }
    }

    /// Adds a span that [`Trace::find`] did not find. Returns its position.
    pub(crate) fn add(&mut self, span: Span, keyed: Keyed) -> usize {
        let position = self.spans.len();
        self.spans.push(span);
        let count = self.len();
        match &mut self.index {
            Some(index) => {
                index.insert((span.span, span.kind), position as u32);
            }
            None if count >= INDEX_FROM => {
                let mut index = Map::with_hasher(keyed);
                index.extend(self.spans.iter().enumerate().map(|(at, known)| ((known.span, known.kind), at as u32)));
                let settled = self.settled.iter().enumerate();
                index.extend(settled.map(|(at, known)| ((known.span, known.kind()), at as u32 | SETTLED)));
                self.index = Some(Box::new(index));
            }
            None => {}
        }
        position
    }
}
