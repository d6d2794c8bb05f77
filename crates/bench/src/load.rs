//! `bench load`: a load generator and two sinks in one process, so that one core carries both, and a measurement ends
//! when what was acknowledged has come out again.
//!
//! The first line on standard output says where the sinks are. Each line on standard input is an [`Order`], and is
//! answered with one line, an [`Outcome`]. It ends when its standard input does, so it never outlives who started it.

mod copies;
mod exporter;
mod generator;
mod sink;
mod traces;

use crate::orders::read_lines;
use crate::requests::{Dice, REQUESTS_A_TRACE, Template};
use anyhow::{Context, Result, ensure};
use copies::Copies;
use exporter::Protocol;
use generator::Load;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sink::{SharedTraces, Sink};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use traces::{TraceCounts, Traces};

/// What to send, and for how long.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Order {
    /// The port to send to; without it the first sink, which is no proxy at all.
    to: Option<SocketAddr>,
    protocol: Protocol,
    /// Spans of each request.
    spans_per_request: usize,
    /// For how long.
    secs: f64,
    /// The rate that is offered; without it, as much as is taken.
    spans_per_s: Option<f64>,
    /// How often each span that is acknowledged comes out, which is waited for: 0 where the proxy throws it away, 2 where
    /// it mirrors.
    comes_out: u64,
    /// Whether the traces are counted, and those that came out of both sinks.
    traces: bool,
    /// Taps to which the first and the second sink export all that they take once more.
    taps: Option<[SocketAddr; 2]>,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// Spans of requests that were acknowledged.
    acknowledged_spans: u64,
    /// Requests that were refused or not answered, and why the first one was.
    refused_requests: u64,
    refusal: Option<String>,
    /// Spans that came out, by sink.
    received_spans: [u64; 2],
    /// Requests that came out compressed.
    compressed_requests: u64,
    /// Requests that a sink could not read, and why not the last one so far.
    malformed_requests: u64,
    malformed: Option<String>,
    traces: Option<TraceCounts>,
    /// Requests that the taps took.
    tapped_requests: u64,
    /// From the first request to the last span that came out, or, if none did, to the last answer.
    secs: f64,
    /// From when a request was due to its acknowledgement.
    p50_ms: f64,
    p99_ms: f64,
}

/// A request of more is nobody's; a longer measurement says no more.
const MAX_SPANS: usize = 10_000;
const MAX_SECS: f64 = 600.0;

/// Templates of one size: 8 MB of them, some at least, so that the bytes do not stay in a near cache.
const TEMPLATE_BYTES: usize = 8_000_000;
const SPAN_BYTES: usize = 530;
/// Groups of four requests.
const GROUPS: (usize, usize) = (2, 16);

/// Nothing came out for so long: what is missing is lost. Rotel collects a batch for 200 ms.
const SILENCE: Duration = Duration::from_secs(2);
/// How often is looked whether everything came out.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Runs until standard input ends.
pub fn run() -> Result<()> {
    // One thread: it is pinned to one core, and the sinks must not run beside the generator for free.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<()> {
    let mut bench = Bench::start().await?;
    println!("{}", json!({ "sinks": bench.sinks.each_ref().map(|sink| sink.address) }));
    let mut lines = read_lines();
    while let Some(line) = lines.recv().await {
        let order = serde_json::from_str(&line).with_context(|| format!("not an order: {line:?}"))?;
        println!("{}", serde_json::to_string(&bench.carry_out(&order).await?)?);
    }
    Ok(())
}

struct Bench {
    sinks: [Sink; 2],
    traces: SharedTraces,
    templates: BTreeMap<usize, Rc<[Template]>>,
    /// The number of the next group of requests: none has the trace ids of another one.
    next: u64,
}

/// What the sinks have counted since they began.
struct Counted {
    spans: [u64; 2],
    compressed: u64,
    malformed: u64,
}

impl Order {
    fn check(&self) -> Result<()> {
        let (spans, secs) = (self.spans_per_request, self.secs);
        ensure!((1..=MAX_SPANS).contains(&spans), "spansPerRequest is {spans}, expected 1 to {MAX_SPANS}");
        ensure!(secs > 0.0 && secs <= MAX_SECS, "secs is {secs}, expected up to {MAX_SECS}");
        ensure!(self.spans_per_s.is_none_or(|rate| rate > 0.0 && rate.is_finite()), "spansPerS is not above 0");
        ensure!(self.comes_out <= 2, "comesOut is {}, expected 0, 1 or 2: there are two sinks", self.comes_out);
        Ok(())
    }
}

