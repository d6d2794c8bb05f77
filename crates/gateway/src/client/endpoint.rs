//! Where a client connects to, and the connection.

use super::stream::Stream;
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use model::{MAX_ENDPOINTS, Protocol, Transport, Upstream};
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client, ConnectError, NameError};
use tokio::net::TcpStream;

/// Connecting takes one round trip, or three with two lost packets (1 + 2 s on Linux); TLS one or two more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An endpoint that the gateway cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// One endpoint stands for one collector.
    #[error("{endpoint:?} is named twice; name each endpoint once")]
    Twice {
        /// What was given.
        endpoint: String,
    },
    /// More than a gateway has places for.
    #[error("{found} endpoints for one environment; expected at most {MAX_ENDPOINTS}: put a load balancer before them")]
    TooMany {
        /// How many were given.
        found: usize,
    },
    /// Not a URL at all.
    #[error("{endpoint:?} is no URL; expected http://host:port or https://host:port, such as http://127.0.0.1:4317")]
    NotAUrl {
        /// What was given.
        endpoint: String,
    },
    /// Another scheme, or none.
    #[error("{endpoint:?} is neither an http:// nor an https:// URL; expected http://host:port or https://host:port")]
    NotHttp {
        /// What was given.
        endpoint: String,
    },
    /// OTLP has different ports for gRPC and HTTP, so none is assumed.
    #[error(
        "{endpoint:?} names no port; expected http://host:port or https://host:port, such as http://127.0.0.1:4317"
    )]
    NoPort {
        /// What was given.
        endpoint: String,
    },
    /// A path, a query or a user's name.
    #[error(
        "{endpoint:?} has more than host and port; expected http://host:port or https://host:port, the path follows from \
         the signal"
    )]
    TooMuch {
        /// What was given.
        endpoint: String,
    },
    /// The files would not be used, and the traffic would go in clear text.
    #[error("{endpoint:?} has TLS settings, but is not an https:// URL; expected https://host:port, or no `tls`")]
    NotHttps {
        /// What was given.
        endpoint: String,
    },
    /// No certificate can be verified.
    #[error("{endpoint:?}: {source}")]
    Name {
        /// What was given.
        endpoint: String,
        /// Which name.
        #[source]
        source: NameError,
    },
}

/// Whether an upstream's endpoints, and its tap's back end, can be used. Reads no file.
pub fn check_upstream(upstream: &Upstream) -> Result<(), UpstreamError> {
    let mut known: Vec<&str> = Vec::new();
    for endpoint in upstream.endpoints() {
        Endpoint::parse(endpoint, upstream.protocol, &upstream.transport)?;
        if known.contains(&endpoint) {
            return Err(UpstreamError::Twice { endpoint: endpoint.to_owned() });
        }
        known.push(endpoint);
    }
    if known.len() > MAX_ENDPOINTS {
        return Err(UpstreamError::TooMany { found: known.len() });
    }
    match &upstream.backend {
        Some(backend) => Endpoint::parse(backend, Protocol::Grpc, &upstream.backend_transport).map(drop),
        None => Ok(()),
    }
}

/// Where a client connects to.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: HeaderValue,
    tls: Option<Arc<Client>>,
}

impl Endpoint {
    pub(super) fn parse(text: &str, protocol: Protocol, transport: &Transport) -> Result<Endpoint, UpstreamError> {
        let endpoint = || text.chars().take(256).collect();
        let url: Uri = text.parse().map_err(|_| UpstreamError::NotAUrl { endpoint: endpoint() })?;
        let secure = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(UpstreamError::NotHttp { endpoint: endpoint() }),
        };
        let authority = url.authority().ok_or_else(|| UpstreamError::NotAUrl { endpoint: endpoint() })?;
        if url.path_and_query().is_some_and(|path| path.as_str() != "/") || authority.as_str().contains('@') {
            return Err(UpstreamError::TooMuch { endpoint: endpoint() });
        }
        let port = authority.port_u16().ok_or_else(|| UpstreamError::NoPort { endpoint: endpoint() })?;
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority =
            HeaderValue::from_str(authority.as_str()).map_err(|_| UpstreamError::NotAUrl { endpoint: endpoint() })?;
        let alpn = match protocol {
            Protocol::Grpc => Alpn::Http2,
            Protocol::Http => Alpn::Http1,
        };
        let tls = match secure {
            true => Some(Client::new(&transport.tls, &host, alpn)),
            false if transport.tls.is_default() => None,
            false => return Err(UpstreamError::NotHttps { endpoint: endpoint() }),
        };
        let tls = tls.transpose().map_err(|source| UpstreamError::Name { endpoint: endpoint(), source })?;
        Ok(Endpoint { host, port, authority, tls: tls.map(Arc::new) })
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// A connection, or why there is none, for people.
    pub(super) async fn connect(&self) -> Result<Stream, String> {
        let why = match tokio::time::timeout(CONNECT_TIMEOUT, self.connect_now()).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        Err(format!("cannot connect to {}:{}: {why}", self.host, self.port))
    }

    async fn connect_now(&self) -> Result<Stream, String> {
        let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = connected.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
        match tls.connect(stream).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            // This is told to whoever sends: the paths are for the log, which has them already.
            Err(ConnectError::Files(_)) => {
                Err("the TLS files towards it cannot be used; the gateway's log says which and why".to_owned())
            }
            Err(error @ (ConnectError::Handshake(_) | ConnectError::Interrupted)) => Err(error.to_string()),
        }
    }
}
