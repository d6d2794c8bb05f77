//! gRPC's framing and what servers answer: read as prost reads it, and the same when it is written again.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use otlp::Signal;
use otlp::grpc::{FrameError, PREFIX_LEN, parse_prefix, parse_unary, prefix};
use otlp::reply::{
    MAX_MESSAGE_LEN, Status, export_response, export_response_json, grpc_from_http, grpc_retryable, http_retryable,
    read_export_response,
};
use prost::Message;

/// google/rpc/status.proto, without its details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The target: the bytes as a body, as a status and as a response.
pub(crate) fn run(bytes: &[u8]) {
    check_frame(bytes);
    check_frame(&framed(bytes));
    check_status(bytes);
    check_response(bytes);
}

/// The bytes after the first one as a message, with that as its flag.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let Some((flag, message)) = bytes.split_first() else { return Vec::new() };
    let length = u32::try_from(message.len()).expect("a fuzzer's body is short");
    [&[*flag][..], &length.to_be_bytes(), message].concat()
}

fn check_frame(body: &[u8]) {
    match parse_unary(body) {
        Ok(frame) => {
            assert_eq!(frame.message, PREFIX_LEN..body.len());
            let length = u32::try_from(frame.message.len()).expect("a fuzzer's body is short");
            assert_eq!(prefix(frame.compressed, length), body[..PREFIX_LEN], "the prefix is what we would write");
        }
        Err(FrameError::Short { found, expected }) => {
            assert_eq!(found, body.len());
            assert!(expected > found);
        }
        Err(FrameError::Trailing { extra }) => assert!(extra > 0 && extra <= body.len() - PREFIX_LEN),
        Err(FrameError::Flag(flag)) => {
            assert!(flag > 1 && body[0] == flag);
            let prefix = body.first_chunk().expect("a flag is complained of in a whole prefix");
            assert_eq!(parse_prefix(*prefix), Err(FrameError::Flag(flag)));
        }
    }
}

fn check_status(bytes: &[u8]) {
    let decoded = RpcStatus::decode(bytes);
    let Ok(status) = Status::decode(bytes) else {
        return;
    };
    assert!(status.message.len() <= MAX_MESSAGE_LEN);
    if let Ok(decoded) = decoded {
        assert_eq!(status.code, decoded.code as u32);
        assert!(decoded.message.starts_with(status.message.trim_end_matches('\u{FFFD}')), "the message, or its start");
    }
    assert_eq!(Status::decode(&status.encode()).as_ref(), Ok(&status), "written and read again");
    for code in (0..=16).chain([status.code]) {
        check_retryable(&Status { code, ..status.clone() });
    }
    serde_json::from_slice::<serde_json::Value>(&status.to_json()).expect("to_json writes JSON");
}

fn check_retryable(status: &Status) {
    let (http, delayed) = (status.http_status(), status.retry_after_ms.is_some());
    assert_eq!(http_retryable(http), status.is_retryable(), "{status:?} over HTTP");
    assert_eq!(grpc_retryable(grpc_from_http(http, delayed), delayed), status.is_retryable(), "{status:?} and back");
}

fn check_response(bytes: &[u8]) {
    let decoded = ExportTraceServiceResponse::decode(bytes);
    let Ok(partial) = read_export_response(bytes) else {
        decoded.expect_err("what prost takes can be read");
        return;
    };
    let partial = partial.unwrap_or_default();
    assert!(partial.message.len() <= MAX_MESSAGE_LEN);
    if let Ok(decoded) = decoded {
        let decoded = decoded.partial_success.unwrap_or_default();
        assert_eq!(partial.rejected, decoded.rejected_spans.max(0) as u64);
        assert!(decoded.error_message.starts_with(partial.message.trim_end_matches('\u{FFFD}')));
    }
    for signal in Signal::ALL {
        let written = read_export_response(&export_response(signal, Some(&partial)));
        assert_eq!(written.map(Option::unwrap_or_default).as_ref(), Ok::<_, &_>(&partial), "written and read again");
        serde_json::from_slice::<serde_json::Value>(&export_response_json(signal, Some(&partial)))
            .expect("export_response_json writes JSON");
    }
}
