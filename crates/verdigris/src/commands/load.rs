//! `verdigris load`: load for the environments of a plan, made here, without a server and without a rollout.

mod source;

use super::plan::read_plan;
use crate::cli::{Format, Load, To};
use crate::clock;
use crate::describe::{Exit, Failed, say, say_as_is, thousands};
use ::load::{Progress, Report, Target, TargetProgress, Targets, run as run_load};
use anyhow::{Context, anyhow};
use model::{Environment, PerEnvironment, ShortDuration};
use rollout::plan::Plan;
use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::watch;

/// Without a terminal the figures are told so often: an hour has 360 lines.
const PLAIN_EVERY_MS: u64 = 10_000;

/// Runs it.
pub async fn run(command: &Load, format: Format) -> Result<Exit, Failed> {
    let (_, plan) = read_plan(&command.plan)?;
    let targets = targets(&plan, command)?;
    // What cannot be written is known before the run.
    let report_file = command.report.as_ref().map(|path| {
        File::create(path)
            .map(|file| (path, file))
            .map_err(|error| Failed::usage(format!("{}: {error}", path.display())))
    });
    let report_file = report_file.transpose()?;
    let started = clock::now();
    let source::Made { name, source } = source::make(command, started)?;
    let warm_up_ms = command.warm_up.unwrap_or(0);
    if let Some(whole) = source.duration_ms().filter(|whole| *whole <= warm_up_ms) {
        let (warm_up, whole) = (ShortDuration(warm_up_ms), ShortDuration(whole));
        return Err(Failed::usage(format!("--warm-up is {warm_up}, and all of it {whole}: nothing would be measured")));
    }
    let mut load = ::load::Load::new(&name, source, targets, started);
    load.connections = usize::from(command.connections);
    load.warm_up_ms = warm_up_ms;
    let stopped = Arc::clone(&load.stopped);
    let (told, progress) = watch::channel(Progress::default());
    let showing = tokio::spawn(show(progress, format));
    let mut running = std::pin::pin!(run_load(load, Some(told)));
    let (report, was_interrupted) = tokio::select! {
        report = &mut running => (report?, false),
        _ = tokio::signal::ctrl_c() => {
            stopped.store(true, Relaxed);
            tokio::select! {
                report = &mut running => (report?, true),
                // Whoever cannot wait for what is under way interrupts once more.
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
            }
        }
    };
    // It ends with the run, which has let go of its other end.
    let _ = showing.await;
    match format {
        Format::Text => say_as_is(&report),
        Format::Json => say(serde_json::to_string(&report)?),
    }
    if let Some((path, mut file)) = report_file {
        file.write_all(report.html().as_bytes()).with_context(|| format!("{}", path.display()))?;
    }
    match unanswered(&report) {
        Some(why) => Err(anyhow!(why).into()),
        None if was_interrupted => Ok(Exit::Interrupted),
        None => Ok(Exit::Done),
    }
}

/// The plan's endpoints, and which of them are asked for. There is no other way to name one.
fn targets(plan: &Plan, command: &Load) -> Result<Targets, Failed> {
    let base_dir = std::path::absolute(&command.plan)?.parent().map(Path::to_owned).unwrap_or_default();
    let upstreams = PerEnvironment::from_fn(|it: Environment| plan.environments[it].upstream.under(&base_dir));
    let allowed: Vec<&str> = [&upstreams.blue, &upstreams.green].into_iter().flat_map(|it| it.endpoints()).collect();
    let is_asked = |environment| match (command.to, environment) {
        (To::Both, _) | (To::Blue, Environment::Blue) | (To::Green, Environment::Green) => true,
        (To::Blue, Environment::Green) | (To::Green, Environment::Blue) => false,
    };
    let asked = PerEnvironment::from_fn(|environment| {
        let upstream = &upstreams[environment];
        if !is_asked(environment) {
            return None;
        }
        if !upstream.others.is_empty() {
            let others = upstream.others.len();
            eprintln!("{environment}: all load goes to {}; its {others} other endpoints get none", upstream.endpoint);
        }
        Some(Target {
            endpoint: upstream.endpoint.clone(),
            protocol: upstream.protocol,
            transport: upstream.transport.clone(),
            headers: Vec::new(),
        })
    });
    Targets::new(&allowed, asked).map_err(Failed::usage)
}

/// Which target said nothing at all, or was not even asked, if one was not.
fn unanswered(report: &Report) -> Option<String> {
    Environment::BOTH.into_iter().find_map(|environment| {
        let target = report.targets[environment].as_ref()?;
        let all = &target.all;
        if all.due.requests == 0 {
            return Some(format!("nothing was sent to {environment}: expected a higher rate, or a longer time"));
        }
        let answers = all.acknowledged.requests + all.throttled.requests + all.refused.requests;
        let why = target.disconnection.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let due = thousands(all.due.requests);
        (answers == 0).then(|| format!("{environment} answered none of {due} requests{why}"))
    })
}

/// Shows the figures so far: a line on a terminal that is written over, a line now and then elsewhere, and nothing beside
/// JSON that a program reads.
async fn show(mut progress: watch::Receiver<Progress>, format: Format) {
    let is_terminal = stderr().is_terminal();
    let mut next_ms = PLAIN_EVERY_MS;
    while progress.changed().await.is_ok() {
        let progress = progress.borrow_and_update().clone();
        if is_terminal {
            let mut out = stderr().lock();
            let _ = write!(out, "\r\x1b[K{}", line(&progress)).and_then(|()| out.flush());
        } else if format == Format::Text && progress.elapsed_ms >= next_ms {
            next_ms = progress.elapsed_ms + PLAIN_EVERY_MS;
            eprintln!("{}", line(&progress));
        }
    }
    if is_terminal {
        eprint!("\r\x1b[K");
    }
}

fn line(progress: &Progress) -> String {
    let Progress { elapsed_ms, total_ms, targets } = progress;
    let seconds = |ms: &u64| ShortDuration(ms / 1_000 * 1_000);
    let of = total_ms.as_ref().map(|total| format!(" of {}", seconds(total))).unwrap_or_default();
    let mut text = format!("{}{of}", seconds(elapsed_ms));
    for environment in Environment::BOTH {
        let Some(TargetProgress { counts, second, p99_us, backlog, .. }) = &targets[environment] else { continue };
        let p99 = p99_us.map(|us| format!(", p99 {:.1} ms", us as f64 / 1e3)).unwrap_or_default();
        text += &format!(
            "  {environment}: {}/s, {} taken, {} not{p99}, {backlog} waiting",
            thousands(second.due.items),
            thousands(counts.taken_items()),
            thousands(counts.missed_items()),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_goes() {
        let mut green = TargetProgress { p99_us: Some(1_234), backlog: 3, ..TargetProgress::default() };
        green.second.due.items = 1_500;
        let targets = PerEnvironment { blue: None, green: Some(green) };
        let progress = Progress { elapsed_ms: 12_345, total_ms: Some(60_000), targets };
        assert_eq!(line(&progress), "12s of 1m  green: 1,500/s, 0 taken, 0 not, p99 1.2 ms, 3 waiting");
    }
}
