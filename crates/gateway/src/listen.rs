//! Sockets and connections: everything is bound before anything is served, and no peer holds a connection without
//! using it for longer than the limits say.

mod secure;

use crate::closing::{Closing, Until};
use crate::config::{Config, Listen};
use crate::receive;
use crate::run::Running;
use crate::senders::Sender;
use crate::stats::add;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use secure::Opened;
pub(crate) use secure::Secure;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How often a connection that has sent only part of the preface is looked at again.
const PREFACE_POLL: Duration = Duration::from_millis(5);

/// Requests of one connection at once. The OpenTelemetry Collector's exporter has 10 consumers by default.
const MAX_STREAMS: u32 = 1_024;

/// Flow control: a stream's window is some batches, a connection's some streams; 64 MiB in 1 MiB windows is 64 round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
const MAX_FRAME_BYTES: u32 = 1 << 20;
const MAX_HEADER_BYTES: u32 = 16 << 10;

/// HTTP/1.1's buffer for head and body.
const HTTP1_BUFFER_BYTES: usize = 512 << 10;

/// A peer that is gone is noticed after 60 + 20 s; gRPC clients answer pings by themselves.
const PING_AFTER: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause after a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that a closing socket still accepts at most: what waits in its queue, of which the system lets there be
/// no more than this (`net.core.somaxconn`, 4,096 by default).
const MAX_QUEUED: usize = 4_096;

/// What a port is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortRole {
    /// The apps' OTLP/gRPC.
    GatewayGrpc,
    /// The apps' OTLP/HTTP.
    GatewayHttp,
    /// One more of the gateway's, by its name.
    GatewayFixed(String),
    /// A pipeline's OTLP/gRPC, by the tap's name.
    TapGrpc(String),
    /// A pipeline's OTLP/HTTP, by the tap's name.
    TapHttp(String),
}

impl std::fmt::Display for PortRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PortRole::GatewayGrpc => f.write_str("the gateway's OTLP/gRPC port"),
            PortRole::GatewayHttp => f.write_str("the gateway's OTLP/HTTP port"),
            PortRole::GatewayFixed(name) => write!(f, "the gateway's port {name:?}"),
            PortRole::TapGrpc(tap) => write!(f, "the OTLP/gRPC port of tap {tap:?}"),
            PortRole::TapHttp(tap) => write!(f, "the OTLP/HTTP port of tap {tap:?}"),
        }
    }
}

