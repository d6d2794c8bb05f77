//! An environment that takes requests and does not answer them: what is told of it, and what a rollback does about it.

use crate::answers::{Told, told};
use crate::upstream::Upstream;
use crate::*;
use gateway::{ClientLimits, Limits, OtlpClient, Outcome, Role};

/// Both environments; green does not answer.
async fn blue_and_hanging_green(protocol: Protocol) -> (Upstream, Upstream) {
    let (blue, green) = (Upstream::start(protocol).await, Upstream::start(protocol).await);
    green.set_open(false);
    (blue, green)
}

fn export(fixture: &Fixture, signal: Signal, message: Bytes) -> JoinHandle<Outcome> {
    let client = fixture.client(Protocol::Grpc);
    tokio::spawn(async move { client.export(signal, message).await })
}

fn rollback(blue: &Upstream, green: &Upstream) -> RouteTable {
    RouteTable { generation: 2, pins: Pins::Tear, ..table(blue, Some(green), 0) }
}

/// The next view as (unanswered, environment, role, spans), and when it was handed over.
async fn next(fixture: &mut Fixture) -> ((bool, Environment, Role, usize), u64) {
    let (unanswered, environment, role, message, handed_over_us, generation) = match fixture.view().await {
        View::Unanswered { environment, role, message, handed_over_us, generation } => {
            (true, environment, role, message, handed_over_us, generation)
        }
        View::Sent { environment, role, message, handed_over_us, answered_us, outcome, generation } => {
            assert!(outcome == Outcome::TAKEN && handed_over_us < answered_us);
            (false, environment, role, message, handed_over_us, generation)
        }
        view @ (View::NotMirrored { .. } | View::Tried { .. } | View::Out { .. } | View::Missed { .. }) => {
            panic!("{view:?}")
        }
    };
    assert_eq!(generation, 1);
    ((unanswered, environment, role, spans_of([&message]).len()), handed_over_us)
}

#[tokio::test]
async fn an_answer_that_takes_long_is_told_once_before_it_comes() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (blue, green) = blue_and_hanging_green(protocol).await;
        let (greens, blues) = traces_below(5_000, 3);
        for (weight, mirror, role) in [(5_000, false, Role::Serving), (0, true, Role::Mirrored)] {
            green.set_open(false);
            let mut fixture = Fixture::start(RouteTable { mirror, ..table(&blue, Some(&green), weight) }).await;
            let message = match mirror {
                false => request([(blues[0], 1), (greens[0], 1), (greens[1], 1)]),
                true => request([(blues[0], 1), (greens[0], 1)]),
            };
            let before = green.messages().len();
            let sending = export(&fixture, Signal::Traces, message);
            let (first, _) = next(&mut fixture).await;
            assert!(!first.0 && (first.1, first.2) == (Environment::Blue, Role::Serving), "{first:?}");
            green.arrived(before + 1).await;
            // From here on the clock runs by itself, since nobody does anything.
            tokio::time::pause();
            let (unanswered, handed_over_us) = next(&mut fixture).await;
            assert_eq!(unanswered, (true, Environment::Green, role, 2));
            tokio::time::advance(std::time::Duration::from_secs(5)).await;
            assert!(fixture.views.try_recv().is_err(), "it is told once");
            tokio::time::resume();
            green.set_open(true);
            assert_eq!(next(&mut fixture).await, ((false, Environment::Green, role, 2), handed_over_us));
            assert_eq!(sending.await.expect("no panic"), Outcome::TAKEN);
            assert!(fixture.views.try_recv().is_err(), "nothing else is told");
        }
    }
}

#[tokio::test]
async fn without_a_candidate_and_of_other_signals_nothing_is_told() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let green = Upstream::start(Protocol::Grpc).await;
    for (candidate, signal) in [(None, Signal::Traces), (Some(&green), Signal::Logs)] {
        blue.set_open(false);
        let mut fixture = Fixture::start(table(&blue, candidate, 0)).await;
        let before = blue.seen().len();
        let sending = export(&fixture, signal, request([(1, 1)]));
        blue.arrived(before + 1).await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        tokio::time::resume();
        blue.set_open(true);
        assert_eq!(sending.await.expect("no panic"), Outcome::TAKEN);
        assert!(fixture.views.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_rollback_gives_up_what_waits_for_the_environment_that_it_leaves() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (blue, green) = blue_and_hanging_green(protocol).await;
        let mut fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
        let (greens, blues) = traces_below(5_000, 1);
        let messages = [request([(greens[0], 1)]), request([(blues[0], 1), (greens[0], 2)])];
        let waiting = messages.clone().map(|message| export(&fixture, Signal::Traces, message));
        green.arrived(2).await;
        blue.arrived(1).await;
        fixture.publish(rollback(&blue, &green)).await;
        for sending in waiting {
            assert_eq!(told(sending.await.expect("no panic")), Told::Again(Some(100)));
        }
        let mut given_up = 0;
        while let Ok(view) = fixture.views.try_recv() {
            // On a busy machine the rollback may take a second.
            let View::Sent { environment, outcome, generation: 1, .. } = view else { continue };
            match (environment, outcome) {
                (Environment::Green, Outcome::Unknown { reason, .. }) => {
                    assert_eq!(reason, "rolled back while waiting");
                    given_up += 1;
                }
                (environment, outcome) => assert_eq!((environment, outcome), (Environment::Blue, Outcome::TAKEN)),
            }
        }
        assert_eq!((given_up, fixture.stats().environments.green.spans_unknown), (2, 2));
        assert_eq!(fixture.stats().bytes_in_flight, 0);
        // Sent again, and all that is new, goes to blue alone.
        let client = fixture.client(Protocol::Grpc);
        for message in messages.into_iter().chain([request([(greens[0], 3)])]) {
            assert_eq!(client.export(Signal::Traces, message).await, Outcome::TAKEN);
        }
        assert_eq!(green.seen().len(), 2);
        // Nothing is lost: blue has every span, one of them twice.
        let arrived = spans_of(&blue.messages());
        let times = |trace, span| arrived[&(trace_id(trace), span)];
        let found = [times(greens[0], 1), times(greens[0], 2), times(greens[0], 3), times(blues[0], 1)];
        assert_eq!(found, [1, 1, 1, 2]);
    }
}

