use super::*;
use proptest::prelude::*;

const ONE: &str = r#"{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeSpans": [{"spans": [{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b7", "name": "GET /"}]}]}]}"#;
const OTHER: &str = "5b8efff798038103d269b633813fc60c";
const ZIPKIN: &str = r#"[{"traceId": "48485a3953bb6124", "id": "352bff9a74ca9ad2", "name": "get /", "kind": "SERVER",
    "localEndpoint": {"serviceName": "shop"}, "tags": {"http.method": "GET"}}]"#;

fn id(text: &str) -> TraceId {
    text.parse().unwrap()
}

fn other() -> String {
    ONE.replace("0af7651916cd43dd8448eb211c80319c", OTHER)
}

/// The traces of a file with these bytes.
fn traces(bytes: &[u8]) -> Result<Spans, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let shown = file.path().display().to_string();
    spans(file.path()).map_err(|failed| {
        assert_eq!(failed.exit, crate::describe::Exit::Usage);
        failed.to_string().replace(&shown, "FILE")
    })
}

fn check(bytes: &[u8], expect: &[&str]) {
    let read = traces(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)));
    assert_eq!(read.traces, expect.iter().map(|text| id(text)).collect(), "{}", String::from_utf8_lossy(bytes));
    for trace in &read.traces {
        let side = read.side(*trace).unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!((side.spans().len(), &*side.spans()[0].service), (1, "shop"));
    }
}

#[test]
fn a_file_is_known_by_what_is_in_it() {
    let one = "0af7651916cd43dd8448eb211c80319c";
    check(ONE.as_bytes(), &[one]);
    check(format!("\u{feff}\n\t{ONE}\n").as_bytes(), &[one]);
    check(format!("{}\n{}\n", ONE.replace('\n', ""), other().replace('\n', "")).as_bytes(), &[one, OTHER]);
    check(format!("{ONE}{}", other()).as_bytes(), &[one, OTHER]);
    check(ZIPKIN.as_bytes(), &["000000000000000048485a3953bb6124"]);
    let protobuf = otlp::json::request_to_protobuf(Signal::Traces, ONE.as_bytes()).unwrap();
    check(&protobuf, &[one]);
}

#[test]
fn what_stores_answer_is_read_too() {
    let one = "0af7651916cd43dd8448eb211c80319c";
    check(format!(r#"{{"result": {ONE}}}"#).as_bytes(), &[one]);
    check(format!(r#"{{"trace": {ONE}, "status": "COMPLETE"}}"#).as_bytes(), &[one]);
    // Tempo has ids in base64.
    let tempo = ONE.replace("resourceSpans", "batches").replace(one, "CvdlGRbNQ92ESOshHIAxnA==");
    check(tempo.replace("00f067aa0ba902b7", "APBnqgupArc=").as_bytes(), &[one]);
    let jaeger = format!(
        r#"{{"data": [{{"traceID": "{one}", "spans": [{{"traceID": "{one}", "spanID": "00f067aa0ba902b7",
            "operationName": "GET /", "startTime": 1, "duration": 2, "processID": "p1"}}],
            "processes": {{"p1": {{"serviceName": "shop"}}}}}}], "errors": null}}"#
    );
    check(jaeger.as_bytes(), &[one]);
}

#[test]
fn protobuf_that_begins_like_json_is_protobuf() {
    // The length of the first field is 123, an opening brace.
    let length = |name: &str| {
        let json = ONE.replace("GET /", name);
        otlp::json::request_to_protobuf(Signal::Traces, json.as_bytes()).unwrap()
    };
    let fits = (1..120).map(|count| length(&"x".repeat(count))).find(|message| message.starts_with(b"\n{"));
    check(&fits.unwrap(), &["0af7651916cd43dd8448eb211c80319c"]);
}

