//! What is sensitive does not reach the candidate by copies; what the active environment gets is as it was sent.

use crate::upstream::Upstream;
use crate::*;
use gateway::{Outcome, Role};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use redact::Policy;

const CARD: &str = "4111 1111 1111 1111";

/// One span with one attribute.
fn span_with(key: &str, value: &str) -> Bytes {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    let attribute = KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() };
    let trace_id = trace_id(1).0.to_vec();
    let span = Span { trace_id, span_id: vec![1; 8], attributes: vec![attribute], ..Span::default() };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into()
}

#[tokio::test]
async fn copies_are_redacted_and_what_serves_is_not() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    let policy = Some(Policy::default());
    let mirroring = RouteTable { mirror: true, redaction: policy, ..table(&blue, Some(&green), 0) };
    let mut fixture = Fixture::start(mirroring).await;
    let client = fixture.client(Protocol::Grpc);
    let (sent, redacted) = (span_with("app.note", CARD), span_with("app.note", "[payment-card]"));
    assert_eq!(client.export(Signal::Traces, sent.clone()).await, Outcome::TAKEN);
    for (expected, shown) in [(Role::Serving, &sent), (Role::Mirrored, &redacted)] {
        let View::Sent { role, message, .. } = fixture.view().await else { panic!("sent") };
        assert_eq!((role, &message), (expected, shown), "verification is shown what was sent there");
    }
    assert_eq!((blue.messages(), green.messages()), (vec![sent], vec![redacted]));
    assert_eq!(fixture.stats().environments.green.redacted_values, 1);
    // Without anything sensitive a copy is the same bytes.
    let plain = span_with("app.note", "nothing");
    assert_eq!(client.export(Signal::Traces, plain.clone()).await, Outcome::TAKEN);
    green.arrived(2).await;
    assert_eq!(green.messages().last(), Some(&plain));
}
