//! One attempt of one call.

use super::make::{Allowed, Maker};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use integrations::{Address, AddressError, Call, Failure, Method, Records, Target, Why};
use model::{ClientTls, ShortDuration, UnixMillis, quoted, with_causes};
use otlp::grpc;
use posture::Certificate;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tls::{Alpn, Client, ClientStream, ConnectError, NameError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

/// Bytes of an answer that are read before it is dropped.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of an answer's head; hyper's least is 8 KiB.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// `grpc.health.v1.HealthCheckResponse.SERVING`; 0 to 3 are the states that there are.
const SERVING: u8 = 1;
const HEALTH_PATH: &str = "/grpc.health.v1.Health/Check";
const AGENT: &str = "verdigris";
/// What is said of an attempt that took too long.
pub(super) const LATE: &str = "it was not answered";

/// A call, with what all its attempts share.
pub(super) struct Prepared {
    call: Call,
    address: Result<Address, AddressError>,
    /// Of calls that speak TLS.
    client: Option<Result<Arc<Client>, NameError>>,
}

fn failure(why: Why, words: impl Into<String>) -> Failure {
    Failure { why, words: words.into() }
}

fn of_protocol(error: hyper::Error) -> Failure {
    failure(Why::Protocol, with_causes(&error))
}

impl Prepared {
    pub(super) fn new(call: &Call, maker: &Maker) -> Prepared {
        let address = call.address();
        let host = address.as_ref().map_or("", |address| address.host.as_str());
        let client = |alpn, tls: &ClientTls| Some(Client::new(tls, host, alpn).map(Arc::new));
        let is_secure = |url: &str| Address::of_url(url).is_ok_and(|(_, secure)| secure);
        let client = match &call.to {
            Target::Http { url, .. } if is_secure(url) => client(Alpn::Http1, &maker.tls),
            Target::GrpcHealth { url, .. } if is_secure(url) => client(Alpn::Http2, &maker.tls),
            Target::Tls { server_name, .. } => {
                client(Alpn::Http1, &ClientTls { server_name: server_name.clone(), ..maker.tls.clone() })
            }
            Target::Http { .. } | Target::GrpcHealth { .. } | Target::Tcp { .. } | Target::Dns { .. } => None,
        };
        Prepared { call: call.clone(), address, client }
    }

    /// Takes as long as the other side takes: the caller bounds it.
    pub(super) async fn attempt(&self, maker: &Maker) -> Result<(), Failure> {
        let address = self.address.as_ref().map_err(|error| failure(Why::NotMade, error.to_string()))?;
        if let Target::Dns { records, .. } = &self.call.to {
            return ask_name(address, *records, &maker.allowed).await;
        }
        let stream = connect(address, &maker.allowed).await?;
        match &self.client {
            None => match &self.call.to {
                Target::Http { .. } | Target::GrpcHealth { .. } => self.speak(stream).await,
                Target::Tcp { .. } | Target::Tls { .. } | Target::Dns { .. } => Ok(()),
            },
            Some(client) => {
                let stream = secure(client, stream).await?;
                match &self.call.to {
                    Target::Tls { min_validity_ms, .. } => holds_for(&stream, *min_validity_ms, (maker.clock)()),
                    Target::Http { .. } | Target::GrpcHealth { .. } => self.speak(stream).await,
                    Target::Tcp { .. } | Target::Dns { .. } => Ok(()),
                }
            }
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<(), Failure> {
        match &self.call.to {
            Target::Http { method, url, status, headers } => {
                let response = ask_http(stream, *method, url).await?;
                expect(response, *status, headers).await
            }
            Target::GrpcHealth { url, service } => ask_health(stream, url, service).await,
            Target::Tcp { .. } | Target::Tls { .. } | Target::Dns { .. } => Ok(()),
        }
    }
}

/// The addresses of a name. `getaddrinfo` cannot be stopped: one that hangs keeps a thread for as long as the system's
/// resolver tries, of which a call that is given up after three leaves three.
async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, Failure> {
    let found = lookup_host((address.host.as_str(), address.port)).await;
    let found = found.map_err(|error| failure(Why::Name, format!("{} cannot be resolved: {error}", address.host)))?;
    Ok(found.take(MAX_ADDRESSES).collect())
}

async fn ask_name(name: &Address, records: Records, allowed: &Allowed) -> Result<(), Failure> {
    allowed.check(name, true)?;
    let found = resolve(name).await?;
    let is_asked = |ip: IpAddr| match records {
        Records::A => ip.is_ipv4(),
        Records::Aaaa => ip.is_ipv6(),
        Records::Any => true,
    };
    if found.iter().any(|address| is_asked(address.ip())) {
        return Ok(());
    }
    Err(failure(Why::Name, format!("{} has no address of the type {records:?}", name.host)))
}

/// The first address that accepts. What was looked at is what is connected to: the name is not asked again in between.
async fn connect(address: &Address, allowed: &Allowed) -> Result<TcpStream, Failure> {
    allowed.check(address, false)?;
    let mut last = failure(Why::Name, format!("{} has no address", address.host));
    for socket in resolve(address).await? {
        allowed.check_ip(address, socket.ip())?;
        match TcpStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = failure(Why::Connect, format!("{address} does not accept connections: {error}")),
        }
    }
    Err(last)
}

async fn secure(client: &Result<Arc<Client>, NameError>, stream: TcpStream) -> Result<ClientStream, Failure> {
    let client = client.as_ref().map_err(|error| failure(Why::NotMade, error.to_string()))?;
    client.connect(stream).await.map_err(|error| match error {
        ConnectError::Handshake(_) => failure(Why::Tls, error.to_string()),
        // Our own files.
        ConnectError::Files(_) | ConnectError::Interrupted => failure(Why::NotMade, error.to_string()),
    })
}

/// That it holds now, the handshake has shown.
fn holds_for(stream: &ClientStream, min_validity_ms: u64, now: UnixMillis) -> Result<(), Failure> {
    let shown = stream.certificate().ok_or_else(|| failure(Why::Tls, "it showed no certificate"))?;
    let certificate = Certificate::read(&shown).map_err(|error| failure(Why::Tls, error.to_string()))?;
    let left_ms = certificate.not_after.since_ms(now);
    if left_ms >= min_validity_ms {
        return Ok(());
    }
    let (left, least) = (ShortDuration(left_ms), ShortDuration(min_validity_ms));
    Err(failure(Why::Tls, format!("its certificate holds for {left} more, expected {least} at least")))
}

async fn ask_http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    method: Method,
    url: &str,
) -> Result<(Response<Incoming>, JoinSet<hyper::Result<()>>), Failure> {
    let unmade = |error: &dyn std::error::Error| failure(Why::NotMade, with_causes(error));
    let uri: Uri = url.parse().map_err(|error| unmade(&error))?;
    // HTTP/1.1 wants the path alone (RFC 9112, section 3.2.1).
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::builder().method(method.name()).uri(path).header(HOST, host).header(USER_AGENT, AGENT);
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| unmade(&error))?;
    // Ends the connection with this future, whether it is done or dropped.
    let mut connections = JoinSet::new();
    let builder = hyper::client::conn::http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).clone();
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(of_protocol)?;
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(of_protocol)?;
    Ok((response, connections))
}

