//! Reads the command line, runs the command, and ends with its exit code.

use clap::Parser;
use control::OWN_SPANS;
use mimalloc::MiMalloc;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use verdigris::activation::Passed;
use verdigris::cli::{Cli, Command, ConfigCommand, Format};
use verdigris::commands;
use verdigris::describe::{Exit, Failed};
use verdigris::telemetry::OwnLayer;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let default = match cli.command {
        Command::Serve(_) | Command::Witness(_) | Command::Agent(_) => "info",
        Command::Demo(_)
        | Command::Plan(_)
        | Command::Config(_)
        | Command::Doctor(_)
        | Command::Completions { .. }
        | Command::Man(_)
        | Command::Gate(_)
        | Command::Redact(_)
        | Command::Drift(_)
        | Command::Load(_)
        | Command::Record(_)
        | Command::Rollout(_)
        | Command::Approve(_)
        | Command::Ledger(_)
        | Command::Audit(_)
        | Command::Judge(_)
        | Command::Trace(_)
        | Command::Verify(_) => "error",
    };
    let filter = EnvFilter::try_from_env("VERDIGRIS_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // What people read has no spans in it: those are for a collector, if there is one.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter_fn(|metadata| !metadata.is_span() || metadata.target() != OWN_SPANS))
        .with_filter(filter);
    let own = OwnLayer.with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(lines).with(own).init();
    let format = cli.format;
    match run(cli) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failed) => {
            match format {
                Format::Text => eprintln!("error: {failed}"),
                Format::Json => eprintln!("{}", serde_json::json!({ "error": failed.to_string() })),
            }
            ExitCode::from(failed.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failed> {
    match cli.command {
        Command::Plan(command) => commands::plan::run(&command, cli.format),
        Command::Gate(command) => runtime()?.block_on(commands::gate::run(&command, cli.format)),
        Command::Agent(command) => runtime()?.block_on(commands::agent::run(command)),
        Command::Redact(command) => commands::redact::run(&command, cli.format),
        Command::Drift(command) => runtime()?.block_on(commands::drift::run(&command, cli.format)),
        Command::Load(command) => runtime()?.block_on(commands::load::run(&command, cli.format)),
        Command::Record(command) => runtime()?.block_on(commands::record::run(&command, cli.format)),
        Command::Ledger(command) => runtime()?.block_on(commands::ledger::run(command, cli.format)),
        Command::Audit(command) => commands::audit::run(&command, cli.format),
        Command::Judge(command) => commands::judge::run(command, cli.format),
        Command::Verify(command) => runtime()?.block_on(commands::verify::run(&command, cli.format)),
        Command::Trace(command) => commands::trace::run(command, cli.format),
        Command::Rollout(command) => runtime()?.block_on(commands::rollout::run(command, cli.format)),
        Command::Approve(command) => runtime()?.block_on(commands::approve::run(&command, cli.format)),
        Command::Serve(command) => {
            let passed = Passed::take()?;
            runtime()?.block_on(verdigris::serve::run(&command, cli.format, passed))
        }
        Command::Config(ConfigCommand::Check(command)) => commands::config::run(&command, cli.format),
        Command::Doctor(command) => runtime()?.block_on(commands::doctor::run(&command, cli.format)),
        Command::Completions { shell } => commands::completions::run(shell),
        Command::Man(command) => commands::completions::man(&command),
        Command::Witness(command) => runtime()?.block_on(verdigris::witness::run(&command, cli.format)),
        Command::Demo(command) => runtime()?.block_on(verdigris::demonstrate::run(&command, cli.format)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
