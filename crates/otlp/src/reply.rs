//! What a server answers to an export, and what a client reads of it.
//!
//! Source: the OTLP specification, "Full Success", "Partial Success", "Failures", for gRPC and HTTP;
//! google/rpc/status.proto and error_details.proto.
//!
//! Texts that come from outside are cut to [`MAX_MESSAGE_LEN`] bytes, both ways.

use crate::Signal;
use crate::wire::{Field, Fields, Malformed, Value, put_bytes_field, put_varint_field};
use serde_json::{Value as Json, json};

/// Bytes kept of a message. It goes into logs, findings and headers, which must stay small.
pub const MAX_MESSAGE_LEN: usize = 1024;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The gRPC status codes (grpc/grpc, `doc/statuscodes.md`).
pub mod code {
    #![allow(missing_docs, reason = "the names are gRPC's own")]
    pub const OK: u32 = 0;
    pub const CANCELLED: u32 = 1;
    pub const UNKNOWN: u32 = 2;
    pub const INVALID_ARGUMENT: u32 = 3;
    pub const DEADLINE_EXCEEDED: u32 = 4;
    pub const NOT_FOUND: u32 = 5;
    pub const ALREADY_EXISTS: u32 = 6;
    pub const PERMISSION_DENIED: u32 = 7;
    pub const RESOURCE_EXHAUSTED: u32 = 8;
    pub const FAILED_PRECONDITION: u32 = 9;
    pub const ABORTED: u32 = 10;
    pub const OUT_OF_RANGE: u32 = 11;
    pub const UNIMPLEMENTED: u32 = 12;
    pub const INTERNAL: u32 = 13;
    pub const UNAVAILABLE: u32 = 14;
    pub const DATA_LOSS: u32 = 15;
    pub const UNAUTHENTICATED: u32 = 16;
}

/// The server took the request, but not all of it, or has a warning (then `rejected` is 0).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Spans, data points or log records that were refused; the client must not send them again.
    pub rejected: u64,
    /// Why, for people.
    pub message: String,
}

/// A `google.rpc.Status`: why a request failed, and when to try again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// One of [`code`], or what a server made up.
    pub code: u32,
    /// Why, for people.
    pub message: String,
    /// The delay of a `RetryInfo` detail, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// An `Export…ServiceResponse`. Of full success it has no bytes at all.
pub fn export_response(signal: Signal, partial: Option<&PartialSuccess>) -> Vec<u8> {
    let mut response = Vec::new();
    if let Some(partial) = partial {
        let mut inner = Vec::new();
        let (rejected, message) = match signal {
            // rejected_spans, rejected_data_points, rejected_log_records; error_message.
            Signal::Traces | Signal::Metrics | Signal::Logs => (1, 2),
        };
        put_varint_field(&mut inner, rejected, partial.rejected.min(i64::MAX as u64));
        put_bytes_field(&mut inner, message, cut(&partial.message).as_bytes());
        put_bytes_field(&mut response, 1, &inner);
    }
    response
}

/// The same as OTLP/JSON.
pub fn export_response_json(signal: Signal, partial: Option<&PartialSuccess>) -> Vec<u8> {
    let rejected = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let response = match partial {
        None => json!({}),
        // A 64-bit integer is a string in OTLP/JSON.
        Some(partial) => json!({ "partialSuccess": {
            rejected: partial.rejected.min(i64::MAX as u64).to_string(),
            "errorMessage": cut(&partial.message),
        } }),
    };
    response.to_string().into_bytes()
}

/// Reads an `Export…ServiceResponse` of any signal. `None` is full success: an empty response, or a partial success that
/// rejects nothing and says nothing. Nothing rejected with a message is a warning, and kept.
pub fn read_export_response(bytes: &[u8]) -> Result<Option<PartialSuccess>, Malformed> {
    let mut partial = PartialSuccess::default();
    let mut response = Fields::of(bytes);
    while let Some(field) = response.read()? {
        let (1, Some(mut inner)) = (field.number, field.fields()) else { continue };
        while let Some(field) = inner.read()? {
            match (field.number, field.value) {
                // An int64: a negative count is nonsense, and rejects nothing.
                (1, Value::Varint(rejected)) => {
                    partial.rejected = if rejected > i64::MAX as u64 { 0 } else { rejected }
                }
                (2, Value::Bytes(message)) => partial.message = lossy(message),
                _ => {}
            }
        }
    }
    Ok((partial != PartialSuccess::default()).then_some(partial))
}

impl Status {
    /// The protobuf bytes: an OTLP/HTTP error body, or gRPC's trailer `grpc-status-details-bin` (there in base64).
    pub fn encode(&self) -> Vec<u8> {
        let mut status = Vec::new();
        put_varint_field(&mut status, 1, u64::from(self.code));
        put_bytes_field(&mut status, 2, cut(&self.message).as_bytes());
        if let Some(retry_info) = self.encode_retry_info() {
            let mut detail = Vec::new();
            put_bytes_field(&mut detail, 1, RETRY_INFO.as_bytes());
            put_bytes_field(&mut detail, 2, &retry_info);
            put_bytes_field(&mut status, 3, &detail);
        }
        status
    }

    /// The `google.rpc.RetryInfo` alone, if there is one.
    pub fn encode_retry_info(&self) -> Option<Vec<u8>> {
        let ms = self.retry_after_ms?;
        let (mut duration, mut retry_info) = (Vec::new(), Vec::new());
        put_varint_field(&mut duration, 1, ms / 1000);
        put_varint_field(&mut duration, 2, ms % 1000 * 1_000_000);
        put_bytes_field(&mut retry_info, 1, &duration);
        Some(retry_info)
    }

