//! A recording as requests: at the times at which it came, as often as is asked, each copy with trace ids of its own. Pure
//! but for what it reads from.

use crate::schedule::MAX_RUN_MS;
use crate::source::{NewTraceId, Request};
use bytes::Bytes;
use model::{TraceId, UnixMillis};
use otlp::grpc::prefix;
use otlp::{Fixed, Malformed, Signal, count_items, for_each_fixed};
use recording::{Attempt, Frame, ReadError, Reader};
use std::collections::BTreeMap;
use std::io::Read;

/// Copies at most: each trace that is known is known once for each.
const MAX_COPIES: u32 = 100;

/// The fastest and the slowest.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// Trace ids that are remembered, twice: the last so many, and the ones before. An entry is some 100 bytes, so they are
/// 100 MB at most. A trace that was quiet while so many others began gets another new id.
const MAX_KNOWN: usize = 500_000;

/// How a recording is multiplied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiple {
    /// So many copies, interleaved: the recorded arrival times stay, and between each and the next the other copies of the
    /// request are spread evenly. Every copy has trace ids of its own.
    pub copies: u32,
    /// So many times as fast: what came within a second comes within a second divided by this.
    pub speed: f64,
    /// Whether requests are sent that came again because they had been refused. They are part of what a gateway bore, but not
    /// of the load that its senders had.
    pub with_retries: bool,
}

impl Default for Multiple {
    /// As it was recorded.
    fn default() -> Multiple {
        Multiple { copies: 1, speed: 1.0, with_retries: true }
    }
}

/// A replay that is not begun.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// Too many copies, or none.
    #[error("{found} copies of a recording; expected 1 to {MAX_COPIES}")]
    Copies {
        /// What was given.
        found: u32,
    },
    /// Too fast, too slow, or no number.
    #[error("a recording at {found} times its speed; expected 0.01 to 100")]
    Speed {
        /// What was given.
        found: f64,
    },
}

/// What a replay reads.
type Frames = Box<dyn Iterator<Item = Result<Frame, ReadError>> + Send>;

/// A recording that is sent again.
pub struct Replay {
    frames: Frames,
    multiple: Multiple,
    ids: NewTraceId,
    /// From when it was recorded to when it is sent, in nanoseconds.
    later_ns: i64,
    now: Option<Frame>,
    next: Option<Frame>,
    /// The next copy of `now`.
    copy: u32,
    known: Known,
    trouble: Option<ReadError>,
    unreadable: u64,
}

#[derive(Default)]
struct Known {
    young: BTreeMap<(u32, TraceId), TraceId>,
    old: BTreeMap<(u32, TraceId), TraceId>,
}

