//! An OTLP/gRPC client over one HTTP/2 connection without TLS, made when it is needed and made again when it broke. It
//! sends a request once and says what became of it; whether and when to try again is [`super::delivery`]'s business.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use http::uri::Authority;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::reply::{PartialSuccess, Status, code, read_export_response};
use otlp::{Signal, grpc};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long one request may take, connecting included: the default of the OTLP exporters.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// An export's response is a count and a message.
const MAX_RESPONSE_BYTES: usize = 64 << 10;
/// Servers send the details with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A client of one OTLP/gRPC endpoint.
pub struct OtlpClient {
    authority: Authority,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// An endpoint that is none.
#[derive(Debug, thiserror::Error)]
#[error("expected an OTLP/gRPC endpoint such as http://127.0.0.1:4317, found {found:?}")]
pub struct EndpointError {
    found: String,
}

/// An export that was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Nobody listens there.
    #[error("cannot connect to {authority}; is it running?")]
    Connect {
        /// Host and port.
        authority: Authority,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection broke. The request may have arrived.
    #[error("the connection to {authority} broke")]
    Broken {
        /// Host and port.
        authority: Authority,
        /// What HTTP/2 said.
        #[source]
        source: hyper::Error,
    },
    /// No answer in time. The request may have arrived.
    #[error("no answer from {authority} within {} s", REQUEST_TIMEOUT.as_secs())]
    TimedOut {
        /// Host and port.
        authority: Authority,
    },
    /// Something answered that does not speak gRPC.
    #[error("{authority} answered with HTTP status {status} instead of a gRPC status; is it an OTLP/gRPC endpoint?")]
    NotGrpc {
        /// Host and port.
        authority: Authority,
        /// The HTTP status.
        status: StatusCode,
    },
    /// The server refused.
    #[error("refused with gRPC status {}: {}", .0.code, .0.message)]
    Refused(Status),
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would be refused again.
    Never,
    /// Yes, but not before this many milliseconds have passed.
    After {
        /// From the server's `RetryInfo`, else 0.
        at_least_ms: u64,
    },
}

impl ExportError {
    /// As the OTLP specification has it ("Failures"); what may or may not have arrived is sent again.
    pub fn retry(&self) -> Retry {
        match self {
            ExportError::Connect { .. } | ExportError::Broken { .. } | ExportError::TimedOut { .. } => {
                Retry::After { at_least_ms: 0 }
            }
            ExportError::NotGrpc { status, .. } if otlp::reply::http_retryable(status.as_u16()) => {
                Retry::After { at_least_ms: 0 }
            }
            ExportError::NotGrpc { .. } => Retry::Never,
            ExportError::Refused(status) if status.is_retryable() => {
                Retry::After { at_least_ms: status.retry_after_ms.unwrap_or(0) }
            }
            ExportError::Refused(_) => Retry::Never,
        }
    }
}

/// A message with its gRPC prefix, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Framed(Bytes);

impl Framed {
    /// Frames an encoded export request.
    pub fn new(message: &[u8]) -> Framed {
        let length = u32::try_from(message.len()).expect("batches are bounded far below 4 GiB");
        let mut framed = BytesMut::with_capacity(grpc::PREFIX_LEN + message.len());
        framed.put_slice(&grpc::prefix(false, length));
        framed.put_slice(message);
        Framed(framed.freeze())
    }
}

impl OtlpClient {
    /// A client of `http://host:port`. Does not connect yet.
    pub fn new(endpoint: &str) -> Result<OtlpClient, EndpointError> {
        let refused = || EndpointError { found: endpoint.chars().take(200).collect() };
        let uri: Uri = endpoint.parse().map_err(|_| refused())?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        match uri.authority() {
            Some(authority) if plain && authority.port_u16().is_some() => {
                Ok(OtlpClient { authority: authority.clone(), connection: Mutex::new(None) })
            }
            _ => Err(refused()),
        }
    }

    /// Sends the request once. `Ok(Some(_))` is a partial success, which is not to be sent again.
    pub async fn export(&self, signal: Signal, request: &Framed) -> Result<Option<PartialSuccess>, ExportError> {
        match timeout(REQUEST_TIMEOUT, self.exchange(signal, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ExportError::TimedOut { authority: self.authority.clone() }),
        }
    }

    async fn exchange(&self, signal: Signal, request: &Framed) -> Result<Option<PartialSuccess>, ExportError> {
        let broken = |source| ExportError::Broken { authority: self.authority.clone(), source };
        let request = Request::post(format!("http://{}{}", self.authority, signal.grpc_path()))
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers")
            .header(http::header::USER_AGENT, "verdigris-demo")
            .header("grpc-timeout", format!("{}S", REQUEST_TIMEOUT.as_secs()))
            .body(Full::new(request.0.clone()))
            .expect("an authority that was parsed and a constant path make a valid request");
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await.map_err(broken)?;
        self.read(response).await
    }

    /// The connection, made if there is none or if it broke. The lock is held while connecting, so that all requests
    /// wait for one connection instead of making one each.
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, ExportError> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        let failed = |source| ExportError::Connect { authority: self.authority.clone(), source };
        let stream = TcpStream::connect(self.authority.as_str()).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|source| ExportError::Broken { authority: self.authority.clone(), source })?;
        // It ends when the peer closes, or when the last sender is dropped. Its error reaches the requests in flight.
        tokio::spawn(async move {
            let _ = driver.await;
        });
        *connection = Some(sender.clone());
        Ok(sender)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Option<PartialSuccess>, ExportError> {
        let (head, body) = response.into_parts();
        let not_grpc = || ExportError::NotGrpc { authority: self.authority.clone(), status: head.status };
        if head.status != StatusCode::OK {
            return Err(not_grpc());
        }
        let body = match Limited::new(body, MAX_RESPONSE_BYTES).collect().await {
            Ok(body) => body,
            Err(error) => {
                return Err(match error.downcast::<hyper::Error>() {
                    Ok(source) => ExportError::Broken { authority: self.authority.clone(), source: *source },
                    Err(_) => not_grpc(),
                });
            }
        };
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = read_status(&head.headers).or_else(|| read_status(&trailers)).ok_or_else(not_grpc)?;
        if status.code != code::OK {
            return Err(ExportError::Refused(status));
        }
        // The status alone acknowledges; a response that cannot be read has nothing to say against it.
        let body = body.to_bytes();
        let message = grpc::parse_unary(&body).map(|frame| &body[frame.message]).unwrap_or_default();
        Ok(read_export_response(message).unwrap_or_default())
    }
}

/// The gRPC status in headers (of a "Trailers-Only" response) or trailers. An unreadable code counts as UNKNOWN.
fn read_status(headers: &HeaderMap) -> Option<Status> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok());
    let details = text("grpc-status-details-bin")
        .and_then(|details| BASE64.decode(details).ok())
        .and_then(|details| Status::decode(&details).ok());
    Some(Status {
        code: number.unwrap_or(code::UNKNOWN),
        message: text("grpc-message").unwrap_or_default().chars().take(otlp::reply::MAX_MESSAGE_LEN).collect(),
        retry_after_ms: details.and_then(|details| details.retry_after_ms),
    })
}

#[cfg(test)]
mod tests;
