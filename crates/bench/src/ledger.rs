//! `bench ledger`: appends a second to the ledger, and how long each waits for its acknowledgement, with 1, 64 and 512 writers;
//! beside the same entries written to a file that has its room, and synced: by each writer alone, and gathered as the ledger
//! gathers them. In turns, on the same disk: a shared disk is faster and slower from one second to the next.

mod raw;

use crate::seconds;
use anyhow::{Context, Result, ensure};
use clap::Args;
use ledger::{KeyName, SignerKey};
use raw::{Alone, Grouped};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use store::{Appender, Group, Reserve, Store};

#[derive(Args)]
pub struct Options {
    /// Seconds of each turn
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    secs: f64,
    /// Turns of each; the median of their figures is told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Where the files are written, and removed again
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// One JSON value a line
    #[arg(long)]
    json: bool,
}

const WRITERS: [usize; 3] = [1, 64, 512];

/// Stacks of the writers: 512 of them.
const STACK_BYTES: usize = 256 * 1024;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    /// The ledger: in the tree and under a signed checkpoint.
    Ledger,
    /// The same bytes, gathered in the same way, one write and one fdatasync for all that wait.
    Grouped,
    /// The same bytes, one write and one fdatasync for each.
    Alone,
}

const CONTENDERS: [Contender; 3] = [Contender::Ledger, Contender::Grouped, Contender::Alone];

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::Ledger => "ledger",
            Contender::Grouped => "raw, grouped",
            Contender::Alone => "raw, each alone",
        }
    }
}

/// One turn's figures, or their medians.
#[derive(Clone, Copy)]
struct Figures {
    appends_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    let folder = options.dir.join(format!("bench-ledger-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
    let measured = measure_all(options, &folder);
    fs::remove_dir_all(&folder).with_context(|| format!("{}: the folder cannot be removed", folder.display()))?;
    measured
}

fn measure_all(options: &Options, folder: &Path) -> Result<()> {
    let turn = Duration::from_secs_f64(options.secs);
    if !options.json {
        println!("entries of 300 to 1,000 bytes, each writer waits for its acknowledgement before it appends the next");
        println!("median of {} turns of {} s each, in turns\n", options.rounds, options.secs);
        println!("writers                    appends/s    p50 ms    p99 ms   ledger against it");
    }
    for writers in WRITERS {
        let mut turns = CONTENDERS.map(|_| Vec::new());
        for round in 0..options.rounds {
            for (contender, turns) in CONTENDERS.iter().zip(&mut turns) {
                let folder = folder.join(format!("{writers}-{round}-{}", contender.name().replace([',', ' '], "")));
                fs::create_dir(&folder)?;
                turns.push(measure(*contender, &folder, writers, turn)?);
                fs::remove_dir_all(&folder)?;
            }
        }
        let medians = turns.map(|turns| medians(&turns));
        let [ledger, ..] = medians;
        for (contender, figures) in CONTENDERS.iter().zip(medians) {
            let Figures { appends_per_second, p50_ms, p99_ms } = figures;
            let ratio = ledger.appends_per_second / appends_per_second;
            let name = contender.name();
            if options.json {
                let line = json!({
                    "writers": writers, "contender": name, "appendsPerSecond": appends_per_second.round(),
                    "p50Ms": p50_ms, "p99Ms": p99_ms, "ledgerAgainstIt": ratio,
                });
                println!("{line}");
            } else {
                println!("{writers:>7}  {name:<16}{appends_per_second:>11.0}{p50_ms:>10.2}{p99_ms:>10.2}{ratio:>20.2}");
            }
        }
    }
    Ok(())
}

fn medians(turns: &[Figures]) -> Figures {
    let median = |of: fn(&Figures) -> f64| {
        let mut values: Vec<_> = turns.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures {
        appends_per_second: median(|turn| turn.appends_per_second),
        p50_ms: median(|turn| turn.p50_ms),
        p99_ms: median(|turn| turn.p99_ms),
    }
}

fn measure(contender: Contender, folder: &Path, writers: usize, turn: Duration) -> Result<Figures> {
    match contender {
        Contender::Ledger => {
            let key = SignerKey::new(KeyName::new("bench.invalid/ledger")?, &[7; 32]);
            let group = Group::start(Store::create(&folder.join("ledger"), key)?)?;
            let appender = group.appender();
            let figures = drive(writers, turn, |entry| append(&appender, entry))?;
            group.close()?;
            Ok(figures)
        }
        Contender::Grouped => {
            let file = Grouped::start(&folder.join("raw"))?;
            let figures = drive(writers, turn, |entry| file.append(entry))?;
            file.close()?;
            Ok(figures)
        }
        Contender::Alone => {
            let file = Alone::create(&folder.join("raw"))?;
            drive(writers, turn, |entry| file.append(&entry))
        }
    }
}

fn append(appender: &Appender, entry: Vec<u8>) -> Result<()> {
    appender.append(vec![entry], Reserve::Keep)?;
    Ok(())
}

/// Lets writers append until the turn is over.
fn drive(writers: usize, turn: Duration, append: impl Fn(Vec<u8>) -> Result<()> + Sync) -> Result<Figures> {
    let over = AtomicBool::new(false);
    let begin = now();
    let write = |writer: usize| -> Result<Vec<Duration>> {
        let mut waited = Vec::new();
        for number in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let entry = entry(writer, number);
            let begin = now();
            append(entry)?;
            waited.push(begin.elapsed());
        }
        Ok(waited)
    };
    let mut waited = thread::scope(|scope| {
        let write = &write;
        let spawn = |writer| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, move || write(writer));
        let threads: Vec<_> = (0..writers).map(spawn).collect::<Result<_, _>>()?;
        #[expect(clippy::disallowed_methods, reason = "a turn is of real time")]
        thread::sleep(turn);
        over.store(true, Ordering::Relaxed);
        let mut waited = Vec::new();
        for thread in threads {
            waited.extend(thread.join().expect("a writer does not panic")?);
        }
        Ok::<_, anyhow::Error>(waited)
    })?;
    let elapsed = begin.elapsed();
    ensure!(!waited.is_empty(), "nothing was acknowledged in {elapsed:?}");
    waited.sort_unstable();
    let quantile = |share: f64| waited[((waited.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let appends_per_second = waited.len() as f64 / elapsed.as_secs_f64();
    Ok(Figures { appends_per_second, p50_ms: quantile(0.5), p99_ms: quantile(0.99) })
}

/// An entry as long as records are: 300 to 1,000 bytes, 650 on average.
fn entry(writer: usize, number: usize) -> Vec<u8> {
    let mixed = (writer * 7919 + number * 104_729) % 701;
    let mut entry = format!("{writer} {number} ").into_bytes();
    entry.resize(300 + mixed, b'e');
    entry
}

#[expect(clippy::disallowed_methods, reason = "how long an append takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}
