//! Real traces (IntelligentDDS/Nezha): random halves of them must not alarm, and a delay on one edge of one half must be
//! found, with its place.
//!
//! The evidence is STATISTICS.md's check 14: for each edge between services L on the client's exclusive time, charged to
//! the callee. What the callee itself takes is not in it, so that an edge is not blamed for what is behind it. The
//! thresholds are blue's quantiles, frozen when enough of its traces have passed; the alarm is the average over the
//! edges, and e-Holm names the one.

use super::{ALPHAS, Seeds};
use crate::edges::{Edge, delayed, edge_times};
use crate::nezha::{SYSTEMS, Trace, traces as read_traces};
use crate::seeded::all_runs;
use anyhow::Result;
use judge::Counts;
use judge::forms::{QUANTILES, Slower, log_mean, worse_by_themselves};
use judge::simulate::{Random, upper_bound};
use std::collections::BTreeMap;
use std::path::Path;

/// A batch of assignment time.
const BATCH_NS: u64 = 6_000_000_000;

/// Blue's traces on an edge after which its quantiles are frozen.
const TRACES_TO_FREEZE: usize = 50;

/// Traces that an edge must have to be judged: a half of them freezes quantiles four times over.
const TRACES_OF_AN_EDGE: usize = 400;

/// What is added to each call of one edge: 25 ms, which the slower of these edges take by themselves.
const DELAY_US: u64 = 25_000;

/// The chance that a late regression begins in a batch: one an hour.
const HAZARD: f64 = 1.0 / 600.0;

/// What one system's traces showed.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) traces: usize,
    pub(super) splits: u64,
    /// Random halves that alarmed, at both levels.
    pub(super) alarms: [u64; 2],
    /// By edge: runs with the delay, those that alarmed at 0.01, and those that named the edge.
    pub(super) delays: Vec<(String, u64, u64, u64)>,
}

impl Shown {
    /// 99 % upper bounds of the chance of an alarm.
    pub(super) fn bounds(&self) -> [f64; 2] {
        self.alarms.map(|alarms| upper_bound(alarms, self.splits, 0.99))
    }

    /// A thousand halves cannot bound 1 % as tightly as ten thousand runs can: what is broken is more alarms than a
    /// chance of alpha makes, four deviations up.
    pub(super) fn is_broken(&self) -> bool {
        let most = |alpha: f64| {
            let mean = self.splits as f64 * alpha;
            mean + 4.0 * (mean * (1.0 - alpha)).sqrt()
        };
        self.alarms.into_iter().zip(ALPHAS).any(|(alarms, alpha)| alarms as f64 > most(alpha))
    }
}

pub(super) fn run(folder: &Path, seeds: &Seeds, told: impl Fn(String)) -> Result<Vec<Shown>> {
    let show = |system: &&str| {
        told(format!("nezha: {system} of {}", folder.display()));
        let traces = read_traces(&folder.join(system))?;
        let data = Data::of(&traces);
        if data.edges.is_empty() {
            told(format!("nezha: {system} is left out: none of its edges has {TRACES_OF_AN_EDGE} traces there"));
            return Ok(None);
        }
        let halves = all_runs(seeds.splits, |run| judged(&data, None, &mut Random::of_run(seeds.first, run)).highest);
        let over = |alpha: f64| halves.iter().filter(|log| **log >= libm::log(1.0 / alpha)).count() as u64;
        let delays = (0..data.edges.len()).map(|edge| {
            told(format!("nezha: {system}, a delay of {} ms on {}", DELAY_US / 1_000, data.edges[edge]));
            let delayed = Data::with_delay(&traces, &data.edges, edge);
            let runs = all_runs(seeds.delays, |run| {
                judged(&data, Some(&delayed), &mut Random::of_run(seeds.first.wrapping_add(1 << 32), run)).named
            });
            let alarmed = runs.iter().filter(|named| named.is_some()).count() as u64;
            let right = runs.iter().filter(|named| **named == Some(Some(edge))).count() as u64;
            (data.edges[edge].to_string(), seeds.delays, alarmed, right)
        });
        let delays = delays.collect();
        Ok(Some(Shown {
            name: format!("Nezha, {system}"),
            traces: traces.len(),
            splits: seeds.splits,
            alarms: ALPHAS.map(over),
            delays,
        }))
    };
    SYSTEMS.iter().map(show).filter_map(Result::transpose).collect()
}

/// What is judged of a system's traces.
struct Data {
    /// The edges with enough traces, in order.
    edges: Vec<Edge>,
    /// Traces in order of their assignment: the batch, and the time of each edge that the trace has, in microseconds.
    traces: Vec<(u64, Vec<(usize, u64)>)>,
}

