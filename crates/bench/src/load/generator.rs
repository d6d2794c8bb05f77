//! Sends requests as OTLP exporters do: as fast as they are taken, or at a rate.

use super::exporter::{Exporter, Protocol};
use crate::requests::{REQUESTS_A_TRACE, Template};
use anyhow::{Context, Result};
use bytes::Bytes;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

/// What to send.
pub struct Load {
    pub to: SocketAddr,
    pub protocol: Protocol,
    /// Whole groups, all of one size; at least one.
    pub templates: Rc<[Template]>,
    /// The number of the first group of requests.
    pub first: u64,
    pub duration: Duration,
    /// The rate that is offered; without it, as much as is taken.
    pub spans_per_s: Option<f64>,
}

/// What was sent.
#[derive(Default)]
pub struct Sent {
    pub requests: u64,
    pub acknowledged: u64,
    /// Why the first request that was not acknowledged was not.
    pub refusal: Option<String>,
    /// From when a request was due to its acknowledgement, sorted.
    pub latencies_us: Vec<u32>,
}

/// Enough to keep a proxy busy while answers are on their way.
const REQUESTS_AT_ONCE: usize = 32;

/// 16 MB of latencies: a minute of 66,000 requests a second.
const MAX_REQUESTS: u64 = 4_000_000;

/// After a refusal, so that a proxy that refuses everything is not asked a million times.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Sends until the time is over and every request is answered.
pub async fn send(load: Load) -> Result<Sent> {
    let exporters = Exporter::connect(load.to, load.protocol, REQUESTS_AT_ONCE).await?;
    let phase = Rc::new(Phase { begin: Instant::now(), turn: Cell::new(0), load });
    let local = LocalSet::new();
    let mut workers = JoinSet::new();
    for exporter in exporters {
        workers.spawn_local_on(work(exporter, Rc::clone(&phase)), &local);
    }
    let sent = local.run_until(async {
        let mut sent = Sent::default();
        while let Some(done) = workers.join_next().await {
            sent.add(done.context("a worker of the load generator panicked")?);
        }
        sent.latencies_us.sort_unstable();
        Ok(sent)
    });
    sent.await
}

struct Phase {
    begin: Instant,
    turn: Cell<u64>,
    load: Load,
}

impl Phase {
    /// The next request and when it is due, or nothing when the time is over.
    fn next(&self) -> Option<(u64, Instant)> {
        let turn = self.turn.get();
        let due = match self.load.spans_per_s {
            Some(rate) => self.begin + Duration::from_secs_f64((turn * self.load.templates[0].spans()) as f64 / rate),
            None => Instant::now(),
        };
        if turn >= MAX_REQUESTS || due >= self.begin + self.load.duration {
            return None;
        }
        self.turn.set(turn + 1);
        Some((turn, due))
    }

    fn body(&self, turn: u64) -> Bytes {
        let templates = &self.load.templates;
        let group = self.load.first + turn / REQUESTS_A_TRACE as u64;
        templates[(turn % templates.len() as u64) as usize].numbered(group)
    }
}

/// One request after the other.
async fn work(mut exporter: Exporter, phase: Rc<Phase>) -> Sent {
    let mut sent = Sent::default();
    while let Some((turn, due)) = phase.next() {
        // What is due later is sent by a timer of milliseconds: that it is late is not the proxy's doing. What is due
        // already waited for an answer to another request: that is.
        let from = if due > Instant::now() {
            sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        let body = phase.body(turn);
        sent.requests += 1;
        match exporter.export(body).await {
            Ok(()) => {
                sent.acknowledged += 1;
                sent.latencies_us.push(u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                sent.refusal.get_or_insert_with(|| format!("{error:#}"));
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
    sent
}

impl Sent {
    /// The groups of requests that were begun.
    pub fn groups(&self) -> u64 {
        self.requests.div_ceil(REQUESTS_A_TRACE as u64)
    }

    /// The quantile of the latencies in milliseconds; 0 if nothing was acknowledged.
    pub fn milliseconds(&self, quantile: f64) -> f64 {
        let sorted = &self.latencies_us;
        let rank = (sorted.len() as f64 * quantile) as usize;
        sorted.get(rank.min(sorted.len().saturating_sub(1))).map_or(0.0, |us| f64::from(*us) / 1_000.0)
    }

    fn add(&mut self, other: Sent) {
        self.requests += other.requests;
        self.acknowledged += other.acknowledged;
        self.latencies_us.extend(other.latencies_us);
        self.refusal = self.refusal.take().or(other.refusal);
    }
}
