//! What is sent: synthetic traces by a schedule, or a recording.

use crate::cli::{Load, Phases, Rate};
use crate::clock;
use crate::describe::Failed;
use ::load::{Arrival, Multiple, Replay, Schedule, Shape, Source, Synthetic};
use model::{ShortDuration, TraceId, UnixMillis};
use std::path::Path;

/// Groups of requests that are made once and sent in turn: 32 of 100 spans are some 3 MB.
const GROUPS: usize = 32;
/// Spans of a request at most, and requests a second at least where that allows: at less than 1,000 spans a second requests
/// are smaller, so that every second has some.
const MAX_SPANS: f64 = 100.0;
const LEAST_REQUESTS_PER_S: f64 = 10.0;

/// A source, and what it is called in reports.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) source: Source,
}

pub(super) fn make(command: &Load, started: UnixMillis) -> Result<Made, Failed> {
    match (&command.recording, &command.identity) {
        (Some(recording), Some(identity)) => replay(command, recording, identity, started),
        _ => synthetic(command, started),
    }
}

fn synthetic(command: &Load, started: UnixMillis) -> Result<Made, Failed> {
    let Load { rate, ramp, step, for_ms, topology, seed, .. } = command;
    let time = ShortDuration(*for_ms);
    let (schedule, words) = match (ramp.as_ref().or(step.as_ref()), rate) {
        (Some(phases), _) => (Schedule::new(phases.phases.clone(), Arrival::Poisson), phases.text.clone()),
        (None, Rate::Of(rate)) => {
            (Schedule::constant(*rate, *for_ms, Arrival::Poisson), format!("{rate} spans/s for {time}"))
        }
        (None, Rate::Max) => (Schedule::saturating(*for_ms), format!("as fast as is taken for {time}")),
    };
    let schedule = schedule.map_err(Failed::usage)?;
    let shape = Shape { spans_per_request: spans_per_request(command), ..Shape::default() };
    let groups = topology.topology.groups(&shape, GROUPS, *seed).map_err(Failed::usage)?;
    let source = Synthetic::new(groups, schedule, *seed, started, Box::new(new_trace_id)).into();
    Ok(Made { name: format!("{}, {words}, seed {seed}", topology.text), source })
}

fn spans_per_request(command: &Load) -> usize {
    let rates = |phases: &Phases| phases.phases.iter().map(|it| it.from_spans_per_s.max(it.to_spans_per_s)).collect();
    let rates: Vec<f64> = match (command.ramp.as_ref().or(command.step.as_ref()), command.rate) {
        (Some(phases), _) => rates(phases),
        (None, Rate::Of(rate)) => vec![rate],
        (None, Rate::Max) => Vec::new(),
    };
    let highest = rates.into_iter().reduce(f64::max).unwrap_or(f64::MAX);
    (highest / LEAST_REQUESTS_PER_S).clamp(1.0, MAX_SPANS) as usize
}

fn replay(command: &Load, recording: &Path, identity: &Path, started: UnixMillis) -> Result<Made, Failed> {
    let Load { copies, speed, .. } = command;
    let reader = ::load::open(recording, identity).map_err(Failed::usage)?;
    let multiple = Multiple { copies: *copies, speed: *speed, ..Multiple::default() };
    let replay = Replay::new(reader, multiple, started, Box::new(new_trace_id)).map_err(Failed::usage)?;
    let file = recording.file_name().unwrap_or_default().display();
    Ok(Made { name: format!("{file}, {copies} at once, {speed} times its speed"), source: replay.into() })
}

/// Never made before, so that two runs never share a trace.
fn new_trace_id() -> TraceId {
    TraceId(clock::random())
}
