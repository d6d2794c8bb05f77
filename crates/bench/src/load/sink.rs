//! A back end that takes everything: OTLP/gRPC and OTLP/HTTP on a port that the system chose, spans counted and thrown
//! away.

use super::copies::Copies;
use super::traces::Traces;
use anyhow::Result;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use otlp::compression::gunzip;
use otlp::{Signal, Splitter, Unit, count_items, grpc};
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A port, and what came to it.
pub struct Sink {
    pub address: SocketAddr,
    tally: Arc<Tally>,
}

/// The traces of an order that wants them counted, at both sinks.
pub type SharedTraces = Arc<Mutex<Option<Traces>>>;

struct Tally {
    /// The first (0) or the second (1).
    place: usize,
    spans: AtomicU64,
    compressed: AtomicU64,
    malformed: AtomicU64,
    last_reason: Mutex<Option<String>>,
    last_arrival: Mutex<Option<Instant>>,
    traces: SharedTraces,
    copies: Mutex<Option<Arc<Copies>>>,
}

/// Before and after decompression. A proxy may make larger requests of ours: Rotel's have up to 8,192 spans, 4.3 MB.
const MAX_REQUEST_BYTES: usize = 64 << 20;

const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const MAX_FRAME_BYTES: u32 = 1 << 20;
const MAX_STREAMS: u32 = 1_024;

const UNPOISONED: &str = "nobody panics with the lock";

/// gRPC's `INVALID_ARGUMENT`.
const INVALID_ARGUMENT: &str = "3";

impl Sink {
    /// Listens until the runtime ends.
    pub async fn start(place: usize, traces: SharedTraces) -> Result<Sink> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let tally = Arc::new(Tally {
            place,
            spans: AtomicU64::new(0),
            compressed: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            last_reason: Mutex::default(),
            last_arrival: Mutex::default(),
            traces,
            copies: Mutex::default(),
        });
        tokio::spawn(accept(listener, Arc::clone(&tally)));
        Ok(Sink { address, tally })
    }

    pub fn spans(&self) -> u64 {
        self.tally.spans.load(Relaxed)
    }

    /// Requests that came compressed.
    pub fn compressed(&self) -> u64 {
        self.tally.compressed.load(Relaxed)
    }

    /// Requests that were no OTLP.
    pub fn malformed(&self) -> u64 {
        self.tally.malformed.load(Relaxed)
    }

    /// Why the last one of those was not.
    pub fn last_reason(&self) -> Option<String> {
        self.tally.last_reason.lock().expect(UNPOISONED).clone()
    }

    pub fn last_arrival(&self) -> Option<Instant> {
        *self.tally.last_arrival.lock().expect(UNPOISONED)
    }

    /// From now on what comes is handed on there too, or not any more.
    pub fn copy_to(&self, copies: Option<Arc<Copies>>) {
        *self.tally.copies.lock().expect(UNPOISONED) = copies;
    }
}

async fn accept(listener: TcpListener, tally: Arc<Tally>) {
    // A listener on loopback fails only when file descriptors are out; then the measurement is over anyway.
    while let Ok((stream, _)) = listener.accept().await {
        let tally = Arc::clone(&tally);
        tokio::spawn(async move {
            // Without it an answer would wait for the next packet; that is a matter of speed alone.
            let _ = stream.set_nodelay(true);
            let mut builder = Builder::new(TokioExecutor::new());
            builder
                .http2()
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_frame_size(MAX_FRAME_BYTES)
                .max_concurrent_streams(MAX_STREAMS);
            let service = service_fn(move |request| take(Arc::clone(&tally), request));
            // The other side closes connections as it likes.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn take(tally: Arc<Tally>, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let http = request.uri().path() == Signal::Traces.http_path();
    let gzip = request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let taken = match Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let counted = if http { tally.count(&body, gzip) } else { tally.count_framed(&body) };
            if counted.is_ok() {
                tally.hand_on(body).await;
            }
            counted
        }
        Err(error) => Err(format!("a body ended early: {error}")),
    };
    if let Err(why) = &taken {
        tally.malformed.fetch_add(1, Relaxed);
        *tally.last_reason.lock().expect(UNPOISONED) = Some(why.clone());
    }
    Ok(if http { answer_http(taken.is_ok()) } else { answer_grpc(taken.is_ok()) })
}

/// An `ExportTraceServiceResponse` without fields is no bytes at all over HTTP, and over gRPC the frame around them.
const EMPTY_REPLY: [u8; grpc::PREFIX_LEN] = [0; grpc::PREFIX_LEN];

type Reply = Either<Full<Bytes>, WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>>;

fn answer_http(taken: bool) -> Response<Reply> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = if taken { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

fn answer_grpc(taken: bool) -> Response<Reply> {
    let status = HeaderValue::from_static(if taken { "0" } else { INVALID_ARGUMENT });
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status)]);
    let reply = Full::new(Bytes::from_static(&EMPTY_REPLY)).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(Either::Right(reply));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

impl Tally {
    /// Fails, with the reason, if the body is not one gRPC request.
    fn count_framed(&self, body: &[u8]) -> Result<(), String> {
        let frame = grpc::parse_unary(body).map_err(|error| error.to_string())?;
        self.count(&body[frame.message], frame.compressed)
    }

    fn count(&self, message: &[u8], gzip: bool) -> Result<(), String> {
        let message = match gzip {
            false => Cow::Borrowed(message),
            // gzip is the only compression that OTLP exporters must know.
            true => {
                self.compressed.fetch_add(1, Relaxed);
                Cow::Owned(gunzip(message, MAX_REQUEST_BYTES).map_err(|error| error.to_string())?)
            }
        };
        let spans = self.spans_of(&message).map_err(|error| error.to_string())?;
        self.spans.fetch_add(spans, Relaxed);
        *self.last_arrival.lock().expect(UNPOISONED) = Some(Instant::now());
        Ok(())
    }

    /// Trace ids are read only where they are wanted: that takes longer than to count.
    fn spans_of(&self, message: &[u8]) -> Result<u64, otlp::Malformed> {
        match self.traces.lock().expect(UNPOISONED).as_mut() {
            None => count_items(Signal::Traces, message),
            Some(traces) => {
                let mut splitter = Splitter::default();
                splitter.scan(Signal::Traces, message, |unit| {
                    if let Unit::Trace(trace) = unit {
                        traces.saw(trace, self.place);
                    }
                    0
                })?;
                Ok(splitter.records(0))
            }
        }
    }

    async fn hand_on(&self, body: Bytes) {
        let copies = self.copies.lock().expect(UNPOISONED).clone();
        if let Some(copies) = copies {
            copies.hand_on(body).await;
        }
    }
}
