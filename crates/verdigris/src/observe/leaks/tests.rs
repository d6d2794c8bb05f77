use super::*;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rollout::RolloutId;

const BEGAN: UnixMillis = UnixMillis(1_700_000_000_000);
const WAIT_MS: u64 = 8_000;
const CARD: &str = "paid with 4111 1111 1111 1111";

fn leaks() -> Leaks {
    let watching = Watching {
        rollout: RolloutId("a.1".to_owned()),
        batch_ms: 1_000,
        linger_ms: 1_000,
        horizon_ms: WAIT_MS,
        route_key: RouteKey([3; 16]),
        queries: PerEnvironment::default(),
        counted: Vec::new(),
        taken_back: 0,
        canary_every_ms: None,
        sends_load: true,
        searches_leaks: true,
        callees: None,
        times_services: false,
        transformations: PerEnvironment::default(),
    };
    Leaks::of(&watching, [7; 32], BEGAN).expect("it is asked for")
}

fn trace(number: u64) -> TraceId {
    let mut id = [9; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

/// A span of each trace, with an attribute.
fn message(traces: impl IntoIterator<Item = u64>, key: &str, value: &str) -> Vec<u8> {
    let span = |number: u64| Span {
        trace_id: trace(number).0.to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        attributes: vec![KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
            ..KeyValue::default()
        }],
        ..Span::default()
    };
    let spans = ScopeSpans { spans: traces.into_iter().map(span).collect(), ..ScopeSpans::default() };
    let spans = ResourceSpans { scope_spans: vec![spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

/// `class in place: blue green`, and what was searched.
fn words(told: &[LeakSearch]) -> Vec<String> {
    let of = |search: &LeakSearch| {
        let exposures: Vec<String> = search
            .exposures
            .iter()
            .map(|it| format!("; {} in {}: {} {}", it.class.name(), it.place.words(), it.traces.blue, it.traces.green))
            .collect();
        format!("searched {} {}{}", search.searched.blue, search.searched.green, exposures.concat())
    };
    told.iter().map(of).collect()
}

#[test]
fn greens_traces_are_told_when_blues_had_the_time_to_come_out() {
    let mut leaks = leaks();
    leaks.came_out(Environment::Green, &message(0..3, "note", CARD));
    leaks.came_out(Environment::Green, &message(2..4, "note", CARD));
    leaks.came_out(Environment::Blue, &message(10..15, "note", "paid"));
    assert_eq!(words(&leaks.advance(BEGAN.plus_ms(5_000))), [""; 0]);
    assert_eq!(words(&leaks.advance(BEGAN.plus_ms(12_999))), [""; 0]);
    let told = leaks.advance(BEGAN.plus_ms(13_000));
    assert_eq!(words(&told), ["searched 5 4; payment-card in attribute note: 0 4"]);
    assert!(!format!("{told:?}").contains("4111"));
}

#[test]
fn what_blue_shows_is_told_at_once_and_once() {
    let mut leaks = leaks();
    leaks.came_out(Environment::Green, &message(0..3, "note", CARD));
    leaks.came_out(Environment::Blue, &message(0..3, "note", CARD));
    leaks.came_out(Environment::Blue, &message(5..9, "note", CARD));
    assert_eq!(words(&leaks.advance(BEGAN)), ["searched 0 0; payment-card in attribute note: 1 0"]);
    leaks.came_out(Environment::Green, &message(20..23, "note", CARD));
    assert_eq!(words(&leaks.advance(BEGAN.plus_ms(30_000))), [""; 0], "nothing more is to be told of it");
    assert_eq!(words(&leaks.advance(BEGAN.plus_ms(60_000))), ["searched 7 6"]);
}

#[test]
fn canaries_and_keys_that_hold_a_value_are_not_named() {
    let mut leaks = leaks();
    let canary = leaks.key.canary([5; 8]);
    let number = u64::from_be_bytes(canary.0[8..].try_into().unwrap());
    let mut message_of_canary = message([number], "note", CARD);
    let at = message_of_canary.windows(16).position(|bytes| bytes == trace(number).0).expect("the id is there");
    message_of_canary[at..at + 16].copy_from_slice(&canary.0);
    leaks.came_out(Environment::Green, &message_of_canary);
    leaks.came_out(Environment::Green, &message([1], "for alice@shop.example", CARD));
    leaks.came_out(Environment::Blue, &message([2], "a", "b"));
    leaks.advance(BEGAN.plus_ms(5_000));
    let told = leaks.advance(BEGAN.plus_ms(13_000));
    let expected = "searched 1 1; email in an attribute's key: 0 1; payment-card in an attribute's key: 0 1";
    let found = words(&told);
    assert_eq!(found.len(), 1, "{found:?}");
    for part in expected.split("; ") {
        assert!(found[0].contains(part), "{found:?}");
    }
}

#[test]
fn no_more_is_searched_than_the_allowance() {
    assert_eq!(ceiling(u64::MAX, 0), u64::MAX);
    assert_eq!(ceiling(1 << 40, 2 * allowance_bytes()), 1 << 39);
    assert_eq!(ceiling(1 << 40, allowance_bytes() / 8), 1 << 41, "at most twice");
    assert_eq!(ceiling(1 << 40, 1_000 * allowance_bytes()), 1 << 36, "at least a sixteenth");
    assert_eq!(ceiling(1, u64::MAX), 1);
    let mut leaks = leaks();
    let much = message(0..250, "text", &"x".repeat(40_000));
    for _ in 0..10 {
        leaks.came_out(Environment::Blue, &much);
    }
    assert!(leaks.used_bytes <= MAX_OVERRUN * allowance_bytes() + 2 * much.len() as u64, "{}", leaks.used_bytes);
    leaks.advance(BEGAN.plus_ms(5_000));
    assert!(leaks.ceiling < u64::MAX / 2);
}

#[test]
fn places_and_traces_are_bounded() {
    let mut leaks = leaks();
    for number in 0..200 {
        leaks.came_out(Environment::Green, &message([number], &format!("note{number}"), CARD));
    }
    leaks.came_out(Environment::Green, b"\x0a\xff");
    leaks.advance(BEGAN.plus_ms(5_000));
    let told = leaks.advance(BEGAN.plus_ms(13_000));
    assert_eq!((told[0].exposures.len(), told[0].beyond), (MAX_EXPOSURES, 200 - MAX_EXPOSURES as u64));
    let mut recent = Recent::default();
    assert!((0..20_000).all(|number| recent.is_new(trace(number))));
    assert!(recent.is_new(trace(0)) && !recent.is_new(trace(19_999)));
    assert!(recent.shows(trace(19_999), 127) && !recent.shows(trace(19_999), 127) && !recent.shows(trace(7), 1));
}
