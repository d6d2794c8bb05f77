//! `bench generator`: what the crate `load` itself is good for. How many spans a second it sends, beside `otlpbench gen` on
//! the same machine and to the same sink; how near to its recorded time a replayed request is sent and arrives; and what a
//! server's pause of known length does to its figures.

use ::load::{
    Arrival, Group, Load, Multiple, NewTraceId, Replay, Schedule, Shape, Source, Synthetic, Target, Targets, Topology,
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use model::{PerEnvironment, Protocol, TraceId, Transport, UnixMillis};
use otlp::Signal;
use recording::{Attempt, Bounds, Frame, Header, Reader, Writer};
use serde_json::json;
use std::convert::Infallible;
use std::future::ready;
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, sleep_until};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Spans a second, beside `otlpbench gen`
    Limit,
    /// How near to its recorded time a request is sent and arrives
    Arrival,
    /// What a pause of half a second does to the figures
    Pause,
}

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Which figures
    #[arg(value_enum)]
    what: What,
    /// The program of shared/bench, built outside of that folder; without it nothing stands beside
    #[arg(long)]
    otlpbench: Option<PathBuf>,
    /// How long a turn takes
    #[arg(long, default_value = "5", value_parser = crate::seconds)]
    secs: f64,
    /// Turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Requests a second of the recording that is replayed
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
}

const SPANS: usize = 100;
const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;
const PAUSE: Duration = Duration::from_millis(500);
const STARTED: UnixMillis = UnixMillis(1_790_000_000_000);

/// Measures, and prints lines of JSON.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match options.what {
        What::Limit => limit(options, &runtime),
        What::Arrival => runtime.block_on(arrival(options)),
        What::Pause => runtime.block_on(pause(options)),
    }
}

fn limit(options: &Options, runtime: &Runtime) -> Result<()> {
    println!("{}", json!({ "stamped_spans_per_s": stamped()? as u64 }));
    let Some(program) = &options.otlpbench else { return Ok(()) };
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let _sink = Sink(Command::new(program).args(["sink", "--ports", &port.to_string()]).stdout(Stdio::null()).spawn()?);
    runtime.block_on(async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for _ in 0..options.rounds {
            let same = theirs(program, address, protocol, options.secs, false)?;
            let unique = theirs(program, address, protocol, options.secs, true)?;
            let ours = runtime.block_on(saturate(address, protocol, options.secs))?;
            println!(
                "{}",
                json!({
                    "protocol": protocol, "load": ours as u64, "otlpbench": same as u64, "otlpbench_unique": unique as u64,
                    "of_otlpbench": round(ours / same), "of_otlpbench_unique": round(ours / unique),
                })
            );
        }
    }
    Ok(())
}

fn round(ratio: f64) -> f64 {
    (ratio * 1e3).round() / 1e3
}

/// Ends with who started it.
struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn theirs(program: &Path, to: SocketAddr, protocol: Protocol, secs: f64, unique: bool) -> Result<f64> {
    let mut command = Command::new(program);
    let (conns, inflight) = match protocol {
        Protocol::Grpc => (CONNECTIONS, STREAMS),
        Protocol::Http => (CONNECTIONS * STREAMS, 1),
    };
    command.args(["gen", "--to", &format!("http://{to}"), "--spans", &SPANS.to_string()]);
    command.args(["--conns", &conns.to_string(), "--inflight", &inflight.to_string(), "--secs", &secs.to_string()]);
    command.args((protocol == Protocol::Http).then_some("--http")).args(unique.then_some("--unique"));
    let output = command.stderr(Stdio::inherit()).output().context("otlpbench gen")?;
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).context("otlpbench gen's figures")?;
    figures["spans_per_s"].as_f64().context("otlpbench gen tells no spans_per_s")
}

