//! The server's side of OTLP/gRPC and OTLP/HTTP, and of Zipkin and Jaeger: from a request to the bytes of an
//! `Export…ServiceRequest`, or to a refusal that tells the client rightly whether to send again.

use crate::answer::{Answer, Dialect, refusal, response};
use crate::body::Frames;
use crate::client::Packed;
use crate::config::Limits;
use crate::listen::Port;
use crate::route::{self, overloaded};
use crate::run::Running;
use crate::senders::{NotAdmitted, Sender};
use crate::stats::{Held, add};
use crate::tap;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::Compression;
use otlp::Signal;
use otlp::compression::{CompressionError, decompress};
use otlp::legacy::{Format, LegacyError};
use otlp::reply::{Status, code};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Compressed or JSON bytes that are decoded on the runtime's own thread, as long as they become no more than
/// `MAX_INLINE_RESULT_BYTES`: 0.1 ms for ordinary batches, 1 ms at the very worst. More goes to a thread beside it, for 2 KB
/// of zstd can become 64 MiB, which takes 50 ms.
const MAX_INLINE_BYTES: usize = 64 << 10;
const MAX_INLINE_RESULT_BYTES: usize = 1 << 20;

/// Room that is made for a body at first, whatever its client says that it will send.
const FIRST_RESERVE_BYTES: usize = 1 << 20;

/// Bytes of a refused body that are still read and dropped over HTTP/1.1, so that a client which sends first and reads
/// then gets to read the refusal instead of a reset connection.
const MAX_DISCARDED_BYTES: usize = 64 << 20;

/// Answers one request.
pub(crate) async fn serve(
    running: Arc<Running>,
    port: Port,
    sender: &Sender,
    request: Request<Incoming>,
) -> Response<Frames> {
    let old_senders = matches!(port, Port::Gateway);
    let head = match Head::read(&request, old_senders) {
        Ok(head) => head,
        Err(refused) => {
            add(&running.shared.counters.requests_refused, 1);
            return *refused;
        }
    };
    if let Dialect::Legacy(_) = head.dialect {
        add(&running.shared.counters.legacy_requests, 1);
    }
    let admitted = running.shared.senders.load().check(&port, sender, request.headers());
    if let Err(not_admitted) = admitted {
        let counters = &running.shared.counters;
        add(&counters.requests_refused, 1);
        counters.not_let_in(sender.from, not_admitted.reason(&port));
        return response(head.dialect, head.signal, not_let_in(&running.shared.limits, not_admitted, request).await);
    }
    let shared = Arc::clone(&running.shared);
    let mut held = Held::none(&running.shared.counters.bytes_in_flight);
    let answer = match receive(&running, head, request, &mut held).await {
        Ok(message) => {
            if let Port::Gateway = port
                && let Some(recorder) = &*shared.recorder.load()
            {
                recorder.offer(head.signal, head.dialect.is_grpc(), &message.message, (running.clock)());
            }
            // A task of its own: a client that goes away stops waiting, but does not stop what it began.
            let unfinished = running.unfinished.clone();
            let forwarding = tokio::spawn(async move {
                let answer = match port {
                    Port::Gateway => route::deliver(running, head.signal, message, held).await,
                    Port::Tap(tap) => tap::deliver(running, tap, head.signal, message, held).await,
                };
                drop(unfinished);
                answer
            });
            forwarding.await.unwrap_or_else(|_| {
                Answer::refused(StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, "the gateway failed; send again")
            })
        }
        Err(answer) => {
            add(&running.shared.counters.requests_refused, 1);
            answer
        }
    };
    if let (Dialect::Legacy(format), Answer::Taken(partial)) = (head.dialect, &answer) {
        shared.counters.not_told(format, partial);
    }
    response(head.dialect, head.signal, answer)
}

/// A sender that may not send. Over HTTP/1.1 it gets to read that, as others that are refused do.
async fn not_let_in(limits: &Limits, why: NotAdmitted, request: Request<Incoming>) -> Answer {
    if request.version() != Version::HTTP_2 {
        let deadline = Instant::now() + Duration::from_millis(limits.body_timeout_ms);
        discard(&mut request.into_body(), deadline, limits).await;
    }
    let (status, code) = match why {
        NotAdmitted::Unknown => (StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED),
        NotAdmitted::NotListed => (StatusCode::FORBIDDEN, code::PERMISSION_DENIED),
    };
    Answer::refused(status, code, why.words())
}

