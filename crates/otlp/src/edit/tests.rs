use super::*;
use crate::json::request_to_protobuf;
use crate::sample;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use proptest::prelude::*;
use prost::Message;

/// Every text that is asked for, as `place key: text`.
fn asked(signal: Signal, message: &[u8]) -> Vec<String> {
    let mut asked = Vec::new();
    let edited = edit_texts(signal, message, |place, key, text| {
        asked.push(format!("{place:?} {}: {text}", key.unwrap_or("-")));
        None
    });
    assert_eq!(edited, Ok(None), "nothing is changed");
    asked
}

#[track_caller]
fn check(signal: Signal, json: &str, expected: &[&str]) {
    let message = request_to_protobuf(signal, json.as_bytes()).unwrap();
    assert_eq!(asked(signal, &message), expected);
}

#[test]
fn every_text_of_a_trace() {
    let json = r#"{"resourceSpans": [{"resource": {"attributes": [{"key": "r", "value": {"stringValue": "1"}}]}, "schemaUrl": "u",
      "scopeSpans": [{"scope": {"name": "n", "version": "v", "attributes": [{"key": "s", "value": {"intValue": "-9223372036854775808"}}]},
      "spans": [{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "traceState": "a=b", "name": "GET",
        "attributes": [{"key": "a", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"kvlistValue": {"values":
          [{"key": "k", "value": {"bytesValue": "aGk="}}]}}]}}}, {"key": "b", "value": {"bytesValue": "/w=="}}],
        "events": [{"name": "e", "attributes": [{"key": "ea", "value": {"boolValue": true}}]}],
        "links": [{"traceId": "0af7651916cd43dd8448eb211c80319c", "traceState": "c=d", "attributes": [{"key": "la", "value": {"doubleValue": 1}}]}],
        "status": {"message": "m"}}]}]}]}"#;
    check(
        Signal::Traces,
        json,
        &[
            "Key -: r",
            "Attribute r: 1",
            "Key -: s",
            "Attribute s: -9223372036854775808",
            "TraceState tracestate: a=b",
            "SpanName -: GET",
            "Key -: a",
            "Attribute a: x",
            "Key -: k",
            "Attribute k: hi",
            "Key -: b",
            "EventName -: e",
            "Key -: ea",
            "TraceState tracestate: c=d",
            "Key -: la",
            "StatusMessage -: m",
        ],
    );
}

#[test]
fn every_text_of_logs() {
    let json = r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityText": "INFO", "eventName": "e",
      "body": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}},
      "attributes": [{"key": "a", "value": {"intValue": 7}}]}, {"body": {"stringValue": "b"}}]}]}]}"#;
    let expected = ["Key -: k", "LogBody k: v", "Key -: a", "Attribute a: 7", "EventName -: e", "LogBody -: b"];
    let mut message = asked(Signal::Logs, &request_to_protobuf(Signal::Logs, json.as_bytes()).unwrap());
    message.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(message, expected);
}

#[test]
fn every_text_of_metrics() {
    let point = |name: &str| {
        format!(
            r#""{name}": {{"dataPoints": [{{"attributes": [{{"key": "{name}", "value": {{"stringValue": "p"}}}}],
              "exemplars": [{{"filteredAttributes": [{{"key": "x", "value": {{"stringValue": "e"}}}}]}}]}}]}}"#
        )
    };
    for name in ["gauge", "sum", "histogram", "exponentialHistogram"] {
        let json = format!(
            r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"name": "n", {}}}]}}]}}]}}"#,
            point(name)
        );
        let message = request_to_protobuf(Signal::Metrics, json.as_bytes()).unwrap();
        let mut asked = asked(Signal::Metrics, &message);
        asked.sort();
        let point = format!("Attribute {name}: p");
        let mut expected = ["Attribute x: e".to_owned(), point, format!("Key -: {name}"), "Key -: x".to_owned()];
        expected.sort();
        assert_eq!(asked, expected);
    }
    let summary = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "n", "description": "d", "unit": "s",
      "summary": {"dataPoints": [{"attributes": [{"key": "a", "value": {"stringValue": "p"}}]}]}}]}]}]}"#;
    check(Signal::Metrics, summary, &["Key -: a", "Attribute a: p"]);
}

/// Longer, so that lengths need more bytes; shorter; the same.
fn change(key: Option<&str>, text: &str) -> Option<String> {
    match text.as_bytes().first()? {
        b'a'..=b'f' if key.is_none_or(|key| key.len() != 1) => Some(text.repeat(90)),
        b'g'..=b'k' => Some(String::new()),
        b'0'..=b'4' => Some(format!("[{text}]")),
        _ => None,
    }
}

