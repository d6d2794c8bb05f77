//! Which traces a store is asked for, and when: soon after a trace was handed over and then ever more seldom, until it
//! is there whole and has had the time to settle, or until what is missing is lost.
//!
//! Time is an argument. What cannot be told is left out: a trace for which there was no room, a question without an
//! answer when it mattered. Only an answer makes a span missing. The looks of a trace are at times that its id spreads
//! over a doubling, the same in both environments: so how long traces take can be compared, though each is looked at
//! seldom.

use crate::answer::MAX_SPANS;
use model::{SpanId, TraceId, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// The first look is this long to twice as long after the first hand-over; each further one twice as long after it as
/// the one before. Up to a horizon of 335 s that makes ten.
const FIRST_LOOK_MS: u64 = 500;
/// For how long an answer is waited for, and for somebody free to ask: three attempts of 5 s with pauses of 1 and 2 s.
const ANSWER_WITHIN_MS: u64 = 20_000;
/// A look at most so long after the settling time tells what was there by then.
const SETTLED_WITHIN_MS: u64 = 5_000;

/// Names a span in a trace: its id and OTLP's SpanKind, as verification joins spans.
pub type SpanKey = (SpanId, u8);

/// When a trace is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// So long after its last hand-over a trace should be there whole.
    pub settle_ms: u64,
    /// So long after its first hand-over no more of them are waited for.
    pub gather_ms: u64,
    /// So long after its last hand-over what is not there is lost; the last look is [`Timing::MARGIN_MS`] before that.
    /// 0 for who does not look for what is missing: then the look after the settling time is the last.
    pub horizon_ms: u64,
}

impl Timing {
    /// From the last look to the end of the horizon: 20 s for the answer, and 10 s until verification is told.
    pub const MARGIN_MS: u64 = 30_000;
}

/// What a look at a store showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// These spans, each once for each time that it is there.
    There(Vec<SpanKey>),
    /// That there is nothing of the trace.
    Nothing,
    /// Nothing that can be relied upon.
    Failed,
}

/// What became of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Nothing yet: it will be looked for again, or was concluded before.
    GoesOn,
    /// It was looked for often enough. What is not there has not come out.
    Whole {
        /// Whether all of it was there when it should be; `None` if nobody could look then.
        settled: Option<bool>,
        /// When each span was first seen, of those that are there now, in microseconds since 1970.
        seen: BTreeMap<SpanKey, u64>,
    },
    /// Nothing can be said of it.
    LeftOut,
}

/// The traces that one store is asked for. Bounded by the room that it is given, and [`MAX_SPANS`] of each.
#[derive(Debug)]
pub struct Pursuit {
    timing: Timing,
    room: usize,
    traces: BTreeMap<TraceId, Pursued>,
    /// When each trace that waits for a look is to be looked for.
    looks: BTreeSet<(UnixMillis, TraceId)>,
    /// When each trace's present state ends by itself.
    ends: BTreeSet<(UnixMillis, TraceId)>,
}

#[derive(Debug)]
struct Pursued {
    began: UnixMillis,
    last: UnixMillis,
    state: State,
    awaited: BTreeSet<SpanKey>,
    seen: BTreeMap<SpanKey, u64>,
    settled: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// For its next look.
    Waits { due: UnixMillis },
    /// Somebody asks.
    Asked { until: UnixMillis },
    /// It is remembered so that a late hand-over does not begin it anew.
    Done { until: UnixMillis },
}

impl Pursuit {
    /// Nothing yet, and at most `room` traces at once.
    pub fn new(timing: Timing, room: usize) -> Pursuit {
        Pursuit { timing, room, traces: BTreeMap::new(), looks: BTreeSet::new(), ends: BTreeSet::new() }
    }

    /// A span was handed over, or a hand-over has no answer yet and awaits none. `false` if the trace is not looked for
    /// or not any more, since there is no room, and so nothing can be said of it.
    pub fn handed_over(&mut self, trace: TraceId, at: UnixMillis, awaited: Option<SpanKey>) -> bool {
        if !self.traces.contains_key(&trace) {
            if self.traces.len() >= self.room {
                return false;
            }
            let due = first_look(trace, at);
            let (awaited, seen) = (BTreeSet::new(), BTreeMap::new());
            let pursued = Pursued { began: at, last: at, state: State::Waits { due }, awaited, seen, settled: None };
            self.traces.insert(trace, pursued);
            self.list(trace, State::Waits { due });
        }
        let Some(pursued) = self.traces.get_mut(&trace) else { return false };
        if matches!(pursued.state, State::Done { .. }) || at.since_ms(pursued.began) > self.timing.gather_ms {
            return true;
        }
        pursued.last = pursued.last.max(at);
        pursued.awaited.extend(awaited);
        let fits = pursued.awaited.len() <= MAX_SPANS;
        if !fits {
            self.finish(trace);
        }
        fits
    }

    /// The trace that is to be looked for next, if that is due. It must be told what came of it.
    pub fn next_look(&mut self, now: UnixMillis) -> Option<TraceId> {
        let (due, trace) = *self.looks.first()?;
        if due > now {
            return None;
        }
        self.turn(trace, State::Asked { until: now.plus_ms(ANSWER_WITHIN_MS) });
        Some(trace)
    }

