//! `cargo xtask bench gateway`: the contenders by turns, each with both sizes of request, in several rounds.
//!
//! Ours that loses an acknowledged span, or does not split where it should, is an error; a number never is.

use super::contenders::{Contender, Ground, Proxy};
use super::figures::{Cell, ProxyCost, table};
use super::running::{Launcher, Running, Side};
use super::{release_binary, seconds};
use crate::e2e_setup;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Seconds of each of the two phases of a cell: as fast as it goes, then at half of that
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    secs: f64,
    /// How often each contender has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// One JSON value for each cell on standard output, and the table on standard error
    #[arg(long)]
    json: bool,
}

/// Spans of a request, a small and a large batch.
const SIZES: [u64; 2] = [100, 1_000];

/// Connections, caches and allocators are warm after this.
const WARM_UP_S: f64 = 1.0;

/// What an order may take beside its own time: to connect (4 times 5 s), the last answers (10 s), and to drain a queue;
/// Rotel's holds 1,000 requests, 1,000,000 spans at some 100,000 a second.
const BEYOND_S: f64 = 60.0;

/// Half of the traces by a hash: of thousands of traces, the share is within a hundredth.
const SPLIT_SHARE: std::ops::RangeInclusive<f64> = 0.45..=0.55;

/// Builds, measures, prints.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let installed = e2e_setup::run(workspace)?;
    let verdigris = release_binary(workspace, "verdigris")?;
    let bench = release_binary(workspace, "bench")?;
    let folder = Folder::make()?;
    let launcher = Launcher::find()?;
    let running = launcher.start(Side::Load, &bench, &["load"], &folder.0.join("load.log"))?;
    let (load, sinks) = Load::ready(running)?;
    let rotel = installed.python.with_file_name("rotel-agent");
    let ground = Ground { launcher, verdigris, rotel, sinks, folder: folder.0.clone() };
    let cells = Session { options, ground, load }.measure()?;
    let table = table(&cells);
    if options.json {
        eprint!("\n{table}");
    } else {
        print!("\n{table}");
    }
    verdict(&cells)
}

/// What is wrong whatever the numbers are.
fn verdict(cells: &[Cell]) -> Result<()> {
    for cell in cells {
        let (name, size) = (cell.contender.name(), cell.spans_per_request);
        if cell.lost_spans > 0 || cell.refused_requests > 0 {
            let (lost, refused) = (cell.lost_spans, cell.refused_requests);
            eprintln!("{name}, {size} spans a request: {lost} acknowledged spans lost, {refused} requests refused");
        }
        let ours = matches!(cell.contender, Contender::PassThrough | Contender::Split);
        ensure!(!ours || cell.lost_spans == 0, "{name} lost {} acknowledged spans", cell.lost_spans);
    }
    Ok(())
}

struct Session<'a> {
    options: &'a Options,
    ground: Ground,
    load: Load,
}

