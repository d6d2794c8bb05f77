//! Sends requests over a few HTTP/2 connections, as OTLP exporters do: as fast as they are taken, or at a rate.

use crate::requests::Template;
use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::Signal;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout};

/// What to send.
pub struct Load {
    pub to: SocketAddr,
    /// All of one size; at least one.
    pub templates: Rc<[Template]>,
    /// The number of the first request.
    pub first: u64,
    pub duration: Duration,
    /// The rate that is offered; without it, as much as is taken.
    pub spans_per_s: Option<f64>,
}

/// What was sent.
#[derive(Default)]
pub struct Sent {
    pub requests: u64,
    pub acknowledged: u64,
    /// Why the first request that was not acknowledged was not.
    pub refusal: Option<String>,
    /// From when a request was due to its acknowledgement, sorted.
    pub latencies_us: Vec<u32>,
}

/// Four exporters, each with eight requests under way: enough to keep a proxy busy while answers are on their way.
const CONNECTIONS: usize = 4;
const REQUESTS_AT_ONCE: usize = 8;

/// 16 MB of latencies: a minute of 66,000 requests a second.
const MAX_REQUESTS: u64 = 4_000_000;

/// A proxy that does not answer ends a measurement, not stops it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// After a refusal, so that a proxy that refuses everything is not asked a million times.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Flow control: a stream's window holds the largest request that is measured, a connection's all that are under way.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const SEND_BUFFER_BYTES: usize = 4 << 20;
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// Sends until the time is over and every request is answered.
pub async fn send(load: Load) -> Result<Sent> {
    let mut senders = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        senders.push(connect(load.to).await.with_context(|| format!("cannot connect to {}", load.to))?);
    }
    let phase = Rc::new(Phase { begin: Instant::now(), turn: Cell::new(0), load });
    let local = LocalSet::new();
    let mut workers = JoinSet::new();
    for sender in senders {
        for _ in 0..REQUESTS_AT_ONCE {
            workers.spawn_local_on(work(sender.clone(), Rc::clone(&phase)), &local);
        }
    }
    let sent = local.run_until(async {
        let mut sent = Sent::default();
        while let Some(done) = workers.join_next().await {
            sent.add(done.context("a worker of the load generator panicked")?);
        }
        sent.latencies_us.sort_unstable();
        Ok(sent)
    });
    sent.await
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = timeout(CONNECT_LIMIT, TcpStream::connect(to)).await.context("no answer")??;
    stream.set_nodelay(true)?;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES);
    let (sender, connection) =
        timeout(CONNECT_LIMIT, builder.handshake(TokioIo::new(stream))).await.context("no HTTP/2 handshake")??;
    // It ends when its senders are gone.
    tokio::spawn(connection);
    Ok(sender)
}

struct Phase {
    begin: Instant,
    turn: Cell<u64>,
    load: Load,
}

impl Phase {
    /// The next request and when it is due, or nothing when the time is over.
    fn next(&self) -> Option<(u64, Instant)> {
        let turn = self.turn.get();
        let due = match self.load.spans_per_s {
            Some(rate) => self.begin + Duration::from_secs_f64((turn * self.load.templates[0].spans()) as f64 / rate),
            None => Instant::now(),
        };
        if turn >= MAX_REQUESTS || due >= self.begin + self.load.duration {
            return None;
        }
        self.turn.set(turn + 1);
        Some((turn, due))
    }

    fn body(&self, turn: u64) -> Bytes {
        let templates = &self.load.templates;
        templates[(turn % templates.len() as u64) as usize].numbered(self.load.first + turn)
    }
}

/// One request after the other.
async fn work(mut sender: SendRequest<Full<Bytes>>, phase: Rc<Phase>) -> Sent {
    let mut sent = Sent::default();
    while let Some((turn, due)) = phase.next() {
        // What is due later is sent by a timer of milliseconds: that it is late is not the proxy's doing. What is due
        // already waited for an answer to another request: that is.
        let from = if due > Instant::now() {
            sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        let body = phase.body(turn);
        sent.requests += 1;
        let answer = timeout(ANSWER_LIMIT, export(&mut sender, body)).await;
        match answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", ANSWER_LIMIT.as_secs()))) {
            Ok(()) => {
                sent.acknowledged += 1;
                sent.latencies_us.push(u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                sent.refusal.get_or_insert_with(|| format!("{error:#}"));
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
    sent
}

/// One call of `TraceService/Export`; an error unless its gRPC status is 0.
async fn export(sender: &mut SendRequest<Full<Bytes>>, body: Bytes) -> Result<()> {
    sender.ready().await?;
    // HTTP/2 wants an authority; which one does not matter here.
    let mut request = Request::post(format!("http://bench{}", Signal::Traces.grpc_path())).body(Full::new(body))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    let (head, body) = sender.send_request(request).await?.into_parts();
    ensure!(head.status == StatusCode::OK, "HTTP status {}", head.status);
    let answer = body.collect().await?;
    let of = |name| answer.trailers().and_then(|trailers| trailers.get(name)).or_else(|| head.headers.get(name));
    let status = of("grpc-status").context("an answer without grpc-status")?;
    ensure!(status == "0", "grpc-status {status:?}: {:?}", of("grpc-message"));
    Ok(())
}

impl Sent {
    fn add(&mut self, other: Sent) {
        self.requests += other.requests;
        self.acknowledged += other.acknowledged;
        self.latencies_us.extend(other.latencies_us);
        self.refusal = self.refusal.take().or(other.refusal);
    }
}
