use super::annotation::{Parsed, parse};
use crate::legacy::Format;
use crate::legacy::tests::{check, check_refused};
use serde_json::{Value, json};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";
const SPAN: &str = "eee19b7ec3c1b174";

/// A span with these members beside its ids.
fn span(more: Value) -> Value {
    let mut span = json!({ "traceId": TRACE, "id": SPAN, "timestamp": 1, "duration": 2 });
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    span
}

/// The span in OTLP/JSON, with these members beside ids and times.
fn otlp(more: Value) -> Value {
    let mut span = json!({ "traceId": TRACE, "spanId": SPAN, "kind": 1,
        "startTimeUnixNano": "1000", "endTimeUnixNano": "3000" });
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    span
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u32) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn flag(key: &str) -> Value {
    json!({ "key": key, "value": { "boolValue": true } })
}

#[track_caller]
fn check_span(zipkin: Value, expected: Value) {
    let expected = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [expected] }] }] });
    check(Format::ZipkinJson, json!([zipkin]).to_string().as_bytes(), expected);
}

#[track_caller]
fn check_bad(span: Value, expected: &str) {
    let request = json!([{ "traceId": "1", "id": "2" }, span]).to_string();
    let column = request.len() - 1;
    let expected = format!("the body is no list of Zipkin v2 spans in JSON: {expected} at line 1 column {column}");
    check_refused(Format::ZipkinJson, request.as_bytes(), &expected);
}

#[test]
fn the_api_documents_example() {
    // openzipkin/zipkin-api, zipkin2-api.yaml, "ListOfSpans"; the tag error is ours.
    let request = json!([{
        "id": "352bff9a74ca9ad2", "traceId": "5af7183fb1d4cf5f", "parentId": "6b221d5bc9e6496c",
        "name": "get /api", "timestamp": 1556604172355737u64, "duration": 1431, "kind": "SERVER",
        "localEndpoint": { "serviceName": "backend", "ipv4": "192.168.99.1", "port": 3306 },
        "remoteEndpoint": { "ipv4": "172.19.0.2", "port": 58648 },
        "tags": { "http.method": "GET", "http.path": "/api", "error": "timeout" }
    }]);
    let expected = json!({ "resourceSpans": [{
        "resource": { "attributes": [text("service.name", "backend")] },
        "scopeSpans": [{ "spans": [{
            "traceId": "00000000000000005af7183fb1d4cf5f", "spanId": "352bff9a74ca9ad2",
            "parentSpanId": "6b221d5bc9e6496c", "name": "get /api", "kind": 2,
            "startTimeUnixNano": "1556604172355737000", "endTimeUnixNano": "1556604172357168000",
            "attributes": [
                text("http.method", "GET"), text("http.path", "/api"),
                text("network.local.address", "192.168.99.1"), number("network.local.port", 3306),
                text("network.peer.address", "172.19.0.2"), number("network.peer.port", 58648)],
            "status": { "code": 2, "message": "timeout" }
        }] }]
    }] });
    check(Format::ZipkinJson, request.to_string().as_bytes(), expected);
    check(Format::ZipkinJson, b"[]", json!({ "resourceSpans": [] }));
}

#[test]
fn spans_are_grouped_by_service_and_scope() {
    let of = |service: &str, scope: &str, name: &str| {
        let (tags, service) = (json!({ "otel.scope.name": scope }), json!({ "serviceName": service }));
        span(json!({ "name": name, "localEndpoint": service, "tags": tags }))
    };
    let request = json!([of("b", "s", "1"), of("a", "t", "2"), of("b", "r", "3"), of("b", "s", "4")]);
    let scope = |scope: &str, names: &[&str]| {
        let spans: Vec<Value> = names.iter().map(|name| otlp(json!({ "name": name }))).collect();
        json!({ "scope": { "name": scope }, "spans": spans })
    };
    let expected = json!({ "resourceSpans": [
        { "resource": { "attributes": [text("service.name", "b")] },
          "scopeSpans": [scope("r", &["3"]), scope("s", &["1", "4"])] },
        { "resource": { "attributes": [text("service.name", "a")] }, "scopeSpans": [scope("t", &["2"])] }] });
    check(Format::ZipkinJson, request.to_string().as_bytes(), expected);
}

