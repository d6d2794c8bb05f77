//! One connection of an exporter: OTLP/gRPC over HTTP/2, or OTLP/HTTP over HTTP/1.1, and what an answer means to a client
//! that keeps to the OTLP specification ("Failures", "OTLP/gRPC Throttling", "OTLP/HTTP Throttling").

use super::line::Valve;
use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, TE};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::Signal;
use otlp::reply::{Status, read_export_response};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How an exporter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    Grpc,
    Http,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it was taken.
    Taken,
    /// Not now: to be sent again, after so long if it was said.
    Again { after_ms: Option<u64> },
    /// Not ever, or not all of it: not to be sent again.
    Never { why: String },
}

/// The SDKs' default is 10 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const MAX_REPLY_BYTES: usize = 64 << 10;

/// gRPC peers send binary metadata with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub struct Connection {
    protocol: Protocol,
    authority: String,
    sender: Sender,
}

enum Sender {
    Grpc(http2::SendRequest<Full<Bytes>>),
    Http(http1::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub async fn connect(protocol: Protocol, to: SocketAddr, valve: &Valve) -> Result<Connection> {
        let near = timeout(CONNECT_LIMIT, valve.connect(to)).await.context("no answer")??;
        let near = TokioIo::new(near);
        let sender = match protocol {
            Protocol::Grpc => {
                let handshake = http2::handshake(TokioExecutor::new(), near);
                let (sender, connection) = timeout(CONNECT_LIMIT, handshake).await.context("no HTTP/2 handshake")??;
                // It ends when its sender is gone.
                tokio::spawn(connection);
                Sender::Grpc(sender)
            }
            Protocol::Http => {
                let (sender, connection) = http1::handshake(near).await?;
                tokio::spawn(connection);
                Sender::Http(sender)
            }
        };
        Ok(Connection { protocol, authority: to.to_string(), sender })
    }

    /// Sends a request once. An error is a connection that is of no more use: whether the request was taken is not known.
    pub async fn export(&mut self, message: Bytes) -> Result<Answer> {
        let response = async {
            let (head, body) = match &mut self.sender {
                Sender::Grpc(sender) => {
                    sender.ready().await?;
                    sender.send_request(grpc_request(&self.authority, &message)?).await?.into_parts()
                }
                Sender::Http(sender) => {
                    sender.ready().await?;
                    sender.send_request(http_request(&self.authority, message)?).await?.into_parts()
                }
            };
            let body = Limited::new(body, MAX_REPLY_BYTES).collect().await.map_err(|error| anyhow!(error))?;
            let trailers = body.trailers().cloned();
            anyhow::Ok((Response::from_parts(head, body.to_bytes()), trailers))
        };
        let (response, trailers) = timeout(ANSWER_LIMIT, response).await.context("no answer in time")??;
        match self.protocol {
            Protocol::Grpc => read_grpc(&response, trailers.as_ref()),
            Protocol::Http => Ok(read_http(&response)),
        }
    }
}

fn grpc_request(authority: &str, message: &[u8]) -> Result<Request<Full<Bytes>>> {
    let prefix = otlp::grpc::prefix(false, u32::try_from(message.len()).context("a message of 4 GiB")?);
    let body = [&prefix[..], message].concat();
    let url = format!("http://{authority}{}", Signal::Traces.grpc_path());
    let mut request = Request::post(url).body(Full::new(body.into()))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

fn http_request(authority: &str, message: Bytes) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::post(Signal::Traces.http_path()).body(Full::new(message))?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(authority)?);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    Ok(request)
}

fn read_grpc(response: &Response<Bytes>, trailers: Option<&HeaderMap>) -> Result<Answer> {
    let headers = response.headers();
    let field = |name| headers.get(name).or_else(|| trailers.and_then(|trailers| trailers.get(name)));
    let status = field("grpc-status").and_then(|status| status.to_str().ok()?.parse::<u32>().ok());
    let status = status.with_context(|| format!("HTTP {} without grpc-status", response.status()))?;
    if status == 0 {
        let frame = otlp::grpc::parse_unary(response.body())?;
        return Ok(of_success(&response.body()[frame.message]));
    }
    let details = field("grpc-status-details-bin")
        .and_then(|details| BASE64.decode(details.as_bytes()).ok())
        .and_then(|details| Status::decode(&details).ok());
    let after_ms = details.and_then(|details| details.retry_after_ms);
    let message = field("grpc-message").map(|message| String::from_utf8_lossy(message.as_bytes()).into_owned());
    let why = format!("gRPC status {status}: {}", message.unwrap_or_default());
    // The table of the specification: RESOURCE_EXHAUSTED only if the server says that it recovers.
    let again = match status {
        1 | 4 | 10 | 11 | 14 | 15 => true,
        8 => after_ms.is_some(),
        _ => false,
    };
    Ok(if again { Answer::Again { after_ms } } else { Answer::Never { why } })
}

fn read_http(response: &Response<Bytes>) -> Answer {
    let status = response.status();
    if status.is_success() {
        return of_success(response.body());
    }
    let after_ms = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let after_ms = after_ms.map(|seconds| seconds.saturating_mul(1_000));
    let why = format!("HTTP {status}: {}", Status::decode(response.body()).unwrap_or_default().message);
    match status.as_u16() {
        429 | 502 | 503 | 504 => Answer::Again { after_ms },
        _ => Answer::Never { why },
    }
}

/// Our sinks take all of a request or nothing, so a partial success is a refusal that nobody ordered.
fn of_success(message: &[u8]) -> Answer {
    match read_export_response(message) {
        Ok(None) => Answer::Taken,
        Ok(Some(partial)) => Answer::Never { why: format!("{} spans rejected: {}", partial.rejected, partial.message) },
        Err(error) => Answer::Never { why: format!("an answer that cannot be read: {error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn grpc(status: &str, retry_after_ms: Option<u64>) -> Answer {
        let details = Status { code: 8, message: String::new(), retry_after_ms }.encode();
        let response = Response::builder()
            .header("grpc-status", status)
            .header("grpc-status-details-bin", base64::engine::general_purpose::STANDARD_NO_PAD.encode(details))
            .body(Bytes::from_static(&[0; 5]))
            .unwrap();
        read_grpc(&response, None).unwrap()
    }

    fn http(status: u16, retry_after: Option<&str>) -> Answer {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.parse().unwrap());
        }
        read_http(&response)
    }

    #[test]
    fn what_may_be_sent_again_is_what_the_specification_says() {
        assert_eq!((grpc("0", None), http(200, None)), (Answer::Taken, Answer::Taken));
        for (answer, expected) in [
            (grpc("14", None), Some(None)),
            (grpc("14", Some(1_500)), Some(Some(1_500))),
            (grpc("8", Some(250)), Some(Some(250))),
            (grpc("8", None), None),
            (grpc("3", Some(250)), None),
            (http(429, Some("2")), Some(Some(2_000))),
            (http(503, None), Some(None)),
            (http(500, Some("2")), None),
            (http(400, None), None),
        ] {
            match answer {
                Answer::Again { after_ms } => assert_eq!(Some(after_ms), expected),
                Answer::Never { .. } => assert_eq!(None, expected),
                Answer::Taken => panic!("taken, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_partial_success_is_not_taken() {
        let partial = otlp::reply::PartialSuccess { rejected: 3, message: "no".to_owned() };
        let message = otlp::reply::export_response(Signal::Traces, Some(&partial));
        assert_eq!(of_success(&message), Answer::Never { why: "3 spans rejected: no".to_owned() });
    }
}
