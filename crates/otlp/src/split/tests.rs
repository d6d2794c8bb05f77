use super::*;
use crate::sample;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

/// How many parts the tests split into.
const PARTS_HERE: u8 = 5;

/// Trace ids to parts, by a number that a test chooses.
fn route(seed: u8) -> impl Fn(TraceId) -> Part {
    move |trace| trace.0[0].wrapping_mul(31).wrapping_add(seed) % PARTS_HERE
}

fn by_trace(route: impl Fn(TraceId) -> Part) -> impl FnMut(Unit) -> Part {
    move |unit| match unit {
        Unit::Trace(trace) => route(trace),
        Unit::Resource(_) => unreachable!("spans are routed by trace"),
    }
}

fn part(splitter: &mut Splitter, message: &[u8], wanted: impl Fn(Part) -> bool) -> Vec<u8> {
    let mut part = vec![0xaa];
    splitter.write(message, wanted, &mut part);
    assert_eq!(part.remove(0), 0xaa, "a part is appended");
    part
}

/// Splits, and compares with what prost decodes, if it does.
fn check(message: &[u8], seed: u8) {
    let mut splitter = Splitter::default();
    let scanned = splitter.scan(Signal::Traces, message, by_trace(route(seed)));
    let decoded = ExportTraceServiceRequest::decode(message);
    assert!(scanned.is_ok() || decoded.is_err(), "prost takes what we refuse: {scanned:?}");
    let sets: [fn(Part) -> bool; 7] =
        [|it| it == 0, |it| it == 1, |it| it == 2, |it| it == 3, |it| it == 4, |it| it % 2 == 0, |_| true];
    for wanted in sets {
        let records: u64 = (0..PARTS_HERE).filter(|it| wanted(*it)).map(|it| splitter.records(it)).sum();
        let part = part(&mut splitter, message, wanted);
        assert!(part.len() <= message.len());
        let mut again = Splitter::default();
        again.scan(Signal::Traces, &part, |_| 7).expect("a part is well-formed");
        assert_eq!(again.records(7), records);
        assert_eq!(again.parts().collect::<Vec<_>>(), if records > 0 { vec![7] } else { vec![] });
        if let Ok(decoded) = &decoded {
            let part = ExportTraceServiceRequest::decode(&part[..]).expect("a part decodes as the whole does");
            assert_eq!(part, regroup(decoded.clone(), |trace| wanted(route(seed)(trace))));
        }
    }
}

/// What a splitter that decodes would do.
fn regroup(mut request: ExportTraceServiceRequest, keep: impl Fn(TraceId) -> bool) -> ExportTraceServiceRequest {
    for resource_spans in &mut request.resource_spans {
        for scope_spans in &mut resource_spans.scope_spans {
            scope_spans.spans.retain(|span| keep(span.trace_id[..].try_into().map(TraceId).unwrap_or_default()));
        }
        resource_spans.scope_spans.retain(|scope_spans| !scope_spans.spans.is_empty());
    }
    request.resource_spans.retain(|resource_spans| !resource_spans.scope_spans.is_empty());
    request
}

proptest! {
    #[test]
    fn parts_decode_to_the_regrouped_whole(message in sample::odd_message(), seed: u8) {
        check(&message, seed);
    }

    #[test]
    fn hostile_bytes_never_panic(message in sample::hostile_message(), seed: u8) {
        check(&message, seed);
        for signal in [Signal::Metrics, Signal::Logs] {
            let mut splitter = Splitter::default();
            let _ = splitter.scan(signal, &message, |_| 1);
            prop_assert!(part(&mut splitter, &message, |_| true).len() <= message.len());
        }
    }

    #[test]
    fn what_all_goes_one_way_is_the_message_itself(message in sample::odd_message()) {
        // Once empty envelopes are out, nothing is left to change: unknown fields and every order are kept.
        let whole = |message: &[u8]| {
            let mut splitter = Splitter::default();
            splitter.scan(Signal::Traces, message, |_| 3).expect("well-formed");
            part(&mut splitter, message, |it| it == 3)
        };
        let once = whole(&message);
        prop_assert_eq!(&whole(&once), &once);
        let decoded = ExportTraceServiceRequest::decode(&message[..]).expect("valid");
        let full = |scopes: &[opentelemetry_proto::tonic::trace::v1::ScopeSpans]| {
            !scopes.is_empty() && scopes.iter().all(|scope| !scope.spans.is_empty())
        };
        if !decoded.resource_spans.is_empty() && decoded.resource_spans.iter().all(|spans| full(&spans.scope_spans)) {
            prop_assert_eq!(once, message);
        }
    }
}

