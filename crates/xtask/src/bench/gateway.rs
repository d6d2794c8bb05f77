//! `cargo xtask bench gateway`: the contenders by turns, with each protocol and size of request, in several rounds.
//!
//! A cell is one contender, started anew: warm-up (in which traces are counted), as fast as it goes, at half of that, and
//! then without it at that rate. What is counted as the proxy's is its one process: all its threads, verification
//! included, until it has nothing more to do. Generator, sinks, and the sinks' second exporters to the taps are another
//! process on another core.
//!
//! Ours that loses an acknowledged span, tears a trace or does not split where it should is an error; a number never is.

use super::contenders::{ComesOut, Contender, Ground, Protocol, Proxy, views_missed};
use super::figures::{Cell, Latency, ProxyCost, Ratio, half_load, ratios, table};
use super::load::{Load, Order, Outcome};
use super::running::{CpuTime, Launcher, Side};
use super::{release_binary, seconds};
use crate::e2e_setup;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// Seconds of each of the three phases of a cell: as fast as it goes, at half of that, and at that without the proxy
    #[arg(long, default_value_t = 1.5, value_parser = seconds)]
    secs: f64,
    /// How often each contender has its turn
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// One JSON value for each cell and ratio on standard output, and the tables on standard error
    #[arg(long)]
    json: bool,
    /// These contenders alone, and no proxy, with which latencies are compared
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<Contender>,
    /// OTLP/gRPC, OTLP/HTTP with protobuf, or both
    #[arg(long, value_enum, default_value_t = Protocols::Both)]
    protocol: Protocols,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocols {
    Grpc,
    Http,
    Both,
}

/// Spans of a request, a small and a large batch.
const SIZES: [u64; 2] = [100, 1_000];

/// Connections, caches and allocators are warm after this.
const WARM_UP_S: f64 = 0.5;

impl Options {
    fn protocols(&self) -> &'static [Protocol] {
        match self.protocol {
            Protocols::Grpc => &[Protocol::Grpc],
            Protocols::Http => &[Protocol::Http],
            Protocols::Both => &Protocol::ALL,
        }
    }

    /// No proxy first: its rate bounds that of the others' latencies.
    fn contenders(&self, protocol: Protocol) -> Vec<Contender> {
        let wanted = |contender: &&Contender| {
            **contender == Contender::NoProxy || self.only.is_empty() || self.only.contains(contender)
        };
        Contender::ALL.iter().filter(wanted).copied().filter(|contender| contender.speaks(protocol)).collect()
    }

    fn any(&self, needs: fn(Contender) -> bool) -> bool {
        self.protocols().iter().flat_map(|protocol| self.contenders(*protocol)).any(needs)
    }
}

/// Builds, measures, prints.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let rotel = match options.any(Contender::needs_rotel) {
        true => Some(e2e_setup::run(workspace)?.python.with_file_name("rotel-agent")),
        false => None,
    };
    let envoy = match options.any(Contender::needs_envoy) {
        true => Some(e2e_setup::envoy(workspace)?),
        false => None,
    };
    let verdigris = release_binary(workspace, "verdigris")?;
    let bench = release_binary(workspace, "bench")?;
    let folder = Folder::make()?;
    let launcher = Launcher::find()?;
    let running = launcher.start(Side::Load, &bench, &["load"], &folder.0.join("load.log"))?;
    let (load, sinks) = Load::ready(running)?;
    let ground = Ground { launcher, verdigris, rotel, envoy, sinks, folder: folder.0.clone() };
    let cells = Session { options, ground, load }.measure()?;
    let ratios = ratios(&cells);
    let tables = format!("\n{}{}", table(&cells), Ratio::table(&ratios));
    if options.json {
        ratios.iter().for_each(|ratio| println!("{}", ratio.json()));
        eprint!("{tables}");
    } else {
        print!("{tables}");
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
        let ours = cell.contender.is_ours();
        ensure!(!ours || cell.lost_spans == 0, "{name} lost {} acknowledged spans", cell.lost_spans);
    }
    Ok(())
}

struct Session<'a> {
    options: &'a Options,
    ground: Ground,
    load: Load,
}

/// What is the same for each contender of one turn.
#[derive(Clone, Copy)]
struct Setting {
    protocol: Protocol,
    spans_per_request: u64,
    /// What generator and sink do without a proxy, once that is known.
    direct_spans_per_s: Option<f64>,
}

