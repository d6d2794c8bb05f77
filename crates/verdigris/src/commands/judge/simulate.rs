//! `verdigris judge simulate`: a plan many times on made-up traffic.

mod polling;
mod shown;
mod summary;

use crate::cli::{Effect, Format, Simulate};
use crate::commands::plan::read_plan;
use crate::describe::{Exit, Failed, say, say_as_is};
use judge::simulate::{Behaviour, Random, Traffic, latency};
use model::Check;
use polling::{Polled, first_alarm_ms};
use rollout::plan::{Plan, preview};
use rollout::rehearsal::{Setting, rehearse};
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use summary::{Summary, Whole};

/// Batches that one command simulates at most, over all runs and effects: at about 30 us each, ten minutes of one core.
const MAX_BATCHES: u64 = 20_000_000;

/// How long a rehearsal may be: a week and a half of pauses and bakes.
const MAX_MS: u64 = 10 * 24 * 3_600_000;

/// With --weight and without --for.
const DEFAULT_FOR_MS: u64 = 3_600_000;

/// How often the line of progress changes.
const PROGRESS: Duration = Duration::from_millis(200);

/// Runs it.
pub fn run(command: &Simulate, format: Format) -> Result<Exit, Failed> {
    let plan = read_plan(&command.plan)?.1;
    let Simulation { whole, effects, polled } = simulate(command, &plan)?;
    if let Some(file) = &command.svg {
        write(file, &shown::plot(&whole, &effects, polled.as_ref(), command.by).svg())?;
    }
    match format {
        Format::Json => say(shown::json(&whole, &effects, polled.as_ref())?),
        Format::Text => say_as_is(shown::text(&whole, &effects, polled.as_ref(), command.by)),
    }
    Ok(Exit::Done)
}

/// All figures.
struct Simulation {
    whole: Whole,
    effects: Vec<Summary>,
    polled: Option<Polled>,
}

fn simulate(command: &Simulate, plan: &Plan) -> Result<Simulation, Failed> {
    let mut plan = plan.clone();
    plan.analysis.false_alarm = command.false_alarm.unwrap_or(plan.analysis.false_alarm);
    let plan = &plan;
    let whole = whole(command, plan)?;
    let effects = effects(command, plan)?;
    let setting = setting(command, plan, whole.traces_per_s, effects.len() as u64)?;
    let mut summaries = Vec::new();
    for (place, effect) in (1..).zip(&effects) {
        let words = format!("{effect} ({place} of {})", effects.len());
        let runs = all_runs(command.runs, &words, |run| {
            let (blue, green) = behaviours(&whole, *effect);
            // Every effect meets the same chances, so that curves differ by what they show and not by luck.
            rehearse(plan, &setting, Traffic::new(Random::of_run(command.seed, run), blue, green))
        });
        summaries.push(Summary::of(*effect, runs));
    }
    let polled = command.weight.filter(|_| command.beside_polling).map(|weight| {
        let for_ms = setting.max_batches * plan.analysis.batch_ms;
        Polled::of(all_runs(command.runs, "polling", |run| {
            first_alarm_ms(&whole, weight.share(), for_ms, Random::of_run(command.seed, run))
        }))
    });
    Ok(Simulation { whole, effects: summaries, polled })
}

fn write(file: &Path, svg: &str) -> Result<(), Failed> {
    std::fs::write(file, svg).map_err(|error| Failed::usage(format!("{}: cannot be written: {error}", file.display())))
}

fn whole(command: &Simulate, plan: &Plan) -> Result<Whole, Failed> {
    let traces_per_s = command.traffic.or(plan.traffic.expected_traces_per_s).ok_or_else(|| {
        Failed::usage("the plan does not say how much traffic there is: name it, such as --traffic 100/s".to_owned())
    })?;
    Ok(Whole {
        plan: plan.name.clone(),
        seed: command.seed,
        runs: command.runs,
        traces_per_s,
        errors: command.errors.unwrap_or(plan.traffic.errors),
        loss: command.loss.unwrap_or(0.0),
        weight: command.weight,
        false_alarm: plan.analysis.false_alarm,
        false_promotion: plan.analysis.false_promotion,
    })
}

