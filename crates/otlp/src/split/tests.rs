use super::*;
use crate::sample;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;

fn route(greens: u8) -> impl Fn(TraceId) -> Environment {
    // Bit n of `greens` is where trace n goes; bit 0 is the invalid ids' place.
    move |trace| if greens >> (trace.0[0] % 8) & 1 == 1 { Environment::Green } else { Environment::Blue }
}

/// Splits, and compares with what prost decodes, if it does.
fn check(message: &[u8], greens: u8) {
    let mut splitter = Splitter::default();
    let scanned = splitter.scan(message, route(greens));
    let decoded = ExportTraceServiceRequest::decode(message);
    assert!(scanned.is_ok() || decoded.is_err(), "prost takes what we refuse: {scanned:?}");
    let counts = scanned.unwrap_or_default();
    for environment in Environment::BOTH {
        let mut part = vec![0xaa];
        splitter.write(message, environment, &mut part);
        assert_eq!(part.remove(0), 0xaa, "a part is appended");
        assert_eq!(part.len(), splitter.part_len(environment));
        let again = Splitter::default().scan(&part, |_| environment).expect("a part is well-formed");
        assert_eq!(again[environment], counts[environment]);
        if let Ok(decoded) = &decoded {
            let part = ExportTraceServiceRequest::decode(&part[..]).expect("a part decodes as the whole does");
            assert_eq!(part, regroup(decoded.clone(), |trace| route(greens)(trace) == environment));
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
    fn parts_decode_to_the_regrouped_whole(message in sample::odd_message(), greens: u8) {
        check(&message, greens);
    }

    #[test]
    fn hostile_bytes_never_panic(message in sample::hostile_message(), greens: u8) {
        check(&message, greens);
    }

    #[test]
    fn what_all_goes_one_way_is_the_message_itself(message in sample::odd_message()) {
        // Once empty envelopes are out, nothing is left to change: unknown fields and every order are kept.
        let part = |message: &[u8]| {
            let (mut splitter, mut part) = (Splitter::default(), Vec::new());
            splitter.scan(message, |_| Environment::Green).expect("well-formed");
            splitter.write(message, Environment::Green, &mut part);
            part
        };
        let once = part(&message);
        prop_assert_eq!(&part(&once), &once);
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
fn envelopes_and_unknown_fields_go_with_both_parts_byte_for_byte() {
    let (one, two) = (field(1, &[&[1; 16]]), field(1, &[&[2; 16]]));
    let unknown = [0xa0, 0x86, 0x00, 0x81, 0x00];
    // Backwards, as the OpenTelemetry Collector writes: schema, spans, then what they belong to.
    let scope = |spans: &[&[u8]]| field(2, &[b"\x1a\x01s", &spans.concat(), &unknown, b"\x0a\x03\x0a\x01n"]);
    let resource = |scopes: &[u8]| field(1, &[&unknown, scopes, b"\x0a\x02\x10\x01", b"\x0a\x02\x10\x02"]);
    let spans = |trace: &[u8], name: &[u8]| field(2, &[name, trace]);
    let (a, b, c) = (spans(&one, b"\x2a\x01a"), spans(&two, b"\x2a\x01b"), spans(&one, b"\x2a\x01c"));
    let message = [&unknown[..], &resource(&scope(&[&a, &b, &c])), &unknown].concat();

    let mut splitter = Splitter::default();
    let counts = splitter.scan(&message, route(0b10)).unwrap();
    assert_eq!(counts, SpanCounts { blue: 1, green: 2 });
    for (environment, expected) in [(Environment::Blue, &[&b[..]][..]), (Environment::Green, &[&a, &c])] {
        let mut part = Vec::new();
        splitter.write(&message, environment, &mut part);
        assert_eq!(part, [&unknown[..], &resource(&scope(expected)), &unknown].concat());
    }
}

#[test]
fn a_request_without_spans_has_empty_parts() {
    for message in [&b""[..], b"\x0a\x00", b"\x0a\x02\x12\x00", b"\x0a\x04\x0a\x02\x10\x01", b"\x18\x01"] {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.scan(message, |_| unreachable!("no span")), Ok(SpanCounts::default()));
        let mut part = Vec::new();
        splitter.write(message, Environment::Blue, &mut part);
        assert_eq!(part, b"");
    }
}

#[test]
fn the_last_trace_id_counts_and_runs_are_asked_once() {
    let span = |ids: &[u8]| field(2, &[&ids.iter().flat_map(|id| field(1, &[&[*id; 16]])).collect::<Vec<u8>>()]);
    let message = field(1, &[&field(2, &[&span(&[1, 2]), &span(&[2]), &span(&[]), &span(&[2])])]);
    let mut asked = Vec::new();
    let counts = Splitter::default().scan(&message, |trace| {
        asked.push(trace.0[0]);
        Environment::Green
    });
    assert_eq!(counts, Ok(SpanCounts { blue: 0, green: 4 }));
    assert_eq!(asked, [2, 0, 2]);
}

#[test]
fn a_failed_scan_leaves_nothing_of_the_scan_before() {
    let message = field(1, &[&field(2, &[&field(2, &[&field(1, &[&[1; 16]])])])]);
    let broken = [&message[..], &[0x07]].concat();
    let mut splitter = Splitter::default();
    splitter.scan(&message, route(0)).unwrap();
    assert_eq!(splitter.scan(&broken, route(0)).unwrap_err().offset, message.len());
    let mut part = Vec::new();
    splitter.write(&broken, Environment::Blue, &mut part);
    assert_eq!((part.len(), splitter.part_len(Environment::Blue)), (0, 0));
}

#[test]
fn log_records_are_split_by_their_trace_id() {
    let record = |trace_id: Vec<u8>| LogRecord { trace_id, ..LogRecord::default() };
    let request = |log_records| {
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        ExportLogsServiceRequest { resource_logs }
    };
    let message = request(vec![record(vec![1; 16]), record(vec![]), record(vec![2; 16])]).encode_to_vec();
    let mut splitter = Splitter::default();
    assert_eq!(splitter.scan_logs(&message, route(0b100)), Ok(SpanCounts { blue: 2, green: 1 }));
    let mut part = Vec::new();
    splitter.write(&message, Environment::Green, &mut part);
    assert_eq!(part, request(vec![record(vec![2; 16])]).encode_to_vec());
}

#[test]
fn scratch_memory_is_bounded_and_given_back() {
    assert_eq!((size_of::<Piece>(), size_of::<Envelope>()), (12, 16), "the bounds in the comments");
    let mut splitter = Splitter::default();
    let mut kept = |message: &[u8]| {
        splitter.scan(message, |_| Environment::Blue).unwrap();
        (splitter.pieces.capacity(), splitter.envelopes.capacity())
    };
    let empty = kept(&b"\x0a\x02\x12\x00".repeat(100_000));
    assert!(empty < (10, 10), "{empty:?}");
    let full = kept(&b"\x0a\x04\x12\x02\x12\x00".repeat(100_000));
    assert!(full >= (300_000, 200_000), "{full:?}");
    assert_eq!(kept(b""), (MAX_KEPT_ENTRIES, MAX_KEPT_ENTRIES));
}
