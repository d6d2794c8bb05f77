//! Redaction beside Microsoft Presidio's recognizers of patterns, on the same corpus in one run: what each finds, what it makes of
//! identifiers, and megabytes of text a second of CPU time on one core.

use super::release_binary;
use crate::e2e_setup;
use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Seconds of CPU time for each of our numbers
    #[arg(long, default_value_t = 2.0, value_parser = super::seconds)]
    secs: f64,
    /// Values of each class
    #[arg(long, default_value_t = 2_000)]
    values: u32,
    /// Lines of the corpus that Presidio gets, by lot: it takes some milliseconds for each
    #[arg(long, default_value_t = 8_000)]
    presidio_lines: u32,
    /// One JSON value a line
    #[arg(long)]
    json: bool,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let bench = release_binary(workspace, "bench")?;
    let python = e2e_setup::presidio(workspace)?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let corpus = folder.join("redact-corpus.jsonl");
    let script = |name: &str| workspace.root.join("e2e/redact").join(name);
    let mut make = Command::new(&python);
    make.arg(script("faker_corpus.py")).arg(options.values.to_string());
    let text = process::read(&mut make)?;
    fs::write(&corpus, text).with_context(|| format!("cannot write {}", corpus.display()))?;

    let mut ours = Command::new(bench);
    ours.args(["redact", "--json", "--secs", &options.secs.to_string(), "--corpus"]).arg(&corpus);
    let ours = lines(&process::read(&mut ours)?)?;
    let mut theirs = Command::new(python);
    theirs.arg(script("presidio_bench.py")).arg(&corpus).arg(options.presidio_lines.to_string());
    let theirs = lines(&process::read(&mut theirs)?)?;
    let (ours_on_texts, theirs) = (of(&ours, "corpus")?, of(&theirs, "presidio")?);
    let ratio = speed(ours_on_texts)? / speed(theirs)?;
    if options.json {
        for line in ours.iter().chain([theirs, &json!({ "what": "ratio", "besidePresidio": ratio })]) {
            println!("{line}");
        }
        return Ok(());
    }
    print(&ours, theirs, ratio, &corpus)
}

fn print(ours: &[Value], theirs: &Value, ratio: f64, corpus: &Path) -> Result<()> {
    println!("one core, CPU time; the corpus is {}\n", corpus.display());
    for line in ours.iter().filter(|line| line["what"] == "exports") {
        let what = if line["values"] == true { "a value in every tenth span" } else { "nothing to find" };
        println!("OTLP exports, {:>5} spans, {what:<28} {:>9.1} MB/s", line["spansPerRequest"], speed(line)?);
    }
    let on_texts = of(ours, "corpus")?;
    println!("\ntexts of the corpus{:>34.2} MB/s", speed(on_texts)?);
    println!("Presidio, patterns alone{:>29.2} MB/s   {ratio:.0} times as fast as it\n", speed(theirs)?);
    println!("found (identifiers: touched)      ours   Presidio");
    let shares = on_texts["shares"].as_object().context("`bench redact` told no shares")?;
    for (class, share) in shares {
        let presidio = theirs["shares"][class].as_f64().map_or("-".to_owned(), |share| format!("{share:.4}"));
        println!("{class:<28} {:>9.4}  {presidio:>9}", share.as_f64().unwrap_or_default());
    }
    Ok(())
}

fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}

fn of<'v>(lines: &'v [Value], what: &str) -> Result<&'v Value> {
    lines.iter().find(|line| line["what"] == what).with_context(|| format!("there is no line of `{what}`"))
}

fn speed(line: &Value) -> Result<f64> {
    line["megabytesPerS"].as_f64().with_context(|| format!("there is no speed in {line}"))
}
