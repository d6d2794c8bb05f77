//! `bench judge`: STATISTICS.md's acceptance table again, with the judge's own forms and real traces.
//!
//! False alarms are what Ville's inequality promises and are judged: a row whose 99 % upper bound is above alpha ends the
//! run with an error. How soon a regression is seen is compared with the table and shown, since the table does not say
//! all that it was made with.

mod detections;
mod false_alarms;
mod nezha;
mod report;
mod scenes;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// STATISTICS.md's two levels.
const ALPHAS: [f64; 2] = [0.05, 0.01];

/// Traces a second in every row of the table.
const TRACES_PER_S: u64 = 100;

#[derive(Args, Debug)]
pub struct Options {
    /// A few seeds of everything: to see that it runs. A minute instead of a quarter of an hour
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// The first seed; every run has its own from there on
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder of the Nezha traces; by default ../shared/data/nezha beside the repository, else its sample in e2e/data
    #[arg(long, value_name = "DIR")]
    nezha: Option<PathBuf>,
    /// One JSON value a row, on standard output; the tables go to standard error
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// No regression: how often it alarms, or proves what is not so
    FalseAlarms,
    /// Regressions and proofs: how many traces they take
    Detections,
    /// Real traces: random splits, and a delay on one edge
    Nezha,
}

/// How many runs a row has.
#[derive(Clone, Copy, Debug)]
struct Seeds {
    first: u64,
    false_alarms: u64,
    detections: u64,
    splits: u64,
    delays: u64,
}

impl Seeds {
    /// STATISTICS.md asks for 10,000 and 600, the issue for 1,000 splits.
    fn of(options: &Options) -> Seeds {
        let first = options.seed;
        match options.quick {
            false => Seeds { first, false_alarms: 10_000, detections: 600, splits: 1_000, delays: 100 },
            true => Seeds { first, false_alarms: 100, detections: 24, splits: 20, delays: 4 },
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let seeds = Seeds::of(options);
    let wanted = |part: Part| options.only.is_empty() || options.only.contains(&part);
    let mut broken = Vec::new();
    if wanted(Part::FalseAlarms) {
        let rows = false_alarms::rows(&seeds, |row| report::progress(&row));
        report::false_alarms(&rows, options.json);
        broken.extend(rows.iter().filter(|row| row.is_broken()).map(|row| row.name.clone()));
    }
    if wanted(Part::Detections) {
        let rows = detections::rows(&seeds, |row| report::progress(&row));
        report::detections(&rows, options.json);
    }
    if wanted(Part::Nezha) {
        let results =
            nezha::run(&crate::nezha::folder(options.nezha.as_deref())?, &seeds, |row| report::progress(&row))?;
        report::nezha(&results, options.json);
        broken.extend(results.iter().filter(|result| result.is_broken()).map(|result| result.name.clone()));
    }
    match broken.is_empty() {
        true => Ok(()),
        false => bail!("more false alarms than are allowed: {}", broken.join("; ")),
    }
}

/// All runs, on all cores; in the order of their numbers, so that threads change nothing.
pub(crate) fn all_runs<T: Send>(runs: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = || {
        let mut mine = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return mine;
            }
            mine.push((number, run(number)));
        }
    };
    let mut results: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run that panics is a bug to be seen")).collect()
    });
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
