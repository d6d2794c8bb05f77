//! What became of a run, as data, as text for a terminal, and as a page.

mod html;
mod plot;

use crate::quantiles::Distribution;
use crate::tally::{Counts, Second, Tally};
use crate::targets::Target;
use model::{Environment, PerEnvironment, Protocol, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The seconds over which a rate counts as held.
const SUSTAINED_S: usize = 10;

/// A run. Holds counts, times, endpoints and status codes: no header, body or text of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Of this layout.
    pub version: u32,
    /// What was sent.
    pub name: String,
    /// When it began.
    pub started: UnixMillis,
    /// Whether requests were due whatever the targets did. The latencies of a closed loop say nothing of what senders see.
    pub open_loop: bool,
    /// What was due before is in no `measured`, `latency`, `service` and `lateness`.
    pub warm_up_ms: u64,
    /// How long answers were waited for.
    pub timeout_ms: u64,
    /// Why less was sent than was meant, where it was.
    pub trouble: Option<String>,
    /// By target.
    pub targets: PerEnvironment<Option<TargetReport>>,
}

/// One target of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetReport {
    /// Where it is.
    pub endpoint: String,
    /// How it was spoken to.
    pub protocol: Protocol,
    /// What became of all requests, warm-up and all.
    pub all: Counts,
    /// What became of those behind the warm-up.
    pub measured: Counts,
    /// From when a request was due to its acknowledgement. A request that nobody answered is in it with the time limit.
    pub latency: Distribution,
    /// From when a request was sent to its acknowledgement: what a closed loop would show.
    pub service: Distribution,
    /// How much later than it could have been a request was sent: the generator's own doing.
    pub lateness: Distribution,
    /// The most requests that waited to be sent.
    pub backlog_most: u64,
    /// Refusals by their code.
    pub codes: BTreeMap<String, u64>,
    /// Why there was no connection, the first time.
    pub disconnection: Option<String>,
    /// Second by second from the start, by when requests were due.
    pub seconds: Vec<Second>,
}

impl Report {
    /// Of the layout.
    pub const VERSION: u32 = 1;

    /// The page: self-contained, without scripts and without anything from elsewhere.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The first second that is behind the warm-up.
    pub(crate) fn first_measured(&self) -> usize {
        usize::try_from(self.warm_up_ms.div_ceil(1_000)).unwrap_or(usize::MAX)
    }

    /// Seconds behind the warm-up.
    pub(crate) fn measured<'r>(&self, target: &'r TargetReport) -> &'r [Second] {
        target.seconds.get(self.first_measured()..).unwrap_or_default()
    }

    /// The highest rate, in items a second, that was offered to the target over ten seconds together; over all seconds if
    /// there are fewer.
    pub fn sustained_items_per_s(&self, environment: Environment) -> f64 {
        let Some(target) = &self.targets[environment] else { return 0.0 };
        let due: Vec<u64> = self.measured(target).iter().map(|second| second.counts.due.items).collect();
        let over = SUSTAINED_S.min(due.len()).max(1);
        let highest = due.windows(over).map(|seconds| seconds.iter().sum::<u64>()).max().unwrap_or(0);
        highest as f64 / over as f64
    }
}

impl TargetReport {
    pub(crate) fn new(target: &Target, tally: &Tally, backlog_most: usize) -> TargetReport {
        let second =
            |(counts, latency): &(Counts, _)| Second { counts: *counts, latency: Distribution::of(latency).buckets };
        TargetReport {
            endpoint: target.endpoint.clone(),
            protocol: target.protocol,
            all: tally.all,
            measured: tally.measured,
            latency: Distribution::of(&tally.latency),
            service: Distribution::of(&tally.service),
            lateness: Distribution::of(&tally.lateness),
            backlog_most: backlog_most as u64,
            codes: tally.codes.clone(),
            disconnection: tally.disconnection.clone(),
            seconds: tally.seconds.iter().map(second).collect(),
        }
    }

    /// Whether the target said anything at all.
    pub(crate) fn answered(&self) -> bool {
        self.all.acknowledged.requests + self.all.throttled.requests + self.all.refused.requests > 0
    }
}

/// Microseconds as people read them: `0.31 ms`, `12 ms`, `1.20 s`.
pub(crate) fn time(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Whole numbers with a space for each thousand.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

/// What a table says: a line of it is a name, and a value for each target.
pub(crate) type Row = (&'static str, Box<dyn Fn(&TargetReport) -> String>);

/// The lines of the summary.
pub(crate) fn rows() -> Vec<Row> {
    fn at(name: &'static str, of: fn(&TargetReport) -> &Distribution, at: f64) -> Row {
        (name, Box::new(move |target| of(target).quantile_us(at).map_or_else(|| "none".to_owned(), time)))
    }
    fn count(name: &'static str, of: fn(&Counts) -> u64) -> Row {
        (name, Box::new(move |target| grouped(of(&target.measured))))
    }
    vec![
        count("spans due", |counts| counts.due.items),
        count("acknowledged", |counts| counts.taken_items()),
        count("rejected in part", |counts| counts.rejected_items),
        count("throttled", |counts| counts.throttled.items),
        count("refused", |counts| counts.refused.items),
        count("timed out", |counts| counts.timed_out.items),
        count("disconnected", |counts| counts.disconnected.items),
        count("not sent in time", |counts| counts.not_sent.items),
        at("latency p50", |target| &target.latency, 0.5),
        at("latency p99", |target| &target.latency, 0.99),
        at("latency p99.9", |target| &target.latency, 0.999),
        at("latency max", |target| &target.latency, 1.0),
        at("service p99", |target| &target.service, 0.99),
        at("generator late p99", |target| &target.lateness, 0.99),
    ]
}

/// A summary for a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loops = if self.open_loop { "open loop" } else { "closed loop, as fast as is taken" };
        writeln!(f, "{}: {loops}, {} s of warm-up left out", self.name, self.warm_up_ms as f64 / 1e3)?;
        if let Some(trouble) = &self.trouble {
            writeln!(f, "{trouble}")?;
        }
        let targets: Vec<(Environment, &TargetReport)> = Environment::BOTH
            .into_iter()
            .filter_map(|environment| Some((environment, self.targets[environment].as_ref()?)))
            .collect();
        write!(f, "{:<20}", "")?;
        for (environment, _) in &targets {
            write!(f, "{:>16}", environment.name())?;
        }
        writeln!(f)?;
        write!(f, "{:<20}", "offered, spans/s")?;
        for (environment, _) in &targets {
            write!(f, "{:>16}", grouped(self.sustained_items_per_s(*environment) as u64))?;
        }
        writeln!(f)?;
        for (name, value) in rows() {
            write!(f, "{name:<20}")?;
            for (_, target) in &targets {
                write!(f, "{:>16}", value(target))?;
            }
            writeln!(f)?;
        }
        for (environment, target) in &targets {
            let codes: Vec<String> = target.codes.iter().map(|(code, count)| format!("{code} × {count}")).collect();
            if !codes.is_empty() {
                writeln!(f, "{environment}: {}", codes.join(", "))?;
            }
            if let Some(why) = &target.disconnection {
                writeln!(f, "{environment}: {why}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
