//! The OTLP client: hands a request's bytes to a collector or back end as they are, and says what became of them.
//!
//! It never sends a request twice: where it is not known whether a request was taken, that is the outcome. It waits for
//! nothing longer than its limits say, and answers at once while a connection cannot be made.

mod http1;
mod http2;

use crate::answer::{Outcome, read_grpc, read_http};
use crate::body::Frames;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use model::{Protocol, Upstream};
use otlp::Signal;
use std::time::Duration;
use tokio::net::TcpStream;

/// Bytes of an answer that are read: a status with a message of 1 KiB and some details is below 4 KiB.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// Connecting takes one round trip, or three with two lost packets (1 + 2 s on Linux).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Times and sizes of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// HTTP/2 connections of an OTLP/gRPC client.
    pub http2_connections: usize,
    /// HTTP/1.1 connections of an OTLP/HTTP client at most: as many requests are under way at once.
    pub http1_connections: usize,
}

impl ClientLimits {
    /// How long an answer is waited for.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Default for ClientLimits {
    /// 30 s; 2 connections, so that a lost packet does not stop everything; 64, for an HTTP/1.1 connection carries one
    /// request at a time: 6,400 requests a second at 10 ms each.
    fn default() -> ClientLimits {
        ClientLimits { timeout_ms: 30_000, http2_connections: 2, http1_connections: 64 }
    }
}

/// An endpoint that the gateway cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Not a URL at all.
    #[error("{endpoint:?} is no URL; expected http://host:port, such as http://127.0.0.1:4317")]
    NotAUrl {
        /// What was given.
        endpoint: String,
    },
    /// Another scheme, or none.
    #[error("{endpoint:?} is not an http:// URL, and TLS is not supported yet; expected http://host:port")]
    NotHttp {
        /// What was given.
        endpoint: String,
    },
    /// OTLP has different ports for gRPC and HTTP, so none is assumed.
    #[error("{endpoint:?} names no port; expected http://host:port, such as http://127.0.0.1:4317")]
    NoPort {
        /// What was given.
        endpoint: String,
    },
    /// A path, a query or a user's name.
    #[error("{endpoint:?} has more than host and port; expected http://host:port, the path follows from the signal")]
    TooMuch {
        /// What was given.
        endpoint: String,
    },
}

/// Whether an upstream's endpoint, and its tap's back end, can be used.
pub fn check_upstream(upstream: &Upstream) -> Result<(), UpstreamError> {
    Endpoint::parse(&upstream.endpoint)?;
    upstream.backend.as_deref().map_or(Ok(()), |backend| Endpoint::parse(backend).map(drop))
}

/// Where a client connects to.
#[derive(Clone, Debug)]
struct Endpoint {
    host: String,
    port: u16,
    authority: HeaderValue,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Endpoint, UpstreamError> {
        let endpoint = || text.chars().take(256).collect();
        let url: Uri = text.parse().map_err(|_| UpstreamError::NotAUrl { endpoint: endpoint() })?;
        if url.scheme_str() != Some("http") {
            return Err(UpstreamError::NotHttp { endpoint: endpoint() });
        }
        let authority = url.authority().ok_or_else(|| UpstreamError::NotAUrl { endpoint: endpoint() })?;
        if url.path_and_query().is_some_and(|path| path.as_str() != "/") || authority.as_str().contains('@') {
            return Err(UpstreamError::TooMuch { endpoint: endpoint() });
        }
        let port = authority.port_u16().ok_or_else(|| UpstreamError::NoPort { endpoint: endpoint() })?;
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority =
            HeaderValue::from_str(authority.as_str()).map_err(|_| UpstreamError::NotAUrl { endpoint: endpoint() })?;
        Ok(Endpoint { host, port, authority })
    }

    /// A connection, or why there is none, for people.
    async fn connect(&self) -> Result<TcpStream, String> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let failed = |why: &dyn std::fmt::Display| format!("cannot connect to {}:{}: {why}", self.host, self.port);
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&format_args!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
        };
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        Ok(stream)
    }
}

/// A client of one collector or back end. Must be made, and used, within a tokio runtime; its connections end with it.
pub struct OtlpClient {
    given: String,
    endpoint: Endpoint,
    protocol: Protocol,
    timeout: Duration,
    connections: Connections,
}

enum Connections {
    Http1(http1::Pool),
    Http2(http2::Links),
}

