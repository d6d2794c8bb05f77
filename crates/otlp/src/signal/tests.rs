use super::*;
use crate::sample;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use proptest::prelude::*;
use prost::Message;

fn check(signal: Signal, message: &[u8], expected: u64) {
    assert_eq!(count_items(signal, message), Ok(expected));
}

fn metrics(data: Vec<Data>) -> Vec<u8> {
    let metrics = data.into_iter().map(|data| Metric { data: Some(data), name: "m".to_owned(), ..Metric::default() });
    let scope_metrics = vec![ScopeMetrics { metrics: metrics.collect(), ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

#[test]
fn points_of_every_kind_of_metric_are_counted() {
    let gauge = Data::Gauge(Gauge { data_points: vec![Default::default(); 1] });
    let sum = Data::Sum(Sum { data_points: vec![Default::default(); 2], is_monotonic: true, ..Sum::default() });
    let histogram = Data::Histogram(Histogram { data_points: vec![Default::default(); 4], aggregation_temporality: 1 });
    let exponential = ExponentialHistogram { data_points: vec![Default::default(); 8], aggregation_temporality: 2 };
    let exponential = Data::ExponentialHistogram(exponential);
    let summary = Data::Summary(Summary { data_points: vec![Default::default(); 16] });
    check(Signal::Metrics, &metrics(vec![gauge, sum, histogram, exponential, summary]), 31);
    check(Signal::Metrics, &metrics(vec![]), 0);
}

#[test]
fn of_several_kinds_in_one_metric_the_last_counts() {
    let metric = |data: &[u8]| {
        [&[0x0a, data.len() as u8 + 4, 0x12, data.len() as u8 + 2, 0x12, data.len() as u8], data].concat()
    };
    // Two sums merge; a gauge before them is gone.
    check(Signal::Metrics, &metric(b"\x2a\x02\x0a\x00\x3a\x02\x0a\x00\x3a\x04\x0a\x00\x0a\x00"), 3);
}

#[test]
fn log_records_are_counted() {
    let scope_logs = vec![ScopeLogs { log_records: vec![LogRecord::default(); 3], ..ScopeLogs::default() }; 2];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    check(Signal::Logs, &request.encode_to_vec(), 6);
}

#[test]
fn paths_lead_back_to_their_signal() {
    for signal in Signal::ALL {
        assert_eq!(Signal::from_grpc_path(signal.grpc_path()), Some(signal));
        assert_eq!(Signal::from_http_path(signal.http_path()), Some(signal));
    }
    assert_eq!(Signal::from_http_path("/v1/profiles"), None);
    assert_eq!(Signal::from_grpc_path("/v1/traces"), None);
}

proptest! {
    #[test]
    fn spans_are_counted(message in sample::odd_message()) {
        let decoded = ExportTraceServiceRequest::decode(&message[..]).expect("valid");
        let scopes = decoded.resource_spans.iter().flat_map(|inside| &inside.scope_spans);
        check(Signal::Traces, &message, scopes.map(|scope| scope.spans.len() as u64).sum());
    }

    #[test]
    fn hostile_bytes_never_panic(message in sample::hostile_message()) {
        for signal in Signal::ALL {
            let _ = count_items(signal, &message);
        }
    }
}