#[test]
fn tags_of_the_resource_go_back_to_it() {
    let tags = json!({ "service.version": "1", "telemetry.sdk.name": "opentelemetry", "service.name": "overruled",
        "faas.trigger": "http" });
    let request = json!([span(json!({ "tags": tags, "localEndpoint": { "serviceName": "shop" } }))]);
    let resource = [text("service.version", "1"), text("telemetry.sdk.name", "opentelemetry")];
    let resource = [&resource[..], &[text("service.name", "shop")]].concat();
    let expected = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "spans": [otlp(json!({ "attributes": [text("faas.trigger", "http")] }))] }]
    }] });
    check(Format::ZipkinJson, request.to_string().as_bytes(), expected);
}

#[test]
fn kinds() {
    for (kind, expected) in
        [("SERVER", 2), ("CLIENT", 3), ("PRODUCER", 4), ("CONSUMER", 5), ("client", 3), ("", 1), ("INTERNAL", 1)]
    {
        check_span(span(json!({ "kind": kind })), otlp(json!({ "kind": expected })));
    }
    check_span(span(json!({ "tags": { "span.kind": "consumer" } })), otlp(json!({ "kind": 5 })));
    // What the tag says otherwise is not lost.
    check_span(
        span(json!({ "kind": "CLIENT", "tags": { "span.kind": "server" } })),
        otlp(json!({ "kind": 3, "attributes": [text("span.kind", "server")] })),
    );
}

#[test]
fn statuses() {
    let tagged = |tags: Value| span(json!({ "tags": tags }));
    let status = |code: u32, message: &str| otlp(json!({ "status": { "code": code, "message": message } }));
    check_span(tagged(json!({ "otel.status_code": "OK" })), status(1, ""));
    check_span(tagged(json!({ "otel.status_code": "ERROR", "error": "" })), status(2, ""));
    check_span(tagged(json!({ "otel.status_code": "ERROR", "error": "why" })), status(2, "why"));
    check_span(tagged(json!({ "otel.status_code": "STATUS_CODE_ERROR", "error": "true" })), status(2, ""));
    check_span(tagged(json!({ "error": "true" })), status(2, ""));
    check_span(tagged(json!({ "error": true })), status(2, ""));
    check_span(tagged(json!({ "error": "", "otel.status_description": "why" })), status(2, "why"));
    let with = |code: u32, message: &str, key: &str, value: &str| {
        otlp(json!({ "status": { "code": code, "message": message }, "attributes": [text(key, value)] }))
    };
    check_span(tagged(json!({ "error": "500", "otel.status_description": "why" })), with(2, "why", "error", "500"));
    check_span(tagged(json!({ "otel.status_code": "OK", "error": "500" })), with(1, "", "error", "500"));
    let attribute = |key, value| otlp(json!({ "attributes": [text(key, value)] }));
    check_span(tagged(json!({ "error": "false" })), attribute("error", "false"));
    check_span(tagged(json!({ "otel.status_code": "1" })), attribute("otel.status_code", "1"));
    check_span(tagged(json!({ "otel.status_description": "x" })), attribute("otel.status_description", "x"));
}

#[test]
fn endpoints() {
    let remote = |endpoint: Value, tags: Value| span(json!({ "remoteEndpoint": endpoint, "tags": tags }));
    let attributes = |attributes: &[Value]| otlp(json!({ "attributes": attributes }));
    check_span(
        remote(json!({ "serviceName": "db", "ipv4": "10.0.0.1", "ipv6": "::1", "port": "5432" }), json!({})),
        attributes(&[
            text("peer.service", "db"),
            text("network.peer.address", "10.0.0.1"),
            number("network.peer.port", 5432),
        ]),
    );
    check_span(
        remote(json!({ "ipv6": "::1", "port": 0 }), json!({})),
        attributes(&[text("network.peer.address", "::1")]),
    );
    check_span(
        remote(json!({ "serviceName": "db" }), json!({ "peer.service": "postgres" })),
        attributes(&[text("peer.service", "postgres")]),
    );
    check_span(remote(Value::Null, Value::Null), otlp(json!({})));
}

