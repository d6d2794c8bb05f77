//! What happens where something does not fit.

use super::*;
use crate::finding::MAX_GROUPS;
use crate::subject::MAX_SUBJECTS_EVER;
use model::{BasisPoints, Check, MAX_FINDINGS_PER_OBSERVATION, MAX_SUBJECTS_PER_OBSERVATION};

pub(super) fn number(trace: u64) -> TraceId {
    TraceId(u128::from(trace).to_be_bytes())
}

pub(super) fn fact<'a>(
    trace: u64,
    span: u64,
    operation: &'a str,
    attributes: &'a [(&'a str, &'a [u8])],
) -> SpanFact<'a> {
    SpanFact {
        trace: number(trace),
        span: SpanId(span.to_be_bytes()),
        parent: SpanId::NONE,
        kind: 1,
        service: "shop",
        operation,
        attributes,
        resource: &[("service.name", b"shop")],
        ..SpanFact::default()
    }
}

pub(super) fn acknowledged(verifier: &mut Verifier, environment: Environment, at_ms: u64, fact: &SpanFact<'_>) {
    verifier.sent(environment, Delivery::Acknowledged, at_ms * 1_000, fact);
}

/// Sends every trace to both environments, and lets it come out.
pub(super) fn mirror(verifier: &mut Verifier, traces: std::ops::Range<u64>, at_ms: u64) {
    for trace in traces {
        for environment in Environment::BOTH {
            for span in 1..=3 {
                acknowledged(verifier, environment, at_ms, &fact(trace, span, "pay", &[("x", b"")]));
                verifier.out(environment, (at_ms + 1) * 1_000, &fact(trace, span, "pay", &[("x", b"")]));
                assert!(verifier.stats().counted_spans <= verifier.config.max_spans);
            }
        }
    }
}

#[test]
fn over_the_bound_the_same_share_of_traces_is_left_out_of_both() {
    let mut verifier = Verifier::new(Config { max_spans: 500, ..CONFIG }, UnixMillis(0));
    mirror(&mut verifier, 0..1_000, 10_000);
    let share = verifier.stats().share_verified;
    assert!(share < 1 << 32, "a share was verified");
    let observations = verifier.advance(UnixMillis(18_000));
    let [observation] = &observations[..] else { panic!("one batch") };
    assert_eq!(observation.arms.blue, observation.arms.green);
    let (traces, left_out) = (observation.arms.green.traces, observation.left_out.green);
    assert!(traces > 20 && (990..=1_000).contains(&(traces + left_out)), "{traces} and {left_out}");
    assert_eq!(observation.left_out.blue, left_out);
    assert_eq!(observation.arms.green.events.len(), 0);
    assert_eq!(verifier.stats().left_out.green, left_out);
}

#[test]
fn the_share_grows_again_and_what_was_left_out_is_not_fabricated() {
    let mut verifier = Verifier::new(Config { max_spans: 500, ..CONFIG }, UnixMillis(0));
    mirror(&mut verifier, 0..1_000, 10_000);
    // Another quarter of the bound may be in flight; what was sent at 25.9 s comes out when more is verified.
    (0..50).for_each(|trace| acknowledged(&mut verifier, Environment::Blue, 25_900, &fact(trace, 1, "pay", &[])));
    let before = verifier.stats().share_verified;
    let closed = verifier.advance(UnixMillis(26_000));
    assert_eq!(verifier.stats().share_verified, before * 2);
    let share = |parts: u64| BasisPoints::new(((parts * 10_000) >> 32) as u16).unwrap();
    assert!(before < 1 << 31 && closed.iter().all(|it| it.verified == share(before)), "what they rest on: {closed:?}");
    (0..50).for_each(|trace| verifier.out(Environment::Blue, 27_000_000, &fact(trace, 1, "pay", &[])));
    let mut fabricated = 0;
    for now_ms in (27_000..190_000).step_by(1_000) {
        let observations = verifier.advance(UnixMillis(now_ms));
        fabricated += observations.iter().map(|seen| seen.arms.blue.events(Check::FabricatedSpan)).sum::<u64>();
    }
    assert_eq!(fabricated, 0);
    let whole = verifier.advance(UnixMillis(300_000)).pop().unwrap();
    assert_eq!(whole.verified, BasisPoints::ALL);
    assert_eq!(verifier.stats().share_verified, 1 << 32, "in the end everything is verified");
}

