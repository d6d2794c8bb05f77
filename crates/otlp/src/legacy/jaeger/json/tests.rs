use crate::legacy::jaeger_answer_to_otlp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

const LIMIT: usize = 1 << 20;

/// The answer of one trace with these spans and this process becomes this request.
#[track_caller]
fn check(spans: Value, process: Value, expected: Value) {
    let answer =
        json!({ "data": [{ "traceID": "1", "spans": spans, "processes": { "p1": process } }], "errors": null });
    let request = jaeger_answer_to_otlp(answer.to_string().as_bytes(), LIMIT).unwrap();
    let read = ExportTraceServiceRequest::decode(&request[..]).unwrap();
    assert_eq!(read, serde_json::from_value(json!({ "resourceSpans": expected })).unwrap());
}

#[track_caller]
fn check_refused(answer: &str, expected: &str) {
    let error = jaeger_answer_to_otlp(answer.as_bytes(), LIMIT).unwrap_err().to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

#[test]
fn every_field() {
    let tag = |key: &str, kind: &str, value: Value| json!({ "key": key, "type": kind, "value": value });
    let span = json!({
        "traceID": "83a9efd15c1c98a977e0711cc93ee28b", "spanID": "e127af99e3b3e074", "flags": 1,
        "operationName": "okey-dokey-0",
        "references": [
            { "refType": "CHILD_OF", "traceID": "83a9efd15c1c98a977e0711cc93ee28b", "spanID": "909541b92cf05311" },
            { "refType": "FOLLOWS_FROM", "traceID": "83a9efd15c1c98a977e0711cc93ee28b", "spanID": "9" }
        ],
        "startTime": 1706678909209712_u64, "duration": 123,
        "tags": [
            tag("span.kind", "string", json!("server")), tag("error", "bool", json!(true)),
            tag("count", "int64", json!(5)), tag("long", "int64", json!("9007199254740993")),
            tag("ratio", "float64", json!(0.5)), tag("bytes", "binary", json!("aGVsbG8=")), tag("odd", "int64", json!([1]))
        ],
        "logs": [{ "timestamp": 1706678909209713_u64, "fields": [tag("event", "string", json!("retry"))] }],
        "processID": "p1", "warnings": null
    });
    check(
        json!([span]),
        json!({ "serviceName": "shop", "tags": [tag("host.name", "string", json!("web-1"))] }),
        json!([{
            "resource": { "attributes": [text("host.name", "web-1"), text("service.name", "shop")] },
            "scopeSpans": [{ "spans": [{
                "traceId": "83a9efd15c1c98a977e0711cc93ee28b", "spanId": "e127af99e3b3e074", "flags": 1,
                "parentSpanId": "909541b92cf05311", "name": "okey-dokey-0", "kind": 2, "status": { "code": 2 },
                "startTimeUnixNano": "1706678909209712000", "endTimeUnixNano": "1706678909209835000",
                "attributes": [
                    { "key": "count", "value": { "intValue": "5" } },
                    { "key": "long", "value": { "intValue": "9007199254740993" } },
                    { "key": "ratio", "value": { "doubleValue": 0.5 } }, text("bytes", "aGVsbG8="),
                    { "key": "odd", "value": { "arrayValue": { "values": [{ "intValue": "1" }] } } }
                ],
                "events": [{ "timeUnixNano": "1706678909209713000", "name": "retry" }],
                "links": [{ "traceId": "83a9efd15c1c98a977e0711cc93ee28b", "spanId": "0000000000000009",
                    "attributes": [text("opentracing.ref_type", "follows_from")] }]
            }] }]
        }]),
    );
}

#[test]
fn ids_get_their_zeros_and_a_span_its_own_process() {
    let span = json!({ "traceID": "1", "spanID": "2", "process": { "serviceName": "own" }, "processID": "p1" });
    let other = json!({ "traceID": "1", "spanID": "3", "processID": "p9" });
    let otlp = |id: &str| {
        json!({ "traceId": "00000000000000000000000000000001", "spanId": id, "kind": 1,
            "startTimeUnixNano": "0", "endTimeUnixNano": "0" })
    };
    check(
        json!([span, other]),
        json!({ "serviceName": "shared", "tags": null }),
        json!([
            { "resource": { "attributes": [text("service.name", "own")] },
              "scopeSpans": [{ "spans": [otlp("0000000000000002")] }] },
            { "scopeSpans": [{ "spans": [otlp("0000000000000003")] }] }
        ]),
    );
}

#[test]
fn what_is_no_answer_says_why() {
    assert!(jaeger_answer_to_otlp(b"{\"data\":null,\"errors\":[{\"code\":404}]}", LIMIT).unwrap().is_empty());
    check_refused("<html>", "no answer of Jaeger's query service in JSON: expected value at line 1 column 1");
    check_refused("{\"data\":[{\"spans\":[{\"traceID\":\"x\",\"spanID\":\"1\"}]}]}", "span 0: traceID: found \"x\"");
    check_refused("{\"data\":[{\"spans\":[{\"traceID\":\"1\",\"spanID\":\"0\"}]}]}", "span 0: span id: found zeros");
    let late = "{\"data\":[{\"spans\":[{\"traceID\":\"1\",\"spanID\":\"1\",\"startTime\":18446744073709551615}]}]}";
    check_refused(late, "span 0: start time");
    let span = "{\"traceID\":\"1\",\"spanID\":\"1\",\"operationName\":\"a long enough name\"}";
    let many = format!("{{\"data\":[{{\"spans\":[{}]}}]}}", vec![span; 100].join(","));
    assert!(jaeger_answer_to_otlp(many.as_bytes(), 1_000).unwrap_err().to_string().contains("larger in OTLP"));
}
