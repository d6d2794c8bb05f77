//! One exporter of OTLP, over HTTP/2 as gRPC or over HTTP/1.1 with keep-alive: one request, one answer.

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::{Signal, grpc};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What an exporter speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// OTLP/gRPC over HTTP/2 without TLS.
    #[default]
    Grpc,
    /// OTLP/HTTP with protobuf over HTTP/1.1.
    Http,
}

/// Connections of gRPC, each with several requests under way, as exporters do it.
pub const GRPC_CONNECTIONS: usize = 4;

/// A proxy that does not answer ends a measurement, not stops it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Flow control: a stream's window holds the largest request that is measured, a connection's all that are under way.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const SEND_BUFFER_BYTES: usize = 4 << 20;
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// What HTTP/2 wants as an authority; which one does not matter here.
const AUTHORITY: &str = "bench";

/// One request at a time.
pub enum Exporter {
    Grpc(GrpcExporter),
    Http(HttpExporter),
}

/// A share of a connection.
#[derive(Clone)]
pub struct GrpcExporter(http2::SendRequest<Full<Bytes>>);

/// A connection, made anew when the other side has closed it.
pub struct HttpExporter {
    to: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Exporter {
    /// So many exporters: with gRPC on a few connections, with HTTP/1.1 each on its own.
    pub async fn connect(to: SocketAddr, protocol: Protocol, count: usize) -> Result<Vec<Exporter>> {
        let connected = async {
            let mut exporters = Vec::with_capacity(count);
            match protocol {
                Protocol::Grpc => {
                    let mut connections = Vec::with_capacity(GRPC_CONNECTIONS);
                    for _ in 0..GRPC_CONNECTIONS {
                        connections.push(GrpcExporter::connect(to).await?);
                    }
                    exporters.extend(connections.into_iter().cycle().take(count).map(Exporter::Grpc));
                }
                Protocol::Http => {
                    for _ in 0..count {
                        exporters.push(Exporter::Http(HttpExporter::connect(to).await?));
                    }
                }
            }
            Ok::<_, anyhow::Error>(exporters)
        };
        connected.await.with_context(|| format!("cannot connect to {to}"))
    }

    /// Sends one request, given as a gRPC body, and fails unless it is acknowledged within [`ANSWER_LIMIT`].
    pub async fn export(&mut self, body: Bytes) -> Result<()> {
        let answer = timeout(ANSWER_LIMIT, async {
            match self {
                Exporter::Grpc(exporter) => exporter.export(body).await,
                Exporter::Http(exporter) => exporter.export(body).await,
            }
        });
        answer.await.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", ANSWER_LIMIT.as_secs())))
    }
}

impl GrpcExporter {
    pub async fn connect(to: SocketAddr) -> Result<GrpcExporter> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES);
        let handshake = builder.handshake(open(to).await?);
        let (sender, connection) = timeout(CONNECT_LIMIT, handshake).await.context("no HTTP/2 handshake")??;
        // It ends when its senders are gone.
        tokio::spawn(connection);
        Ok(GrpcExporter(sender))
    }

    /// One call of `TraceService/Export`; an error unless its gRPC status is 0.
    async fn export(&mut self, body: Bytes) -> Result<()> {
        self.0.ready().await?;
        let uri = format!("http://{AUTHORITY}{}", Signal::Traces.grpc_path());
        let mut request = Request::post(uri).body(Full::new(body))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        let (head, body) = self.0.send_request(request).await?.into_parts();
        ensure!(head.status == StatusCode::OK, "HTTP status {}", head.status);
        let answer = body.collect().await?;
        let of = |name| answer.trailers().and_then(|trailers| trailers.get(name)).or_else(|| head.headers.get(name));
        let status = of("grpc-status").context("an answer without grpc-status")?;
        ensure!(status == "0", "grpc-status {status:?}: {:?}", of("grpc-message"));
        Ok(())
    }
}

impl HttpExporter {
    async fn connect(to: SocketAddr) -> Result<HttpExporter> {
        let (sender, connection) =
            timeout(CONNECT_LIMIT, http1::handshake(open(to).await?)).await.context("no HTTP/1.1 handshake")??;
        // It ends when its sender is gone.
        tokio::spawn(connection);
        Ok(HttpExporter { to, sender })
    }

    /// One `POST /v1/traces`; an error unless its status is 200.
    async fn export(&mut self, body: Bytes) -> Result<()> {
        if self.sender.ready().await.is_err() {
            *self = HttpExporter::connect(self.to).await?;
        }
        let mut request = Request::post(Signal::Traces.http_path()).body(Full::new(body.slice(grpc::PREFIX_LEN..)))?;
        request.headers_mut().insert(HOST, HeaderValue::from_static(AUTHORITY));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let answer = body.collect().await?.to_bytes();
        ensure!(head.status == StatusCode::OK, "HTTP status {}: {}", head.status, answer.escape_ascii());
        Ok(())
    }
}

async fn open(to: SocketAddr) -> Result<TokioIo<TcpStream>> {
    let stream = timeout(CONNECT_LIMIT, TcpStream::connect(to)).await.context("no answer")??;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}
