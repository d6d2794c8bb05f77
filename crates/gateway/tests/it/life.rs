//! Beginning, stopping, clients that go away, and views that nobody takes.

use crate::upstream::Upstream;
use crate::*;
use gateway::{BindError, Limits, Outcome, PortRole};
use tokio::io::AsyncWriteExt;

async fn both() -> (Upstream, Upstream) {
    (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await)
}

#[tokio::test]
async fn a_port_in_use_is_named_before_anything_is_served() {
    let taken = tokio::net::TcpListener::bind(any()).await.expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let taps = [("green".to_owned(), Listen { http: address, ..anywhere() })].into();
    let config = Config { listen: anywhere(), taps, ..Config::default() };
    let Err(error) = Gateway::bind(config).await else { panic!("the port is in use") };
    assert!(matches!(&error, BindError::InUse { role: PortRole::TapHttp(tap), .. } if tap == "green"));
    let expected = format!(
        "the OTLP/HTTP port of tap \"green\" cannot listen on {address}: the port is in use; stop what listens there, \
         or set another address"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let mut fixture = Fixture::start(table(&blue, None, 0)).await;
    blue.set_open(false);
    let mut exports = tokio::task::JoinSet::new();
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let client = fixture.client(protocol);
        exports.spawn(async move { client.export(Signal::Traces, request([(1, 1)])).await });
    }
    blue.arrived(2).await;
    fixture.begin_stop();
    let grpc = fixture.addresses.gateway.grpc;
    while TcpStream::connect(grpc).await.is_ok() {
        tokio::task::yield_now().await;
    }
    blue.set_open(true);
    assert_eq!(exports.join_all().await, [Outcome::TAKEN, Outcome::TAKEN]);
    assert_eq!(fixture.stopped().await, Stopped::Drained);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { drain_timeout_ms: 50, ..Limits::default() };
    let mut fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    blue.set_open(false);
    let client = fixture.client(Protocol::Grpc);
    let export = tokio::spawn(async move { client.export(Signal::Traces, request([(1, 1)])).await });
    blue.arrived(1).await;
    fixture.begin_stop();
    assert_eq!(fixture.stopped().await, Stopped::TimedOut);
    export.abort();
}

#[tokio::test]
async fn what_a_client_began_is_finished_without_it() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start(table(&blue, Some(&green), 0)).await;
    blue.set_open(false);
    let message = request([(1, 1)]);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    let mut stream = TcpStream::connect(fixture.addresses.gateway.http).await.expect("the gateway listens");
    stream.write_all(&[head.as_bytes(), &message].concat()).await.expect("it reads");
    blue.arrived(1).await;
    drop(stream);
    blue.set_open(true);
    let View::Sent { outcome, .. } = fixture.view().await else { panic!("sent") };
    assert_eq!(outcome, Outcome::TAKEN);
}

#[tokio::test]
async fn views_that_nobody_takes_are_dropped_and_told() {
    let (blue, green) = both().await;
    let mut fixture = Fixture::start_with(table(&blue, Some(&green), 0), Limits::default(), 1).await;
    let client = fixture.client(Protocol::Grpc);
    for span in 0..3 {
        assert_eq!(client.export(Signal::Traces, request([(1, span)])).await, Outcome::TAKEN);
    }
    assert_eq!(fixture.stats().views_missed, 2);
    let View::Sent { message, .. } = fixture.view().await else { panic!("sent") };
    assert_eq!(message, request([(1, 0)]));
    // Told by itself, also when nothing else comes.
    let View::Missed { views: 2 } = fixture.view().await else { panic!("missed") };
}

#[tokio::test]
async fn without_a_candidate_there_are_no_views() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let mut fixture = Fixture::start(table(&blue, None, 0)).await;
    assert_eq!(fixture.client(Protocol::Grpc).export(Signal::Traces, request([(1, 1)])).await, Outcome::TAKEN);
    assert!(fixture.views.try_recv().is_err());
    assert_eq!(fixture.stats().live_pins, 0);
}

#[tokio::test]
async fn connections_over_the_bound_are_closed() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let first = TcpStream::connect(fixture.addresses.gateway.http).await.expect("the gateway listens");
    let second = TcpStream::connect(fixture.addresses.gateway.http).await.expect("the system takes it");
    let mut buffer = [0; 1];
    let closed = async {
        second.readable().await.expect("readable");
        second.try_read(&mut buffer)
    };
    assert!(matches!(closed.await, Ok(0) | Err(_)));
    assert_eq!(fixture.stats().connections_refused, 1);
    drop(first);
}
