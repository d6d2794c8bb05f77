//! How an `https://` endpoint is verified, and what it is shown.

use crate::files::{Contents, FileError, roots, system_roots};
use crate::{Alpn, ClientStream, provider, words};
use model::ClientTls;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A name that no certificate can be for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is neither a DNS name nor an IP address, so no certificate can be verified for it; set `serverName`")]
pub struct NameError {
    /// What was given.
    pub name: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The files cannot be used, and never could since this client was made. Names paths: for operators, not for senders.
    #[error(transparent)]
    Files(FileError),
    /// The two sides did not agree, or the other one is not who it should be.
    #[error("TLS: {0}")]
    Handshake(String),
    /// The reading of the files did not end as it should.
    #[error("the TLS files could not be looked at")]
    Interrupted,
}

/// One endpoint's TLS. The files are looked at whenever a connection is made; connections that are there go on.
pub struct Client {
    settings: ClientTls,
    name: ServerName<'static>,
    alpn: Alpn,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    /// Made from the files when they were last good, and their digest.
    good: Option<([u8; 32], Arc<ClientConfig>)>,
    /// What was wrong at the last look, so that it is told once.
    refused: Option<String>,
}

impl Client {
    /// For an endpoint's host, which its certificate must be for unless the settings name another. Reads nothing yet: a
    /// file that is not there today must not stop a route table, which may be a rollback.
    pub fn new(settings: &ClientTls, host: &str, alpn: Alpn) -> Result<Client, NameError> {
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name).map_err(|_| NameError { name: name.chars().take(256).collect() })?;
        Ok(Client { settings: settings.clone(), name: name.to_owned(), alpn, loaded: Mutex::default() })
    }

    /// Whether this client was made for these settings.
    pub fn has(&self, settings: &ClientTls) -> bool {
        self.settings == *settings
    }

    /// Looks at the files, and shakes hands. Takes as long as the other side takes: the caller bounds it.
    pub async fn connect(self: &Arc<Client>, stream: TcpStream) -> Result<ClientStream, ConnectError> {
        let this = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || this.look()).await;
        let config = looked.map_err(|_| ConnectError::Interrupted)?.map_err(ConnectError::Files)?;
        let connected = TlsConnector::from(config).connect(self.name.clone(), stream).await;
        connected.map(ClientStream::new).map_err(|error| ConnectError::Handshake(words::io_words(&error)))
    }

    /// Reads the files, and gives what new connections use: what is in them now, or what was in them when they were last
    /// good. What is wrong is logged once. Blocking.
    pub fn look(&self) -> Result<Arc<ClientConfig>, FileError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let before = loaded.good.clone();
        let found = self.read().and_then(|contents| match &before {
            Some((digest, config)) if *digest == contents.digest => Ok((contents.digest, Arc::clone(config))),
            Some(_) | None => Ok((contents.digest, Arc::new(self.config(&contents)?))),
        });
        match (found, before) {
            (Ok((digest, config)), before) => {
                loaded.refused = None;
                if before.is_some_and(|(before, _)| before != digest) {
                    tracing::info!(name = %self.name.to_str(), "TLS files changed: new connections use them");
                }
                loaded.good = Some((digest, Arc::clone(&config)));
                Ok(config)
            }
            (Err(error), before) => {
                let told = loaded.refused.replace(error.to_string());
                if told != loaded.refused {
                    let instead =
                        if before.is_some() { "what was in them before" } else { "nothing: no connection is made" };
                    tracing::warn!(%error, name = %self.name.to_str(), instead, "TLS files cannot be used");
                }
                before.map(|(_, config)| config).ok_or(error)
            }
        }
    }

    pub(crate) fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    pub(crate) fn alpn(&self) -> Alpn {
        self.alpn
    }

    /// The authorities that this client trusts, as they are now. Blocking.
    pub(crate) fn roots(&self) -> Result<RootCertStore, FileError> {
        match &Contents::read(None, self.settings.ca.as_deref().map(Path::new))?.authorities {
            Some((path, bytes)) => roots(path, bytes),
            None => system_roots(),
        }
    }

    fn read(&self) -> Result<Contents, FileError> {
        let pair = self.settings.identity.as_ref().map(|pair| (Path::new(&pair.cert), Path::new(&pair.key)));
        Contents::read(pair, self.settings.ca.as_deref().map(Path::new))
    }

    fn config(&self, contents: &Contents) -> Result<ClientConfig, FileError> {
        let roots = match &contents.authorities {
            Some((path, bytes)) => roots(path, bytes)?,
            None => system_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let mut config = match &contents.pair {
            Some(pair) => {
                let (chain, key) = pair.parse()?;
                builder.with_client_auth_cert(chain, key).map_err(|source| pair.refused(source))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![self.alpn.name().to_vec()];
        Ok(config)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).field("name", &self.name).finish_non_exhaustive()
    }
}