fn field(number: u32, content: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::wire::put_bytes_field(&mut out, number, &content.concat());
    out
}

#[test]
fn envelopes_and_unknown_fields_go_with_every_part_byte_for_byte() {
    let (one, two) = (field(1, &[&[1; 16]]), field(1, &[&[2; 16]]));
    let unknown = [0xa0, 0x86, 0x00, 0x81, 0x00];
    // Backwards, as the OpenTelemetry Collector writes: schema, spans, then what they belong to.
    let scope = |spans: &[&[u8]]| field(2, &[b"\x1a\x01s", &spans.concat(), &unknown, b"\x0a\x03\x0a\x01n"]);
    let resource = |scopes: &[u8]| field(1, &[&unknown, scopes, b"\x0a\x02\x10\x01", b"\x0a\x02\x10\x02"]);
    let spans = |trace: &[u8], name: &[u8]| field(2, &[name, trace]);
    let (a, b, c) = (spans(&one, b"\x2a\x01a"), spans(&two, b"\x2a\x01b"), spans(&one, b"\x2a\x01c"));
    let message = [&unknown[..], &resource(&scope(&[&a, &b, &c])), &unknown].concat();

    let mut splitter = Splitter::default();
    splitter.scan(Signal::Traces, &message, by_trace(|trace| trace.0[0])).unwrap();
    assert_eq!((splitter.records(1), splitter.records(2)), (2, 1));
    assert_eq!(splitter.parts().collect::<Vec<_>>(), [1, 2]);
    for (wanted, expected) in [(1, &[&a[..], &c][..]), (2, &[&b])] {
        let part = part(&mut splitter, &message, |it| it == wanted);
        assert_eq!(part, [&unknown[..], &resource(&scope(expected)), &unknown].concat());
    }
    assert_eq!(part(&mut splitter, &message, |_| true), message);
    assert_eq!(part(&mut splitter, &message, |_| false), b"");
}

#[test]
fn a_request_without_spans_has_empty_parts() {
    for message in [&b""[..], b"\x0a\x00", b"\x0a\x02\x12\x00", b"\x0a\x04\x0a\x02\x10\x01", b"\x18\x01"] {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.scan(Signal::Traces, message, |_| unreachable!("no span")), Ok(()));
        assert_eq!(splitter.parts().count(), 0);
        assert_eq!(part(&mut splitter, message, |_| true), b"");
    }
}

#[test]
fn the_last_trace_id_counts_and_a_trace_is_asked_for_once() {
    let span = |ids: &[u8]| field(2, &[&ids.iter().flat_map(|id| field(1, &[&[*id; 16]])).collect::<Vec<u8>>()]);
    let message =
        field(1, &[&field(2, &[&span(&[1, 2]), &span(&[]), &span(&[2]), &span(&[3]), &span(&[]), &span(&[2])])]);
    let mut asked = Vec::new();
    let mut splitter = Splitter::default();
    for _ in 0..2 {
        let scanned = splitter.scan(Signal::Traces, &message, |unit| {
            asked.push(unit);
            9
        });
        assert_eq!((scanned, splitter.records(9)), (Ok(()), 6));
        // Each request asks anew: the route table may have changed.
        assert_eq!(std::mem::take(&mut asked), [2, 0, 3].map(|id| Unit::Trace(TraceId([id; 16]))));
    }
}

#[test]
fn traces_that_share_a_place_keep_their_own_parts() {
    let ids: Vec<[u8; 16]> = (0..3).map(|first| std::array::from_fn(|at| if at == 0 { first } else { 5 })).collect();
    let spans: Vec<u8> = (0..30).flat_map(|number| field(2, &[&field(1, &[&ids[number % 3]])])).collect();
    let message = field(1, &[&field(2, &[&spans])]);
    let mut splitter = Splitter::default();
    splitter.scan(Signal::Traces, &message, by_trace(|trace| trace.0[0])).unwrap();
    assert_eq!([0, 1, 2].map(|part| splitter.records(part)), [10; 3]);
}