impl Bench {
    async fn start() -> Result<Bench> {
        let traces = SharedTraces::default();
        let sinks = [Sink::start(0, Arc::clone(&traces)).await?, Sink::start(1, Arc::clone(&traces)).await?];
        Ok(Bench { sinks, traces, templates: BTreeMap::new(), next: 1 })
    }

    async fn carry_out(&mut self, order: &Order) -> Result<Outcome> {
        order.check()?;
        let spans = order.spans_per_request as u64;
        let templates = self.templates(order.spans_per_request);
        *self.traces.lock().expect(UNPOISONED) = order.traces.then(Traces::default);
        let copies = self.copy_to(order.taps).await?;
        let before = self.counted();
        let begin = Instant::now();
        let load = Load {
            to: order.to.unwrap_or(self.sinks[0].address),
            protocol: order.protocol,
            templates,
            first: self.next,
            duration: Duration::from_secs_f64(order.secs),
            spans_per_s: order.spans_per_s,
        };
        let sent = generator::send(load).await?;
        self.next += sent.groups();
        let answered = Instant::now();
        self.drain(before.spans.iter().sum::<u64>() + order.comes_out * sent.acknowledged * spans).await;
        let mut tapped_requests = 0;
        for (sink, copies) in self.sinks.iter().zip(&copies) {
            sink.copy_to(None);
            tapped_requests += copies.finish().await?;
        }
        let after = self.counted();
        let last = self.sinks.iter().filter_map(Sink::last_arrival).filter(|last| *last > begin).max();
        Ok(Outcome {
            acknowledged_spans: sent.acknowledged * spans,
            refused_requests: sent.requests - sent.acknowledged,
            p50_ms: sent.milliseconds(0.5),
            p99_ms: sent.milliseconds(0.99),
            refusal: sent.refusal,
            received_spans: [after.spans[0] - before.spans[0], after.spans[1] - before.spans[1]],
            compressed_requests: after.compressed - before.compressed,
            malformed_requests: after.malformed - before.malformed,
            malformed: self.sinks.iter().find_map(Sink::last_reason),
            traces: self.traces.lock().expect(UNPOISONED).take().map(|traces| traces.counts()),
            tapped_requests,
            secs: last.unwrap_or(answered).duration_since(begin).as_secs_f64(),
        })
    }

    /// Connects the sinks to their taps, if there are any.
    async fn copy_to(&self, taps: Option<[SocketAddr; 2]>) -> Result<Vec<Arc<Copies>>> {
        let mut all = Vec::new();
        for (sink, tap) in self.sinks.iter().zip(taps.into_iter().flatten()) {
            let copies = Arc::new(Copies::to(tap).await?);
            sink.copy_to(Some(Arc::clone(&copies)));
            all.push(copies);
        }
        Ok(all)
    }

    fn templates(&mut self, spans: usize) -> Rc<[Template]> {
        let make = || {
            let mut dice = Dice(7);
            let groups = TEMPLATE_BYTES / (spans * SPAN_BYTES * REQUESTS_A_TRACE);
            (0..groups.clamp(GROUPS.0, GROUPS.1)).flat_map(|_| Template::group(spans, &mut dice)).collect()
        };
        Rc::clone(self.templates.entry(spans).or_insert_with(make))
    }

    /// Waits until so many spans came out in all, or nothing more comes.
    async fn drain(&self, expected: u64) {
        let spans = || self.sinks.each_ref().map(Sink::spans);
        let mut seen = spans();
        let mut since = Instant::now();
        while seen.iter().sum::<u64>() < expected && since.elapsed() < SILENCE {
            tokio::time::sleep(DRAIN_POLL).await;
            let now = spans();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    fn counted(&self) -> Counted {
        Counted {
            spans: self.sinks.each_ref().map(Sink::spans),
            compressed: self.sinks.iter().map(Sink::compressed).sum(),
            malformed: self.sinks.iter().map(Sink::malformed).sum(),
        }
    }
}

const UNPOISONED: &str = "nobody panics with the lock";

#[cfg(test)]
mod tests;
