//! `verdigris rollout …`: asks a running server.

mod watch;

use super::plan::read_plan;
use crate::api::ApiClient;
use crate::cli::{Format, Named, Note, Rollout};
use crate::describe::{Exit, Failed, printable, read_text, say, say_as_is, timestamp};
use control::RolloutSummary;
use model::ShortDuration;
use rollout::acceptance::{MAX_NOTE_BYTES, Says, check_note};
use rollout::{Command, GroupReport, InClear, Progress, Report};
use std::path::Path;
use watch::follow;
use web::{SignOffRequest, StartRequest};

/// Runs it.
pub async fn run(command: Rollout, format: Format) -> Result<Exit, Failed> {
    match command {
        Rollout::Start { plan, watch, plain, server } => {
            let api = ApiClient::new(&server.socket);
            let report = start(&api, &plan).await?;
            if watch {
                return follow(api, &report.rollout.0, format, plain).await;
            }
            show(&report, format)
        }
        Rollout::List { server } => list(&ApiClient::new(&server.socket), format).await,
        Rollout::Status { named } => {
            let report: Report = ApiClient::new(&named.server.socket).get(&path(&named.rollout)).await?;
            let exit = exit(report.progress);
            show(&report, format)?;
            Ok(exit)
        }
        Rollout::Watch { named, plain } => {
            follow(ApiClient::new(&named.server.socket), &named.rollout, format, plain).await
        }
        Rollout::Pause { named } => command_of(&named, &Command::Pause, format).await,
        Rollout::Resume { named } => command_of(&named, &Command::Resume, format).await,
        Rollout::Promote { named } => command_of(&named, &Command::Promote, format).await,
        Rollout::Rollback { named, reason, past_the_point_of_no_return: past_point_of_no_return } => {
            let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
            command_of(&named, &Command::Rollback { reason, past_point_of_no_return }, format).await
        }
        Rollout::Accept { named, note } => sign_off(&named, Says::Accept, &note, format).await,
        Rollout::Refuse { named, note } => sign_off(&named, Says::Refuse, &note, format).await,
        Rollout::Approve(command) => super::approve::run(&command, format).await,
    }
}

async fn start(api: &ApiClient, plan: &Path) -> Result<Report, Failed> {
    let (text, _) = read_plan(plan)?;
    let absolute = std::path::absolute(plan)?;
    let base_dir = absolute.parent().unwrap_or(Path::new("/")).display().to_string();
    api.post("/v1/rollouts", &StartRequest { plan: text, base_dir }).await
}

async fn command_of(named: &Named, command: &Command, format: Format) -> Result<Exit, Failed> {
    let api = ApiClient::new(&named.server.socket);
    let report: Report = api.post(&format!("{}/commands", path(&named.rollout)), command).await?;
    show(&report, format)
}

/// A refusal leads back, which is what was asked for: exit code 0.
async fn sign_off(named: &Named, says: Says, note: &Note, format: Format) -> Result<Exit, Failed> {
    let note = match (&note.note, &note.note_file) {
        (Some(text), _) => Some(text.trim_end().to_owned()),
        (None, Some(file)) => Some(read_text(file, MAX_NOTE_BYTES as u64)?.trim_end().to_owned()),
        (None, None) => None,
    };
    if says == Says::Refuse && note.is_none() {
        return Err(Failed::usage("a refusal says why: add --note TEXT or --note-file FILE".to_owned()));
    }
    if let Some(note) = &note {
        check_note(note).map_err(Failed::usage)?;
    }
    let api = ApiClient::new(&named.server.socket);
    let report: Report =
        api.post(&format!("{}/sign-offs", path(&named.rollout)), &SignOffRequest { says, note }).await?;
    show(&report, format)
}

async fn list(api: &ApiClient, format: Format) -> Result<Exit, Failed> {
    let rollouts: Vec<RolloutSummary> = api.get("/v1/rollouts").await?;
    match format {
        Format::Json => say(format_args!("{}", serde_json::to_string(&rollouts)?)),
        Format::Text if rollouts.is_empty() => say(format_args!("no rollout yet: `verdigris rollout start PLAN`")),
        Format::Text => {
            for rollout in &rollouts {
                say(format_args!(
                    "{}  started {}  green serves {}  {}",
                    printable(&rollout.rollout.0),
                    timestamp(rollout.started_at),
                    rollout.green_serves,
                    printable(&rollout.headline)
                ));
                for exception in &rollout.exceptions {
                    say(format_args!("  ! {}", printable(exception)));
                }
            }
        }
    }
    Ok(Exit::Done)
}

pub(super) fn path(rollout: &str) -> String {
    let safe: String = rollout.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
    format!("/v1/rollouts/{safe}")
}

/// DESIGN.md's exit codes for a rollout.
pub fn exit(progress: Progress) -> Exit {
    match progress {
        Progress::RolledBack | Progress::RollingBack => Exit::RolledBack,
        Progress::Held => Exit::Held,
        Progress::Progressing | Progress::Paused | Progress::Promoting | Progress::Promoted => Exit::Done,
    }
}

