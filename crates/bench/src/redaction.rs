//! `bench redact`: what redaction costs a core, on OTLP exports as they are on the wire, and on the texts of a corpus, and what it
//! finds in these (e2e/redact/faker_corpus.py writes one; e2e/redact/presidio_bench.py measures Presidio on the same).
//!
//! Measured in CPU time of the thread, because the machine is rarely ours alone.

use crate::cpu::{median, thread_cpu};
use crate::requests::{Dice, SPANS_A_REQUEST, request};
use crate::seconds;
use anyhow::{Context, Result, ensure};
use clap::Args;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use otlp::{Signal, edit_texts};
use prost::Message;
use redact::{Action, Class, Counts, Key, Policy, Redactor};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Seconds of CPU time for each number
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    secs: f64,
    /// The corpus: JSON lines with `class`, `value`, `key` and `text`
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// One JSON value a line
    #[arg(long)]
    json: bool,
}

/// Each has its turn so often, and the median is told.
const ROUNDS: u32 = 5;

/// 10 MB of requests, more than the caches near a core.
const SPANS_OF_ALL_REQUESTS: usize = 20_000;

/// Of so many spans one holds a value of the corpus, or a card number where there is none.
const SPANS_A_VALUE: usize = 10;

/// A line of the corpus.
#[derive(Deserialize)]
struct Line {
    class: String,
    value: String,
    key: String,
    text: String,
}

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    let policy = Policy::default().with(Class::Ipv4, Action::Mask).with(Class::Ipv6, Action::Mask);
    let redactor = Redactor::new(&policy, &Key([7; 32]));
    let lines = options.corpus.as_deref().map(read).transpose()?.unwrap_or_default();
    let turn = Duration::from_secs_f64(options.secs) / ROUNDS;
    if !options.json {
        println!("one thread, median of {ROUNDS} rounds, CPU time");
    }
    for spans in SPANS_A_REQUEST {
        for (what, every) in [("nothing to find", usize::MAX), ("a value in every tenth span", SPANS_A_VALUE)] {
            let requests = exports(spans, every, &lines);
            let speed = exports_speed(&redactor, &requests, turn)?;
            if options.json {
                println!(
                    "{}",
                    json!({ "what": "exports", "spansPerRequest": spans, "values": every != usize::MAX, "megabytesPerS": speed })
                );
            } else {
                println!("OTLP exports, {spans:>5} spans, {what:<28} {speed:>8.0} MB/s");
            }
        }
    }
    if !lines.is_empty() {
        corpus(&redactor, &lines, turn, options.json)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>();
    let lines = lines.with_context(|| format!("{} is no corpus of JSON lines", path.display()))?;
    ensure!(!lines.is_empty(), "{} is empty", path.display());
    Ok(lines)
}

/// Requests of which every so many'th span has a value among its attributes.
fn exports(spans: usize, every: usize, lines: &[Line]) -> Vec<Vec<u8>> {
    let mut dice = Dice(42);
    let mut texts = lines.iter().map(|line| (line.key.as_str(), line.text.as_str())).cycle();
    let requests = (0..SPANS_OF_ALL_REQUESTS / spans).map(|_| {
        let mut request = request(spans, &mut dice);
        for (number, span) in spans_of(&mut request).enumerate() {
            if number % every == every - 1 {
                let (key, text) = texts.next().unwrap_or(("app.note", "paid with 4111 1111 1111 1111"));
                let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
                span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
            }
        }
        request.encode_to_vec()
    });
    requests.collect()
}

fn spans_of(
    request: &mut ExportTraceServiceRequest,
) -> impl Iterator<Item = &mut opentelemetry_proto::tonic::trace::v1::Span> {
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    scopes.flat_map(|scope| &mut scope.spans)
}

/// Megabytes of requests a second.
fn exports_speed(redactor: &Redactor, requests: &[Vec<u8>], turn: Duration) -> Result<f64> {
    let bytes: usize = requests.iter().map(Vec::len).sum();
    let pass = || {
        let mut counts = Counts::default();
        for request in requests {
            black_box(edit_texts(Signal::Traces, request, |_, key, text| redactor.text(key, text, &mut counts))?);
        }
        Ok(())
    };
    Ok(bytes as f64 / time(turn, pass)?.as_secs_f64() / 1e6)
}

/// What was found of a class.
#[derive(Default)]
struct Found {
    lines: u64,
    edited: u64,
    /// The value is no longer there.
    removed: u64,
}

fn corpus(redactor: &Redactor, lines: &[Line], turn: Duration, json: bool) -> Result<()> {
    let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    let pass = || {
        let mut counts = Counts::default();
        for line in lines {
            black_box(redactor.text(Some(&line.key), &line.text, &mut counts));
        }
        Ok(())
    };
    let speed = bytes as f64 / time(turn, pass)?.as_secs_f64() / 1e6;
    let mut classes: BTreeMap<&str, Found> = BTreeMap::new();
    for line in lines {
        let found = classes.entry(&line.class).or_default();
        found.lines += 1;
        if let Some(edited) = redactor.text(Some(&line.key), &line.text, &mut Counts::default()) {
            found.edited += 1;
            found.removed += u64::from(!edited.contains(&line.value));
        }
    }
    if json {
        let shares = classes.iter().map(|(class, found)| ((*class).to_owned(), found.share(class).into()));
        let shares: serde_json::Map<_, _> = shares.collect();
        println!("{}", json!({ "what": "corpus", "megabytesPerS": speed, "shares": shares }));
        return Ok(());
    }
    println!("texts of the corpus, {} of {:.1} MB {:>22.0} MB/s", lines.len(), bytes as f64 / 1e6, speed);
    for (class, found) in &classes {
        println!("  {class:<28} {:>8.4} of {}", found.share(class), found.lines);
    }
    Ok(())
}

impl Found {
    /// Of values the share that was removed, of identifiers the share that was touched.
    fn share(&self, class: &str) -> f64 {
        let counted = if class.starts_with("identifier") { self.edited } else { self.removed };
        counted as f64 / self.lines as f64
    }
}

/// CPU time of one pass: the median of the rounds, each of as many passes as fill its turn.
fn time(turn: Duration, mut pass: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = thread_cpu()?;
        let mut passes = 0;
        let spent = loop {
            pass()?;
            passes += 1;
            let spent = thread_cpu()?.saturating_sub(begin);
            if spent >= turn {
                break spent;
            }
        };
        times.push(spent / passes);
    }
    Ok(median(times))
}
