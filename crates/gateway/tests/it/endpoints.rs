//! Several endpoints of one environment: each trace at one of them, and none at one that is gone.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{EndpointState, Outcome, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Blue has all of these endpoints.
fn table_of(upstreams: &[&Upstream]) -> RouteTable {
    let mut table = table(upstreams[0], None, 0);
    let blue = table.upstreams.blue.as_mut().expect("it is there");
    blue.others = upstreams[1..].iter().map(|upstream| upstream.url()).collect();
    table
}

async fn three() -> [Upstream; 3] {
    [
        Upstream::start(Protocol::Grpc).await,
        Upstream::start(Protocol::Grpc).await,
        Upstream::start(Protocol::Grpc).await,
    ]
}

/// Which traces each has spans of.
fn traces(upstreams: &[Upstream]) -> Vec<std::collections::BTreeSet<TraceId>> {
    let of =
        |upstream: &Upstream| spans_of(&upstream.taken(Signal::Traces)).into_keys().map(|(trace, _)| trace).collect();
    upstreams.iter().map(of).collect()
}

#[tokio::test]
async fn every_trace_goes_to_one_endpoint_and_nothing_is_lost() {
    let upstreams = three().await;
    let fixture = Fixture::start(table_of(&upstreams.each_ref())).await;
    let client = fixture.client(Protocol::Grpc);
    for round in 0..3 {
        let spans = (0..90).map(|trace| (trace, round));
        assert_eq!(client.export(Signal::Traces, request(spans)).await, Outcome::TAKEN);
    }
    let seen = traces(&upstreams);
    assert!(seen.iter().all(|traces| (15..50).contains(&traces.len())), "{seen:?}");
    assert_eq!(seen.iter().map(|traces| traces.len()).sum::<usize>(), 90, "no trace is at two");
    let all: Vec<Bytes> = upstreams.iter().flat_map(|upstream| upstream.taken(Signal::Traces)).collect();
    assert!(spans_of(&all).values().all(|count| *count == 1) && spans_of(&all).len() == 270);
    let states = fixture.gateway.endpoints().blue;
    assert!(states.len() == 3 && states.iter().all(|(_, state)| *state == EndpointState::Up), "{states:?}");
}

#[tokio::test]
async fn what_was_not_sent_to_an_endpoint_that_is_gone_goes_to_another() {
    let [one, two, three] = three().await;
    let fixture = Fixture::start(table_of(&[&one, &two, &three])).await;
    let client = fixture.client(Protocol::Grpc);
    let spans = |round| request((0..60).map(move |trace| (trace, round)));
    assert_eq!(client.export(Signal::Traces, spans(0)).await, Outcome::TAKEN);
    let gone = two.url();
    let of_gone = traces(std::slice::from_ref(&two)).remove(0);
    drop(two);
    let mut round = 1;
    // Until the gateway has seen the connection close, a request may be lost with it, and its client sends it again.
    while client.export(Signal::Traces, spans(round)).await != Outcome::TAKEN {
        tokio::task::yield_now().await;
    }
    round += 1;
    assert_eq!(client.export(Signal::Traces, spans(round)).await, Outcome::TAKEN);
    let left = [one, three];
    let last: Vec<Bytes> = left.iter().filter_map(|upstream| upstream.taken(Signal::Traces).pop()).collect();
    assert_eq!(spans_of(&last).len(), 60, "all traces are at those that are left");
    assert!(!of_gone.is_empty());
    let down = fixture.gateway.endpoints().blue.into_iter().find(|(endpoint, _)| *endpoint == gone);
    assert_eq!(down.map(|(_, state)| state), Some(EndpointState::Down));
}

#[tokio::test]
async fn an_endpoint_that_fails_again_and_again_is_passed_over_until_it_takes_something() {
    let [one, two, three] = three().await;
    let fixture = Fixture::start(table_of(&[&one, &two, &three])).await;
    let client = fixture.client(Protocol::Grpc);
    two.reply(Reply::Grpc(Status { code: 14, message: "a test's".to_owned(), retry_after_ms: None }));
    let state =
        || fixture.gateway.endpoints().blue.into_iter().find(|(url, _)| *url == two.url()).map(|(_, state)| state);
    for round in 0.. {
        assert!(round < 10, "five failures are enough");
        match client.export(Signal::Traces, request((0..60).map(|trace| (trace, round)))).await {
            outcome if outcome == Outcome::TAKEN => break,
            outcome => assert!(matches!(&outcome, Outcome::Refused(status) if status.is_retryable()), "{outcome:?}"),
        }
    }
    assert_eq!(state(), Some(EndpointState::Ejected));
    two.reply(Reply::Taken);
    while state() != Some(EndpointState::Up) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The traces of before stay where they went meanwhile; new ones come again.
    let before = two.taken(Signal::Traces).iter().filter(|message| !message.is_empty()).count();
    assert_eq!(client.export(Signal::Traces, request((0..60).map(|trace| (trace, 20)))).await, Outcome::TAKEN);
    assert_eq!(two.taken(Signal::Traces).iter().filter(|message| !message.is_empty()).count(), before);
    assert_eq!(client.export(Signal::Traces, request((100..160).map(|trace| (trace, 1)))).await, Outcome::TAKEN);
    assert!(two.taken(Signal::Traces).iter().filter(|message| !message.is_empty()).count() > before);
}

/// An endpoint that closes each connection as soon as a request comes, and says that it did not process it: an HTTP/2
/// server which shuts down, in the moment that a client library cannot tell apart (RFC 9113, section 6.8).
async fn one_that_always_shuts_down() -> (String, JoinHandle<()>) {
    const PREFACE_BYTES: usize = 24;
    const HEADERS: u8 = 1;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY_BEFORE_ALL_STREAMS: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let listening = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listening.local_addr().expect("it is bound"));
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listening.accept().await {
            let served = async {
                stream.write_all(&SETTINGS).await?;
                stream.read_exact(&mut [0; PREFACE_BYTES]).await?;
                let mut head = [0; 9];
                while head[3] != HEADERS {
                    stream.read_exact(&mut head).await?;
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                    stream.read_exact(&mut vec![0; length]).await?;
                }
                stream.write_all(&GOAWAY_BEFORE_ALL_STREAMS).await?;
                stream.read_to_end(&mut Vec::new()).await
            };
            let _ended: std::io::Result<usize> = served.await;
        }
    });
    (url, task)
}

#[tokio::test]
async fn what_an_endpoint_that_shuts_down_did_not_process_goes_to_another() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let (url, shutting_down) = one_that_always_shuts_down().await;
    let mut table = table(&blue, None, 0);
    table.upstreams.blue.as_mut().expect("it is there").others = vec![url];
    let fixture = Fixture::start(table).await;
    let client = fixture.client(Protocol::Grpc);
    for round in 0..3 {
        let spans = request((0..60).map(|trace| (trace, round)));
        assert_eq!(client.export(Signal::Traces, spans).await, Outcome::TAKEN);
    }
    assert_eq!(spans_of(&blue.taken(Signal::Traces)).len(), 180);
    shutting_down.abort();
}