/// `none` and what was asked for; without that, what the plan's guards are there for.
fn effects(command: &Simulate, plan: &Plan) -> Result<Vec<Effect>, Failed> {
    let mut effects = vec![Effect::None];
    if command.effect.is_empty() {
        let guards = &plan.guards.judged;
        effects.extend(guards.error_rate.as_ref().map(|_| Effect::Errors(10.0)));
        effects.extend(guards.span_loss.as_ref().map(|guard| Effect::Loss((guard.at_most * 10.0).min(1.0))));
        effects.extend(guards.latency.as_ref().map(|guard| Effect::Latency(2.0 * guard.worse_than_active_by)));
    }
    effects.extend(command.effect.iter().filter(|effect| **effect != Effect::None));
    match effects.len() {
        ..=MAX_EFFECTS => Ok(effects),
        more => Err(Failed::usage(format!("{more} effects; expected at most {MAX_EFFECTS}, `none` among them"))),
    }
}

/// As many curves as letters and colours can be told apart.
const MAX_EFFECTS: usize = 8;

fn setting(command: &Simulate, plan: &Plan, traces_per_s: f64, effects: u64) -> Result<Setting, Failed> {
    let batch_ms = plan.analysis.batch_ms;
    // Each shift waits for its pins, and a batch for its turn.
    let steps_ms = preview(plan).longest_ms + plan.pin_ms * (plan.steps.len() as u64 + 1) + 10 * batch_ms;
    let longest_ms = match command.weight {
        Some(_) => command.for_ms.unwrap_or(DEFAULT_FOR_MS),
        None => steps_ms.min(MAX_MS),
    };
    let max_batches = longest_ms.div_ceil(batch_ms);
    let allowed = MAX_BATCHES / (command.runs * effects);
    // What a run that goes well needs; one that is extended again and again is cut off.
    let needed = match command.weight {
        Some(_) => max_batches,
        None => (preview(plan).shortest_ms / batch_ms).min(max_batches),
    };
    if needed > allowed {
        return Err(Failed::usage(format!(
            "{} runs of {effects} effects with {needed} batches each are more than the {MAX_BATCHES} batches that one \
             command simulates: fewer --runs or --effect, or --weight with a shorter --for",
            command.runs
        )));
    }
    Ok(Setting { traces_per_s, max_batches: max_batches.min(allowed), weight: command.weight })
}

/// What blue and green do.
fn behaviours(whole: &Whole, effect: Effect) -> (Behaviour, Behaviour) {
    let mut blue = Behaviour::healthy().with(Check::ErrorSpan, whole.errors);
    if whole.loss > 0.0 {
        blue = blue.with(Check::LostSpan, whole.loss);
    }
    let mut green = blue.clone();
    match effect {
        Effect::None => {}
        Effect::Errors(times) => green = green.with(Check::ErrorSpan, (whole.errors * times).min(1.0)),
        Effect::Loss(share) => green = green.with(Check::LostSpan, (whole.loss + share).min(1.0)),
        Effect::Latency(more) => green.latency = latency(1.0 + more),
    }
    (blue, green)
}

/// All runs, on as many threads as the machine has cores; in the order of their numbers, so that threads change nothing.
fn all_runs<T: Send>(runs: u64, words: &str, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(64);
    let caller = std::thread::current();
    let mut results: Vec<(u64, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= runs {
                    caller.unpark();
                    return mine;
                }
                mine.push((number, run(number)));
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        show_progress(runs, words, &done, || workers.iter().all(|worker| worker.is_finished()));
        workers.into_iter().flat_map(|worker| worker.join().expect("a run that panics is a bug to be seen")).collect()
    });
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A line that changes on a terminal; nothing in a pipe, where it would be lines of noise.
fn show_progress(runs: u64, words: &str, done: &AtomicU64, finished: impl Fn() -> bool) {
    let mut err = std::io::stderr();
    if !err.is_terminal() {
        return;
    }
    while !finished() {
        let done = done.load(Ordering::Relaxed);
        // Progress that cannot be written is no reason to stop.
        let _ = write!(err, "\r\x1b[K{words}: {done} of {runs} runs");
        let _ = err.flush();
        // A worker that has nothing more to do ends the wait.
        std::thread::park_timeout(PROGRESS);
    }
    let _ = write!(err, "\r\x1b[K");
    let _ = err.flush();
}

#[cfg(test)]
mod tests;