#[test]
fn odd_but_clear_json_is_read() {
    check_span(
        json!({ "traceId": "F", "id": "0A", "parentId": "0", "timestamp": "5", "duration": 1.0e3, "name": null,
            "kind": null, "tags": { "n": 1, "f": 1.5, "b": false, "z": null }, "annotations": null, "unknown": [{}],
            "debug": "true", "shared": true }),
        json!({ "traceId": "0000000000000000000000000000000f", "spanId": "000000000000000a", "kind": 1,
            "startTimeUnixNano": "5000", "endTimeUnixNano": "1005000", "flags": 1,
            "attributes": [text("b", "false"), text("f", "1.5"), text("n", "1"), flag("zipkin.debug"),
                flag("zipkin.shared")] }),
    );
    // A span that is its own parent has none; of two tags with one name the last one counts.
    let twice = format!(r#"{{"traceId":"{TRACE}","id":"{SPAN}","parentId":"{SPAN}","timestamp":1,"duration":2,"#);
    let twice = twice + r#""tags":{"a":"1","b":"2","a":"3"}}"#;
    let expected = otlp(json!({ "attributes": [text("b", "2"), text("a", "3")] }));
    let expected = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [expected] }] }] });
    check(Format::ZipkinJson, format!("[{twice}]").as_bytes(), expected);
}

#[test]
fn a_span_without_a_time_says_so() {
    let absent = flag("otel.zipkin.absentField.startTime");
    let annotations = json!([{ "timestamp": 9, "value": "b" }, { "timestamp": 7, "value": "a" }]);
    let event = |time: &str, name: &str| json!({ "timeUnixNano": time, "name": name });
    check_span(
        json!({ "traceId": TRACE, "id": SPAN, "annotations": annotations, "duration": 1 }),
        otlp(json!({ "startTimeUnixNano": "7000", "endTimeUnixNano": "8000", "attributes": [absent],
            "events": [event("9000", "b"), event("7000", "a")] })),
    );
    check_span(
        span(json!({ "timestamp": null, "duration": null })),
        otlp(json!({ "startTimeUnixNano": "0", "endTimeUnixNano": "0", "attributes": [absent] })),
    );
}

#[test]
fn the_other_fields_of_otlp_come_back_from_their_tags() {
    let link = format!("{TRACE}|{SPAN}|a=b|{{\"k\":\"v|w\"}}|3");
    check_span(
        span(json!({ "tags": { "otel.dropped_attributes_count": "1", "otel.dropped_events_count": "2",
            "otel.dropped_links_count": "3", "w3c.tracestate": "k=v", "otlp.link.0": link, "otlp.link.1": "no link" } })),
        otlp(
            json!({ "traceState": "k=v", "droppedAttributesCount": 1, "droppedEventsCount": 2, "droppedLinksCount": 3,
            "links": [{ "traceId": TRACE, "spanId": SPAN, "traceState": "a=b", "droppedAttributesCount": 3,
                "attributes": [text("k", "v|w")] }],
            "attributes": [text("otlp.link.1", "no link")] }),
        ),
    );
}

