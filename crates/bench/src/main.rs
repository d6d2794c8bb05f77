//! What `cargo xtask bench` and `cargo xtask soak` measure with: the wire split beside prost, a load generator with its
//! own sinks, a client and back ends that keep books on every span, the ledger beside a raw append, and the judge on thousands
//! of seeds.
//!
//! Development only, and no part of the product: nothing depends on it. It measures and reports; it judges no number
//! that the machine has a part in, for on a shared one that is a test that fails at random.

mod cpu;
mod drift;
mod edges;
mod generator;
mod judge;
mod judge_speed;
mod ledger;
mod load;
mod nezha;
mod orders;
mod redaction;
mod requests;
mod seeded;
mod soak;
mod split;
mod verification;

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
    /// The judge on one thread: nanoseconds a batch and metric
    JudgeSpeed(judge_speed::Options),
    /// The judge on simulated and on real traces, beside STATISTICS.md's table
    Judge(judge::Options),
    /// Appends to the ledger beside the same bytes written and synced
    Ledger(ledger::Options),
    /// Two environments' configurations compared by meaning, beside `diff -r`
    Drift(drift::Options),
    /// Redaction on one thread: OTLP exports, and a corpus of values that must be found and identifiers that must stay
    Redact(redaction::Options),
    /// Verification on real traces with injected faults: what is found and named, and how fast spans are joined
    Verify(verification::Options),
    /// A load generator and two sinks, told what to do by JSON lines on standard input until that ends
    Load,
    /// `verdigris load`'s own limit, arrival times and figures of a known pause
    Generator(generator::Options),
    /// The soak test's client, told what to do by JSON lines on standard input until that ends
    SoakLoad(soak::LoadOptions),
    /// One of the soak test's back ends, told likewise
    SoakSink(soak::SinkOptions),
}

/// How long a turn takes, as an option says it.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=60.0).contains(seconds));
    seconds.ok_or_else(|| "expected 0.1 to 60 seconds".to_owned())
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Split(options) => split::run(&options),
        Command::JudgeSpeed(options) => judge_speed::run(&options),
        Command::Judge(options) => judge::run(&options),
        Command::Ledger(options) => ledger::run(&options),
        Command::Drift(options) => drift::run(&options),
        Command::Redact(options) => redaction::run(&options),
        Command::Verify(options) => verification::run(&options),
        Command::Load => load::run(),
        Command::Generator(options) => generator::run(&options),
        Command::SoakLoad(options) => soak::run_load(&options),
        Command::SoakSink(options) => soak::run_sink(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
