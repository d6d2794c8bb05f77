//! What the receivers take, and what they refuse and how.

use crate::upstream::Upstream;
use crate::*;
use gateway::{Limits, Outcome, Status};
use otlp::compression::{gzip, zstd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Posts a body and expects the HTTP status and, of gRPC, the grpc-status; then whether the client may send again.
async fn check(
    fixture: &Fixture,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
    expected: (u16, Option<u32>),
    again: bool,
) {
    let got = post_traces(fixture, headers, body).await;
    let grpc_status = got.header("grpc-status").map(|status| status.parse().expect("a number"));
    assert_eq!((got.status, grpc_status), expected, "{headers:?}: {got:?}");
    let retry = got.header("grpc-status-details-bin").or(got.header("retry-after"));
    assert_eq!(retry.is_some(), again, "{headers:?}: {got:?}");
}

#[tokio::test]
async fn every_signal_passes_over_every_pair_of_protocols_byte_for_byte() {
    for to in [Protocol::Grpc, Protocol::Http] {
        let blue = Upstream::start(to).await;
        let fixture = Fixture::start(table(&blue, None, 0)).await;
        for from in [Protocol::Grpc, Protocol::Http] {
            let client = fixture.client(from);
            for signal in Signal::ALL {
                // An unknown field too: what the gateway does not know passes.
                let message = Bytes::from([&request([(1, 2)])[..], &[0xfa, 0x3e, 1, b'x']].concat());
                assert_eq!(client.export(signal, message.clone()).await, Outcome::TAKEN);
                assert_eq!(blue.seen().last(), Some(&(signal, message)), "{from:?} to {to:?}");
            }
        }
    }
}

#[tokio::test]
async fn json_gzip_zstd_and_empty_requests_are_taken() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let message = request([(1, 2), (1, 3)]);
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abababababababab0000000000000001",
        "spanId":"0000000000000002","name":"span 2"}]}]}]}"#;
    check(&fixture, &[JSON], json, (200, None), false).await;
    check(&fixture, &[JSON, GZIP], gzip(json.as_bytes()), (200, None), false).await;
    check(&fixture, &[PROTOBUF, GZIP], gzip(&message), (200, None), false).await;
    check(&fixture, &[GRPC, ("grpc-encoding", "gzip")], framed(true, &gzip(&message)), (200, Some(0)), false).await;
    check(&fixture, &[GRPC, ("grpc-encoding", "gzip")], framed(false, &message), (200, Some(0)), false).await;
    check(&fixture, &[("content-type", "application/json; charset=utf-8")], json, (200, None), false).await;
    check(&fixture, &[PROTOBUF], "", (200, None), false).await;
    check(&fixture, &[JSON, ZSTD], zstd(json.as_bytes()), (200, None), false).await;
    check(&fixture, &[PROTOBUF, ZSTD], zstd(&message), (200, None), false).await;
    check(&fixture, &[GRPC, ("grpc-encoding", "zstd")], framed(true, &zstd(&message)), (200, Some(0)), false).await;
    let one = request([(1, 2)]);
    let expected =
        [one.clone(), one.clone(), message.clone(), message.clone(), message.clone(), one.clone(), Bytes::new()];
    let expected = [&expected[..], &[one, message.clone(), message]].concat();
    assert_eq!(blue.messages(), expected);
}

#[tokio::test]
async fn what_is_not_otlp_is_refused_for_good() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { max_message_bytes: 100_000, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let bomb = gzip(&vec![0; 10_000_000]);
    let large = vec![0; 100_001];
    for (headers, body, expected) in [
        (&[PROTOBUF][..], b"\xff\xff".to_vec(), (400, None)),
        (&[JSON], b"{".to_vec(), (400, None)),
        (&[PROTOBUF, GZIP], b"no gzip".to_vec(), (400, None)),
        (&[PROTOBUF, ZSTD], b"no zstd".to_vec(), (400, None)),
        (&[PROTOBUF, ZSTD], zstd(&vec![0; 10_000_000]), (413, None)),
        (&[PROTOBUF, ZSTD], gzip(b""), (400, None)),
        (&[PROTOBUF, ("content-encoding", "br")], vec![], (415, None)),
        (&[("content-type", "text/plain")], vec![], (415, None)),
        (&[], vec![], (415, None)),
        (&[PROTOBUF], large.clone(), (413, None)),
        (&[JSON], large.clone(), (413, None)),
        (&[PROTOBUF, GZIP], bomb.clone(), (413, None)),
        (&[GRPC], b"\0\0\0\0\x09short".to_vec(), (200, Some(3))),
        (&[GRPC], framed(false, b"\xff\xff").to_vec(), (200, Some(3))),
        (&[GRPC], framed(true, &bomb).to_vec(), (200, Some(3))),
        (&[GRPC, ("grpc-encoding", "snappy")], vec![], (200, Some(12))),
        (&[GRPC, ("grpc-encoding", "zstd")], framed(true, &zstd(&vec![0; 10_000_000])).to_vec(), (200, Some(8))),
        (&[GRPC], framed(false, &large).to_vec(), (200, Some(8))),
        (&[GRPC, ("grpc-encoding", "gzip")], framed(true, &bomb).to_vec(), (200, Some(8))),
    ] {
        check(&fixture, headers, body, expected, false).await;
    }
    for (method, path, headers, expected) in [
        ("GET", "/v1/traces", &[PROTOBUF][..], (405, None)),
        ("POST", "/v2/traces", &[PROTOBUF], (404, None)),
        ("POST", Signal::Logs.grpc_path(), &[PROTOBUF], (415, None)),
        ("POST", "/some.Service/Export", &[GRPC], (200, Some("12"))),
    ] {
        let got = send(fixture.addresses.gateway.grpc, method, path, headers, "").await;
        assert_eq!((got.status, got.header("grpc-status")), expected, "{method} {path}");
    }
    assert!(blue.seen().is_empty());
    assert_eq!(fixture.stats().bytes_in_flight, 0);
}

