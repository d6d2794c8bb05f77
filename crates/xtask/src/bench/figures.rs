//! What was measured, and the table of it. Pure.

#[cfg(test)]
mod tests;

use super::contenders::Contender;
use serde_json::{Value, json};
use std::fmt::Write;

/// One contender, one size of request, one round.
#[derive(Clone, Debug)]
pub struct Cell {
    pub contender: Contender,
    pub spans_per_request: u64,
    /// Spans that came out a second, while as much was sent as was taken.
    pub spans_per_s: f64,
    /// Of the proxy, from the first request until everything came out. None without a proxy.
    pub proxy: Option<ProxyCost>,
    /// From due to acknowledged, at half of `spans_per_s`.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Spans that were acknowledged and did not come out, in all phases.
    pub lost_spans: u64,
    pub refused_requests: u64,
}

/// What the proxy's process took.
#[derive(Clone, Copy, Debug)]
pub struct ProxyCost {
    /// CPU seconds for a million spans that came out.
    pub cpu_s_per_million: f64,
    /// The share of one core that it had: near 1 it is what limits; far below, generator and sink are.
    pub busy: f64,
    pub peak_resident_mib: f64,
}

impl Cell {
    pub fn json(&self) -> Value {
        json!({
            "contender": self.contender.name(),
            "spansPerRequest": self.spans_per_request,
            "spansPerS": self.spans_per_s.round(),
            "proxyCpuSecondsPerMillionSpans": self.proxy.map(|proxy| proxy.cpu_s_per_million),
            "proxyBusy": self.proxy.map(|proxy| proxy.busy),
            "proxyPeakResidentMib": self.proxy.map(|proxy| proxy.peak_resident_mib),
            "p50Ms": self.p50_ms,
            "p99Ms": self.p99_ms,
            "lostSpans": self.lost_spans,
            "refusedRequests": self.refused_requests,
        })
    }
}

const HEADER: &str = "\
spans a                             spans/s    CPU s a   proxy    p50     p99    peak |  spans/s beside     CPU beside Rotel
request  contender                           million sp.   busy     ms      ms     MiB | no proxy   Rotel    whole  sends nothing
";

/// One line for each contender and size: the medians over the rounds, for memory the most.
pub fn table(cells: &[Cell]) -> String {
    let mut text = HEADER.to_owned();
    let mut sizes: Vec<u64> = cells.iter().map(|cell| cell.spans_per_request).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let summary = |contender: Contender| {
            let of: Vec<&Cell> =
                cells.iter().filter(|cell| cell.contender == contender && cell.spans_per_request == size).collect();
            Summary::of(&of)
        };
        let peers = [Contender::NoProxy, Contender::Rotel, Contender::RotelDiscarding].map(summary);
        for contender in Contender::ALL {
            if let Some(summary) = summary(contender) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{size:>7}  {:<22}{}", contender.name(), summary.line(peers));
            }
        }
    }
    text
}

#[derive(Clone, Copy)]
struct Summary {
    spans_per_s: f64,
    cpu_s: Option<f64>,
    busy: Option<f64>,
    p50_ms: f64,
    p99_ms: f64,
    peak_mib: Option<f64>,
}

impl Summary {
    /// None if nothing was measured.
    fn of(cells: &[&Cell]) -> Option<Summary> {
        let middle = |value: fn(&Cell) -> f64| median(cells.iter().map(|cell| value(cell)).collect());
        let costs: Vec<ProxyCost> = cells.iter().filter_map(|cell| cell.proxy).collect();
        let cost = |value: fn(&ProxyCost) -> f64| median(costs.iter().map(value).collect());
        Some(Summary {
            spans_per_s: middle(|cell| cell.spans_per_s)?,
            cpu_s: cost(|cost| cost.cpu_s_per_million),
            busy: cost(|cost| cost.busy),
            p50_ms: middle(|cell| cell.p50_ms)?,
            p99_ms: middle(|cell| cell.p99_ms)?,
            peak_mib: costs.iter().map(|cost| cost.peak_resident_mib).max_by(f64::total_cmp),
        })
    }

    /// `peers`: no proxy, Rotel, and Rotel that sends nothing, where they were measured.
    fn line(&self, peers: [Option<Summary>; 3]) -> String {
        let [none, rotel, discarding] = peers;
        let shown =
            |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        let times = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}x"));
        let spans_beside = |other: Option<Summary>| times(other.map(|other| self.spans_per_s / other.spans_per_s));
        // Above 1: so many times less CPU.
        let cpu_beside = |other: Option<Summary>| {
            let both = self.cpu_s.zip(other.and_then(|other| other.cpu_s));
            times(both.map(|(ours, theirs)| theirs / ours))
        };
        format!(
            "{:>12.0}   {:>11}  {:>5}%  {:>5.2}  {:>6.2}  {:>6} | {:>8}  {:>6}  {:>7}  {:>13}",
            self.spans_per_s,
            shown(self.cpu_s, 3),
            shown(self.busy.map(|busy| busy * 100.0), 0),
            self.p50_ms,
            self.p99_ms,
            shown(self.peak_mib, 0),
            spans_beside(none),
            spans_beside(rotel),
            cpu_beside(rotel),
            cpu_beside(discarding),
        )
    }
}

/// The middle one, or of two the mean.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}
