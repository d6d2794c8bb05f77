use crate::legacy::Format;
use crate::legacy::tests::encoders::proto::{
    Batch, KeyValue, Log, PostSpansRequest, Process, Span, SpanRef, Time, time,
};
use crate::legacy::tests::encoders::thrift_struct;
use crate::legacy::tests::{check, check_refused};
use prost::Message;
use serde_json::{Value, json};
use thrift::protocol::TType;

const TRACE: &str = "01010101010101010101010101010101";
const SPAN: &str = "0202020202020202";

fn span() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], start_time: time(1), duration: time(2), ..Span::default() }
}

fn otlp(more: Value) -> Value {
    let mut span = json!({ "traceId": TRACE, "spanId": SPAN, "kind": 1,
        "startTimeUnixNano": "1000", "endTimeUnixNano": "3000" });
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    span
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn tag(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), v_str: value.to_owned(), ..KeyValue::default() }
}

fn flag_tag(key: &str, v_bool: bool) -> KeyValue {
    KeyValue { key: key.to_owned(), v_type: 1, v_bool, ..KeyValue::default() }
}

fn request(spans: Vec<Span>, process: Option<Process>) -> Vec<u8> {
    PostSpansRequest { batch: Some(Batch { spans, process }) }.encode_to_vec()
}

#[track_caller]
fn check_span(jaeger: Span, expected: Value) {
    let expected = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [expected] }] }] });
    check(Format::JaegerProto, &request(vec![jaeger], None), expected);
}

#[track_caller]
fn check_tags(tags: &[KeyValue], expected: Value) {
    check_span(Span { tags: tags.to_vec(), ..span() }, otlp(expected));
}

#[test]
fn every_field() {
    let value = |v_type| KeyValue { key: format!("t{v_type}"), v_type, ..KeyValue::default() };
    let tags = vec![
        tag("t0", "ä"),
        KeyValue { v_bool: true, ..value(1) },
        KeyValue { v_int64: -5, ..value(2) },
        KeyValue { v_float64: 1.5, ..value(3) },
        KeyValue { v_binary: b"hello".to_vec(), ..value(4) },
        value(9),
        tag("span.kind", "server"),
        tag("otel.library.name", "library"),
        tag("otel.library.version", "1"),
        tag("w3c.tracestate", "k=v"),
    ];
    let jaeger = Span {
        operation_name: "get".to_owned(),
        flags: 3,
        start_time: Some(Time { seconds: 1_700_000_000, nanos: 123_456_789 }),
        duration: Some(Time { seconds: 1, nanos: 1 }),
        logs: vec![Log { timestamp: time(7), fields: vec![tag("event", "retry"), tag("message", "again")] }],
        tags,
        warnings: vec!["clock skew".to_owned(), "no".to_owned()],
        ..span()
    };
    let process = Process {
        service_name: "shop".to_owned(),
        tags: vec![tag("hostname", "web-1"), tag("jaeger.version", "Go-2.30"), tag("service.name", "overruled")],
    };
    let expected = json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("jaeger.version", "Go-2.30"), text("host.name", "web-1"), text("service.name", "shop")] },
        "scopeSpans": [{
            "scope": { "name": "library", "version": "1" },
            "spans": [{ "traceId": TRACE, "spanId": SPAN, "name": "get", "kind": 2, "traceState": "k=v", "flags": 1,
                "startTimeUnixNano": "1700000000123456789", "endTimeUnixNano": "1700000001123456790",
                "attributes": [
                    text("t0", "ä"), { "key": "t1", "value": { "boolValue": true } },
                    { "key": "t2", "value": { "intValue": "-5" } }, { "key": "t3", "value": { "doubleValue": 1.5 } },
                    { "key": "t4", "value": { "bytesValue": "aGVsbG8=" } }, text("t9", "<unknown Jaeger tag type 9>"),
                    { "key": "jaeger.debug", "value": { "boolValue": true } },
                    { "key": "@jaeger@warnings", "value": { "arrayValue": { "values": [
                        { "stringValue": "clock skew" }, { "stringValue": "no" }] } } }],
                "events": [{ "timeUnixNano": "7000", "name": "retry", "attributes": [text("message", "again")] }]
            }]
        }]
    }] });
    check(Format::JaegerProto, &request(vec![jaeger], Some(process)), expected);
}

