//! Do both environments take OTLP? Each is sent an export without a span, which every OTLP receiver must accept
//! (OTLP specification 1.9, "Full success"), and nothing is stored. It goes as the gateway's exports go: with the same
//! TLS and the same compression.

use bytes::Bytes;
use http::Uri;
use http::header::DATE;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Environment, GateResult, GateVerdict, PerEnvironment, Protocol, Upstream, with_causes};
use otlp::Signal;
use otlp::compression::compress;
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one environment may take: connecting, sending and answering together.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// An answer to an empty export is a few bytes; more than this is not OTLP.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why an environment did not take an empty export.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{endpoint} is neither http://host:port nor https://host:port")]
    Endpoint { endpoint: String },
    #[error("{endpoint}: {source}")]
    Name { endpoint: String, source: tls::NameError },
    #[error("{endpoint} does not accept connections: {source}")]
    Connect { endpoint: String, source: std::io::Error },
    #[error("{endpoint}: {source}")]
    Secure { endpoint: String, source: tls::ConnectError },
    #[error("{endpoint} did not answer within {} s", PROBE_LIMIT.as_secs())]
    Timeout { endpoint: String },
    #[error("{endpoint} does not speak the protocol that the plan says: {reason}")]
    Protocol { endpoint: String, reason: String },
    #[error("{endpoint} answered an empty OTLP export with {answer}, expected success")]
    Refused { endpoint: String, answer: String },
}

/// Probes both environments. An environment that cannot be reached is a Fail of green and an Error of blue: what is
/// active should be there. The paths of TLS files are the server's, so relative ones are no use here.
pub async fn run(upstreams: &PerEnvironment<Upstream>) -> GateResult {
    let (blue, green) = tokio::join!(probe(&upstreams.blue), probe(&upstreams.green));
    let mut verdict = GateVerdict::Pass;
    let mut reasons = Vec::new();
    for (environment, result) in [(Environment::Green, green), (Environment::Blue, blue)] {
        match result {
            Ok(_) => reasons.push(format!("{environment} took an empty OTLP export")),
            Err(error) => {
                verdict = match (environment, verdict) {
                    (Environment::Green, _) => GateVerdict::Fail,
                    (Environment::Blue, _) => GateVerdict::Error,
                };
                reasons.insert(0, format!("{environment}: {error}"));
            }
        }
    }
    GateResult { verdict, reasons, evidence: None }
}

/// One environment alone, for whoever looks without a rollout: why it does not take an empty export, if it does not. If it
/// does, when the last of its endpoints says that it answered (`Date`), as it stands there: most collectors say so by HTTP.
pub async fn one(upstream: &Upstream) -> Result<Option<String>, String> {
    probe(upstream).await.map_err(|error| error.to_string())
}

/// Every endpoint, one after the other; the first that does not answer is told.
async fn probe(upstream: &Upstream) -> Result<Option<String>, ProbeError> {
    let mut date = None;
    for endpoint in upstream.endpoints() {
        let one = Upstream { endpoint: endpoint.to_owned(), others: Vec::new(), ..upstream.clone() };
        match timeout(PROBE_LIMIT, export_nothing(&one)).await {
            Ok(result) => date = result?,
            Err(_) => return Err(ProbeError::Timeout { endpoint: one.endpoint }),
        }
    }
    Ok(date)
}

async fn export_nothing(upstream: &Upstream) -> Result<Option<String>, ProbeError> {
    let endpoint = || upstream.endpoint.clone();
    let url: Uri = upstream.endpoint.parse().map_err(|_| ProbeError::Endpoint { endpoint: endpoint() })?;
    let (Some(host), Some(port)) = (url.host(), url.port_u16()) else {
        return Err(ProbeError::Endpoint { endpoint: endpoint() });
    };
    // An IPv6 address has brackets in a URL, and none for the resolver.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connected = async || {
        let connected = TcpStream::connect((host, port)).await;
        connected.map_err(|source| ProbeError::Connect { endpoint: endpoint(), source })
    };
    match url.scheme_str() {
        Some("http") => ask(connected().await?, upstream).await,
        Some("https") => {
            let alpn = match upstream.protocol {
                Protocol::Grpc => Alpn::Http2,
                Protocol::Http => Alpn::Http1,
            };
            let client = Client::new(&upstream.transport.tls, host, alpn);
            let client = client.map_err(|source| ProbeError::Name { endpoint: endpoint(), source })?;
            let secured = Arc::new(client).connect(connected().await?).await;
            ask(secured.map_err(|source| ProbeError::Secure { endpoint: endpoint(), source })?, upstream).await
        }
        Some(_) | None => Err(ProbeError::Endpoint { endpoint: endpoint() }),
    }
}

