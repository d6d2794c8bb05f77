//! From a DSN to a connection.

use crate::database::{Database, SourceError};
use crate::secure::{Secure, SecureError};
use crate::traffic::{Counted, Traffic};
use crate::words::words;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};

/// One attempt: the socket, TLS, and the log-in together.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Hosts of a DSN that are tried, one after the other.
const MAX_HOSTS: usize = 4;
/// PostgreSQL's port (IANA).
const DEFAULT_PORT: u16 = 5432;
/// Bytes that a server says until it is ready: some 20 parameters, or an error.
const MAX_GREETING_BYTES: u64 = 64 * 1024;

/// Why there is no connection. Never says the DSN, only its host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the DSN names no host; expected one")]
    NoHost,
    #[error("{host}: {source}")]
    Secure { host: String, source: Box<SecureError> },
    #[error("{host} does not accept connections: {source}")]
    Socket { host: String, source: io::Error },
    #[error("{host}: {words}")]
    Refused { host: String, words: String },
    #[error("{host} did not answer within {} s", CONNECT_LIMIT.as_secs())]
    Timeout { host: String },
    #[error("the DSN or the TLS files could not be looked at")]
    Interrupted,
}

/// Where a server is, and how it is reached again to cancel a statement.
#[derive(Clone)]
pub(crate) struct Address {
    place: Place,
    /// Nothing where the connection is not TLS.
    secure: Option<Secure>,
    traffic: Arc<Traffic>,
}

#[derive(Clone)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// A connection that is logged in.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Moves the bytes; ends with the connection.
    pub(crate) moving: JoinHandle<()>,
    pub(crate) address: Address,
}

/// Connects to the first of the DSN's hosts that answers.
pub(crate) async fn connect(
    database: &Database,
    name: &'static str,
    traffic: Arc<Traffic>,
) -> Result<Connected, ConnectError> {
    let source = database.source.clone();
    let read = tokio::task::spawn_blocking(move || source.read()).await;
    let mut config = read.map_err(|_| ConnectError::Interrupted)??;
    config.application_name(name);
    let mut failed = ConnectError::NoHost;
    for (at, host) in config.get_hosts().to_vec().into_iter().enumerate().take(MAX_HOSTS) {
        let port = config.get_ports().get(at).or(config.get_ports().first()).copied().unwrap_or(DEFAULT_PORT);
        let place = match host {
            Host::Tcp(host) => Place::Tcp(host, port),
            Host::Unix(folder) => Place::Unix(folder.join(format!(".s.PGSQL.{port}"))),
        };
        let attempt = timeout(CONNECT_LIMIT, attempt(&config, database, place.clone(), &traffic)).await;
        match attempt.unwrap_or_else(|_| Err(ConnectError::Timeout { host: place.to_string() })) {
            Ok(connected) => return Ok(connected),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn attempt(
    config: &Config,
    database: &Database,
    place: Place,
    traffic: &Arc<Traffic>,
) -> Result<Connected, ConnectError> {
    let host = place.to_string();
    let secure = match &place {
        Place::Tcp(name, _) if needs_tls(name, config.get_ssl_mode()) => {
            let (settings, name) = (database.tls.clone(), name.clone());
            let made = tokio::task::spawn_blocking(move || Secure::new(&settings, &name)).await;
            let made = made.map_err(|_| ConnectError::Interrupted)?;
            Some(made.map_err(|source| ConnectError::Secure { host: host.clone(), source: Box::new(source) })?)
        }
        Place::Tcp(..) | Place::Unix(_) => None,
    };
    let mut config = config.clone();
    config.ssl_mode(if secure.is_some() { SslMode::Require } else { SslMode::Disable });
    let address = Address { place, secure: secure.clone(), traffic: Arc::clone(traffic) };
    traffic.allow(MAX_GREETING_BYTES);
    let socket = address.socket().await.map_err(|source| ConnectError::Socket { host: host.clone(), source })?;
    let refused = |error: Error| ConnectError::Refused { host: host.clone(), words: words(&error) };
    let (client, moving) = match secure {
        Some(secure) => {
            let (client, connection) = config.connect_raw(socket, secure).await.map_err(refused)?;
            (client, tokio::spawn(async move { _ = connection.await }))
        }
        None => {
            let (client, connection) = config.connect_raw(socket, NoTls).await.map_err(refused)?;
            (client, tokio::spawn(async move { _ = connection.await }))
        }
    };
    Ok(Connected { client, moving, address })
}

/// A password and rows go over a network under TLS, unless the DSN says otherwise in so many words. This machine is no network.
fn needs_tls(host: &str, mode: SslMode) -> bool {
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match mode {
        SslMode::Disable => false,
        SslMode::Prefer => !is_here,
        _ => true,
    }
}

impl Address {
    async fn socket(&self) -> io::Result<Counted> {
        let traffic = Arc::clone(&self.traffic);
        let socket: Box<dyn crate::traffic::Socket> = match &self.place {
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        Ok(Counted { socket, traffic })
    }

    /// Tells the server to end what the session is doing: a connection of its own, as the protocol has it.
    pub(crate) async fn cancel(&self, token: &CancelToken) {
        let Ok(socket) = self.socket().await else { return };
        self.traffic.allow(MAX_GREETING_BYTES);
        let told = match self.secure.clone() {
            Some(secure) => token.cancel_query_raw(socket, secure).await,
            None => token.cancel_query_raw(socket, NoTls).await,
        };
        if let Err(error) = told {
            tracing::warn!(host = %self.place, error = words(&error), "a statement could not be cancelled");
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
