use super::*;
use crate::for_each_span;
use crate::sample;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;

fn tagged(message: &[u8], key: &str) -> Vec<(String, TraceId)> {
    let mut found = Vec::new();
    for_each_tagged_trace(message, key, |value, trace| found.push((value.to_owned(), trace))).unwrap();
    found
}

/// `host.id` is an identity attribute, so that the reader of spans knows it too.
fn check(request: &ExportTraceServiceRequest) {
    let message = request.encode_to_vec();
    let mut expected = Vec::new();
    for_each_span(&message, |span| {
        let value = span.resource.iter().find(|(key, _)| *key == "host.id").map(|(_, value)| string_value(value));
        expected.extend(value.filter(|value| !value.is_empty()).map(|value| (value.to_owned(), span.trace_id)));
    })
    .unwrap();
    assert_eq!(tagged(&message, "host.id"), expected);
}

proptest! {
    #[test]
    fn spans_are_tagged_as_the_reader_of_spans_says(request in sample::request()) {
        check(&request);
    }

    #[test]
    fn any_bytes_give_an_error_or_odd_values(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let with_key = [&bytes[..], b"t"].concat();
        let _ = for_each_tagged_trace(&with_key, "t", |_, _| {});
    }
}

#[test]
fn a_key_that_is_nowhere_tags_nothing() {
    assert!(tagged(b"\xff\xff", "absent").is_empty(), "not even read");
}
