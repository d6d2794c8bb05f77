//! `cargo xtask bench`: what the data plane costs, measured beside what others do in the same run, and the judge on
//! thousands of seeds. It prints numbers and judges none that the machine has a part in: on a shared one they tell a person
//! something, and a test nothing.

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
use std::path::{Path, PathBuf};
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
    /// STATISTICS.md's acceptance table again, with the judge's own forms: false alarms over 10,000 seeds, detections over
    /// 600, real traces in 1,000 random halves. About a quarter of an hour on two cores
    Judge {
        /// A few seeds of everything, in a minute: to see that it runs
        #[arg(long)]
        quick: bool,
        /// Only these parts: false-alarms, detections, nezha
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// The first seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder of the Nezha traces
        #[arg(long, value_name = "DIR")]
        nezha: Option<PathBuf>,
        /// One JSON value a row; the tables go to standard error
        #[arg(long)]
        json: bool,
    },
    /// Real traces, divided at random, with each fault injected into green's half at several rates: precision, recall and
    /// whether the cause is named; halves without a fault; and the join's spans a second and bytes a span. Some minutes
    Verify {
        /// A few seeds of everything: to see that it runs
        #[arg(long)]
        quick: bool,
        /// Only these parts: faults, no-fault, speed
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// The first seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder of the Nezha traces
        #[arg(long, value_name = "DIR")]
        nezha: Option<PathBuf>,
        /// One JSON value a row; the tables go to standard error
        #[arg(long)]
        json: bool,
    },
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
        Bench::Judge { quick, only, seed, nezha, json } => {
            on_seeds(workspace, "judge", (*quick, *json), only, *seed, nezha.as_deref())
        }
        Bench::Verify { quick, only, seed, nezha, json } => {
            on_seeds(workspace, "verify", (*quick, *json), only, *seed, nezha.as_deref())
        }
    }
}

/// A part of the `bench` binary that runs on seeds and on real traces.
fn on_seeds(
    workspace: &Workspace,
    part: &str,
    (quick, json): (bool, bool),
    only: &[String],
    seed: u64,
    nezha: Option<&Path>,
) -> Result<()> {
    let mut command = Command::new(release_binary(workspace, "bench")?);
    command.args([part, "--seed", &seed.to_string()]);
    for (flag, set) in [("--quick", quick), ("--json", json)] {
        if set {
            command.arg(flag);
        }
    }
    if !only.is_empty() {
        command.args(["--only", &only.join(",")]);
    }
    if let Some(folder) = nezha {
        command.arg("--nezha").arg(folder);
    }
    process::run(&mut command)
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
