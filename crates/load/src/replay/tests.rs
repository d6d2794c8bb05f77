use super::*;
use crate::run::server::{STARTED, Server, chain, counting, load, targets};
use crate::source::Source;
use model::Protocol;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::grpc::PREFIX_LEN;
use prost::Message;
use recording::{Bounds, Header, Writer};
use std::io::Cursor;
use std::time::Duration;

const RECORDED: UnixMillis = UnixMillis(1_700_000_000_000);
const RECORDED_NS: u64 = 1_700_000_000_000_000_000;
const STARTED_NS: u64 = 1_790_000_000_000_000_000;

/// A span of a trace, with its parent and a link to another trace's first span.
fn span(trace: u8, id: u8, parent: u8, linked: u8) -> Span {
    let link = Link { trace_id: vec![linked; 16], span_id: vec![1; 8], ..Link::default() };
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: format!("span {id}"),
        start_time_unix_nano: RECORDED_NS + u64::from(id),
        end_time_unix_nano: RECORDED_NS + 1_000 + u64::from(id),
        links: if linked == 0 { Vec::new() } else { vec![link] },
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn recorded(frames: Vec<(u64, Attempt, Vec<u8>)>) -> Vec<u8> {
    let bounds = Bounds { max_bytes: u64::MAX, max_ms: u64::MAX };
    let header = Header { started: RECORDED, redaction: None, bounds };
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for (offset_us, attempt, body) in frames {
        let (signal, protocol) = (Signal::Traces, Protocol::Grpc);
        writer.push(&Frame { offset_us, signal, protocol, attempt, body }).unwrap();
    }
    writer.finish().unwrap().0
}

fn replay(file: Vec<u8>, multiple: Multiple) -> Replay {
    Replay::new(Reader::new(Cursor::new(file)).unwrap(), multiple, STARTED, counting()).unwrap()
}

/// When each request is due, in microseconds, and its spans.
fn sent(replay: &mut Replay) -> Vec<(u64, Vec<Span>)> {
    let requests = std::iter::from_fn(|| replay.next_request());
    let spans = |message: &[u8]| {
        let request = ExportTraceServiceRequest::decode(message).unwrap();
        request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
    };
    requests.map(|request| (request.due_ns / 1_000, spans(&request.framed[PREFIX_LEN..]))).collect()
}

/// Two traces over three requests; the second links to the first.
fn two_traces() -> Vec<u8> {
    recorded(vec![
        (0, Attempt::First, request(vec![span(1, 1, 0, 0), span(1, 2, 1, 0)])),
        (1_000, Attempt::First, request(vec![span(2, 1, 0, 1), span(1, 3, 2, 0)])),
        (4_000, Attempt::Again, request(vec![span(2, 2, 1, 1)])),
    ])
}

/// Holds what was sent to what was recorded: the same tree in every copy, under trace ids that no other copy has.
fn check(multiple: Multiple, due_us: &[u64]) {
    let sent = sent(&mut replay(two_traces(), multiple));
    assert_eq!(sent.iter().map(|(due, _)| *due).collect::<Vec<_>>(), due_us);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for copy in 0..multiple.copies as usize {
        let spans: Vec<&Span> =
            sent.iter().skip(copy).step_by(multiple.copies as usize).flat_map(|(_, spans)| spans).collect();
        let (first, second) = (&spans[0].trace_id, &spans[2].trace_id);
        let traces: Vec<&Vec<u8>> = spans.iter().map(|span| &span.trace_id).collect();
        assert_eq!(traces[..4], [first, first, second, first]);
        assert!(first != second && first != &vec![1; 16] && !seen.contains(first) && !seen.contains(second));
        let parents: Vec<&[u8]> = spans.iter().map(|span| &span.parent_span_id[..]).collect();
        assert_eq!(parents[..4], [&[][..], &[1; 8], &[], &[2; 8]]);
        assert_eq!(spans[1].name, "span 2");
        // Links lead to the copy's own trace.
        for link in spans.iter().flat_map(|span| &span.links) {
            assert_eq!((&link.trace_id, &link.span_id[..]), (first, &[1; 8][..]));
        }
        seen.extend([first.clone(), second.clone()]);
    }
}

#[test]
fn copies_are_interleaved_with_ids_of_their_own() {
    let once = Multiple::default();
    check(once, &[0, 1_000, 4_000]);
    check(Multiple { copies: 3, ..once }, &[0, 333, 666, 1_000, 2_000, 3_000, 4_000, 4_000, 4_000]);
    check(Multiple { speed: 2.0, ..once }, &[0, 500, 2_000]);
    check(Multiple { speed: 0.5, copies: 2, ..once }, &[0, 1_000, 2_000, 5_000, 8_000, 8_000]);
    check(Multiple { with_retries: false, ..once }, &[0, 1_000]);
}

#[test]
fn times_move_to_now_and_unknown_ones_stay() {
    let mut unknown = span(1, 1, 0, 0);
    unknown.end_time_unix_nano = 0;
    let file = recorded(vec![(7_000, Attempt::First, request(vec![unknown, span(1, 2, 1, 0)]))]);
    let (_, spans) = &sent(&mut replay(file.clone(), Multiple::default()))[0];
    assert_eq!((spans[0].start_time_unix_nano, spans[0].end_time_unix_nano), (STARTED_NS + 1, 0));
    assert_eq!(spans[1].end_time_unix_nano, STARTED_NS + 1_002);
    // Twice as fast it comes 3.5 ms earlier, and so do its spans.
    let (due, spans) = &sent(&mut replay(file, Multiple { speed: 2.0, ..Multiple::default() }))[0];
    assert_eq!((*due, spans[0].start_time_unix_nano), (3_500, STARTED_NS + 1 - 3_500_000));
}

#[test]
fn logs_follow_their_traces_and_ids_that_are_none_stay() {
    let record = |trace_id| LogRecord { trace_id, span_id: vec![1; 8], time_unix_nano: 5, ..LogRecord::default() };
    let log_records = vec![record(vec![1; 16]), record(vec![0; 16]), record(Vec::new())];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let mut body = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    retag(Signal::Logs, &mut body, 10, |old| TraceId([old.0[0] + 40; 16])).unwrap();
    let request = ExportLogsServiceRequest::decode(&body[..]).unwrap();
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    let ids: Vec<&[u8]> = records.iter().map(|record| &record.trace_id[..]).collect();
    assert_eq!(ids, [&[41; 16][..], &[0; 16], &[]]);
    assert_eq!(records[0].time_unix_nano, 15);
}

#[test]
fn what_was_cut_off_or_is_no_otlp_is_said() {
    let whole = two_traces();
    let mut cut = replay(whole[..whole.len() - 10].to_vec(), Multiple::default());
    assert_eq!(sent(&mut cut).len(), 3);
    assert!(cut.trouble().unwrap().contains("cut off after 3 requests"), "{:?}", cut.trouble());
    let mut odd = replay(recorded(vec![(0, Attempt::First, vec![0x0a, 0x7f])]), Multiple::default());
    assert_eq!(sent(&mut odd).len(), 0);
    assert!(odd.trouble().unwrap().contains("1 requests of the recording are no OTLP"));
    let reader = || Reader::new(Cursor::new(two_traces())).unwrap();
    for multiple in [
        Multiple { copies: 0, ..Multiple::default() },
        Multiple { copies: 101, ..Multiple::default() },
        Multiple { speed: 0.0, ..Multiple::default() },
        Multiple { speed: f64::NAN, ..Multiple::default() },
    ] {
        assert!(Replay::new(reader(), multiple, STARTED, counting()).is_err());
    }
}

#[test]
fn known_traces_are_bounded() {
    let mut known = Known::default();
    let mut ids = counting();
    let first = known.renamed(0, TraceId([9; 16]), &mut ids);
    for number in 0..MAX_KNOWN as u128 {
        known.renamed(0, TraceId((number + 1).to_be_bytes()), &mut ids);
        assert!(known.young.len() <= MAX_KNOWN && known.old.len() <= MAX_KNOWN);
    }
    assert_eq!(known.renamed(0, TraceId([9; 16]), &mut ids), first, "the ones before are known too");
}

/// At the times of the recording, to the millisecond that simulated time has.
#[tokio::test(start_paused = true)]
async fn a_replay_comes_when_it_was_recorded() {
    let mut source = chain(200.0, 3_000);
    let mut frames = Vec::new();
    while let Some(request) = source.next_request() {
        frames.push((request.due_ns / 1_000, Attempt::First, request.framed[PREFIX_LEN..].to_vec()));
    }
    let offsets: Vec<u64> = frames.iter().map(|(offset_us, ..)| *offset_us).collect();
    let server = Server::start(|_| crate::run::server::Does::Takes, None);
    let source: Source = replay(recorded(frames), Multiple::default()).into();
    let report = crate::run(load(source, targets(Protocol::Grpc, [Some(&server), None])), None).await.unwrap();
    assert_eq!(report.targets.blue.unwrap().all.acknowledged.requests, 600);
    let came: Vec<Duration> = server.came.messages.lock().unwrap().iter().map(|(at, _)| *at).collect();
    let late: Vec<i64> =
        came.iter().zip(&offsets).map(|(at, us)| (*at - came[0]).as_micros() as i64 - *us as i64).collect();
    assert!(late.iter().all(|us| us.abs() <= 1_000), "{late:?}");
}
