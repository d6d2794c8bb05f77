use super::*;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// Overwrites every place with bytes that say what it is, and reads the result with prost.
fn overwritten<M: Message + Default>(signal: Signal, message: &M) -> M {
    let mut bytes = message.encode_to_vec();
    let mut places = Vec::new();
    for_each_fixed(signal, &bytes, |fixed, at| places.push((fixed, at))).unwrap();
    for (fixed, at) in places {
        bytes[at..at + fixed.bytes()].fill(mark(fixed));
    }
    M::decode(&bytes[..]).unwrap()
}

fn mark(fixed: Fixed) -> u8 {
    match fixed {
        Fixed::TraceId => 1,
        Fixed::LinkedTraceId => 2,
        Fixed::SpanId => 3,
        Fixed::ParentSpanId => 4,
        Fixed::LinkedSpanId => 5,
        Fixed::UnixNanos => 6,
    }
}

const TIME: u64 = u64::from_le_bytes([6; 8]);

#[test]
fn ids_and_times_of_spans_are_found_where_prost_reads_them() {
    let span = Span {
        trace_id: vec![9; 16],
        span_id: vec![9; 8],
        parent_span_id: vec![9; 8],
        name: "checkout".into(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        events: vec![Event { time_unix_nano: 3, name: "e".into(), ..Event::default() }],
        links: vec![Link { trace_id: vec![9; 16], span_id: vec![9; 8], ..Link::default() }],
        ..Span::default()
    };
    // An id of another length is none, and a root has no parent.
    let odd = Span { trace_id: vec![9; 5], parent_span_id: Vec::new(), ..span.clone() };
    let scope_spans = vec![ScopeSpans { spans: vec![span, odd], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let request = overwritten(Signal::Traces, &ExportTraceServiceRequest { resource_spans });
    let [span, odd] = &request.resource_spans[0].scope_spans[0].spans[..] else { panic!("two spans") };
    assert_eq!(
        (&span.trace_id[..], &span.span_id[..], &span.parent_span_id[..]),
        (&[1; 16][..], &[3; 8][..], &[4; 8][..])
    );
    assert_eq!((&span.links[0].trace_id[..], &span.links[0].span_id[..]), (&[2; 16][..], &[5; 8][..]));
    assert_eq!([span.start_time_unix_nano, span.end_time_unix_nano, span.events[0].time_unix_nano], [TIME; 3]);
    assert_eq!((&odd.trace_id[..], odd.parent_span_id.len(), &odd.span_id[..]), (&[9; 5][..], 0, &[3; 8][..]));
    assert_eq!(span.name, "checkout");
}

#[test]
fn ids_and_times_of_log_records_and_exemplars_are_found() {
    let record = LogRecord {
        trace_id: vec![9; 16],
        span_id: vec![9; 8],
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = overwritten(Signal::Logs, &ExportLogsServiceRequest { resource_logs });
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((&record.trace_id[..], &record.span_id[..]), (&[1; 16][..], &[3; 8][..]));
    assert_eq!([record.time_unix_nano, record.observed_time_unix_nano], [TIME; 2]);

    let exemplar = Exemplar { trace_id: vec![9; 16], span_id: vec![9; 8], time_unix_nano: 1, ..Exemplar::default() };
    let point = NumberDataPoint {
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: vec![exemplar],
        ..NumberDataPoint::default()
    };
    let metric = Metric { data: Some(Data::Gauge(Gauge { data_points: vec![point] })), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let request = overwritten(Signal::Metrics, &ExportMetricsServiceRequest { resource_metrics });
    let Some(Data::Gauge(gauge)) = &request.resource_metrics[0].scope_metrics[0].metrics[0].data else {
        panic!("a gauge")
    };
    let point = &gauge.data_points[0];
    assert_eq!([point.start_time_unix_nano, point.time_unix_nano, point.exemplars[0].time_unix_nano], [TIME; 3]);
    assert_eq!((&point.exemplars[0].trace_id[..], &point.exemplars[0].span_id[..]), (&[1; 16][..], &[3; 8][..]));
}

proptest::proptest! {
    /// Hostile bytes: an error or places inside of the message.
    #[test]
    fn places_are_inside(bytes in proptest::collection::vec(0u8..32, 0..200)) {
        for signal in Signal::ALL {
            let _ = for_each_fixed(signal, &bytes, |fixed, at| assert!(at + fixed.bytes() <= bytes.len()));
        }
    }
}
