//! `verdigris gate`.

use clap::Args;
use rollout::plan::GateName;
use std::path::PathBuf;

/// `verdigris gate`.
#[derive(Debug, Args)]
pub struct Gate {
    /// Which gate.
    #[arg(value_parser = gate_name)]
    pub name: GateName,
    /// The plan, a YAML file.
    pub plan: PathBuf,
    /// A program that may be run for a configuration, by its whole path; give it again for more.
    #[arg(long, value_name = "PROGRAM")]
    pub allow: Vec<PathBuf>,
    /// Where what the verdict rests on is written to, as JSON.
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
}

fn gate_name(text: &str) -> Result<GateName, String> {
    let runs = |gate: &GateName| gate.is_run();
    let names = || GateName::ALL.into_iter().filter(runs).map(GateName::name).collect::<Vec<_>>().join(", ");
    GateName::ALL
        .into_iter()
        .filter(runs)
        .find(|gate| gate.name() == text)
        .ok_or_else(|| format!("expected one of {}", names()))
}
