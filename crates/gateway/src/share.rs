//! Which share of the traces is shown to verification: its receiver says what it can follow, and the others cost nothing.

use bytes::Bytes;
use model::{RouteKey, TraceId};
use otlp::{Malformed, Part, Signal, Splitter, Unit};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A message larger than this gets a splitter of its own, which goes with it: scratch memory is at most 7 times its
/// message, so what a thread keeps is at most 7 MiB.
const MAX_KEPT_SCRATCH_BYTES: usize = 1 << 20;

thread_local! {
    static SPLITTER: RefCell<Splitter> = RefCell::default();
}

/// The largest [`RouteKey::mark`] of a trace that views show; all of them at first.
#[derive(Debug)]
pub struct ViewShare(AtomicU64);

impl Default for ViewShare {
    fn default() -> ViewShare {
        ViewShare(AtomicU64::new(u64::MAX))
    }
}

impl ViewShare {
    /// From the next request on, views show the traces up to this mark.
    pub fn set(&self, ceiling: u64) {
        self.0.store(ceiling, Relaxed);
    }

    /// What applies to one request.
    pub(crate) fn ceiling(&self) -> u64 {
        self.0.load(Relaxed)
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
    const SHOWN: Part = 1;
    let mark = |trace: TraceId| Part::from(key.mark(trace) <= ceiling);
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
