//! Where a target is, and a connection to it.

use super::stream::Stream;
use crate::targets::TargetsError;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use model::{Protocol, Transport};
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client};
use tokio::net::TcpStream;

/// Connecting takes one round trip, or three with two lost packets (1 + 2 s on Linux); TLS one or two more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Instead of the network: tests get the server's half of a pipe.
#[cfg(test)]
pub(crate) type Dial = tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>;

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    pub(super) authority: HeaderValue,
    pub(super) uri_authority: Authority,
    tls: Option<Arc<Client>>,
    #[cfg(test)]
    pub(crate) dial: Option<Dial>,
}

impl Endpoint {
    /// Scheme, host and port, as one text that is the same for the same endpoint.
    pub(crate) fn identity(text: &str) -> Option<String> {
        let url: Uri = text.parse().ok()?;
        let scheme = url.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?.to_owned();
        let authority = url.authority()?;
        let bare = url.path_and_query().is_none_or(|path| path.as_str() == "/") && !authority.as_str().contains('@');
        bare.then_some(format!("{scheme}://{}:{}", authority.host().to_ascii_lowercase(), authority.port_u16()?))
    }

    pub(crate) fn parse(text: &str, protocol: Protocol, transport: &Transport) -> Result<Endpoint, TargetsError> {
        // A user's name or password may be in it: what is refused is shown without them.
        let shown = || text.rsplit('@').next().unwrap_or_default().chars().take(256).collect::<String>();
        let refused = || TargetsError::NotAnEndpoint { endpoint: shown() };
        Endpoint::identity(text).ok_or_else(refused)?;
        let url: Uri = text.parse().map_err(|_| refused())?;
        let uri_authority = url.authority().ok_or_else(refused)?.clone();
        let port = uri_authority.port_u16().ok_or_else(refused)?;
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = uri_authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority = HeaderValue::from_str(uri_authority.as_str()).map_err(|_| refused())?;
        let alpn = match protocol {
            Protocol::Grpc => Alpn::Http2,
            Protocol::Http => Alpn::Http1,
        };
        let tls = match url.scheme_str() {
            Some("https") => Some(Client::new(&transport.tls, &host, alpn)),
            Some(_) | None if transport.tls.is_default() => None,
            Some(_) | None => return Err(TargetsError::NotHttps { endpoint: shown() }),
        };
        let tls = tls.transpose().map_err(|source| TargetsError::Name { endpoint: shown(), source })?;
        Ok(Endpoint {
            host,
            port,
            authority,
            uri_authority,
            tls: tls.map(Arc::new),
            #[cfg(test)]
            dial: None,
        })
    }

    pub(crate) fn is_same(&self, other: &Endpoint) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
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
        #[cfg(test)]
        if let Some(dial) = &self.dial {
            // As much as a socket's buffers take.
            let (ours, theirs) = tokio::io::duplex(256 << 10);
            dial.send(theirs).map_err(|_| "nobody listens".to_owned())?;
            return Ok(Stream::Memory(ours));
        }
        let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = connected.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
        tls.connect(stream).await.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| error.to_string())
    }
}
