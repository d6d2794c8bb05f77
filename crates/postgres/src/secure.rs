//! TLS for the driver: our `tls` crate's configuration, over the counted socket.

use crate::traffic::Counted;
use model::ClientTls;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tls::{Alpn, Client, FileError, NameError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Stream;

/// What PostgreSQL's protocol is called in ALPN (IANA). From version 17 on a server refuses other names.
const ALPN: &[u8] = b"postgresql";

/// How one server is verified.
#[derive(Clone)]
pub(crate) struct Secure {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// Why a server cannot be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecureError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Files(#[from] FileError),
}

impl Secure {
    /// Reads the files. Blocking.
    pub(crate) fn new(settings: &ClientTls, host: &str) -> Result<Secure, SecureError> {
        // The client makes the configuration; its HTTP version is not ours.
        let mut config = ClientConfig::clone(&*Client::new(settings, host, Alpn::Http1)?.look()?);
        config.alpn_protocols = vec![ALPN.to_vec()];
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| NameError { name: name.to_owned() })?;
        Ok(Secure { config: Arc::new(config), name })
    }
}

impl TlsConnect<Counted> for Secure {
    type Stream = Secured;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured>> + Send>>;

    fn connect(self, socket: Counted) -> Self::Future {
        Box::pin(async move {
            let shaken = TlsConnector::from(self.config).connect(self.name, socket).await;
            shaken.map(Secured).map_err(|error| {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                let words = inner.map_or_else(|| error.to_string(), tls::words);
                io::Error::new(error.kind(), format!("TLS: {words}"))
            })
        })
    }
}

/// A connection under TLS.
pub(crate) struct Secured(Stream<Counted>);

impl TlsStream for Secured {
    /// None: a certificate that is verified already says whose connection this is.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
