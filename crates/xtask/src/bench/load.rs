//! The load generator with its sinks (`bench load`): one order, one outcome, and what must hold of its counts whatever
//! the numbers are.

use super::contenders::{ComesOut, Contender, Protocol, Proxy};
use super::running::Running;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What an order may take beside its own time: to connect (4 times 5 s), the last answers (10 s), and to drain a queue;
/// Rotel's holds 1,000 requests, 1,000,000 spans at some 100,000 a second.
const BEYOND_S: f64 = 60.0;

/// Half of the traces by a hash: of thousands of traces, the share is within a hundredth.
const OUR_SHARE: RangeInclusive<f64> = 0.45..=0.55;
/// Half of the requests by lot, and there may be only two hundred.
const ANY_SHARE: RangeInclusive<f64> = 0.3..=0.7;

/// Where and what to send.
#[derive(Clone, Copy)]
pub struct Order {
    pub contender: Contender,
    pub protocol: Protocol,
    pub spans_per_request: u64,
    pub secs: f64,
    /// The rate that is offered; without it, as much as is taken.
    pub spans_per_s: Option<f64>,
    /// Whether traces are counted by where they came out, which takes the sinks' time.
    pub traces: bool,
}

/// What became of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Spans that were acknowledged.
    pub acknowledged: u64,
    /// Requests that were acknowledged.
    pub requests: u64,
    /// Of the acknowledged spans, those that came out, without copies, or were thrown away as they should.
    pub passed: u64,
    /// Spans at the second sink.
    pub green: u64,
    pub refused: u64,
    /// Why the first one was.
    pub refusal: Option<String>,
    /// Whether what came out was compressed.
    pub gzip: bool,
    /// Where they were asked for.
    pub traces: Option<TraceCounts>,
    /// Requests that the taps took.
    pub tapped: u64,
    pub secs: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Traces, by where they came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceCounts {
    pub seen: u64,
    /// At both sinks.
    pub torn: u64,
}

pub struct Load {
    running: Running,
}

impl Load {
    /// Reads where the sinks are.
    pub fn ready(mut running: Running) -> Result<(Load, [SocketAddr; 2])> {
        let line = running.line(Duration::from_secs_f64(BEYOND_S))?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        let sink = |index: usize| said["sinks"][index].as_str().and_then(|address| address.parse().ok());
        let sinks = sink(0).zip(sink(1)).with_context(|| format!("no two sinks in {line}"))?;
        Ok((Load { running }, [sinks.0, sinks.1]))
    }

    /// Sends to the proxy, or without one to the sink itself.
    pub fn carry_out(&mut self, order: &Order, proxy: Option<&Proxy>) -> Result<Outcome> {
        let comes_out = order.contender.comes_out();
        let text = json!({
            "to": proxy.map(|proxy| proxy.address),
            "protocol": order.protocol.key(),
            "spansPerRequest": order.spans_per_request,
            "secs": order.secs,
            "spansPerS": order.spans_per_s,
            "comesOut": match comes_out {
                ComesOut::Nowhere => 0,
                ComesOut::Once | ComesOut::Split => 1,
                ComesOut::Mirrored => 2,
            },
            "traces": order.traces,
            "taps": proxy.and_then(|proxy| proxy.taps),
        });
        self.running.tell(&text.to_string())?;
        let line = self.running.line(Duration::from_secs_f64(order.secs + BEYOND_S))?;
        let outcome = Outcome::read(&line, order)?;
        outcome.check(order.contender)?;
        Ok(outcome)
    }
}

impl Outcome {
    fn read(line: &str, order: &Order) -> Result<Outcome> {
        let answer: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let whole = |field: &Value| field.as_u64().with_context(|| format!("a count is missing in {line}"));
        let number = |field: &Value| field.as_f64().with_context(|| format!("a number is missing in {line}"));
        let malformed = whole(&answer["malformedRequests"])?;
        let why = &answer["malformed"];
        ensure!(malformed == 0, "the sinks could not read {malformed} requests: {why}");
        let [blue, green] = [whole(&answer["receivedSpans"][0])?, whole(&answer["receivedSpans"][1])?];
        let acknowledged = whole(&answer["acknowledgedSpans"])?;
        let passed = match order.contender.comes_out() {
            ComesOut::Once | ComesOut::Split => blue + green,
            ComesOut::Mirrored => blue,
            ComesOut::Nowhere => {
                ensure!(blue + green == 0, "{} spans came out where none should", blue + green);
                acknowledged
            }
        };
        let traces = match order.traces {
            true => {
                let counts = &answer["traces"];
                Some(TraceCounts { seen: whole(&counts["seen"])?, torn: whole(&counts["torn"])? })
            }
            false => None,
        };
        Ok(Outcome {
            acknowledged,
            requests: acknowledged / order.spans_per_request,
            passed,
            green,
            refused: whole(&answer["refusedRequests"])?,
            refusal: answer["refusal"].as_str().map(str::to_owned),
            gzip: whole(&answer["compressedRequests"])? > 0,
            traces,
            tapped: whole(&answer["tappedRequests"])?,
            secs: number(&answer["secs"])?,
            p50_ms: number(&answer["p50Ms"])?,
            p99_ms: number(&answer["p99Ms"])?,
        })
    }

    /// Nothing is measured of a proxy that does something else than it should.
    fn check(&self, contender: Contender) -> Result<()> {
        let refusal = self.refusal.as_deref().unwrap_or("no request was refused");
        ensure!(self.passed > 0, "nothing came out: {refusal}");
        let share = self.green as f64 / self.passed as f64;
        let as_it_should = match contender.comes_out() {
            ComesOut::Once | ComesOut::Nowhere => self.green == 0,
            ComesOut::Split if contender.is_ours() => OUR_SHARE.contains(&share),
            ComesOut::Split => ANY_SHARE.contains(&share),
            ComesOut::Mirrored => self.green > 0,
        };
        ensure!(as_it_should, "of {} spans that came out, {} came to the second sink", self.passed, self.green);
        let torn = self.traces.map_or(0, |traces| traces.torn);
        ensure!(torn == 0 || !contender.is_ours(), "{torn} traces came out of both sinks, though a split tears none");
        Ok(())
    }

    /// Spans that were acknowledged and did not come out. A request that was refused may have come out all the same.
    pub fn lost(&self) -> u64 {
        self.acknowledged.saturating_sub(self.passed)
    }
}

#[cfg(test)]
mod tests;
