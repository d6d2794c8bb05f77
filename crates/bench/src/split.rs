//! `bench split`: the splitter that the gateway uses, beside what every proxy that decodes does: prost decode, regroup,
//! encode. The same requests, the same routing, one thread, turn by turn; both must give the same bytes first.
//!
//! Measured in CPU time of the thread, because the machine is rarely ours alone.

use crate::cpu::{median, thread_cpu};
use crate::requests::{Dice, SPANS_A_REQUEST, request};
use crate::seconds;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use model::{BUCKETS, Environment, PerEnvironment, RouteKey, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::{Part, Signal, Splitter, Unit};
use prost::Message;
use serde_json::json;
use std::hint::black_box;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Seconds of CPU time for each number
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    secs: f64,
    /// One JSON value a line
    #[arg(long)]
    json: bool,
}

/// Each way has its turn so often: a disturbance hits all of them, and the median leaves it out.
const ROUNDS: usize = 5;

/// 10 MB of requests, more than the caches near a core: a gateway has just read them from the network.
const SPANS_OF_ALL_REQUESTS: usize = 20_000;

/// The weights for which both ways must agree, in basis points.
const CHECKED_WEIGHTS: [u16; 4] = [0, 1_000, 5_000, BUCKETS];

/// The weight that is measured: half of the traces go each way, so nearly every request is split.
const MEASURED_WEIGHT: u16 = BUCKETS / 2;

const KEY: RouteKey = RouteKey(*b"verdigris bench.");

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    if !options.json {
        println!("one thread, half of the traces to each environment, median of {ROUNDS} rounds, CPU time");
        println!("wire: scan and split of the bytes; prost: decode, regroup, encode; both give the same bytes\n");
        println!("spans a request   bytes a span   way              GB/s   million spans/s   beside prost");
    }
    for spans in SPANS_A_REQUEST {
        let figures = measure(spans, Duration::from_secs_f64(options.secs))?;
        if options.json {
            println!("{}", figures.json());
        } else {
            figures.print();
        }
    }
    Ok(())
}

/// What was measured for one size of request.
struct Figures {
    spans: usize,
    bytes_a_span: f64,
    scan: Duration,
    wire: Duration,
    prost: Duration,
}

/// Times are of one span.
fn measure(spans: usize, budget: Duration) -> Result<Figures> {
    let mut dice = Dice(42);
    let requests: Vec<Bytes> =
        (0..SPANS_OF_ALL_REQUESTS / spans).map(|_| request(spans, &mut dice).encode_to_vec().into()).collect();
    let mut splitter = Splitter::default();
    for request in &requests {
        for weight in CHECKED_WEIGHTS {
            let (wire, prost) = (wire_split(&mut splitter, request, weight)?, prost_split(request, weight)?);
            ensure!(wire == prost, "at {weight} basis points wire and prost give different bytes for a request");
        }
    }
    let (mut scan, mut wire, mut prost) = (Vec::new(), Vec::new(), Vec::new());
    let turn = budget / ROUNDS as u32;
    for _ in 0..ROUNDS {
        scan.push(time(&requests, turn, |request| {
            splitter.scan(Signal::Traces, request, |unit| part(environment_of(unit, MEASURED_WEIGHT)))?;
            black_box(splitter.records(part(Environment::Blue)));
            Ok(())
        })?);
        wire.push(time(&requests, turn, |request| {
            black_box(wire_split(&mut splitter, request, MEASURED_WEIGHT)?);
            Ok(())
        })?);
        prost.push(time(&requests, turn, |request| {
            black_box(prost_split(request, MEASURED_WEIGHT)?);
            Ok(())
        })?);
    }
    let bytes: usize = requests.iter().map(Bytes::len).sum();
    let all_spans = requests.len() * spans;
    let span = |times| median(times) / all_spans as u32;
    let bytes_a_span = bytes as f64 / all_spans as f64;
    Ok(Figures { spans, bytes_a_span, scan: span(scan), wire: span(wire), prost: span(prost) })
}

/// CPU time of one pass over the requests, from as many passes as fill the turn.
fn time(requests: &[Bytes], turn: Duration, mut split: impl FnMut(&Bytes) -> Result<()>) -> Result<Duration> {
    let begin = thread_cpu()?;
    let mut passes = 0;
    loop {
        for request in requests {
            split(request)?;
        }
        passes += 1;
        let spent = thread_cpu()?.saturating_sub(begin);
        if spent >= turn {
            return Ok(spent / passes);
        }
    }
}