async fn saturate(to: SocketAddr, protocol: Protocol, secs: f64) -> Result<f64> {
    let schedule = Schedule::saturating((secs * 1e3) as u64)?;
    let source = Synthetic::new(groups()?, schedule, 7, STARTED, ids());
    let mut load = load_of("saturating", source.into(), to, protocol)?;
    (load.connections, load.streams) = (CONNECTIONS, STREAMS);
    let begin = Instant::now();
    let report = ::load::run(load, None).await?;
    let blue = report.targets.blue.context("blue was sent to")?;
    ensure!(blue.all.missed_items() == 0, "the sink did not take everything: {:?}", blue.all);
    Ok(blue.all.taken_items() as f64 / begin.elapsed().as_secs_f64())
}

/// Spans a second that one thread stamps.
fn stamped() -> Result<f64> {
    let schedule = Schedule::saturating(1_000)?;
    let mut source = Source::from(Synthetic::new(groups()?, schedule, 7, STARTED, ids()));
    let (begin, mut spans) = (Instant::now(), 0u64);
    while begin.elapsed() < Duration::from_secs(2) {
        spans += source.next_request().map_or(0, |request| u64::from(request.items));
    }
    Ok(spans as f64 / begin.elapsed().as_secs_f64())
}

fn groups() -> Result<Vec<Group>> {
    Ok(Topology::shop().groups(&Shape { spans_per_request: SPANS, ..Shape::default() }, 64, 7)?)
}

/// Ids that count up, so that a server knows which request came.
fn ids() -> NewTraceId {
    let mut next = 0u128;
    Box::new(move || {
        next += 1;
        TraceId(next.to_be_bytes())
    })
}

fn load_of(name: &str, source: Source, to: SocketAddr, protocol: Protocol) -> Result<Load> {
    let endpoint = format!("http://{to}");
    let target = Target { endpoint: endpoint.clone(), protocol, transport: Transport::default(), headers: Vec::new() };
    let targets = Targets::new(&[&endpoint], PerEnvironment { blue: Some(target), green: None })?;
    Ok(Load::new(name, source, targets, STARTED))
}

/// A server of gRPC that notes when each request came, and stands still once.
#[derive(Default)]
struct Server {
    came: Mutex<Vec<(Instant, u64)>>,
    still: Mutex<Option<(Instant, Instant)>>,
}

impl Server {
    async fn start(self: &Arc<Server>) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                let service = service_fn(move |request| answer(Arc::clone(&server), request));
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(address)
    }
}

