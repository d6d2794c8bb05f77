//! Requests taken apart: each span, log record and data point with its resource and scope, so that requests which group
//! them differently are the same.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Histogram, Metric, Sum};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::fmt::Debug;

/// Bytes that a failing test shows before what differs.
const SHOWN: usize = 200;

/// Everything that an item says, as text that a failing test can show.
pub(super) type Item = String;

fn item(resource: (&Option<Resource>, &str), scope: (&Option<InstrumentationScope>, &str), what: &impl Debug) -> Item {
    format!("{what:?} in {scope:?} in {resource:?}")
}

/// The spans, with their text.
pub(super) fn spans(request: &ExportTraceServiceRequest) -> Vec<(Span, Item)> {
    let mut items = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                let around = ((&resource.resource, &*resource.schema_url), (&scope.scope, &*scope.schema_url));
                items.push((span.clone(), item(around.0, around.1, span)));
            }
        }
    }
    items
}

pub(super) fn records(request: &ExportLogsServiceRequest) -> Vec<Item> {
    let mut items = Vec::new();
    for resource in &request.resource_logs {
        for scope in &resource.scope_logs {
            for record in &scope.log_records {
                let around = ((&resource.resource, &*resource.schema_url), (&scope.scope, &*scope.schema_url));
                items.push(item(around.0, around.1, record));
            }
        }
    }
    items
}

/// The data points, without the times that an SDK gives them.
pub(super) fn points(request: &ExportMetricsServiceRequest) -> Vec<Item> {
    let mut items = Vec::new();
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            for metric in scope.metrics.iter().flat_map(of_one_point) {
                let around = ((&resource.resource, &*resource.schema_url), (&scope.scope, &*scope.schema_url));
                items.push(item(around.0, around.1, &metric));
            }
        }
    }
    items
}

fn of_one_point(metric: &Metric) -> Vec<Metric> {
    let with = |data: Data| Metric { data: Some(data), ..metric.clone() };
    match metric.data.clone() {
        Some(Data::Gauge(Gauge { data_points })) => {
            let one = |mut point: opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
                (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                with(Data::Gauge(Gauge { data_points: vec![point] }))
            };
            data_points.into_iter().map(one).collect()
        }
        Some(Data::Sum(sum)) => {
            let one = |mut point: opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
                (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                with(Data::Sum(Sum { data_points: vec![point], ..sum.clone() }))
            };
            sum.data_points.clone().into_iter().map(one).collect()
        }
        Some(Data::Histogram(histogram)) => {
            let one = |mut point: opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| {
                (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                with(Data::Histogram(Histogram { data_points: vec![point], ..histogram.clone() }))
            };
            histogram.data_points.clone().into_iter().map(one).collect()
        }
        other => panic!("no client was told to send {other:?}"),
    }
}

/// Fails unless both hold the same items, each as often.
#[track_caller]
pub(super) fn check_same(what: &str, mut expected: Vec<Item>, mut found: Vec<Item>) {
    expected.sort_unstable();
    found.sort_unstable();
    let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
    if let Some((expected, found)) = differs {
        let same = expected.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
        let from = |item: &str| item[item.floor_char_boundary(same.saturating_sub(SHOWN))..].to_owned();
        let shown = |item: &str| from(item).chars().take(3 * SHOWN).collect::<String>();
        panic!("{what}: expected\n…{}…\nfound\n…{}…", shown(expected), shown(found));
    }
    assert_eq!(found.len(), expected.len(), "{what}: how many");
}
