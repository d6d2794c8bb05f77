//! A small OTLP/gRPC server for the demo's pipelines and back ends: unary Export of traces, metrics and logs over
//! HTTP/2 without TLS, on a loopback port that the system chooses. What becomes of a request is the business of one
//! function, which must not wait: it takes the message or refuses it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::compression::{CompressionError, gunzip};
use otlp::reply::{Status, code};
use otlp::{Signal, grpc};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// The largest message, before and after decompression: 64 MiB, as the gateway's default.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Connections open at once. The demo has about ten clients; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 64;
/// Requests read at once, over all connections: 16 of 64 MiB, and as much again for one being decompressed each, are
/// 2 GiB at the very worst, and 16 of the demo's 640 KiB are 10 MiB.
const MAX_REQUESTS_AT_ONCE: usize = 16;
/// A client that takes longer to send a body is cut off, for it holds one of those places.
const MAX_BODY_TIME: Duration = Duration::from_secs(10);
/// How long a stop waits for requests that are being read.
const GRACE: Duration = Duration::from_secs(12);
/// After a failed accept (file descriptors run out), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens. Dropped, it closes at once.
pub struct Server {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
    Killed,
}

type Body = BoxBody<Bytes, Infallible>;

impl Server {
    /// Listens on 127.0.0.1 and hands every whole message (decompressed, without its frame) to `answer`.
    pub async fn start<A>(answer: A) -> io::Result<Server>
    where
        A: Fn(Signal, Bytes) -> Result<(), Status> + Send + Sync + 'static,
    {
        Server::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, answer)
    }

    /// The same on a socket that listens already.
    pub fn on<A>(listener: TcpListener, answer: A) -> io::Result<Server>
    where
        A: Fn(Signal, Bytes) -> Result<(), Status> + Send + Sync + 'static,
    {
        let address = listener.local_addr()?;
        let (phase, watched) = watch::channel(Phase::Serving);
        let accepting = tokio::spawn(accept(listener, Arc::new(answer), watched));
        Ok(Server { address, phase, accepting: Mutex::new(Some(accepting)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, answers those that it began to read, and closes.
    pub async fn stop(&self) {
        self.end(Phase::Stopping).await;
    }

    /// Closes the listener and every connection, without an answer to anybody, as the end of the process would.
    pub async fn kill(&self) {
        self.end(Phase::Killed).await;
    }

    async fn end(&self, phase: Phase) {
        self.phase.send_replace(phase);
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting {
            // It ends by itself; what it returns is nothing, and a panic in it would have ended the server already.
            let _ = accepting.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            accepting.abort();
        }
    }
}

async fn accept<A>(listener: TcpListener, answer: Arc<A>, mut phase: watch::Receiver<Phase>)
where
    A: Fn(Signal, Bytes) -> Result<(), Status> + Send + Sync + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_REQUESTS_AT_ONCE));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            _ = phase.changed() => break,
            Some(_) = connections.join_next(), if connections.len() >= MAX_CONNECTIONS => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, answer.clone(), places.clone(), phase.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    if *phase.borrow() == Phase::Stopping {
        // Each connection saw the same change, and ends when its requests are answered.
        let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    }
    connections.shutdown().await;
}

async fn serve<A>(stream: TcpStream, answer: Arc<A>, places: Arc<Semaphore>, mut phase: watch::Receiver<Phase>)
where
    A: Fn(Signal, Bytes) -> Result<(), Status> + Send + Sync + 'static,
{
    // Small answers must not wait for more data; where it cannot be set they are only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (answer, places) = (answer.clone(), places.clone());
        async move { Ok::<_, Infallible>(respond(request, &*answer, &places).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(MAX_REQUESTS_AT_ONCE as u32)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks the protocol or goes away ends its own connection; there is nobody to tell.
        _ = connection.as_mut() => {}
        _ = phase.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: &(impl Fn(Signal, Bytes) -> Result<(), Status> + Send + Sync),
    places: &Semaphore,
) -> Response<Body> {
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(signal) = Signal::from_grpc_path(request.uri().path()) else {
        return refusal(&refused(code::UNIMPLEMENTED, "expected the Export of traces, metrics or logs"));
    };
    let Ok(_place) = places.acquire().await else {
        return refusal(&refused(code::UNAVAILABLE, "the server is closing"));
    };
    match read_message(request).await.and_then(|message| answer(signal, message)) {
        Ok(()) => acknowledgement(),
        Err(status) => refusal(&status),
    }
}

/// The one message of the body, decompressed.
async fn read_message(request: Request<Incoming>) -> Result<Bytes, Status> {
    let encoding = request.headers().get("grpc-encoding").map(|value| value.as_bytes().to_owned());
    let body = Limited::new(request.into_body(), MAX_MESSAGE_BYTES + grpc::PREFIX_LEN);
    let body = match timeout(MAX_BODY_TIME, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(refused(code::RESOURCE_EXHAUSTED, "the message has more than 64 MiB; send smaller batches"));
        }
        Ok(Err(_)) => return Err(refused(code::CANCELLED, "the request body was cut off")),
        Err(_) => return Err(refused(code::DEADLINE_EXCEEDED, "the request body took longer than 10 s")),
    };
    let frame = grpc::parse_unary(&body).map_err(|error| refused(code::INVALID_ARGUMENT, error))?;
    let message = body.slice(frame.message);
    match (frame.compressed, encoding.as_deref()) {
        (false, _) => Ok(message),
        (true, Some(b"gzip")) => gunzip(&message, MAX_MESSAGE_BYTES).map(Bytes::from).map_err(|error| {
            let code = match error {
                CompressionError::TooLarge { .. } => code::RESOURCE_EXHAUSTED,
                CompressionError::Corrupt(_) | CompressionError::TooManyMembers => code::INVALID_ARGUMENT,
            };
            refused(code, error)
        }),
        (true, _) => Err(refused(code::UNIMPLEMENTED, "expected grpc-encoding gzip or identity")),
    }
}

/// A refusal without a time to come back at.
pub fn refused(code: u32, message: impl ToString) -> Status {
    Status { code, message: message.to_string(), retry_after_ms: None }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Full success: an empty response message, then the trailers.
fn acknowledgement() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from_static(&[0; grpc::PREFIX_LEN]));
    let mut response = Response::new(message.with_trailers(async { Some(Ok(trailers)) }).boxed());
    response.headers_mut().insert(http::header::CONTENT_TYPE, GRPC);
    response
}

/// A "Trailers-Only" response (*gRPC over HTTP2*): the status stands in the headers.
fn refusal(status: &Status) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed());
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, GRPC);
    headers.insert(GRPC_STATUS, HeaderValue::from(status.code));
    // A message that a header cannot hold as it stands is left to the details.
    if let Ok(message) = HeaderValue::from_str(&status.message.replace('%', "%25")) {
        headers.insert("grpc-message", message);
    }
    if status.retry_after_ms.is_some() {
        let details = STANDARD_NO_PAD.encode(status.encode());
        headers.insert("grpc-status-details-bin", HeaderValue::from_str(&details).expect("base64 is ASCII"));
    }
    response
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = status;
    response
}