#[test]
fn references_become_parent_and_links() {
    let reference = |trace: u8, id: u8, ref_type| SpanRef { trace_id: vec![trace; 16], span_id: vec![id; 8], ref_type };
    let link = |trace: &str, id: &str, kind: &str| {
        json!({ "traceId": trace.repeat(16), "spanId": id.repeat(8),
            "attributes": [text("opentracing.ref_type", kind)] })
    };
    // Another trace's CHILD_OF is no parent; the first one in the trace is, and a second one is a link.
    let references =
        vec![reference(9, 3, 0), reference(1, 4, 1), reference(1, 5, 0), reference(1, 6, 0), reference(9, 5, 0)];
    check_span(
        Span { references, ..span() },
        otlp(json!({ "parentSpanId": "0505050505050505", "links": [
            link("09", "03", "child_of"), link("01", "04", "follows_from"), link("01", "06", "child_of"),
            link("09", "05", "child_of")] })),
    );
    // Ids of zeros: no parent, or a link that cannot be made.
    let references = vec![reference(1, 0, 0), reference(0, 0, 0), reference(1, 0, 1), reference(0, 7, 0)];
    check_span(Span { references, ..span() }, otlp(json!({ "droppedLinksCount": 2 })));
}

#[test]
fn statuses() {
    let status = |code: u32, message: &str| json!({ "status": { "code": code, "message": message } });
    check_tags(&[flag_tag("error", true)], status(2, ""));
    check_tags(&[tag("error", "true")], status(2, ""));
    let described = [flag_tag("error", true), tag("otel.status_code", "ERROR"), tag("otel.status_description", "why")];
    check_tags(&described, status(2, "why"));
    check_tags(&[tag("otel.status_code", "OK")], status(1, ""));
    check_tags(
        &[flag_tag("error", false)],
        json!({ "attributes": [{ "key": "error", "value": { "boolValue": false } }] }),
    );
    check_tags(&[tag("error", "why")], json!({ "attributes": [text("error", "why")] }));
    let overruled =
        json!({ "attributes": [{ "key": "error", "value": { "boolValue": true } }], "status": { "code": 1 } });
    check_tags(&[flag_tag("error", true), tag("otel.status_code", "OK")], overruled);
}

#[test]
fn logs_without_an_event_are_named_by_their_message() {
    let logs = vec![
        Log { timestamp: time(1), fields: vec![tag("message", "m"), tag("level", "warn")] },
        Log { timestamp: None, fields: vec![] },
    ];
    check_span(
        Span { logs, ..span() },
        otlp(json!({ "events": [{ "timeUnixNano": "1000", "name": "m", "attributes": [text("level", "warn")] }, {}] })),
    );
}

#[test]
fn a_spans_own_process_counts_more_than_the_batchs_and_equal_ones_are_one_resource() {
    let process = |service: &str| Some(Process { service_name: service.to_owned(), tags: vec![] });
    let of = |id: u8, process| Span { span_id: vec![id; 8], process, ..span() };
    let spans = vec![of(3, process("b")), of(4, None), of(5, process("b")), of(6, process("a"))];
    let id = |id: &str| otlp(json!({ "spanId": id.repeat(8) }));
    let resource = |service: &str, spans: Value| json!({ "resource": { "attributes": [text("service.name", service)] }, "scopeSpans": [{ "spans": spans }] });
    let expected = json!({ "resourceSpans": [resource("b", json!([id("03"), id("05")])), resource("a", json!([id("04"), id("06")]))] });
    check(Format::JaegerProto, &request(spans, process("a")), expected);
}

