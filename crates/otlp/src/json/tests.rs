use super::*;
use crate::sample;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The odd JSON means the same as the plain one, which opentelemetry-proto's serde code reads.
#[track_caller]
fn check<M: prost::Message + fmt::Debug + Default + PartialEq + DeserializeOwned>(
    signal: Signal,
    odd: &Value,
    plain: Value,
) {
    let protobuf = request_to_protobuf(signal, odd.to_string().as_bytes()).unwrap();
    assert_eq!(M::decode(&protobuf[..]).unwrap(), serde_json::from_value(plain).unwrap());
}

#[track_caller]
fn check_same<M: prost::Message + fmt::Debug + Default + PartialEq + DeserializeOwned + Serialize>(
    signal: Signal,
    json: &Value,
) {
    check::<M>(signal, json, json.clone());
    // And what the serde code writes again: all members, with defaults.
    let message: M = serde_json::from_value(json.clone()).unwrap();
    check::<M>(signal, &serde_json::to_value(message).unwrap(), json.clone());
}

fn spans(span: Value) -> Value {
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] })
}

#[track_caller]
fn check_span(odd: Value, plain: Value) {
    check::<ExportTraceServiceRequest>(Signal::Traces, &spans(odd), spans(plain));
}

/// A span with an attribute of this value.
#[track_caller]
fn check_value(odd: Value, plain: Value) {
    let span = |value: Value| json!({ "attributes": [{ "key": "k", "value": value }] });
    check_span(span(odd), span(plain));
}

#[track_caller]
fn check_refused(span: &str, expected: &str) {
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
    let error = request_to_protobuf(Signal::Traces, json.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, format!("the body is no OTLP/JSON export request of traces: {expected}"));
}

#[test]
fn the_specifications_example_trace() {
    // open-telemetry/opentelemetry-proto, examples/trace.json.
    check_same::<ExportTraceServiceRequest>(
        Signal::Traces,
        &json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "my.service" } }] },
            "scopeSpans": [{
                "scope": { "name": "my.library", "version": "1.0.0", "attributes": [
                    { "key": "my.scope.attribute", "value": { "stringValue": "some scope attribute" } }] },
                "spans": [{
                    "traceId": "5B8EFFF798038103D269B633813FC60C",
                    "spanId": "EEE19B7EC3C1B174",
                    "parentSpanId": "EEE19B7EC3C1B173",
                    "name": "I'm a server span",
                    "startTimeUnixNano": "1544712660000000000",
                    "endTimeUnixNano": "1544712661000000000",
                    "kind": 2,
                    "attributes": [{ "key": "my.span.attr", "value": { "stringValue": "some value" } }]
                }]
            }]
        }] }),
    );
}

#[test]
fn logs_with_every_field() {
    check_same::<ExportLogsServiceRequest>(
        Signal::Logs,
        &json!({ "resourceLogs": [{
            "resource": { "attributes": [], "droppedAttributesCount": 1, "entityRefs": [
                { "schemaUrl": "u", "type": "service", "idKeys": ["a", "b"], "descriptionKeys": ["c"] }] },
            "schemaUrl": "r",
            "scopeLogs": [{
                "schemaUrl": "s",
                "scope": { "name": "n", "version": "v", "attributes": [], "droppedAttributesCount": 2 },
                "logRecords": [{
                    "timeUnixNano": "18446744073709551615", "observedTimeUnixNano": "2", "severityNumber": 10,
                    "severityText": "Information", "body": { "arrayValue": { "values": [
                        { "kvlistValue": { "values": [{ "key": "x", "value": { "intValue": "-1" } }] } },
                        { "bytesValue": "aGVsbG8=" }, { "doubleValue": -2.5 }, { "boolValue": true }] } },
                    "attributes": [{ "key": "a", "value": { "stringValue": "ä\u{0}" } }],
                    "droppedAttributesCount": 4294967295u32, "flags": 1, "traceId": "5b8efff798038103d269b633813fc60c",
                    "spanId": "eee19b7ec3c1b174", "eventName": "e"
                }]
            }]
        }] }),
    );
}

