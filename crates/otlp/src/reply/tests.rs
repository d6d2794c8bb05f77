use super::*;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use proptest::prelude::*;
use prost::Message;

fn partial(rejected: u64, message: &str) -> PartialSuccess {
    PartialSuccess { rejected, message: message.to_owned() }
}

fn status(code: u32, message: &str, retry_after_ms: Option<u64>) -> Status {
    Status { code, message: message.to_owned(), retry_after_ms }
}

/// What prost makes of the reply to each signal: rejected, message.
fn decode(signal: Signal, reply: &[u8]) -> Option<(i64, String)> {
    match signal {
        Signal::Traces => {
            let reply = ExportTraceServiceResponse::decode(reply).unwrap();
            reply.partial_success.map(|partial| (partial.rejected_spans, partial.error_message))
        }
        Signal::Metrics => {
            let reply = ExportMetricsServiceResponse::decode(reply).unwrap();
            reply.partial_success.map(|partial| (partial.rejected_data_points, partial.error_message))
        }
        Signal::Logs => {
            let reply = ExportLogsServiceResponse::decode(reply).unwrap();
            reply.partial_success.map(|partial| (partial.rejected_log_records, partial.error_message))
        }
    }
}

#[test]
fn full_success_is_empty() {
    for signal in Signal::ALL {
        assert_eq!(export_response(signal, None), b"");
        assert_eq!(export_response_json(signal, None), b"{}");
    }
    // As some servers write it: nothing at all, an empty partial success, one of zeros, an unknown field.
    for reply in [&b""[..], b"\x0a\x00", b"\x0a\x04\x08\x00\x12\x00", b"\x18\x01"] {
        assert_eq!(read_export_response(reply), Ok(None));
    }
}

#[test]
fn partial_success_and_warnings_are_kept() {
    assert_eq!(export_response(Signal::Logs, Some(&partial(3, "no"))), b"\x0a\x06\x08\x03\x12\x02no");
    assert_eq!(read_export_response(b"\x0a\x06\x08\x00\x12\x02hm"), Ok(Some(partial(0, "hm"))));
    assert_eq!(read_export_response(b"\x0a\x02\x08\x05\x0a\x04\x12\x02no"), Ok(Some(partial(5, "no"))));
    // -1 rejected.
    let negative = b"\x0a\x0f\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x02no";
    assert_eq!(read_export_response(negative), Ok(Some(partial(0, "no"))));
    assert!(read_export_response(b"\x0a\x05").is_err());
}

#[test]
fn partial_success_in_json_names_what_was_rejected() {
    let json = |signal| String::from_utf8(export_response_json(signal, Some(&partial(u64::MAX, "a \"b\"")))).unwrap();
    let expected =
        |name| format!(r#"{{"partialSuccess":{{"errorMessage":"a \"b\"","{name}":"9223372036854775807"}}}}"#);
    assert_eq!(json(Signal::Traces), expected("rejectedSpans"));
    assert_eq!(json(Signal::Metrics), expected("rejectedDataPoints"));
    assert_eq!(json(Signal::Logs), expected("rejectedLogRecords"));
}

/// google/rpc/status.proto and google/protobuf/{any,duration}.proto, written again.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_info(retry_delay: Option<Delay>) -> Detail {
    Detail { type_url: RETRY_INFO.to_owned(), value: RetryInfo { retry_delay }.encode_to_vec() }
}

#[track_caller]
fn check(details: Vec<Detail>, retry_after_ms: Option<u64>) {
    let wire = RpcStatus { code: 14, message: "busy".to_owned(), details }.encode_to_vec();
    assert_eq!(Status::decode(&wire), Ok(status(code::UNAVAILABLE, "busy", retry_after_ms)));
}

#[test]
fn a_retry_delay_is_found_among_details() {
    let delay = |seconds, nanos| retry_info(Some(Delay { seconds, nanos }));
    let other = Detail { type_url: "type.googleapis.com/google.rpc.Help".to_owned(), value: vec![0xff] };
    check(vec![], None);
    check(vec![other.clone()], None);
    check(vec![other.clone(), delay(2, 500_000_001), other], Some(2501));
    check(vec![delay(0, 1)], Some(1));
    check(vec![retry_info(None)], Some(0));
    check(vec![delay(-1, 0)], Some(0));
    check(vec![delay(-1, -5)], Some(0));
    check(vec![delay(i64::MAX, 0)], Some(u64::MAX));
}