/// The gateway's rule: green is the candidate, and has the buckets below the weight.
fn environment(trace: TraceId, weight: u16) -> Environment {
    if KEY.bucket(trace).0 < weight { Environment::Green } else { Environment::Blue }
}

fn environment_of(unit: Unit, weight: u16) -> Environment {
    match unit {
        Unit::Trace(trace) => environment(trace, weight),
        Unit::Resource(_) => unreachable!("spans are routed by trace"),
    }
}

fn part(environment: Environment) -> Part {
    match environment {
        Environment::Blue => 0,
        Environment::Green => 1,
    }
}

/// As the gateway does it: a request whose spans all go one way stays as it is, the parts of others are new.
fn wire_split(splitter: &mut Splitter, request: &Bytes, weight: u16) -> Result<PerEnvironment<Bytes>> {
    splitter.scan(Signal::Traces, request, |unit| part(environment_of(unit, weight)))?;
    Ok(PerEnvironment::from_fn(|of| match (splitter.records(part(of)), splitter.records(part(of.other()))) {
        (0, _) => Bytes::new(),
        (_, 0) => request.clone(),
        (_, _) => {
            let mut bytes = Vec::new();
            splitter.write(request, |it| it == part(of), &mut bytes);
            bytes.into()
        }
    }))
}

/// As a collector does it: messages are built, and moved, and what is around them is copied.
fn prost_split(request: &Bytes, weight: u16) -> Result<PerEnvironment<Bytes>> {
    let request = ExportTraceServiceRequest::decode(request.clone())?;
    let mut parts: PerEnvironment<ExportTraceServiceRequest> = PerEnvironment::default();
    for ResourceSpans { resource, scope_spans, schema_url } in request.resource_spans {
        let mut scopes: PerEnvironment<Vec<ScopeSpans>> = PerEnvironment::default();
        for ScopeSpans { scope, spans, schema_url } in scope_spans {
            let mut sorted: PerEnvironment<Vec<Span>> = PerEnvironment::default();
            for span in spans {
                let trace = TraceId(span.trace_id.as_slice().try_into().context("a trace id of 16 bytes")?);
                sorted[environment(trace, weight)].push(span);
            }
            for of in Environment::BOTH {
                let spans = std::mem::take(&mut sorted[of]);
                if !spans.is_empty() {
                    scopes[of].push(ScopeSpans { scope: scope.clone(), spans, schema_url: schema_url.clone() });
                }
            }
        }
        for of in Environment::BOTH {
            let scope_spans = std::mem::take(&mut scopes[of]);
            if !scope_spans.is_empty() {
                let (resource, schema_url) = (resource.clone(), schema_url.clone());
                parts[of].resource_spans.push(ResourceSpans { resource, scope_spans, schema_url });
            }
        }
    }
    Ok(parts.map(|part| part.encode_to_vec().into()))
}

impl Figures {
    fn ways(&self) -> [(&'static str, Duration); 3] {
        [("wire scan alone", self.scan), ("wire", self.wire), ("prost", self.prost)]
    }

    fn print(&self) {
        for (way, time) in self.ways() {
            let (gigabytes, million_spans, ratio) = self.rates(time);
            let (spans, bytes) = (self.spans, self.bytes_a_span);
            println!(
                "{spans:>15}   {bytes:>12.0}   {way:<15}{gigabytes:>6.3}   {million_spans:>15.3}   {ratio:>11.1}x"
            );
        }
    }

    fn json(&self) -> serde_json::Value {
        let ways = self.ways().map(|(way, time)| {
            let (gigabytes, million_spans, ratio) = self.rates(time);
            let value = json!({ "gigabytesPerS": gigabytes, "spansPerS": million_spans * 1e6, "besideProst": ratio });
            (way.to_owned(), value)
        });
        let ways: serde_json::Map<_, _> = ways.into_iter().collect();
        json!({ "spansPerRequest": self.spans, "bytesPerSpan": self.bytes_a_span, "ways": ways })
    }

    /// GB/s, million spans/s, and how many times prost's speed.
    fn rates(&self, span: Duration) -> (f64, f64, f64) {
        let span_s = span.as_secs_f64();
        (self.bytes_a_span / span_s / 1e9, 1e-6 / span_s, self.prost.as_secs_f64() / span_s)
    }
}

#[cfg(test)]
mod tests;
