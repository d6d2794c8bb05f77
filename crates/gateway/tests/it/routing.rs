//! Which spans go where: weights, pins, rollbacks, the mirror.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{Limits, Outcome, Role};

async fn both() -> (Upstream, Upstream) {
    (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await)
}

/// Exports one span of each trace, and expects where they arrived: blue's count, green's count.
async fn check(fixture: &Fixture, (blue, green): (&Upstream, &Upstream), traces: &[u64], expected: (u64, u64)) {
    let before = [blue.messages().len(), green.messages().len()];
    let client = fixture.client(Protocol::Grpc);
    let message = request(traces.iter().map(|trace| (*trace, 1)));
    assert_eq!(client.export(Signal::Traces, message).await, Outcome::TAKEN);
    let count = |upstream: &Upstream, before| spans_of(&upstream.messages()[before..]).values().sum::<u64>();
    assert_eq!((count(blue, before[0]), count(green, before[1])), expected);
}

#[tokio::test]
async fn at_half_the_weight_every_span_arrives_once_and_traces_stay_whole() {
    let (blue, green) = both().await;
    let fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let client = Arc::new(fixture.client(Protocol::Grpc));
    let mut exports = tokio::task::JoinSet::new();
    for number in 0..40 {
        let client = Arc::clone(&client);
        // 25 spans of 100 traces, none next to its own.
        let message = request((0..25).map(|step| ((number * 7 + step * 3) % 100, number * 100 + step)));
        exports.spawn(async move { client.export(Signal::Traces, message).await });
    }
    assert!(exports.join_all().await.iter().all(|outcome| *outcome == Outcome::TAKEN));
    let mut arrived = 0;
    for (environment, upstream) in [(Environment::Blue, &blue), (Environment::Green, &green)] {
        for ((trace, _), times) in spans_of(&upstream.messages()) {
            assert_eq!(times, 1);
            let expected = if KEY.bucket(trace).0 < 5_000 { Environment::Green } else { Environment::Blue };
            assert_eq!(environment, expected);
            arrived += 1;
        }
    }
    assert_eq!(arrived, 1_000);
    let stats = fixture.stats();
    assert_eq!(stats.environments.blue.spans_acknowledged + stats.environments.green.spans_acknowledged, 1_000);
    assert_eq!((stats.live_pins, stats.bytes_in_flight), (100, 0));
    assert!(stats.environments.blue.last_routed_us > 0 && stats.environments.green.last_routed_us > 0);
}

#[tokio::test]
async fn a_shift_leaves_traces_in_flight_where_they_began() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 0)).await;
    let (old, new): (Vec<u64>, Vec<u64>) = ((0..10).collect(), (10..20).collect());
    check(&fixture, (&blue, &green), &old, (10, 0)).await;
    fixture.publish(RouteTable { generation: 2, ..table(&blue, Some(&green), 10_000) }).await;
    check(&fixture, (&blue, &green), &old, (10, 0)).await;
    check(&fixture, (&blue, &green), &new, (0, 10)).await;
    fixture.pass_ms(PIN_MS / 2);
    check(&fixture, (&blue, &green), &old[..5], (5, 0)).await;
    fixture.pass_ms(PIN_MS / 2 + 2_000);
    check(&fixture, (&blue, &green), &old, (5, 5)).await;
    assert_eq!(fixture.stats().torn_traces, 0);
}

#[tokio::test]
async fn a_rollback_moves_every_trace_and_counts_the_torn_ones_once() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 10_000)).await;
    let traces: Vec<u64> = (0..10).collect();
    check(&fixture, (&blue, &green), &traces, (0, 10)).await;
    fixture.publish(RouteTable { generation: 2, pins: Pins::Tear, ..table(&blue, Some(&green), 0) }).await;
    check(&fixture, (&blue, &green), &traces[..4], (4, 0)).await;
    check(&fixture, (&blue, &green), &traces[..6], (6, 0)).await;
    assert_eq!(fixture.stats().torn_traces, 6);
    // Also where the rollback takes the candidate away.
    fixture.publish(RouteTable { generation: 3, pins: Pins::Tear, ..table(&blue, None, 0) }).await;
    check(&fixture, (&blue, &green), &traces, (10, 0)).await;
    assert_eq!(fixture.stats().torn_traces, 10);
}

#[tokio::test]
async fn only_newer_tables_apply() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(RouteTable { generation: 5, ..table(&blue, Some(&green), 0) }).await;
    let older = RouteTable { generation: 4, ..table(&blue, Some(&green), 10_000) };
    let event = fixture.publish(older).await;
    assert!(
        matches!(
            event,
            Event::Refused { generation: 4, error: gateway::TableError::NotNewer { applied: 5, found: 4 } }
        ),
        "{event:?}"
    );
    check(&fixture, (&blue, &green), &[1, 2, 3], (3, 0)).await;
    let newer = RouteTable { generation: 6, ..table(&blue, Some(&green), 10_000) };
    assert!(matches!(fixture.publish(newer).await, Event::Applied { generation: 6, .. }));
    check(&fixture, (&blue, &green), &[4, 5, 6], (0, 3)).await;
    assert_eq!(fixture.stats().generation, Some(6));
}