/// What a request's head says.
#[derive(Clone, Copy)]
struct Head {
    dialect: Dialect,
    signal: Signal,
    compression: Compression,
}

/// What a client sent: an `Export…ServiceRequest`.
pub(crate) struct Message {
    pub(crate) message: Bytes,
    /// The form in which it came, if a collector may be sent it in that.
    pub(crate) packed: Option<Packed>,
    /// How long the client waits for its answer, if it said so (gRPC over HTTP/2, "Timeout").
    pub(crate) timeout: Option<Duration>,
    /// Whose it is, if its headers name a tester of the route table.
    pub(crate) tester: Option<Arc<str>>,
}

/// At most eight digits and a unit.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = u64::from(digits.parse::<u32>().ok().filter(|_| digits.len() <= 8)?);
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The form that a header names, in whatever case; none of it is no compression.
fn compression(name: &[u8]) -> Option<Compression> {
    let known = Compression::ALL.into_iter().find(|known| name.eq_ignore_ascii_case(known.encoding().as_bytes()));
    known.or(name.is_empty().then_some(Compression::None))
}

impl Head {
    /// Old senders' paths are for the gateway's ports alone: what is behind a tap speaks OTLP.
    fn read<B>(request: &Request<B>, old_senders: bool) -> Result<Head, Box<Response<Frames>>> {
        let (path, headers) = (request.uri().path(), request.headers());
        let media_type = header(headers, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
        let is_media_type = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is_media_type("application/grpc") || is_media_type("application/grpc+proto") {
            return Head::read_grpc(request, old_senders);
        }
        let old = Format::from_path(path).filter(|format| old_senders && *format != Format::JaegerProto);
        let json = is_media_type("application/json");
        let otlp = if json { Dialect::HttpJson } else { Dialect::HttpProtobuf };
        let dialect = old.map_or(otlp, Dialect::Legacy);
        let refused = |http_status, code, message: String| {
            Err(Box::new(refusal(dialect, http_status, &Status { code, message, retry_after_ms: None })))
        };
        let Some(signal) = Signal::from_http_path(path).or(old.map(|_| Signal::Traces)) else {
            return if Signal::from_grpc_path(path).is_some() || path == Format::JaegerProto.path() {
                let message = "this path is a gRPC method's; expected content-type application/grpc".to_owned();
                refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::INVALID_ARGUMENT, message)
            } else {
                let more = if old_senders { ", or of Zipkin /api/v2/spans, of Jaeger /api/traces" } else { "" };
                let message = format!("no such path; expected /v1/traces, /v1/metrics or /v1/logs{more}");
                refused(StatusCode::NOT_FOUND, code::UNIMPLEMENTED, message)
            };
        };
        if request.method() != Method::POST {
            let message = format!("method {}; expected POST", request.method());
            return refused(StatusCode::METHOD_NOT_ALLOWED, code::UNIMPLEMENTED, message).map_err(|mut response| {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                response
            });
        }
        let expected: &[&str] = match dialect {
            // Zipkin's server takes everything else for JSON; what says nothing is JSON here too.
            Dialect::Legacy(Format::ZipkinJson) => &["application/json", ""],
            Dialect::Legacy(_) => &["application/x-thrift", "application/vnd.apache.thrift.binary"],
            Dialect::Grpc | Dialect::HttpProtobuf | Dialect::HttpJson => {
                &["application/x-protobuf", "application/json"]
            }
        };
        if !expected.iter().any(|name| is_media_type(name)) {
            let expected = expected.join(" or ");
            let message = format!("content-type {media_type:?}; expected {}", expected.trim_end_matches(" or "));
            return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::INVALID_ARGUMENT, message);
        }
        let encoding = header(headers, &CONTENT_ENCODING).trim();
        match compression(encoding.as_bytes()) {
            Some(compression) => Ok(Head { dialect, signal, compression }),
            None => {
                let message = format!("content-encoding {encoding:?}; expected gzip, zstd or identity");
                let refused = refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::INVALID_ARGUMENT, message);
                refused.map_err(|mut response| {
                    // RFC 9110, section 15.5.16.
                    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, identity"));
                    response
                })
            }
        }
    }

    fn read_grpc<B>(request: &Request<B>, old_senders: bool) -> Result<Head, Box<Response<Frames>>> {
        if request.version() != Version::HTTP_2 {
            let status = Status {
                code: code::INVALID_ARGUMENT,
                message: "gRPC needs HTTP/2; over HTTP/1.1 send application/x-protobuf to /v1/traces".to_owned(),
                retry_after_ms: None,
            };
            return Err(Box::new(refusal(Dialect::HttpProtobuf, StatusCode::UNSUPPORTED_MEDIA_TYPE, &status)));
        }
        let unimplemented = |message: String| {
            let status = Status { code: code::UNIMPLEMENTED, message, retry_after_ms: None };
            Err(Box::new(refusal(Dialect::Grpc, StatusCode::OK, &status)))
        };
        let path = request.uri().path();
        let old = (old_senders && path == Format::JaegerProto.path()).then_some(Signal::Traces);
        let signal = Signal::from_grpc_path(path).or(old).filter(|_| request.method() == Method::POST);
        let Some(signal) = signal else {
            return unimplemented(format!("no method {path:?}; expected the Export of OTLP's trace, metrics or logs"));
        };
        let dialect = if old.is_some() { Dialect::Legacy(Format::JaegerProto) } else { Dialect::Grpc };
        let encoding = request.headers().get("grpc-encoding").map_or(&b""[..], HeaderValue::as_bytes);
        match compression(encoding) {
            Some(compression) => Ok(Head { dialect, signal, compression }),
            None => {
                let message = format!("grpc-encoding {}; expected gzip, zstd or identity", encoding.escape_ascii());
                unimplemented(message).map_err(|mut response| {
                    let accepted = HeaderValue::from_static("identity,gzip,zstd");
                    response.headers_mut().insert("grpc-accept-encoding", accepted);
                    response
                })
            }
        }
    }
}

