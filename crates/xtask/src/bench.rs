//! `cargo xtask bench`: what the data plane costs, measured beside what others do in the same run. It prints numbers and
//! judges none: on a shared machine they tell a person something, and a test nothing.

mod contenders;
mod figures;
mod gateway;
mod load;
pub mod running;

use crate::process;
use crate::workspace::Workspace;
use anyhow::Result;
use clap::Subcommand;
use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

#[derive(Subcommand)]
pub enum Bench {
    /// The wire split beside prost decode, regroup and encode of the same requests, which must give the same bytes
    Split {
        /// Seconds of CPU time for each number
        #[arg(long, default_value_t = 2.0, value_parser = seconds)]
        secs: f64,
        /// One JSON value a line
        #[arg(long)]
        json: bool,
    },
    /// `verdigris serve` beside Rotel, Envoy and no proxy at all: passing through, splitting, mirroring, verifying; with
    /// 100 and 1,000 spans a request. By default six to seven minutes, and the release build before
    Gateway(gateway::Options),
}

/// Runs one benchmark with release binaries of the tree as it stands.
pub fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Split { secs, json } => {
            let mut command = Command::new(release_binary(workspace, "bench")?);
            command.args(["split", "--secs", &secs.to_string()]);
            if *json {
                command.arg("--json");
            }
            process::run(&mut command)
        }
        Bench::Gateway(options) => gateway::run(workspace, options),
    }
}

/// Builds a package's binary of the same name. One package at a time: together their dependencies' features would differ
/// from those of the binary that is released.
pub fn release_binary(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let build = ["build", "--release", "--quiet", "--package", package];
    process::run_aside(process::cargo().current_dir(&workspace.root).args(build))?;
    Ok(workspace.target.join("release").join(format!("{package}{EXE_SUFFIX}")))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=60.0).contains(seconds));
    seconds.ok_or_else(|| "expected 0.1 to 60 seconds".to_owned())
}
