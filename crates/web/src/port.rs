//! The port: HTTP/1.1 over TCP, or HTTP/1.1 and HTTP/2 over TLS, with bounds on everything that a stranger can hold.

mod patient;

use crate::api::learning::Stops;
use crate::door::{Arrival, Door, Doorway, Kind};
use crate::{Api, site};
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use model::UnixMillis;
use patient::{Busy, Patient};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tls::{AcceptError, Alpn, ClientCertificates, FileError, Look, Names, Server, ServerFiles};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// 200 live views, and as many again, at some 80 KiB each (buffers of head and body, TLS): 40 MiB.
pub(crate) const MAX_CONNECTIONS: usize = 512;
/// A browser needs two round trips and some milliseconds.
pub(crate) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// For the head of a request, from its connection's begin or from the answer before: who sends a byte now and then is
/// closed after this, and so is who sends nothing. By HTTP/2 for a connection on which nothing is asked for.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(20);
/// A head: a token of 16 KiB, and as much again for everything else.
const MAX_HEAD_BYTES: usize = 32 << 10;
const MAX_HEADERS: usize = 64;
/// Requests of one HTTP/2 connection at once; a page asks for ten things.
const MAX_STREAMS: u32 = 64;
/// A peer of HTTP/2 that is gone is noticed after 60 + 20 s.
const PING_AFTER: Duration = Duration::from_secs(60);
const PING_LIMIT: Duration = Duration::from_secs(20);
/// How long requests that are under way hold up a stop.
const FINISH_LIMIT: Duration = Duration::from_secs(5);
/// How often the files of TLS are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether refusals wait to be told; they are told once a minute.
const TICK_EVERY: Duration = Duration::from_secs(20);
/// The pause after a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a port is not there to listen on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The system refused.
    #[error("web.listen: {address} cannot be listened on: {source}; set another address, or stop what listens there")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Its files cannot be used.
    #[error("web.tls")]
    Tls(#[source] FileError),
}

/// A port that listens.
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
    server: Option<Arc<Server>>,
    most: usize,
}

impl Port {
    /// Binds it; serves nothing yet.
    pub async fn bind(address: SocketAddr, files: Option<ServerFiles>) -> Result<Port, PortError> {
        let refused = |source| PortError::Bind { address, source };
        let open = |files| Server::open_with(files, ClientCertificates::Asked).map(Arc::new);
        let server = files.map(open).transpose().map_err(PortError::Tls)?;
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Port { listener, address, server, most: MAX_CONNECTIONS })
    }

    /// With room for so many connections.
    #[cfg(test)]
    pub(crate) fn at_most(self, most: usize) -> Port {
        Port { most, ..self }
    }

    /// The real address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is done, and then what is under way. The port is free at once.
    pub async fn serve(self, way: Doorway, api: Api, stop: impl Future<Output = ()> + Send + 'static) {
        let Port { listener, server, most, .. } = self;
        let door = Door::new(way, api.handle.clone());
        let (stopping, stopped) = watch::channel(false);
        let routes = door.before(site::router(api, Stops(stopped.clone())));
        let room = Arc::new(Semaphore::new(most));
        let mut connections = JoinSet::new();
        let (mut looks, mut ticks) = (interval(LOOK_EVERY), interval(TICK_EVERY));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                _ = ticks.tick() => door.tick(),
                _ = looks.tick() => {
                    if let Some(server) = server.clone() {
                        tokio::task::spawn_blocking(move || look(&server));
                    }
                }
                accepted = listener.accept() => match accepted {
                    // Who finds no room is closed, and tries again; the room is counted before a byte is read.
                    Ok((stream, from)) => if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                        let connection = Connection { from, routes: routes.clone(), door: Arc::clone(&door) };
                        let (server, stopped) = (server.clone(), stopped.clone());
                        connections.spawn(async move {
                            connection.open(stream, server, stopped).await;
                            drop(permit);
                        });
                    },
                    Err(error) => {
                        tracing::warn!(%error, "accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let done = async { while connections.join_next().await.is_some() {} };
        // What is left then is closed with the set.
        let _ = timeout(FINISH_LIMIT, done).await;
    }
}

fn look(server: &Server) {
    let cert = server.files().cert.display();
    match server.look() {
        Look::Same => {}
        Look::Loaded => tracing::info!(%cert, "TLS files changed: new connections get this certificate"),
        Look::Kept(error) => {
            tracing::warn!(%error, %cert, "TLS files cannot be used: new connections get the certificate before");
        }
    }
}

struct Connection {
    from: SocketAddr,
    routes: Router,
    door: Arc<Door>,
}

impl Connection {
    async fn open(self, stream: TcpStream, server: Option<Arc<Server>>, stopped: watch::Receiver<bool>) {
        // Where it cannot be set the connection is broken already.
        let _ = stream.set_nodelay(true);
        let from = self.from;
        let Some(server) = server else {
            return self.serve(stream, Arrival { from, is_tls: false, certificate: None }, false, stopped).await;
        };
        match timeout(HANDSHAKE_LIMIT, server.accept(stream)).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let certificate = session.peer_certificates().and_then(|all| all.first());
                let certificate = certificate.map(|it| (Names::of(it), UnixMillis(tls::not_after_secs(it) * 1_000)));
                let http2 = session.alpn_protocol() == Some(Alpn::Http2.name());
                self.serve(stream, Arrival { from, is_tls: true, certificate }, http2, stopped).await;
            }
            Ok(Err(AcceptError::NotLetIn(reason))) => {
                tracing::debug!(%from, %reason, "a client's certificate was not let in");
                self.door.note(Kind::Certificate, Some(from));
            }
            Ok(Err(AcceptError::Failed(_))) | Err(_) => {}
        }
    }

    /// An error here is the peer's: it broke the protocol or the connection, and nobody is left to be told.
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        arrival: Arrival,
        http2: bool,
        mut stopped: watch::Receiver<bool>,
    ) {
        let routes = TowerToHyperService::new(self.routes);
        let busy = Busy::new();
        let asks = busy.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let under_way = asks.begin();
            request.extensions_mut().insert(arrival.clone());
            let answer = routes.call(request);
            async move { answer.await.map(|response| under_way.answered(response)) }
        });
        let io = TokioIo::new(Patient::new(stream));
        let stop = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_header_list_size(MAX_HEAD_BYTES as u32)
                .max_concurrent_streams(MAX_STREAMS)
                .keep_alive_interval(PING_AFTER)
                .keep_alive_timeout(PING_LIMIT);
            let connection = builder.serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop => connection.as_mut().graceful_shutdown(),
                () = busy.idle(HEAD_LIMIT) => {
                    connection.as_mut().graceful_shutdown();
                    // It has nothing to finish; whoever does not take the farewell is closed without it.
                    let _ = timeout(FINISH_LIMIT, connection).await;
                    return;
                }
            }
            let _ = connection.await;
        } else {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS);
            let connection = builder.serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        }
    }
}
