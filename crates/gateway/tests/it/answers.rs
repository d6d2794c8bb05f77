//! What a collector answers, and what its client is told, over every pair of protocols.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{ClientLimits, Limits, Outcome, PartialSuccess, Status};

/// What a client may do after an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Taken,
    Partial(u64, String),
    /// Never again; the gRPC code.
    Never(u32),
    /// Again, after milliseconds if they are said.
    Again(Option<u64>),
}

pub(crate) fn told(outcome: Outcome) -> Told {
    match outcome {
        Outcome::Acknowledged(partial) if partial == PartialSuccess::default() => Told::Taken,
        Outcome::Acknowledged(partial) => Told::Partial(partial.rejected, partial.message),
        Outcome::Refused(status) if status.is_retryable() => Told::Again(status.retry_after_ms),
        Outcome::Refused(status) => Told::Never(status.code),
        Outcome::Unknown { reason, .. } => panic!("the gateway always answers: {reason}"),
    }
}

/// One answer of a collector, through the gateway, for a client of each protocol.
async fn check(to: Protocol, reply: Reply, by_grpc: Told, by_http: Told) {
    let blue = Upstream::start(to).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    blue.reply(reply.clone());
    for (from, expected) in [(Protocol::Grpc, by_grpc), (Protocol::Http, by_http)] {
        let outcome = fixture.client(from).export(Signal::Traces, request([(1, 1)])).await;
        assert_eq!(told(outcome), expected, "{from:?} to {to:?}: {reply:?}");
    }
}

fn grpc(code: u32, retry_after_ms: Option<u64>) -> Reply {
    Reply::Grpc(Status { code, message: "why".to_owned(), retry_after_ms })
}

#[tokio::test]
async fn answers_of_grpc_collectors_reach_clients() {
    let to = Protocol::Grpc;
    check(to, Reply::Taken, Told::Taken, Told::Taken).await;
    let partial = || Told::Partial(1, "too old".to_owned());
    check(to, Reply::Partial(1, "too old"), partial(), partial()).await;
    let warning = || Told::Partial(0, "careful".to_owned());
    check(to, Reply::Partial(0, "careful"), warning(), warning()).await;
    check(to, grpc(3, None), Told::Never(3), Told::Never(3)).await;
    check(to, grpc(16, None), Told::Never(16), Told::Never(16)).await;
    check(to, grpc(7, None), Told::Never(7), Told::Never(7)).await;
    check(to, grpc(13, None), Told::Never(13), Told::Never(13)).await;
    check(to, grpc(2, None), Told::Never(2), Told::Never(13)).await;
    // Without RetryInfo it is too large, and 413 for HTTP.
    check(to, grpc(8, None), Told::Never(8), Told::Never(3)).await;
    // HTTP's Retry-After is in seconds, rounded up.
    check(to, grpc(8, Some(1_500)), Told::Again(Some(1_500)), Told::Again(Some(2_000))).await;
    check(to, grpc(14, Some(0)), Told::Again(Some(0)), Told::Again(Some(0))).await;
    for code in [1, 4, 10, 11, 14, 15] {
        check(to, grpc(code, None), Told::Again(None), Told::Again(None)).await;
    }
    // No gRPC server at all.
    check(to, Reply::Http(503, None, ""), Told::Again(None), Told::Again(None)).await;
    check(to, Reply::Http(404, None, ""), Told::Never(12), Told::Never(12)).await;
}

#[tokio::test]
async fn answers_of_http_collectors_reach_clients() {
    let to = Protocol::Http;
    check(to, Reply::Taken, Told::Taken, Told::Taken).await;
    let partial = || Told::Partial(1, "too old".to_owned());
    check(to, Reply::Partial(1, "too old"), partial(), partial()).await;
    check(to, Reply::Http(400, None, "why"), Told::Never(3), Told::Never(3)).await;
    check(to, Reply::Http(413, None, "why"), Told::Never(3), Told::Never(3)).await;
    check(to, Reply::Http(401, None, "why"), Told::Never(16), Told::Never(16)).await;
    check(to, Reply::Http(500, None, "why"), Told::Never(13), Told::Never(13)).await;
    check(to, Reply::Http(429, Some("3"), ""), Told::Again(Some(3_000)), Told::Again(Some(3_000))).await;
    check(to, Reply::Http(503, Some("3"), ""), Told::Again(Some(3_000)), Told::Again(Some(3_000))).await;
    for status in [429, 502, 503, 504] {
        check(to, Reply::Http(status, None, ""), Told::Again(None), Told::Again(None)).await;
    }
}

