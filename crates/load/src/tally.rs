//! What became of the requests, counted. Pure: times come in as arguments.

use crate::quantiles::{histogram, record, small_histogram};
use crate::schedule::MAX_RUN_MS;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kinds of refusals that are told apart; there are 17 gRPC codes and some dozen HTTP statuses, and servers make up more.
const MAX_CODES: usize = 32;

/// Characters of why there was no connection.
const MAX_WORDS: usize = 300;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was taken, but for so many items.
    Acknowledged { rejected: u64 },
    /// The server has no room: RESOURCE_EXHAUSTED or UNAVAILABLE, 429 or 503; and whether it said when to come again.
    Throttled { code: String, with_delay: bool },
    /// The server does not want it.
    Refused { code: String },
    /// No answer came within the time limit.
    TimedOut,
    /// There was no connection, or it ended before the answer.
    Disconnected { why: String },
    /// It could not be sent in time.
    NotSent,
}

/// Requests and what they carried: spans, data points or log records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Requests.
    pub requests: u64,
    /// Spans, data points and log records.
    pub items: u64,
}

/// What became of all requests that were due. The six after `due` add up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// All that were due.
    pub due: Volume,
    /// The target took them, but for what it rejected in part.
    pub acknowledged: Volume,
    /// The target had no room: RESOURCE_EXHAUSTED or UNAVAILABLE, 429 or 503.
    pub throttled: Volume,
    /// The target did not want them.
    pub refused: Volume,
    /// No answer came in time.
    pub timed_out: Volume,
    /// There was no connection, or it ended before the answer.
    pub disconnected: Volume,
    /// They were not sent in time: the backlog was full, or they waited in it for longer than an answer is waited for.
    pub not_sent: Volume,
    /// Items of acknowledged requests that the target rejected (partial success).
    pub rejected_items: u64,
    /// Of `throttled`, the requests that were told when to come again.
    pub throttled_with_delay: u64,
}

impl Counts {
    /// Items that the target said it took.
    pub fn taken_items(&self) -> u64 {
        self.acknowledged.items.saturating_sub(self.rejected_items)
    }

    /// Items that were due and that the target did not say it took.
    pub fn missed_items(&self) -> u64 {
        self.due.items.saturating_sub(self.taken_items())
    }

    fn add(&mut self, fate: &Fate, items: u64) {
        let volume = match fate {
            Fate::Acknowledged { rejected } => {
                self.rejected_items += (*rejected).min(items);
                &mut self.acknowledged
            }
            Fate::Throttled { with_delay, .. } => {
                self.throttled_with_delay += u64::from(*with_delay);
                &mut self.throttled
            }
            Fate::Refused { .. } => &mut self.refused,
            Fate::TimedOut => &mut self.timed_out,
            Fate::Disconnected { .. } => &mut self.disconnected,
            Fate::NotSent => &mut self.not_sent,
        };
        for volume in [volume, &mut self.due] {
            volume.requests += 1;
            volume.items += items;
        }
    }
}

/// One second of the run, by when its requests were due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Second {
    /// What became of them.
    pub counts: Counts,
    /// Latencies in microseconds and how often each occurred, rising, with two digits.
    pub latency: Vec<(u64, u64)>,
}

/// Times of a request, in nanoseconds since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) due_ns: u64,
    /// When it was sent, and since when there was somebody to send it; `None` if it was not sent.
    pub(crate) sent: Option<Sent>,
    /// When it was answered or given up.
    pub(crate) done_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) at_ns: u64,
    pub(crate) free_since_ns: u64,
}

/// The counts of one target.
#[derive(Debug)]
pub(crate) struct Tally {
    warm_up_ns: u64,
    timeout_ns: u64,
    pub(crate) all: Counts,
    pub(crate) measured: Counts,
    /// From when it was due.
    pub(crate) latency: Histogram<u64>,
    /// From when it was sent: what a closed loop would show.
    pub(crate) service: Histogram<u64>,
    /// How much later than it could have been it was sent: the generator's own doing, and not the target's.
    pub(crate) lateness: Histogram<u64>,
    pub(crate) seconds: Vec<(Counts, Histogram<u32>)>,
    pub(crate) codes: BTreeMap<String, u64>,
    pub(crate) disconnection: Option<String>,
}

impl Tally {
    pub(crate) fn new(warm_up_ns: u64, timeout_ns: u64) -> Tally {
        Tally {
            warm_up_ns,
            timeout_ns,
            all: Counts::default(),
            measured: Counts::default(),
            latency: histogram(),
            service: histogram(),
            lateness: histogram(),
            seconds: Vec::new(),
            codes: BTreeMap::new(),
            disconnection: None,
        }
    }

    /// Latencies are those of requests that were acknowledged, and of those that nobody answered: as these were given up
    /// after the time limit, they count as that, which is less than it would have been. A refusal is quick, and would make
    /// the figures better than they are, so it is counted and not timed.
    pub(crate) fn add(&mut self, items: u64, times: Times, fate: &Fate) {
        self.all.add(fate, items);
        let waited_us = times.done_ns.saturating_sub(times.due_ns) / 1_000;
        let latency_us = match fate {
            Fate::Acknowledged { .. } => Some(waited_us),
            Fate::TimedOut | Fate::NotSent | Fate::Disconnected { .. } => Some(waited_us.max(self.timeout_ns / 1_000)),
            Fate::Throttled { .. } | Fate::Refused { .. } => None,
        };
        let (counts, small) = self.second(times.due_ns);
        counts.add(fate, items);
        if let Some(us) = latency_us {
            record(small, us);
        }
        self.tell(fate);
        if times.due_ns < self.warm_up_ns {
            return;
        }
        self.measured.add(fate, items);
        if let Some(us) = latency_us {
            record(&mut self.latency, us);
        }
        if let Some(Sent { at_ns, free_since_ns }) = times.sent {
            record(&mut self.lateness, at_ns.saturating_sub(times.due_ns.max(free_since_ns)) / 1_000);
            if let Fate::Acknowledged { .. } = fate {
                record(&mut self.service, times.done_ns.saturating_sub(at_ns) / 1_000);
            }
        }
    }

    fn tell(&mut self, fate: &Fate) {
        match fate {
            Fate::Throttled { code, .. } | Fate::Refused { code } => {
                let other = self.codes.len() >= MAX_CODES && !self.codes.contains_key(code);
                let code = if other { "other" } else { code.as_str() };
                *self.codes.entry(code.to_owned()).or_default() += 1;
            }
            Fate::Disconnected { why } => {
                self.disconnection.get_or_insert_with(|| why.chars().take(MAX_WORDS).collect());
            }
            Fate::Acknowledged { .. } | Fate::TimedOut | Fate::NotSent => {}
        }
    }

    /// The longest run bounds how many there are.
    fn second(&mut self, due_ns: u64) -> (&mut Counts, &mut Histogram<u32>) {
        let second = (due_ns.min(MAX_RUN_MS * 1_000_000) / 1_000_000_000) as usize;
        while self.seconds.len() <= second {
            self.seconds.push((Counts::default(), small_histogram()));
        }
        let (counts, small) = &mut self.seconds[second];
        (counts, small)
    }
}
