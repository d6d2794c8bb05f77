use super::*;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use otlp::{Scope, Status};
use prost::Message;

pub(crate) fn text(value: &str) -> Vec<u8> {
    AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }.encode_to_vec()
}

pub(crate) fn int(value: i64) -> Vec<u8> {
    AnyValue { value: Some(any_value::Value::IntValue(value)) }.encode_to_vec()
}

/// A span of a second.
pub(crate) fn span(kind: u8, trace: u64, id: u8, parent: u8) -> SpanView<'static> {
    let mut trace_id = [7; 16];
    trace_id[8..].copy_from_slice(&trace.to_be_bytes());
    let id_of = |byte| SpanId([0, 0, 0, 0, 0, 0, 0, byte]);
    SpanView {
        trace_id: TraceId(trace_id),
        span_id: id_of(id),
        parent_span_id: id_of(parent),
        kind,
        name: "",
        start_unix_ns: 1_000_000_000,
        end_unix_ns: 2_000_000_000,
        trace_state: "",
        flags: 0,
        status: Status::default(),
        attributes: &[],
        events: &[],
        links: &[],
        dropped: [0; 3],
        scope: Scope::default(),
        service: "",
        resource: &[],
    }
}

/// Each step: a second, a kind (`c` calls peer `name`, `d` a database, `s` serves), an id, a parent, a name. `expect` is what is
/// counted after ten seconds more, and how many calls were internal.
fn check(steps: &[(u64, char, u8, u8, &str)], expect: &[(&str, u64)], internal: u64) {
    let mut window = Window::new(10_000, [7; 16]);
    let mut last = UnixMillis(0);
    for (second, kind, id, parent, name) in steps {
        last = UnixMillis(second * 1_000);
        window.settle(last);
        let value = text(name);
        let key = if *kind == 'd' { "db.system" } else { "peer.service" };
        let attributes = [(key, value.as_slice())];
        let number = if *kind == 's' { SERVER } else { CLIENT };
        window.take(&SpanView { attributes: &attributes, ..span(number, 1, *id, *parent) }, last);
    }
    window.settle(last.plus_ms(10_000));
    let settled = window.drain();
    let found: Vec<(String, u64)> =
        settled.called.iter().map(|(who, called)| (who.to_string(), called.calls)).collect();
    let expect: Vec<(String, u64)> = expect.iter().map(|(who, calls)| ((*who).to_owned(), *calls)).collect();
    assert_eq!((found, settled.internal), (expect, internal));
    assert_eq!((window.open(), window.served.len(), window.opened.len(), window.served_in.len()), (0, 0, 0, 0));
}

#[test]
fn a_call_without_an_answer_is_external() {
    check(&[(1, 'c', 1, 0, "billing"), (1, 'c', 2, 0, "billing")], &[("peer billing", 2)], 0);
}

#[test]
fn an_answered_call_is_ours_in_whatever_order_it_comes() {
    check(&[(1, 'c', 1, 0, "cart"), (4, 's', 2, 1, "")], &[], 1);
    check(&[(1, 's', 2, 1, ""), (4, 'c', 1, 0, "cart")], &[], 1);
    // Zipkin's shared id.
    check(&[(1, 's', 1, 0, ""), (4, 'c', 1, 0, "cart")], &[], 1);
    check(&[(1, 'c', 1, 0, "cart"), (4, 's', 1, 0, "")], &[], 1);
    // Of another call.
    check(&[(1, 'c', 1, 0, "cart"), (4, 's', 2, 3, "")], &[("peer cart", 1)], 0);
    // After it was settled.
    check(&[(1, 'c', 1, 0, "cart"), (12, 's', 2, 1, "")], &[("peer cart", 1)], 0);
}

#[test]
fn a_database_is_external_whoever_answers() {
    check(&[(1, 'd', 1, 0, "mysql"), (1, 's', 2, 1, "")], &[("database mysql", 1)], 0);
    check(&[(1, 's', 2, 1, ""), (1, 'd', 1, 0, "mysql")], &[("database mysql", 1)], 0);
}

#[test]
fn one_that_comes_twice_is_one_call() {
    check(&[(1, 'c', 1, 0, "billing"), (2, 'c', 1, 0, "billing")], &[("peer billing", 1)], 0);
}

#[test]
fn what_does_not_fit_halves_the_traces_that_are_followed() {
    let mut window = Window::new(10_000, [7; 16]);
    let value = text("billing");
    let attributes = [("peer.service", value.as_slice())];
    for trace in 1..=300_000 {
        window.take(&SpanView { attributes: &attributes, ..span(CLIENT, trace, 1, 0) }, UnixMillis(1));
        window.take(&span(SERVER, trace, 9, 8), UnixMillis(1));
        assert!(window.opened.len() <= MAX_OPEN && window.served_in.len() <= MAX_SERVED);
    }
    window.settle(UnixMillis(20_000));
    let settled = window.drain();
    assert_eq!(settled.one_trace_of, 8, "300,000 are 4.6 times what fits");
    let calls = settled.called.values().map(|called| called.calls).sum::<u64>();
    assert!((30_000..45_000).contains(&calls), "an eighth of 300,000, found {calls}");
}

#[test]
fn more_names_than_are_kept_are_counted() {
    let mut window = Window::new(0, [7; 16]);
    for trace in 1..=3_000 {
        let value = text(&format!("n{trace}"));
        let attributes = [("peer.service", value.as_slice())];
        window.take(&SpanView { attributes: &attributes, ..span(CLIENT, trace, 1, 0) }, UnixMillis(1));
    }
    window.settle(UnixMillis(1));
    let settled = window.drain();
    assert_eq!((settled.called.len(), settled.not_kept), (MAX_DEPENDENCIES, 3_000 - MAX_DEPENDENCIES as u64));
    let mut merged = Dependencies::default();
    merged.merge(&settled);
    assert_eq!(merged, settled);
}