/// Nothing of a request was sent, and why, for people.
pub(crate) struct NotSent(pub(crate) String);

/// Why there is no response.
enum NoResponse {
    /// Nothing of the request was sent.
    NotSent(String),
    /// It may have been sent.
    Lost(String),
}

impl OtlpClient {
    /// A client that begins to connect at once. `endpoint` is `http://host:port`.
    pub fn new(endpoint: &str, protocol: Protocol, limits: ClientLimits) -> Result<OtlpClient, UpstreamError> {
        let parsed = Endpoint::parse(endpoint)?;
        let connections = match protocol {
            Protocol::Grpc => Connections::Http2(http2::Links::new(&parsed, limits.http2_connections)),
            Protocol::Http => Connections::Http1(http1::Pool::new(parsed.clone(), limits.http1_connections)),
        };
        Ok(OtlpClient {
            given: endpoint.to_owned(),
            endpoint: parsed,
            protocol,
            timeout: limits.timeout(),
            connections,
        })
    }

    /// The endpoint as it was given.
    pub(crate) fn endpoint(&self) -> &str {
        &self.given
    }

    /// Whether no connection can be made, so that an export would be refused at once.
    pub(crate) fn is_down(&self) -> bool {
        match &self.connections {
            Connections::Http2(links) => links.are_down(),
            Connections::Http1(pool) => pool.is_down(),
        }
    }

    /// Exports one request: the bytes of an `Export…ServiceRequest`, which are sent as they are. Ends after the limits'
    /// timeout (and at most 5 s before it, to connect) whatever the other side does.
    pub async fn export(&self, signal: Signal, message: Bytes) -> Outcome {
        self.try_export(signal, message, self.timeout)
            .await
            .unwrap_or_else(|NotSent(reason)| Outcome::unavailable(reason))
    }

    /// The same, and what was not sent at all is told apart: it may go elsewhere.
    pub(crate) async fn try_export(
        &self,
        signal: Signal,
        message: Bytes,
        timeout: Duration,
    ) -> Result<Outcome, NotSent> {
        let request = self.request(signal, message);
        let response = match &self.connections {
            Connections::Http2(links) => links.send(request, timeout).await,
            Connections::Http1(pool) => pool.send(request, timeout).await,
        };
        match response {
            Ok(response) => Ok(match self.protocol {
                Protocol::Grpc => {
                    read_grpc(response.status, &response.headers, &response.body, response.trailers.as_ref())
                }
                Protocol::Http => read_http(response.status, &response.headers, &response.body),
            }),
            Err(NoResponse::NotSent(reason)) => Err(NotSent(reason)),
            Err(NoResponse::Lost(reason)) => Ok(Outcome::unknown(reason)),
        }
    }

    fn request(&self, signal: Signal, message: Bytes) -> Request<Frames> {
        let (path, body) = match self.protocol {
            Protocol::Grpc => (signal.grpc_path(), Frames::grpc(message)),
            Protocol::Http => (signal.http_path(), Frames::plain(message)),
        };
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        let headers = |request: &mut Request<Frames>, media_type| {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        };
        match self.protocol {
            Protocol::Grpc => {
                // HTTP/2 has the authority and the scheme beside the path.
                let authority = http::uri::Authority::try_from(self.endpoint.authority.as_bytes());
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(http::uri::Scheme::HTTP);
                parts.authority = Some(authority.expect("it was part of a URL"));
                parts.path_and_query = Some(PathAndQuery::from_static(path));
                *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are a URL");
                *request.version_mut() = Version::HTTP_2;
                headers(&mut request, "application/grpc");
                request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
            }
            Protocol::Http => {
                *request.uri_mut() = Uri::from_static(path);
                headers(&mut request, "application/x-protobuf");
                request.headers_mut().insert(HOST, self.endpoint.authority.clone());
            }
        }
        request
    }
}

/// A response, read to its end.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

async fn read_reply(response: Response<Incoming>) -> Result<Reply, NoResponse> {
    let (head, body) = response.into_parts();
    let lost = |error: &dyn std::fmt::Display| NoResponse::Lost(format!("the answer could not be read: {error}"));
    let collected = Limited::new(body, MAX_REPLY_BYTES).collect().await.map_err(|error| lost(&error))?;
    let trailers = collected.trailers().cloned();
    Ok(Reply { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers })
}

/// An error with its causes, for people.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
