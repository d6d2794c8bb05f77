//! `cargo xtask test`: everything that must hold before a change is handed on, in order, up to the first failure.
//!
//! Every call of cargo that compiles tests names the whole workspace and chooses tests by name: with `-p` or
//! `--exclude` the dependencies' features would differ from call to call, and they would be compiled again.

use crate::workspace::Workspace;
use crate::{check, e2e_setup, process};
use anyhow::{Context, Result, ensure};
use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The module of the end-to-end tests in crates/verdigris/tests/it. They need the release binary and real peers, so the
/// first run of the tests leaves them out by this name; a test that needs those and is not in it fails there.
const END_TO_END: &str = "e2e::";

/// Runs the steps. `fast` leaves out the release build and the end-to-end tests.
pub fn run(workspace: &Workspace, fast: bool) -> Result<()> {
    let mut steps = Steps::begin();
    steps.run("formatting", || process::run(&mut cargo(workspace, &["fmt", "--all", "--check"])))?;
    steps.run("clippy", || {
        process::run(&mut cargo(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    steps.run("rules", || check::run(workspace))?;
    let mut programs = PathBuf::new();
    steps.run("PostgreSQL", || e2e_setup::postgres(workspace).map(|found| programs = found))?;
    steps.run("tests", || {
        let mut tests = cargo(workspace, &["test", "--workspace", "--", "--skip", END_TO_END]);
        process::run(tests.env(e2e_setup::POSTGRES, &programs))
    })?;
    if !fast {
        steps
            .run("release build", || process::run(&mut cargo(workspace, &["build", "--release", "-p", "verdigris"])))?;
        steps.run("end-to-end setup", || e2e_setup::run(workspace).map(drop))?;
        steps.run("end-to-end tests", || end_to_end_tests(workspace))?;
    }
    steps.close(fast);
    Ok(())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.current_dir(&workspace.root).args(arguments);
    command
}

/// The tests that start the released binary between real collectors and clients. Alone, for what they find is of use only if
/// the machine keeps up with their traffic.
fn end_to_end_tests(workspace: &Workspace) -> Result<()> {
    let installed = e2e_setup::run(workspace)?;
    let binary = workspace.target.join("release").join(format!("verdigris{EXE_SUFFIX}"));
    let chosen = ["test", "--workspace", "--test", "it", "--", END_TO_END];
    // A filter that matched nothing would pass.
    let listed = process::read(cargo(workspace, &chosen).arg("--list"))?;
    ensure!(listed.lines().any(|line| line.ends_with(": test")), "no test has {END_TO_END:?} in its path");
    let mut command = cargo(workspace, &chosen);
    command.env("VERDIGRIS_BIN", binary);
    command.env("VERDIGRIS_E2E_PYTHON", installed.python).env("VERDIGRIS_E2E_NODE", installed.node);
    command.env("VERDIGRIS_E2E_DEBIAN", installed.debian).env(e2e_setup::POSTGRES, installed.postgres);
    process::run(command.env("VERDIGRIS_E2E_PROMETHEUS", installed.prometheus))
}

/// The steps that were done, with how long each took.
struct Steps {
    began: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn begin() -> Steps {
        Steps { began: now(), done: Vec::new() }
    }

    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n==> {name}");
        let began = now();
        let outcome = step();
        let took = began.elapsed();
        println!("<== {name}: {} in {}", if outcome.is_ok() { "passed" } else { "FAILED" }, seconds(took));
        self.done.push((name, took));
        outcome.with_context(|| format!("{name} failed after {}", seconds(self.began.elapsed())))
    }

    fn close(&self, fast: bool) {
        println!();
        for (name, took) in &self.done {
            println!("{:>9}  {name}", seconds(*took));
        }
        let left_out = if fast { " (fast: without the release build and the end-to-end tests)" } else { "" };
        println!(
            "cargo xtask test: all {} steps passed in {}{left_out}",
            self.done.len(),
            seconds(self.began.elapsed())
        );
    }
}

/// `75.3 s`.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is for the developer's eyes and decides nothing")]
fn now() -> Instant {
    Instant::now()
}
