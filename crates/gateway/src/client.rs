//! The OTLP client: hands a request's bytes to a collector or back end as they are, and says what became of them.
//!
//! What the transport asks for is done on the way: TLS, and compression, unless the message came in that form already.
//!
//! It never sends a request twice: where it is not known whether a request was taken, that is the outcome. It waits for
//! nothing longer than its limits say, and answers at once while a connection cannot be made.

mod endpoint;
mod http1;
mod http2;
mod stream;

pub use endpoint::{UpstreamError, check_upstream};

use crate::answer::{Outcome, read_grpc, read_http};
use crate::body::Frames;
use bytes::Bytes;
use endpoint::Endpoint;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use model::{Compression, Protocol, Transport};
use otlp::Signal;
use otlp::compression::compress;
use otlp::grpc::{PREFIX_LEN, prefix};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes of an answer that are read: a status with a message of 1 KiB and some details is below 4 KiB.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// Messages that are compressed beside the runtime's threads at once, of each client: 4 of 64 MiB, compressed, are
/// 256 MiB at the very worst.
const MAX_COMPRESSING: usize = 4;

/// Messages up to this are compressed on the runtime's own thread: 0.3 ms of gzip, 0.1 ms of zstd.
const MAX_INLINE_BYTES: usize = 64 << 10;

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

/// A client of one collector or back end. Must be made, and used, within a tokio runtime; its connections end with it.
pub struct OtlpClient {
    given: String,
    endpoint: Endpoint,
    protocol: Protocol,
    transport: Transport,
    timeout: Duration,
    connections: Connections,
    compressing: Semaphore,
}

/// A message in a form in which it can be sent: as its client sent it, or with room for gRPC's prefix.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) compression: Compression,
    /// gRPC's prefix, if it is there, and the message.
    pub(crate) bytes: Bytes,
    /// The prefix stands before the message: sent in one piece they are one frame of HTTP/2, and not two.
    pub(crate) prefixed: bool,
}

impl Packed {
    fn plain(compression: Compression, bytes: Bytes) -> Packed {
        Packed { compression, bytes, prefixed: false }
    }

    /// A message that is written now, and not compressed.
    pub(crate) fn prefixed(write: impl FnOnce(&mut Vec<u8>)) -> Packed {
        let mut bytes = vec![0; PREFIX_LEN];
        write(&mut bytes);
        let length = u32::try_from(bytes.len() - PREFIX_LEN).expect("a message is below 4 GiB");
        bytes[..PREFIX_LEN].copy_from_slice(&prefix(false, length));
        Packed { compression: Compression::None, bytes: bytes.into(), prefixed: true }
    }

    /// The message, in the form that it has.
    pub(crate) fn message(&self) -> Bytes {
        if self.prefixed { self.bytes.slice(PREFIX_LEN..) } else { self.bytes.clone() }
    }

    /// What a gRPC body is made of.
    fn grpc(self) -> Frames {
        if self.prefixed { Frames::plain(self.bytes) } else { Frames::grpc(!self.compression.is_none(), self.bytes) }
    }

    /// What an HTTP body is made of.
    fn http(self) -> Frames {
        Frames::plain(self.message())
    }
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
    /// A client that begins to connect at once. `endpoint` is `http://host:port` or `https://host:port`. The transport's
    /// files are read when a connection is made, and anew for each one.
    pub fn new(
        endpoint: &str,
        protocol: Protocol,
        transport: &Transport,
        limits: ClientLimits,
    ) -> Result<OtlpClient, UpstreamError> {
        let parsed = Endpoint::parse(endpoint, protocol, transport)?;
        let connections = match protocol {
            Protocol::Grpc => Connections::Http2(http2::Links::new(&parsed, limits.http2_connections)),
            Protocol::Http => Connections::Http1(http1::Pool::new(parsed.clone(), limits.http1_connections)),
        };
        Ok(OtlpClient {
            given: endpoint.to_owned(),
            endpoint: parsed,
            protocol,
            transport: transport.clone(),
            timeout: limits.timeout(),
            connections,
            compressing: Semaphore::new(MAX_COMPRESSING),
        })
    }

    /// Whether this client is for that endpoint.
    pub(crate) fn reaches(&self, endpoint: &str, protocol: Protocol, transport: &Transport) -> bool {
        self.given == endpoint && self.protocol == protocol && self.transport == *transport
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

    /// Exports one request: the bytes of an `Export…ServiceRequest`, which are sent as they are, or compressed if the
    /// transport says so. Ends after the limits' timeout (and at most 5 s before it, to connect) whatever the other side
    /// does.
    pub async fn export(&self, signal: Signal, message: Bytes) -> Outcome {
        self.export_packed(signal, message, None).await
    }

    /// The same with the form in which the message came.
    pub(crate) async fn export_packed(&self, signal: Signal, message: Bytes, packed: Option<Packed>) -> Outcome {
        let sent = self.try_export(signal, message, packed, self.timeout).await;
        sent.unwrap_or_else(|NotSent(reason)| Outcome::unavailable(reason))
    }

    /// The form in which it came is passed on if it is the one that is asked for. What was not sent at all is told apart: it may
    /// go elsewhere.
    pub(crate) async fn try_export(
        &self,
        signal: Signal,
        message: Bytes,
        packed: Option<Packed>,
        timeout: Duration,
    ) -> Result<Outcome, NotSent> {
        let packing = tokio::time::timeout(timeout, self.pack(message, packed));
        let Ok(packed) = packing.await else {
            return Err(NotSent(format!("no turn to compress within {} ms", timeout.as_millis())));
        };
        let request = self.request(signal, packed);
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

    /// The message in the form that the transport asks for.
    async fn pack(&self, message: Bytes, packed: Option<Packed>) -> Packed {
        let compression = self.transport.compression;
        if let Some(packed) = packed.filter(|packed| packed.compression == compression) {
            return packed;
        }
        let bytes = if compression.is_none() {
            message
        } else if message.len() <= MAX_INLINE_BYTES {
            compress(compression, &message).into()
        } else {
            let _turn = self.compressing.acquire().await.expect("the semaphore is never closed");
            let compressing = tokio::task::spawn_blocking(move || compress(compression, &message));
            compressing.await.expect("compressing does not panic, and is not aborted").into()
        };
        Packed::plain(compression, bytes)
    }

    fn request(&self, signal: Signal, packed: Packed) -> Request<Frames> {
        let compressed = !packed.compression.is_none();
        let (path, body, encoding) = match self.protocol {
            Protocol::Grpc => (signal.grpc_path(), packed.grpc(), GRPC_ENCODING),
            Protocol::Http => (signal.http_path(), packed.http(), CONTENT_ENCODING),
        };
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        let headers = request.headers_mut();
        if compressed {
            headers.insert(encoding, HeaderValue::from_static(self.transport.compression.encoding()));
        }
        match self.protocol {
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                // HTTP/2 has the authority and the scheme beside the path.
                let authority = http::uri::Authority::try_from(self.endpoint.authority.as_bytes());
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(self.endpoint.scheme());
                parts.authority = Some(authority.expect("it was part of a URL"));
                parts.path_and_query = Some(PathAndQuery::from_static(path));
                *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are a URL");
                *request.version_mut() = Version::HTTP_2;
            }
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                headers.insert(HOST, self.endpoint.authority.clone());
                *request.uri_mut() = Uri::from_static(path);
            }
        }
        request
    }
}

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

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
