//! Zipkin's and Jaeger's senders at the gateway's ports: what they send goes on as OTLP, and they are answered in their
//! own words.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{Limits, Status};
use otlp::compression::gzip;
use otlp::legacy::Format;

const THRIFT: (&str, &str) = ("content-type", "application/x-thrift");

fn media_type(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::ZipkinJson => JSON,
        Format::JaegerProto => GRPC,
        Format::JaegerThrift => THRIFT,
    }
}

/// A span for each (trace, span), by hand: the conversion itself has its tests elsewhere.
fn spans(format: Format, spans: &[(u64, u64)]) -> Vec<u8> {
    match format {
        Format::ZipkinJson => {
            let span = |(trace, span): &(u64, u64)| {
                let trace: String = trace_id(*trace).0.iter().map(|byte| format!("{byte:02x}")).collect();
                format!(r#"{{"traceId":"{trace}","id":"{span:016x}","timestamp":1}}"#)
            };
            format!("[{}]", spans.iter().map(span).collect::<Vec<_>>().join(",")).into_bytes()
        }
        Format::JaegerProto => {
            let span = |(trace, span): &(u64, u64)| {
                let ids = [delimited(1, trace_id(*trace).0.into()), delimited(2, span.to_be_bytes().into())];
                delimited(1, ids.concat())
            };
            delimited(1, spans.iter().flat_map(span).collect())
        }
        Format::JaegerThrift => {
            let span = |(trace, span): &(u64, u64)| {
                let (high, low) = (&trace_id(*trace).0[..8], trace.to_be_bytes());
                [&[10, 0, 1][..], &low, &[10, 0, 2], high, &[10, 0, 3], &span.to_be_bytes(), &[0]].concat()
            };
            let length = u8::try_from(spans.len()).expect("few spans");
            let list = spans.iter().flat_map(span).collect::<Vec<u8>>();
            [&[15, 0, 2, 12, 0, 0, 0, length][..], &list, &[0]].concat()
        }
    }
}

/// A field of protobuf.
fn delimited(number: u32, bytes: Vec<u8>) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::bytes::encode(number, &bytes, &mut field);
    field
}

/// Posts a body as a sender of this format does.
async fn post(address: SocketAddr, format: Format, compressed: bool, body: &[u8]) -> Got {
    let body = if compressed { gzip(body) } else { body.to_vec() };
    let mut headers = vec![media_type(format)];
    match format {
        Format::ZipkinJson => {
            headers.extend(compressed.then_some(GZIP));
            send(address, "POST", format.path(), &headers, body).await
        }
        Format::JaegerProto => {
            headers.extend(compressed.then_some(("grpc-encoding", "gzip")));
            send(address, "POST", format.path(), &headers, framed(compressed, &body)).await
        }
        Format::JaegerThrift => {
            headers.extend(compressed.then_some(GZIP));
            send(address, "POST", "/api/traces?format=jaeger.thrift", &headers, body).await
        }
    }
}

/// Taken: an empty answer.
fn assert_taken(format: Format, got: &Got) {
    match format {
        Format::ZipkinJson | Format::JaegerThrift => {
            assert_eq!((got.status, got.body.as_ref()), (202, &b""[..]), "{format:?}: {got:?}");
        }
        Format::JaegerProto => {
            let expected = (200, Some("0"), framed(false, b""));
            assert_eq!((got.status, got.header("grpc-status"), got.body.clone()), expected, "{got:?}");
        }
    }
}

/// Refused: the HTTP status or gRPC's, the text, and whether it may be sent again.
fn assert_refused(format: Format, got: &Got, status: (u16, u16), text: &str, again: bool) {
    match format {
        Format::ZipkinJson | Format::JaegerThrift => {
            assert_eq!(got.status, status.0, "{format:?}: {got:?}");
            assert_eq!(got.header("content-type"), Some("text/plain; charset=utf-8"));
            let said = str::from_utf8(&got.body).expect("text");
            assert!(said.contains(text) && said.ends_with('\n') && said.lines().count() == 1, "{said:?}");
            assert_eq!(got.header("retry-after").is_some(), again, "{got:?}");
        }
        Format::JaegerProto => {
            let number = got.header("grpc-status").and_then(|status| status.parse().ok());
            assert_eq!((got.status, number), (200, Some(status.1)), "{got:?}");
            assert!(got.header("grpc-message").expect("a text").contains(text), "{got:?}");
            assert_eq!(got.header("grpc-status-details-bin").is_some(), again, "{got:?}");
        }
    }
}