#[test]
fn events_with_attributes() {
    let attributes = json!({ "k": "v", "n": 2, "f": 1.5, "b": true, "l": [1, null], "o": { "x": -1 } });
    for (value, dropped) in [
        (format!("\"an: event\": {attributes}"), 0),
        (format!("an: event: {attributes}"), 0),
        (json!({ "an: event": attributes }).to_string(), 0),
        (format!("an: event|{attributes}|4"), 4),
    ] {
        let event = json!({ "timeUnixNano": "5000", "name": "an: event", "droppedAttributesCount": dropped,
            "attributes": [
                flag("b"), { "key": "f", "value": { "doubleValue": 1.5 } }, text("k", "v"),
                { "key": "l", "value": { "arrayValue": { "values": [{ "intValue": "1" }, {}] } } }, number("n", 2),
                { "key": "o", "value": { "kvlistValue": { "values": [
                    { "key": "x", "value": { "intValue": "-1" } }] } } }] });
        check_span(
            span(json!({ "annotations": [{ "timestamp": 5, "value": value }] })),
            otlp(json!({ "events": [event] })),
        );
    }
}

#[test]
fn annotations_that_are_names() {
    let long = format!("{{\"name\": {{\"k\": \"{}\"}}}}", "v".repeat(70_000));
    for value in
        ["ws", "", "{", "{\"a\": 1}", "{\"a\": {}, \"b\": {}}", "a: {", "a: {}}", "a|b|c", "a|{}|-1", "|", &long]
    {
        assert_eq!(parse(value), Parsed { name: value.to_owned(), ..Parsed::default() });
    }
}

#[test]
fn what_is_no_span_is_refused_with_its_index_and_field() {
    let hex = |length: u32| format!("expected 1 to {length} hexadecimal digits");
    check_bad(json!({ "id": SPAN }), &format!("span 1: traceId: found \"\"; {}", hex(32)));
    check_bad(json!({ "traceId": TRACE }), &format!("span 1: id: found \"\"; {}", hex(16)));
    check_bad(span(json!({ "traceId": "xyz" })), &format!("span 1: traceId: found \"xyz\"; {}", hex(32)));
    check_bad(span(json!({ "id": TRACE })), &format!("span 1: id: found \"{TRACE}\"; {}", hex(16)));
    check_bad(span(json!({ "parentId": "-1" })), &format!("span 1: parentId: found \"-1\"; {}", hex(16)));
    check_bad(
        span(json!({ "traceId": "0000000000000000" })),
        "span 1: traceId: found zeros alone, which OTLP takes for no id",
    );
    check_bad(
        span(json!({ "kind": "ROBOT" })),
        "span 1: kind: found \"ROBOT\"; expected CLIENT, SERVER, PRODUCER or CONSUMER",
    );
    check_bad(
        span(json!({ "timestamp": u64::MAX })),
        "span 1: timestamp: found 18446744073709551615; expected microseconds, up to 18446744073709551 (the year 2554)",
    );
    check_bad(
        span(json!({ "timestamp": u64::MAX / 1000, "duration": 1000 })),
        "span 1: duration: the span ends after the year 2554, which OTLP cannot say",
    );
    for (body, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{}", "invalid type: map, expected a list of spans at line 1 column 0"),
        ("[1]", "invalid type: integer `1`, expected an object (span 0) at line 1 column 2"),
        ("[{\"tags\":{\"a\":[]}}]", "invalid type: sequence, expected a text at line 1 column 16"),
        ("[{\"annotations\":[{}]}]", "span 0: annotations: one lacks its timestamp or value at line 1 column 20"),
        ("[] x", "trailing characters at line 1 column 4"),
        (
            "[{\"timestamp\":-1}]",
            "invalid type: integer `-1`, expected a whole number that is not negative at line 1 column 16",
        ),
    ] {
        let expected = format!("the body is no list of Zipkin v2 spans in JSON: {expected}");
        check_refused(Format::ZipkinJson, body.as_bytes(), &expected);
    }
    // An unknown member is passed over without recursion.
    let deep = "[".repeat(100_000);
    let request = format!("[{{\"unknown\":{deep}");
    let expected = "the body is no list of Zipkin v2 spans in JSON: EOF while parsing a list at line 1 column 100012";
    check_refused(Format::ZipkinJson, request.as_bytes(), expected);
}