#[test]
fn batches_and_processes_that_come_in_parts_are_merged() {
    // As protobuf has it for a field that stands there twice.
    let part = |spans, process| PostSpansRequest { batch: Some(Batch { spans, process }) }.encode_to_vec();
    let process = Process { service_name: "shop".to_owned(), tags: vec![] };
    let more = Process { service_name: String::new(), tags: vec![tag("zone", "z")] };
    let request = [part(vec![span()], None), part(vec![span()], Some(process)), part(vec![], Some(more))].concat();
    let expected = json!({ "resourceSpans": [{
        "resource": { "attributes": [text("zone", "z"), text("service.name", "shop")] },
        "scopeSpans": [{ "spans": [otlp(json!({})), otlp(json!({}))] }]
    }] });
    check(Format::JaegerProto, &request, expected);
}

#[test]
fn a_clock_that_was_set_back_is_no_reason_to_refuse() {
    let backwards = Span { start_time: time(5), duration: Some(Time { seconds: 0, nanos: -2000 }), ..span() };
    check_span(backwards, otlp(json!({ "startTimeUnixNano": "5000", "endTimeUnixNano": "3000" })));
}

#[test]
fn what_is_no_span_is_refused_with_its_index_and_field() {
    let bad = |second: Span, expected: &str| {
        check_refused(Format::JaegerProto, &request(vec![span(), second], None), &format!("span 1: {expected}"));
    };
    let reference = |trace_id, span_id| vec![SpanRef { trace_id, span_id, ref_type: 0 }];
    bad(Span { trace_id: vec![1; 15], ..span() }, "trace_id: found 15 bytes; expected 16 (or 8 of a 64-bit id)");
    bad(Span { trace_id: vec![], ..span() }, "trace id: found zeros alone or none; expected 16 bytes");
    bad(Span { trace_id: vec![0; 16], ..span() }, "trace id: found zeros alone or none; expected 16 bytes");
    bad(Span { span_id: vec![1; 7], ..span() }, "span_id: found 7 bytes; expected 8");
    bad(Span { span_id: vec![0; 8], ..span() }, "span id: found zeros alone or none; expected 8 bytes");
    bad(
        Span { references: reference(vec![1; 3], vec![1; 8]), ..span() },
        "references: trace_id: found 3 bytes; expected 16 (or 8 of a 64-bit id)",
    );
    bad(
        Span { references: reference(vec![1; 16], vec![1; 3]), ..span() },
        "references: span_id: found 3 bytes; expected 8",
    );
    let before = Some(Time { seconds: -1, nanos: 0 });
    bad(
        Span { start_time: before.clone(), ..span() },
        "start time: found -1000000000 ns after 1970; expected a time from 1970 to 2554",
    );
    bad(
        Span { logs: vec![Log { timestamp: before.clone(), fields: vec![] }], ..span() },
        "logs: timestamp: found -1000000000 ns after 1970; expected a time from 1970 to 2554",
    );
    bad(
        Span { duration: before, ..span() },
        "duration: found -999999000 ns after 1970; expected a time from 1970 to 2554",
    );
    check_refused(
        Format::JaegerProto,
        b"\x0a\x05\x0a",
        "the body is no PostSpansRequest of Jaeger in protobuf: at byte 2, a length beyond the end",
    );
}

/// A batch of one span with these bytes at the end of its struct.
fn thrift(end: &[u8]) -> Vec<u8> {
    let ids = thrift_struct(|out| {
        out.i64(1, 1)?;
        out.i64(3, 2)
    });
    let mut span = ids.unwrap();
    span.pop();
    // Field 2, a list of one struct; then the ends of span and batch.
    [&[15, 0, 2, 12, 0, 0, 0, 1][..], &span, end, &[0, 0]].concat()
}

#[track_caller]
fn check_broken(request: &[u8], expected: &str) {
    let expected = format!("the body is no Batch of Jaeger in Thrift's binary protocol: at byte {expected}");
    check_refused(Format::JaegerThrift, request, &expected);
}