pub(super) fn show(report: &Report, format: Format) -> Result<Exit, Failed> {
    match format {
        Format::Json => say(format_args!("{}", serde_json::to_string(report)?)),
        Format::Text => say_as_is(format_args!("{}", status_text(report))),
    }
    Ok(Exit::Done)
}

/// Findings that a status lists, those that green shows and blue does not, the most telling first.
const MAX_FINDINGS_SHOWN: usize = 5;

/// A report as text.
pub fn status_text(report: &Report) -> String {
    let mut lines = vec![
        format!("{}: {}", printable(&report.rollout.0), printable(&report.headline)),
        format!("  plan         {}", report.plan_digest),
        format!("  started      {} by {}", timestamp(report.started_at), printable(&report.started_by)),
    ];
    let observed = report.green_serves.map_or("not yet".to_owned(), |share| share.to_string());
    let mirror = if report.mirror { ", mirror on" } else { "" };
    let (ordered, generation) = (report.weight_ordered, report.generation);
    lines.push(format!(
        "  traffic      {} is active; green serves {observed}, weight ordered {ordered}{mirror} (generation {generation})",
        report.active
    ));
    lines.extend(report.exceptions.iter().map(|exception| format!("  !            {}", printable(exception))));
    for approval in &report.approvals {
        let (by, at, until) = (printable(&approval.by), timestamp(approval.at), timestamp(approval.expires_at));
        lines.push(format!("  approved     by {by} at {at}, until {until}"));
    }
    for word in &report.sign_offs {
        let said = if word.says == Says::Accept { "accepted" } else { "refused" };
        let (by, at, traces) = (printable(&word.by), timestamp(word.at), word.tested.traces);
        let note = word.note.as_deref().map(|note| format!(": {}", printable(note))).unwrap_or_default();
        lines.push(format!("  {said:<12} by {by} at {at}, after {traces} trace(s) at green{note}"));
    }
    if report.torn > 0 {
        lines.push(format!("  torn         {} traces in flight, by the rollback", report.torn));
    }
    for what in &report.waits_for {
        lines.push(format!("  waits for    {}", printable(what)));
    }
    if let Some(left) = report.time_left_ms {
        lines.push(format!("  time left    {}", ShortDuration(left)));
    }
    if let Some(assessment) = &report.assessment {
        for guard in &assessment.guards {
            lines.push(format!("  {:<12} {}", guard.name(), printable(&guard.words)));
        }
    }
    if let Some(noise) = &report.noise {
        lines.push(format!("  noise floor  {}", printable(&noise.words)));
    }
    if let Some(leaks) = &report.leaks {
        lines.push(format!("  leaks        {}", leaks.counts()));
        let green_alone = leaks.found.iter().filter(|found| found.traces.blue == 0);
        lines.extend(green_alone.map(|found| format!("  in clear     {}", printable(&found.words()))));
    }
    if let Some(canaries) = &report.canaries {
        lines.push(format!("  canaries     {}", canaries.counts()));
        let words = |secret: &InClear| {
            let leak = if canaries.is_leak(secret) { "LEAK " } else { "" };
            format!("  in clear     {leak}{}", printable(&canaries.words(secret)))
        };
        lines.extend(canaries.in_clear.iter().map(words));
    }
    let shown = report.findings.iter().filter(|found| found.group.beyond_blue() > 0).take(MAX_FINDINGS_SHOWN);
    lines.extend(shown.map(|found| format!("  found        {}", printable(&found_words(found)))));
    if let Some(cause) = &report.cause {
        lines.push(format!("  cause        {}: {}", cause.guard, printable(&cause.finding)));
        lines.extend(cause.reasons.iter().map(|reason| format!("               {}", printable(reason))));
        lines.extend(cause.example_trace.map(|trace| format!("  example      trace {trace}")));
    }
    for (index, step) in report.steps.iter().enumerate() {
        let mark = match step {
            step if step.failed => 'x',
            step if step.current => '>',
            step if step.done => '*',
            _ => ' ',
        };
        lines.push(format!("  {mark} {:>2} {}", index + 1, printable(&step.does)));
    }
    lines.join("\n") + "\n"
}

/// One group of findings, in a line.
pub(crate) fn found_words(found: &GroupReport) -> String {
    let GroupReport { group, share } = found;
    let key = group.key.as_ref().map_or(String::new(), |key| format!(" `{key}`"));
    let (green, blue) = (&share.green, &share.blue);
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let until = green.at_most.map_or("no upper end".to_owned(), percent);
    let example = group.examples.first().map_or(String::new(), |trace| format!(", as in {trace}"));
    format!(
        "{}{key} in {} / {}: {} of green's traces ({} to {until}), {} of blue's{example}",
        group.check.words(),
        group.service,
        group.operation,
        percent(green.estimate),
        percent(green.at_least),
        percent(blue.estimate)
    )
}

#[cfg(test)]
mod tests;
