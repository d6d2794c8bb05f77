//! How a target's answer becomes a fate. Pure: status, headers and bytes in. Texts of servers are read past: they may hold
//! what was sent.

use crate::tally::Fate;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use otlp::grpc::parse_unary;
use otlp::reply::{Status, code, read_export_response};

/// gRPC peers send `grpc-status-details-bin` with and without padding (gRPC over HTTP/2, "Custom-Metadata").
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a gRPC server's answer. `trailers` are absent in a response of headers alone.
pub(crate) fn read_grpc(
    http_status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    trailers: Option<&HeaderMap>,
) -> Fate {
    let found = |name: &str| trailers.and_then(|all| all.get(name)).or_else(|| headers.get(name));
    let Some(status) = found("grpc-status") else {
        // No gRPC server answered, but a proxy in front of it.
        return if http_status == StatusCode::OK {
            Fate::Refused { code: "no grpc-status".to_owned() }
        } else {
            by_http_status(http_status, headers)
        };
    };
    match status.to_str().ok().and_then(|status| status.parse::<u32>().ok()) {
        Some(code::OK) => match parse_unary(body) {
            Ok(frame) if !frame.compressed => accepted(&body[frame.message]),
            // We say that we take no compressed answers, and an answer of full success may be left out.
            Ok(_) => Fate::Refused { code: "compressed answer".to_owned() },
            Err(_) if body.is_empty() => Fate::Acknowledged { rejected: 0 },
            Err(_) => Fate::Refused { code: "malformed answer".to_owned() },
        },
        Some(found_code @ (code::RESOURCE_EXHAUSTED | code::UNAVAILABLE)) => {
            let details = found("grpc-status-details-bin").and_then(|value| BASE64.decode(value.as_bytes()).ok());
            let delay = details.and_then(|bytes| Status::decode(&bytes).ok()?.retry_after_ms);
            Fate::Throttled { code: name(found_code), with_delay: delay.is_some() }
        }
        Some(other) => Fate::Refused { code: name(other) },
        None => Fate::Refused { code: "odd grpc-status".to_owned() },
    }
}

/// Reads an OTLP/HTTP server's answer.
pub(crate) fn read_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Fate {
    if status.is_success() { accepted(body) } else { by_http_status(status, headers) }
}

fn by_http_status(status: StatusCode, headers: &HeaderMap) -> Fate {
    let code = format!("http {}", status.as_u16());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Fate::Throttled { code, with_delay: headers.contains_key(RETRY_AFTER) }
        }
        _ => Fate::Refused { code },
    }
}

fn accepted(message: &[u8]) -> Fate {
    match read_export_response(message) {
        Ok(partial) => Fate::Acknowledged { rejected: partial.map_or(0, |partial| partial.rejected) },
        Err(_) => Fate::Refused { code: "malformed answer".to_owned() },
    }
}

fn name(code: u32) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let name = NAMES.get(code as usize);
    name.map_or_else(|| "grpc, a code of its own".to_owned(), |name| format!("grpc {name}"))
}

#[cfg(test)]
mod tests;
