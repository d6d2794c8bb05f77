//! Split, then decode, equals decode, then split: every record once, in its part, byte for byte and in its order, with
//! everything that was around it.

use crate::parts::{PARTS, Part, split, split_by_resource};
use crate::tree::{self, Item};
use model::TraceId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use otlp::{Signal, count_items};
use prost::Message;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The target: the bytes as a request of each signal.
pub(crate) fn run(bytes: &[u8]) {
    check(Signal::Traces, bytes);
    check(Signal::Logs, bytes);
    check_metrics(bytes);
}

/// How far a request of traces or logs was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Understood {
    /// The splitter took it: the framing of request, envelopes and records holds.
    pub taken: bool,
    /// prost takes it too.
    pub decoded: bool,
    /// Parts with a record.
    pub parts: usize,
}

/// Splits a request of traces or logs by its trace ids' first bytes, and compares the parts with both references.
///
/// # Panics
/// If a part is not what it must be.
pub fn check(signal: Signal, message: &[u8]) -> Understood {
    let parts = split(signal, message, part_of);
    let read = tree::read(signal, message);
    let decoded = match signal {
        Signal::Traces => check_decoded::<ExportTraceServiceRequest>(message, parts.as_deref().ok()),
        Signal::Logs => check_decoded::<ExportLogsServiceRequest>(message, parts.as_deref().ok()),
        Signal::Metrics => unreachable!("metrics have no trace ids"),
    };
    let (parts, read) = match (parts, read) {
        (Ok(parts), Some(read)) => (parts, read),
        (Err(malformed), None) => {
            assert!(malformed.offset <= message.len(), "{malformed}");
            return Understood { taken: false, decoded, parts: 0 };
        }
        (Ok(_), None) => panic!("the splitter took what the reference refuses"),
        (Err(malformed), Some(_)) => panic!("the splitter refused what the reference takes: {malformed}"),
    };
    for (number, part) in (0..PARTS).zip(&parts) {
        let expected = tree::keep(&read, &|trace| part_of(trace) == number);
        assert_eq!(part.records, expected.iter().map(tree::records).sum::<u64>(), "records of part {number}");
        assert!(part.bytes.len() <= message.len(), "part {number} is longer than the whole");
        let found = tree::read(signal, &part.bytes).expect("a part is well-formed");
        assert_eq!(found, expected, "part {number}");
    }
    let records = read.iter().map(tree::records).sum();
    assert_eq!(parts.iter().map(|part| part.records).sum::<u64>(), records, "every record is in one part");
    assert_eq!(count_items(signal, message), Ok(records), "count_items counts the records");
    Understood { taken: true, decoded, parts: parts.iter().filter(|part| part.records > 0).count() }
}

/// Ids that are not valid are all zero here, and go to part 0.
fn part_of(trace: TraceId) -> u8 {
    trace.0[0] % PARTS
}

/// Compares with what prost makes of the message and of its parts, if it takes the message; whether it does.
fn check_decoded<M: Request>(message: &[u8], parts: Option<&[Part]>) -> bool {
    let Ok(decoded) = M::decode(message) else { return false };
    let parts = parts.expect("the splitter takes what prost takes");
    for (number, part) in (0..PARTS).zip(parts) {
        let found = M::decode(&part.bytes[..]).expect("prost takes a part of what it takes");
        let mut expected = decoded.clone();
        expected.keep(|trace| part_of(trace) == number);
        assert_eq!(found, expected, "prost's view of part {number}");
    }
    true
}

/// A request that can be split once it is decoded.
trait Request: Message + Clone + Default + PartialEq + Debug {
    /// Keeps the records of these traces, and no envelope without one.
    fn keep(&mut self, kept: impl Fn(TraceId) -> bool);
}

