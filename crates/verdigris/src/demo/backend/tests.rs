use super::*;
use crate::demo::client::{ExportError, Framed, OtlpClient, Retry};
use crate::demo::shop::request;
use crate::demo::shop::topology::Service;
use opentelemetry_proto::tonic::trace::v1::Span;

fn span(trace: u8, id: u8, kind: i32) -> Span {
    Span { trace_id: vec![trace; 16], span_id: vec![id; 8], kind, ..Span::default() }
}

/// Delivers these requests to a back end, and checks spans, distinct spans and traces.
async fn check(requests: &[&[Span]], spans: u64, distinct: u64, traces: u64) -> Backend {
    let backend = Backend::start().await.unwrap();
    let client = OtlpClient::new(&backend.endpoint()).unwrap();
    for spans in requests {
        let message = request(Service::Cart, 1, spans.to_vec()).encode_to_vec();
        assert_eq!(client.export(Signal::Traces, &Framed::new(&message)).await.unwrap(), None);
    }
    let stats = backend.stats();
    assert_eq!((stats.requests, stats.overflowed), (requests.len() as u64, 0));
    assert_eq!((stats.spans, stats.distinct, stats.traces), (spans, distinct, traces));
    backend
}

#[tokio::test]
async fn spans_are_distinct_by_trace_id_span_id_and_kind() {
    check(&[&[span(1, 1, 1), span(1, 2, 1)], &[span(2, 1, 1)]], 3, 3, 2).await;
    check(&[&[span(1, 1, 2), span(1, 1, 3)]], 2, 2, 1).await;
    check(&[&[span(1, 1, 1)], &[span(1, 1, 1), span(1, 2, 1)]], 3, 2, 1).await;
}

#[tokio::test]
async fn several_back_ends_count_a_span_once() {
    let one = check(&[&[span(1, 1, 1), span(1, 2, 1)]], 2, 2, 1).await;
    let two = check(&[&[span(1, 2, 1), span(1, 3, 1)]], 2, 2, 1).await;
    assert_eq!(Backend::distinct_across(&[&one]), 2);
    assert_eq!(Backend::distinct_across(&[&one, &two]), 3);
    let mut asked = SpanKeys::default();
    for id in [1, 3, 4] {
        asked.insert(SpanKey::of(&span(1, id, 1)));
    }
    assert_eq!(Backend::delivered_of(&asked, &[&one]), 1);
    assert_eq!(Backend::delivered_of(&asked, &[&one, &two]), 2);
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_for_good_and_not_counted() {
    let backend = Backend::start().await.unwrap();
    let client = OtlpClient::new(&backend.endpoint()).unwrap();
    for signal in Signal::ALL {
        let refused = client.export(signal, &Framed::new(&[0x0a, 0x7f, 1])).await.unwrap_err();
        assert!(matches!(&refused, ExportError::Refused(status) if status.code == code::INVALID_ARGUMENT));
        assert_eq!(refused.retry(), Retry::Never);
    }
    assert_eq!(backend.stats(), BackendStats::default());
}
