//! A rollout over time: who got which traffic, what came of it in each environment, and the evidence as it grew. A pure fold
//! of the records and of the state that they lead to; views draw it, and no decision depends on it.
//!
//! Bounded whatever a rollout lasts: a window holds twice as many batches each time there are too many of them.

use crate::event::{Decision, Event, RolloutId, Shift};
use crate::record::{Body, Record};
use crate::state::State;
use model::{ArmCounts, BasisPoints, Check, Environment, Observation, PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Windows of one rollout: as many points as a plot of some 700 columns shows apart.
pub const MAX_WINDOWS: usize = 200;
/// Changes of traffic that are remembered, the newest: a plan has some ten steps, each ordered and then observed.
pub const MAX_SHIFTS: usize = 256;
/// What "lately" is: long enough that a share is not one of three traces.
const LATELY_MS: u64 = 30_000;
/// Rollouts that are remembered, the newest. A window's counts of two environments have some 60 buckets and at most 26
/// checks each, of 30 bytes, so that 16 rollouts of 200 windows are 17 MB.
const MAX_ROLLOUTS: usize = 16;

/// What the newest rollouts did over time.
#[derive(Debug, Default)]
pub struct Timelines(VecDeque<(RolloutId, Timeline)>);

impl Timelines {
    /// Takes the next record, and the state of its rollout after it.
    pub fn take(&mut self, record: &Record, state: Option<&State>) {
        let Some(rollout) = &record.rollout else { return };
        if let Body::Started(_) = record.body {
            self.0.push_back((rollout.clone(), Timeline::default()));
            if self.0.len() > MAX_ROLLOUTS {
                self.0.pop_front();
            }
        }
        let found = self.0.iter_mut().rev().find(|(name, _)| name == rollout);
        if let Some((_, timeline)) = found {
            timeline.take(record, state.filter(|state| state.rollout == *rollout));
        }
    }

    /// What a rollout did; none if it is not among the newest.
    pub fn report(&self, rollout: &RolloutId) -> Option<TimelineReport> {
        self.0.iter().rev().find(|(name, _)| name == rollout).map(|(_, timeline)| timeline.report())
    }
}

/// One rollout over time.
#[derive(Debug, Default)]
struct Timeline {
    windows: Vec<Window>,
    /// Batches that a window takes; a power of two.
    batches_each: u64,
    /// The number that the next batch has at least; what comes twice is counted once.
    next_batch: u64,
    guards: Vec<GuardLine>,
    shifts: VecDeque<ShiftPoint>,
}

#[derive(Clone, Debug)]
struct Window {
    from: UnixMillis,
    until: UnixMillis,
    /// When the last of them was judged.
    judged_at: UnixMillis,
    batches: u64,
    arms: PerEnvironment<ArmCounts>,
    evidence: Evidence,
}

impl Timeline {
    fn take(&mut self, record: &Record, state: Option<&State>) {
        match &record.body {
            Body::Happened(event) => {
                if let Event::Observed(observation) = &**event {
                    self.observe(record.at, observation, state);
                }
            }
            Body::Decided(decision) => match &**decision {
                Decision::ShiftOrdered(shift) => self.shift(record.at, shift, false),
                Decision::ShiftObserved(shift) => self.shift(record.at, shift, true),
                _ => {}
            },
            _ => {}
        }
    }

    fn shift(&mut self, at: UnixMillis, shift: &Shift, observed: bool) {
        if self.shifts.len() == MAX_SHIFTS {
            self.shifts.pop_front();
        }
        let green = match shift.active {
            Environment::Blue => shift.weight,
            Environment::Green => BasisPoints::ALL,
        };
        self.shifts.push_back(ShiftPoint { at, observed, green, mirror: shift.mirror });
    }

    fn observe(&mut self, at: UnixMillis, observation: &Observation, state: Option<&State>) {
        if observation.batch < self.next_batch {
            return;
        }
        self.next_batch = observation.batch.saturating_add(1);
        let assessment = state.and_then(|state| state.assessment.as_ref());
        let evidence = assessment.map_or_else(Evidence::default, |assessment| {
            self.guards = assessment.guards.iter().map(GuardLine::of).collect();
            let guards = assessment.guards.iter().map(|guard| GuardPoint {
                against: finite(guard.log_against),
                for_green: guard.log_for.and_then(finite),
            });
            Evidence { all: finite(assessment.log_evidence), guards: guards.collect() }
        });
        let window = Window {
            from: observation.assigned_from,
            until: observation.assigned_until,
            judged_at: at,
            batches: 1,
            arms: observation.arms.clone(),
            evidence,
        };
        let each = self.batches_each.max(1);
        match self.windows.last_mut().filter(|last| last.batches < each) {
            Some(last) => last.merge(&window),
            None => self.windows.push(window),
        }
        if self.windows.len() > MAX_WINDOWS {
            self.halve();
        }
    }

    /// Two windows become one.
    fn halve(&mut self) {
        self.batches_each = self.batches_each.max(1) * 2;
        let mut windows = std::mem::take(&mut self.windows).into_iter();
        while let Some(mut window) = windows.next() {
            if let Some(next) = windows.next() {
                window.merge(&next);
            }
            self.windows.push(window);
        }
    }

    fn report(&self) -> TimelineReport {
        let end = self.windows.last().map_or(UnixMillis(0), |last| last.until);
        // A window that lasts longer is the last half minute by itself.
        let from = self.windows.partition_point(|window| end.since_ms(window.from) > LATELY_MS);
        let lately = &self.windows[from.min(self.windows.len().saturating_sub(1))..];
        TimelineReport {
            guards: self.guards.clone(),
            lately: Window::sum(lately).map(|sum| sum.report()),
            whole: Window::sum(&self.windows).map(|sum| sum.report()),
            windows: self.windows.iter().map(Window::report).collect(),
            shifts: self.shifts.iter().copied().collect(),
        }
    }
}

impl Window {
    /// Adds the window after this one.
    fn merge(&mut self, next: &Window) {
        (self.until, self.judged_at) = (next.until, next.judged_at);
        self.batches += next.batches;
        self.evidence.clone_from(&next.evidence);
        for environment in Environment::BOTH {
            self.arms[environment].add(&next.arms[environment]);
        }
    }

    fn sum(windows: &[Window]) -> Option<Window> {
        let (first, rest) = windows.split_first()?;
        let mut sum = first.clone();
        rest.iter().for_each(|next| sum.merge(next));
        Some(sum)
    }

    fn report(&self) -> WindowReport {
        let lasts_ms = self.until.since_ms(self.from);
        WindowReport {
            from: self.from,
            until: self.until,
            judged_at: self.judged_at,
            blue: ArmReport::of(&self.arms.blue, lasts_ms),
            green: ArmReport::of(&self.arms.green, lasts_ms),
            evidence: self.evidence.clone(),
        }
    }
}

/// A number that JSON has.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// What a rollout did over time, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimelineReport {
    /// The guards, in the plan's order; none before the first observation.
    pub guards: Vec<GuardLine>,
    /// The last half minute, or the last window if that is longer.
    pub lately: Option<WindowReport>,
    /// All of it.
    pub whole: Option<WindowReport>,
    /// The oldest first, at most [`MAX_WINDOWS`].
    pub windows: Vec<WindowReport>,
    /// Changes of traffic, the oldest first, at most [`MAX_SHIFTS`].
    pub shifts: Vec<ShiftPoint>,
}