impl Request for ExportTraceServiceRequest {
    fn keep(&mut self, kept: impl Fn(TraceId) -> bool) {
        self.resource_spans.retain_mut(|resource| {
            resource.scope_spans.retain_mut(|scope| {
                scope.spans.retain(|span| kept(trace_id(&span.trace_id)));
                !scope.spans.is_empty()
            });
            !resource.scope_spans.is_empty()
        });
    }
}

impl Request for ExportLogsServiceRequest {
    fn keep(&mut self, kept: impl Fn(TraceId) -> bool) {
        self.resource_logs.retain_mut(|resource| {
            resource.scope_logs.retain_mut(|scope| {
                scope.log_records.retain(|record| kept(trace_id(&record.trace_id)));
                !scope.log_records.is_empty()
            });
            !resource.scope_logs.is_empty()
        });
    }
}

fn trace_id(bytes: &[u8]) -> TraceId {
    bytes.try_into().map(TraceId).unwrap_or_default()
}

/// Splits a request of metrics by resource: each `ResourceMetrics` is in one part, byte for byte and in its order, and all
/// that have the same attributes are in the same one, whatever their order. Data points are counted as prost counts them.
///
/// # Panics
/// If a part or the count is not what it must be.
pub fn check_metrics(message: &[u8]) -> Understood {
    let decoded = check_count_of_points(message);
    let (parts, read) = match (split_by_resource(message), tree::read(Signal::Metrics, message)) {
        (Ok(parts), Some(read)) => (parts, read),
        (Err(_), None) => {
            assert!(!decoded, "the splitter takes what prost takes");
            return Understood { taken: false, decoded, parts: 0 };
        }
        (parts, read) => panic!("taken: {}, by the reference: {}", parts.is_ok(), read.is_some()),
    };
    let parsed = parts.iter().map(|part| tree::read(Signal::Metrics, &part.bytes).expect("a part is well-formed"));
    let parsed: Vec<_> = parsed.collect();
    let mut part_of = BTreeMap::new();
    for (number, part) in parsed.iter().enumerate() {
        for attributes in part.iter().filter_map(attributes) {
            assert_eq!(*part_of.entry(attributes).or_insert(number), number, "a resource is in one part");
        }
    }
    for (number, part) in parsed.iter().enumerate() {
        let kept =
            |item: &&Item<'_>| attributes(item).is_none_or(|attributes| part_of.get(&attributes) == Some(&number));
        let expected: Vec<Item<'_>> = read.iter().filter(kept).cloned().collect();
        let records = expected.iter().map(tree::records).sum::<u64>();
        assert_eq!(parts[number].records, records, "records of part {number}");
        assert_eq!(part, if records == 0 { &[][..] } else { &expected[..] }, "part {number}");
    }
    let records = read.iter().map(tree::records).sum::<u64>();
    assert_eq!(parts.iter().map(|part| part.records).sum::<u64>(), records, "every record is in one part");
    Understood { taken: true, decoded, parts: parts.iter().filter(|part| part.records > 0).count() }
}

/// The attributes of a record's resource, sorted: what it is known by.
fn attributes<'m>(item: &Item<'m>) -> Option<Vec<&'m [u8]>> {
    let Item::Record { bytes, .. } = item else { return None };
    // The record's own key and length are around it: as a message, it holds one field.
    let resources = tree::contents(bytes, 1).into_iter().flat_map(|record| tree::contents(record, 1));
    let mut attributes: Vec<&[u8]> = resources.flat_map(|resource| tree::contents(resource, 1)).collect();
    attributes.sort_unstable();
    Some(attributes)
}

/// Whether prost takes the message.
fn check_count_of_points(message: &[u8]) -> bool {
    let counted = count_items(Signal::Metrics, message);
    let Ok(decoded) = ExportMetricsServiceRequest::decode(message) else { return false };
    let scopes = decoded.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let points = scopes.flat_map(|scope| &scope.metrics).map(|metric| match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    });
    assert_eq!(counted, Ok(points.sum::<usize>() as u64), "data points");
    true
}
