//! `bench verify`: real traces (Nezha), divided at random into blue and green, with each way of lying injected into green
//! at several rates; the same without a fault; calls that are slow in green's services; and how fast spans are joined, in how many bytes.
//!
//! What is found is counted span by span against what was injected. What is named is the judge's: the failure that ends a
//! rollout, and the place of its worst finding.

mod faults;
mod report;
mod runs;
mod services;
mod speed;

use crate::nezha::{self, Trace};
use crate::seeded::{Seeded, all_runs, progress};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use faults::Fault;
use judge::simulate::Random;
use runs::{Divided, Seen};
use services::Service;

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    seeded: Seeded,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Each fault at each rate
    Faults,
    /// Halves without a fault
    NoFault,
    /// Calls that are slow in green's services
    Services,
    /// Spans a second, and bytes a span
    Speed,
}

/// Shares of what a fault falls on that show it.
const RATES: [f64; 3] = [1.0, 0.1, 0.01];

/// A system of fewer traces is passed through several times.
const TRACES: usize = 2_000;

/// A fault at one rate over all runs.
#[derive(Clone, Debug)]
struct Row {
    system: &'static str,
    fault: Fault,
    rate: f64,
    seen: Vec<Seen>,
}

pub fn run(options: &Options) -> Result<()> {
    let wanted = |part: Part| options.only.is_empty() || options.only.contains(&part);
    let (runs, halves) = if options.seeded.quick { (2, 4) } else { (20, 200) };
    let mut broken = Vec::new();
    let folder = options.seeded.nezha()?;
    for system in nezha::SYSTEMS {
        if ![Part::Faults, Part::NoFault, Part::Services].into_iter().any(wanted) {
            break;
        }
        let divided = Divided::of(enough(nezha::traces(&folder.join(system))?));
        if wanted(Part::NoFault) {
            progress(&format!("{system}: {halves} halves without a fault"));
            let seen = all_runs(halves, |run| divided.without_fault(&mut Random::of_run(options.seeded.seed, run)));
            broken.extend(report::no_fault(system, &divided, &seen, options.seeded.json));
        }
        if wanted(Part::Faults) {
            let mut rows = Vec::new();
            for fault in Fault::ALL {
                progress(&format!("{system}: {}", fault.words()));
                for rate in RATES.into_iter().filter(|rate| *rate == 1.0 || fault.has_rates()) {
                    let place = rows.len() as u64 + 1;
                    let seen = all_runs(runs, |run| {
                        let mut random = Random::of_run(options.seeded.seed.wrapping_add(place << 32), run);
                        divided.with_fault(fault, rate, run as usize, &mut random)
                    });
                    rows.push(Row { system, fault, rate, seen: seen.into_iter().flatten().collect() });
                }
            }
            broken.extend(report::faults(&rows, options.seeded.json));
        }
        if wanted(Part::Services) {
            let (traces, seed) = (&divided.traces, options.seeded.seed);
            progress(&format!("{system}: {halves} halves of services that are as fast"));
            let alarms = all_runs(halves, |run| services::alarms(traces, &mut Random::of_run(seed, run)));
            let rows = Service::all(traces).into_iter().map(|service| {
                progress(&format!("{system}: {}", service.words()));
                let seen = all_runs(runs, |run| service.judged(traces, &mut Random::of_run(seed, run)));
                (service.words(), seen)
            });
            broken.extend(report::services(system, &alarms, &rows.collect::<Vec<_>>(), options.seeded.json));
        }
    }
    if wanted(Part::Speed) {
        report::speed(&speed::measure(options.seeded.quick)?, options.seeded.json);
    }
    match broken.is_empty() {
        true => Ok(()),
        false => bail!("not as it must be: {}", broken.join("; ")),
    }
}

fn enough(traces: Vec<Trace>) -> Vec<Trace> {
    let times = TRACES.div_ceil(traces.len().max(1));
    std::iter::repeat_n(traces, times).flatten().collect()
}
