//! Which share of the traces is shown to verification: its receiver says what it can follow, and the others cost nothing.

use bytes::Bytes;
use model::{RouteKey, TraceId};
use otlp::{Malformed, Part, Signal, Splitter, Unit, count_items};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A message larger than this gets a splitter of its own, which goes with it: scratch memory is at most 7 times its
/// message, so what a thread keeps is at most 7 MiB.
const MAX_KEPT_SCRATCH_BYTES: usize = 1 << 20;

thread_local! {
    static SPLITTER: RefCell<Splitter> = RefCell::default();
}

/// The largest [`RouteKey::mark`] of a trace that views show, all of them at first; and whether anything is shown while no
/// rollout runs, which is nothing at first.
#[derive(Debug)]
pub struct ViewShare {
    ceiling: AtomicU64,
    always: AtomicBool,
}

impl Default for ViewShare {
    fn default() -> ViewShare {
        ViewShare { ceiling: AtomicU64::new(u64::MAX), always: AtomicBool::new(false) }
    }
}

impl ViewShare {
    /// From the next request on, views show the traces up to this mark.
    pub fn set(&self, ceiling: u64) {
        self.ceiling.store(ceiling, Relaxed);
    }

    /// From the next request on, there are views also while the route table has no candidate, or not.
    pub fn show_always(&self, always: bool) {
        self.always.store(always, Relaxed);
    }

    /// What applies to one request.
    pub(crate) fn ceiling(&self) -> u64 {
        self.ceiling.load(Relaxed)
    }

    /// How many spans a request has, and what of it is shown, where no rollout needs its trace ids: what cannot be read
    /// that far passes as it would if nobody looked (invariant 5).
    pub(crate) fn show_unrouted(&self, message: &Bytes, key: &RouteKey) -> Result<(u64, Shown), Malformed> {
        if self.always.load(Relaxed)
            && let Ok(shown) = show(message, key, self.ceiling())
        {
            return Ok(shown);
        }
        Ok((count_items(Signal::Traces, message)?, Shown::Nothing))
    }
}

/// What is shown of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// None of its traces.
    Nothing,
    /// These spans of it, or all.
    Spans(Bytes),
}

/// Uses the thread's splitter.
pub(crate) fn with_splitter<T>(message: &[u8], work: impl FnOnce(&mut Splitter) -> T) -> T {
    if message.len() > MAX_KEPT_SCRATCH_BYTES { work(&mut Splitter::default()) } else { SPLITTER.with_borrow_mut(work) }
}

/// How many spans a message has, and what of it is shown.
pub(crate) fn show(message: &Bytes, key: &RouteKey, ceiling: u64) -> Result<(u64, Shown), Malformed> {
    show_those(message, key, |mark| mark <= ceiling)
}

/// The same of the traces with these marks.
pub(crate) fn show_those(
    message: &Bytes,
    key: &RouteKey,
    is_shown: impl Fn(u64) -> bool,
) -> Result<(u64, Shown), Malformed> {
    const SHOWN: Part = 1;
    let mark = |trace: TraceId| Part::from(is_shown(key.mark(trace)));
    with_splitter(message, |splitter| {
        splitter.scan(Signal::Traces, message, |unit| match unit {
            Unit::Trace(trace) => mark(trace),
            // Spans are routed by trace.
            Unit::Resource(_) => SHOWN,
        })?;
        let (hidden, shown) = (splitter.records(0), splitter.records(SHOWN));
        Ok((hidden + shown, shown_of(splitter, message, (shown, hidden), |part| part == SHOWN)))
    })
}

/// The shown spans among others, by how many there are: the message itself where there are no others.
pub(crate) fn shown_of(
    splitter: &mut Splitter,
    message: &Bytes,
    (shown, others): (u64, u64),
    wanted: impl Fn(Part) -> bool,
) -> Shown {
    match (shown, others) {
        (0, _) => Shown::Nothing,
        (_, 0) => Shown::Spans(message.clone()),
        (_, _) => {
            let mut spans = Vec::new();
            splitter.write(message, wanted, &mut spans);
            Shown::Spans(spans.into())
        }
    }
}
