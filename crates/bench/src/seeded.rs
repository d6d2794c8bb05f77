//! What the benchmarks on seeds and real traces share: their options, runs on all cores, and where their lines go.

use crate::nezha;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Args, Debug)]
pub struct Seeded {
    /// A few seeds of everything: to see that it runs. A minute instead of ten or more
    #[arg(long)]
    pub quick: bool,
    /// The first seed; every run has its own from there on
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The folder of the Nezha traces; by default ../shared/data/nezha beside the repository, else its sample in e2e/data
    #[arg(long, value_name = "DIR")]
    nezha: Option<PathBuf>,
    /// One JSON value a row, on standard output; the tables go to standard error
    #[arg(long)]
    pub json: bool,
}

impl Seeded {
    /// The folder of the real traces.
    pub fn nezha(&self) -> Result<PathBuf> {
        nezha::folder(self.nezha.as_deref())
    }
}

/// All runs, on all cores; in the order of their numbers, so that threads change nothing.
pub fn all_runs<T: Send>(runs: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
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

/// What is being run, where a person sees it and no table is spoilt.
pub fn progress(row: &str) {
    eprintln!("… {row}");
}

/// Tables are for people: beside JSON they go where JSON does not.
pub fn say(json: bool, line: &str) {
    if json { eprintln!("{line}") } else { println!("{line}") }
}