/// Sends the export and reads its answer.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    upstream: &Upstream,
) -> Result<Option<String>, ProbeError> {
    let endpoint = || upstream.endpoint.clone();
    let of_protocol = |error: hyper::Error| ProbeError::Protocol { endpoint: endpoint(), reason: with_causes(&error) };
    let request = request(upstream).ok_or_else(|| ProbeError::Endpoint { endpoint: endpoint() })?;
    let io = TokioIo::new(stream);
    // The connection's task ends with its sender, once the answer is read.
    let (response, grpc) = match upstream.protocol {
        Protocol::Grpc => {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
            let (mut sender, connection) = handshake.map_err(of_protocol)?;
            let connection = tokio::spawn(connection);
            match sender.send_request(request).await {
                Ok(response) => (response, true),
                // Where it broke with a reason of its own (a certificate that was refused), the connection knows it.
                Err(error) => {
                    // Without its sender the connection ends, broken or not.
                    drop(sender);
                    let broke = connection.await.ok().and_then(Result::err);
                    return Err(of_protocol(broke.unwrap_or(error)));
                }
            }
        }
        Protocol::Http => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(of_protocol)?;
            tokio::spawn(connection);
            (sender.send_request(request).await.map_err(of_protocol)?, false)
        }
    };
    // Its form has 29 letters (RFC 9110, section 5.6.7); hyper bounds the head.
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
    match read_answer(response, grpc).await {
        None => Ok(date),
        Some(answer) => Err(ProbeError::Refused { endpoint: endpoint(), answer }),
    }
}

/// `None` if the endpoint is no URL after all.
pub(crate) fn request(upstream: &Upstream) -> Option<Request<Full<Bytes>>> {
    let (endpoint, compression) = (upstream.endpoint.trim_end_matches('/'), upstream.transport.compression);
    let message = compress(compression, &[]);
    // HTTP/1.1 wants the path alone (RFC 9112, section 3.2.1), HTTP/2 scheme and authority beside it.
    let (uri, content_type, encoding, body) = match upstream.protocol {
        Protocol::Grpc => {
            let prefix = otlp::grpc::prefix(!compression.is_none(), u32::try_from(message.len()).ok()?);
            let uri = format!("{endpoint}{}", Signal::Traces.grpc_path());
            (uri, "application/grpc", "grpc-encoding", [&prefix[..], &message].concat())
        }
        Protocol::Http => {
            (Signal::Traces.http_path().to_owned(), "application/x-protobuf", "content-encoding", message)
        }
    };
    let authority = endpoint.split_once("://")?.1;
    let mut request =
        Request::post(uri).header("content-type", content_type).header("host", authority).header("te", "trailers");
    if !compression.is_none() {
        request = request.header(encoding, compression.encoding());
    }
    request.body(Full::new(body.into())).ok()
}

/// `None` is success; otherwise what was answered, in words.
async fn read_answer(response: hyper::Response<hyper::body::Incoming>, grpc: bool) -> Option<String> {
    let status = response.status();
    let early = response.headers().get("grpc-status").cloned();
    let Ok(body) = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await else {
        return Some("a broken or endless body".to_owned());
    };
    if !status.is_success() {
        return Some(format!("HTTP status {}", status.as_u16()));
    }
    if !grpc {
        return None;
    }
    let late = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    match late.or(early) {
        Some(code) if code.as_bytes() == b"0" => None,
        Some(code) => Some(format!("gRPC status {}", String::from_utf8_lossy(code.as_bytes()))),
        None => Some("no gRPC status".to_owned()),
    }
}

#[cfg(test)]
mod tests;