#[test]
fn metrics_with_every_field() {
    let common = json!({ "attributes": [{ "key": "a", "value": { "stringValue": "b" } }],
        "startTimeUnixNano": "1", "timeUnixNano": "2", "flags": 1 });
    let exemplars = json!({ "exemplars": [{ "filteredAttributes": [{ "key": "f", "value": { "boolValue": false } }],
        "timeUnixNano": "3", "asDouble": 1.5, "spanId": "eee19b7ec3c1b174", "traceId": "5b8efff798038103d269b633813fc60c" },
        { "asInt": "-7", "spanId": "", "traceId": "" }] });
    let point = |parts: &[&Value]| {
        let members = parts.iter().flat_map(|part| part.as_object().unwrap().clone());
        Value::Object(members.collect())
    };
    let buckets = |offset: i32| json!({ "offset": offset, "bucketCounts": ["1", "18446744073709551615"] });
    let request = json!({ "resourceMetrics": [{ "schemaUrl": "r", "scopeMetrics": [{ "schemaUrl": "s", "metrics": [
        { "name": "gauge", "description": "d", "unit": "1", "metadata": [{ "key": "m", "value": { "stringValue": "v" } }],
          "gauge": { "dataPoints": [point(&[&common, &exemplars, &json!({ "asDouble": 0.5 })])] } },
        { "name": "sum", "description": "", "unit": "", "metadata": [], "sum": { "aggregationTemporality": 2,
          "isMonotonic": true, "dataPoints": [point(&[&common, &exemplars, &json!({ "asInt": "-9223372036854775808" })])] } },
        { "name": "histogram", "description": "", "unit": "", "metadata": [], "histogram": { "aggregationTemporality": 1,
          "dataPoints": [point(&[&common, &exemplars, &json!({ "count": "3", "sum": 0.0, "min": -1.0, "max": 4.0,
            "bucketCounts": ["1", "2"], "explicitBounds": [1.0, 2.5] })])] } },
        { "name": "exponential", "description": "", "unit": "", "metadata": [], "exponentialHistogram": {
          "aggregationTemporality": 2, "dataPoints": [point(&[&common, &exemplars, &json!({ "count": "3", "sum": 7.5,
            "scale": -3, "zeroCount": "4", "zeroThreshold": 0.1, "min": 0.0, "max": 1.0,
            "positive": buckets(-2_147_483_648), "negative": buckets(2_147_483_647) })])] } },
        { "name": "summary", "description": "", "unit": "", "metadata": [], "summary": { "dataPoints": [point(&[&common,
          &json!({ "count": "3", "sum": 7.5, "quantileValues": [{ "quantile": 0.99, "value": 5.0 }] })])] } },
    ] }] }] });
    check_same::<ExportMetricsServiceRequest>(Signal::Metrics, &request);
}

#[test]
fn null_is_the_same_as_absent() {
    let odd = json!({ "traceId": null, "name": null, "kind": null, "startTimeUnixNano": null, "attributes": null,
        "events": null, "status": null, "flags": null, "parentSpanId": "" });
    check_span(odd, json!({}));
    check_value(json!({ "stringValue": null, "intValue": null, "arrayValue": null }), json!({}));
    check_span(json!({ "attributes": [{ "key": "k", "value": null }] }), json!({ "attributes": [{ "key": "k" }] }));
    check_value(json!({ "arrayValue": { "values": [null] } }), json!({ "arrayValue": { "values": [{}] } }));
    for empty in [json!({}), json!({ "resourceSpans": null }), json!({ "resourceSpans": [] })] {
        assert_eq!(request_to_protobuf(Signal::Traces, empty.to_string().as_bytes()).unwrap(), b"");
    }
}

#[test]
fn integers_are_numbers_or_strings() {
    for time in [json!(1_544_712_660_000_000_000_u64), json!("1544712660000000000"), json!(1.54471266e18)] {
        check_span(json!({ "startTimeUnixNano": time }), json!({ "startTimeUnixNano": "1544712660000000000" }));
    }
    for value in [json!(-5), json!("-5"), json!(-5.0)] {
        check_value(json!({ "intValue": value }), json!({ "intValue": "-5" }));
    }
    check_value(json!({ "doubleValue": 3 }), json!({ "doubleValue": 3.0 }));
    check_value(json!({ "doubleValue": "-3.5" }), json!({ "doubleValue": -3.5 }));
}

#[test]
fn doubles_beyond_the_numbers_have_names() {
    for (name, expected) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)] {
        let json = spans(json!({ "attributes": [{ "value": { "doubleValue": name } }] }));
        let protobuf = request_to_protobuf(Signal::Traces, json.to_string().as_bytes()).unwrap();
        let found: [u8; 8] = *protobuf.last_chunk().unwrap();
        assert_eq!(f64::from_le_bytes(found).to_bits(), expected.to_bits());
    }
}

