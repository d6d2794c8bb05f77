//! What happens when, from a seed: pure, so that a run that found something is run again by its seed, and Rotel in our
//! place meets the same.
//!
//! Each thing that can be disturbed has a lane of its own, in which one disturbance follows the other with pauses
//! between; the lanes know nothing of each other, so all combinations come up.

use std::fmt;
use std::ops::Range;

#[cfg(test)]
mod tests;

/// One of the two back ends. Which one is blue changes with every promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    One,
    Two,
}

/// A disturbance, or a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGKILL, and a new process on the same port after so long.
    KillSink { sink: Sink, down_ms: u64 },
    /// The network to the sink stalls: it accepts and reads nothing, or lets no answer out.
    StallSink { sink: Sink, answers_only: bool, for_ms: u64 },
    /// Every answer takes so much longer.
    SlowSink { sink: Sink, delay_ms: u64, for_ms: u64 },
    /// RESOURCE_EXHAUSTED with RetryInfo, 429 with Retry-After.
    Exhausted { sink: Sink, for_ms: u64 },
    /// UNAVAILABLE, 503.
    Unavailable { sink: Sink, for_ms: u64 },
    /// The network of the clients stalls.
    StallClients { for_ms: u64 },
    /// The file system of the data folder is filled.
    FillDisk { for_ms: u64 },
    /// SIGKILL of the gateway, and a start after so long.
    KillGateway { down_ms: u64 },
    /// The weight goes up in steps, and back by a rollback, or on by a promotion.
    Rollout(Rollout),
}

/// A rollout from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// In percent, rising, below 100.
    pub weights: Vec<u64>,
    /// After each weight.
    pub pause_s: u64,
    /// When it is ended, after its start.
    pub ended_after_ms: u64,
    pub promoted: bool,
    /// A person pauses it in the middle, and resumes it.
    pub paused: bool,
}

/// An event and when it begins, from the beginning of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    pub at_ms: u64,
    pub event: Event,
}

/// From a rollout's first `promote` to the rollback that ends it if it was not promoted.
pub const PROMOTING_MS: u64 = 3_000;

/// At the beginning everything is well, so that connections stand; and at the end, so that all comes to rest.
const QUIET_MS: u64 = 2_000;

/// A run of this length has the disturbances that outlast the gateway's and the clients' timeouts.
const LONG_RUN_MS: u64 = 120_000;

/// A shorter run has rollouts that fit into 20 s.
const SHORT_RUN_MS: u64 = 60_000;

/// How long a trace stays where it began, in the plans of a run.
pub fn pin_ms(run_ms: u64) -> u64 {
    // The first shift waits for it, so a short run has a short one; longer than the clients' longest pause (4.8 s).
    if run_ms < SHORT_RUN_MS { 5_000 } else { 10_000 }
}

/// The schedule of a run, by time.
pub fn schedule(seed: u64, run_ms: u64) -> Vec<Timed> {
    let lanes = [
        sink_lane(Sink::One, run_ms, Dice::lane(seed, 1)),
        sink_lane(Sink::Two, run_ms, Dice::lane(seed, 2)),
        gateway_lane(run_ms, Dice::lane(seed, 3)),
        disk_lane(run_ms, Dice::lane(seed, 4)),
        client_lane(run_ms, Dice::lane(seed, 5)),
        rollout_lane(run_ms, Dice::lane(seed, 6)),
    ];
    let mut events: Vec<Timed> = lanes.into_iter().flatten().collect();
    events.sort_by_key(|timed| timed.at_ms);
    events
}

fn sink_lane(sink: Sink, run_ms: u64, mut dice: Dice) -> Vec<Timed> {
    let mut kinds: Vec<usize> = Vec::new();
    lane(run_ms, 1_500..6_000, dice.fork(), |_| {
        if kinds.is_empty() {
            kinds = (0..if run_ms < LONG_RUN_MS { 6 } else { 7 }).collect();
            dice.shuffle(&mut kinds);
        }
        let for_ms = dice.within(2_000..7_000);
        match kinds.pop() {
            Some(0) => Event::KillSink { sink, down_ms: dice.within(500..5_000) },
            Some(1) => Event::StallSink { sink, answers_only: false, for_ms },
            Some(2) => Event::StallSink { sink, answers_only: true, for_ms },
            Some(3) => Event::SlowSink { sink, delay_ms: dice.within(100..1_500), for_ms },
            Some(4) => Event::Exhausted { sink, for_ms },
            Some(5) => Event::Unavailable { sink, for_ms },
            // Longer than the 30 s for which the gateway waits for an answer.
            _ => Event::StallSink { sink, answers_only: false, for_ms: dice.within(33_000..38_000) },
        }
    })
}

fn gateway_lane(run_ms: u64, mut dice: Dice) -> Vec<Timed> {
    // After each the next shift waits for `pin` again: not so often that the weight never moves.
    let pause_ms = if run_ms < SHORT_RUN_MS { 10_000..30_000 } else { 20_000..60_000 };
    lane(run_ms, pause_ms, dice.fork(), |_| Event::KillGateway { down_ms: dice.within(100..2_000) })
}

fn disk_lane(run_ms: u64, mut dice: Dice) -> Vec<Timed> {
    lane(run_ms, 8_000..45_000, dice.fork(), |_| Event::FillDisk { for_ms: dice.within(2_000..8_000) })
}

fn client_lane(run_ms: u64, mut dice: Dice) -> Vec<Timed> {
    lane(run_ms, 8_000..40_000, dice.fork(), |number| {
        // Now and then longer than the 10 s for which the gateway waits for a body, and the clients for an answer.
        let long = run_ms >= LONG_RUN_MS && number % 3 == 1;
        Event::StallClients { for_ms: dice.within(if long { 11_000..14_000 } else { 1_000..5_000 }) }
    })
}

