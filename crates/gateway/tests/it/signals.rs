//! Logs with their trace, metrics by their resource, and which spans verification is shown.

use crate::upstream::Upstream;
use crate::*;
use gateway::Outcome;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

async fn both() -> (Upstream, Upstream) {
    (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await)
}

#[tokio::test]
async fn without_a_candidate_metrics_and_logs_pass_unread() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let mut fixture = Fixture::start(table(&blue, None, 0)).await;
    let client = fixture.client(Protocol::Grpc);
    for signal in [Signal::Metrics, Signal::Logs] {
        assert_eq!(client.export(signal, Bytes::from_static(b"\xff")).await, Outcome::TAKEN);
        assert_eq!(blue.seen().last(), Some(&(signal, Bytes::from_static(b"\xff"))));
    }
    assert!(fixture.views.try_recv().is_err(), "views are of traces alone");
}

/// One log record for each of these trace ids.
fn log_records(traces: &[u64]) -> Bytes {
    let record = |trace: &u64| LogRecord { trace_id: trace_id(*trace).0.to_vec(), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: traces.iter().map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec().into()
}

#[tokio::test]
async fn log_records_go_where_their_trace_goes() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let client = fixture.client(Protocol::Grpc);
    let (to_green, to_blue) = traces_below(5_000, 3);
    let mixed: Vec<u64> = to_green.iter().zip(&to_blue).flat_map(|(green, blue)| [*green, *blue]).collect();
    assert_eq!(client.export(Signal::Logs, log_records(&mixed)).await, Outcome::TAKEN);
    assert_eq!(blue.seen(), [(Signal::Logs, log_records(&to_blue))]);
    assert_eq!(green.seen(), [(Signal::Logs, log_records(&to_green))]);
    // The shift moves neither the spans nor the records of traces that have begun.
    fixture.publish(RouteTable { generation: 2, ..table(&blue, Some(&green), 10_000) }).await;
    let spans = request(to_blue.iter().map(|trace| (*trace, 1)));
    assert_eq!(client.export(Signal::Traces, spans.clone()).await, Outcome::TAKEN);
    assert_eq!(blue.seen().last(), Some(&(Signal::Traces, spans)));
    assert_eq!((fixture.stats().environments.blue.spans_acknowledged, fixture.stats().torn_traces), (3, 0));
}

/// A data point of each of these services.
fn data_points(services: &[usize]) -> Bytes {
    let metrics = |service: &usize| ResourceMetrics {
        resource: Some(Resource {
            attributes: vec![KeyValue { key: format!("service-{service}"), ..KeyValue::default() }],
            ..Resource::default()
        }),
        scope_metrics: vec![ScopeMetrics {
            metrics: vec![Metric {
                data: Some(Data::Gauge(Gauge { data_points: vec![NumberDataPoint::default()] })),
                ..Metric::default()
            }],
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: services.iter().map(metrics).collect() }.encode_to_vec().into()
}

#[tokio::test]
async fn a_series_stays_on_one_side_and_only_a_shift_moves_it() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let client = fixture.client(Protocol::Grpc);
    let services: Vec<usize> = (0..20).collect();
    for _ in 0..2 {
        assert_eq!(client.export(Signal::Metrics, data_points(&services)).await, Outcome::TAKEN);
    }
    let sides = [&blue, &green].map(|side| side.messages());
    assert!(sides.iter().all(|seen| seen.len() == 2 && seen[0] == seen[1]), "{sides:?}");
    let counts = sides.map(|seen| otlp::count_items(Signal::Metrics, &seen[0]).expect("well-formed"));
    assert!(counts[0] + counts[1] == 20 && counts.iter().all(|count| *count > 2), "{counts:?}");
    fixture.publish(RouteTable { generation: 2, ..table(&blue, Some(&green), 10_000) }).await;
    assert_eq!(client.export(Signal::Metrics, data_points(&services)).await, Outcome::TAKEN);
    assert_eq!(green.messages().last(), Some(&data_points(&services)));
    assert!(fixture.views.try_recv().is_err(), "views are of traces alone");
}

#[tokio::test]
async fn verification_is_shown_the_share_that_it_can_follow() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let client = fixture.client(Protocol::Grpc);
    let traces: Vec<u64> = (0..200).collect();
    let all = request(traces.iter().map(|trace| (*trace, 1)));
    for ceiling in [u64::MAX, u64::MAX / 4, 0] {
        fixture.share.set(ceiling);
        assert_eq!(client.export(Signal::Traces, all.clone()).await, Outcome::TAKEN);
        let included = traces.iter().filter(|trace| KEY.mark(trace_id(**trace)) <= ceiling);
        let expected = request(included.map(|trace| (*trace, 1)));
        let mut shown = Vec::new();
        while let Ok(View::Sent { message, .. }) = fixture.views.try_recv() {
            shown.push(message);
        }
        assert_eq!(spans_of(&shown), spans_of([&expected]), "{ceiling}");
        // A tap shows the same traces.
        let tap = crate::client(&fixture.addresses.taps["green"], Protocol::Grpc);
        assert_eq!(tap.export(Signal::Traces, all.clone()).await, Outcome::TAKEN);
        let mut out = Vec::new();
        while let Ok(View::Out { message, .. }) = fixture.views.try_recv() {
            out.push(message);
        }
        assert_eq!(spans_of(&out), spans_of([&expected]), "{ceiling}");
    }
    assert_eq!(fixture.stats().environments.green.tap_spans, 600);
}

#[tokio::test]
async fn without_a_rollout_nothing_is_shown_until_somebody_learns_and_nothing_is_refused_for_it() {
    let (blue, _green) = both().await;
    let mut fixture = Fixture::start(table(&blue, None, 0)).await;
    let client = fixture.client(Protocol::Grpc);
    let tap = crate::client(&fixture.addresses.taps["blue"], Protocol::Grpc);
    let traces: Vec<u64> = (0..100).collect();
    let all = request(traces.iter().map(|trace| (*trace, 1)));
    // A span whose own bytes are none: it can be counted, and its trace id cannot be read.
    let torn = Bytes::from_static(&[0x0a, 5, 0x12, 3, 0x12, 1, 0xff]);
    // Whether anything is shown, and up to which mark.
    for (always, ceiling) in [(false, u64::MAX), (true, u64::MAX), (true, u64::MAX / 4), (false, u64::MAX)] {
        fixture.share.set(ceiling);
        fixture.share.show_always(always);
        let included = traces.iter().filter(|trace| always && KEY.mark(trace_id(**trace)) <= ceiling);
        let expected = spans_of([&request(included.map(|trace| (*trace, 1)))]);
        for message in [&all, &torn] {
            assert_eq!(client.export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
            assert_eq!(tap.export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
            assert_eq!(blue.messages().last(), Some(message), "the original bytes");
        }
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        while let Ok(view) = fixture.views.try_recv() {
            match view {
                View::Sent { environment: Environment::Blue, message, .. } => sent.push(message),
                View::Out { environment: Environment::Blue, message, .. } => out.push(message),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((spans_of(&sent), spans_of(&out)), (expected.clone(), expected), "{always} {ceiling}");
    }
    let counts = fixture.stats().environments.blue;
    assert_eq!((counts.tap_spans, counts.spans_acknowledged), (404, 404));
}