#[test]
fn too_many_spans_a_second_cut_the_share_until_they_fit() {
    let mut verifier = Verifier::new(Config { max_rate: 2_000, ..CONFIG }, UnixMillis(10_000));
    assert_eq!(verifier.ceiling(), u64::MAX);
    // 1,200 traces of 12 tellings in 0.3 s: 48,000 a second, 24 times what is to be joined.
    mirror(&mut verifier, 0..1_200, 10_000);
    verifier.advance(UnixMillis(10_299));
    let share = verifier.stats().share_verified;
    assert!(((1 << 32) / 25..=(1 << 32) / 23).contains(&share), "{share}");
    let included = (0..1_200).filter(|trace| CONFIG.route_key.mark(number(*trace)) <= verifier.ceiling()).count();
    assert_eq!(verifier.stats().traces_in_flight, PerEnvironment { blue: included, green: included });
    // Told of no more than these, it goes on with them.
    mirror(&mut verifier, 0..10, 10_300);
    verifier.advance(UnixMillis(11_000));
    assert_eq!(verifier.stats().share_verified, share);
}

#[test]
fn a_flood_cuts_the_share_before_its_window_ends() {
    let mut verifier = Verifier::new(Config { max_rate: 2_000, ..CONFIG }, UnixMillis(10_000));
    // 960 tellings in 10 ms are two large requests: as many as two windows may have.
    mirror(&mut verifier, 0..80, 10_000);
    verifier.advance(UnixMillis(10_010));
    assert_eq!(verifier.stats().share_verified, 1 << 32);
    // 1,200 are a flood. Over a tenth of a second they are 12,000 a second, six times what is to be joined.
    mirror(&mut verifier, 80..100, 10_010);
    verifier.advance(UnixMillis(10_020));
    let share = verifier.stats().share_verified;
    assert!(((1 << 32) / 7..=(1 << 32) / 5).contains(&share), "{share}");
}

#[test]
fn a_bound_of_nothing_verifies_nothing() {
    let mut verifier = Verifier::new(Config { max_spans: 0, ..CONFIG }, UnixMillis(0));
    mirror(&mut verifier, 0..10, 10_000);
    let observations = verifier.advance(UnixMillis(18_000));
    assert_eq!((observations[0].traces(), observations[0].left_out.green), (0, 10));
}

/// Nearly all spans come out as they were sent, and then wait for their batch: three and a quarter count as one.
#[test]
fn what_came_out_as_it_was_sent_takes_less_room() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let span = |id| fact(1, id, "pay", &[("x", b"")]);
    (0..130).for_each(|id| acknowledged(&mut verifier, Environment::Green, 10_000, &span(id)));
    assert_eq!(verifier.stats().counted_spans, 131);
    (0..130).for_each(|id| verifier.out(Environment::Green, 10_001_000, &span(id)));
    assert_eq!((verifier.stats().counted_spans, verifier.stats().spans_in_flight), (41, 130));
    // What is told of one of them later is told of that one.
    (0..130).step_by(2).for_each(|id| verifier.out(Environment::Green, 10_002_000, &span(id)));
    acknowledged(&mut verifier, Environment::Green, 10_500, &span(7));
    verifier.sent(Environment::Green, Delivery::Refused, 10_600_000, &span(9));
    assert_eq!(verifier.stats().counted_spans, 1 + 67 + 20);
    let observation = &verifier.advance(UnixMillis(18_000))[0];
    let found: Vec<_> = observation.findings.iter().map(|it| (it.check, it.spans.green)).collect();
    assert_eq!(found, [(Check::ExportFailure, 1), (Check::DuplicatedSpan, 65)]);
    assert_eq!(observation.arms.green.latency_us.0.keys().collect::<Vec<_>>(), [&79], "a millisecond");
    assert_eq!(verifier.stats().counted_spans, 0);
}

