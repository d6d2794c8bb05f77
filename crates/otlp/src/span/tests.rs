use super::*;
use crate::sample;
use crate::wire::put_bytes_field;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;

/// All that a [`SpanView`] says, as text.
fn describe(message: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut spans = Vec::new();
    for_each_span(message, |span| {
        spans.push(format!("{:?}", SpanView { attributes: &single(span.attributes), ..*span }))
    })?;
    Ok(spans)
}

/// Without the values of arrays and maps: where an odd encoder writes such a value twice, protobuf joins the two, and
/// [`for_each_span`] takes the last.
fn single<'a>(attributes: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    let is_joined = |value: &[u8]| matches!(value.first(), Some(0x2a | 0x32));
    attributes.iter().map(|(key, value)| (*key, if is_joined(value) { &[] } else { *value })).collect()
}

/// The same from what prost decodes.
fn expect(request: &ExportTraceServiceRequest) -> Vec<String> {
    let resources = request.resource_spans.iter();
    let spans = resources.flat_map(|inside| inside.scope_spans.iter().map(|scope| (inside.resource.as_ref(), scope)));
    spans.flat_map(|(resource, scope)| scope.spans.iter().map(move |span| expect_span(resource, scope, span))).collect()
}

fn expect_span(resource: Option<&Resource>, scope_spans: &ScopeSpans, span: &Span) -> String {
    let mut identity = BTreeMap::new();
    let mut service = "";
    for attribute in resource.iter().flat_map(|resource| &resource.attributes) {
        let key = attribute.key.as_str();
        let known = ["service.", "host.", "k8s.", "deployment."].iter().any(|prefix| key.starts_with(prefix));
        if known && !identity.contains_key(key) {
            identity.insert(key, attribute.value.as_ref().map(Message::encode_to_vec).unwrap_or_default());
            if let ("service.name", Some(any_value::Value::StringValue(name))) =
                (key, attribute.value.as_ref().and_then(|value| value.value.as_ref()))
            {
                service = name;
            }
        }
    }
    let resource: Vec<(&str, &[u8])> = identity.iter().map(|(key, value)| (*key, &value[..])).collect();
    let mut attributes: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for attribute in &span.attributes {
        let value = || attribute.value.as_ref().map(Message::encode_to_vec).unwrap_or_default();
        attributes.entry(&attribute.key).or_insert_with(value);
    }
    let attributes: Vec<(&str, &[u8])> = attributes.iter().map(|(key, value)| (*key, &value[..])).collect();
    let events: Vec<Vec<u8>> = span.events.iter().map(Message::encode_to_vec).collect();
    let links: Vec<Vec<u8>> = span.links.iter().map(Message::encode_to_vec).collect();
    let scope = scope_spans.scope.as_ref();
    let view = SpanView {
        trace_id: span.trace_id[..].try_into().map(TraceId).unwrap_or_default(),
        span_id: span.span_id[..].try_into().map(SpanId).unwrap_or_default(),
        parent_span_id: span.parent_span_id[..].try_into().map(SpanId).unwrap_or_default(),
        kind: span.kind as u8,
        name: &span.name,
        start_unix_ns: span.start_time_unix_nano,
        end_unix_ns: span.end_time_unix_nano,
        trace_state: &span.trace_state,
        flags: span.flags,
        status: span.status.as_ref().map(|it| Status { code: it.code, message: &it.message }).unwrap_or_default(),
        attributes: &single(&attributes),
        events: &events.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        links: &links.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        dropped: [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count],
        scope: Scope {
            name: scope.map_or("", |scope| &scope.name),
            version: scope.map_or("", |scope| &scope.version),
            schema_url: &scope_spans.schema_url,
        },
        service,
        resource: &resource,
    };
    format!("{view:?}")
}