async fn answer(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let came = Instant::now();
    let body = request.into_body().collect().await?.to_bytes();
    let mut first = 0;
    let message = body.get(otlp::grpc::PREFIX_LEN..).unwrap_or_default();
    // What is malformed came too.
    let _ = otlp::for_each_fixed(Signal::Traces, message, |fixed, at| {
        if fixed == otlp::Fixed::TraceId && first == 0 {
            let low = message[at..].first_chunk::<16>().map_or(0, |id| u128::from_be_bytes(*id) as u64);
            first = low;
        }
    });
    server.came.lock().expect("nobody panics with the lock").push((came, first));
    let still = *server.still.lock().expect("nobody panics with the lock");
    if let Some((_, until)) = still.filter(|(from, until)| *from <= came && came < *until) {
        sleep_until(until).await;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(ready(Some(Ok(trailers))));
    Ok(Response::new(body))
}

async fn arrival(options: &Options) -> Result<()> {
    for _ in 0..options.rounds {
        let server = Arc::new(Server::default());
        let address = server.start().await?;
        let (file, offsets) = record(options)?;
        let reader = Reader::new(Cursor::new(file))?;
        let replay = Replay::new(reader, Multiple::default(), STARTED, ids())?;
        let mut load = load_of("replay", replay.into(), address, Protocol::Grpc)?;
        (load.connections, load.streams) = (CONNECTIONS, STREAMS);
        let report = ::load::run(load, None).await?;
        let blue = report.targets.blue.context("blue was sent to")?;
        let came = server.came.lock().expect("nobody panics with the lock").clone();
        ensure!(came.len() == offsets.len(), "{} of {} requests came", came.len(), offsets.len());
        // When it came, less when it was recorded; the server does not know when the run began, so the earliest is 0.
        let mut late: Vec<i64> = Vec::new();
        let first = came.iter().map(|(at, _)| *at).min().context("requests came")?;
        for (at, trace) in &came {
            let index = usize::try_from(*trace)? - 1;
            late.push(at.duration_since(first).as_micros() as i64 - offsets[index] as i64);
        }
        late.sort_unstable();
        let least = late[0];
        let came_at = |share: f64| late[((late.len() - 1) as f64 * share) as usize] - least;
        let sent_at = |share: f64| blue.lateness.quantile_us(share);
        println!(
            "{}",
            json!({
                "requests": offsets.len(), "rate": options.rate,
                "sent_late_us": { "p50": sent_at(0.5), "p99": sent_at(0.99), "p999": sent_at(0.999), "max": sent_at(1.0) },
                "came_late_us": { "p50": came_at(0.5), "p99": came_at(0.99), "p999": came_at(0.999), "max": came_at(1.0) },
            })
        );
    }
    Ok(())
}

/// A recording with the arrival times of a Poisson process, and those times.
fn record(options: &Options) -> Result<(Vec<u8>, Vec<u64>)> {
    let duration_ms = (options.secs * 1e3) as u64;
    let schedule = Schedule::constant(options.rate * 15.0, duration_ms, Arrival::Poisson)?;
    let shape = Shape { spans_per_request: 15, ..Shape::default() };
    let groups = Topology::chain(8)?.groups(&shape, 16, 7)?;
    let mut source = Source::from(Synthetic::new(groups, schedule, 7, STARTED, ids()));
    let bounds = Bounds { max_bytes: 1 << 30, max_ms: u64::MAX };
    let mut writer = Writer::new(Vec::new(), Header { started: STARTED, redaction: None, bounds })?;
    let mut offsets = Vec::new();
    while let Some(request) = source.next_request() {
        let offset_us = request.due_ns / 1_000;
        let body = request.framed[otlp::grpc::PREFIX_LEN..].to_vec();
        let (signal, protocol, attempt) = (Signal::Traces, Protocol::Grpc, Attempt::First);
        writer.push(&Frame { offset_us, signal, protocol, attempt, body })?;
        offsets.push(offset_us);
    }
    Ok((writer.finish()?.0, offsets))
}

async fn pause(options: &Options) -> Result<()> {
    for streams in [1, STREAMS] {
        let server = Arc::new(Server::default());
        let address = server.start().await?;
        let from = Instant::now() + Duration::from_secs_f64(options.secs / 2.0);
        *server.still.lock().expect("nobody panics with the lock") = Some((from, from + PAUSE));
        let duration_ms = (options.secs * 1e3) as u64;
        let schedule = Schedule::constant(options.rate * 15.0, duration_ms, Arrival::Even)?;
        let groups = Topology::chain(8)?.groups(&Shape { spans_per_request: 15, ..Shape::default() }, 16, 7)?;
        let source = Synthetic::new(groups, schedule, 7, STARTED, ids());
        let mut load = load_of("pause", source.into(), address, Protocol::Grpc)?;
        (load.connections, load.streams) = (1, streams);
        let blue = ::load::run(load, None).await?.targets.blue.context("blue was sent to")?;
        // Of the requests due during the pause, evenly spread, the latency falls from its length to nothing.
        let share = PAUSE.as_secs_f64() / options.secs;
        let expected = |quantile: f64| (PAUSE.as_secs_f64() * 1e3 * (1.0 - (1.0 - quantile) / share)).max(0.0);
        println!(
            "{}",
            json!({
                "streams": streams, "requests": blue.all.due.requests,
                "expected_ms": { "p95": expected(0.95), "p99": expected(0.99), "max": 500.0 },
                "from_due_us": { "p50": blue.latency.quantile_us(0.5), "p95": blue.latency.quantile_us(0.95), "p99": blue.latency.quantile_us(0.99), "max": blue.latency.quantile_us(1.0) },
                "from_sent_us": { "p50": blue.service.quantile_us(0.5), "p95": blue.service.quantile_us(0.95), "p99": blue.service.quantile_us(0.99), "max": blue.service.quantile_us(1.0) },
            })
        );
    }
    Ok(())
}