#[test]
fn a_status_has_these_bytes_and_this_json() {
    let busy = status(code::RESOURCE_EXHAUSTED, "busy", Some(1500));
    let detail =
        b"\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";
    let expected = [b"\x08\x08\x12\x04busy", &detail[..]].concat();
    assert_eq!(busy.encode(), expected);
    assert_eq!(
        String::from_utf8(busy.to_json()).unwrap(),
        r#"{"code":8,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500s"}],"message":"busy"}"#
    );
    assert_eq!(status(3, "", None).to_json(), br#"{"code":3,"message":""}"#);
}

#[test]
fn messages_are_cut_at_a_character() {
    let long = "ä".repeat(MAX_MESSAGE_LEN);
    let kept = "ä".repeat(MAX_MESSAGE_LEN / 2);
    assert_eq!(Status::decode(&status(2, &long, None).encode()), Ok(status(2, &kept, None)));
    let foreign = RpcStatus { message: format!("a{long}"), ..RpcStatus::default() }.encode_to_vec();
    assert!(Status::decode(&foreign).unwrap().message.len() <= MAX_MESSAGE_LEN);
    assert_eq!(Status::decode(b"\x12\x02\xff!").unwrap().message, "\u{FFFD}!");
}

#[test]
fn the_specifications_retryable_codes() {
    let retryable: Vec<u32> = (0..=20).filter(|code| grpc_retryable(*code, false)).collect();
    assert_eq!(retryable, [1, 4, 10, 11, 14, 15]);
    let retryable: Vec<u32> = (0..=20).filter(|code| grpc_retryable(*code, true)).collect();
    assert_eq!(retryable, [1, 4, 8, 10, 11, 14, 15]);
    let retryable: Vec<u16> = (100..600).filter(|status| http_retryable(*status)).collect();
    assert_eq!(retryable, [429, 502, 503, 504]);
    assert!(!status(8, "", None).is_retryable());
    assert_eq!((status(8, "", Some(0)).is_retryable(), status(8, "", Some(0)).http_status()), (true, 429));
}

#[test]
fn a_mapping_keeps_what_is_retryable_and_what_succeeded() {
    for hint in [false, true] {
        for code in 0..=20 {
            let status = http_from_grpc(code, hint);
            assert_eq!(http_retryable(status), grpc_retryable(code, hint), "gRPC {code} -> HTTP {status}");
            assert_eq!((200..300).contains(&status), code == code::OK);
        }
        for status in 100..600 {
            let code = grpc_from_http(status, hint);
            assert_eq!(grpc_retryable(code, hint), http_retryable(status), "HTTP {status} -> gRPC {code}");
            assert_eq!(code == code::OK, (200..300).contains(&status));
        }
    }
    let named = [200, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504].map(|status| grpc_from_http(status, true));
    assert_eq!(named, [0, 3, 16, 7, 12, 3, 8, 13, 14, 14, 14]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(rejected in 0..=i64::MAX as u64, code in 0..17u32, message in ".{0,40}", ms: Option<u64>) {
        let sent = partial(rejected, &message);
        let expected = (sent != PartialSuccess::default()).then(|| sent.clone());
        for signal in Signal::ALL {
            let reply = export_response(signal, Some(&sent));
            prop_assert_eq!(read_export_response(&reply)?, expected.clone());
            prop_assert_eq!(decode(signal, &reply), Some((rejected as i64, message.clone())));
        }
        let sent = status(code, &message, ms);
        prop_assert_eq!(Status::decode(&sent.encode())?, sent.clone());
        let decoded = RpcStatus::decode(&sent.encode()[..]).expect("valid");
        prop_assert_eq!((decoded.code as u32, decoded.details.len()), (code, usize::from(ms.is_some())));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(prop_oneof![0..0x20u8, any::<u8>()], 0..64)) {
        if let Ok(status) = Status::decode(&bytes) {
            prop_assert!(status.message.len() <= MAX_MESSAGE_LEN);
        }
        let _ = read_export_response(&bytes);
    }
}