impl Data {
    fn of(traces: &[Trace]) -> Data {
        let mut known: BTreeMap<Edge, usize> = BTreeMap::new();
        for edge in traces.iter().flat_map(|trace| edge_times(trace).into_keys()) {
            *known.entry(edge).or_default() += 1;
        }
        known.retain(|_, traces| *traces >= TRACES_OF_AN_EDGE);
        let edges: Vec<Edge> = known.into_keys().collect();
        let traces = times(traces.iter(), &edges);
        Data { edges, traces }
    }

    /// The same traces with every call of one edge delayed: what they take when they go to green.
    fn with_delay(traces: &[Trace], edges: &[Edge], edge: usize) -> Data {
        let delayed: Vec<Trace> = traces.iter().map(|trace| delayed(trace, &edges[edge], DELAY_US * 1_000)).collect();
        Data { edges: edges.to_vec(), traces: times(delayed.iter(), edges) }
    }
}

fn times<'t>(traces: impl Iterator<Item = &'t Trace>, edges: &[Edge]) -> Vec<(u64, Vec<(usize, u64)>)> {
    let of = |trace: &Trace| {
        let times = edge_times(trace).into_iter();
        let judged = times.filter_map(|(edge, us)| Some((edges.binary_search(&edge).ok()?, us)));
        (trace.assigned_ns / BATCH_NS, judged.collect())
    };
    traces.map(of).collect()
}

/// What one split came to.
struct Judged {
    /// The highest ln of the average over the edges.
    highest: f64,
    /// At the first alarm at 0.01: the edge that e-Holm names, if it names one.
    named: Option<Option<usize>>,
}

/// One edge's evidence.
enum Watch {
    Collecting(Vec<u64>),
    Judging { thresholds: Vec<u64>, form: Slower },
}

/// Divides the traces at random and judges the halves, batch by batch. Green's traces take what `green` has.
fn judged(blue: &Data, green: Option<&Data>, random: &mut Random) -> Judged {
    let edges = blue.edges.len();
    let mut watches: Vec<Watch> = (0..edges).map(|_| Watch::Collecting(Vec::new())).collect();
    let mut evidence = vec![0.0; edges];
    let mut judged = Judged { highest: 0.0, named: None };
    let green = green.unwrap_or(blue);
    let mut at = 0;
    while at < blue.traces.len() {
        let batch = blue.traces[at].0;
        let mut arms = vec![(Vec::new(), Vec::new()); edges];
        while at < blue.traces.len() && blue.traces[at].0 == batch {
            let to_green = random.bits() & 1 == 1;
            for (edge, us) in if to_green { &green.traces[at].1 } else { &blue.traces[at].1 } {
                let (green, blue) = &mut arms[*edge];
                if to_green { green.push(*us) } else { blue.push(*us) }
            }
            at += 1;
        }
        for ((watch, evidence), (green, blue)) in watches.iter_mut().zip(&mut evidence).zip(&arms) {
            watch.observe(green, blue);
            if let Watch::Judging { form, .. } = watch {
                *evidence = form.log_evidence();
            }
        }
        let average = log_mean(&evidence);
        judged.highest = judged.highest.max(average);
        let log_threshold = libm::log(1.0 / ALPHAS[1]);
        if average >= log_threshold && judged.named.is_none() {
            judged.named = Some(named(&evidence, log_threshold));
        }
    }
    judged
}

impl Watch {
    /// The batch that completes the collection is not judged by the thresholds that it helped to choose.
    fn observe(&mut self, green: &[u64], blue: &[u64]) {
        match self {
            Watch::Collecting(collected) => {
                collected.extend(blue);
                if collected.len() >= TRACES_TO_FREEZE {
                    collected.sort_unstable();
                    let quantile = |share: f64| collected[(collected.len() as f64 * share) as usize];
                    let mut thresholds = QUANTILES.map(quantile).to_vec();
                    thresholds.dedup();
                    let form = Slower::new(thresholds.len());
                    *self = Watch::Judging { thresholds, form };
                }
            }
            Watch::Judging { thresholds, form } => {
                let beyond = |arm: &[u64], threshold: u64| Counts {
                    traces: arm.len() as u64,
                    events: arm.iter().filter(|us| **us > threshold).count() as u64,
                };
                form.observe(thresholds.iter().map(|it| (beyond(green, *it), beyond(blue, *it))), HAZARD);
            }
        }
    }
}

/// The edge of the largest evidence, if it is to blame by itself (e-Holm).
fn named(evidence: &[f64], log_threshold: f64) -> Option<usize> {
    let blamed = worse_by_themselves(evidence, log_threshold);
    blamed.into_iter().max_by(|a, b| evidence[*a].total_cmp(&evidence[*b]))
}

#[cfg(test)]
mod tests;