/// A guard, and what its evidence is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardLine {
    /// As the plan has it.
    pub guard: String,
    /// What the evidence against green must reach for this guard to alarm by itself; natural logarithm.
    pub threshold_against: Option<f64>,
    /// What the evidence for green must reach, where promotion needs it; natural logarithm.
    pub threshold_for: Option<f64>,
}

impl GuardLine {
    fn of(guard: &judge::GuardEvidence) -> GuardLine {
        GuardLine {
            guard: guard.name(),
            threshold_against: finite(guard.log_threshold_against),
            threshold_for: guard.log_for.and_then(|_| finite(guard.log_threshold_for)),
        }
    }
}

/// Traces assigned in some seconds, and the evidence at their end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowReport {
    /// Traces first seen from here on ...
    pub from: UnixMillis,
    /// ... and before this.
    pub until: UnixMillis,
    /// When the last of them was judged: that much later the judge's horizon and the batch were over.
    pub judged_at: UnixMillis,
    /// What became of blue's.
    pub blue: ArmReport,
    /// What became of green's.
    pub green: ArmReport,
    /// What the judge knew once they were judged.
    pub evidence: Evidence,
}

impl WindowReport {
    /// What became of one environment's traces.
    pub fn arm(&self, environment: Environment) -> &ArmReport {
        match environment {
            Environment::Blue => &self.blue,
            Environment::Green => &self.green,
        }
    }
}

