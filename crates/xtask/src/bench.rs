//! `cargo xtask bench`: what the data plane costs, measured beside what others do in the same run, the ledger beside a
//! raw append, and the judge on thousands of seeds. It prints numbers and judges none that the machine has a part in: on a
//! shared one they tell a person something, and a test nothing.

mod contenders;
mod figures;
mod gateway;
mod load;
mod redaction;
pub mod running;

use crate::workspace::Workspace;
use crate::{e2e_setup, process};
use anyhow::Result;
use clap::{Args, Subcommand};
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
    /// Appends to the ledger with 1, 64 and 512 writers, beside the same bytes written and synced, alone and gathered; in turns,
    /// on the same disk. A minute and a half
    Ledger {
        /// Seconds of each turn
        #[arg(long, default_value_t = 2.0, value_parser = seconds)]
        secs: f64,
        /// Turns of each; the median of their figures is told
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Where the files are written, and removed again; by default the target folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// One JSON value a line
        #[arg(long)]
        json: bool,
    },
    /// Two environments of 2,000 files each compared by meaning, beside `diff -r`. Some seconds
    Drift {
        /// Turns of each; the median is told
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// One JSON value
        #[arg(long)]
        json: bool,
    },
    /// Redaction of OTLP exports, and beside Presidio on a corpus of faker's values and of identifiers: speed, what is found, what
    /// should have stayed. A minute; the first time, 250 MB from PyPI
    Redact(redaction::Options),
    /// Rows of PostgreSQL on each side compared, beside both tables copied out by `psql` and joined. Two minutes with ten million
    Migration {
        /// Rows on each side
        #[arg(long, default_value_t = 10_000_000)]
        rows: u64,
    },
    /// The load generator: spans a second beside `otlpbench gen`, what a pause of half a second of a server does to its
    /// figures and to a closed loop's, and how near to the recorded times a replay is. Two minutes
    Generator(Generator),
    /// STATISTICS.md's acceptance table again, with the judge's own forms: false alarms over 10,000 seeds, detections over
    /// 600, real traces in 1,000 random halves. About a quarter of an hour on two cores
    Judge(OnSeeds),
    /// Real traces, divided at random, with each fault injected into green's half at several rates: precision, recall and
    /// whether the cause is named; halves without a fault; and the join's spans a second and bytes a span. Some minutes
    Verify(OnSeeds),
}

/// What runs on seeds, and on real traces.
#[derive(Args)]
pub struct OnSeeds {
    /// A few seeds of everything, in a minute: to see that it runs
    #[arg(long)]
    quick: bool,
    /// Only these parts: false-alarms, detections, nezha of `judge`; faults, no-fault, speed of `verify`
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
}

/// What of the load generator is measured.
#[derive(Args)]
pub struct Generator {
    /// How long a turn takes
    #[arg(long, default_value_t = 4.0, value_parser = seconds)]
    secs: f64,
    /// Turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The folder of otlpbench's sources
    #[arg(long, value_name = "DIR")]
    otlpbench: Option<PathBuf>,
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
        Bench::Ledger { secs, rounds, dir, json } => {
            let mut command = Command::new(release_binary(workspace, "bench")?);
            command.args(["ledger", "--secs", &secs.to_string(), "--rounds", &rounds.to_string()]);
            command.arg("--dir").arg(dir.as_ref().unwrap_or(&workspace.target));
            if *json {
                command.arg("--json");
            }
            process::run(&mut command)
        }
        Bench::Drift { rounds, json } => {
            let mut command = Command::new(release_binary(workspace, "bench")?);
            command.args(["drift", "--rounds", &rounds.to_string()]).arg("--dir").arg(&workspace.target);
            if *json {
                command.arg("--json");
            }
            process::run(&mut command)
        }
        Bench::Gateway(options) => gateway::run(workspace, options),
        Bench::Redact(options) => redaction::run(workspace, options),
        Bench::Migration { rows } => {
            let build = ["build", "--release", "--quiet", "--package", "postgres", "--example", "compare"];
            process::run_aside(process::cargo().current_dir(&workspace.root).args(build))?;
            let mut command =
                Command::new(workspace.target.join("release/examples").join(format!("compare{EXE_SUFFIX}")));
            let programs = e2e_setup::postgres(workspace)?;
            process::run(command.arg(rows.to_string()).env(e2e_setup::POSTGRES, programs))
        }
        Bench::Generator(options) => options.run(workspace),
        Bench::Judge(options) => options.run(workspace, "judge"),
        Bench::Verify(options) => options.run(workspace, "verify"),
    }
}

impl Generator {
    fn run(&self, workspace: &Workspace) -> Result<()> {
        let sources = self.otlpbench.clone().unwrap_or_else(|| workspace.root.join("../shared/bench"));
        let bench = release_binary(workspace, "bench")?;
        let target = workspace.target.join("otlpbench");
        let mut build = process::cargo();
        build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(sources.join("Cargo.toml"));
        process::run_aside(build.arg("--target-dir").arg(&target))?;
        let peer = target.join("release").join(format!("otlpbench{EXE_SUFFIX}"));
        let (secs, rounds) = (self.secs.to_string(), self.rounds.to_string());
        for what in ["limit", "pause", "arrival"] {
            let mut command = Command::new(&bench);
            command.args(["generator", what, "--secs", &secs, "--rounds", &rounds, "--otlpbench"]).arg(&peer);
            process::run(&mut command)?;
        }
        Ok(())
    }
}

impl OnSeeds {
    /// Runs a part of the `bench` binary.
    fn run(&self, workspace: &Workspace, part: &str) -> Result<()> {
        let mut command = Command::new(release_binary(workspace, "bench")?);
        command.args([part, "--seed", &self.seed.to_string()]);
        for (flag, set) in [("--quick", self.quick), ("--json", self.json)] {
            if set {
                command.arg(flag);
            }
        }
        if !self.only.is_empty() {
            command.args(["--only", &self.only.join(",")]);
        }
        if let Some(folder) = &self.nezha {
            command.arg("--nezha").arg(folder);
        }
        process::run(&mut command)
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
