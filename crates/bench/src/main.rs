//! What `cargo xtask bench` measures with: the wire split beside prost, and a load generator with its own sinks.
//!
//! Development only, and no part of the product: nothing depends on it. It measures and reports; it judges no number,
//! for on a shared machine a number that is judged is a test that fails at random.

mod load;
mod requests;
mod split;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "bench", about = "What `cargo xtask bench` measures with")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The wire split beside prost, on one thread
    Split(split::Options),
    /// A load generator and two sinks, told what to do by JSON lines on standard input until that ends
    Load,
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Split(options) => split::run(&options),
        Command::Load => load::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