async fn expect(
    (response, _connections): (Response<Incoming>, JoinSet<hyper::Result<()>>),
    status: u16,
    headers: &[String],
) -> Result<(), Failure> {
    let found = response.status().as_u16();
    if found != status {
        return Err(failure(Why::Answer, format!("it answered HTTP status {found}, expected {status}")));
    }
    if let Some(missing) = headers.iter().find(|name| !response.headers().contains_key(name.as_str())) {
        return Err(failure(Why::Answer, format!("it answered without the header {}", quoted(missing))));
    }
    match Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await {
        Ok(_) => Ok(()),
        Err(error) if error.is::<LengthLimitError>() => Ok(()),
        Err(error) => Err(failure(Why::Protocol, with_causes(&*error))),
    }
}

/// gRPC, *Health Checking Protocol*.
async fn ask_health(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    url: &str,
    service: &str,
) -> Result<(), Failure> {
    let unmade = |words: String| failure(Why::NotMade, words);
    let message = health_request(service);
    let prefix = grpc::prefix(false, u32::try_from(message.len()).map_err(|error| unmade(error.to_string()))?);
    let request = Request::post(format!("{}{HEALTH_PATH}", url.trim_end_matches('/')))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::<Bytes>::from([&prefix[..], &message].concat()))
        .map_err(|error| unmade(error.to_string()))?;
    let mut connections = JoinSet::new();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(of_protocol)?;
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(of_protocol)?;
    let status = response.status();
    let early = response.headers().get("grpc-status").cloned();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| failure(Why::Protocol, with_causes(&*error)))?;
    if !status.is_success() {
        return Err(failure(Why::Answer, format!("it answered HTTP status {}", status.as_u16())));
    }
    let late = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    let code = late.or(early).ok_or_else(|| failure(Why::Protocol, "it answered without a gRPC status"))?;
    match code.as_bytes() {
        b"0" => {}
        b"5" => return Err(failure(Why::Answer, "it does not know the service (gRPC status 5)")),
        b"12" => return Err(failure(Why::Answer, "it has no health service (gRPC status 12)")),
        other => {
            let code = quoted(&String::from_utf8_lossy(other));
            return Err(failure(Why::Answer, format!("it answered gRPC status {code}")));
        }
    }
    let body = body.to_bytes();
    let frame = grpc::parse_unary(&body).map_err(|error| failure(Why::Protocol, error.to_string()))?;
    match &body[frame.message] {
        [0x08, SERVING] => Ok(()),
        [] | [0x08, 0..=3] => Err(failure(Why::Answer, "it is not serving")),
        _ => Err(failure(Why::Protocol, "its answer is no HealthCheckResponse")),
    }
}

/// `HealthCheckRequest`: field 1 is the service. Empty fields are not written.
fn health_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    message
}
