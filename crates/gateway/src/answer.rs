//! How an environment's answer becomes an outcome, and outcomes become the client's answer, whatever mix of OTLP/gRPC and
//! OTLP/HTTP is on either side, and in the words of Zipkin and Jaeger for their senders. Pure: headers and bytes in,
//! headers and bytes out.
//!
//! One thing is kept in every direction: what a client may send again, it is told to send again, and nothing else.

use crate::body::Frames;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use otlp::Signal;
use otlp::legacy::Format;
use otlp::reply::{self, MAX_MESSAGE_LEN, PartialSuccess, Status, code};

/// How long a client waits after a refusal of ours, in milliseconds: long enough for a reconnect, and short enough that
/// an app's queue does not overflow.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;

/// The longest delay that is passed on, in milliseconds: no answer makes a client wait for hours.
const MAX_RETRY_AFTER_MS: u64 = 300_000;

/// gRPC peers send `grpc-status-details-bin` with and without padding (gRPC over HTTP/2, "Custom-Metadata").
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What became of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken, except what the partial success rejects. Of full success that is empty.
    Acknowledged(PartialSuccess),
    /// It was not taken. [`Status::is_retryable`] says whether it may be sent again.
    Refused(Status),
    /// It was sent, but no answer came: it may have been taken or not.
    Unknown {
        /// What happened instead.
        reason: String,
        /// After how long it may be sent again, in milliseconds.
        retry_after_ms: u64,
    },
}

impl Outcome {
    /// Full success.
    pub const TAKEN: Outcome = Outcome::Acknowledged(PartialSuccess { rejected: 0, message: String::new() });

    /// No answer came.
    pub(crate) fn unknown(reason: String) -> Outcome {
        Outcome::Unknown { reason, retry_after_ms: RETRY_AFTER_MS }
    }

    /// Not taken, and may be taken soon.
    pub(crate) fn unavailable(message: String) -> Outcome {
        Outcome::Refused(unavailable(message, RETRY_AFTER_MS))
    }
}

fn unavailable(message: String, retry_after_ms: u64) -> Status {
    Status { code: code::UNAVAILABLE, message, retry_after_ms: Some(retry_after_ms) }
}

/// The answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken(PartialSuccess),
    Refused { http_status: StatusCode, status: Status },
}

impl Answer {
    /// A refusal whose HTTP status is not the usual one of its gRPC code.
    pub(crate) fn refused(http_status: StatusCode, code: u32, message: impl ToString) -> Answer {
        let message = message.to_string();
        Answer::Refused { http_status, status: Status { code, message, retry_after_ms: None } }
    }

    /// The request and all others do not fit now.
    pub(crate) fn overloaded(message: String) -> Answer {
        let status = Status { code: code::RESOURCE_EXHAUSTED, message, retry_after_ms: Some(RETRY_AFTER_MS) };
        Answer::Refused { http_status: StatusCode::TOO_MANY_REQUESTS, status }
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        let http_status = StatusCode::from_u16(status.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Answer::Refused { http_status, status }
    }
}

/// What the client is told of a request that went to one environment, or in two parts to both. `items` are the spans,
/// data points or log records of each part.
///
/// A part that may be sent again makes all of it be sent again (delivery is at least once). A part that is refused for
/// good beside one that was taken is a partial success: sending it again would double the other part, and not help it.
pub(crate) fn combine(parts: impl IntoIterator<Item = (u64, Outcome)>) -> Answer {
    match join(parts) {
        Outcome::Acknowledged(partial) => Answer::Taken(partial),
        Outcome::Refused(status) => status.into(),
        Outcome::Unknown { reason, retry_after_ms } => unavailable(reason, retry_after_ms).into(),
    }
}

/// What became of all parts together, by the same rules.
pub(crate) fn join(parts: impl IntoIterator<Item = (u64, Outcome)>) -> Outcome {
    let mut taken = None;
    let mut refused: Option<(u64, Status)> = None;
    let mut again: Option<Status> = None;
    let mut is_known = true;
    for (items, outcome) in parts {
        match outcome {
            Outcome::Acknowledged(partial) => taken = Some(sum(taken, partial)),
            Outcome::Refused(status) if status.is_retryable() => again = Some(later(again, status)),
            Outcome::Unknown { reason, retry_after_ms } => {
                is_known = false;
                again = Some(later(again, unavailable(reason, retry_after_ms)));
            }
            Outcome::Refused(status) => match &mut refused {
                None => refused = Some((items, status)),
                Some((all, _)) => *all += items,
            },
        }
    }
    match (again, taken, refused) {
        (Some(status), _, _) if is_known => Outcome::Refused(status),
        (Some(Status { message: reason, retry_after_ms, .. }), _, _) => {
            Outcome::Unknown { reason, retry_after_ms: retry_after_ms.unwrap_or(RETRY_AFTER_MS) }
        }
        (None, Some(taken), None) => Outcome::Acknowledged(taken),
        (None, Some(taken), Some((rejected, Status { message, .. }))) => {
            Outcome::Acknowledged(sum(Some(taken), PartialSuccess { rejected, message }))
        }
        (None, None, Some((_, status))) => Outcome::Refused(status),
        (None, None, None) => Outcome::TAKEN,
    }
}

fn sum(one: Option<PartialSuccess>, other: PartialSuccess) -> PartialSuccess {
    let Some(one) = one else { return other };
    let message = match (one.message.is_empty(), other.message.is_empty()) {
        (true, _) => other.message,
        (false, true) => one.message,
        (false, false) => format!("{}; {}", one.message, other.message),
    };
    PartialSuccess { rejected: one.rejected.saturating_add(other.rejected), message }
}

/// One refusal of two that may be sent again: after the longer delay.
fn later(one: Option<Status>, other: Status) -> Status {
    let Some(one) = one else { return other };
    let retry_after_ms = one.retry_after_ms.max(other.retry_after_ms).unwrap_or(RETRY_AFTER_MS);
    unavailable(format!("{}; {}", one.message, other.message), retry_after_ms)
}

/// In what form a client wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Grpc,
    HttpProtobuf,
    HttpJson,
    /// Zipkin's and Jaeger's senders: a gRPC status, or an HTTP status with a line of text. They know no partial success:
    /// what was taken in part was taken.
    Legacy(Format),
}

