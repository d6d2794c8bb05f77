//! Where an endpoint is, and how it is reached.

use super::{CONNECTION_LIMIT, Surface};
use http::Uri;
use model::{ClientTls, Protocol, Transport, Upstream};
use std::io;
use std::sync::Arc;
use tls::{Alpn, Client, NameError};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why an endpoint is not asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("{url} is neither http://host:port nor https://host:port")]
    Url { url: String },
    #[error("{url}: {source}")]
    Name { url: String, source: NameError },
    #[error("{url} does not accept connections: {source}")]
    Connect { url: String, source: io::Error },
    #[error("{url} did not answer within {} s", CONNECTION_LIMIT.as_secs())]
    Timeout { url: String },
}

/// One endpoint.
pub(super) struct Endpoint {
    pub url: String,
    pub host: String,
    pub port: u16,
    pub protocol: Protocol,
    /// Shows our certificate, where the plan has one.
    pub identified: Option<Arc<Client>>,
    /// Shows none.
    pub anonymous: Arc<Client>,
    /// The name that the certificate should be for.
    pub name: String,
}

impl Endpoint {
    pub(super) fn new(url: &str, surface: &Surface) -> Result<Endpoint, EndpointError> {
        let refused = || EndpointError::Url { url: url.to_owned() };
        let parsed: Uri = url.parse().map_err(|_| refused())?;
        let (Some("http" | "https"), Some(host), Some(port)) = (parsed.scheme_str(), parsed.host(), parsed.port_u16())
        else {
            return Err(refused());
        };
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = &surface.transport.tls;
        let alpn = match surface.protocol {
            Protocol::Grpc => Alpn::Http2,
            Protocol::Http => Alpn::Http1,
        };
        let client = |settings: &ClientTls| {
            let client = Client::new(settings, &host, alpn);
            client.map(Arc::new).map_err(|source| EndpointError::Name { url: url.to_owned(), source })
        };
        let identified = if tls.identity.is_some() { Some(client(tls)?) } else { None };
        let anonymous = client(&ClientTls { identity: None, ..tls.clone() })?;
        let name = tls.server_name.clone().unwrap_or_else(|| host.clone());
        Ok(Endpoint { url: url.to_owned(), host, port, protocol: surface.protocol, identified, anonymous, name })
    }

    pub(super) async fn connect(&self) -> Result<TcpStream, EndpointError> {
        match timeout(CONNECTION_LIMIT, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(source)) => Err(EndpointError::Connect { url: self.url.clone(), source }),
            Err(_) => Err(EndpointError::Timeout { url: self.url.clone() }),
        }
    }

    /// For the request alone, with this scheme: nothing is compressed, an empty export is nothing.
    pub(super) fn upstream(&self, scheme: &str) -> Upstream {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        Upstream { transport: Transport::default(), ..Upstream::plain(format!("{scheme}://{rest}"), self.protocol, "") }
    }
}