impl Session<'_> {
    fn measure(&mut self) -> Result<Vec<Cell>> {
        let (rounds, secs) = (self.options.rounds, self.options.secs);
        let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        eprintln!("OTLP/gRPC, ten attributes a span, 20 spans a trace, interleaved; {}", self.ground.launcher.words);
        eprintln!(
            "{rounds} rounds of {secs} s as fast as it goes (spans/s, CPU, memory) and {secs} s at half of that (p50, p99)"
        );
        eprintln!(
            "spans/s are those that came out; ours acknowledges when the sink has, Rotel when it has queued; Rotel sends with gzip"
        );
        eprintln!("load average before: {}", load_average.split(' ').take(3).collect::<Vec<_>>().join(" "));
        let mut cells = Vec::new();
        for round in 0..rounds as usize {
            for size in SIZES {
                // Each goes first in its turn, so that none always has the machine as another one left it.
                for place in 0..Contender::ALL.len() {
                    let contender = Contender::ALL[(place + round) % Contender::ALL.len()];
                    let cell = self
                        .cell(contender, size)
                        .with_context(|| format!("{}, {size} spans a request, round {round}", contender.name()))?;
                    self.show(round, &cell);
                    cells.push(cell);
                }
            }
        }
        Ok(cells)
    }

    fn show(&self, round: usize, cell: &Cell) {
        if self.options.json {
            let mut value = cell.json();
            value["round"] = round.into();
            println!("{value}");
        } else {
            let cpu = cell.proxy.map_or("-".to_owned(), |proxy| format!("{:.3}", proxy.cpu_s_per_million));
            let (size, name, rate) = (cell.spans_per_request, cell.contender.name(), cell.spans_per_s);
            eprintln!("round {round}: {size:>5} {name:<20} {rate:>9.0} spans/s, {cpu} CPU s a million spans");
        }
    }

    fn cell(&mut self, contender: Contender, size: u64) -> Result<Cell> {
        let proxy = contender.start(&self.ground)?;
        let to = proxy.as_ref().map(|proxy| proxy.grpc);
        let warm = self.load.order(contender, to, size, WARM_UP_S, None)?;
        let cpu = |proxy: &Option<Proxy>| proxy.as_ref().map(|proxy| proxy.running.cpu_s()).transpose();
        let before = cpu(&proxy)?;
        let fast = self.load.order(contender, to, size, self.options.secs, None)?;
        let spent = cpu(&proxy)?.zip(before).map(|(after, before)| after - before);
        ensure!(fast.passed > 0, "nothing came out: {}", fast.refusal);
        let spans_per_s = fast.passed as f64 / fast.secs;
        let half = self.load.order(contender, to, size, self.options.secs, Some(spans_per_s / 2.0))?;
        let cost = match (proxy, spent) {
            (Some(mut proxy), Some(spent)) => {
                proxy.running.alive()?;
                Some(ProxyCost {
                    cpu_s_per_million: spent / (fast.passed as f64 / 1e6),
                    busy: spent / fast.secs,
                    peak_resident_mib: proxy.running.peak_resident_mib()?,
                })
            }
            (_, _) => None,
        };
        for phase in [&fast, &half] {
            let share = phase.green as f64 / phase.passed.max(1) as f64;
            let as_it_should = if contender.splits() { SPLIT_SHARE.contains(&share) } else { phase.green == 0 };
            ensure!(as_it_should, "{share:.3} of the spans came to the second sink");
        }
        Ok(Cell {
            contender,
            spans_per_request: size,
            spans_per_s,
            proxy: cost,
            p50_ms: half.p50_ms,
            p99_ms: half.p99_ms,
            lost_spans: warm.lost() + fast.lost() + half.lost(),
            refused_requests: warm.refused + fast.refused + half.refused,
        })
    }
}

/// The load generator with its sinks.
struct Load {
    running: Running,
}

/// What became of an order.
struct Outcome {
    acknowledged: u64,
    /// Spans that came out, or were thrown away as they should.
    passed: u64,
    green: u64,
    refused: u64,
    refusal: String,
    secs: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Outcome {
    fn lost(&self) -> u64 {
        self.acknowledged.saturating_sub(self.passed)
    }
}

impl Load {
    /// Reads where the sinks are.
    fn ready(mut running: Running) -> Result<(Load, [SocketAddr; 2])> {
        let line = running.line(Duration::from_secs_f64(BEYOND_S))?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        let sink = |index: usize| said["sinks"][index].as_str().and_then(|address| address.parse().ok());
        let sinks = sink(0).zip(sink(1)).with_context(|| format!("no two sinks in {line}"))?;
        Ok((Load { running }, [sinks.0, sinks.1]))
    }

    fn order(
        &mut self,
        contender: Contender,
        to: Option<SocketAddr>,
        size: u64,
        secs: f64,
        spans_per_s: Option<f64>,
    ) -> Result<Outcome> {
        let discarded = contender.discards();
        let order = json!({
            "to": to,
            "spansPerRequest": size,
            "secs": secs,
            "spansPerS": spans_per_s,
            "discarded": discarded,
        });
        self.running.tell(&order.to_string())?;
        let line = self.running.line(Duration::from_secs_f64(secs + BEYOND_S))?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        let whole = |field: &Value| field.as_u64().with_context(|| format!("a count is missing in {line}"));
        let number = |field: &Value| field.as_f64().with_context(|| format!("a number is missing in {line}"));
        let malformed = whole(&answer["malformedRequests"])?;
        let why = &answer["malformed"];
        ensure!(malformed == 0, "the sinks could not read {malformed} requests: {why}");
        let [blue, green] = [whole(&answer["receivedSpans"][0])?, whole(&answer["receivedSpans"][1])?];
        let acknowledged = whole(&answer["acknowledgedSpans"])?;
        ensure!(!discarded || blue + green == 0, "{} spans came out where none should", blue + green);
        Ok(Outcome {
            acknowledged,
            passed: if discarded { acknowledged } else { blue + green },
            green,
            refused: whole(&answer["refusedRequests"])?,
            refusal: answer["refusal"].as_str().unwrap_or("no request was refused").to_owned(),
            secs: number(&answer["secs"])?,
            p50_ms: number(&answer["p50Ms"])?,
            p99_ms: number(&answer["p99Ms"])?,
        })
    }
}

/// A temporary folder that goes when this is dropped. Not in target: a socket's path has 108 bytes at most.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("verdigris-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("cannot remove {}: {error}", folder.display());
    }
}
