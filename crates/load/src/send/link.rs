//! Connections. An HTTP/2 connection is shared by its streams, an HTTP/1.1 connection has one request at a time.

use super::stream::Stream;
use super::{Endpoint, Form};
use crate::answer::{read_grpc, read_http};
use crate::tally::Fate;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Protocol, with_causes};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Bytes of an answer that are read: a status with a message of 1 KiB and some details is below 4 KiB.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// After a failed connect requests fail at once for so long, as a sender's would: a target that is gone is not asked for a
/// connection by every request.
const BACKOFF: Duration = Duration::from_millis(100);

/// Connections that a request is tried on, if they give it back unsent.
const MAX_ATTEMPTS: usize = 2;

/// Flow control of answers, which are small, and what a stream buffers to be sent: four requests of 1 MiB.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// What requests are sent over: a share of an HTTP/2 connection, or an HTTP/1.1 connection.
pub(crate) enum Link {
    Http2(Arc<Http2Link>),
    Http1(Box<Http1Link>),
}

/// An HTTP/2 connection that several use.
pub(crate) struct Http2Link {
    endpoint: Endpoint,
    /// Held while it connects: who comes then waits for the same connection.
    state: Mutex<State<http2::SendRequest<Full<Bytes>>>>,
}

pub(crate) struct Http1Link {
    endpoint: Endpoint,
    state: State<http1::SendRequest<Full<Bytes>>>,
}

struct State<S> {
    sender: Option<S>,
    down: Option<(Instant, String)>,
}

impl<S> State<S> {
    const NEW: State<S> = State { sender: None, down: None };

    /// Why no connection is tried for now.
    fn is_down(&self) -> Option<String> {
        self.down.as_ref().filter(|(since, _)| since.elapsed() < BACKOFF).map(|(_, why)| why.clone())
    }

    fn went_down(&mut self, why: String) -> String {
        self.down = Some((Instant::now(), why.clone()));
        why
    }
}

impl Http2Link {
    pub(crate) fn new(endpoint: Endpoint) -> Arc<Http2Link> {
        Arc::new(Http2Link { endpoint, state: Mutex::new(State::NEW) })
    }

    async fn sender(&self) -> Result<http2::SendRequest<Full<Bytes>>, String> {
        let mut state = self.state.lock().await;
        if let Some(sender) = state.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        if let Some(why) = state.is_down() {
            return Err(why);
        }
        match self.connect().await {
            Ok(sender) => {
                *state = State { sender: Some(sender.clone()), down: None };
                Ok(sender)
            }
            Err(why) => Err(state.went_down(why)),
        }
    }

    async fn connect(&self) -> Result<http2::SendRequest<Full<Bytes>>, String> {
        let stream: TokioIo<Stream> = TokioIo::new(self.endpoint.connect().await?);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .handshake(stream)
            .await
            .map_err(|error| with_causes(&error))?;
        // Ends when the senders are dropped, or the peer closes.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Http1Link {
    async fn connect(&mut self) -> Result<(), String> {
        if self.state.sender.as_ref().is_some_and(|sender| !sender.is_closed()) {
            return Ok(());
        }
        if let Some(why) = self.state.is_down() {
            return Err(why);
        }
        let connected = match self.endpoint.connect().await {
            Ok(stream) => http1::handshake(TokioIo::new(stream)).await.map_err(|error| with_causes(&error)),
            Err(why) => Err(why),
        };
        match connected {
            Ok((sender, connection)) => {
                tokio::spawn(connection);
                self.state = State { sender: Some(sender), down: None };
                Ok(())
            }
            Err(why) => Err(self.state.went_down(why)),
        }
    }
}

/// Why there is no answer.
enum Failed {
    /// The connection gave the request back.
    Unsent(Box<Request<Full<Bytes>>>, String),
    Lost(String),
}

impl Link {
    pub(crate) fn http1(endpoint: Endpoint) -> Link {
        Link::Http1(Box::new(Http1Link { endpoint, state: State::NEW }))
    }

    /// Connects before the first request is due. Why it cannot is told by the requests that fail for it.
    pub(crate) async fn warm(&mut self) {
        let warmed = match self {
            Link::Http2(link) => link.sender().await.map(drop),
            Link::Http1(link) => link.connect().await,
        };
        if let Err(why) = warmed {
            tracing::debug!(why, "a target of the load cannot be connected to");
        }
    }

    /// Sends, and reads the answer. Takes as long as the other side takes: the caller bounds it, and drops this.
    pub(crate) async fn exchange(&mut self, form: &Form, request: Request<Full<Bytes>>) -> Fate {
        let mut request = request;
        let mut why = String::new();
        for _ in 0..MAX_ATTEMPTS {
            match self.attempt(form, request).await {
                Ok(fate) => return fate,
                Err(Failed::Lost(why)) => return Fate::Disconnected { why },
                Err(Failed::Unsent(unsent, reason)) => (request, why) = (*unsent, reason),
            }
        }
        Fate::Disconnected { why }
    }

    /// A request that was given up without an answer: its HTTP/1.1 connection is of no use any more.
    pub(crate) fn gave_up(&mut self) {
        match self {
            Link::Http2(_) => {}
            Link::Http1(link) => link.state.sender = None,
        }
    }

    async fn attempt(&mut self, form: &Form, request: Request<Full<Bytes>>) -> Result<Fate, Failed> {
        let sent = match self {
            Link::Http2(link) => {
                let mut sender = link.sender().await.map_err(Failed::Lost)?;
                sender.try_send_request(request).await.map_err(|mut error| (error.take_message(), error.into_error()))
            }
            Link::Http1(link) => {
                link.connect().await.map_err(Failed::Lost)?;
                let sender = link.state.sender.as_mut().expect("it has just been connected");
                match sender.ready().await {
                    Ok(()) => sender
                        .try_send_request(request)
                        .await
                        .map_err(|mut error| (error.take_message(), error.into_error())),
                    Err(error) => Err((Some(request), error)),
                }
            }
        };
        let response = sent.map_err(|(unsent, error)| {
            self.gave_up();
            let why = with_causes(&error);
            match unsent {
                Some(unsent) => Failed::Unsent(Box::new(unsent), why),
                None => Failed::Lost(why),
            }
        })?;
        read(form, response).await.map_err(|why| {
            self.gave_up();
            Failed::Lost(why)
        })
    }
}

async fn read(form: &Form, response: Response<Incoming>) -> Result<Fate, String> {
    let (head, body) = response.into_parts();
    let collected = Limited::new(body, MAX_REPLY_BYTES).collect().await;
    let collected = collected.map_err(|error| format!("the answer could not be read: {error}"))?;
    let trailers = collected.trailers().cloned();
    let body = collected.to_bytes();
    Ok(match form.protocol {
        Protocol::Grpc => read_grpc(head.status, &head.headers, &body, trailers.as_ref()),
        Protocol::Http => read_http(head.status, &head.headers, &body),
    })
}
