//! `verdigris gate`: a gate of a plan by itself, without a rollout and without a server.

use super::plan::read_plan;
use crate::cli::{Format, Gate};
use crate::clock;
use crate::config::programs;
use crate::describe::{Exit, Failed, say};
use control::{Surroundings, run_gate};
use gates::Run;
use model::GateVerdict;
use std::path::{Path, PathBuf};

/// Runs it.
pub async fn run(command: &Gate, format: Format) -> Result<Exit, Failed> {
    let Gate { name, plan: path, allow, evidence } = command;
    let (_, plan) = read_plan(path)?;
    let around = surroundings(allow)?;
    let base_dir = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    let Run { result, evidence: found } = run_gate(*name, &plan, &base_dir, around).await;
    if let (Some(file), Some(bytes)) = (evidence, &found) {
        std::fs::write(file, bytes).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    }
    match format {
        Format::Text => {
            say(format_args!("{name}: {}", verdict_name(result.verdict)));
            for reason in &result.reasons {
                say(format_args!("  {reason}"));
            }
            if let (Some(file), None) = (evidence, &found) {
                say(format_args!("  there is no evidence beyond that: {} is not written", file.display()));
            }
        }
        Format::Json => {
            let json = serde_json::json!({ "gate": name, "verdict": result.verdict, "reasons": result.reasons });
            say(format_args!("{json}"));
        }
    }
    Ok(exit(result.verdict))
}

/// What a run by hand needs: the time, a key of its own, and the programs that its user allows.
pub fn surroundings(allow: &[PathBuf]) -> Result<Surroundings, Failed> {
    let commands = programs(allow.to_vec()).map_err(|error| Failed::usage(format!("--allow: {error}")))?;
    // Whom the environments call and what comes out of them is known where a server sees it.
    let (route_key, dependencies, counts_load) = (None, None, None);
    Ok(Surroundings { now: clock::now(), key: clock::random(), commands, route_key, dependencies, counts_load })
}

/// As people read it.
fn verdict_name(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Pass => "pass",
        GateVerdict::Fail => "fail",
        GateVerdict::Inconclusive => "inconclusive",
        GateVerdict::Error => "error",
    }
}

/// Like a rollout: a failed gate would have rolled back, one that cannot tell would have held.
pub fn exit(verdict: GateVerdict) -> Exit {
    match verdict {
        GateVerdict::Pass => Exit::Done,
        GateVerdict::Fail => Exit::RolledBack,
        GateVerdict::Inconclusive => Exit::Held,
        GateVerdict::Error => Exit::Other,
    }
}