#[test]
fn unknown_thrift_fields_of_every_type_are_passed_over() {
    let expected = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": "00000000000000000000000000000001", "spanId": "0000000000000002", "kind": 1 }] }] }] });
    for field in [
        &[2, 1, 0, 1][..],
        &[3, 1, 0, 1],
        &[4, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[6, 1, 0, 1, 2],
        &[8, 1, 0, 1, 2, 3, 4],
        &[10, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[11, 1, 0, 0, 0, 0, 1, 7],
        &[12, 1, 0, 2, 0, 1, 1, 0],
        // A map of two from i8 to a list of booleans, one without a type.
        &[13, 1, 0, 3, 15, 0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0],
        &[13, 1, 0, 0, 0, 0, 0, 0, 0],
        &[14, 1, 0, 3, 0, 0, 0, 2, 1, 2],
        &[15, 1, 0, 12, 0, 0, 0, 3, 0, 0, 0],
        &[16, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        // A known field with an unexpected type.
        &[8, 0, 5, 1, 2, 3, 4],
        // No tags, without a type.
        &[15, 0, 10, 0, 0, 0, 0, 0],
    ] {
        check(Format::JaegerThrift, &thrift(field), expected.clone());
    }
}

#[test]
fn hostile_thrift_is_refused_where_it_lies() {
    check_broken(b"", "0, the end, within a value");
    check_broken(&[0, 1], "1, more bytes after the end of the struct");
    check_broken(&[0x80, 1, 0, 1], "0, the header of a message; expected the bare struct");
    check_broken(&thrift(&[9, 0, 0]), "30, a type that does not exist");
    check_broken(&thrift(&[11, 1, 0, 0x7f, 0xff, 0xff, 0xff]), "33, a length that is negative or beyond the end");
    check_broken(&thrift(&[11, 0, 5, 0xff, 0xff, 0xff, 0xff]), "33, a length that is negative or beyond the end");
    check_broken(&thrift(&[15, 1, 0, 12, 0x7f, 0xff, 0xff, 0xff]), "34, more elements than there are bytes for");
    check_broken(&thrift(&[15, 0, 10, 12, 0, 1, 0, 0]), "34, more elements than there are bytes for");
    check_broken(&thrift(&[13, 1, 0, 3, 3, 0, 0, 0, 9]), "35, more elements than there are bytes for");
    check_broken(
        &thrift(&[15, 0, 10, 8, 0, 0, 0, 1, 1, 1, 1, 1]),
        "33, a list of another type; expected one of structs",
    );
    let tag = "a tag without key or vType, which Thrift's own readers refuse too";
    check_broken(&thrift(&[15, 0, 10, 12, 0, 0, 0, 1, 0]), &format!("39, {tag}"));
    // Structs in structs, and lists in lists.
    let nested = [&[12, 1, 0][..], &[12, 0, 1].repeat(100_000)].concat();
    check_broken(&thrift(&nested), "219, values nested too deep");
    let nested = [&[15, 1, 0][..], &[15, 0, 0, 0, 1].repeat(100_000)].concat();
    check_broken(&thrift(&nested), "343, values nested too deep");
    let zeros = thrift_struct(|out| out.structures(2, &[(), ()], |out, ()| out.i64(1, 1)));
    check_refused(
        Format::JaegerThrift,
        &zeros.unwrap(),
        "span 0: span id: found zeros alone or none; expected 8 bytes",
    );
}

#[test]
fn texts_that_are_not_utf_8_become_so() {
    let request = thrift_struct(|out| {
        out.structures(2, &[()], |out, ()| {
            out.i64(1, 1)?;
            out.i64(3, 2)?;
            out.field(5, TType::String, |out| out.bytes(b"a\xffb"))
        })
    });
    let expected = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{ "name": "a\u{fffd}b",
        "traceId": "00000000000000000000000000000001", "spanId": "0000000000000002", "kind": 1 }] }] }] });
    check(Format::JaegerThrift, &request.unwrap(), expected);
}

#[test]
fn a_process_without_spans_is_nothing() {
    let process = Process { service_name: "shop".to_owned(), tags: vec![] };
    check(Format::JaegerProto, &request(vec![], Some(process)), json!({ "resourceSpans": [] }));
    let batch = thrift_struct(|out| {
        out.field(1, TType::Struct, |out| out.structure(|out| out.text(1, "shop")))?;
        out.structures(2, &[] as &[()], |_, ()| Ok(()))
    });
    check(Format::JaegerThrift, &batch.unwrap(), json!({ "resourceSpans": [] }));
}