impl Replay {
    /// Replays what the reader reads. `started` is when the run begins; times in the bodies are moved there. `ids` makes
    /// trace ids.
    pub fn new<R: Read + Send + 'static>(
        reader: Reader<R>,
        multiple: Multiple,
        started: UnixMillis,
        ids: NewTraceId,
    ) -> Result<Replay, ReplayError> {
        let Multiple { copies, speed, .. } = multiple;
        if !(1..=MAX_COPIES).contains(&copies) {
            return Err(ReplayError::Copies { found: copies });
        }
        if !SPEEDS.contains(&speed) {
            return Err(ReplayError::Speed { found: speed });
        }
        let later_ms = started.0.wrapping_sub(reader.header().started.0) as i64;
        let mut replay = Replay {
            frames: Box::new(reader),
            multiple,
            ids,
            later_ns: later_ms.saturating_mul(1_000_000),
            now: None,
            next: None,
            copy: 0,
            known: Known::default(),
            trouble: None,
            unreadable: 0,
        };
        replay.now = replay.read();
        replay.next = replay.read();
        Ok(replay)
    }

    /// How it is multiplied.
    pub fn multiple(&self) -> Multiple {
        self.multiple
    }

    /// Why it ended before the recording's end, or what of it was not sent; for people.
    pub fn trouble(&self) -> Option<String> {
        let unreadable = (self.unreadable > 0)
            .then(|| format!("{} requests of the recording are no OTLP, and were not sent", self.unreadable));
        self.trouble.as_ref().map(ToString::to_string).or(unreadable)
    }

    /// The next request, until the recording ends or the longest run is over.
    pub(crate) fn next_request(&mut self) -> Option<Request> {
        loop {
            let (due_us, copy, mut frame) = self.next_copy()?;
            let due_ns = (due_us / self.multiple.speed * 1_000.0) as u64;
            if due_ns >= MAX_RUN_MS * 1_000_000 {
                return None;
            }
            // At another speed the times of a request move as its arrival does.
            let moved_ns = due_ns as i64 - (frame.offset_us as i64).saturating_mul(1_000);
            let later_ns = match self.multiple.speed == 1.0 {
                true => self.later_ns,
                false => self.later_ns.saturating_add(moved_ns),
            };
            match self.retag(copy, later_ns, &mut frame) {
                Ok(items) => {
                    let length = u32::try_from(frame.body.len()).expect("a recorded body is 64 MiB at most");
                    let framed: Bytes = [&prefix(false, length)[..], &frame.body].concat().into();
                    let items = u32::try_from(items).unwrap_or(u32::MAX);
                    return Some(Request { due_ns, signal: frame.signal, items, framed });
                }
                Err(_) => self.unreadable += 1,
            }
        }
    }

    /// When it is due, in microseconds of the recording's own time, which copy it is, and the request.
    fn next_copy(&mut self) -> Option<(f64, u32, Frame)> {
        let frame = self.now.as_ref()?;
        let gap_us = self.next.as_ref().map_or(0, |next| next.offset_us.saturating_sub(frame.offset_us));
        let copies = self.multiple.copies;
        let due_us = frame.offset_us as f64 + gap_us as f64 * f64::from(self.copy) / f64::from(copies);
        let copy = self.copy;
        self.copy += 1;
        if self.copy < copies {
            return Some((due_us, copy, frame.clone()));
        }
        let following = self.read();
        self.copy = 0;
        let frame = std::mem::replace(&mut self.now, std::mem::replace(&mut self.next, following))?;
        Some((due_us, copy, frame))
    }

    fn read(&mut self) -> Option<Frame> {
        loop {
            match self.frames.next()? {
                Ok(frame) if frame.attempt == Attempt::Again && !self.multiple.with_retries => {}
                Ok(frame) => return Some(frame),
                Err(error) => {
                    self.trouble = Some(error);
                    return None;
                }
            }
        }
    }

    fn retag(&mut self, copy: u32, later_ns: i64, frame: &mut Frame) -> Result<u64, Malformed> {
        let (known, ids) = (&mut self.known, &mut self.ids);
        retag(frame.signal, &mut frame.body, later_ns, |old| known.renamed(copy, old, ids))?;
        count_items(frame.signal, &frame.body)
    }
}

impl Known {
    fn renamed(&mut self, copy: u32, old: TraceId, ids: &mut NewTraceId) -> TraceId {
        let key = (copy, old);
        if let Some(new) = self.young.get(&key) {
            return *new;
        }
        let new = self.old.remove(&key).unwrap_or_else(ids);
        if self.young.len() >= MAX_KNOWN {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, new);
        new
    }
}

/// Gives every trace another id, in links too, and moves all times. Span ids stay: they are unique within their trace, so
/// parents and links lead where they led. An id of zeros, which is none, and a time of zero, which is unknown, stay.
pub(crate) fn retag(
    signal: Signal,
    body: &mut [u8],
    later_ns: i64,
    mut renamed: impl FnMut(TraceId) -> TraceId,
) -> Result<(), Malformed> {
    let mut places = Vec::new();
    for_each_fixed(signal, body, |fixed, at| places.push((fixed, at)))?;
    for (fixed, at) in places {
        match fixed {
            Fixed::TraceId | Fixed::LinkedTraceId => {
                let id = body[at..].first_chunk_mut::<16>().expect("a trace id stands there");
                if *id != [0; 16] {
                    *id = renamed(TraceId(*id)).0;
                }
            }
            Fixed::UnixNanos => {
                let time = body[at..].first_chunk_mut::<8>().expect("a time stands there");
                let unix_ns = u64::from_le_bytes(*time);
                if unix_ns != 0 {
                    *time = unix_ns.saturating_add_signed(later_ns).to_le_bytes();
                }
            }
            Fixed::SpanId | Fixed::ParentSpanId | Fixed::LinkedSpanId => {}
        }
    }
    Ok(())
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("multiple", &self.multiple).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