#[test]
fn what_is_none_is_refused_with_what_was_expected() {
    for (bytes, expect) in [
        ("", "no spans in it; expected OTLP"),
        ("[]", "no spans in it; expected OTLP"),
        ("hello", "expected OTLP in JSON"),
        (r#"{"spans": []}"#, "value 1, from byte 0 on: an object without `resourceSpans`"),
        (
            r#"{"data": [{"spans": [{"traceID": "x", "spanID": "1"}]}]}"#,
            "value 1, from byte 0 on: span 0: traceID: found",
        ),
        (r#"{"trace": {"resourceSpans": []}, "status": "PARTIAL"}"#, "a part of the trace alone"),
        (r#"{"result": {}, "error": {"message": "no"}}"#, "the store answered with an error: \"no\""),
        (r#"{"resourceSpans": []} {"resourceSpans": 5}"#, "value 2, from byte 21 on: the body is no OTLP/JSON"),
        (r#"{"resourceSpans": ["#, "value 1, from byte 0 on: EOF while parsing"),
        (r#"[{"traceId": "1"}]"#, "span 0: id"),
        (r#"[{"environment": "green"}]"#, "no blob of evidence: missing field `trace`"),
        ("[]]", "trailing characters"),
    ] {
        let error = traces(bytes.as_bytes()).map(|read| read.traces).unwrap_err();
        assert!(error.contains(expect) && error.starts_with("FILE: "), "{bytes}: {error}\ndoes not say\n{expect}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let span = |number: usize| format!(r#"{{"traceId": "{OTHER}", "spanId": "{number:016x}"}}"#);
    let spans = |count| {
        let spans: Vec<String> = (1..=count).map(span).collect();
        format!(r#"{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{}]}}]}}]}}"#, spans.join(","))
    };
    let most = traces(spans(MAX_SPANS).as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert!(most.side(id(OTHER)).is_ok_and(|side| side.spans().len() == MAX_SPANS));
    let refused = |json: &str| traces(json.as_bytes()).unwrap().side(id(OTHER)).unwrap_err().to_string();
    let too_many = refused(&spans(MAX_SPANS + 1));
    assert!(too_many.ends_with("65537 spans; expected 65536 at most"), "{too_many}");
    let long = "x".repeat(MAX_TRACE_BYTES);
    let too_long = refused(&other().replace("GET /", &long));
    assert!(too_long.ends_with("longer than 32 MiB"), "{too_long}");
    // One resource of half a MiB, and a thousand spans that share it.
    let shared = spans(1_000).replacen(
        r#"{"scopeSpans""#,
        &format!(
            r#"{{"resource": {{"attributes": [{{"key": "k", "value": {{"stringValue": "{}"}}}}]}}, "scopeSpans""#,
            "x".repeat(1 << 19)
        ),
        1,
    );
    let too_much = refused(&shared);
    assert!(too_much.contains("once for each span, are longer than the 256 MiB"), "{too_much}");
}

#[test]
fn which_trace_is_meant_follows_or_is_asked_for() {
    let several = format!("{ONE}{}", other());
    let third = ONE.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000003");
    let chosen = |a: &str, b: &str| {
        let read = |text: &str| traces(text.as_bytes()).unwrap();
        choose(&read(a), &read(b)).map_err(|failed| failed.to_string())
    };
    let (one, other_id) = (id("0af7651916cd43dd8448eb211c80319c"), id(OTHER));
    assert_eq!(chosen(ONE, ONE), Ok((one, one)));
    assert_eq!(chosen(ONE, &other()), Ok((one, other_id)));
    assert_eq!(chosen(&several, &other()), Ok((other_id, other_id)));
    assert_eq!(chosen(ONE, &several), Ok((one, one)));
    for (a, b) in [(&*several, &*several), (&several, &third), (&third, &several)] {
        let error = chosen(a, b).unwrap_err();
        assert!(error.ends_with(&format!("several traces: name one with --trace: {one}, {other_id}")), "{error}");
    }
    let error = traces(several.as_bytes()).unwrap().side(id("00000000000000000000000000000003")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(&format!("no trace 00000000000000000000000000000003 in it; it has {one}, {other_id}"))
    );
}

#[test]
fn everything_of_a_span_is_compared() {
    let full = r#"{"resourceSpans": [{"schemaUrl": "r", "resource": {"droppedAttributesCount": 1, "attributes": [
        {"key": "k", "value": {"intValue": "1"}}, {"key": "k", "value": {"intValue": "2"}}]}, "scopeSpans": [{
        "schemaUrl": "s", "scope": {"name": "n", "version": "v", "droppedAttributesCount": 2, "attributes": [
        {"key": "k", "value": {"boolValue": true}}]}, "spans": [{"traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "00f067aa0ba902b7", "parentSpanId": "00f067aa0ba902b8", "traceState": "a=b", "flags": 257, "name": "x",
        "kind": 3, "startTimeUnixNano": "1", "endTimeUnixNano": "2", "droppedAttributesCount": 3, "droppedEventsCount": 4,
        "droppedLinksCount": 5, "status": {"code": 2, "message": "m"}, "attributes": [
        {"key": "d", "value": {"doubleValue": 1.5}}, {"key": "n", "value": {"doubleValue": "NaN"}},
        {"key": "b", "value": {"bytesValue": "AQI="}}, {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {}]}}},
        {"key": "m", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 7}}]}}}, {"key": "e"}],
        "events": [{"timeUnixNano": "9", "name": "e", "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}],
        "links": [{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b9", "flags": 1}]}]}]}]}"#;
    let read = traces(full.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let side = read.side(id(OTHER)).unwrap_or_else(|failed| panic!("{failed}"));
    insta::assert_debug_snapshot!(side.spans());
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = understand(&bytes);
    }

    #[test]
    fn a_file_that_was_damaged_is_read_or_refused(at in 0usize..1_000, byte in any::<u8>(), which in 0usize..3) {
        let protobuf = otlp::json::request_to_protobuf(Signal::Traces, ONE.as_bytes()).unwrap();
        let mut bytes = [ONE.as_bytes(), ZIPKIN.as_bytes(), &protobuf][which].to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = traces(&bytes) {
            for trace in &read.traces {
                let _ = read.side(*trace);
            }
        }
    }
}
