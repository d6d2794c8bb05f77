//! A collector: keeps what it gets, and answers what it is told to.

use bytes::Bytes;
use gateway::{PartialSuccess, Status};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use model::{Compression, Protocol};
use otlp::Signal;
use otlp::compression::decompress;
use otlp::reply::export_response;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a collector answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Taken,
    Partial(u64, &'static str),
    /// gRPC's refusal; the details are what `Status` encodes.
    Grpc(Status),
    /// HTTP's refusal: status, Retry-After, text.
    Http(u16, Option<&'static str>, &'static str),
    /// Takes the request, and loses the connection.
    Lose,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    secure: bool,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    seen: Mutex<Vec<(Signal, Bytes)>>,
    taken: Mutex<Vec<(Signal, Bytes)>>,
    /// How each request came, and its bytes as they came.
    packed: Mutex<Vec<(Compression, Bytes)>>,
    arrived: watch::Sender<usize>,
    reply: Mutex<Reply>,
    open: watch::Sender<bool>,
}

impl Upstream {
    pub(crate) async fn start(protocol: Protocol) -> Upstream {
        Upstream::start_at(protocol, super::any()).await
    }

    pub(crate) async fn start_at(protocol: Protocol, address: SocketAddr) -> Upstream {
        Upstream::serve(protocol, address, None).await
    }

    /// One that speaks TLS, as `localhost`.
    pub(crate) async fn secure(protocol: Protocol, server: Arc<tls::Server>) -> Upstream {
        Upstream::serve(protocol, super::any(), Some(server)).await
    }

    async fn serve(protocol: Protocol, address: SocketAddr, server: Option<Arc<tls::Server>>) -> Upstream {
        let secure = server.is_some();
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            seen: Mutex::default(),
            taken: Mutex::default(),
            packed: Mutex::default(),
            arrived: watch::channel(0).0,
            reply: Mutex::new(Reply::Taken),
            open: watch::channel(true).0,
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, server) = (Arc::clone(&shared), server.clone());
                connections.spawn(async move {
                    let stream: Box<dyn Io> = match server {
                        None => Box::new(stream),
                        Some(server) => match server.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    let (lose, mut lost) = watch::channel(false);
                    let service = service_fn(move |request| answer(Arc::clone(&state), lose.clone(), request));
                    let builder = Builder::new(TokioExecutor::new());
                    tokio::select! {
                        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
                        _ = lost.wait_for(|lost| *lost) => {}
                    }
                });
            }
        });
        Upstream { address, protocol, secure, state, task }
    }

    pub(crate) fn url(&self) -> String {
        match self.secure {
            true => format!("https://localhost:{}", self.address.port()),
            false => format!("http://{}", self.address),
        }
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.state.reply.lock().expect("no test panics here") = reply;
    }

    /// While closed, requests arrive and are not answered.
    pub(crate) fn set_open(&self, open: bool) {
        self.state.open.send_replace(open);
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn arrived(&self, count: usize) {
        self.state.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.expect("the state lives");
    }

    pub(crate) fn seen(&self) -> Vec<(Signal, Bytes)> {
        self.state.seen.lock().expect("no test panics here").clone()
    }

    /// What it acknowledged of a signal.
    pub(crate) fn taken(&self, signal: Signal) -> Vec<Bytes> {
        let taken = self.state.taken.lock().expect("no test panics here");
        taken.iter().filter(|(of, _)| *of == signal).map(|(_, message)| message.clone()).collect()
    }

    /// How each request came, and its bytes as they came.
    pub(crate) fn packed(&self) -> Vec<(Compression, Bytes)> {
        self.state.packed.lock().expect("no test panics here").clone()
    }

    pub(crate) fn messages(&self) -> Vec<Bytes> {
        self.seen().into_iter().map(|(_, message)| message).collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Body = BoxBody<Bytes, Infallible>;

trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}

struct Frames(std::vec::IntoIter<Frame<Bytes>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.next().map(Ok))
    }
}

async fn answer(
    state: Arc<State>,
    lose: watch::Sender<bool>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let grpc = request.headers()["content-type"] == "application/grpc";
    let path = request.uri().path().to_owned();
    let signal = if grpc { Signal::from_grpc_path(&path) } else { Signal::from_http_path(&path) };
    let signal = signal.expect("a path of OTLP");
    let encoding = request.headers().get(if grpc { "grpc-encoding" } else { "content-encoding" }).cloned();
    let body = request.into_body().collect().await.expect("a whole request").to_bytes();
    let (compressed, bytes) = if grpc {
        let frame = otlp::grpc::parse_unary(&body).expect("a frame");
        (frame.compressed, body.slice(frame.message))
    } else {
        (encoding.is_some(), body)
    };
    let form = Compression::ALL
        .into_iter()
        .find(|form| compressed && encoding.as_ref().is_some_and(|it| it == form.encoding()));
    let form = form.unwrap_or_default();
    let message = Bytes::from(decompress(form, &bytes, 100 << 20).expect("a body of its encoding"));
    state.packed.lock().expect("no test panics here").push((form, bytes));
    state.seen.lock().expect("no test panics here").push((signal, message.clone()));
    state.arrived.send_modify(|arrived| *arrived += 1);
    state.open.subscribe().wait_for(|open| *open).await.expect("the state lives");
    let reply = state.reply.lock().expect("no test panics here").clone();
    let partial = match &reply {
        Reply::Partial(rejected, message) => {
            Some(PartialSuccess { rejected: *rejected, message: (*message).to_owned() })
        }
        Reply::Taken => None,
        Reply::Lose => {
            lose.send_replace(true);
            std::future::pending().await
        }
        Reply::Grpc(status) => return Ok(grpc_refusal(status)),
        Reply::Http(status, retry_after, text) => {
            let mut response = Response::builder().status(*status);
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", *seconds);
            }
            return Ok(response.body(frames(vec![Frame::data(Bytes::from_static(text.as_bytes()))])).expect("good"));
        }
    };
    state.taken.lock().expect("no test panics here").push((signal, message));
    let message = export_response(signal, partial.as_ref());
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let (media_type, frames_sent) = if grpc {
        ("application/grpc", vec![Frame::data(super::framed(false, &message)), Frame::trailers(trailers)])
    } else {
        ("application/x-protobuf", vec![Frame::data(message.into())])
    };
    Ok(Response::builder().header("content-type", media_type).body(frames(frames_sent)).expect("good"))
}

/// In trailers after an empty body, as grpc-go does when the handler fails.
fn grpc_refusal(status: &Status) -> Response<Body> {
    use base64::Engine;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status.code));
    trailers.insert("grpc-message", HeaderValue::from_str(&status.message).expect("visible ASCII"));
    let details = base64::engine::general_purpose::STANDARD.encode(status.encode());
    trailers.insert("grpc-status-details-bin", HeaderValue::from_str(&details).expect("base64"));
    let body = frames(vec![Frame::trailers(trailers)]);
    Response::builder().header("content-type", "application/grpc").body(body).expect("good")
}

fn frames(frames: Vec<Frame<Bytes>>) -> Body {
    BodyExt::boxed(Frames(frames.into_iter()))
}