/// A port that cannot be listened on, or cannot speak TLS. Nothing was served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process, or another port of this configuration, has it.
    #[error("{role} cannot listen on {address}: the port is in use; stop what listens there, or set another address")]
    InUse {
        /// Whose port.
        role: PortRole,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A port below 1024, as an ordinary user.
    #[error("{role} cannot listen on {address}: not permitted; set a port from 1024 on, or grant CAP_NET_BIND_SERVICE")]
    NotPermitted {
        /// Whose port.
        role: PortRole,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No interface has it.
    #[error("{role} cannot listen on {address}: this machine has no such address; set one that it has, or 0.0.0.0")]
    NotOurs {
        /// Whose port.
        role: PortRole,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A socket that listens already, as somebody said who passed it on.
    #[error("{role}: the socket that was passed to it cannot be used; pass a listening TCP socket")]
    Given {
        /// Whose port.
        role: PortRole,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its certificate, key or authorities cannot be used.
    #[error("{role} cannot speak TLS")]
    Tls {
        /// Whose port.
        role: PortRole,
        /// Which file, and why.
        #[source]
        source: tls::FileError,
    },
    /// Anything else.
    #[error("{role} cannot listen on {address}; set another address")]
    Other {
        /// Whose port.
        role: PortRole,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The real addresses, after binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The apps' endpoint.
    pub gateway: Listen,
    /// The apps' other endpoints.
    pub fixed: BTreeMap<String, SocketAddr>,
    /// The pipelines' endpoints.
    pub taps: BTreeMap<String, Listen>,
}

/// A socket that listens already, and that is not to be bound: a service manager made it, or another process of ours.
#[derive(Debug)]
pub struct Socket {
    /// What it is for.
    pub role: PortRole,
    /// Whether it is the role's whatever address the configuration names: so for a service manager's.
    pub fixed: bool,
    /// The socket.
    pub listener: std::net::TcpListener,
}

/// Whose requests come in at a port.
#[derive(Clone, Debug)]
pub(crate) enum Port {
    Gateway,
    Tap(Arc<str>),
}

impl PortRole {
    /// The role's name among those that a service manager passes: `grpc`, `http`, `fixed-NAME`, `tap-NAME-grpc`,
    /// `tap-NAME-http`.
    pub fn name(&self) -> String {
        match self {
            PortRole::GatewayGrpc => "grpc".to_owned(),
            PortRole::GatewayHttp => "http".to_owned(),
            PortRole::GatewayFixed(name) => format!("fixed-{name}"),
            PortRole::TapGrpc(tap) => format!("tap-{tap}-grpc"),
            PortRole::TapHttp(tap) => format!("tap-{tap}-http"),
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<PortRole> {
        let tap = || name.strip_prefix("tap-");
        match name {
            "grpc" => Some(PortRole::GatewayGrpc),
            "http" => Some(PortRole::GatewayHttp),
            _ => name.strip_prefix("fixed-").map(|name| PortRole::GatewayFixed(name.to_owned())),
        }
        .or_else(|| tap()?.strip_suffix("-grpc").map(|tap| PortRole::TapGrpc(tap.to_owned())))
        .or_else(|| tap()?.strip_suffix("-http").map(|tap| PortRole::TapHttp(tap.to_owned())))
    }

    /// The ports of a configuration, with their addresses.
    pub fn all<'c>(
        gateway: &Listen,
        fixed: &BTreeMap<String, SocketAddr>,
        taps: impl IntoIterator<Item = (&'c String, &'c Listen)>,
    ) -> Vec<(PortRole, SocketAddr)> {
        let mut all = vec![(PortRole::GatewayGrpc, gateway.grpc), (PortRole::GatewayHttp, gateway.http)];
        all.extend(fixed.iter().map(|(name, address)| (PortRole::GatewayFixed(name.clone()), *address)));
        for (tap, listen) in taps {
            all.push((PortRole::TapGrpc(tap.clone()), listen.grpc));
            all.push((PortRole::TapHttp(tap.clone()), listen.http));
        }
        all
    }

    /// Whether it is the first of a pair's two ports.
    fn is_grpc(&self) -> bool {
        matches!(self, PortRole::GatewayGrpc | PortRole::TapGrpc(_))
    }

    fn port(&self) -> Port {
        match self {
            PortRole::GatewayGrpc | PortRole::GatewayHttp | PortRole::GatewayFixed(_) => Port::Gateway,
            PortRole::TapGrpc(tap) | PortRole::TapHttp(tap) => Port::Tap(tap.as_str().into()),
        }
    }
}

/// A socket that listens.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) role: PortRole,
    fixed: bool,
    bound: SocketAddr,
    pub(crate) socket: Arc<TcpListener>,
    pub(crate) secure: Option<Arc<Secure>>,
}

impl Listener {
    pub(crate) fn of(socket: Socket) -> io::Result<Listener> {
        socket.listener.set_nonblocking(true)?;
        let bound = socket.listener.local_addr()?;
        let listening = Arc::new(TcpListener::from_std(socket.listener)?);
        Ok(Listener { role: socket.role, fixed: socket.fixed, bound, socket: listening, secure: None })
    }

    /// The same socket by another file descriptor.
    pub(crate) fn duplicate(&self) -> io::Result<Socket> {
        let listener = self.socket.as_fd().try_clone_to_owned()?.into();
        Ok(Socket { role: self.role.clone(), fixed: self.fixed, listener })
    }
}

/// Has a socket for every port of a configuration, or for none: those that are there already are kept, the others bound.
pub(crate) async fn bind(config: &Config, there: &[Listener]) -> Result<Vec<Listener>, BindError> {
    let mut listeners: Vec<Listener> = Vec::new();
    for (role, address) in PortRole::all(&config.listen, &config.fixed, &config.taps) {
        let mine = there.iter().find(|it| it.role == role && (it.fixed || serves(it.bound, address)));
        // Two ports that change places keep their sockets.
        let fitting = mine.or_else(|| there.iter().find(|it| !it.fixed && it.bound == address));
        let bound = match fitting {
            Some(found) => Listener { role, ..found.clone() },
            None => bind_one(role, address).await?,
        };
        let secure = match config.tls(&bound.role) {
            // The two ports of a pair share it, and so do those before a reload.
            Some(files) => Some(
                Secure::shared(files, listeners.iter().chain(there))
                    .map_err(|source| BindError::Tls { role: bound.role.clone(), source })?,
            ),
            None => None,
        };
        listeners.push(Listener { secure, ..bound });
    }
    Ok(listeners)
}

/// Whether a socket is what the configuration asks for; port 0 is any.
fn serves(bound: SocketAddr, asked: SocketAddr) -> bool {
    bound == asked || (asked.port() == 0 && bound.ip() == asked.ip())
}

async fn bind_one(role: PortRole, address: SocketAddr) -> Result<Listener, BindError> {
    let bound = match TcpListener::bind(address).await {
        Ok(socket) => socket.local_addr().map(|bound| (socket, bound)),
        Err(error) => Err(error),
    };
    match bound {
        Ok((socket, bound)) => Ok(Listener { role, fixed: false, bound, socket: Arc::new(socket), secure: None }),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { role, address, source },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { role, address, source },
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs { role, address, source },
            _ => BindError::Other { role, address, source },
        }),
    }
}

/// The addresses of listeners that have a socket for every port of a configuration.
pub(crate) fn addresses(listeners: &[Listener]) -> Addresses {
    let mut addresses = Addresses { gateway: Listen::default(), fixed: BTreeMap::new(), taps: BTreeMap::new() };
    for Listener { role, bound, secure, .. } in listeners {
        let pair = match role {
            PortRole::GatewayGrpc | PortRole::GatewayHttp => &mut addresses.gateway,
            PortRole::TapGrpc(tap) | PortRole::TapHttp(tap) => addresses.taps.entry(tap.clone()).or_default(),
            PortRole::GatewayFixed(name) => {
                addresses.fixed.insert(name.clone(), *bound);
                continue;
            }
        };
        pair.tls = secure.as_ref().map(|secure| secure.files().clone());
        let port = if role.is_grpc() { &mut pair.grpc } else { &mut pair.http };
        *port = *bound;
    }
    addresses
}

/// Accepts until `stop`, and then until its connections are done. What waits in the socket's queue then is accepted
/// first: closed with the socket, it would be reset.
pub(crate) async fn accept(running: Arc<Running>, listener: Listener, mut stop: watch::Receiver<bool>) {
    let drain_timeout = Duration::from_millis(running.shared.limits.drain_timeout_ms);
    let room = Arc::new(Semaphore::new(running.shared.limits.max_connections));
    let (port, secure) = (listener.role.port(), listener.secure.clone());
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    let begin = |connections: &mut JoinSet<()>, stream| match Arc::clone(&room).try_acquire_owned() {
        Ok(permit) => {
            let (running, port, stopping) = (Arc::clone(&running), port.clone(), stopping.clone());
            let secure = secure.clone();
            connections.spawn(async move {
                connection(running, port, secure, stream, stopping).await;
                drop(permit);
            });
        }
        Err(_) => add(&running.shared.counters.connections_refused, 1),
    };
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, _)) => begin(&mut connections, stream),
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // The system is asked itself: what the runtime knows of the queue may be older.
    let queue = listener.duplicate();
    drop(listener);
    match queue {
        Ok(Socket { listener, .. }) => {
            for _ in 0..MAX_QUEUED {
                let Ok((stream, _)) = listener.accept() else { break };
                match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                    Ok(stream) => begin(&mut connections, stream),
                    Err(error) => tracing::warn!(%error, "accept"),
                }
            }
        }
        Err(error) => tracing::warn!(%error, "the queue of a socket that is closed cannot be emptied"),
    }
    let done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain_timeout, done).await.is_err() {
        tracing::warn!("connections were still in use when their time to finish was over; they are closed");
    }
}

