//! `bench load`: a load generator and two sinks in one process, so that one core carries both, and a measurement ends
//! when what was acknowledged has come out again.
//!
//! The first line on standard output says where the sinks are. Each line on standard input is an [`Order`], and is
//! answered with one line, an [`Outcome`]. It ends when its standard input does, so it never outlives who started it.

mod generator;
mod sink;

use crate::requests::{Dice, Template};
use anyhow::{Context, Result, ensure};
use generator::{Load, Sent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sink::Sink;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What to send, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    /// The OTLP/gRPC port to send to; without it the first sink, which is no proxy at all.
    to: Option<SocketAddr>,
    /// Spans of each request.
    spans_per_request: usize,
    /// For how long.
    secs: f64,
    /// The rate that is offered; without it, as much as is taken.
    spans_per_s: Option<f64>,
    /// Whether the proxy throws away what it acknowledges, so that nothing is waited for.
    #[serde(default)]
    discarded: bool,
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
    /// Requests that a sink could not read, and why not the last one so far.
    malformed_requests: u64,
    malformed: Option<String>,
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
const TEMPLATES: (usize, usize) = (4, 64);

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

/// Reads on a thread of its own, for the sinks must answer while nothing is ordered.
fn read_lines() -> mpsc::Receiver<String> {
    // An order is answered before the next one is given.
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

struct Bench {
    sinks: [Sink; 2],
    templates: BTreeMap<usize, Rc<[Template]>>,
    /// The number of the next request: none has the trace ids of another one.
    next: u64,
}

impl Bench {
    async fn start() -> Result<Bench> {
        let sinks = [Sink::start().await?, Sink::start().await?];
        Ok(Bench { sinks, templates: BTreeMap::new(), next: 1 })
    }

    async fn carry_out(&mut self, order: &Order) -> Result<Outcome> {
        let spans = order.spans_per_request;
        ensure!((1..=MAX_SPANS).contains(&spans), "spansPerRequest is {spans}, expected 1 to {MAX_SPANS}");
        ensure!(order.secs > 0.0 && order.secs <= MAX_SECS, "secs is {}, expected up to {MAX_SECS}", order.secs);
        ensure!(order.spans_per_s.is_none_or(|rate| rate > 0.0 && rate.is_finite()), "spansPerS is not above 0");
        let templates = self.templates(spans);
        let before = self.received();
        let malformed_before = self.malformed();
        let begin = Instant::now();
        let load = Load {
            to: order.to.unwrap_or(self.sinks[0].address),
            templates,
            first: self.next,
            duration: Duration::from_secs_f64(order.secs),
            spans_per_s: order.spans_per_s,
        };
        let sent = generator::send(load).await?;
        self.next += sent.requests;
        let answered = Instant::now();
        if !order.discarded {
            self.drain(before.iter().sum::<u64>() + sent.acknowledged * spans as u64).await;
        }
        let received = self.received();
        let last = self.sinks.iter().filter_map(Sink::last_arrival).filter(|last| *last > begin).max();
        Ok(Outcome {
            acknowledged_spans: sent.acknowledged * spans as u64,
            refused_requests: sent.requests - sent.acknowledged,
            p50_ms: milliseconds(&sent, 0.5),
            p99_ms: milliseconds(&sent, 0.99),
            refusal: sent.refusal,
            received_spans: [received[0] - before[0], received[1] - before[1]],
            malformed_requests: self.malformed() - malformed_before,
            malformed: self.sinks.iter().find_map(Sink::last_reason),
            secs: last.unwrap_or(answered).duration_since(begin).as_secs_f64(),
        })
    }

    fn templates(&mut self, spans: usize) -> Rc<[Template]> {
        let make = || {
            let mut dice = Dice(7);
            let count = (TEMPLATE_BYTES / (spans * SPAN_BYTES)).clamp(TEMPLATES.0, TEMPLATES.1);
            (0..count).map(|_| Template::new(spans, &mut dice)).collect()
        };
        Rc::clone(self.templates.entry(spans).or_insert_with(make))
    }

    /// Waits until so many spans came out in all, or nothing more comes.
    async fn drain(&self, expected: u64) {
        let mut seen = self.received();
        let mut since = Instant::now();
        while self.received().iter().sum::<u64>() < expected && since.elapsed() < SILENCE {
            tokio::time::sleep(DRAIN_POLL).await;
            let now = self.received();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    fn received(&self) -> [u64; 2] {
        self.sinks.each_ref().map(Sink::spans)
    }

    fn malformed(&self) -> u64 {
        self.sinks.iter().map(Sink::malformed).sum()
    }
}

/// The quantile of the latencies, which are sorted; 0 if nothing was acknowledged.
fn milliseconds(sent: &Sent, quantile: f64) -> f64 {
    let sorted = &sent.latencies_us;
    let rank = (sorted.len() as f64 * quantile) as usize;
    sorted.get(rank.min(sorted.len().saturating_sub(1))).map_or(0.0, |us| f64::from(*us) / 1_000.0)
}

#[cfg(test)]
mod tests;
