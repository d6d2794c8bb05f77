//! How long services take.

use super::*;
use crate::frequent::TRACES_TO_BE_CHOSEN;
use model::{ServiceTimes, US_FOR_A_CALL};

/// A trace of three spans: `web` takes 100 ms and calls `pay` for so long, beside what that takes itself.
fn trace(verifier: &mut Verifier, environment: Environment, id: u8, at_ms: u64, call_us: u64) {
    let span = |number, parent, service, operation, kind, took_us: u64| SpanFact {
        trace: TraceId([id; 16]),
        span: script::span(number),
        parent,
        kind,
        service,
        operation,
        start_ns: 1_000_000_000,
        end_ns: 1_000_000_000 + took_us * 1_000,
        ..SpanFact::default()
    };
    let server_us = 20_000;
    for fact in [
        span(1, SpanId::NONE, "web", "GET /", 2, 100_000),
        span(2, script::span(1), "web", "POST", 3, server_us + call_us),
        span(3, script::span(2), "pay", "POST /pay", 2, server_us),
    ] {
        verifier.sent(environment, Delivery::Acknowledged, at_ms * 1_000, &fact);
        verifier.out(environment, at_ms * 1_000 + 500, &fact);
    }
}

fn observed(verifier: &mut Verifier) -> Vec<ServiceTimes> {
    let mut services = Vec::new();
    for id in 0..TRACES_TO_BE_CHOSEN as u8 {
        trace(verifier, Environment::Blue, id, 10_000, 1_000);
    }
    let chosen_in = verifier.advance(UnixMillis(18_000)).pop().unwrap();
    assert_eq!(chosen_in.services, [], "what made the choice is not counted");
    for id in 200..204 {
        trace(verifier, Environment::Blue, id, 11_000, 1_000);
        trace(verifier, Environment::Green, id, 11_000, 60_000);
    }
    services.extend(verifier.advance(UnixMillis(19_000)).pop().unwrap().services);
    services
}

#[test]
fn calls_and_operations_are_timed_by_themselves() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0)).with_service_times();
    let services = observed(&mut verifier);
    let mut times = services.iter().map(|it| (&it.subject, [&it.time_us.blue.0.0, &it.time_us.green.0.0]));
    // 2^(39/4) = 861 us and 2^(63/4) = 55,109 us: a call takes what the called service does not.
    let call = Subject::Edge { from: "web".into(), to: "pay".into() };
    assert_eq!(times.next(), Some((&call, [&[(39, 4)].into(), &[(63, 4)].into()])));
    let operation = |service: &str, operation: &str, kind| Subject::Operation {
        service: service.into(),
        operation: operation.into(),
        kind,
    };
    // The service that is called takes 20 ms in both, and what calls the caller takes less by what the call takes more.
    assert_eq!(times.next(), Some((&operation("pay", "POST /pay", 2), [&[(57, 4)].into(), &[(57, 4)].into()])));
    assert_eq!(times.next(), Some((&operation("web", "GET /", 2), [&[(65, 4)].into(), &[(57, 4)].into()])));
    assert_eq!(times.next(), Some((&operation("web", "POST", 3), [&[(39, 4)].into(), &[(63, 4)].into()])));
    assert_eq!(times.next(), None);
    let once = model::ShortHistogram(model::ExponentialHistogram([(28, 4)].into()));
    assert_eq!(services[0].calls, Some(PerEnvironment { blue: once.clone(), green: once }));
    assert_eq!(US_FOR_A_CALL, 128);
    let slowest = services[0].slowest.unwrap();
    assert_eq!((slowest.latency_us, slowest.trace), (60_000, TraceId([200; 16])));
    assert!(verifier.example(Environment::Green, slowest.trace).is_some(), "its evidence is kept");
}

#[test]
fn nothing_is_timed_where_no_guard_asks_for_it() {
    assert_eq!(observed(&mut Verifier::new(CONFIG, UnixMillis(0))), []);
}