async fn connection(
    running: Arc<Running>,
    port: Port,
    secure: Option<Arc<Secure>>,
    stream: TcpStream,
    stop: watch::Receiver<bool>,
) {
    // Small answers must not wait for more data; where it cannot be set, the connection is broken already.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let shared = Arc::clone(&running.shared);
    let from = stream.peer_addr().ok().map(|peer| peer.ip());
    let mut closing = Closing::new(stop, Duration::from_millis(shared.limits.idle_grace_ms));
    let header_timeout = Duration::from_millis(shared.limits.header_timeout_ms);
    match secure {
        None => {
            let spoken = tokio::select! {
                spoken = tokio::time::timeout(header_timeout, is_http2(&stream)) => spoken,
                () = closing.due(Until::Idle) => return,
            };
            let Ok(Ok(http2)) = spoken else { return };
            serve(running, (port, Sender { from, certificate: None }), stream, http2, closing).await;
        }
        Some(secure) => {
            let opened = tokio::select! {
                opened = secure.accept(stream, header_timeout, &shared.counters) => opened,
                () = closing.due(Until::Idle) => return,
            };
            let Some(Opened { stream, http2, certificate }) = opened else { return };
            serve(running, (port, Sender { from, certificate }), stream, http2, closing).await;
        }
    }
}

async fn serve(
    running: Arc<Running>,
    (port, sender): (Port, Sender),
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    http2: bool,
    mut closing: Closing,
) {
    let header_timeout = Duration::from_millis(running.shared.limits.header_timeout_ms);
    let (requests, sender) = (closing.requests(), Arc::new(sender));
    let service = service_fn(move |request| {
        let (running, port, request_under_way) = (Arc::clone(&running), port.clone(), requests.begin());
        let sender = Arc::clone(&sender);
        async move {
            let response = receive::serve(running, port, &sender, request).await;
            drop(request_under_way);
            Ok::<_, Infallible>(response)
        }
    });
    // An error here is the peer's: it broke the protocol or the connection, and nobody is left to be told.
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME_BYTES)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = closing.due(Until::Asked) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(HTTP1_BUFFER_BYTES);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = closing.due(Until::Answering) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Also if the gateway is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Looks at the first bytes without taking them. The whole preface must be there: hyper would wait for the rest of it
/// without a timeout.
async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut first).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(PREFACE_POLL).await;
    }
}