/// One environment's traces, of those that are verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArmReport {
    /// How many.
    pub traces: u64,
    /// How many in a second.
    pub traces_per_second: Option<f64>,
    /// The share that has a span with an error, of 1.
    pub errors: Option<f64>,
    /// The share of the acknowledged spans that did not come out in time, of 1.
    pub loss: Option<f64>,
    /// Microseconds through the pipeline, of the slowest span of the median trace; none without traces, and where that
    /// trace had not come out.
    pub p50_us: Option<f64>,
    /// The same of the 95th percentile.
    pub p95_us: Option<f64>,
    /// The same of the 99th percentile.
    pub p99_us: Option<f64>,
}

impl ArmReport {
    fn of(arm: &ArmCounts, lasts_ms: u64) -> ArmReport {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        ArmReport {
            traces: arm.traces,
            traces_per_second: (lasts_ms > 0).then(|| arm.traces as f64 * 1_000.0 / lasts_ms as f64),
            errors: share(arm.events(Check::ErrorSpan), arm.traces),
            loss: share(arm.spans_acknowledged.saturating_sub(arm.spans_out), arm.spans_acknowledged),
            p50_us: quantile_us(arm, 0.50),
            p95_us: quantile_us(arm, 0.95),
            p99_us: quantile_us(arm, 0.99),
        }
    }
}

/// The middle of the bucket that the quantile falls into, on the logarithmic scale (OpenTelemetry, "Exponential
/// Histogram", scale 3: within 4.5 %); none where it is a trace that had not come out.
fn quantile_us(arm: &ArmCounts, quantile: f64) -> Option<f64> {
    let finished: u64 = arm.latency_us.0.values().fold(0, |sum, traces| sum.saturating_add(*traces));
    let rank = (quantile * finished.saturating_add(arm.unfinished) as f64).ceil().max(1.0) as u64;
    let mut below = 0u64;
    let reached = arm.latency_us.0.iter().find(|(_, traces)| {
        below = below.saturating_add(**traces);
        below >= rank
    });
    reached.map(|(bucket, _)| 2f64.powf((f64::from(*bucket) + 0.5) / 8.0))
}

/// The evidence, as natural logarithms; what is no number is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// Against green, over all guards.
    pub all: Option<f64>,
    /// Of each guard, in the order of [`TimelineReport::guards`].
    pub guards: Vec<GuardPoint>,
}

/// One guard's evidence at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardPoint {
    /// That green is worse.
    pub against: Option<f64>,
    /// That it is within what the plan tolerates, where promotion needs that.
    pub for_green: Option<f64>,
}

/// A change of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShiftPoint {
    /// When it was recorded.
    pub at: UnixMillis,
    /// Whether the gateway had applied it; otherwise it was ordered.
    pub observed: bool,
    /// Green's share from then on.
    pub green: BasisPoints,
    /// Whether green gets copies of the rest.
    pub mirror: bool,
}
