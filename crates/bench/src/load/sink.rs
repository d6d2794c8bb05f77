//! A back end that takes everything: OTLP/gRPC on a port that the system chose, spans counted and thrown away.

use anyhow::Result;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::compression::gunzip;
use otlp::{Signal, count_items, grpc};
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::ready;
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

#[derive(Default)]
struct Tally {
    spans: AtomicU64,
    malformed: AtomicU64,
    last_reason: Mutex<Option<String>>,
    last_arrival: Mutex<Option<Instant>>,
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
    pub async fn start() -> Result<Sink> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let tally = Arc::new(Tally::default());
        tokio::spawn(accept(listener, Arc::clone(&tally)));
        Ok(Sink { address, tally })
    }

    pub fn spans(&self) -> u64 {
        self.tally.spans.load(Relaxed)
    }

    /// Requests that were no OTLP/gRPC.
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

async fn take(
    tally: Arc<Tally>,
    request: Request<Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let taken = match Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await {
        Ok(body) => tally.count(&body.to_bytes()),
        Err(error) => Err(format!("a body ended early: {error}")),
    };
    let status = match taken {
        Ok(()) => HeaderValue::from_static("0"),
        Err(why) => {
            tally.malformed.fetch_add(1, Relaxed);
            *tally.last_reason.lock().expect(UNPOISONED) = Some(why);
            HeaderValue::from_static(INVALID_ARGUMENT)
        }
    };
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status)]);
    let reply = Full::new(Bytes::from_static(&EMPTY_REPLY)).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(reply);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// An `ExportTraceServiceResponse` without fields, in its frame.
const EMPTY_REPLY: [u8; grpc::PREFIX_LEN] = [0; grpc::PREFIX_LEN];

impl Tally {
    /// Fails, with the reason, if the body is not one request.
    fn count(&self, body: &[u8]) -> Result<(), String> {
        let frame = grpc::parse_unary(body).map_err(|error| error.to_string())?;
        let message = match frame.compressed {
            false => Cow::Borrowed(&body[frame.message]),
            // gzip is the only compression that OTLP exporters must know, and Rotel's in every case.
            true => Cow::Owned(gunzip(&body[frame.message], MAX_REQUEST_BYTES).map_err(|error| error.to_string())?),
        };
        let spans = count_items(Signal::Traces, &message).map_err(|error| error.to_string())?;
        self.spans.fetch_add(spans, Relaxed);
        *self.last_arrival.lock().expect(UNPOISONED) = Some(Instant::now());
        Ok(())
    }
}