impl Session<'_> {
    fn measure(&mut self) -> Result<Vec<Cell>> {
        self.announce();
        let mut cells = Vec::new();
        for round in 0..self.options.rounds as usize {
            for protocol in self.options.protocols() {
                for size in SIZES {
                    self.turns(round, *protocol, size, &mut cells)?;
                }
            }
        }
        Ok(cells)
    }

    fn announce(&self) {
        let Options { secs, rounds, .. } = self.options;
        let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load_average: Vec<&str> = load_average.split(' ').take(3).collect();
        eprintln!(
            "ten attributes a span, 20 spans a trace, interleaved and spread over four requests; {}
{rounds} rounds of {secs} s as fast as it goes (spans/s, CPU, memory), {secs} s at half of that, and as long without the proxy
(p50, p99; added is the difference). CPU is the proxy's process alone, until it is idle. Generator, sinks and what feeds
the taps share the other core: where the proxy is not busy, they are what limits. spans/s are those that came out, without
copies; all but Rotel acknowledge when the sink has, Rotel when it has queued. verified: views that verification read.
load average before: {}",
            self.ground.launcher.words,
            load_average.join(" "),
        );
    }

    /// Each contender once.
    fn turns(&mut self, round: usize, protocol: Protocol, size: u64, cells: &mut Vec<Cell>) -> Result<()> {
        let mut contenders = self.options.contenders(protocol);
        // Another one goes first each time, so that none always has the machine as the same other one left it.
        let others = contenders.len() - 1;
        contenders[1..].rotate_left(round % others.max(1));
        let mut setting = Setting { protocol, spans_per_request: size, direct_spans_per_s: None };
        for contender in contenders {
            let what = || format!("{}, {}, {size} spans a request, round {round}", contender.name(), protocol.key());
            let cell = self.cell(contender, setting).with_context(what)?;
            if contender == Contender::NoProxy {
                setting.direct_spans_per_s = Some(cell.spans_per_s);
            }
            self.show(round, &cell);
            cells.push(cell);
        }
        Ok(())
    }

    fn show(&self, round: usize, cell: &Cell) {
        if self.options.json {
            let mut value = cell.json();
            value["round"] = round.into();
            println!("{value}");
        } else {
            let cpu = cell.proxy.map_or("-".to_owned(), |proxy| format!("{:.3}", proxy.cpu_per_million.total_s()));
            let (protocol, size, name) = (cell.protocol.key(), cell.spans_per_request, cell.contender.name());
            let rate = cell.spans_per_s;
            eprintln!(
                "round {round}: {protocol} {size:>5} {name:<22} {rate:>9.0} spans/s, {cpu} CPU s a million spans"
            );
        }
    }

    fn cell(&mut self, contender: Contender, setting: Setting) -> Result<Cell> {
        let Setting { protocol, spans_per_request, direct_spans_per_s } = setting;
        let secs = self.options.secs;
        let order = Order { contender, protocol, spans_per_request, secs, spans_per_s: None, traces: false };
        let proxy = contender.start(&self.ground, protocol)?;
        // Of a mirror every trace comes out twice, and of one that throws away none.
        let traces = matches!(contender.comes_out(), ComesOut::Once | ComesOut::Split);
        let warm = self.load.carry_out(&Order { secs: WARM_UP_S, traces, ..order }, proxy.as_ref())?;
        let before = proxy.as_ref().map(Reading::take).transpose()?;
        let fast = self.load.carry_out(&order, proxy.as_ref())?;
        let at_end = proxy.as_ref().map(|proxy| proxy.running.cpu()).transpose()?;
        let after = proxy.as_ref().map(Reading::take).transpose()?;
        let spans_per_s = fast.passed as f64 / fast.secs;
        let offered_spans_per_s = half_load(spans_per_s, direct_spans_per_s.unwrap_or(spans_per_s));
        let at_half = Order { spans_per_s: Some(offered_spans_per_s), ..order };
        let half = self.load.carry_out(&at_half, proxy.as_ref())?;
        let (mut cost, mut verified) = (None, None);
        if let (Some(mut proxy), Some(before), Some(at_end), Some(after)) = (proxy, before, at_end, after) {
            proxy.running.alive()?;
            let spent = after.cpu.since(before.cpu);
            let million = fast.passed as f64 / 1e6;
            cost = Some(ProxyCost {
                cpu_per_million: CpuTime { user_s: spent.user_s / million, system_s: spent.system_s / million },
                busy: at_end.since(before.cpu).total_s() / fast.secs,
                peak_resident_mib: proxy.running.peak_resident_mib()?,
            });
            let missed = after.views_missed.zip(before.views_missed).map(|(after, before)| after - before);
            verified = missed.map(|missed| share_verified(missed, &fast, contender.comes_out()));
        }
        // The proxy is gone: nothing of it disturbs what is measured without it.
        let direct = match contender {
            Contender::NoProxy => half.clone(),
            _ => self.load.carry_out(&Order { contender: Contender::NoProxy, ..at_half }, None)?,
        };
        let mirrored = contender.comes_out() == ComesOut::Mirrored;
        let phases = [&warm, &fast, &half];
        Ok(Cell {
            contender,
            protocol,
            spans_per_request,
            spans_per_s,
            proxy: cost,
            offered_spans_per_s,
            latency: latency(&half),
            direct: latency(&direct),
            traces: warm.traces.filter(|_| contender.comes_out() == ComesOut::Split),
            mirrored: mirrored.then(|| fast.green as f64 / fast.passed as f64),
            verified,
            gzip: fast.gzip,
            lost_spans: phases.iter().map(|phase| phase.lost()).sum(),
            refused_requests: phases.iter().map(|phase| phase.refused).sum(),
        })
    }
}

fn latency(outcome: &Outcome) -> Latency {
    Latency { p50_ms: outcome.p50_ms, p99_ms: outcome.p99_ms }
}

/// A proxy that has nothing more to do.
struct Reading {
    cpu: CpuTime,
    /// In a rollout of ours.
    views_missed: Option<u64>,
}

impl Reading {
    fn take(proxy: &Proxy) -> Result<Reading> {
        let cpu = proxy.running.cpu_when_idle()?;
        Ok(Reading { cpu, views_missed: proxy.api.as_deref().map(views_missed).transpose()? })
    }
}

/// A view is a request that an environment took, or that a tap did. Nearly every request is split in two.
fn share_verified(missed: u64, outcome: &Outcome, comes_out: ComesOut) -> f64 {
    let taken = match comes_out {
        ComesOut::Once | ComesOut::Nowhere => outcome.requests,
        ComesOut::Split | ComesOut::Mirrored => 2 * outcome.requests,
    };
    1.0 - missed as f64 / (taken + outcome.tapped).max(1) as f64
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

#[cfg(test)]
mod tests;