#[tokio::test]
async fn spans_of_every_format_go_on_as_otlp_from_both_ports() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let mut sent = 0;
    for format in Format::ALL {
        for (address, compressed) in [(fixture.addresses.gateway.grpc, false), (fixture.addresses.gateway.http, true)] {
            let got = post(address, format, compressed, &spans(format, &[(1, 2), (3, 4)])).await;
            assert_taken(format, &got);
            sent += 1;
            let messages = blue.messages();
            assert_eq!(messages.len(), sent);
            let expected = [((trace_id(1), 2), 1), ((trace_id(3), 4), 1)].into();
            assert_eq!(spans_of(&messages[sent - 1..]), expected, "{format:?}");
        }
    }
    let stats = fixture.stats();
    assert_eq!((stats.legacy_requests, stats.requests_refused, stats.bytes_in_flight), (6, 0, 0));
    assert_eq!(stats.environments.blue.spans_acknowledged, 12);
}

#[tokio::test]
async fn other_content_types_that_mean_the_same_are_taken() {
    let blue = Upstream::start(Protocol::Http).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    for (format, headers) in [
        (Format::ZipkinJson, &[("content-type", "application/json; charset=utf-8")][..]),
        (Format::ZipkinJson, &[]),
        (Format::JaegerThrift, &[("content-type", "application/vnd.apache.thrift.binary")]),
        (Format::JaegerProto, &[("content-type", "application/grpc+proto")]),
    ] {
        let body = spans(format, &[(1, 2)]);
        let body = if format == Format::JaegerProto { framed(false, &body) } else { body.into() };
        let got = send(fixture.addresses.gateway.http, "POST", format.path(), headers, body).await;
        assert_taken(format, &got);
    }
    assert_eq!(blue.messages().len(), 4);
}

#[tokio::test]
async fn whole_traces_are_routed_whatever_the_format() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    let fixture = Fixture::start(table(&blue, Some(&green), 5_000)).await;
    let (to_green, to_blue) = traces_below(5_000, 2);
    for (count, format) in (1..).zip(Format::ALL) {
        let all = [(to_green[0], 1), (to_blue[0], 2), (to_green[1], 3), (to_blue[1], 4)];
        assert_taken(format, &post(fixture.addresses.gateway.http, format, false, &spans(format, &all)).await);
        let one_each = |traces: &[u64], spans: [u64; 2]| {
            traces.iter().zip(spans).map(|(trace, span)| ((trace_id(*trace), span), count)).collect()
        };
        assert_eq!(spans_of(&green.messages()), one_each(&to_green, [1, 3]));
        assert_eq!(spans_of(&blue.messages()), one_each(&to_blue, [2, 4]));
    }
}