    /// Reads what [`Status::encode`] and every gRPC server write. Details other than `RetryInfo` are passed over.
    pub fn decode(bytes: &[u8]) -> Result<Status, Malformed> {
        let mut status = Status::default();
        let mut fields = Fields::of(bytes);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1, Value::Varint(code)) => status.code = code as u32,
                (2, Value::Bytes(message)) => status.message = lossy(message),
                (3, Value::Bytes(_)) => status.retry_after_ms = read_retry_info(&field)?.or(status.retry_after_ms),
                _ => {}
            }
        }
        Ok(status)
    }

    /// The same in protobuf's JSON mapping: the body of a failed OTLP/JSON request.
    pub fn to_json(&self) -> Vec<u8> {
        let mut status = json!({ "code": self.code, "message": cut(&self.message) });
        if let Some(ms) = self.retry_after_ms {
            let delay = format!("{}.{:03}s", ms / 1000, ms % 1000);
            status["details"] = Json::Array(vec![json!({ "@type": RETRY_INFO, "retryDelay": delay })]);
        }
        status.to_string().into_bytes()
    }

    /// Whether a client may send the request again.
    pub fn is_retryable(&self) -> bool {
        grpc_retryable(self.code, self.retry_after_ms.is_some())
    }

    /// The HTTP status with the same meaning for a client's retries.
    pub fn http_status(&self) -> u16 {
        http_from_grpc(self.code, self.retry_after_ms.is_some())
    }
}

/// Whether a client may send a request again after this gRPC code (OTLP specification, "Failures", the table).
/// `RESOURCE_EXHAUSTED` only if the server sent `RetryInfo`.
pub fn grpc_retryable(code: u32, retry_info: bool) -> bool {
    match code {
        code::CANCELLED
        | code::DEADLINE_EXCEEDED
        | code::ABORTED
        | code::OUT_OF_RANGE
        | code::UNAVAILABLE
        | code::DATA_LOSS => true,
        code::RESOURCE_EXHAUSTED => retry_info,
        _ => false,
    }
}

/// Whether a client may send a request again after this HTTP status (OTLP specification, "Retryable Response Codes").
pub fn http_retryable(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// The HTTP status for a gRPC code. It keeps what matters: the one is retryable where the other is.
pub fn http_from_grpc(code: u32, retry_info: bool) -> u16 {
    match code {
        code::OK => 200,
        code::INVALID_ARGUMENT | code::FAILED_PRECONDITION => 400,
        code::UNAUTHENTICATED => 401,
        code::PERMISSION_DENIED => 403,
        code::NOT_FOUND => 404,
        code::ALREADY_EXISTS => 409,
        // Without RetryInfo the same request will not pass later either, as one that is too large.
        code::RESOURCE_EXHAUSTED => {
            if retry_info {
                429
            } else {
                413
            }
        }
        code::UNIMPLEMENTED => 501,
        code::DEADLINE_EXCEEDED => 504,
        code::CANCELLED | code::ABORTED | code::OUT_OF_RANGE | code::UNAVAILABLE | code::DATA_LOSS => 503,
        _ => 500,
    }
}

/// The gRPC code for an HTTP status. It keeps what matters: the one is retryable where the other is, given that
/// `RetryInfo` is sent where `retry_after` (the header) says when.
pub fn grpc_from_http(status: u16, retry_after: bool) -> u32 {
    match status {
        200..=299 => code::OK,
        401 => code::UNAUTHENTICATED,
        403 => code::PERMISSION_DENIED,
        404 | 405 | 501 => code::UNIMPLEMENTED,
        // RESOURCE_EXHAUSTED without RetryInfo would tell the client to drop what it should send again.
        429 => {
            if retry_after {
                code::RESOURCE_EXHAUSTED
            } else {
                code::UNAVAILABLE
            }
        }
        400..=499 => code::INVALID_ARGUMENT,
        502..=504 => code::UNAVAILABLE,
        500..=599 => code::INTERNAL,
        _ => code::UNKNOWN,
    }
}

/// The delay of an `Any` that holds a `RetryInfo`, in milliseconds, rounded up; `None` for another detail.
fn read_retry_info(detail: &Field<'_>) -> Result<Option<u64>, Malformed> {
    let Some(mut any) = detail.fields() else { return Ok(None) };
    let (mut type_url, mut retry_info): (&[u8], _) = (&[], None);
    while let Some(field) = any.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(url)) => type_url = url,
            (2, Value::Bytes(_)) => retry_info = field.fields(),
            _ => {}
        }
    }
    if !type_url.ends_with(b"/google.rpc.RetryInfo") {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0, 0);
    // An empty RetryInfo has no bytes: the delay is zero then.
    while let Some(field) = retry_info.as_mut().map_or(Ok(None), Fields::read)? {
        let (1, Some(mut duration)) = (field.number, field.fields()) else { continue };
        while let Some(field) = duration.read()? {
            match (field.number, field.value) {
                (1, Value::Varint(value)) => seconds = value,
                (2, Value::Varint(value)) => nanos = value,
                _ => {}
            }
        }
    }
    // A negative duration (an int64, so a varint above i64::MAX) is in the past: at once.
    if seconds > i64::MAX as u64 || nanos > i64::MAX as u64 {
        return Ok(Some(0));
    }
    Ok(Some(seconds.saturating_mul(1000).saturating_add(nanos.div_ceil(1_000_000))))
}

/// At most [`MAX_MESSAGE_LEN`] bytes, ending where a character does.
fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE_LEN)]
}

/// What is no UTF-8 is replaced. Cut before and after, for a replacement is longer than what it replaces.
fn lossy(message: &[u8]) -> String {
    let message = String::from_utf8_lossy(&message[..message.len().min(MAX_MESSAGE_LEN)]);
    cut(&message).to_owned()
}

#[cfg(test)]
mod tests;
