//! A target in memory, for simulated time.

use crate::send::Dial;
use crate::source::{Source, Synthetic};
use crate::targets::{Target, Targets};
use crate::topology::{Shape, Topology};
use crate::{Arrival, Load, Pacing, Schedule};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use model::{Compression, PerEnvironment, Protocol, TraceId, Transport, UnixMillis};
use otlp::compression::decompress;
use otlp::reply::{PartialSuccess, Status, export_response};
use otlp::{Signal, grpc};
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, sleep_until};

/// What a target does with the request of a number, from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Does {
    /// Takes it after a millisecond.
    Takes,
    Rejects(u64),
    /// gRPC's code, or an HTTP status, with a delay.
    Refuses(u32, Option<u64>),
    Redirects,
    Nothing,
}

pub(crate) type Behaviour = fn(u64) -> Does;

/// What came to it: when, and the message.
#[derive(Default)]
pub(crate) struct Came {
    pub(crate) messages: Mutex<Vec<(Duration, Vec<u8>)>>,
    pub(crate) paths: Mutex<Vec<String>>,
    pub(crate) connections: Mutex<u64>,
}

pub(crate) struct Server {
    pub(crate) dial: Dial,
    pub(crate) came: Arc<Came>,
}

impl Server {
    /// It answers nothing between these times since now; what came then is answered at the end of it.
    pub(crate) fn start(behaviour: Behaviour, pause: Option<(Duration, Duration)>) -> Server {
        let (dial, mut dialled) = mpsc::unbounded_channel::<DuplexStream>();
        let came = Arc::new(Came::default());
        let (theirs, begin) = (Arc::clone(&came), Instant::now());
        tokio::spawn(async move {
            while let Some(stream) = dialled.recv().await {
                *theirs.connections.lock().unwrap() += 1;
                let came = Arc::clone(&theirs);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&came), behaviour, begin, pause));
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Server { dial, came }
    }
}

type Body = WithTrailers<Full<Bytes>, std::future::Ready<Option<Result<HeaderMap, Infallible>>>>;

async fn answer(
    request: Request<Incoming>,
    came: Arc<Came>,
    behaviour: Behaviour,
    begin: Instant,
    pause: Option<(Duration, Duration)>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let is_grpc = head.headers.get("content-type").is_some_and(|value| value == "application/grpc");
    let body = body.collect().await.unwrap().to_bytes();
    let encoding = if is_grpc { "grpc-encoding" } else { "content-encoding" };
    let encoding = head.headers.get(encoding).map(|value| value.to_str().unwrap());
    let compression = Compression::ALL.into_iter().find(|one| Some(one.encoding()) == encoding).unwrap_or_default();
    let message = if is_grpc { &body[grpc::parse_unary(&body).unwrap().message] } else { &body[..] };
    let message = decompress(compression, message, 64 << 20).unwrap();
    let number = {
        let mut messages = came.messages.lock().unwrap();
        messages.push((begin.elapsed(), message));
        messages.len() as u64 - 1
    };
    came.paths.lock().unwrap().push(head.uri.path().to_owned());
    if let Some((from, until)) = pause
        && begin.elapsed() >= from
    {
        sleep_until(begin + until).await;
    }
    sleep(Duration::from_millis(1)).await;
    let respond = |status: StatusCode, body: Vec<u8>, code: u32| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(code));
        let body = match is_grpc {
            true => [&grpc::prefix(false, body.len() as u32)[..], &body].concat(),
            false => body,
        };
        let mut response =
            Response::new(Full::new(Bytes::from(body)).with_trailers(ready(is_grpc.then_some(Ok(trailers)))));
        *response.status_mut() = if is_grpc { StatusCode::OK } else { status };
        response
    };
    Ok(match behaviour(number) {
        Does::Takes => respond(StatusCode::OK, Vec::new(), 0),
        Does::Rejects(rejected) => {
            let partial = PartialSuccess { rejected, message: "too old".into() };
            respond(StatusCode::OK, export_response(Signal::Traces, Some(&partial)), 0)
        }
        Does::Refuses(code, retry_after_ms) if is_grpc => {
            let status = Status { code, message: "a secret of the server".into(), retry_after_ms };
            let details = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, status.encode());
            let mut response = respond(StatusCode::OK, Vec::new(), code);
            response.headers_mut().insert("grpc-status-details-bin", details.parse().unwrap());
            response
        }
        Does::Refuses(status, retry_after_ms) => {
            let mut response = respond(StatusCode::from_u16(status as u16).unwrap(), Vec::new(), 0);
            if let Some(ms) = retry_after_ms {
                response.headers_mut().insert("retry-after", HeaderValue::from(ms / 1_000));
            }
            response
        }
        Does::Redirects => {
            let mut response = respond(StatusCode::TEMPORARY_REDIRECT, Vec::new(), 0);
            response.headers_mut().insert("location", HeaderValue::from_static("http://green.test:4318/v1/traces"));
            response
        }
        Does::Nothing => std::future::pending().await,
    })
}

pub(crate) const BLUE: &str = "http://blue.test:4317";
pub(crate) const GREEN: &str = "http://green.test:4317";
pub(crate) const STARTED: UnixMillis = UnixMillis(1_790_000_000_000);

pub(crate) fn target(endpoint: &str, protocol: Protocol, compression: Compression) -> Target {
    let transport = Transport { compression, ..Transport::default() };
    Target { endpoint: endpoint.into(), protocol, transport, headers: vec![("x-tenant".into(), "load".into())] }
}

/// Targets in memory.
pub(crate) fn targets(protocol: Protocol, servers: [Option<&Server>; 2]) -> Targets {
    let [blue, green] = servers;
    let asked = PerEnvironment {
        blue: blue.map(|_| target(BLUE, protocol, Compression::None)),
        green: green.map(|_| target(GREEN, protocol, Compression::None)),
    };
    let mut targets = Targets::new(&[BLUE, GREEN], asked).unwrap();
    for (checked, server) in [(&mut targets.each.blue, blue), (&mut targets.each.green, green)] {
        if let (Some(checked), Some(server)) = (checked, server) {
            checked.endpoint.dial = Some(server.dial.clone());
        }
    }
    targets
}

/// Ids that count up.
pub(crate) fn counting() -> crate::NewTraceId {
    let mut next = 0u128;
    Box::new(move || {
        next += 1;
        TraceId(next.to_be_bytes())
    })
}

/// Requests of one trace of 15 spans.
pub(crate) fn chain(requests_per_s: f64, duration_ms: u64) -> Source {
    let shape = Shape { spans_per_request: 15, ..Shape::default() };
    let groups = Topology::chain(8).unwrap().groups(&shape, 3, 7).unwrap();
    let schedule = Schedule::constant(requests_per_s * 15.0, duration_ms, Arrival::Even).unwrap();
    Synthetic::new(groups, schedule, 7, STARTED, counting()).into()
}

/// In simulated time.
pub(crate) fn load(source: Source, targets: Targets) -> Load {
    Load { pacing: Pacing::Timers, ..Load::new("chain", source, targets, STARTED) }
}
