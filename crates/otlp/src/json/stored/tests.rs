use super::*;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value as Json, json};

/// The answer holds what this request does.
#[track_caller]
fn check(answer: &str, request: Json) {
    let stored = stored_to_protobuf(answer.as_bytes()).unwrap();
    let read = ExportTraceServiceRequest::decode(&stored.request[..]).unwrap();
    assert_eq!(read, serde_json::from_value(request).unwrap());
    assert_eq!((stored.is_trace, stored.is_partial, stored.failure), (true, false, None));
}

fn resource_spans(trace: &str, span: &str, kind: Json) -> Json {
    json!({ "scopeSpans": [{ "spans": [{ "traceId": trace, "spanId": span, "kind": kind, "name": "get" }] }] })
}

const TRACE: &str = "2f3e0cee77ae5dc9c17ade3689eb2e54";
const SPAN: &str = "563d623c76514f8e";

fn request(spans: &[&str]) -> Json {
    let spans: Vec<Json> = spans.iter().map(|span| resource_spans(TRACE, span, json!(2))).collect();
    json!({ "resourceSpans": spans })
}

#[test]
fn each_store_has_its_own_name_for_the_spans() {
    let spans = resource_spans(TRACE, SPAN, json!(2));
    for answer in [
        json!({ "resourceSpans": [spans] }),
        json!({ "result": { "resourceSpans": [spans] } }),
        json!({ "batches": [spans] }),
        json!({ "trace": { "resourceSpans": [spans] } }),
        json!({ "trace": { "batches": [spans] }, "status": "COMPLETE", "metrics": { "inspectedBytes": "12" } }),
    ] {
        check(&answer.to_string(), request(&[SPAN]));
    }
    check("{\"trace\":{}}", json!({ "resourceSpans": [] }));
    let other = stored_to_protobuf(b"{\"traces\":[{\"traceID\":\"1\"}]}").unwrap();
    assert!(other.request.is_empty() && !other.is_trace);
}

#[test]
fn ids_may_be_base64_and_kinds_names() {
    let spans = resource_spans("Lz4M7neuXcnBet42iesuVA==", "Vj1iPHZRT44=", json!("SPAN_KIND_SERVER"));
    check(&json!({ "batches": [spans] }).to_string(), request(&[SPAN]));
    // Only here: OTLP itself knows hexadecimal alone.
    let request = json!({ "resourceSpans": [spans] }).to_string();
    assert!(crate::json::request_to_protobuf(crate::Signal::Traces, request.as_bytes()).is_err());
}

#[test]
fn a_stream_of_answers_is_one() {
    let chunk = |span| json!({ "result": { "resourceSpans": [resource_spans(TRACE, span, json!(2))] } });
    let second = "0000000000000002";
    check(&format!("{}\n{}", chunk(SPAN), chunk(second)), request(&[SPAN, second]));
    let failed = format!("{}{}", chunk(SPAN), json!({ "error": { "httpCode": 500, "message": "storage is gone" } }));
    assert_eq!(stored_to_protobuf(failed.as_bytes()).unwrap().failure.as_deref(), Some("storage is gone"));
    let cut = format!("{}{{\"result\":", chunk(SPAN));
    assert!(matches!(stored_to_protobuf(cut.as_bytes()), Err(StoredError::Json(_))));
    let other = format!("{} 404 page not found", chunk(SPAN));
    assert!(matches!(stored_to_protobuf(other.as_bytes()), Err(StoredError::Json(_))));
}

#[test]
fn what_is_not_whole_says_so() {
    let stored = stored_to_protobuf(br#"{"trace":{},"status":"PARTIAL","message":"trace exceeds max size"}"#).unwrap();
    assert!(stored.is_partial);
    for broken in ["", "[]", "null", "404", "{\"result\":[]}", "{\"batches\":{}}"] {
        assert!(matches!(stored_to_protobuf(broken.as_bytes()), Err(StoredError::Json(_))), "{broken}");
    }
}
