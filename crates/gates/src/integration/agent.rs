//! Makes calls inside of an environment, for a controller outside of it: `POST /v1/calls` with the calls as JSON, answered with
//! their outcomes. What `verdigris agent` serves.
//!
//! Whoever asks must show the token, which is compared in constant time; without it nothing of the body is read. It goes only
//! where it was allowed to go when it was started, and never to a cloud's metadata service by a name. So a token that was
//! stolen shows which of these destinations can be reached, and nothing that they answer. One request at a time; others are
//! sent away.

use super::make::{Allowed, Maker};
use super::{CALLS_PATH, Clock, Stopwatch};
use crate::server::{ServerError, token};
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use integrations::{Address, Calls, MAX_CALLS_BYTES, Origin, Outcomes};
use model::{ClientTls, with_causes};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tls::Server;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at once; each holds a head and one body, 16 x (16 + 64) KiB are 1.3 MB together. Others wait to be accepted.
const MAX_CONNECTIONS: usize = 16;
/// Bytes of a request's head; hyper's least is 8 KiB.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a request's head may take, a handshake before it, and the wait for the next request of a connection.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a request's body may take.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long accepting rests when the system has no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Destinations of one agent.
const MAX_ALLOWED: usize = 1_024;

/// How an agent is set up.
pub struct Config {
    /// The file of the token that who asks must show; read anew for each request, for it may have been renewed.
    pub token_file: PathBuf,
    /// Where it may call.
    pub allow: Vec<Address>,
    /// What TLS needs beyond the defaults where it calls.
    pub tls: ClientTls,
    /// How it is reached itself: without TLS if there is none.
    pub server: Option<Arc<Server>>,
    /// How long calls take.
    pub stopwatch: Stopwatch,
    /// What time it is.
    pub clock: Clock,
}

/// Why an agent does not begin.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It would call nobody, or too many.
    #[error("{found} destinations, expected 1 to {MAX_ALLOWED}: name each with --allow HOST:PORT")]
    Allow {
        /// How many it may call.
        found: usize,
    },
    /// Nobody could ask it.
    #[error(transparent)]
    Token(#[from] ServerError),
}

struct Agent {
    token_file: PathBuf,
    maker: Maker,
    /// Held by whoever has calls made.
    place: Semaphore,
}

type Reply = Response<Full<Bytes>>;

/// Serves until it is dropped.
///
/// # Errors
/// If it could serve nobody. Once it serves, what goes wrong is told to whoever asks.
pub async fn serve(listener: TcpListener, config: Config) -> Result<Infallible, AgentError> {
    let Config { token_file, allow, tls, server, stopwatch, clock } = config;
    if allow.is_empty() || allow.len() > MAX_ALLOWED {
        return Err(AgentError::Allow { found: allow.len() });
    }
    token(token_file.clone()).await?;
    let maker = Maker { allowed: Allowed::Only(allow), tls, stopwatch, clock };
    let agent = Arc::new(Agent { token_file, maker, place: Semaphore::new(1) });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped, it ends them all.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (agent, server) = (agent.clone(), server.clone());
        connections.spawn(async move {
            let _place = place;
            match server {
                None => converse(agent, stream).await,
                Some(server) => match timeout(HEAD_LIMIT, server.accept(stream)).await {
                    Ok(Ok(stream)) => converse(agent, stream).await,
                    Ok(Err(error)) => tracing::debug!("no connection: {error}"),
                    Err(_) => tracing::debug!("no connection: the handshake took too long"),
                },
            }
        });
    }
}

async fn converse(agent: Arc<Agent>, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let service = service_fn(move |request| {
        let agent = agent.clone();
        async move { Ok::<_, Infallible>(agent.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("a connection ended: {error}");
    }
}

impl Agent {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        if request.uri().path() != CALLS_PATH {
            return said(StatusCode::NOT_FOUND, format!("nothing is here but POST {CALLS_PATH}"));
        }
        if request.method() != Method::POST {
            let reply = said(StatusCode::METHOD_NOT_ALLOWED, "expected POST".to_owned());
            return with(reply, ALLOW, "POST");
        }
        if let Err(reply) = self.let_in(request.headers()).await {
            return *reply;
        }
        let Ok(_place) = self.place.try_acquire() else {
            let reply = said(StatusCode::SERVICE_UNAVAILABLE, "somebody else's calls are being made".to_owned());
            return with(reply, RETRY_AFTER, "60");
        };
        let calls = match read(request.into_body()).await {
            Ok(calls) => calls,
            Err(reply) => return *reply,
        };
        let outcomes = Outcomes { from: Origin::Agent, attempts: self.maker.make(&calls).await };
        let body = serde_json::to_string(&outcomes).expect("texts and numbers under text keys are JSON");
        typed(StatusCode::OK, "application/json", body)
    }

    async fn let_in(&self, headers: &HeaderMap) -> Result<(), Box<Reply>> {
        let ours = token(self.token_file.clone()).await.map_err(|error| {
            tracing::warn!("nobody is let in: {error}");
            Box::new(said(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the agent's token cannot be read: see its log".to_owned(),
            ))
        })?;
        let shown = headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        // The scheme has no case (RFC 9110, section 11.1).
        let (scheme, shown) = shown.split_at(shown.len().min("Bearer ".len()));
        let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ");
        // Of the hashes, so that not even the length takes another time.
        let (ours, shown) = (Sha256::digest(ours.as_bytes()), Sha256::digest(shown));
        if is_bearer && bool::from(ours.ct_eq(&shown)) {
            return Ok(());
        }
        let reply = said(StatusCode::UNAUTHORIZED, "expected `authorization: Bearer` and the agent's token".to_owned());
        Err(Box::new(with(reply, WWW_AUTHENTICATE, "Bearer")))
    }
}

async fn read(body: Incoming) -> Result<Calls, Box<Reply>> {
    let refused = |status, words: String| Err(Box::new(said(status, words)));
    match timeout(BODY_LIMIT, Limited::new(body, MAX_CALLS_BYTES).collect()).await {
        Ok(Ok(body)) => match Calls::read(&body.to_bytes()) {
            Ok(calls) => Ok(calls),
            Err(error) => refused(StatusCode::BAD_REQUEST, error.to_string()),
        },
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the request has more than {MAX_CALLS_BYTES} bytes"))
        }
        Ok(Err(error)) => refused(StatusCode::BAD_REQUEST, with_causes(&*error)),
        Err(_) => {
            let words = format!("the request did not come within {} s", BODY_LIMIT.as_secs());
            refused(StatusCode::REQUEST_TIMEOUT, words)
        }
    }
}

fn said(status: StatusCode, words: String) -> Reply {
    typed(status, "text/plain; charset=utf-8", format!("{words}\n"))
}

fn typed(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    with(reply, CONTENT_TYPE, content_type)
}

fn with(mut reply: Reply, name: http::HeaderName, value: &'static str) -> Reply {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
    reply
}
