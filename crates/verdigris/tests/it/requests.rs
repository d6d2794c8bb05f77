//! Requests that are none, by raw HTTP and gRPC: each is refused as OTLP has it, and the server goes on serving. The
//! gateway's own tests have the many cases; here is one of each kind against the whole server with its real bounds.

use crate::stage::Stage;
use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::Signal;
use otlp::compression::gzip;
use prost::Message;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The gateway's default bound of a request, before and after decompression.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// An idle sender is let go after 10 s; a test that waited longer than this would wait for ever.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// The HTTP status, and for gRPC its own.
type Answer = (u16, Option<u16>);

/// An export of one span.
pub(crate) fn one_span(trace: u8) -> Vec<u8> {
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: "order".to_owned(),
        kind: 1,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
}

/// The body of a unary gRPC request.
fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a test's message is below 4 GiB");
    [&otlp::grpc::prefix(compressed, length)[..], message].concat()
}

fn address(stage: &Stage, grpc: bool) -> SocketAddr {
    if grpc { stage.server.addresses.grpc } else { stage.server.addresses.http }
}

/// Posts traces: over HTTP/2 to the gRPC port if the content type is gRPC's, over HTTP/1.1 to the other port if not.
fn post(stage: &Stage, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    post_of(Signal::Traces, stage, headers, body)
}

/// The same of any signal.
fn post_of(signal: Signal, stage: &Stage, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let grpc = headers.contains(&GRPC);
    let address = address(stage, grpc);
    let path = if grpc { signal.grpc_path() } else { signal.http_path() };
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
        let mut request = Request::post(if grpc { format!("http://{address}{path}") } else { path.to_owned() });
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let version = if grpc { Version::HTTP_2 } else { Version::HTTP_11 };
        let request = request.header("host", address.to_string()).version(version);
        let request = request.body(Full::new(Bytes::from(body))).expect("a good request");
        let io = TokioIo::new(stream);
        let response = if grpc {
            let connected = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
            let (mut sender, connection) = connected.expect("HTTP/2");
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let (head, body) = response.expect("an answer").into_parts();
        let trailers = body.collect().await.expect("a whole answer").trailers().cloned();
        let status = |headers: &HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
        (head.status.as_u16(), status(&head.headers).or_else(|| trailers.as_ref().and_then(status)))
    };
    let bounded = async { tokio::time::timeout(ANSWER_LIMIT, exchange).await };
    stage.runtime.block_on(bounded).expect("an answer in time")
}

/// Posts traces as protobuf, and gives the HTTP status.
pub(crate) fn post_protobuf(stage: &Stage, body: Vec<u8>) -> u16 {
    post(stage, &[PROTOBUF], body).0
}

/// Posts any signal as protobuf or as JSON, and gives the HTTP status.
pub(crate) fn post_signal(stage: &Stage, signal: Signal, json: bool, body: Vec<u8>) -> u16 {
    let kind = if json { ("content-type", "application/json") } else { PROTOBUF };
    post_of(signal, stage, &[kind], body).0
}

/// The same with one header more.
pub(crate) fn post_as(stage: &Stage, header: Option<(&str, &str)>, body: Vec<u8>) -> u16 {
    let headers: Vec<_> = std::iter::once(PROTOBUF).chain(header).collect();
    post(stage, &headers, body).0
}

/// A request that must be refused so; then a good one of each protocol, which must reach the serving environment.
fn check(stage: &Stage, headers: &[(&str, &str)], body: Vec<u8>, expected: Answer) {
    let before = stage.blue.stats().spans;
    assert_eq!(post(stage, headers, body), expected, "{headers:?}");
    assert_eq!(stage.blue.stats().spans, before, "nothing of a refused request goes on: {headers:?}");
    goes_on(stage);
}

fn goes_on(stage: &Stage) {
    let before = stage.blue.stats().spans;
    assert_eq!(post(stage, &[PROTOBUF], one_span(1)), (200, None));
    assert_eq!(post(stage, &[GRPC], framed(false, &one_span(2))), (200, Some(0)));
    assert_eq!(stage.blue.stats().spans, before + 2, "a good request is served");
}

#[test]
fn a_wrong_content_type_is_refused() {
    check(&Stage::set(), &[("content-type", "text/plain")], one_span(9), (415, None));
}

#[test]
fn what_is_no_otlp_is_refused() {
    let stage = Stage::set();
    check(&stage, &[PROTOBUF], b"\xff\xff".to_vec(), (400, None));
    check(&stage, &[JSON], b"{".to_vec(), (400, None));
    check(&stage, &[GRPC], framed(false, b"\xff\xff"), (200, Some(3)));
}

#[test]
fn an_oversized_request_is_refused() {
    let stage = Stage::set();
    check(&stage, &[PROTOBUF], vec![0; MAX_MESSAGE_BYTES + 1], (413, None));
    check(&stage, &[GRPC], framed(false, &vec![0; MAX_MESSAGE_BYTES + 1]), (200, Some(8)));
}

#[test]
fn a_gzip_bomb_is_refused() {
    let stage = Stage::set();
    let bomb = gzip(&vec![0; 2 * MAX_MESSAGE_BYTES]);
    assert!(bomb.len() < 1 << 20, "it is small on the wire");
    check(&stage, &[PROTOBUF, ("content-encoding", "gzip")], bomb.clone(), (413, None));
    check(&stage, &[GRPC, ("grpc-encoding", "gzip")], framed(true, &bomb), (200, Some(8)));
}

#[test]
fn a_slow_sender_is_let_go_and_hinders_nobody() {
    let stage = Stage::set();
    let mut slow = TcpStream::connect(stage.server.addresses.http).expect("the server listens");
    slow.set_read_timeout(Some(ANSWER_LIMIT)).expect("a socket takes a timeout");
    slow.write_all(
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\nabc",
    )
    .expect("the server reads");
    goes_on(&stage);
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).expect("an answer, at last");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    goes_on(&stage);
}
