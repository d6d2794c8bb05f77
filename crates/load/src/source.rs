//! What is sent, request after request.

use crate::random::Random;
use crate::replay::Replay;
use crate::schedule::{Arrivals, Schedule};
use crate::template::Group;
use crate::topology::later_ns;
use bytes::Bytes;
use model::{TraceId, UnixMillis};
use otlp::Signal;

/// Makes trace ids that were never made before. A gate marks them, so that they are told from users' traces.
pub type NewTraceId = Box<dyn FnMut() -> TraceId + Send>;

/// Trace ids that are made of random beginnings: the same seed gives the same ones.
pub fn seeded(seed: u64, id: impl Fn([u8; 8]) -> TraceId + Send + 'static) -> NewTraceId {
    let mut random = Random(seed);
    Box::new(move || id(random.next().to_be_bytes()))
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it is due, in nanoseconds since the start.
    pub due_ns: u64,
    /// What it carries.
    pub signal: Signal,
    /// Spans, data points or log records.
    pub items: u32,
    /// gRPC's prefix, and the message.
    pub framed: Bytes,
}

/// Where requests come from.
#[derive(Debug)]
pub enum Source {
    /// They are made.
    Synthetic(Box<Synthetic>),
    /// They were recorded.
    Replay(Box<Replay>),
}

/// Requests of synthetic services.
pub struct Synthetic {
    groups: Vec<Group>,
    schedule: Schedule,
    arrivals: Arrivals,
    started: UnixMillis,
    ids: NewTraceId,
    random: Random,
    /// The group that is sent, and its next request.
    at: (usize, usize),
    /// Of the group that is sent.
    now: Stamp,
}

#[derive(Default)]
struct Stamp {
    ids: Vec<TraceId>,
    span_bits: u64,
    later_ns: u64,
}

impl Synthetic {
    /// Sends the groups in turn, by the schedule. `started` is when the run begins, which the spans' times follow from.
    ///
    /// # Panics
    /// If there is no group.
    pub fn new(groups: Vec<Group>, schedule: Schedule, seed: u64, started: UnixMillis, ids: NewTraceId) -> Synthetic {
        assert!(
            groups.iter().all(|group| !group.requests.is_empty()) && !groups.is_empty(),
            "there is nothing to send"
        );
        let requests: usize = groups.iter().map(|group| group.requests.len()).sum();
        let spans: f64 = groups.iter().flat_map(|group| &group.requests).map(|one| f64::from(one.spans())).sum();
        let arrivals = schedule.arrivals(spans / requests as f64, seed);
        let random = Random(seed ^ 0x005e_ed0f_5a17);
        Synthetic { groups, schedule, arrivals, started, ids, random, at: (0, 0), now: Stamp::default() }
    }

    fn next_request(&mut self) -> Option<Request> {
        let due_ns = self.arrivals.next()?;
        let (group, index) = self.at;
        let group = &self.groups[group];
        if index == 0 {
            let unix_ns = self.started.0 * 1_000_000 + due_ns;
            self.now.ids.clear();
            self.now.ids.extend(std::iter::repeat_with(&mut self.ids).take(group.traces));
            self.now.span_bits = self.random.next();
            // Spans are exported when they have ended.
            self.now.later_ns = later_ns(unix_ns.saturating_sub(group.longest_ns));
        }
        let template = &group.requests[index];
        let mut framed = Vec::with_capacity(template.len());
        template.stamp(&self.now.ids, self.now.span_bits, self.now.later_ns, &mut framed);
        let items = template.spans();
        self.at = match index + 1 < group.requests.len() {
            true => (self.at.0, index + 1),
            false => ((self.at.0 + 1) % self.groups.len(), 0),
        };
        Some(Request { due_ns, signal: Signal::Traces, items, framed: framed.into() })
    }
}

impl Source {
    /// The next request, or nothing at the end. Times of synthetic requests never go back; recorded ones may, a little.
    pub fn next_request(&mut self) -> Option<Request> {
        match self {
            Source::Synthetic(synthetic) => synthetic.next_request(),
            Source::Replay(replay) => replay.next_request(),
        }
    }

    /// How long it takes, in milliseconds, where that is known before.
    pub fn duration_ms(&self) -> Option<u64> {
        match self {
            Source::Synthetic(synthetic) => Some(synthetic.schedule.duration_ms()),
            Source::Replay(_) => None,
        }
    }

    /// Whether requests are due whatever the targets do.
    pub fn is_open(&self) -> bool {
        match self {
            Source::Synthetic(synthetic) => synthetic.schedule.is_open(),
            Source::Replay(_) => true,
        }
    }

    /// Why it ended early, for people.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Source::Synthetic(_) => None,
            Source::Replay(replay) => replay.trouble(),
        }
    }
}

impl From<Synthetic> for Source {
    fn from(synthetic: Synthetic) -> Source {
        Source::Synthetic(Box::new(synthetic))
    }
}

impl From<Replay> for Source {
    fn from(replay: Replay) -> Source {
        Source::Replay(Box::new(replay))
    }
}

impl std::fmt::Debug for Synthetic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Synthetic").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}
