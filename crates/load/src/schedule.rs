//! When requests are due. Pure: the same schedule and seed give the same times.

use crate::random::Random;
use serde::{Deserialize, Serialize};

/// The longest run: its seconds, each with a small histogram for two targets, are 74 MB (`tally.rs`).
pub const MAX_RUN_MS: u64 = 3_600_000;

/// More is a ramp.
const MAX_PHASES: usize = 1_000;

/// No machine makes more.
const MAX_SPANS_PER_S: f64 = 1e8;

/// How arrivals are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arrival {
    /// At even distances.
    Even,
    /// As a Poisson process: what many independent senders together come to.
    #[default]
    Poisson,
}

/// A part of a schedule: the rate goes from one to the other, in a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phase {
    /// Spans a second at its beginning.
    pub from_spans_per_s: f64,
    /// Spans a second at its end.
    pub to_spans_per_s: f64,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
}

/// When requests are due.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub(crate) pace: Pace,
    pub(crate) arrival: Arrival,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pace {
    Open(Vec<Phase>),
    Saturating { duration_ms: u64 },
}

/// A schedule that cannot be kept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing is sent.
    #[error("the schedule sends nothing; expected a rate above 0 spans a second, for some time")]
    Nothing,
    /// A rate is no rate.
    #[error("the rate of phase {phase} is {rate} spans a second; expected 0 to 100,000,000")]
    Rate {
        /// Which phase, from 1.
        phase: usize,
        /// What was given.
        rate: f64,
    },
    /// Too long.
    #[error("the schedule takes {found_ms} ms; expected {MAX_RUN_MS} ms at most")]
    TooLong {
        /// How long.
        found_ms: u64,
    },
    /// Too many parts.
    #[error("the schedule has {found} phases; expected {MAX_PHASES} at most: a ramp is one phase")]
    TooMany {
        /// How many.
        found: usize,
    },
}

impl Schedule {
    /// One phase after the other.
    pub fn new(phases: Vec<Phase>, arrival: Arrival) -> Result<Schedule, ScheduleError> {
        if phases.len() > MAX_PHASES {
            return Err(ScheduleError::TooMany { found: phases.len() });
        }
        for (index, phase) in phases.iter().enumerate() {
            for rate in [phase.from_spans_per_s, phase.to_spans_per_s] {
                if !(0.0..=MAX_SPANS_PER_S).contains(&rate) {
                    return Err(ScheduleError::Rate { phase: index + 1, rate });
                }
            }
        }
        let found_ms = phases.iter().fold(0u64, |sum, phase| sum.saturating_add(phase.duration_ms));
        if found_ms > MAX_RUN_MS {
            return Err(ScheduleError::TooLong { found_ms });
        }
        if phases.iter().all(|phase| phase.spans() <= 0.0) {
            return Err(ScheduleError::Nothing);
        }
        Ok(Schedule { pace: Pace::Open(phases), arrival })
    }

    /// One rate all the time.
    pub fn constant(spans_per_s: f64, duration_ms: u64, arrival: Arrival) -> Result<Schedule, ScheduleError> {
        Schedule::new(vec![Phase::level(spans_per_s, duration_ms)], arrival)
    }

    /// From one rate to another.
    pub fn ramp(from: f64, to: f64, duration_ms: u64, arrival: Arrival) -> Result<Schedule, ScheduleError> {
        Schedule::new(vec![Phase { from_spans_per_s: from, to_spans_per_s: to, duration_ms }], arrival)
    }

    /// So many levels, each higher than the one before: where latencies rise is how much a target holds.
    pub fn steps(
        first: f64,
        more: f64,
        levels: usize,
        each_ms: u64,
        arrival: Arrival,
    ) -> Result<Schedule, ScheduleError> {
        if levels > MAX_PHASES {
            return Err(ScheduleError::TooMany { found: levels });
        }
        let level = |level: usize| Phase::level(first + more * level as f64, each_ms);
        Schedule::new((0..levels).map(level).collect(), arrival)
    }

