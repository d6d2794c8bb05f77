//! Sockets and connections: everything is bound before anything is served, and no peer holds a connection without
//! using it for longer than the limits say.

mod secure;

use crate::config::{Config, Listen};
use crate::receive;
use crate::run::Running;
use crate::stats::add;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use secure::Opened;
pub(crate) use secure::{Secure, renew};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
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

/// What a port is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// The apps' OTLP/gRPC.
    GatewayGrpc,
    /// The apps' OTLP/HTTP.
    GatewayHttp,
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
    /// The pipelines' endpoints.
    pub taps: BTreeMap<String, Listen>,
}

/// Whose requests come in at a port.
#[derive(Clone, Debug)]
pub(crate) enum Port {
    Gateway,
    Tap(Arc<str>),
}

pub(crate) struct Listener {
    port: Port,
    socket: TcpListener,
    secure: Option<Arc<Secure>>,
}

/// What binding gives.
#[derive(Default)]
pub(crate) struct Sockets {
    pub(crate) listeners: Vec<Listener>,
    /// The TLS of the ports that speak it, each once.
    pub(crate) secure: Vec<Arc<Secure>>,
}

/// Binds every port of a configuration, or none.
pub(crate) async fn bind(config: &Config) -> Result<(Sockets, Addresses), BindError> {
    let mut sockets = Sockets::default();
    let roles = (PortRole::GatewayGrpc, PortRole::GatewayHttp);
    let gateway = sockets.bind(Port::Gateway, roles, &config.listen).await?;
    let mut taps = BTreeMap::new();
    for (name, listen) in &config.taps {
        let roles = (PortRole::TapGrpc(name.clone()), PortRole::TapHttp(name.clone()));
        let bound = sockets.bind(Port::Tap(name.as_str().into()), roles, listen).await?;
        taps.insert(name.clone(), bound);
    }
    Ok((sockets, Addresses { gateway, taps }))
}

impl Sockets {
    async fn bind(
        &mut self,
        port: Port,
        (grpc_role, http_role): (PortRole, PortRole),
        listen: &Listen,
    ) -> Result<Listen, BindError> {
        let secure = match &listen.tls {
            Some(files) => {
                let refused = |source| BindError::Tls { role: grpc_role.clone(), source };
                let secure = Arc::new(Secure::open(files).map_err(refused)?);
                self.secure.push(Arc::clone(&secure));
                Some(secure)
            }
            None => None,
        };
        let grpc = self.bind_one(port.clone(), secure.clone(), grpc_role, listen.grpc).await?;
        let http = self.bind_one(port, secure, http_role, listen.http).await?;
        Ok(Listen { grpc, http, tls: listen.tls.clone() })
    }

    async fn bind_one(
        &mut self,
        port: Port,
        secure: Option<Arc<Secure>>,
        role: PortRole,
        address: SocketAddr,
    ) -> Result<SocketAddr, BindError> {
        let bound = match TcpListener::bind(address).await {
            Ok(socket) => socket.local_addr().map(|bound| (socket, bound)),
            Err(error) => Err(error),
        };
        let (socket, bound) = bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { role, address, source },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { role, address, source },
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs { role, address, source },
            _ => BindError::Other { role, address, source },
        })?;
        self.listeners.push(Listener { port, socket, secure });
        Ok(bound)
    }
}

/// Accepts until `stop`, and then until its connections are done.
pub(crate) async fn accept(running: Arc<Running>, listener: Listener, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(running.shared.limits.max_connections));
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, _)) => match Arc::clone(&room).try_acquire_owned() {
                    Ok(permit) => {
                        let (running, port) = (Arc::clone(&running), listener.port.clone());
                        let (secure, stopping) = (listener.secure.clone(), stopping.clone());
                        connections.spawn(async move {
                            connection(running, port, secure, stream, stopping).await;
                            drop(permit);
                        });
                    }
                    Err(_) => add(&running.shared.counters.connections_refused, 1),
                },
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    running: Arc<Running>,
    port: Port,
    secure: Option<Arc<Secure>>,
    stream: TcpStream,
    mut stop: watch::Receiver<bool>,
) {
    // Small answers must not wait for more data; where it cannot be set, the connection is broken already.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let shared = Arc::clone(&running.shared);
    let header_timeout = Duration::from_millis(shared.limits.header_timeout_ms);
    match secure {
        None => {
            let spoken = tokio::select! {
                spoken = tokio::time::timeout(header_timeout, is_http2(&stream)) => spoken,
                () = stopped(&mut stop) => return,
            };
            let Ok(Ok(http2)) = spoken else { return };
            serve(running, port, stream, http2, stop).await;
        }
        Some(secure) => {
            let opened = tokio::select! {
                opened = secure.accept(stream, header_timeout, &shared.counters) => opened,
                () = stopped(&mut stop) => return,
            };
            let Some(Opened { stream, http2 }) = opened else { return };
            serve(running, port, stream, http2, stop).await;
        }
    }
}

async fn serve(
    running: Arc<Running>,
    port: Port,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    http2: bool,
    mut stop: watch::Receiver<bool>,
) {
    let header_timeout = Duration::from_millis(running.shared.limits.header_timeout_ms);
    let service = service_fn(move |request| {
        let (running, port) = (Arc::clone(&running), port.clone());
        async move { Ok::<_, Infallible>(receive::serve(running, port, request).await) }
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
            () = stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(HTTP1_BUFFER_BYTES);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Also if the gateway is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
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
