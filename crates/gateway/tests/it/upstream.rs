//! A collector: keeps what it gets, and answers what it is told to.

use bytes::Bytes;
use gateway::{PartialSuccess, Status};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use model::Protocol;
use otlp::Signal;
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
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    seen: Mutex<Vec<(Signal, Bytes)>>,
    taken: Mutex<Vec<(Signal, Bytes)>>,
    arrived: watch::Sender<usize>,
    reply: Mutex<Reply>,
    open: watch::Sender<bool>,
}

impl Upstream {
    pub(crate) async fn start(protocol: Protocol) -> Upstream {
        Upstream::start_at(protocol, super::any()).await
    }

    pub(crate) async fn start_at(protocol: Protocol, address: SocketAddr) -> Upstream {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            seen: Mutex::default(),
            taken: Mutex::default(),
            arrived: watch::channel(0).0,
            reply: Mutex::new(Reply::Taken),
            open: watch::channel(true).0,
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
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
        Upstream { address, protocol, state, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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
    let body = request.into_body().collect().await.expect("a whole request").to_bytes();
    let message = if grpc { body.slice(otlp::grpc::parse_unary(&body).expect("a frame").message) } else { body };
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
