//! `verdigris plan check`.

use crate::cli::{Format, Plan};
use crate::describe::{Exit, Failed, read_text, say, say_as_is};
use rollout::plan::{MAX_PLAN_BYTES, parse, preview};
use std::path::Path;

/// Runs it.
pub fn run(command: &Plan, format: Format) -> Result<Exit, Failed> {
    match command {
        Plan::Check { plan } => check(plan, format),
    }
}

fn check(path: &Path, format: Format) -> Result<Exit, Failed> {
    let plan = read_plan(path)?.1;
    control::check_policies(&plan).map_err(|error| Failed::usage(format!("{}: {error}", path.display())))?;
    let preview = preview(&plan);
    match format {
        Format::Text => say_as_is(format_args!("{preview}")),
        Format::Json => say(format_args!("{}", serde_json::to_string(&preview)?)),
    }
    Ok(Exit::Done)
}

/// A plan's text, and what it says; every mistake with file, line and column.
pub fn read_plan(path: &Path) -> Result<(String, rollout::plan::Plan), Failed> {
    let text = read_text(path, MAX_PLAN_BYTES as u64)?;
    let file = path.display().to_string();
    let plan = parse(&text).map_err(|errors| Failed::usage(errors.display(&file).to_string()))?;
    Ok((text, plan))
}