#[tokio::test]
async fn tables_that_lead_nowhere_are_refused() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 0)).await;
    let good = RouteTable { generation: 2, ..table(&blue, Some(&green), 0) };
    let with_green = |change: &dyn Fn(&mut model::Upstream)| {
        let mut bad = good.clone();
        change(bad.upstreams.green.as_mut().expect("green is there"));
        bad
    };
    for (bad, expected) in [
        (RouteTable { generation: 2, ..table(&blue, None, 1) }, "no endpoint"),
        (RouteTable { pin_ms: 86_400_000, ..good.clone() }, "pins traces for 86400000 ms"),
        (with_green(&|green| green.tap = "unheard".to_owned()), "\"unheard\""),
        (with_green(&|green| green.tap = "blue".to_owned()), "both environments name the tap"),
        (with_green(&|green| green.endpoint = "ftp://x:1".to_owned()), "endpoint cannot be used"),
        (with_green(&|green| green.backend = Some("http://x".to_owned())), "endpoint cannot be used"),
    ] {
        let Event::Refused { generation: 2, error } = fixture.publish(bad).await else { panic!("refused") };
        assert!(error.to_string().contains(expected), "{error}");
    }
    check(&fixture, (&blue, &green), &[1], (1, 0)).await;
}

#[tokio::test]
async fn the_mirror_copies_what_the_active_serves() {
    let (blue, green) = both().await;
    let mirroring = RouteTable { mirror: true, ..table(&blue, Some(&green), 5_000) };
    let mut fixture = Fixture::start(mirroring).await;
    let (greens, blues) = traces_below(5_000, 3);
    let message = request(blues.iter().chain(&greens).map(|trace| (*trace, 1)));
    let client = fixture.client(Protocol::Grpc);
    assert_eq!(client.export(Signal::Traces, message).await, Outcome::TAKEN);
    let mut views = Vec::new();
    for _ in 0..3 {
        let View::Sent { environment, role, message, outcome, generation: 1, .. } = fixture.view().await else {
            panic!("sent")
        };
        assert_eq!(outcome, Outcome::TAKEN);
        views.push((environment, format!("{role:?}"), spans_of([&message]).len()));
    }
    views.sort();
    let serving = |environment| (environment, "Serving".to_owned(), 3);
    let expected =
        [serving(Environment::Blue), (Environment::Green, "Mirrored".to_owned(), 3), serving(Environment::Green)];
    assert_eq!(views, expected);
    assert_eq!(spans_of(&green.messages()).len(), 6);
    // What the active refuses is sent again by its client, and is mirrored then, once.
    blue.reply(Reply::Grpc(gateway::Status { code: 14, ..gateway::Status::default() }));
    client.export(Signal::Traces, request([(blues[0], 2)])).await;
    assert!(matches!(fixture.view().await, View::Sent { role: Role::Serving, outcome: Outcome::Refused(_), .. }));
    blue.reply(Reply::Taken);
    client.export(Signal::Traces, request([(blues[0], 2)])).await;
    for expected in [Role::Serving, Role::Mirrored] {
        let View::Sent { role, outcome, .. } = fixture.view().await else { panic!("sent") };
        assert_eq!((role, outcome), (expected, Outcome::TAKEN));
    }
    assert_eq!(spans_of(&green.messages())[&(trace_id(blues[0]), 2)], 1);
    assert_eq!(fixture.stats().environments.green.mirrored_spans, 4);
}

#[tokio::test]
async fn a_mirror_that_hangs_or_is_full_delays_nobody_and_says_so() {
    let (blue, green) = both().await;
    green.set_open(false);
    let mirroring = RouteTable { mirror: true, ..table(&blue, Some(&green), 0) };
    let message = request([(1, 1), (1, 2)]);
    let limits = Limits { mirror_queue_bytes: message.len() as u64, ..Limits::default() };
    let mut fixture = Fixture::start_with(mirroring, limits, 100).await;
    let client = fixture.client(Protocol::Grpc);
    for _ in 0..2 {
        assert_eq!(client.export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
        assert!(matches!(fixture.view().await, View::Sent { role: Role::Serving, .. }));
    }
    let View::NotMirrored { environment: Environment::Green, message: dropped } = fixture.view().await else {
        panic!("the second copy is dropped")
    };
    assert_eq!((dropped, fixture.stats().environments.green.mirror_dropped_spans), (message, 2));
    green.set_open(true);
    assert!(matches!(fixture.view().await, View::Sent { role: Role::Mirrored, outcome: Outcome::Acknowledged(_), .. }));
}

#[tokio::test]
async fn a_slow_environment_delays_only_its_own_requests() {
    let (blue, green) = both().await;
    let fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let (greens, blues) = traces_below(5_000, 1);
    green.set_open(false);
    let client = Arc::new(fixture.client(Protocol::Grpc));
    let slow = tokio::spawn({
        let (client, message) = (Arc::clone(&client), request([(greens[0], 1)]));
        async move { client.export(Signal::Traces, message).await }
    });
    green.arrived(1).await;
    for span in 0..50 {
        assert_eq!(client.export(Signal::Traces, request([(blues[0], span)])).await, Outcome::TAKEN);
    }
    assert!(!slow.is_finished());
    green.set_open(true);
    assert_eq!(slow.await.expect("no panic"), Outcome::TAKEN);
}