impl Dialect {
    pub(crate) fn is_grpc(self) -> bool {
        match self {
            Dialect::Grpc | Dialect::Legacy(Format::JaegerProto) => true,
            Dialect::HttpProtobuf | Dialect::HttpJson => false,
            Dialect::Legacy(Format::ZipkinJson | Format::JaegerThrift) => false,
        }
    }
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The response for an answer.
pub(crate) fn response(dialect: Dialect, signal: Signal, answer: Answer) -> Response<Frames> {
    match answer {
        Answer::Taken(partial) => {
            let partial = (partial != PartialSuccess::default()).then_some(&partial);
            match dialect {
                Dialect::Grpc | Dialect::Legacy(Format::JaegerProto) => {
                    // Jaeger's PostSpansResponse is empty.
                    let told = partial.filter(|_| dialect == Dialect::Grpc);
                    let message = reply::export_response(signal, told);
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    with_type(GRPC, Frames::grpc_response(message.into(), trailers))
                }
                Dialect::HttpProtobuf => {
                    with_type(PROTOBUF, Frames::plain(reply::export_response(signal, partial).into()))
                }
                Dialect::HttpJson => {
                    with_type(JSON, Frames::plain(reply::export_response_json(signal, partial).into()))
                }
                Dialect::Legacy(Format::ZipkinJson | Format::JaegerThrift) => {
                    let mut response = Response::new(Frames::default());
                    *response.status_mut() = StatusCode::ACCEPTED;
                    response
                }
            }
        }
        Answer::Refused { http_status, status } => refusal(dialect, http_status, &status),
    }
}

/// The response for a refusal, which needs no signal.
pub(crate) fn refusal(dialect: Dialect, http_status: StatusCode, status: &Status) -> Response<Frames> {
    let (media_type, body) = match dialect {
        Dialect::Grpc | Dialect::Legacy(Format::JaegerProto) => {
            // Headers alone ("Trailers-Only"): the stream ends with them.
            let mut response = with_type(GRPC, Frames::default());
            let headers = response.headers_mut();
            headers.insert("grpc-status", HeaderValue::from(status.code));
            headers.insert("grpc-message", percent_encode(&status.message));
            if let Some(retry_info) = status.encode_retry_info() {
                let encoded =
                    |bytes: &[u8]| HeaderValue::try_from(BASE64.encode(bytes)).expect("base64 is visible ASCII");
                headers.insert("grpc-status-details-bin", encoded(&status.encode()));
                // The only one that OpenTelemetry's exporter for Python reads.
                headers.insert("google.rpc.retryinfo-bin", encoded(&retry_info));
            }
            return response;
        }
        Dialect::HttpProtobuf => (PROTOBUF, status.encode()),
        Dialect::HttpJson => (JSON, status.to_json()),
        Dialect::Legacy(Format::ZipkinJson | Format::JaegerThrift) => (TEXT, line(&status.message)),
    };
    let mut response = with_type(media_type, Frames::plain(body.into()));
    *response.status_mut() = http_status;
    if let Some(ms) = status.retry_after_ms {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    response
}

/// A text on one line, for it goes into the logs of clients that expect no more.
fn line(message: &str) -> Vec<u8> {
    let message = &message[..message.floor_char_boundary(MAX_MESSAGE_LEN)];
    let one_line = message.chars().map(|char| if char.is_control() { ' ' } else { char });
    one_line.chain(['\n']).collect::<String>().into_bytes()
}

fn with_type(media_type: HeaderValue, body: Frames) -> Response<Frames> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// Reads a gRPC server's answer. `trailers` are absent in a response of headers alone.
pub(crate) fn read_grpc(
    http_status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    trailers: Option<&HeaderMap>,
) -> Outcome {
    let fields = if headers.contains_key("grpc-status") { headers } else { trailers.unwrap_or(headers) };
    let number = fields.get("grpc-status").and_then(|status| status.to_str().ok()?.parse().ok());
    let Some(code) = number else {
        return if http_status.is_success() {
            Outcome::unknown("the answer has no grpc-status; does a gRPC server listen there?".to_owned())
        } else {
            let message = format!("HTTP status {http_status} instead of a gRPC answer");
            let code = grpc_from_proxy(http_status);
            Outcome::Refused(Status { code, message, retry_after_ms: None })
        };
    };
    if code == code::OK {
        let partial = otlp::grpc::parse_unary(body)
            .ok()
            .filter(|frame| !frame.compressed)
            .and_then(|frame| reply::read_export_response(&body[frame.message]).ok()?);
        // An answer that cannot be read is still an acknowledgement.
        return Outcome::Acknowledged(partial.unwrap_or_default());
    }
    let message = fields.get("grpc-message").map_or_else(String::new, |message| percent_decode(message.as_bytes()));
    let details = fields
        .get("grpc-status-details-bin")
        .and_then(|details| BASE64.decode(details.as_bytes()).ok())
        .and_then(|details| Status::decode(&details).ok());
    Outcome::Refused(consistent(code, message, details.and_then(|details| details.retry_after_ms)))
}

/// Reads an OTLP/HTTP server's answer.
pub(crate) fn read_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let protobuf = media_type.starts_with(b"application/x-protobuf");
    if status.is_success() {
        let partial = if protobuf { reply::read_export_response(body).ok().flatten() } else { None };
        return Outcome::Acknowledged(partial.unwrap_or_default());
    }
    let decoded = if protobuf { Status::decode(body).ok() } else { None };
    let seconds = headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.trim().parse::<u64>().ok());
    let after_ms = seconds.map(|seconds| seconds.saturating_mul(1000));
    let after_ms = after_ms.or(decoded.as_ref().and_then(|decoded| decoded.retry_after_ms));
    let text = match decoded {
        Some(decoded) => decoded.message,
        None => String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_LEN)]).into_owned(),
    };
    let code = reply::grpc_from_http(status.as_u16(), after_ms.is_some());
    Outcome::Refused(consistent(code, format!("HTTP {}: {text}", status.as_u16()), after_ms))
}

