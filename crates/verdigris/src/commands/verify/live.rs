//! `verdigris verify learn` on a running server: it watches, this shows how it goes, and prints what was learned in the end.

use crate::api::{ApiClient, Lines};
use crate::cli::{Format, Learn, Watch, Which};
use crate::commands::plan::read_plan;
use crate::describe::{Exit, Failed, say, say_as_is, thousands};
use model::{Environment, ShortDuration};
use serde::Deserialize;
use serde_json::Value;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;
use web::LearnRequest;

/// A plan's horizon if it says nothing else.
const DEFAULT_HORIZON_MS: u64 = 335_000;
/// Interrupted, it waits for what the server tells next, which it does every second.
const LAST_LIMIT: Duration = Duration::from_secs(3);

/// What is read of what the server tells; all of it is printed as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    yaml: String,
    environment: Environment,
    tap: String,
    left_ms: u64,
    declared: Vec<Value>,
    left_out: Vec<Value>,
    spans: Spans,
    traces: Traces,
    is_over: bool,
}

#[derive(Deserialize)]
struct Spans {
    sent: u64,
    out: u64,
    compared: u64,
}

#[derive(Deserialize)]
struct Traces {
    settled: u64,
    awaited: u64,
}

pub(super) async fn learn(command: &Learn, format: Format) -> Result<Exit, Failed> {
    let Watch { environment, for_ms, server, .. } = &command.watch;
    let request = LearnRequest {
        environment: environment.map(|which| match which {
            Which::Blue => Environment::Blue,
            Which::Green => Environment::Green,
        }),
        for_ms: *for_ms,
        horizon_ms: horizon_ms(&command.watch)?,
        least_share: command.least_share,
        least_spans: command.least_spans,
    };
    let mut lines = ApiClient::new(&server.socket).follow("/v1/learning", &request).await?;
    let mut progress = Progress::open();
    let (last, why_ended) = watch(&mut lines, &mut progress).await;
    progress.clear();
    let Some(last) = last else {
        let why = why_ended.unwrap_or_else(|| anyhow::anyhow!("interrupted").into());
        return Err(Failed { exit: why.exit, error: why.error.context("nothing was learned") });
    };
    let known = Known::deserialize(&last)?;
    let watched = ShortDuration(for_ms.saturating_sub(known.left_ms));
    if known.spans.compared == 0 {
        return Err(nothing(&known, watched));
    }
    if let Some(why) = why_ended {
        eprintln!("warning: this is of {watched} alone: {why}");
    }
    match format {
        Format::Text => say_as_is(&known.yaml),
        Format::Json => say(last),
    }
    Ok(Exit::Done)
}

/// The horizon that was asked for, if it leaves time to wait for anything.
fn horizon_ms(watch: &Watch) -> Result<u64, Failed> {
    let for_ms = watch.for_ms;
    let (horizon_ms, whose) = match (&watch.plan, watch.horizon) {
        (Some(plan), _) => (read_plan(plan)?.1.verification.horizon_ms, "the plan's horizon"),
        (None, Some(horizon_ms)) => (horizon_ms, "--horizon"),
        (None, None) => return Ok((for_ms / 2).min(DEFAULT_HORIZON_MS)),
    };
    if horizon_ms >= for_ms {
        let (horizon, time) = (ShortDuration(horizon_ms), ShortDuration(for_ms));
        return Err(Failed::usage(format!(
            "{whose} is {horizon}, and --for {time}: expected a longer time, or nobody knows what will not come out"
        )));
    }
    Ok(horizon_ms)
}

/// What was told last, and why no more was if it was not over.
async fn watch(lines: &mut Lines, progress: &mut Progress) -> (Option<Value>, Option<Failed>) {
    let mut last = None;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let told = tokio::select! {
            told = lines.next::<Value>() => told,
            _ = &mut interrupted => {
                // Whoever cannot wait for that interrupts once more.
                let told = tokio::select! {
                    told = tokio::time::timeout(LAST_LIMIT, lines.next::<Value>()) => told.ok(),
                    _ = tokio::signal::ctrl_c() => None,
                };
                return (told.and_then(Result::ok).flatten().or(last), None);
            }
        };
        match told {
            Ok(Some(told)) => match Known::deserialize(&told) {
                Ok(known) if known.is_over => return (Some(told), None),
                Ok(known) => {
                    progress.show(&known);
                    last = Some(told);
                }
                Err(error) => {
                    let error = anyhow::Error::new(error).context("the server's answer is of another version");
                    return (last, Some(error.into()));
                }
            },
            Ok(None) => return (last, Some(anyhow::anyhow!("the server stopped, or another one took over").into())),
            Err(why) => return (last, Some(why)),
        }
    }
}

fn nothing(known: &Known, watched: ShortDuration) -> Failed {
    let Known { environment, tap, spans: Spans { sent, out, .. }, .. } = known;
    let (sent, out) = (thousands(*sent), thousands(*out));
    let why = match (known.spans.sent, known.spans.out) {
        (0, _) => format!("no span was sent to {environment} in {watched}: point its senders at the gateway first"),
        (_, 0) => format!(
            "no span came out of {environment} in {watched}, of the {sent} that were sent: does its pipeline export to the \
             tap {tap:?}? One that samples late needs a longer --for"
        ),
        (_, _) => format!(
            "none of the {out} spans that came out of {environment} in {watched} is one of the {sent} that were sent: does \
             another pipeline export to the tap {tap:?}?"
        ),
    };
    Failed { exit: Exit::Other, error: anyhow::Error::msg(why) }
}

/// A line on a terminal that is written over; nothing elsewhere.
struct Progress {
    is_terminal: bool,
}

impl Progress {
    fn open() -> Progress {
        Progress { is_terminal: stderr().is_terminal() }
    }

    fn show(&mut self, known: &Known) {
        if self.is_terminal {
            self.write(&line(known));
        }
    }

    fn clear(&mut self) {
        if self.is_terminal {
            self.write("");
        }
    }

    fn write(&mut self, text: &str) {
        let mut out = stderr().lock();
        // Without a terminal any more there is nobody to show it to.
        let _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
    }
}

/// How it goes, within 80 columns for what is usual.
fn line(known: &Known) -> String {
    let Known { environment, spans, traces, declared, left_out, .. } = known;
    format!(
        "{environment}: {} traces, {} spans compared; {} changes explained, {} too rare; {} left",
        thousands(traces.settled + traces.awaited),
        thousands(spans.compared),
        declared.len(),
        left_out.len(),
        ShortDuration(known.left_ms)
    )
}

#[cfg(test)]
mod tests;
