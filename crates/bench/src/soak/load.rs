//! `bench soak-load`: sends traces at a steady rate through five exporters, and audits what came to the sinks.

use super::audit::{Arrivals, Disturbances, Findings, audit};
use super::book::{Book, Counts, quantile};
use super::client::Protocol;
use super::exporter::{Exporter, Ground};
use super::journal::Reader;
use super::line::{Flow, Valve};
use super::numbering::{PARTS_A_TRACE, Part, SPANS_A_TRACE};
use super::unix_ms;
use crate::orders::read_lines;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

#[derive(Args)]
pub struct Options {
    /// Spans a second
    #[arg(long)]
    rate: f64,
    /// For how long traces begin, in seconds
    #[arg(long)]
    secs: f64,
    /// The proxy's OTLP/gRPC address
    #[arg(long)]
    grpc: SocketAddr,
    /// The proxy's OTLP/HTTP address
    #[arg(long)]
    http: SocketAddr,
}

/// The exporters: as many as a trace has parts, so that each part comes from another one.
const EXPORTERS: [Protocol; PARTS_A_TRACE as usize] =
    [Protocol::Grpc, Protocol::Http, Protocol::Grpc, Protocol::Http, Protocol::Grpc];

/// How often exporters make a request of what is due.
const TICK: Duration = Duration::from_millis(100);

/// Parts of a request at most: 512 spans, as the SDKs' batches have.
const MAX_PARTS: usize = 128;

/// The book has some 20 bytes a span: 1 GB.
const MAX_SPANS: f64 = 5e7;

/// What is asked of the load. Each order is answered with one line.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Order {
    /// Stalls all connections, or lets them go on.
    Stall { stalled: bool },
    /// How far it is.
    Progress,
    /// Closes all connections. What is still queued is given up.
    Close,
    /// Reads the sinks' journals, by sink, as far as they are, and holds them against the book.
    Audit { journals: Vec<Vec<PathBuf>>, disturbances: Disturbances },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    #[serde(flatten)]
    findings: Findings,
    counts: Counts,
    answered_p50_ms: u32,
    answered_p99_ms: u32,
    delivered_p50_ms: u32,
    delivered_p99_ms: u32,
    refusals: Vec<String>,
}

/// Runs until standard input ends.
pub fn run(options: &Options) -> Result<()> {
    let spans = options.rate * options.secs;
    ensure!(options.rate > 0.0 && options.secs > 0.0, "rate and secs must be above 0");
    ensure!(spans <= MAX_SPANS, "{spans:.0} spans in all, more than {MAX_SPANS:.0}: lower the rate or the time");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(options))
}

async fn serve(options: &Options) -> Result<()> {
    let ground = Rc::new(Ground { book: RefCell::new(Book::default()), valve: Valve::open(), pending: Cell::new(0) });
    let mut workers = JoinSet::new();
    let exporters = EXPORTERS.map(|protocol| {
        let to = match protocol {
            Protocol::Grpc => options.grpc,
            Protocol::Http => options.http,
        };
        Exporter::start(protocol, to, &ground, &mut workers)
    });
    let traces_per_s = options.rate / SPANS_A_TRACE as f64;
    let traces = (traces_per_s * options.secs) as u64;
    let generated = Rc::new(Cell::new(false));
    tokio::task::spawn_local(generate(exporters, Rc::clone(&ground), traces_per_s, traces, Rc::clone(&generated)));
    let mut auditor = Auditor::default();
    let mut lines = read_lines();
    while let Some(line) = lines.recv().await {
        let order = serde_json::from_str(&line).with_context(|| format!("not an order: {line:?}"))?;
        let answer = match order {
            Order::Stall { stalled } => {
                ground.valve.set(Flow { forth: !stalled, back: !stalled });
                json!({})
            }
            Order::Progress => json!({
                "done": generated.get() && ground.pending.get() == 0,
                "spans": ground.book.borrow().counts.spans,
                "acknowledged": ground.book.borrow().acknowledged.len(),
            }),
            Order::Close => {
                workers.shutdown().await;
                json!({})
            }
            Order::Audit { journals, disturbances } => {
                let outcome = auditor.outcome(&mut ground.book.borrow_mut(), &journals, &disturbances)?;
                serde_json::to_value(outcome)?
            }
        };
        println!("{answer}");
    }
    Ok(())
}

/// Begins traces at the rate, and gives the exporters what is due, until every part of every trace was due.
async fn generate(
    exporters: [Exporter; EXPORTERS.len()],
    ground: Rc<Ground>,
    traces_per_s: f64,
    traces: u64,
    generated: Rc<Cell<bool>>,
) {
    let begin = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut due: BTreeMap<u64, Vec<Part>> = BTreeMap::new();
    let mut next = 0;
    while next < traces || !due.is_empty() {
        ticks.tick().await;
        let now_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        while next < traces && next as f64 / traces_per_s * 1_000.0 <= now_ms as f64 {
            let at_ms = (next as f64 / traces_per_s * 1_000.0) as u64;
            for part in Part::of(next) {
                due.entry(at_ms + part.due_ms()).or_default().push(part);
            }
            next += 1;
        }
        let later = due.split_off(&(now_ms + 1));
        let mut ready: [Vec<Part>; EXPORTERS.len()] = Default::default();
        for part in std::mem::replace(&mut due, later).into_values().flatten() {
            ready[part.exporter(EXPORTERS.len() as u64) as usize].push(part);
        }
        for (exporter, parts) in ready.iter().enumerate() {
            for parts in parts.chunks(MAX_PARTS) {
                let id = ground.book.borrow_mut().open(exporter as u64, parts.to_vec(), unix_ms());
                exporters[exporter].push(id);
            }
        }
    }
    generated.set(true);
}

/// Remembers how far the journals were read.
#[derive(Default)]
struct Auditor {
    arrivals: Arrivals,
    readers: BTreeMap<PathBuf, Reader>,
}

impl Auditor {
    fn outcome(&mut self, book: &mut Book, journals: &[Vec<PathBuf>], disturbances: &Disturbances) -> Result<Outcome> {
        // A trace's sinks are bits of a byte.
        ensure!(journals.len() <= 8, "{} sinks, more than 8", journals.len());
        for (sink, paths) in journals.iter().enumerate() {
            for path in paths {
                let reader = self.readers.entry(path.clone()).or_insert_with(|| Reader::new(path.clone()));
                for record in reader.read()? {
                    self.arrivals.take(sink, &record);
                }
            }
        }
        Ok(Outcome {
            findings: audit(book, &self.arrivals, disturbances),
            counts: book.counts,
            answered_p50_ms: quantile(&mut book.answered_ms, 0.5),
            answered_p99_ms: quantile(&mut book.answered_ms, 0.99),
            delivered_p50_ms: quantile(&mut book.delivered_ms, 0.5),
            delivered_p99_ms: quantile(&mut book.delivered_ms, 0.99),
            refusals: book.refusals.clone(),
        })
    }
}