    /// What a look showed.
    pub fn looked(&mut self, trace: TraceId, now: UnixMillis, look: Look) -> Conclusion {
        let asked = self.traces.get_mut(&trace).filter(|pursued| matches!(pursued.state, State::Asked { .. }));
        let Some(pursued) = asked else { return Conclusion::GoesOn };
        let timing = self.timing;
        let (settles, last_look) = (pursued.last.plus_ms(timing.settle_ms), last_look(timing, pursued.last));
        let is_there = match look {
            Look::There(spans) => {
                let before = std::mem::take(&mut pursued.seen);
                let first = |key: SpanKey| (key, before.get(&key).copied().unwrap_or(now.0.saturating_mul(1_000)));
                pursued.seen = spans.into_iter().map(first).collect();
                Some(pursued.is_whole())
            }
            Look::Nothing => {
                pursued.seen.clear();
                Some(pursued.is_whole())
            }
            Look::Failed => None,
        };
        if now >= settles && now.since_ms(settles) <= SETTLED_WITHIN_MS && pursued.settled.is_none() {
            // Of a trace of which nothing was acknowledged nothing can be said.
            pursued.settled = is_there.filter(|_| !pursued.awaited.is_empty());
        }
        let next = next_look(trace, pursued.began, now);
        let due = match is_there {
            Some(true) if now >= settles => None,
            Some(true) => Some(settles),
            Some(false) | None if now < settles => Some(next.min(settles)),
            Some(false) | None if now < last_look => Some(next.min(last_look)),
            Some(false) => None,
            None => {
                self.finish(trace);
                return Conclusion::LeftOut;
            }
        };
        match due {
            Some(due) => {
                self.turn(trace, State::Waits { due });
                Conclusion::GoesOn
            }
            None => {
                let (settled, seen) = (pursued.settled, std::mem::take(&mut pursued.seen));
                self.finish(trace);
                Conclusion::Whole { settled, seen }
            }
        }
    }

    /// Gives up what nobody answered or asked for in time, and forgets what is old. The traces that nothing can be said of.
    pub fn advance(&mut self, now: UnixMillis) -> Vec<TraceId> {
        let mut left_out = Vec::new();
        while let Some(&(_, trace)) = self.ends.first().filter(|(end, _)| *end <= now) {
            let Some(pursued) = self.traces.get_mut(&trace) else { break };
            match pursued.state {
                State::Done { .. } => self.forget(trace),
                State::Waits { .. } | State::Asked { .. } => {
                    self.turn(trace, State::Asked { until: now });
                    if self.looked(trace, now, Look::Failed) == Conclusion::LeftOut {
                        left_out.push(trace);
                    }
                }
            }
        }
        left_out
    }

    /// Traces that are remembered.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    fn finish(&mut self, trace: TraceId) {
        let Some(pursued) = self.traces.get_mut(&trace) else { return };
        (pursued.awaited, pursued.seen) = (BTreeSet::new(), BTreeMap::new());
        let kept_ms = self.timing.gather_ms.saturating_add(self.timing.horizon_ms).saturating_add(Timing::MARGIN_MS);
        let until = pursued.began.plus_ms(kept_ms);
        self.turn(trace, State::Done { until });
    }

    fn forget(&mut self, trace: TraceId) {
        self.unlist(trace);
        self.traces.remove(&trace);
    }

    fn turn(&mut self, trace: TraceId, state: State) {
        self.unlist(trace);
        if let Some(pursued) = self.traces.get_mut(&trace) {
            pursued.state = state;
            self.list(trace, state);
        }
    }

    fn list(&mut self, trace: TraceId, state: State) {
        if let State::Waits { due } = state {
            self.looks.insert((due, trace));
        }
        self.ends.insert((end(state), trace));
    }

    fn unlist(&mut self, trace: TraceId) {
        let Some(state) = self.traces.get(&trace).map(|pursued| pursued.state) else { return };
        if let State::Waits { due } = state {
            self.looks.remove(&(due, trace));
        }
        self.ends.remove(&(end(state), trace));
    }
}

impl Pursued {
    fn is_whole(&self) -> bool {
        self.awaited.iter().all(|key| self.seen.contains_key(key))
    }
}

fn end(state: State) -> UnixMillis {
    match state {
        State::Waits { due } => due.plus_ms(ANSWER_WITHIN_MS),
        State::Asked { until } | State::Done { until } => until,
    }
}

fn last_look(timing: Timing, last: UnixMillis) -> UnixMillis {
    last.plus_ms(timing.settle_ms.max(timing.horizon_ms.saturating_sub(Timing::MARGIN_MS)))
}

fn first_look(trace: TraceId, began: UnixMillis) -> UnixMillis {
    // FNV-1a: ids may count, or be random in some of their bytes alone.
    let hash = trace
        .0
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    began.plus_ms(FIRST_LOOK_MS + (hash >> 32) % FIRST_LOOK_MS)
}

/// The first of a trace's looks that is later than now.
fn next_look(trace: TraceId, began: UnixMillis, now: UnixMillis) -> UnixMillis {
    let mut after_ms = first_look(trace, began).since_ms(began);
    while began.plus_ms(after_ms) <= now && after_ms < u64::MAX / 2 {
        after_ms *= 2;
    }
    began.plus_ms(after_ms)
}

#[cfg(test)]
mod tests;
