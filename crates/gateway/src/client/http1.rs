//! A pool of HTTP/1.1 connections, each with one request at a time; OTLP/HTTP's way, for not every server of it takes
//! HTTP/2 without TLS.

use super::endpoint::Endpoint;
use super::{NoResponse, Reply, read_reply};
use crate::body::Frames;
use http::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use model::with_causes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// An idle connection is closed after this: servers close idle ones (the collector after 60 s), and a request that meets
/// the close is one of which nobody knows whether it was taken.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// How often idle connections are looked at, where no request does.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// After a failed connect, requests are refused at once for this long.
const BACKOFF: Duration = Duration::from_millis(250);

/// A request that a closed connection gave back is tried on this many connections.
const MAX_ATTEMPTS: usize = 3;

pub(super) struct Pool {
    endpoint: Endpoint,
    /// One permit a connection in use.
    room: Semaphore,
    /// Held for a push or a pop alone, never across an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    idle: Vec<(Instant, SendRequest<Frames>)>,
    down: Option<(Instant, String)>,
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, connections: usize) -> Pool {
        let state = Arc::<Mutex<State>>::default();
        tokio::spawn(close_idle(Arc::downgrade(&state)));
        Pool { endpoint, room: Semaphore::new(connections.max(1)), state }
    }

    pub(super) async fn send(&self, mut request: Request<Frames>, timeout: Duration) -> Result<Reply, NoResponse> {
        let no_room = || NoResponse::NotSent(format!("all connections were busy for {} ms", timeout.as_millis()));
        let room = tokio::time::timeout(timeout, self.room.acquire()).await;
        let _room = room.map_err(|_| no_room())?.map_err(|_| no_room())?;
        let mut why = String::new();
        for _ in 0..MAX_ATTEMPTS {
            let mut sender = match self.idle() {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let exchange = async {
                if let Err(error) = sender.ready().await {
                    return Err((Some(request), with_causes(&error)));
                }
                match sender.try_send_request(request).await {
                    Ok(response) => Ok(read_reply(response).await),
                    Err(mut error) => Err((error.take_message(), with_causes(error.error()))),
                }
            };
            match tokio::time::timeout(timeout, exchange).await {
                Err(_) => {
                    return Err(NoResponse::Lost(format!("no answer within {} ms", timeout.as_millis())));
                }
                Ok(Ok(reply)) => {
                    if reply.is_ok() {
                        self.lock().idle.push((Instant::now(), sender));
                    }
                    return reply;
                }
                Ok(Err((None, error))) => return Err(NoResponse::Lost(error)),
                Ok(Err((Some(unsent), error))) => {
                    // A server that closed one connection has most often closed all of them.
                    self.lock().idle.clear();
                    request = unsent;
                    why = error;
                }
            }
        }
        Err(NoResponse::NotSent(format!("the connections were closed: {why}")))
    }

    /// Whether the last attempt to connect failed just now.
    pub(super) fn is_down(&self) -> bool {
        self.lock().down.as_ref().is_some_and(|(since, _)| since.elapsed() < BACKOFF)
    }

    /// The idle connection that was used last, if it still can be.
    fn idle(&self) -> Option<SendRequest<Frames>> {
        let mut state = self.lock();
        while let Some((since, sender)) = state.idle.pop() {
            if since.elapsed() > MAX_IDLE {
                // The others were used before it.
                state.idle.clear();
            } else if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    async fn connect(&self) -> Result<SendRequest<Frames>, NoResponse> {
        if let Some((since, reason)) = &self.lock().down
            && since.elapsed() < BACKOFF
        {
            return Err(NoResponse::NotSent(reason.clone()));
        }
        let connected = match self.endpoint.connect().await {
            Ok(stream) => handshake(TokioIo::new(stream)).await.map_err(|error| with_causes(&error)),
            Err(reason) => Err(reason),
        };
        match connected {
            Ok((sender, connection)) => {
                self.lock().down = None;
                // Ends when the sender is dropped, or the peer closes.
                tokio::spawn(connection);
                Ok(sender)
            }
            Err(reason) => {
                self.lock().down = Some((Instant::now(), reason.clone()));
                Err(NoResponse::NotSent(reason))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A push or a pop leaves no half-done state behind.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what was idle for too long, for as long as there is a pool.
async fn close_idle(state: Weak<Mutex<State>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(state) = state.upgrade() else { return };
        lock(&state).idle.retain(|(since, sender)| since.elapsed() <= MAX_IDLE && !sender.is_closed());
    }
}