#[test]
fn a_failed_scan_leaves_nothing_of_the_scan_before() {
    let message = field(1, &[&field(2, &[&field(2, &[&field(1, &[&[1; 16]])])])]);
    let broken = [&message[..], &[0x07]].concat();
    let mut splitter = Splitter::default();
    splitter.scan(Signal::Traces, &message, |_| 0).unwrap();
    assert_eq!(splitter.scan(Signal::Traces, &broken, |_| 0).unwrap_err().offset, message.len());
    assert_eq!(splitter.parts().count(), 0);
    assert_eq!(part(&mut splitter, &broken, |_| true), b"");
}

fn resource(name: &str) -> Option<Resource> {
    let attributes = vec![KeyValue { key: name.to_owned(), ..KeyValue::default() }];
    Some(Resource { attributes, ..Resource::default() })
}

#[test]
fn log_records_go_with_their_trace_and_the_others_with_their_resource() {
    let record = |trace_id: Vec<u8>| LogRecord { trace_id, ..LogRecord::default() };
    let logs = |name: &str, log_records| {
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        ResourceLogs { resource: resource(name), scope_logs, ..ResourceLogs::default() }
    };
    let (traced, untraced) = (record(vec![1; 16]), record(vec![]));
    let request = ExportLogsServiceRequest {
        resource_logs: vec![
            logs("a", vec![traced.clone(), untraced.clone(), untraced.clone()]),
            logs("b", vec![untraced.clone(), traced.clone()]),
        ],
    };
    let message = request.encode_to_vec();
    let mut asked = Vec::new();
    let mut splitter = Splitter::default();
    splitter
        .scan(Signal::Logs, &message, |unit| {
            if !asked.contains(&unit) {
                asked.push(unit);
            }
            asked.iter().position(|known| *known == unit).unwrap() as Part
        })
        .unwrap();
    assert_eq!(asked[0], Unit::Trace(TraceId([1; 16])));
    assert!(matches!(asked[1..], [Unit::Resource(a), Unit::Resource(b)] if a != b), "{asked:?}");
    assert_eq!([0, 1, 2].map(|part| splitter.records(part)), [2, 2, 1]);
    let of_trace =
        ExportLogsServiceRequest { resource_logs: vec![logs("a", vec![traced.clone()]), logs("b", vec![traced])] };
    assert_eq!(part(&mut splitter, &message, |it| it == 0), of_trace.encode_to_vec());
    let of_a = ExportLogsServiceRequest { resource_logs: vec![logs("a", vec![untraced.clone(), untraced])] };
    assert_eq!(part(&mut splitter, &message, |it| it == 1), of_a.encode_to_vec());
}

#[test]
fn metrics_stay_with_their_resource() {
    let metrics = |name: &str, scopes: usize| ResourceMetrics {
        resource: resource(name),
        scope_metrics: vec![ScopeMetrics { schema_url: "s".to_owned(), ..ScopeMetrics::default() }; scopes],
        ..ResourceMetrics::default()
    };
    let request = |resource_metrics| ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let message = request(vec![metrics("a", 2), metrics("b", 1), metrics("a", 1)]);
    let mut first = None;
    let mut splitter = Splitter::default();
    splitter.scan(Signal::Metrics, &message, |unit| Part::from(*first.get_or_insert(unit) != unit)).unwrap();
    assert_eq!((splitter.records(0), splitter.records(1)), (2, 1));
    assert_eq!(part(&mut splitter, &message, |it| it == 0), request(vec![metrics("a", 2), metrics("a", 1)]));
    assert_eq!(part(&mut splitter, &message, |it| it == 1), request(vec![metrics("b", 1)]));
}

#[test]
fn scratch_memory_is_bounded_and_given_back() {
    assert_eq!(size_of::<Piece>(), 12, "the bound in the comments");
    let mut splitter = Splitter::default();
    let mut kept = |message: &[u8]| {
        splitter.scan(Signal::Traces, message, |_| 0).unwrap();
        part(&mut splitter, message, |_| true);
        (splitter.pieces.capacity(), splitter.lengths.capacity())
    };
    let empty = kept(&b"\x0a\x02\x12\x00".repeat(100_000));
    assert!(empty < (10, 10), "{empty:?}");
    let full = kept(&b"\x0a\x04\x12\x02\x12\x00".repeat(100_000));
    assert!(full >= (300_000, 200_000), "{full:?}");
    assert_eq!(kept(b""), (MAX_KEPT_ENTRIES, MAX_KEPT_ENTRIES));
}