/// Small bodies are decompressed at once, unless they become large.
#[tokio::test]
async fn a_small_body_may_become_a_large_one() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let large = request((0..100_000).map(|span| (1, span)));
    // An unknown field that compresses well, beside spans: 3 MB of some KB.
    let padded =
        Bytes::from([&[0xfa, 0x3e, 0x80, 0x80, 0xc0, 0x01][..], &vec![b'x'; 3 << 20], &request([(1, 2)])].concat());
    for (headers, body, expected) in [
        (&[PROTOBUF, ZSTD], zstd(&padded), &padded),
        (&[PROTOBUF, GZIP], gzip(&padded), &padded),
        (&[PROTOBUF, ZSTD], zstd(&large), &large),
    ] {
        assert!(expected.len() > 1 << 20);
        check(&fixture, headers, body, (200, None), false).await;
        assert!(blue.messages().last() == Some(expected));
    }
    assert!(zstd(&padded).len() < 64 << 10 && zstd(&large).len() > 64 << 10);
}

#[tokio::test]
async fn who_compresses_otherwise_is_told_what_is_taken() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let got = post_traces(&fixture, &[PROTOBUF, ("content-encoding", "br")], "").await;
    assert_eq!(got.header("accept-encoding"), Some("gzip, zstd, identity"));
    let got = post_traces(&fixture, &[GRPC, ("grpc-encoding", "snappy")], "").await;
    assert_eq!(got.header("grpc-accept-encoding"), Some("identity,gzip,zstd"));
}

#[tokio::test]
async fn refusals_speak_the_requests_encoding() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let got = post_traces(&fixture, &[JSON], "{").await;
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert!(got.body.starts_with(b"{\"code\":3,\"message\":"), "{got:?}");
    let got = post_traces(&fixture, &[PROTOBUF], "\x7f").await;
    let status = Status::decode(&got.body).expect("a google.rpc.Status");
    assert_eq!((got.header("content-type"), status.code), (Some("application/x-protobuf"), 3));
    let got = post_traces(&fixture, &[JSON], "{}").await;
    assert_eq!(got.body, "{}");
}

#[tokio::test]
async fn over_the_bound_of_bytes_in_flight_clients_are_told_to_come_again() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { max_inflight_bytes: 10, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let message = request([(1, 2)]);
    check(&fixture, &[PROTOBUF], message.clone(), (429, None), true).await;
    check(&fixture, &[GRPC], framed(false, &message), (200, Some(8)), true).await;
    check(&fixture, &[PROTOBUF], "", (200, None), false).await;
    assert_eq!((fixture.stats().requests_refused, fixture.stats().bytes_in_flight), (2, 0));
}

/// Writes bytes, and reads until the gateway closes the connection or has said enough.
async fn raw(address: SocketAddr, bytes: &[u8], until: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = Vec::new();
    let mut some = [0; 1024];
    while until.is_empty() || !String::from_utf8_lossy(&answer).contains(until) {
        match stream.read(&mut some).await {
            Ok(length) if length > 0 => answer.extend_from_slice(&some[..length]),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_senders_are_let_go() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { body_idle_timeout_ms: 30, header_timeout_ms: 30, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let address = fixture.addresses.gateway.http;
    let begun = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let answer = raw(address, format!("{begun}content-length: 9\r\n\r\nabc").as_bytes(), "408").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // Nothing at all, half of a head, half of HTTP/2's preface: each is closed.
    raw(address, b"", "").await;
    raw(address, b"POST /v1/tra", "").await;
    raw(address, b"PRI * HTTP/2.0\r\n", "").await;
}

#[tokio::test]
async fn a_chunked_body_without_a_length_is_taken() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let message = request([(1, 2)]);
    let (one, two) = message.split_at(7);
    let mut bytes =
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in [one, two, &[]] {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    let answer = raw(fixture.addresses.gateway.http, &bytes, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(blue.messages(), [message]);
}
