//! Do both environments take OTLP? Each is sent an export without a span, which every OTLP receiver must accept
//! (OTLP specification 1.9, "Full success"), and nothing is stored.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Environment, GateResult, GateVerdict, PerEnvironment, Protocol, Upstream};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one environment may take: connecting, sending and answering together.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// An answer to an empty export is a few bytes; more than this is not OTLP.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

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
    let (path, content_type, body) = match upstream.protocol {
        Protocol::Grpc => (GRPC_PATH, "application/grpc", Bytes::from_static(&[0; 5])),
        Protocol::Http => ("/v1/traces", "application/x-protobuf", Bytes::new()),
    };
    let request = Request::post(format!("{endpoint}{path}"))
        .header("content-type", content_type)
        .header("host", authority)
        .header("te", "trailers")
        .body(Full::new(body))
        .map_err(|_| ProbeError::Endpoint { endpoint: endpoint.clone() })?;
    let io = TokioIo::new(stream);
    let response = match upstream.protocol {
        Protocol::Grpc => {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(of_protocol)?;
            let connection = tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(of_protocol);
            let answer = match response {
                Ok(response) => read_answer(response, true).await,
                Err(error) => Err(error),
            };
            connection.abort();
            answer?
        }
        Protocol::Http => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(of_protocol)?;
            let connection = tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(of_protocol);
            let answer = match response {
                Ok(response) => read_answer(response, false).await,
                Err(error) => Err(error),
            };
            connection.abort();
            answer?
        }
    };
    match response {
        None => Ok(()),
        Some(answer) => Err(ProbeError::Refused { endpoint, answer }),
    }
}

/// `None` is success; otherwise what was answered, in words.
async fn read_answer(
    response: hyper::Response<hyper::body::Incoming>,
    grpc: bool,
) -> Result<Option<String>, ProbeError> {
    let status = response.status();
    let early = response.headers().get("grpc-status").cloned();
    let Ok(body) = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await else {
        return Ok(Some("a broken or endless body".to_owned()));
    };
    if !status.is_success() {
        return Ok(Some(format!("HTTP status {}", status.as_u16())));
    }
    if !grpc {
        return Ok(None);
    }
    let late = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    Ok(match late.or(early) {
        Some(code) if code.as_bytes() == b"0" => None,
        Some(code) => Some(format!("gRPC status {}", String::from_utf8_lossy(code.as_bytes()))),
        None => Some("no gRPC status".to_owned()),
    })
}