proptest! {
    #[test]
    fn spans_are_what_prost_decodes(message in sample::odd_message()) {
        let decoded = ExportTraceServiceRequest::decode(&message[..]).expect("valid");
        prop_assert_eq!(describe(&message)?, expect(&decoded));
    }

    #[test]
    fn hostile_bytes_never_panic(message in sample::hostile_message()) {
        let found = describe(&message);
        if let Ok(decoded) = ExportTraceServiceRequest::decode(&message[..]) {
            let spans = decoded.resource_spans.iter().flat_map(|inside| &inside.scope_spans).map(|scope| scope.spans.len());
            prop_assert_eq!(found?.len(), spans.sum::<usize>());
        }
    }
}

fn field(number: u32, content: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes_field(&mut out, number, &content.concat());
    out
}

/// One span with these fields, in a resource with these.
fn check(resource: &[u8], span: &[u8], test: impl Fn(&SpanView<'_>)) {
    let message = field(1, &[&field(2, &[&field(2, &[span])]), &field(1, &[resource])]);
    let mut seen = 0;
    for_each_span(&message, |span| {
        seen += 1;
        test(span);
    })
    .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn text_that_is_no_utf8_has_a_placeholder() {
    let bad = [0xff, 0xfe];
    let span = [field(5, &[&bad]), field(9, &[&field(1, &[&bad])])].concat();
    let resource = field(1, &[&field(1, &[b"service.name"]), &field(2, &[&field(1, &[&bad])])]);
    check(&resource, &span, |span| {
        assert_eq!((span.name, span.service), ("\u{FFFD}", "\u{FFFD}"));
        assert_eq!(span.attributes, [("\u{FFFD}", &b""[..])]);
    });
}

#[test]
fn a_service_name_that_is_no_string_is_none() {
    for value in [&b"\x18\x05"[..], b"\x0a\x01a\x18\x05", b"\x0a\x05a", b""] {
        let resource = field(1, &[&field(1, &[b"service.name"]), &field(2, &[value])]);
        check(&resource, b"", |span| {
            assert_eq!(span.service, "");
            assert_eq!(span.resource, [("service.name", value)]);
        });
    }
}

#[test]
fn the_last_status_code_counts_and_odd_enums_are_unspecified() {
    let error = field(15, &[b"\x18\x02"]);
    let silent = field(15, &[b"\x12\x01m"]);
    check(b"", &[error.clone(), silent.clone()].concat(), |span| assert!(span.is_error(), "merging keeps the code"));
    check(b"", &[error, field(15, &[b"\x18\x01"])].concat(), |span| assert!(!span.is_error()));
    check(b"", b"\x30\x03", |span| assert_eq!(span.kind, 3));
    check(b"", b"\x30\x06", |span| assert_eq!(span.kind, 0));
    // -1 as an int32, ten bytes long.
    check(b"", b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", |span| assert_eq!(span.kind, 0));
}

#[test]
fn an_attributes_value_may_come_before_its_key_and_the_last_counts() {
    let (old, new) = (field(2, &[b"\x0a\x03old"]), field(2, &[b"\x0a\x03new"]));
    let resource = field(1, &[&old, &new, &field(1, &[b"host.x"]), &field(1, &[b"service.name"])]);
    check(&resource, b"", |span| {
        assert_eq!(span.service, "new");
        assert_eq!(span.resource, [("service.name", &b"\x0a\x03new"[..])]);
    });
}

#[test]
fn a_broken_attribute_is_refused_with_its_place() {
    let message = field(1, &[&field(2, &[&field(2, &[&field(9, &[b"\x0a\x05a"])])])]);
    assert_eq!(describe(&message), Err(Malformed { offset: 10, what: "a length beyond the end" }));
}

#[test]
fn a_repeated_value_merges() {
    let resource = field(1, &[&field(1, &[b"service.name"]), &field(2, &[b"\x0a\x04shop"]), &field(2, &[])]);
    check(&resource, b"", |span| assert_eq!(span.service, "shop"));
}
