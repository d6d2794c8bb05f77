//! `cargo xtask soak`: minutes of load while the weight moves up and down, back ends are killed, stalled and push back,
//! the disk is full, and the gateway itself is killed, at random, by seed. Every acknowledged span must arrive, no trace
//! be torn by a shift, and memory, file descriptors and connections stay where they should.
//!
//! The clients and sinks are processes of `bench`, which keep books on every span and hold them against each other; what
//! happens when is here. Rotel in our place meets the same schedule, without what it has no notion of.

mod clock;
mod disk;
mod field;
mod ledger;
mod proxy;
mod report;
mod rollouts;
mod schedule;
mod timeline;
mod watch;

use crate::workspace::Workspace;
use crate::{bench, e2e_setup};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use field::{Found, Size, Tools};
use proxy::Contender;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// Seconds of load
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(20..=3_600))]
    pub secs: u64,
    /// What happens when follows from it alone
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Spans a second
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=50_000))]
    pub rate: u64,
    /// Who meets the same afterwards, in a column of its own
    #[arg(long)]
    pub peer: Option<Peer>,
    /// One JSON value for each run on standard output, and the table on standard error
    #[arg(long)]
    pub json: bool,
    /// Keep the folder with logs, journals and plans
    #[arg(long)]
    pub keep: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Peer {
    Rotel,
}

/// The binary of ours that is tested, if it is not to be built: the end-to-end tests name theirs in the same way.
const BINARY: &str = "VERDIGRIS_BIN";

/// Runs ours, and the peer if one is named. An error if something does not hold that must.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = tools(workspace, options)?;
    let folder = std::env::temp_dir().join(format!("verdigris-soak-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let done = soak(&tools, options, &folder);
    // After an error the logs are what is wanted.
    if options.keep || done.is_err() {
        eprintln!("logs, journals and plans are in {}", folder.display());
    } else {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    done
}

fn soak(tools: &Tools, options: &Options, folder: &Path) -> Result<()> {
    let size = Size { run_ms: options.secs * 1_000, spans_per_s: options.rate as f64 };
    let schedule = schedule::schedule(options.seed, size.run_ms);
    let mut found = Vec::new();
    for contender in contenders(options) {
        let peer = contender != Contender::Ours;
        let meets: Vec<_> = schedule.iter().filter(|timed| !peer || timed.event.concerns_peers()).cloned().collect();
        let (name, seed) = (contender.name(), options.seed);
        eprintln!("{name}: seed {seed}, {} s of {} spans/s, {} events", options.secs, options.rate, meets.len());
        let folder = folder.join(name.to_lowercase());
        fs::create_dir(&folder)?;
        let run = field::run(tools, contender, &folder, &timeline::timeline(&meets), size)?;
        if options.json {
            println!("{}", report::json(&run));
        }
        found.push(run);
    }
    let table = report::table(&found);
    if options.json {
        eprint!("\n{table}")
    } else {
        print!("\n{table}")
    }
    eprintln!("the bound of ours: {}", report::memory_bound_words());
    verdict(&found, options)
}

fn verdict(found: &[Found], options: &Options) -> Result<()> {
    let mut broken = 0;
    for run in found {
        for list in ["examples", "refusals"] {
            for line in run.audit[list].as_array().into_iter().flatten().filter_map(|line| line.as_str()) {
                eprintln!("{}: {line}", run.contender.name());
            }
        }
        if let Some(why) = run.failed_starts.first() {
            eprintln!("{}: a start that failed: {why}", run.contender.name());
        }
        for line in report::broken(run) {
            eprintln!("{} BROKEN: {line}", run.contender.name());
            broken += 1;
        }
    }
    if broken > 0 {
        let (secs, seed, rate) = (options.secs, options.seed, options.rate);
        bail!(
            "{broken} of what must hold do not: again with `cargo xtask soak --secs {secs} --seed {seed} --rate {rate}`"
        );
    }
    Ok(())
}

fn contenders(options: &Options) -> Vec<Contender> {
    match options.peer {
        None => vec![Contender::Ours],
        Some(Peer::Rotel) => vec![Contender::Ours, Contender::Rotel],
    }
}

fn tools(workspace: &Workspace, options: &Options) -> Result<Tools> {
    let rotel = match options.peer {
        Some(Peer::Rotel) => e2e_setup::run(workspace)?.python.with_file_name("rotel-agent"),
        None => PathBuf::new(),
    };
    let verdigris = match std::env::var_os(BINARY) {
        Some(binary) => fs::canonicalize(&binary)
            .with_context(|| format!("{BINARY} names {}, which is not there", binary.display()))?,
        None => bench::release_binary(workspace, "verdigris")?,
    };
    Ok(Tools { verdigris, bench: bench::release_binary(workspace, "bench")?, rotel })
}
