//! Simulates many seeds and prints the ones that break an invariant. A developer's tool:
//! `cargo run --release -p sim -- --seeds 20000 --from 0`.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::process::ExitCode;

const USAGE: &str = "usage: sim [--seeds N] [--from K]; with --seeds 1 the outcome is printed as JSON";

fn main() -> ExitCode {
    let Some((from, seeds)) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut failed: Vec<u64> = Vec::new();
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |what: String, by: u64| *counted.entry(what).or_insert(0) += by;
    for seed in from..from.saturating_add(seeds) {
        let Ok(outcome) = catch_unwind(|| sim::run(seed)) else {
            eprintln!("seed {seed} failed: cargo run -p sim -- --from {seed} --seeds 1");
            failed.push(seed);
            continue;
        };
        if seeds == 1 {
            println!("{}", serde_json::to_string_pretty(&outcome).expect("an outcome has text keys"));
        }
        for end in &outcome.rollouts {
            count(format!("{:?} {}", end.progress, end.guard.as_deref().unwrap_or("")), 1);
        }
        count("records".to_owned(), outcome.records);
        count("events".to_owned(), outcome.events);
        count("crashes".to_owned(), outcome.crashes);
        count("tables applied".to_owned(), outcome.tables_applied);
        count("tables refused".to_owned(), outcome.tables_refused);
    }
    for (what, times) in counted {
        println!("{times:>12} {what}");
    }
    println!("{seeds} seeds from {from}: {} failed {failed:?}", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed and how many.
fn arguments(mut given: impl Iterator<Item = String>) -> Option<(u64, u64)> {
    let (mut from, mut seeds) = (0, 1_000);
    while let Some(name) = given.next() {
        let value = given.next()?.parse().ok()?;
        match name.as_str() {
            "--from" => from = value,
            "--seeds" => seeds = value,
            _ => return None,
        }
    }
    Some((from, seeds))
}