/// A header's text; empty if it is absent or not ASCII.
fn header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Reads the body and decodes it into protobuf, within all bounds.
async fn receive(
    running: &Running,
    head: Head,
    request: Request<Incoming>,
    held: &mut Held,
) -> Result<Message, Answer> {
    let limits = &running.shared.limits;
    let http1 = request.version() != Version::HTTP_2;
    let prefix = if head.dialect.is_grpc() { otlp::grpc::PREFIX_LEN } else { 0 };
    let limit = limits.max_message_bytes + prefix;
    let timeout = grpc_timeout(request.headers());
    let tester = tester(running, request.headers());
    let mut body = request.into_body();
    let deadline = Instant::now() + Duration::from_millis(limits.body_timeout_ms);
    let framed = head.dialect.is_grpc();
    let bytes = match read(&mut body, framed, limit, deadline, limits, held).await {
        Ok(bytes) => bytes,
        Err(NotRead::Lost) => {
            let message = "the body ended before its end";
            return Err(Answer::refused(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, message));
        }
        Err(NotRead::TooSlow) => {
            let message = format!(
                "the body came too slowly: {} ms without a byte, or {} ms in all",
                limits.body_idle_timeout_ms, limits.body_timeout_ms
            );
            return Err(Answer::refused(StatusCode::REQUEST_TIMEOUT, code::DEADLINE_EXCEEDED, message));
        }
        Err(reason @ (NotRead::TooLarge | NotRead::NoRoom)) => {
            if http1 {
                discard(&mut body, deadline, limits).await;
            }
            return Err(match reason {
                NotRead::TooLarge => too_large(limit),
                NotRead::NoRoom | NotRead::Lost | NotRead::TooSlow => overloaded(&running.shared),
            });
        }
    };
    let (compression, message) = if head.dialect.is_grpc() {
        let frame = otlp::grpc::parse_unary(&bytes).map_err(bad_request)?;
        if frame.compressed && head.compression.is_none() {
            return Err(bad_request("the gRPC message is compressed, but no grpc-encoding says how"));
        }
        (if frame.compressed { head.compression } else { Compression::None }, bytes.slice(frame.message))
    } else {
        (head.compression, bytes.clone())
    };
    let protobuf = matches!(head.dialect, Dialect::Grpc | Dialect::HttpProtobuf);
    let packed = protobuf.then(|| Packed { compression, bytes, prefixed: head.dialect.is_grpc() });
    if compression.is_none() && protobuf {
        return Ok(Message { message, packed, timeout, tester });
    }
    let message = decode(running, head, compression, message, limit).await?;
    if !held.grow(message.len() as u64, limits.max_inflight_bytes) {
        return Err(overloaded(&running.shared));
    }
    Ok(Message { message, packed, timeout, tester })
}