#[test]
fn enums_are_numbers_or_names() {
    for (kind, number) in [("SPAN_KIND_UNSPECIFIED", 0), ("SPAN_KIND_CONSUMER", 5), ("3", 3)] {
        check_span(json!({ "kind": kind }), json!({ "kind": number }));
    }
    check_span(json!({ "status": { "code": "STATUS_CODE_ERROR" } }), json!({ "status": { "code": 2 } }));
    // A value that this schema does not know yet.
    check_span(json!({ "kind": 77 }), json!({ "kind": 77 }));
    use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
    let severities = (0..=24).map(|number| (SeverityNumber::try_from(number).unwrap().as_str_name(), number));
    for (name, number) in severities {
        let record = |severity: Value| json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "severityNumber": severity }] }] }] });
        check::<ExportLogsServiceRequest>(Signal::Logs, &record(json!(name)), record(json!(number)));
    }
}

#[test]
fn bytes_are_base64_of_either_alphabet_and_padding() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        check_value(json!({ "bytesValue": text }), json!({ "bytesValue": "+/8=" }));
    }
}

#[test]
fn unknown_members_are_passed_over() {
    let odd = json!({ "name": "n", "trace_id": "00", "new": { "deep": [1, { "x": null }] }, "Name": 5 });
    check_span(odd, json!({ "name": "n" }));
}

#[test]
fn errors_say_what_was_found_and_expected_and_where() {
    check_refused(
        r#"{"traceId":"zz"}"#,
        r#"invalid value: string "zz", expected an id in hexadecimal digits, in "traceId" at line 1 column 58"#,
    );
    check_refused(
        r#"{"startTimeUnixNano":-1}"#,
        r#"invalid value: integer `-1`, expected an unsigned 64-bit integer, as a number or in a string, in "startTimeUnixNano" at line 1 column 66"#,
    );
    check_refused(
        r#"{"flags":4294967296}"#,
        r#"invalid value: integer `4294967296`, expected an unsigned 32-bit integer, in "flags" at line 1 column 62"#,
    );
    check_refused(
        r#"{"kind":"SERVER"}"#,
        r#"invalid value: string "SERVER", expected the number or the name of one of the enum's values, in "kind" at line 1 column 59"#,
    );
    check_refused(
        r#"{"attributes":{}}"#,
        r#"invalid type: map, expected a list, each of its elements a KeyValue object, in "attributes" at line 1 column 59"#,
    );
    check_refused(r#"{"name":[]}"#, r#"invalid type: sequence, expected a string, in "name" at line 1 column 53"#);
    check_refused("null", r#"invalid type: null, expected a Span object, in "spans" at line 1 column 47"#);
    check_refused(r#"{"name":"a"#, "EOF while parsing a string at line 1 column 59");
}

#[test]
fn errors_do_not_repeat_long_texts() {
    let json = spans(json!({ "traceId": "é".repeat(10_000) })).to_string();
    let error = request_to_protobuf(Signal::Traces, json.as_bytes()).unwrap_err().to_string();
    assert!(error.len() < 300, "{error}");
}

#[test]
fn what_is_not_one_object_is_refused() {
    for json in ["", "null", "[]", "5", "{} {}", r#"{"resourceSpans":5}"#] {
        assert!(request_to_protobuf(Signal::Traces, json.as_bytes()).is_err(), "{json:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(depth);
        let value = format!("{open}{}", "]}}".repeat(depth));
        let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{value}}}]}}]}}]}}"#);
        request_to_protobuf(Signal::Logs, json.as_bytes())
    };
    assert!(ExportLogsServiceRequest::decode(&nested(30).unwrap()[..]).is_ok());
    assert!(nested(10_000).unwrap_err().to_string().contains("recursion limit"));
}

proptest! {
    #[test]
    fn what_the_serde_code_writes_is_read(request in sample::request()) {
        let json = serde_json::to_vec(&request).expect("serializes");
        let protobuf = request_to_protobuf(Signal::Traces, &json)?;
        prop_assert_eq!(ExportTraceServiceRequest::decode(&protobuf[..]).expect("valid"), request);
    }

    #[test]
    fn hostile_json_never_panics(
        request in sample::request(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let mut json = serde_json::to_vec(&request).expect("serializes");
        const BYTES: &[u8] = br#"{}[]":,-0.e9ntfa\u "#;
        for (at, byte) in changes {
            let at = at.index(json.len());
            json[at] = BYTES[byte.index(BYTES.len())];
        }
        if let Ok(protobuf) = request_to_protobuf(Signal::Traces, &json) {
            prop_assert!(ExportTraceServiceRequest::decode(&protobuf[..]).is_ok());
        }
    }
}