#[test]
fn a_trace_that_is_too_large_is_left_out() {
    let mut verifier = Verifier::new(Config { max_spans: 1 << 20, ..CONFIG }, UnixMillis(0));
    let most = MAX_SPANS_PER_TRACE as u64;
    for trace in [1, 2] {
        (0..most).for_each(|span| {
            acknowledged(&mut verifier, Environment::Green, 10_000, &fact(trace, span, "pay", &[]));
            verifier.out(Environment::Green, 10_001_000, &fact(trace, span, "pay", &[]));
        });
    }
    acknowledged(&mut verifier, Environment::Green, 10_000, &fact(2, most, "pay", &[]));
    let observation = &verifier.advance(UnixMillis(18_000))[0];
    assert_eq!((observation.arms.green.traces, observation.left_out.green), (1, 1));
    assert_eq!((observation.arms.green.spans_out, observation.findings.len()), (most, 0));
}

#[test]
fn hand_overs_that_wait_for_an_answer_are_bounded() {
    let unanswered = |verifier: &mut Verifier, trace, at_us| {
        verifier.sent(Environment::Green, Delivery::Unanswered, at_us, &fact(trace, 1, "pay", &[]));
        assert!(verifier.stats().counted_spans <= verifier.config.max_spans);
    };
    let mut verifier = Verifier::new(Config { max_spans: 1 << 20, ..CONFIG }, UnixMillis(0));
    let most = MAX_SPANS_PER_TRACE as u64;
    (0..most).for_each(|step| unanswered(&mut verifier, 1, 10_000_000 + step));
    assert_eq!(verifier.stats().counted_spans, 2 + MAX_SPANS_PER_TRACE);
    unanswered(&mut verifier, 1, 10_999_999);
    assert_eq!(verifier.stats().counted_spans, 1, "it is left out");
    // Of all traces together they count as spans do.
    let mut verifier = Verifier::new(Config { max_spans: 500, ..CONFIG }, UnixMillis(0));
    (0..1_000).for_each(|step| unanswered(&mut verifier, step % 250, 10_000_000 + step));
    let arm = &verifier.advance(UnixMillis(18_000))[0].arms.green;
    assert!((1..200).contains(&arm.traces) && arm.events(Check::ExportFailure) == arm.traces, "{arm:?}");
    assert_eq!(verifier.stats().counted_spans, 0);
}

#[test]
fn findings_and_subjects_that_do_not_fit_are_counted() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    for trace in 0..100 {
        let operation = format!("op {trace}");
        acknowledged(&mut verifier, Environment::Green, 10_000, &fact(trace, 1, &operation, &[]));
    }
    acknowledged(&mut verifier, Environment::Green, 10_000, &fact(200, 1, "op 99", &[]));
    let observation = &verifier.advance(UnixMillis(18_000))[0];
    assert_eq!(observation.findings.len(), MAX_FINDINGS_PER_OBSERVATION);
    assert_eq!(observation.blind_spots.len(), MAX_SUBJECTS_PER_OBSERVATION);
    assert_eq!(observation.omitted, 68 + 76);
    assert_eq!(observation.findings[0].operation, "op 99", "the most frequent first");
    assert_eq!(observation.blind_spots[0].unseen.green, 2);
    assert_eq!(observation.arms.green.events(Check::LostSpan), 101, "nothing is left out of the counts");
}

#[test]
fn groups_and_subjects_are_bounded() {
    let mut verifier = Verifier::new(Config { max_spans: 1 << 20, ..CONFIG }, UnixMillis(0));
    let all = MAX_SUBJECTS_EVER as u64 + 5;
    for trace in 0..all {
        let operation = format!("op {trace}");
        acknowledged(&mut verifier, Environment::Green, 10_000, &fact(trace, 1, &operation, &[]));
    }
    let observation = &verifier.advance(UnixMillis(18_000))[0];
    let groups = MAX_FINDINGS_PER_OBSERVATION as u64;
    let omitted_groups = (MAX_GROUPS as u64 - groups) + (all - MAX_GROUPS as u64);
    assert_eq!(observation.omitted, omitted_groups + all - MAX_SUBJECTS_PER_OBSERVATION as u64);
    assert_eq!(verifier.stats().subjects_not_kept, 5);
}