/// Whose a request is, where the route table lets testers in by a header.
fn tester(running: &Running, headers: &HeaderMap) -> Option<Arc<str>> {
    if !running.shared.look_for_testers.load(Relaxed) {
        return None;
    }
    running.shared.snapshot.load().as_ref()?.testers.as_ref()?.named_by(headers)
}

fn bad_request(message: impl ToString) -> Answer {
    Answer::refused(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, message)
}

/// Never to be sent again, for it will not be smaller then: RESOURCE_EXHAUSTED without RetryInfo.
fn too_large(limit: usize) -> Answer {
    let message = format!("the request is larger than the {limit} bytes that are allowed; send smaller batches");
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, code::RESOURCE_EXHAUSTED, message)
}

enum NotRead {
    TooLarge,
    TooSlow,
    NoRoom,
    Lost,
}

/// Reads a body whole. One that comes in one piece is not copied; for others just the room is made that they need, if they
/// say how much that is: by Content-Length, or by gRPC's prefix.
async fn read(
    body: &mut Incoming,
    framed: bool,
    limit: usize,
    deadline: Instant,
    limits: &Limits,
    held: &mut Held,
) -> Result<Bytes, NotRead> {
    let announced = hyper::body::Body::size_hint(body).lower();
    if announced > limit as u64 {
        return Err(NotRead::TooLarge);
    }
    let mut pieces = Pieces::new(body, deadline, limits);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(data) = pieces.next().await? {
        let length = first.len() + all.len() + data.len();
        if length > limit {
            return Err(NotRead::TooLarge);
        }
        if !held.grow(data.len() as u64, limits.max_inflight_bytes) {
            return Err(NotRead::NoRoom);
        }
        if length == data.len() {
            first = data;
            continue;
        }
        if all.is_empty() {
            let announced = if framed { announced.max(framed_length(&first, &data)) } else { announced };
            all.reserve(length.max(announced.min(FIRST_RESERVE_BYTES as u64) as usize));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// How long the body is that begins with these pieces, as gRPC's prefix says; 0 if that is not there yet, or broken.
fn framed_length(first: &[u8], second: &[u8]) -> u64 {
    let mut prefix = [0; otlp::grpc::PREFIX_LEN];
    let mut bytes = first.iter().chain(second);
    if prefix.iter_mut().any(|byte| bytes.next().map(|found| *byte = *found).is_none()) {
        return 0;
    }
    otlp::grpc::parse_prefix(prefix).map_or(0, |(_, length)| u64::from(length) + prefix.len() as u64)
}

/// The pieces of a body, each of them in time.
struct Pieces<'b> {
    body: &'b mut Incoming,
    deadline: Instant,
    idle: Duration,
    /// When the last piece came.
    heard: Instant,
    /// One for all pieces, put off only when it is over: pieces come far more often than that.
    timer: Pin<Box<Sleep>>,
}

impl<'b> Pieces<'b> {
    fn new(body: &'b mut Incoming, deadline: Instant, limits: &Limits) -> Pieces<'b> {
        let (heard, idle) = (Instant::now(), Duration::from_millis(limits.body_idle_timeout_ms));
        let timer = Box::pin(tokio::time::sleep_until(deadline.min(heard + idle)));
        Pieces { body, deadline, idle, heard, timer }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, NotRead> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = &mut self.timer => {
                    let due = self.deadline.min(self.heard + self.idle);
                    if Instant::now() >= due {
                        return Err(NotRead::TooSlow);
                    }
                    self.timer.as_mut().reset(due);
                    continue;
                }
            };
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(NotRead::Lost),
                // Trailers say nothing here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.heard = Instant::now();
                        return if self.heard < self.deadline { Ok(Some(data)) } else { Err(NotRead::TooSlow) };
                    }
                }
            }
            if Instant::now() >= self.deadline {
                return Err(NotRead::TooSlow);
            }
        }
    }
}

