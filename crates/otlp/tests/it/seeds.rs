//! The fuzz targets by the stable compiler: with every seed, and with thousands of inputs that were made from the seeds
//! as a fuzzer makes them. libFuzzer itself finds more; this keeps what it found, and finds what a change breaks at once.

use crate::dice::Dice;
use fuzz_targets::{TARGETS, Target};
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Inputs made for each target. All targets take some seconds together, unoptimised.
const MADE: usize = 2_000;
/// Changes to one of them at most.
const MAX_CHANGES: usize = 8;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("seeds have names in ASCII");
    entries.map(|entry| name(entry.expect("a folder can be read"))).collect()
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = fuzz().join("seeds").join(target.name);
    names(&folder).iter().map(|name| fs::read(folder.join(name)).expect("a seed can be read")).collect()
}

fn run_all(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target exists");
    let seeds = seeds(target);
    let mut dice = Dice(1);
    let made = (0..MADE).map(|_| make(&seeds, &mut dice));
    for input in seeds.iter().cloned().chain(made) {
        let run = target.run;
        if catch_unwind(|| run(&input)).is_err() {
            panic!("the target {name} failed, as said above, with: {}", input.escape_ascii());
        }
    }
}

/// Some seed after some changes: a bit flipped, an odd number written, a piece left out or repeated or put in from another seed.
fn make(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(MAX_CHANGES) {
        let at = dice.below(input.len() + 1);
        let end = at + dice.below(input.len() - at + 1);
        match dice.below(5) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            2 => drop(input.drain(at..end)),
            3 if input.len() < 1 << 14 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let piece = &other[from..from + dice.below((other.len() - from).min(64) + 1)];
                input.splice(at..at, piece.iter().copied());
            }
        }
    }
    input
}

#[test]
fn split() {
    run_all("split");
}

#[test]
fn hostile() {
    run_all("hostile");
}

#[test]
fn spans() {
    run_all("spans");
}

#[test]
fn gunzip() {
    run_all("gunzip");
}

#[test]
fn json() {
    run_all("json");
}

#[test]
fn grpc() {
    run_all("grpc");
}

#[test]
fn prometheus() {
    run_all("prometheus");
}

#[test]
fn backends() {
    run_all("backends");
}

#[test]
fn redact() {
    run_all("redact");
}

#[test]
fn drift() {
    run_all("drift");
}

#[test]
fn notes() {
    run_all("notes");
}

#[test]
fn approvals() {
    run_all("approvals");
}

#[test]
fn hello() {
    run_all("hello");
}

#[test]
fn certificates() {
    run_all("certificates");
}

#[test]
fn reports() {
    run_all("reports");
}

#[test]
fn tests() {
    run_all("tests");
}

#[test]
fn calls() {
    run_all("calls");
}

#[test]
fn dependencies() {
    run_all("dependencies");
}

#[test]
fn answers_of_databases_are_bounded_and_printable() {
    run_all("migration");
}

#[test]
fn recordings() {
    run_all("recordings");
}

#[test]
fn every_target_is_here_and_in_fuzz() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(
        targets,
        [
            "approvals",
            "backends",
            "calls",
            "certificates",
            "dependencies",
            "drift",
            "grpc",
            "gunzip",
            "hello",
            "hostile",
            "json",
            "migration",
            "notes",
            "prometheus",
            "recordings",
            "redact",
            "reports",
            "spans",
            "split",
            "tests",
        ]
        .map(str::to_owned)
        .into()
    );
    assert_eq!(targets, names(&fuzz().join("seeds")));
    let files = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), files);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is in fuzz/Cargo.toml");
        let file = fs::read_to_string(fuzz().join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(file.contains(&format!("run(\"{name}\", bytes)")), "{name}.rs runs it");
    }
}
