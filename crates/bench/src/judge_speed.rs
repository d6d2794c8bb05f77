//! `bench judge-speed`: how long the judge takes for one batch of one metric, whatever is done with it: the evidence, the
//! size of the difference and the proof. Of each guard by itself, for batches that are summed exactly and for batches that
//! are large enough for the bounds.

use crate::cpu::{median, thread_cpu};
use anyhow::{Result, ensure};
use clap::Args;
use judge::{Config, ErrorRate, Findings, Guard, Guards, Judge, Latency, SpanLoss};
use model::{ArmCounts, Check, Environment, ExponentialHistogram, Observation, PerEnvironment, UnixMillis};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Seconds of CPU time for each number
    #[arg(long, default_value_t = 0.2, value_parser = seconds)]
    secs: f64,
    /// One JSON value a line
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.05..=60.0).contains(seconds));
    seconds.ok_or_else(|| "expected 0.05 to 60 seconds".to_owned())
}

/// The median of so many turns is told.
const ROUNDS: usize = 5;

/// A batch: traces in both environments together, and those among them with the event, half of both in each.
struct Shape {
    form: &'static str,
    traces: u64,
    events: u64,
}

/// The exact form at the 1,000 traces: with 1 %, 10 % and half of them, which is the longest sum that they can
/// make; the longest sum that is made at all; and the bounds up to the 10^9 traces.
const SHAPES: [Shape; 6] = [
    Shape { form: "exact", traces: 1_000, events: 10 },
    Shape { form: "exact", traces: 1_000, events: 100 },
    Shape { form: "exact", traces: 1_000, events: 500 },
    Shape { form: "exact", traces: 8_000, events: 2_000 },
    Shape { form: "bound", traces: 1_000_000, events: 10_000 },
    Shape { form: "bound", traces: 1_000_000_000, events: 10_000_000 },
];

const GUARDS: [Guard; 4] = [Guard::SpanLoss, Guard::ErrorRate, Guard::Findings, Guard::Latency];

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    let turn = Duration::from_secs_f64(options.secs);
    if !options.json {
        println!("one thread, half of the traces to each environment, median of {ROUNDS} rounds, CPU time");
        println!("nanoseconds a batch and metric; latency is one metric of nine thresholds and three proofs\n");
        println!("form         traces      events    spanLoss   errorRate    findings     latency");
    }
    for shape in &SHAPES {
        let mut figures = Vec::new();
        for guard in GUARDS {
            figures.push((guard.name(), measure(shape, guard, turn)?));
        }
        if options.json {
            let ns: BTreeMap<&str, u64> = figures.into_iter().collect();
            println!("{}", json!({ "form": shape.form, "traces": shape.traces, "events": shape.events, "ns": ns }));
        } else {
            let columns: String = figures.iter().map(|(_, ns)| format!("{ns:>12}")).collect();
            println!("{:<7}{:>12}{:>12}{columns}", shape.form, shape.traces, shape.events);
        }
    }
    Ok(())
}

/// Nanoseconds a batch and metric.
fn measure(shape: &Shape, guard: Guard, turn: Duration) -> Result<u64> {
    let mut judge = Judge::new(config(guard));
    let mut observation = observation(shape, guard);
    // What is done once, as the freezing of thresholds, comes before.
    (0..4).for_each(|_| observe(&mut judge, &mut observation));
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begin = thread_cpu()?;
        let mut batches = 0;
        let spent = loop {
            (0..64).for_each(|_| observe(black_box(&mut judge), &mut observation));
            batches += 64;
            let spent = thread_cpu()?.saturating_sub(begin);
            if spent >= turn / ROUNDS as u32 {
                break spent;
            }
        };
        rounds.push(spent / batches);
    }
    let traces = judge.assess().traces;
    ensure!(traces.blue >= shape.traces && traces.green >= shape.traces, "the batches were refused: {traces:?}");
    Ok(median(rounds).as_nanos() as u64 / guard.checks().len() as u64)
}

fn observe(judge: &mut Judge, observation: &mut Observation) {
    observation.batch += 1;
    judge.observe(observation, None);
}

fn config(guard: Guard) -> Config {
    let mut guards = Guards::default();
    let latency = || Some(Latency { quantile: 0.99, worse_than_active_by: 0.2 });
    match guard {
        Guard::SpanLoss => guards.span_loss = Some(SpanLoss { at_most: 0.001 }),
        Guard::ErrorRate => guards.error_rate = Some(ErrorRate { worse_than_active_by: 0.005 }),
        Guard::Latency => guards.latency = latency(),
        Guard::ServiceLatency => guards.service_latency = latency(),
        Guard::Findings => guards.findings = Some(Findings { worse_than_active_by: 0.005 }),
        Guard::BlindSpots => guards.blind_spots = Some(judge::BlindSpots { at_most: 0 }),
        Guard::Metrics => {
            let (name, worse_than_active_by) = ("errors".to_owned(), 0.005);
            guards.metrics = vec![judge::MetricGuard { name, worse_than_active_by, critical: true, every_ms: 2_000 }];
        }
    }
    let candidate = Environment::Green;
    Config { candidate, false_alarm: 0.001, false_promotion: 0.05, batches_per_hour: 1_800, guards }
}

fn observation(shape: &Shape, guard: Guard) -> Observation {
    let (traces, events) = (shape.traces / 2, shape.events / 2);
    let latency: Vec<(i32, u64)> = (80..130).map(|bucket| (bucket, traces / 50)).collect();
    let arm = ArmCounts {
        traces,
        events: guard.checks().iter().filter(|check| **check != Check::Slow).map(|check| (*check, events)).collect(),
        latency_us: ExponentialHistogram(latency.into_iter().collect()),
        ..ArmCounts::default()
    };
    Observation {
        arms: PerEnvironment { blue: arm.clone(), green: arm },
        ..Observation::of_nothing(0, UnixMillis(0), UnixMillis(2_000))
    }
}
