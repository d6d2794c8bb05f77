//! Taps: with a back end behind them, without one, and without an environment.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{Outcome, Status};

async fn both() -> (Upstream, Upstream) {
    (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await)
}

#[tokio::test]
async fn a_tap_without_a_back_end_acknowledges_and_shows() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 0)).await;
    for (tap, expected) in [("blue", Environment::Blue), ("green", Environment::Green)] {
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let pipeline = client(&fixture.addresses.taps[tap], protocol);
            for signal in [Signal::Metrics, Signal::Logs] {
                assert_eq!(pipeline.export(signal, Bytes::new()).await, Outcome::TAKEN);
            }
            let before_us = fixture.now_us.load(SeqCst);
            assert_eq!(pipeline.export(Signal::Traces, request([(1, 1), (1, 2)])).await, Outcome::TAKEN);
            let View::Out { environment, message, at_us } = fixture.view().await else { panic!("out") };
            assert_eq!((environment, message), (expected, request([(1, 1), (1, 2)])));
            assert!(at_us >= before_us);
        }
        let counts = fixture.stats().environments[expected];
        assert_eq!((counts.tap_requests, counts.tap_spans, counts.requests), (6, 4, 0));
    }
    assert!(blue.seen().is_empty() && green.seen().is_empty());
}

#[tokio::test]
async fn a_tap_before_a_back_end_acknowledges_when_that_did() {
    let (blue, green) = both().await;
    let backend = Upstream::start(Protocol::Grpc).await;
    let mut inline = table(&blue, Some(&green), 0);
    inline.upstreams.blue.as_mut().expect("blue is there").backend = Some(backend.url());
    let mut fixture = Fixture::start(inline).await;
    let pipeline = client(&fixture.addresses.taps["blue"], Protocol::Http);
    for signal in Signal::ALL {
        assert_eq!(pipeline.export(signal, request([(1, 1)])).await, Outcome::TAKEN);
    }
    assert_eq!(backend.seen(), Signal::ALL.map(|signal| (signal, request([(1, 1)]))));
    assert!(matches!(fixture.view().await, View::Out { environment: Environment::Blue, .. }));
    for code in [3, 14] {
        backend.reply(Reply::Grpc(Status { code, ..Status::default() }));
        let outcome = pipeline.export(Signal::Traces, request([(1, 2)])).await;
        assert!(matches!(outcome, Outcome::Refused(status) if status.code == code));
    }
    drop(backend);
    let outcome = pipeline.export(Signal::Traces, request([(1, 3)])).await;
    assert!(matches!(outcome, Outcome::Refused(status) if status.is_retryable()));
    assert!(fixture.views.try_recv().is_err(), "what the back end did not take did not come out");
}

#[tokio::test]
async fn a_tap_of_no_environment_acknowledges_and_counts() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 0)).await;
    let pipeline = client(&fixture.addresses.taps["spare"], Protocol::Grpc);
    assert_eq!(pipeline.export(Signal::Traces, request([(1, 1)])).await, Outcome::TAKEN);
    assert_eq!(fixture.stats().tap_unassigned, 1);
    assert!(fixture.views.try_recv().is_err());
    let refused = pipeline.export(Signal::Traces, Bytes::from_static(b"\xff")).await;
    assert!(matches!(refused, Outcome::Refused(status) if status.code == 3));
}