#[tokio::test]
async fn a_rollback_after_the_promotion_gives_up_every_signal() {
    let (blue, green) = blue_and_hanging_green(Protocol::Grpc).await;
    let promoted = RouteTable { active: Environment::Green, ..table(&blue, Some(&green), 0) };
    let mut fixture = Fixture::start(promoted).await;
    let waiting = Signal::ALL.map(|signal| export(&fixture, signal, request([(1, 1)])));
    green.arrived(3).await;
    fixture.publish(rollback(&blue, &green)).await;
    for sending in waiting {
        assert_eq!(told(sending.await.expect("no panic")), Told::Again(Some(100)));
    }
}

/// A table that does not roll back from the environment that is waited for leaves its requests waiting.
async fn check_left_waiting(before: RouteTable, after: RouteTable, slow: &Upstream, mirrored: bool) {
    slow.set_open(false);
    let mut fixture = Fixture::start(before).await;
    let arrived = slow.seen().len();
    let sending = export(&fixture, Signal::Traces, request([(1, 1)]));
    slow.arrived(arrived + 1).await;
    assert!(matches!(fixture.publish(after).await, Event::Applied { .. }));
    // A later request is answered if it can be; whatever was given up by the table would have been before it.
    fixture.client(Protocol::Grpc).export(Signal::Traces, Bytes::new()).await;
    slow.set_open(true);
    assert_eq!(sending.await.expect("no panic"), Outcome::TAKEN);
    let mut views = 0;
    while views < 1 + usize::from(mirrored) {
        let View::Sent { message, outcome, .. } = fixture.view().await else { continue };
        assert_eq!(outcome, Outcome::TAKEN);
        views += usize::from(!message.is_empty());
    }
}

#[tokio::test]
async fn only_a_rollback_ends_waiting_and_only_for_the_environment_that_it_leaves() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    let all = || table(&blue, Some(&green), 10_000);
    let second = |table: RouteTable| RouteTable { generation: 2, ..table };
    for after in [
        RouteTable { pins: Pins::Keep, ..rollback(&blue, &green) },
        RouteTable { mirror: true, ..rollback(&blue, &green) },
        RouteTable { pins: Pins::Tear, ..second(table(&blue, Some(&green), 1)) },
    ] {
        check_left_waiting(all(), after, &green, false).await;
    }
    // A mirror copy keeps nobody waiting.
    let mirroring = RouteTable { mirror: true, ..table(&blue, Some(&green), 0) };
    check_left_waiting(mirroring, rollback(&blue, &green), &green, true).await;
}

#[tokio::test]
async fn what_waits_for_the_active_environment_goes_on_waiting_in_a_rollback() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    blue.set_open(false);
    let mut fixture = Fixture::start(table(&blue, Some(&green), 0)).await;
    let sending = export(&fixture, Signal::Traces, request([(1, 1)]));
    blue.arrived(1).await;
    fixture.publish(rollback(&blue, &green)).await;
    // This one is routed by the table that rolled back.
    let second = export(&fixture, Signal::Traces, request([(1, 2)]));
    blue.arrived(2).await;
    blue.set_open(true);
    assert_eq!(sending.await.expect("no panic"), Outcome::TAKEN);
    assert_eq!(second.await.expect("no panic"), Outcome::TAKEN);
}

#[tokio::test]
async fn after_a_rollback_nobody_waits_behind_the_requests_that_waited() {
    /// Requests that a connection to the gateway may have under way.
    const STREAMS: u64 = 1_024;
    let (blue, green) = blue_and_hanging_green(Protocol::Grpc).await;
    let mut fixture = Fixture::start_with(table(&blue, Some(&green), 5_000), Limits::default(), 10).await;
    let (greens, blues) = traces_below(5_000, 1);
    let limits = ClientLimits { http2_connections: 1, ..ClientLimits::default() };
    let url = format!("http://{}", fixture.addresses.gateway.grpc);
    let client =
        Arc::new(OtlpClient::new(&url, Protocol::Grpc, &Transport::default(), limits).expect("a good endpoint"));
    let export = |message| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.export(Signal::Traces, message).await })
    };
    let full: Vec<_> = (0..STREAMS).map(|span| export(request([(blues[0], span), (greens[0], span)]))).collect();
    blue.arrived(STREAMS as usize).await;
    let behind = export(request([(blues[0], STREAMS)]));
    fixture.publish(rollback(&blue, &green)).await;
    for sending in full {
        assert_eq!(told(sending.await.expect("no panic")), Told::Again(Some(100)));
    }
    assert_eq!(behind.await.expect("no panic"), Outcome::TAKEN);
    let handed_over = green.seen().len();
    for span in 0..50 {
        let message = request([(blues[0], span), (greens[0], span)]);
        assert_eq!(client.export(Signal::Traces, message).await, Outcome::TAKEN);
    }
    assert_eq!((green.seen().len(), fixture.stats().bytes_in_flight), (handed_over, 0));
}