/// A status whose delay is there only if it may be sent again, and bounded. A server that refuses with `OK` does not.
fn consistent(code: u32, mut message: String, retry_after_ms: Option<u64>) -> Status {
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_LEN));
    let retry_after_ms = retry_after_ms.map(|ms| ms.min(MAX_RETRY_AFTER_MS));
    let retryable = reply::grpc_retryable(code, retry_after_ms.is_some());
    Status { code, message, retry_after_ms: retry_after_ms.filter(|_| retryable) }
}

/// What a gRPC client makes of an HTTP status without a gRPC status (grpc/grpc, `doc/http-grpc-status-mapping.md`): it is
/// a proxy's answer, not an OTLP server's.
fn grpc_from_proxy(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => code::INTERNAL,
        401 => code::UNAUTHENTICATED,
        403 => code::PERMISSION_DENIED,
        404 => code::UNIMPLEMENTED,
        429 | 502 | 503 | 504 => code::UNAVAILABLE,
        _ => code::UNKNOWN,
    }
}

/// gRPC over HTTP/2, "Percent-Encoded": visible ASCII and space stay, except the percent sign.
fn percent_encode(message: &str) -> HeaderValue {
    let mut encoded = Vec::with_capacity(message.len());
    for byte in message[..message.floor_char_boundary(MAX_MESSAGE_LEN)].bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte),
            _ => encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(encoded)).expect("percent-encoded text is visible ASCII")
}

/// What is no percent-encoding stays as it is.
fn percent_decode(encoded: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
