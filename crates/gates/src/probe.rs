//! Do both environments take OTLP? Each is sent an export without a span, which every OTLP receiver must accept
//! (OTLP specification 1.9, "Full success"), and nothing is stored.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Environment, GateResult, GateVerdict, PerEnvironment, Protocol, Upstream};
use otlp::Signal;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one environment may take: connecting, sending and answering together.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// An answer to an empty export is a few bytes; more than this is not OTLP.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why an environment did not take an empty export.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{endpoint} is not http://host:port")]
    Endpoint { endpoint: String },
    #[error("{endpoint} does not accept connections: {source}")]
    Connect { endpoint: String, source: std::io::Error },
    #[error("{endpoint} did not answer within {} s", PROBE_LIMIT.as_secs())]
    Timeout { endpoint: String },
    #[error("{endpoint} does not speak the protocol that the plan says: {source}")]
    Protocol { endpoint: String, source: hyper::Error },
    #[error("{endpoint} answered an empty OTLP export with {answer}, expected success")]
    Refused { endpoint: String, answer: String },
}

/// Probes both environments. An environment that cannot be reached is a Fail of green and an Error of blue: what is
/// active should be there.
pub async fn run(upstreams: &PerEnvironment<Upstream>) -> GateResult {
    let (blue, green) = tokio::join!(probe(&upstreams.blue), probe(&upstreams.green));
    let mut verdict = GateVerdict::Pass;
    let mut reasons = Vec::new();
    for (environment, result) in [(Environment::Green, green), (Environment::Blue, blue)] {
        match result {
            Ok(()) => reasons.push(format!("{environment} took an empty OTLP export")),
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

async fn probe(upstream: &Upstream) -> Result<(), ProbeError> {
    let endpoint = upstream.endpoint.clone();
    match timeout(PROBE_LIMIT, export_nothing(upstream)).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::Timeout { endpoint }),
    }
}

async fn export_nothing(upstream: &Upstream) -> Result<(), ProbeError> {
    let endpoint = upstream.endpoint.clone();
    let authority = endpoint.strip_prefix("http://").filter(|rest| !rest.contains('/'));
    let authority = authority.ok_or_else(|| ProbeError::Endpoint { endpoint: endpoint.clone() })?;
    let connected = TcpStream::connect(authority).await;
    let stream = connected.map_err(|source| ProbeError::Connect { endpoint: endpoint.clone(), source })?;
    let of_protocol = |source| ProbeError::Protocol { endpoint: endpoint.clone(), source };
    // HTTP/1.1 wants the path alone (RFC 9112, section 3.2.1), HTTP/2 scheme and authority beside it.
    let (uri, content_type, body) = match upstream.protocol {
        Protocol::Grpc => {
            (format!("{endpoint}{}", Signal::Traces.grpc_path()), "application/grpc", Bytes::from_static(&[0; 5]))
        }
        Protocol::Http => (Signal::Traces.http_path().to_owned(), "application/x-protobuf", Bytes::new()),
    };
    let request = Request::post(uri)
        .header("content-type", content_type)
        .header("host", authority)
        .header("te", "trailers")
        .body(Full::new(body))
        .map_err(|_| ProbeError::Endpoint { endpoint: endpoint.clone() })?;
    let io = TokioIo::new(stream);
    // The connection's task ends with its sender, once the answer is read.
    let (response, grpc) = match upstream.protocol {
        Protocol::Grpc => {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
            let (mut sender, connection) = handshake.map_err(of_protocol)?;
            tokio::spawn(connection);
            (sender.send_request(request).await.map_err(of_protocol)?, true)
        }
        Protocol::Http => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(of_protocol)?;
            tokio::spawn(connection);
            (sender.send_request(request).await.map_err(of_protocol)?, false)
        }
    };
    let refusal = read_answer(response, grpc).await;
    match refusal {
        None => Ok(()),
        Some(answer) => Err(ProbeError::Refused { endpoint, answer }),
    }
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