    /// As many as are taken, for so long. A closed loop: for finding limits alone, and its latencies are judged by nobody.
    pub fn saturating(duration_ms: u64) -> Result<Schedule, ScheduleError> {
        match duration_ms {
            0 => Err(ScheduleError::Nothing),
            found_ms if found_ms > MAX_RUN_MS => Err(ScheduleError::TooLong { found_ms }),
            duration_ms => Ok(Schedule { pace: Pace::Saturating { duration_ms }, arrival: Arrival::Even }),
        }
    }

    /// How long it takes, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        match &self.pace {
            Pace::Open(phases) => phases.iter().map(|phase| phase.duration_ms).sum(),
            Pace::Saturating { duration_ms } => *duration_ms,
        }
    }

    /// Whether requests are due whatever the targets do.
    pub fn is_open(&self) -> bool {
        match self.pace {
            Pace::Open(_) => true,
            Pace::Saturating { .. } => false,
        }
    }

    /// When requests of so many spans are due, in nanoseconds since the start, never going back. Of a saturating schedule
    /// each is due at once, without an end.
    pub fn arrivals(&self, spans_per_request: f64, seed: u64) -> Arrivals {
        let phases = match &self.pace {
            Pace::Open(phases) => phases.clone(),
            Pace::Saturating { .. } => Vec::new(),
        };
        Arrivals {
            phases,
            open: self.is_open(),
            phase: 0,
            begin_ms: 0,
            mass: 0.0,
            spans_per_request: spans_per_request.max(1.0),
            random: (self.arrival == Arrival::Poisson).then_some(Random(seed)),
            first: true,
        }
    }
}

impl Phase {
    /// The same rate all the time.
    pub fn level(spans_per_s: f64, duration_ms: u64) -> Phase {
        Phase { from_spans_per_s: spans_per_s, to_spans_per_s: spans_per_s, duration_ms }
    }

    fn spans(&self) -> f64 {
        (self.from_spans_per_s + self.to_spans_per_s) / 2.0 * self.duration_ms as f64 / 1_000.0
    }

    /// After how many seconds the phase has sent so many spans.
    fn seconds_after(&self, spans: f64) -> f64 {
        let (from, to) = (self.from_spans_per_s, self.to_spans_per_s);
        let slope = (to - from) / (self.duration_ms as f64 / 1_000.0);
        // from t + slope t²/2 = spans, solved so that nothing cancels where the slope is small.
        let root = (from * from + 2.0 * slope * spans).max(0.0).sqrt();
        if spans <= 0.0 { 0.0 } else { 2.0 * spans / (from + root) }
    }
}

/// The times of a schedule.
#[derive(Clone, Debug)]
pub struct Arrivals {
    phases: Vec<Phase>,
    open: bool,
    phase: usize,
    begin_ms: u64,
    /// Spans that the phase has sent when the next request is due.
    mass: f64,
    spans_per_request: f64,
    random: Option<Random>,
    first: bool,
}

impl Iterator for Arrivals {
    type Item = u64;

    /// A process of any rate is one of rate 1 whose time is the integral of the rate (the time-rescaling theorem; Lewis and
    /// Shedler, *Simulation of Nonhomogeneous Poisson Processes*, 1979).
    fn next(&mut self) -> Option<u64> {
        if !self.open {
            return Some(0);
        }
        self.mass += match &mut self.random {
            None if self.first => 0.0,
            None => self.spans_per_request,
            Some(random) => random.exponential() * self.spans_per_request,
        };
        self.first = false;
        loop {
            let phase = self.phases.get(self.phase)?;
            let spans = phase.spans();
            if self.mass < spans {
                let seconds = phase.seconds_after(self.mass);
                return Some(self.begin_ms * 1_000_000 + (seconds * 1e9) as u64);
            }
            self.mass -= spans;
            self.begin_ms += phase.duration_ms;
            self.phase += 1;
        }
    }
}

#[cfg(test)]
mod tests;