#[test]
fn without_room_for_words_the_counts_are_the_same() {
    let observed = |bounds| {
        let mut verifier = Verifier::bounded(CONFIG, UnixMillis(0), bounds);
        for trace in 0..100 {
            let (operation, key) = (format!("op {trace}"), format!("key {trace}"));
            acknowledged(&mut verifier, Environment::Green, 10_000, &fact(trace, 1, &operation, &[(&key, b"")]));
            let out: &[(&str, &[u8])] = if trace % 2 == 0 { &[(&key, b""), ("~", b"")] } else { &[] };
            verifier.out(Environment::Green, 10_001_000, &fact(trace, 1, &operation, out));
        }
        (verifier.advance(UnixMillis(18_000)).remove(0), verifier.stats().words_not_kept)
    };
    let (full, none) = (Bounds::FULL, Bounds { names: 1, key_sets: 1, resources: 0 });
    let ((full, kept), (none, not_kept)) = (observed(full), observed(none));
    // Where keys are not kept one that was added can hide behind another that shares its bit of the signature.
    let (mut full_events, mut none_events) = (full.arms.green.events.clone(), none.arms.green.events.clone());
    assert_eq!(full_events.remove(&Check::AddedAttribute), Some(50));
    assert!(none_events.remove(&Check::AddedAttribute).is_some_and(|seen| (40..=50).contains(&seen)));
    assert_eq!(full_events, none_events);
    assert_eq!((&full.arms.blue, &full.arms.green.latency_us), (&none.arms.blue, &none.arms.green.latency_us));
    assert_eq!(full.arms.green.events(Check::MissingAttribute), 50);
    assert_eq!((none.findings[0].operation.as_str(), none.findings[0].key.as_deref()), ("(other)", Some("(other)")));
    assert!(kept == 0 && not_kept > 100);
}

#[test]
fn words_that_nothing_uses_make_room_for_others() {
    let bounds = Bounds { names: 40, key_sets: 40, resources: 40 };
    let mut verifier = Verifier::bounded(CONFIG, UnixMillis(0), bounds);
    for trace in 0..500 {
        let (at_ms, key) = (10_000 + trace * 1_000, format!("key {trace}"));
        acknowledged(&mut verifier, Environment::Green, at_ms, &fact(trace, 1, "pay", &[(&key, b"")]));
        verifier.out(Environment::Green, at_ms * 1_000, &fact(trace, 1, "pay", &[]));
        for observation in verifier.advance(UnixMillis(at_ms)) {
            let expected = format!("key {}", observation.batch - 10);
            assert_eq!(observation.findings[0].key.as_deref(), Some(expected.as_str()));
        }
    }
    assert_eq!(verifier.stats().words_not_kept, 0);
}

#[test]
fn hostile_names_are_cut_and_made_printable() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let (operation, key) = ("\u{1b}é".repeat(500), "\n\"".repeat(500));
    acknowledged(&mut verifier, Environment::Green, 10_000, &fact(1, 1, &operation, &[(&key, b"")]));
    verifier.out(Environment::Green, 10_001_000, &fact(1, 1, &operation, &[]));
    let finding = verifier.advance(UnixMillis(18_000)).remove(0).findings.remove(0);
    assert_eq!(finding.operation, "?é".repeat(42) + "?");
    // 64 bytes in JSON, where a quote is two.
    assert_eq!(finding.key.unwrap(), "?\"".repeat(21) + "?");
}

fn json_bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_string(value).unwrap().len()
}