async fn discard(body: &mut Incoming, deadline: Instant, limits: &Limits) {
    let mut discarded = 0;
    let mut pieces = Pieces::new(body, deadline, limits);
    while discarded < MAX_DISCARDED_BYTES {
        let Ok(Some(data)) = pieces.next().await else { return };
        discarded += data.len();
    }
}

/// A body that is not decoded.
enum NotDecoded {
    /// It would become larger than the limit that was given.
    TooLarge,
    Malformed(Answer),
}

/// Decompresses and transcodes, on a thread beside the runtime's if it is much.
async fn decode(
    running: &Running,
    head: Head,
    compression: Compression,
    bytes: Bytes,
    limit: usize,
) -> Result<Bytes, Answer> {
    if bytes.len() <= MAX_INLINE_BYTES {
        match decode_now(head, compression, bytes.clone(), limit.min(MAX_INLINE_RESULT_BYTES)) {
            Ok(message) => return Ok(message),
            Err(NotDecoded::Malformed(answer)) => return Err(answer),
            Err(NotDecoded::TooLarge) if limit <= MAX_INLINE_RESULT_BYTES => return Err(too_large(limit)),
            Err(NotDecoded::TooLarge) => {}
        }
    }
    let _turn = running.decoding.acquire().await.expect("the semaphore is never closed");
    let decoding = tokio::task::spawn_blocking(move || decode_now(head, compression, bytes, limit));
    let decoded = decoding.await.unwrap_or_else(|_| Err(malformed("the body could not be decoded")));
    decoded.map_err(|error| match error {
        NotDecoded::TooLarge => too_large(limit),
        NotDecoded::Malformed(answer) => answer,
    })
}

fn malformed(message: impl ToString) -> NotDecoded {
    NotDecoded::Malformed(bad_request(message))
}

fn decode_now(head: Head, compression: Compression, bytes: Bytes, limit: usize) -> Result<Bytes, NotDecoded> {
    let plain = if compression.is_none() {
        bytes
    } else {
        let plain = decompress(compression, &bytes, limit).map_err(|error| match error {
            CompressionError::TooLarge { .. } => NotDecoded::TooLarge,
            CompressionError::Corrupt(_) | CompressionError::TooManyMembers => malformed(error),
        })?;
        Bytes::from(plain)
    };
    match head.dialect {
        Dialect::Grpc | Dialect::HttpProtobuf => Ok(plain),
        Dialect::HttpJson => {
            let message = otlp::json::request_to_protobuf(head.signal, &plain).map_err(malformed)?;
            if message.len() > limit { Err(NotDecoded::TooLarge) } else { Ok(message.into()) }
        }
        Dialect::Legacy(format) => match format.to_otlp(&plain, limit) {
            Ok(message) => Ok(message.into()),
            Err(LegacyError::TooLarge { .. }) => Err(NotDecoded::TooLarge),
            Err(error) => Err(malformed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Duration>) {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-timeout"),
            HeaderValue::from_str(text).expect("a header's text"),
        )]);
        assert_eq!(grpc_timeout(&headers), expected, "{text:?}");
    }

    #[test]
    fn a_grpc_body_says_how_long_it_is() {
        for (first, second, expected) in [
            (&b"\0\0\0\x02\0"[..], &b""[..], 517),
            (b"\x01\0", b"\0\x02\0 and what follows", 517),
            (b"\0\0", b"\0\x02", 0),
            (b"\x07\0\0\x02\0", b"", 0),
            (b"\0\xff\xff\xff\xff", b"", (1 << 32) - 1 + 5),
        ] {
            assert_eq!(framed_length(first, second), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_timeout_has_digits_and_a_unit() {
        check("10S", Some(Duration::from_secs(10)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
        check("2M", Some(Duration::from_secs(120)));
        check("250m", Some(Duration::from_millis(250)));
        check("7u", Some(Duration::from_micros(7)));
        check("0n", Some(Duration::ZERO));
        for odd in ["", "S", "10", "10s", "-1S", "1.5S", "100000000S", "1 S"] {
            check(odd, None);
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }
}
