//! `bench soak-sink`: a back end that takes OTLP/gRPC and OTLP/HTTP on one port, writes into its journal what came, and
//! answers after that. It can be told to be slow, to push back, or to stall. It is killed with SIGKILL and started again
//! on the same port.

use super::journal::{CHANGED, Writer};
use super::line::{Flow, Valve};
use super::{numbering, unix_ms};
use crate::orders::read_lines;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use clap::Args;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::compression::gunzip;
use otlp::reply::{Status, code};
use prost::Message;
use serde::Deserialize;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

#[derive(Args)]
pub struct Options {
    /// Where to listen; port 0 is any free one
    #[arg(long)]
    listen: SocketAddr,
    /// The file of this life: it must not be there yet
    #[arg(long)]
    journal: PathBuf,
}

/// What the sink does with requests from now on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Order {
    /// Take them. Ends everything else.
    Take,
    /// Take them, and answer after so long.
    Slow { delay_ms: u64 },
    /// Take nothing: RESOURCE_EXHAUSTED with RetryInfo, 429 with Retry-After.
    Exhausted { retry_after_ms: u64 },
    /// Take nothing: UNAVAILABLE, 503, neither with a delay.
    Unavailable,
    /// Read nothing, and answer nothing.
    Stall,
    /// Read requests and take them, but let no answer out.
    StallAnswers,
}

/// Before and after decompression. A proxy may make larger requests of ours: Rotel's have up to 8,192 spans.
const MAX_REQUEST_BYTES: usize = 64 << 20;

struct Sink {
    order: Cell<Order>,
    journal: RefCell<Writer>,
    valve: Valve,
}

/// Runs until standard input ends.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(options))
}

async fn serve(options: &Options) -> Result<()> {
    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let journal = Writer::create(&options.journal)?;
    println!("{}", json!({ "address": listener.local_addr()? }));
    let sink = Rc::new(Sink::new(journal));
    let mut accepting = pin!(accept(Rc::clone(&sink), listener));
    let mut lines = read_lines();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    sink.obey(serde_json::from_str(&line).with_context(|| format!("not an order: {line:?}"))?);
                }
                None => return Ok(()),
            },
            ended = &mut accepting => return ended,
        }
    }
}

/// Never ends well: a listener on loopback fails only when file descriptors are out, and whoever runs us sees that we
/// ended.
async fn accept(sink: Rc<Sink>, listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept")?;
        tokio::task::spawn_local(connection(Rc::clone(&sink), stream));
    }
}

async fn connection(sink: Rc<Sink>, stream: TcpStream) {
    // The other side closes connections as it likes, also at once.
    let Ok(near) = sink.valve.accepted(stream) else { return };
    let service = service_fn(move |request| {
        let sink = Rc::clone(&sink);
        async move { Ok::<_, Infallible>(sink.answer(request).await) }
    });
    let _ = Builder::new(LocalExecutor).serve_connection(TokioIo::new(near), service).await;
}

/// Runs hyper's tasks on this thread, where the sink is.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

type Reply = Response<WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>>;

impl Sink {
    fn new(journal: Writer) -> Sink {
        Sink { order: Cell::new(Order::Take), journal: RefCell::new(journal), valve: Valve::open() }
    }

    fn obey(&self, order: Order) {
        self.valve.set(match order {
            Order::Stall => Flow { forth: false, back: false },
            Order::StallAnswers => Flow { forth: true, back: false },
            Order::Take | Order::Slow { .. } | Order::Exhausted { .. } | Order::Unavailable => {
                Flow { forth: true, back: true }
            }
        });
        self.order.set(order);
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let grpc =
            head.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        let gzip = head.headers.get(CONTENT_ENCODING).is_some_and(|value| value == "gzip");
        // A body that ends early came from somebody who is gone.
        let Ok(body) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
            return refusal(grpc, code::INVALID_ARGUMENT, StatusCode::BAD_REQUEST, None);
        };
        match self.order.get() {
            Order::Exhausted { retry_after_ms } => {
                let delay = Some(retry_after_ms);
                return refusal(grpc, code::RESOURCE_EXHAUSTED, StatusCode::TOO_MANY_REQUESTS, delay);
            }
            Order::Unavailable => return refusal(grpc, code::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE, None),
            Order::Take | Order::Slow { .. } | Order::Stall | Order::StallAnswers => {}
        }
        let numbers = numbers(&body.to_bytes(), grpc, gzip);
        if let Err(error) = self.journal.borrow_mut().append(unix_ms(), numbers.as_deref().unwrap_or_default()) {
            eprintln!("soak-sink: {error:#}");
            return refusal(grpc, code::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE, None);
        }
        if let Order::Slow { delay_ms } = self.order.get() {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        match numbers {
            Ok(_) => success(grpc),
            Err(error) => {
                eprintln!("soak-sink: a request that is none: {error:#}");
                refusal(grpc, code::INVALID_ARGUMENT, StatusCode::BAD_REQUEST, None)
            }
        }
    }
}

/// The numbers of a request's spans, decoded by prost: not by what the gateway reads them with.
fn numbers(body: &[u8], grpc: bool, gzip: bool) -> Result<Vec<u64>> {
    let (message, compressed) = if grpc {
        let frame = otlp::grpc::parse_unary(body)?;
        (&body[frame.message], frame.compressed)
    } else {
        (body, gzip)
    };
    let request = if compressed {
        ExportTraceServiceRequest::decode(&gunzip(message, MAX_REQUEST_BYTES)?[..])?
    } else {
        ExportTraceServiceRequest::decode(message)?
    };
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let spans = scopes.flat_map(|scope| &scope.spans).map(|span| {
        let (number, whole) = numbering::recognise(span).context("a span that was never sent")?;
        Ok(if whole { number } else { number | CHANGED })
    });
    spans.collect()
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// An `ExportTraceServiceResponse` without fields.
fn success(grpc: bool) -> Reply {
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let (media_type, body, trailers) = if grpc {
        (GRPC, Bytes::from_static(&[0; otlp::grpc::PREFIX_LEN]), Some(Ok(trailers)))
    } else {
        (PROTOBUF, Bytes::new(), None)
    };
    let mut response = Response::new(Full::new(body).with_trailers(ready(trailers)));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn refusal(grpc: bool, code: u32, http_status: StatusCode, retry_after_ms: Option<u64>) -> Reply {
    let status = Status { code, message: "the soak test's sink refuses".to_owned(), retry_after_ms }.encode();
    let body = if grpc { Bytes::new() } else { status.clone().into() };
    let mut response = Response::new(Full::new(body).with_trailers(ready(None)));
    if !grpc {
        *response.status_mut() = http_status;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, if grpc { GRPC } else { PROTOBUF });
    if grpc {
        headers.insert(GRPC_STATUS, HeaderValue::from(code));
    }
    if let Some(ms) = retry_after_ms {
        if grpc {
            let details = STANDARD_NO_PAD.encode(status);
            let details = HeaderValue::try_from(details).expect("base64 is visible ASCII");
            headers.insert("grpc-status-details-bin", details);
        } else {
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
    }
    response
}

#[cfg(test)]
mod tests;