#[tokio::test]
async fn what_is_none_of_it_is_refused_for_good_in_words() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { max_message_bytes: 10_000, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let address = fixture.addresses.gateway.http;
    for format in Format::ALL {
        let zeros = post(address, format, false, &spans(format, &[(1, 2), (1, 0)])).await;
        assert_refused(format, &zeros, (400, 3), "span 1: ", false);
        assert_refused(format, &post(address, format, false, b"\xff").await, (400, 3), "the body is no ", false);
        let large = vec![0; 10_006];
        assert_refused(format, &post(address, format, false, &large).await, (413, 8), "smaller batches", false);
        assert_refused(format, &post(address, format, true, &large).await, (413, 8), "smaller batches", false);
    }
    // Within the bound as it came, and beyond it in OTLP: empty tags, of two bytes each.
    let ids = [&[0x0a, 16][..], &[1; 16], &[0x12, 8], &[2; 8]].concat();
    let span = [&ids[..], &[0x42, 0].repeat(4_000)].concat();
    let grown = delimited(1, delimited(1, span));
    assert!(grown.len() < 10_000);
    let got = post(address, Format::JaegerProto, false, &grown).await;
    assert_refused(Format::JaegerProto, &got, (413, 8), "smaller batches", false);
    for (method, format, headers, status, text) in [
        ("POST", Format::ZipkinJson, &[THRIFT][..], 415, "expected application/json\n"),
        ("POST", Format::JaegerThrift, &[JSON], 415, "expected application/x-thrift or application/vnd.apache"),
        ("POST", Format::ZipkinJson, &[JSON, ("content-encoding", "br")], 415, "content-encoding \"br\""),
        ("GET", Format::ZipkinJson, &[JSON], 405, "expected POST"),
    ] {
        let got = send(address, method, format.path(), headers, "").await;
        assert_refused(format, &got, (status, 0), text, false);
    }
    // A gRPC method without gRPC, and what Zipkin's first version posts.
    assert_eq!(send(address, "POST", Format::JaegerProto.path(), &[PROTOBUF], "").await.status, 415);
    assert_eq!(send(address, "POST", "/api/v1/spans", &[JSON], "[]").await.status, 404);
    assert!(blue.seen().is_empty());
    assert_eq!(fixture.stats().bytes_in_flight, 0);
}

#[tokio::test]
async fn old_senders_are_told_when_to_send_again() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let address = fixture.addresses.gateway.http;
    for format in Format::ALL {
        let body = spans(format, &[(1, 2)]);
        let reply = |code, retry_after_ms| Reply::Grpc(Status { code, message: "not now".to_owned(), retry_after_ms });
        blue.reply(reply(14, Some(2_000)));
        assert_refused(format, &post(address, format, false, &body).await, (503, 14), "not now", true);
        blue.reply(reply(8, Some(2_000)));
        assert_refused(format, &post(address, format, false, &body).await, (429, 8), "not now", true);
        blue.reply(reply(3, None));
        assert_refused(format, &post(address, format, false, &body).await, (400, 3), "not now", false);
    }
}

#[tokio::test]
async fn a_partial_success_is_a_success_and_counted() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    blue.reply(Reply::Partial(1, "too old"));
    for format in Format::ALL {
        let got = post(fixture.addresses.gateway.http, format, false, &spans(format, &[(1, 2), (1, 3)])).await;
        assert_taken(format, &got);
    }
    let stats = fixture.stats();
    assert_eq!((stats.legacy_spans_rejected, stats.environments.blue.spans_refused), (3, 3));
}

#[tokio::test]
async fn no_room_is_told_before_the_conversion_is_kept() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let body = spans(Format::JaegerThrift, &[(1, 2)]);
    // Room for what comes, and not for what becomes of it.
    let limits = Limits { max_inflight_bytes: body.len() as u64 + 10, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let got = post(fixture.addresses.gateway.http, Format::JaegerThrift, false, &body).await;
    assert_refused(Format::JaegerThrift, &got, (429, 8), "send again later", true);
    assert_eq!(fixture.stats().bytes_in_flight, 0);
}

#[tokio::test]
async fn taps_speak_otlp_alone() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let tap = fixture.addresses.taps["blue"].http;
    for format in [Format::ZipkinJson, Format::JaegerThrift] {
        assert_eq!(post(tap, format, false, &spans(format, &[(1, 2)])).await.status, 404);
    }
    let got = post(tap, Format::JaegerProto, false, &spans(Format::JaegerProto, &[(1, 2)])).await;
    assert_eq!(got.header("grpc-status"), Some("12"));
}

#[tokio::test]
async fn a_fixed_port_takes_every_path_of_the_gateway() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::start(table(&blue, None, 0)).await;
    let address = fixture.addresses.fixed["zipkin"];
    for format in Format::ALL {
        assert_taken(format, &post(address, format, false, &spans(format, &[(1, 2)])).await);
    }
    let otlp = send(address, "POST", Signal::Traces.http_path(), &[PROTOBUF], request([(1, 2)])).await;
    assert_eq!((otlp.status, blue.messages().len()), (200, 4));
}