/// As much as a batch can tell: names that take twice their length in JSON, every check in both environments, latencies
/// all over a day, eight operations, and as many calls and operations of services as are timed.
#[test]
fn the_largest_observation_fits_into_a_record() {
    const DAY_MS: u64 = 86_400_000;
    let config = Config { batch_ms: 6_000, horizon_ms: DAY_MS, max_spans: 1 << 20, ..CONFIG };
    let mut verifier = Verifier::new(config, UnixMillis(0)).with_service_times();
    let name = |of: u64| format!("{of:03}{}", "\"\\".repeat(100));
    let resource: &[(&str, &[u8])] = &[("host.name", b"a")];
    let mut next = 0;
    let mut batch = |verifier: &mut Verifier, from_ms: u64| {
        for of in 0..8_000u64 {
            next += 1;
            let (service, operation, key) = (name(of % 200), name(of % 8), name(of % 50));
            let attributes: [(&str, &[u8]); 1] = [(key.as_str(), b"")];
            let sent = SpanFact { service: &operation, ..fact(next, 1, &operation, &attributes) };
            let child = SpanFact { service: &service, parent: script::span(1), ..sent };
            let environment = if of % 2 == 0 { Environment::Blue } else { Environment::Green };
            let at_us = (from_ms + of % 6_000) * 1_000;
            verifier.sent(environment, Delivery::Acknowledged, at_us, &sent);
            let refused = SpanFact { status: Status { code: 2, message: "" }, span: script::span(2), ..child };
            verifier.sent(environment, Delivery::Refused, at_us, &refused);
            // A call that takes anything from a microsecond to a minute, once or many times.
            let end_ns = (1u64 << (10 + of * 37 % 26)) + 1_000;
            for call in 0..=(of % 3 * 35) as u8 {
                let client =
                    SpanFact { span: script::span(50 + call), parent: sent.span, start_ns: 1_000, end_ns, ..sent };
                verifier.sent(environment, Delivery::Acknowledged, at_us, &client);
                let (called, span) = (name(300 + of % 7), script::span(150 + call));
                let server = SpanFact { service: &called, span, parent: client.span, end_ns: 1_000, ..client };
                verifier.sent(environment, Delivery::Acknowledged, at_us, &server);
            }
            if of % 5 == 0 {
                let lost = SpanFact { span: script::span(3), ..child };
                verifier.sent(environment, Delivery::Acknowledged, at_us, &lost);
                continue;
            }
            // From a microsecond to a day: every bucket has some.
            let us =
                (of * 37 % 296).checked_div(8).map_or(1, |octave| (1u64 << octave) + (1u64 << octave) * (of % 8) / 8);
            let out = SpanFact { attributes: &[], resource, parent: script::span(7), ..sent };
            verifier.out(environment, at_us + us.min(DAY_MS * 1_000), &out);
            verifier.out(environment, at_us + us.min(DAY_MS * 1_000), &out);
            verifier.out(environment, at_us + 1, &SpanFact { span: script::span(9), ..sent });
        }
    };
    let first = 2 * DAY_MS;
    batch(&mut verifier, first);
    verifier.advance(UnixMillis(first + DAY_MS + 10_000));
    batch(&mut verifier, first + DAY_MS + 12_000);
    let observation =
        verifier.advance(UnixMillis(first + 3 * DAY_MS)).into_iter().max_by_key(|it| it.traces()).unwrap();
    assert_eq!(observation.findings.len(), MAX_FINDINGS_PER_OBSERVATION);
    assert_eq!(observation.blind_spots.len(), MAX_SUBJECTS_PER_OBSERVATION);
    assert!(observation.findings.iter().all(|finding| json_bytes(finding) <= 600));
    assert!(observation.blind_spots.iter().all(|spot| json_bytes(spot) <= 550));
    assert!(observation.operations.iter().all(|operation| json_bytes(operation) <= 1_090));
    assert_eq!(observation.operations.len(), model::MAX_OPERATIONS_PER_OBSERVATION);
    let calls = observation.services.iter().filter(|times| times.calls.is_some());
    assert_eq!(calls.clone().count(), model::MAX_TIMED_CALLS);
    assert!(calls.clone().all(|times| json_bytes(times) > 400), "they have times");
    assert_eq!(observation.services.len(), model::MAX_TIMED_CALLS + model::MAX_TIMED_OPERATIONS);
    assert!(observation.services.iter().all(|times| json_bytes(times) <= 1_180));
    let bytes = json_bytes(&observation);
    assert!(bytes < 64_000, "{bytes} bytes leave no room for the record around them");
}

#[test]
fn no_time_is_too_large() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    verifier.sent(Environment::Green, Delivery::Acknowledged, u64::MAX, &fact(1, 1, "pay", &[]));
    verifier.out(Environment::Green, u64::MAX, &fact(1, 1, "pay", &[]));
    verifier.out(Environment::Green, u64::MAX, &fact(2, 1, "pay", &[]));
    verifier.leave_out(Environment::Blue, number(3), UnixMillis(u64::MAX));
    verifier.missed(UnixMillis(u64::MAX));
    assert!(verifier.advance(UnixMillis(u64::MAX)).len() <= 63);
    verifier.sent(Environment::Green, Delivery::Acknowledged, u64::MAX, &fact(4, 1, "pay", &[]));
    verifier.advance(UnixMillis(u64::MAX));
}