/// The same on what prost decodes.
fn change_decoded(request: &mut ExportTraceServiceRequest) {
    for resource_spans in &mut request.resource_spans {
        resource_spans.resource.iter_mut().for_each(|resource| change_attributes(&mut resource.attributes));
        for scope_spans in &mut resource_spans.scope_spans {
            scope_spans.scope.iter_mut().for_each(|scope| change_attributes(&mut scope.attributes));
            for span in &mut scope_spans.spans {
                change_string(None, &mut span.name);
                change_string(Some("tracestate"), &mut span.trace_state);
                change_attributes(&mut span.attributes);
                for event in &mut span.events {
                    change_string(None, &mut event.name);
                    change_attributes(&mut event.attributes);
                }
                for link in &mut span.links {
                    change_string(Some("tracestate"), &mut link.trace_state);
                    change_attributes(&mut link.attributes);
                }
                span.status.iter_mut().for_each(|status| change_string(None, &mut status.message));
            }
        }
    }
}

fn change_attributes(attributes: &mut [KeyValue]) {
    for KeyValue { key, value, .. } in attributes {
        value.iter_mut().for_each(|value| change_value(key, value));
        change_string(None, key);
    }
}

fn change_value(key: &str, value: &mut AnyValue) {
    match &mut value.value {
        Some(AnyKind::StringValue(text)) => change_string(Some(key), text),
        Some(AnyKind::BytesValue(bytes)) => {
            let edited = str::from_utf8(bytes).ok().and_then(|text| change(Some(key), text));
            *bytes = edited.map_or(std::mem::take(bytes), String::into_bytes);
        }
        Some(AnyKind::IntValue(number)) => {
            if let Some(edited) = change(Some(key), &number.to_string()) {
                value.value = Some(AnyKind::StringValue(edited));
            }
        }
        Some(AnyKind::ArrayValue(array)) => array.values.iter_mut().for_each(|value| change_value(key, value)),
        Some(AnyKind::KvlistValue(list)) => change_attributes(&mut list.values),
        Some(_) | None => {}
    }
}

fn change_string(key: Option<&str>, text: &mut String) {
    if let Some(edited) = change(key, text) {
        *text = edited;
    }
}

proptest! {
    #[test]
    fn edits_as_on_what_prost_decodes(message in sample::odd_message()) {
        let mut expected = ExportTraceServiceRequest::decode(&message[..]).unwrap();
        let before = expected.clone();
        change_decoded(&mut expected);
        let edited = edit_texts(Signal::Traces, &message, |_, key, text| change(key, text)).unwrap();
        if edited.is_none() {
            prop_assert_eq!(&expected, &before);
        }
        let edited = edited.unwrap_or(message);
        prop_assert_eq!(ExportTraceServiceRequest::decode(&edited[..]).unwrap(), expected);
    }

    /// What is not changed, unknown fields and order too, comes out byte for byte.
    #[test]
    fn texts_in_their_own_place_give_the_same_bytes(message in sample::odd_message()) {
        let is_integer = |text: &str| text.parse::<i64>().is_ok();
        let same = edit_texts(Signal::Traces, &message, |_, _, text| (!is_integer(text)).then(|| text.to_owned())).unwrap();
        prop_assert_eq!(same.unwrap_or(message.clone()), message);
    }

    #[test]
    fn hostile_bytes_are_an_error_at_most(message in sample::hostile_message()) {
        for signal in Signal::ALL {
            if let Ok(Some(edited)) = edit_texts(signal, &message, |_, key, text| change(key, text)) {
                prop_assert!(edit_texts(signal, &edited, |_, _, _| None).is_ok_and(|edited| edited.is_none()));
            }
        }
    }
}

#[test]
fn values_nest_as_deep_as_the_bound() {
    let nested = |depth: usize| {
        let inner = AnyValue { value: Some(AnyKind::StringValue("a".to_owned())) }.encode_to_vec();
        let value = (0..depth).fold(inner, |inner, _| {
            let (mut array, mut value) = (Vec::new(), Vec::new());
            put_bytes_field(&mut array, 1, &inner);
            put_bytes_field(&mut value, 5, &array);
            value
        });
        // Value, attribute, resource, resource spans.
        [2, 1, 1, 1].iter().fold(value, |inner, number| {
            let mut out = Vec::new();
            put_bytes_field(&mut out, *number, &inner);
            out
        })
    };
    let edit = |message: &[u8]| edit_texts(Signal::Traces, message, |_, _, text| Some(text.repeat(300)));
    let edited = edit(&nested(MAX_VALUE_DEPTH)).unwrap().unwrap();
    assert!(edited.windows(300).any(|window| window.iter().all(|byte| *byte == b'a')));
    assert_eq!(edit(&nested(MAX_VALUE_DEPTH + 1)).unwrap_err().what, "values nested too deep");
    assert!(edit(&nested(2_000)).is_err());
}

#[test]
fn numbers_in_decimal() {
    for value in [0, 7, -1, 10, i64::MIN, i64::MAX] {
        assert_eq!(digits(value, &mut [0; MAX_INTEGER_LEN]), value.to_string());
    }
}
