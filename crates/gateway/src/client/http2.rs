//! HTTP/2 connections that are kept up, each by a task of its own; OTLP/gRPC's way.

use super::endpoint::Endpoint;
use super::stream::Stream;
use super::{NoResponse, Reply, read_reply};
use crate::body::Frames;
use arc_swap::ArcSwapOption;
use http::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use model::with_causes;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The first wait after a connection failed, doubled each time up to the longest. A collector that restarts is missed
/// for a second at most, and one that is gone costs two connects a second.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// A connection that lasted less than this is no success.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// A peer that vanished is noticed while requests wait for it: 20 s without a frame, then 10 s without the answer to a
/// ping, both together no longer than an export's default timeout. Idle connections are not pinged: gRPC servers take
/// that for abuse.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that their peer closes down are let finish, this many at most; more means that it closes each at once.
const MAX_DRAINING: usize = 8;

/// Flow control of answers, which are small, and the largest frame that is taken; both far above what is needed.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// Bytes that one stream buffers to be sent; the message itself is shared, not copied.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// All connections to one endpoint.
pub(super) struct Links {
    links: Vec<Link>,
    next: AtomicUsize,
}

struct Link {
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// The connection, if there is one.
    sender: ArcSwapOption<SendRequest<Frames>>,
    /// The connection takes no more requests: make another one.
    stale: Notify,
}

#[derive(Clone, Debug)]
enum State {
    Connecting,
    Up,
    /// The last attempt failed; until the next one succeeds, requests are refused at once.
    Down(String),
}

impl Links {
    pub(super) fn new(endpoint: &Endpoint, count: usize) -> Links {
        let link = |_| {
            let shared = Arc::new(Shared::default());
            let (state, watched) = watch::channel(State::Connecting);
            let task = tokio::spawn(keep_up(endpoint.clone(), Arc::clone(&shared), state));
            Link { shared, state: watched, task }
        };
        Links { links: (0..count.max(1)).map(link).collect(), next: AtomicUsize::new(0) }
    }

    /// Sends over the next connection that is up. A request that a connection gives back unsent goes over the next one.
    pub(super) async fn send(&self, mut request: Request<Frames>, timeout: Duration) -> Result<Reply, NoResponse> {
        let first = self.next.fetch_add(1, Relaxed);
        let mut why = String::new();
        for attempt in 0..=self.links.len() {
            let link = match self.up(first.wrapping_add(attempt)) {
                Some(link) => link,
                None => self.wait(first).await?,
            };
            let Some(sender) = link.shared.sender.load_full() else { continue };
            let mut sender = SendRequest::clone(&sender);
            let exchange = async {
                match sender.try_send_request(request).await {
                    Ok(response) => Ok(read_reply(response).await),
                    Err(mut error) => Err((error.take_message(), error.into_error())),
                }
            };
            match tokio::time::timeout(timeout, exchange).await {
                Err(_) => {
                    return Err(NoResponse::Lost(format!("no answer within {} ms", timeout.as_millis())));
                }
                Ok(Ok(reply)) => return reply,
                Ok(Err((None, error))) if never_processed(&error) => {
                    return Err(NoResponse::NotSent(format!("the connection was closed: {}", with_causes(&error))));
                }
                Ok(Err((None, error))) => return Err(NoResponse::Lost(with_causes(&error))),
                Ok(Err((Some(unsent), error))) => {
                    link.shared.stale.notify_one();
                    request = unsent;
                    why = with_causes(&error);
                }
            }
        }
        Err(NoResponse::NotSent(format!("the connections were closed: {why}")))
    }

    /// Whether the last attempt to connect failed, on every connection.
    pub(super) fn are_down(&self) -> bool {
        self.links.iter().all(|link| matches!(*link.state.borrow(), State::Down(_)))
    }

    fn up(&self, first: usize) -> Option<&Link> {
        let count = self.links.len();
        (0..count)
            .map(|step| &self.links[first.wrapping_add(step) % count])
            .find(|link| link.shared.sender.load().as_ref().is_some_and(|sender| !sender.is_closed()))
    }

    /// Waits until a connection is no longer being made; that has its own timeout.
    async fn wait(&self, first: usize) -> Result<&Link, NoResponse> {
        let link = &self.links[first % self.links.len()];
        let mut state = link.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Connecting)).await;
        match settled.as_deref() {
            Ok(State::Down(reason)) => Err(NoResponse::NotSent(reason.clone())),
            Ok(State::Up | State::Connecting) => Ok(link),
            Err(_) => Err(NoResponse::NotSent("the client is closed".to_owned())),
        }
    }
}

/// The peer closes down, and says of this request that it never looked at it (RFC 9113, section 6.8). Hyper gives back
/// unsent what it has not yet passed on; of what it has, this is how one knows.
fn never_processed(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|it| it.is_go_away() && it.is_remote() && it.reason() == Some(h2::Reason::NO_ERROR))
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes the connection again whenever it is gone, for as long as the client lives.
async fn keep_up(endpoint: Endpoint, shared: Arc<Shared>, state: watch::Sender<State>) {
    let mut backoff = FIRST_BACKOFF;
    let mut draining = JoinSet::new();
    loop {
        let failure = match connect(&endpoint).await {
            Err(reason) => reason,
            Ok((sender, mut connection)) => {
                shared.sender.store(Some(Arc::new(sender)));
                state.send_replace(State::Up);
                let since = Instant::now();
                let ended = tokio::select! {
                    ended = &mut connection => ended.err(),
                    () = shared.stale.notified() => {
                        while draining.try_join_next().is_some() {}
                        if draining.len() < MAX_DRAINING {
                            draining.spawn(connection);
                        }
                        None
                    }
                };
                shared.sender.store(None);
                if since.elapsed() >= SHORT_LIVED {
                    state.send_replace(State::Connecting);
                    backoff = FIRST_BACKOFF;
                    continue;
                }
                // In TLS 1.3 a certificate of ours that the other side refuses is told only now.
                let why = ended.map_or_else(String::new, |error| format!(" ({})", with_causes(&error)));
                format!("{}:{} closes each connection at once{why}", endpoint.host, endpoint.port)
            }
        };
        tracing::debug!(%failure, "upstream connection");
        state.send_replace(State::Down(failure));
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

type Connection = std::pin::Pin<Box<hyper::client::conn::http2::Connection<TokioIo<Stream>, Frames, TokioExecutor>>>;

async fn connect(endpoint: &Endpoint) -> Result<(SendRequest<Frames>, Connection), String> {
    let stream = endpoint.connect().await?;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    let handshake = builder.handshake(TokioIo::new(stream));
    let (sender, connection) =
        handshake.await.map_err(|error| format!("{}:{}: {}", endpoint.host, endpoint.port, with_causes(&error)))?;
    Ok((sender, Box::pin(connection)))
}