/// One request with a span for green and two for blue.
async fn check_two(blue_reply: Reply, green_reply: Reply, expected: Told) {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Http).await);
    let fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let (greens, blues) = traces_below(5_000, 2);
    blue.reply(blue_reply);
    green.reply(green_reply);
    let message = request([(blues[0], 1), (greens[0], 1), (blues[1], 1)]);
    assert_eq!(told(fixture.client(Protocol::Grpc).export(Signal::Traces, message).await), expected);
}

#[tokio::test]
async fn a_request_in_two_parts_has_one_answer() {
    let partial = |rejected, message: &str| Told::Partial(rejected, message.to_owned());
    check_two(Reply::Taken, Reply::Taken, Told::Taken).await;
    check_two(Reply::Partial(1, "one"), Reply::Partial(1, "two"), partial(2, "one; two")).await;
    check_two(Reply::Taken, Reply::Http(400, None, "bad"), partial(1, "HTTP 400: bad")).await;
    check_two(grpc(3, None), Reply::Taken, partial(2, "why")).await;
    check_two(grpc(14, Some(1)), Reply::Taken, Told::Again(Some(1))).await;
    check_two(grpc(14, Some(1)), Reply::Http(503, Some("4"), ""), Told::Again(Some(4_000))).await;
    check_two(grpc(3, None), Reply::Http(503, Some("4"), ""), Told::Again(Some(4_000))).await;
    check_two(grpc(3, None), Reply::Http(400, None, ""), Told::Never(3)).await;
    check_two(Reply::Lose, Reply::Taken, Told::Again(Some(1_000))).await;
}

#[tokio::test]
async fn json_clients_get_json_answers() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    blue.reply(Reply::Partial(2, "too old"));
    let got = post_traces(&fixture, &[JSON], "{}").await;
    assert_eq!(got.body, r#"{"partialSuccess":{"errorMessage":"too old","rejectedSpans":"2"}}"#);
    blue.reply(grpc(14, Some(1_500)));
    let got = post_traces(&fixture, &[JSON], "{}").await;
    assert_eq!((got.status, got.header("retry-after")), (503, Some("2")));
    assert!(got.body.starts_with(b"{\"code\":14,"), "{got:?}");
}

#[tokio::test]
async fn a_collector_that_is_down_is_said_at_once_and_found_again() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let blue = Upstream::start(protocol).await;
        let (address, routes) = (blue.address, table(&blue, None, 0));
        drop(blue);
        let fixture = Fixture::start(routes).await;
        let client = fixture.client(Protocol::Grpc);
        let outcome = client.export(Signal::Traces, request([(1, 1)])).await;
        let Outcome::Refused(status) = outcome else { panic!("{outcome:?}") };
        assert_eq!((status.code, status.retry_after_ms), (14, Some(1_000)));
        assert!(status.message.contains("cannot connect to 127.0.0.1"), "{}", status.message);
        assert_eq!(fixture.stats().environments.blue.spans_refused, 1);
        let blue = Upstream::start_at(protocol, address).await;
        while client.export(Signal::Traces, request([(1, 2)])).await != Outcome::TAKEN {
            tokio::task::yield_now().await;
        }
        assert_eq!(blue.messages(), [request([(1, 2)])]);
    }
}

/// An export that the collector took and did not answer: the client is told to send again, verification that nobody
/// knows.
async fn check_unknown(protocol: Protocol, reply: Option<Reply>, expected: &str) {
    let (blue, green) = (Upstream::start(protocol).await, Upstream::start(protocol).await);
    let upstream = ClientLimits { timeout_ms: 100, ..ClientLimits::default() };
    let limits = Limits { upstream, ..Limits::default() };
    let mut fixture = Fixture::start_with(table(&blue, Some(&green), 0), limits, 10).await;
    match reply {
        Some(reply) => blue.reply(reply),
        None => blue.set_open(false),
    }
    let outcome = fixture.client(Protocol::Grpc).export(Signal::Traces, request([(1, 1)])).await;
    assert_eq!(told(outcome), Told::Again(Some(1_000)));
    let View::Sent { outcome: Outcome::Unknown { reason, .. }, handed_over_us, answered_us, .. } = fixture.view().await
    else {
        panic!("unknown")
    };
    assert!(reason.contains(expected), "{reason}");
    assert!(handed_over_us < answered_us);
    assert_eq!(fixture.stats().environments.blue.spans_unknown, 1);
    // The next export is not in the way of it.
    blue.set_open(true);
    blue.reply(Reply::Taken);
    while fixture.client(Protocol::Grpc).export(Signal::Traces, request([(1, 1)])).await != Outcome::TAKEN {}
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_sent_again_by_the_client() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        check_unknown(protocol, Some(Reply::Lose), "").await;
        check_unknown(protocol, None, "no answer within 100 ms").await;
    }
}
