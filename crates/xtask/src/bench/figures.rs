//! What was measured, and the table of it. Pure.

mod ratios;

#[cfg(test)]
mod tests;

pub use ratios::{Ratio, ratios};

use super::contenders::{Contender, Protocol};
use super::load::TraceCounts;
use super::running::CpuTime;
use serde_json::{Value, json};
use std::fmt::Write;

/// One contender, one protocol, one size of request, one round.
#[derive(Clone, Debug)]
pub struct Cell {
    pub contender: Contender,
    pub protocol: Protocol,
    pub spans_per_request: u64,
    /// Spans that came out a second, while as much was sent as was taken; copies are not counted.
    pub spans_per_s: f64,
    /// Of the proxy. None without a proxy.
    pub proxy: Option<ProxyCost>,
    /// The rate at which latencies were measured.
    pub offered_spans_per_s: f64,
    /// From due to acknowledged, through the proxy.
    pub latency: Latency,
    /// The same at the same rate without a proxy.
    pub direct: Latency,
    /// Where traces came out, where that says something.
    pub traces: Option<TraceCounts>,
    /// Of a mirror: copies that came out, for each span that came out.
    pub mirrored: Option<f64>,
    /// Of a rollout: the share of its views that verification read, while as much was sent as was taken.
    pub verified: Option<f64>,
    /// Whether what came out was compressed.
    pub gzip: bool,
    /// Spans that were acknowledged and did not come out, in all phases.
    pub lost_spans: u64,
    pub refused_requests: u64,
}

/// What the proxy's process took.
#[derive(Clone, Copy, Debug)]
pub struct ProxyCost {
    /// CPU seconds for a million spans that came out, until the proxy had nothing more to do for them.
    pub cpu_per_million: CpuTime,
    /// The share of one core that it had until everything came out: near 1 it is what limits; far below, generator and
    /// sink are.
    pub busy: f64,
    pub peak_resident_mib: f64,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// The rate for the latencies of a contender: half of the most that it takes, but no more than half of what generator and
/// sink do without it, for beyond that the latencies are theirs.
pub fn half_load(own_spans_per_s: f64, direct_spans_per_s: f64) -> f64 {
    own_spans_per_s.min(direct_spans_per_s) / 2.0
}

impl Latency {
    pub fn above(self, direct: Latency) -> Latency {
        Latency { p50_ms: self.p50_ms - direct.p50_ms, p99_ms: self.p99_ms - direct.p99_ms }
    }

    fn json(self) -> Value {
        json!({ "p50Ms": self.p50_ms, "p99Ms": self.p99_ms })
    }
}

impl Cell {
    pub fn json(&self) -> Value {
        json!({
            "contender": self.contender.name(),
            "protocol": self.protocol.key(),
            "spansPerRequest": self.spans_per_request,
            "spansPerS": self.spans_per_s.round(),
            "proxyCpuSecondsPerMillionSpans": self.proxy.map(|proxy| proxy.cpu_per_million.total_s()),
            "proxyUserSecondsPerMillionSpans": self.proxy.map(|proxy| proxy.cpu_per_million.user_s),
            "proxySystemSecondsPerMillionSpans": self.proxy.map(|proxy| proxy.cpu_per_million.system_s),
            "proxyBusy": self.proxy.map(|proxy| proxy.busy),
            "proxyPeakResidentMib": self.proxy.map(|proxy| proxy.peak_resident_mib),
            "offeredSpansPerS": self.offered_spans_per_s.round(),
            "latency": self.latency.json(),
            "latencyWithoutProxy": self.direct.json(),
            "latencyAdded": self.latency.above(self.direct).json(),
            "traces": self.traces.map(|traces| json!({ "seen": traces.seen, "torn": traces.torn })),
            "mirrored": self.mirrored,
            "verified": self.verified,
            "gzip": self.gzip,
            "lostSpans": self.lost_spans,
            "refusedRequests": self.refused_requests,
        })
    }
}

const HEADER: &str = concat!(
    "      spans a                               spans/s  CPU s a million spans  proxy  |   at half  ",
    "p50 ms              p99 ms               |  peak\n",
    "OTLP  request  contender                                all   user  system   busy  |   spans/s  ",
    "   all direct added     all direct added  |   MiB  notes\n",
);

/// One line for each contender, protocol and size that was measured: the medians over the rounds, for memory the most.
pub fn table(cells: &[Cell]) -> String {
    let mut text = HEADER.to_owned();
    for (protocol, size) in groups(cells) {
        for contender in Contender::ALL {
            if let Some(summary) = Summary::of(cells, *contender, protocol, size) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{:<5} {size:>6}   {:<22}{}", protocol.key(), contender.name(), summary.line());
            }
        }
        text.push('\n');
    }
    text
}