fn rollout_lane(run_ms: u64, mut dice: Dice) -> Vec<Timed> {
    let pin_ms = pin_ms(run_ms);
    lane(run_ms, 500..3_000, dice.fork(), |_| {
        let (most_weights, longest_pause_s, longest_rest_ms) =
            if run_ms < SHORT_RUN_MS { (2, 1, 1_000) } else { (4, 3, 3_000) };
        let mut weights: Vec<u64> = (0..dice.within(1..most_weights + 1)).map(|_| dice.within(1..100)).collect();
        weights.sort_unstable();
        weights.dedup();
        let pause_s = dice.within(1..longest_pause_s + 1);
        // It is ended when it has come to its bake, or before: then the rest of a promotion is hurried through.
        let shifts_ms = (weights.len() as u64 + 1) * (pause_s * 1_000 + 500);
        Event::Rollout(Rollout {
            weights,
            pause_s,
            ended_after_ms: pin_ms + dice.within(1_000..shifts_ms + longest_rest_ms),
            promoted: dice.within(0..2) == 0,
            paused: dice.within(0..3) == 0,
        })
    })
}

/// Events one after the other, with pauses between, as long as the whole event is over before the run is. The first one
/// comes after half a pause, so that a short run has some of each.
fn lane(run_ms: u64, pause_ms: Range<u64>, mut dice: Dice, mut event: impl FnMut(u64) -> Event) -> Vec<Timed> {
    let mut events = Vec::new();
    let mut at_ms = QUIET_MS + dice.within(pause_ms.start / 2..pause_ms.end / 2);
    for number in 0.. {
        let event = event(number);
        let end_ms = at_ms + event.lasts_ms();
        if end_ms + QUIET_MS > run_ms {
            break;
        }
        events.push(Timed { at_ms, event });
        at_ms = end_ms + dice.within(pause_ms.clone());
    }
    events
}

impl Event {
    /// Until everything is as before.
    fn lasts_ms(&self) -> u64 {
        match self {
            Event::KillSink { down_ms, .. } | Event::KillGateway { down_ms } => *down_ms,
            Event::StallSink { for_ms, .. }
            | Event::SlowSink { for_ms, .. }
            | Event::Exhausted { for_ms, .. }
            | Event::Unavailable { for_ms, .. }
            | Event::StallClients { for_ms }
            | Event::FillDisk { for_ms } => *for_ms,
            Event::Rollout(rollout) if rollout.promoted => rollout.ended_after_ms + PROMOTING_MS,
            Event::Rollout(rollout) => rollout.ended_after_ms,
        }
    }

    /// Whether a proxy with one back end, without a disk and without rollouts meets it too.
    pub fn concerns_peers(&self) -> bool {
        match self {
            Event::KillSink { sink, .. }
            | Event::StallSink { sink, .. }
            | Event::SlowSink { sink, .. }
            | Event::Exhausted { sink, .. }
            | Event::Unavailable { sink, .. } => *sink == Sink::One,
            Event::StallClients { .. } | Event::KillGateway { .. } => true,
            Event::FillDisk { .. } | Event::Rollout(_) => false,
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sink::One => "sink one",
            Sink::Two => "sink two",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |ms: &u64| *ms as f64 / 1_000.0;
        match self {
            Event::KillSink { sink, down_ms } => write!(f, "{sink} is killed for {:.1} s", s(down_ms)),
            Event::StallSink { sink, answers_only: false, for_ms } => {
                write!(f, "{sink} reads nothing for {:.1} s", s(for_ms))
            }
            Event::StallSink { sink, answers_only: true, for_ms } => {
                write!(f, "{sink} lets no answer out for {:.1} s", s(for_ms))
            }
            Event::SlowSink { sink, delay_ms, for_ms } => {
                write!(f, "{sink} answers after {delay_ms} ms for {:.1} s", s(for_ms))
            }
            Event::Exhausted { sink, for_ms } => {
                write!(f, "{sink} refuses with RESOURCE_EXHAUSTED or 429 for {:.1} s", s(for_ms))
            }
            Event::Unavailable { sink, for_ms } => {
                write!(f, "{sink} refuses with UNAVAILABLE or 503 for {:.1} s", s(for_ms))
            }
            Event::StallClients { for_ms } => write!(f, "the clients' network stalls for {:.1} s", s(for_ms)),
            Event::FillDisk { for_ms } => write!(f, "the disk is full for {:.1} s", s(for_ms)),
            Event::KillGateway { down_ms } => write!(f, "the proxy is killed for {:.1} s", s(down_ms)),
            Event::Rollout(rollout) => rollout.fmt(f),
        }
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights: Vec<String> = self.weights.iter().map(|weight| format!("{weight}%")).collect();
        let paused = if self.paused { ", paused and resumed" } else { "" };
        let end = if self.promoted { "promoted" } else { "rolled back" };
        let after = self.ended_after_ms as f64 / 1_000.0;
        write!(
            f,
            "a rollout to {}, 100%, {} s each{paused}, {end} after {after:.1} s",
            weights.join(", "),
            self.pause_s
        )
    }
}

/// SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014).
struct Dice(u64);

impl Dice {
    /// Each lane has numbers of its own, so that a change of one leaves the others as they were.
    fn lane(seed: u64, lane: u64) -> Dice {
        let mut dice = Dice(seed);
        for _ in 0..lane {
            dice = dice.fork();
        }
        dice
    }

    fn fork(&mut self) -> Dice {
        Dice(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number of a range that is not empty, nearly uniform: the ranges are far below 2^64.
    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.within(0..last as u64 + 1) as usize);
        }
    }
}
