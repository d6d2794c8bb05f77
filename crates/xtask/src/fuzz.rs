//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, one after the other, with the nightly compiler and its address
//! sanitizer. What it finds in a run is kept below `target/fuzz`; a finding fails the command, and says how to repeat it.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::fs;
use std::process::Command;

/// Enough for requests of some traces; longer inputs find nothing more, and are slow.
const MAX_INPUT_BYTES: u32 = 16 * 1024;
/// A run of one input; those of a few kilobytes take microseconds.
const INPUT_TIMEOUT_SECS: u32 = 10;

#[derive(Args)]
pub struct Fuzz {
    /// One target; without it all of them, one after the other
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    secs: u64,
}

/// Runs libFuzzer for so many seconds on each target.
pub fn run(workspace: &Workspace, fuzz: &Fuzz) -> Result<()> {
    let all = targets(workspace)?;
    let chosen: Vec<&String> = all.iter().filter(|name| fuzz.target.as_ref().is_none_or(|one| one == *name)).collect();
    ensure!(!chosen.is_empty(), "there is no such target; expected one of {}", all.join(", "));
    process::read(&mut cargo_fuzz(workspace, &["--version"])).context(
        "fuzzing needs the nightly compiler and cargo-fuzz: `rustup toolchain install nightly --profile minimal` and \
         `cargo install cargo-fuzz --version 0.13.2 --locked` (`cargo test -p otlp --test it` runs the same targets \
         without them, by far fewer inputs)",
    )?;
    for name in chosen {
        println!("\n==> {name}, {} s", fuzz.secs);
        run_target(workspace, name, fuzz.secs)?;
    }
    Ok(())
}

/// The folders of seeds; a test holds them against the targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/seeds");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn run_target(workspace: &Workspace, name: &str, secs: u64) -> Result<()> {
    let made = workspace.target.join("fuzz");
    let (corpus, artifacts) = (made.join("corpus").join(name), made.join("artifacts").join(name));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    // New inputs go to the first corpus; the seeds, the second, are only read.
    let mut command = cargo_fuzz(workspace, &["run", name]);
    command.arg("--target-dir").arg(made.join("build")).arg(&corpus);
    command.arg(workspace.root.join("fuzz/seeds").join(name)).arg("--");
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).args([
        format!("-max_total_time={secs}"),
        format!("-max_len={MAX_INPUT_BYTES}"),
        format!("-timeout={INPUT_TIMEOUT_SECS}"),
        "-print_final_stats=1".to_owned(),
    ]);
    process::run(&mut command).with_context(|| {
        format!(
            "the target {name} failed, as said above; the input is in {}. Once the cause is repaired, keep it in \
             fuzz/seeds/{name}",
            artifacts.display()
        )
    })
}

/// `cargo fuzz` of the nightly toolchain, whichever toolchain this runs on.
fn cargo_fuzz(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(&workspace.root).args(["run", "nightly", "cargo", "fuzz"]).args(arguments);
    command
}