/// Each protocol with each size that was measured, in the table's order.
fn groups(cells: &[Cell]) -> Vec<(Protocol, u64)> {
    let mut groups: Vec<_> = cells.iter().map(|cell| (cell.protocol, cell.spans_per_request)).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// A contender's rounds in one line.
#[derive(Clone, Debug)]
struct Summary {
    spans_per_s: f64,
    proxy: Option<ProxyCost>,
    offered_spans_per_s: f64,
    latency: Latency,
    direct: Latency,
    traces: Option<TraceCounts>,
    mirrored: Option<f64>,
    verified: Option<f64>,
    gzip: bool,
}

impl Summary {
    /// None if it was not measured.
    fn of(cells: &[Cell], contender: Contender, protocol: Protocol, size: u64) -> Option<Summary> {
        let cells: Vec<&Cell> = cells
            .iter()
            .filter(|cell| (cell.contender, cell.protocol, cell.spans_per_request) == (contender, protocol, size))
            .collect();
        let middle = |value: fn(&Cell) -> f64| median(cells.iter().map(|cell| value(cell)));
        let share = |value: fn(&Cell) -> Option<f64>| median(cells.iter().filter_map(|cell| value(cell)));
        let torn = |counts: TraceCounts, more: TraceCounts| TraceCounts {
            seen: counts.seen + more.seen,
            torn: counts.torn + more.torn,
        };
        Some(Summary {
            spans_per_s: middle(|cell| cell.spans_per_s)?,
            proxy: cost(&cells.iter().filter_map(|cell| cell.proxy).collect::<Vec<_>>()),
            offered_spans_per_s: middle(|cell| cell.offered_spans_per_s)?,
            latency: Latency {
                p50_ms: middle(|cell| cell.latency.p50_ms)?,
                p99_ms: middle(|cell| cell.latency.p99_ms)?,
            },
            direct: Latency { p50_ms: middle(|cell| cell.direct.p50_ms)?, p99_ms: middle(|cell| cell.direct.p99_ms)? },
            traces: cells.iter().filter_map(|cell| cell.traces).reduce(torn),
            mirrored: share(|cell| cell.mirrored),
            verified: share(|cell| cell.verified),
            gzip: cells.iter().any(|cell| cell.gzip),
        })
    }

    fn line(&self) -> String {
        let proxy = match self.proxy {
            Some(proxy) => {
                let CpuTime { user_s, system_s } = proxy.cpu_per_million;
                let all = proxy.cpu_per_million.total_s();
                format!("{all:>7.3} {user_s:>6.3} {system_s:>7.3}  {:>4.0}%", proxy.busy * 100.0)
            }
            None => format!("{:>7} {:>6} {:>7}  {:>5}", "-", "-", "-", "-"),
        };
        let (all, direct, added) = (self.latency, self.direct, self.latency.above(self.direct));
        let peak = self.proxy.map_or("-".to_owned(), |proxy| format!("{:.0}", proxy.peak_resident_mib));
        let line = format!(
            "{:>10.0}  {proxy}  | {:>9.0}  {:>6.2} {:>6.2} {:>5.2}  {:>6.2} {:>6.2} {:>5.2}  | {peak:>5}  {}",
            self.spans_per_s,
            self.offered_spans_per_s,
            all.p50_ms,
            direct.p50_ms,
            added.p50_ms,
            all.p99_ms,
            direct.p99_ms,
            added.p99_ms,
            self.notes(),
        );
        line.trim_end().to_owned()
    }

    /// What makes the line's numbers less, or more, than they seem.
    fn notes(&self) -> String {
        let mut notes = Vec::new();
        if let Some(TraceCounts { seen, torn }) = self.traces {
            notes.push(format!("{torn} of {seen} traces torn"));
        }
        if let Some(mirrored) = self.mirrored {
            notes.push(format!("{:.1}% mirrored", mirrored * 100.0));
        }
        if let Some(verified) = self.verified {
            notes.push(format!("{:.0}% verified", verified * 100.0));
        }
        if self.gzip {
            notes.push("sends gzip".to_owned());
        }
        notes.join(", ")
    }
}

fn cost(costs: &[ProxyCost]) -> Option<ProxyCost> {
    let middle = |value: fn(&ProxyCost) -> f64| median(costs.iter().map(value));
    Some(ProxyCost {
        cpu_per_million: CpuTime {
            user_s: middle(|cost| cost.cpu_per_million.user_s)?,
            system_s: middle(|cost| cost.cpu_per_million.system_s)?,
        },
        busy: middle(|cost| cost.busy)?,
        peak_resident_mib: costs.iter().map(|cost| cost.peak_resident_mib).max_by(f64::total_cmp)?,
    })
}

/// The middle one, or of two the mean.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}
