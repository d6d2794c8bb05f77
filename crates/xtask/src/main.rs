//! What CI and a developer run: `cargo xtask test`, `check`, `bench`, `soak`, `fuzz`, `e2e-setup`. A command is a module with
//! one `run`.
//!
//! It starts cargo, Python and pip as processes, and knows the workspace from its manifests alone: it depends on no
//! crate of ours, so that it still builds when one of them does not.

mod bench;
mod check;
mod e2e_setup;
mod fuzz;
mod process;
mod soak;
mod test;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What CI and a developer run")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Formatting, clippy, the workspace's rules, the tests, and the end-to-end tests with the release binary
    Test {
        /// Without the release build and the end-to-end tests
        #[arg(long)]
        fast: bool,
    },
    /// The workspace's rules: who may depend on whom, file sizes, headers, reasons, documents
    Check,
    /// Measures the data plane beside its peers, with release binaries; judges no number
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Minutes of load while everything is killed, stalled and filled at random, and a table of what was lost or torn
    Soak(soak::Options),
    /// Fuzzes what reads bytes from anybody, with libFuzzer; needs the nightly compiler and cargo-fuzz
    Fuzz(fuzz::Fuzz),
    /// Installs what the end-to-end tests need into target/e2e, and prints the path of its Python
    E2eSetup,
}

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::load()?;
    match command {
        Command::Test { fast } => test::run(&workspace, fast),
        Command::Check => check::run(&workspace),
        Command::Bench(bench) => bench::run(&workspace, &bench),
        Command::Fuzz(fuzz) => fuzz::run(&workspace, &fuzz),
        Command::Soak(options) => soak::run(&workspace, &options),
        Command::E2eSetup => {
            println!("{}", e2e_setup::run(&workspace)?.python.display());
            Ok(())
        }
    }
}
