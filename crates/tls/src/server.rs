//! The certificate that a port shows, and whom it lets in.

use crate::files::{Contents, FileError, roots};
use crate::{Alpn, provider, words};
use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{Error, ServerConfig};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The files of a TLS port, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The certificate, with those that lead to its authority behind it.
    pub cert: PathBuf,
    /// Its private key: 0600, or 0640 for a group that needs it.
    pub key: PathBuf,
    /// The authorities whose certificates let a client in; without it, everybody is let in.
    pub client_ca: Option<PathBuf>,
}

/// What a look at the files found.
#[derive(Debug)]
pub enum Look {
    /// They are as they were.
    Same,
    /// They changed, or can be used again, and new connections get what is in them now.
    Loaded,
    /// They changed, or cannot be read, and cannot be used: new connections get what was in them before.
    Kept(FileError),
}

/// What a port with authorities for clients does with a client that shows no certificate. One that shows a wrong one is
/// never let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Does not let it in.
    Demanded,
    /// Lets it in: whoever asks it something finds out in another way who it is.
    Asked,
}

/// One port's TLS, as its files were when they were last good.
pub struct Server {
    files: ServerFiles,
    certificates: ClientCertificates,
    config: ArcSwap<ServerConfig>,
    /// Of the files that `config` was made from, or that were refused since then. Held during a look, so that two looks
    /// cannot install in the wrong order.
    seen: Mutex<Seen>,
}

/// Why a handshake came to nothing, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The client showed no certificate, or none that lets it in.
    #[error("{0}")]
    NotLetIn(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

struct Seen {
    digest: [u8; 32],
    /// What was wrong at the last look, so that it is told once.
    refused: Option<String>,
}

impl Server {
    /// Reads the files. Blocking.
    pub fn open(files: ServerFiles) -> Result<Server, FileError> {
        Server::open_with(files, ClientCertificates::Demanded)
    }

    /// Reads the files. Blocking.
    pub fn open_with(files: ServerFiles, certificates: ClientCertificates) -> Result<Server, FileError> {
        let contents = read(&files)?;
        let config = ArcSwap::from_pointee(config(&contents, certificates)?);
        Ok(Server { files, certificates, config, seen: Mutex::new(Seen { digest: contents.digest, refused: None }) })
    }

    /// Looks at the files again, and takes what is in them if it changed and can be used. What is wrong is given once,
    /// not at every look. Blocking.
    pub fn look(&self) -> Look {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = read(&self.files).and_then(|contents| {
            if contents.digest == seen.digest {
                return Ok(false);
            }
            self.config.store(Arc::new(config(&contents, self.certificates)?));
            seen.digest = contents.digest;
            Ok(true)
        });
        match found {
            Ok(loaded) => {
                let recovered = seen.refused.take().is_some();
                if loaded || recovered { Look::Loaded } else { Look::Same }
            }
            Err(error) => {
                let told = seen.refused.replace(error.to_string());
                if told == seen.refused { Look::Same } else { Look::Kept(error) }
            }
        }
    }

    /// The files, to name them.
    pub fn files(&self) -> &ServerFiles {
        &self.files
    }

    /// Shakes hands. Takes as long as the client takes: the caller bounds it.
    ///
    /// # Errors
    /// If there is no common ground, or the client is not to be let in.
    pub async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, AcceptError> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        acceptor.accept(stream).await.map_err(|error| {
            let words = words::io_words(&error);
            let is_not_let_in = matches!(
                error.get_ref().and_then(|inner| inner.downcast_ref()),
                Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_))
            );
            if is_not_let_in { AcceptError::NotLetIn(words) } else { AcceptError::Failed(words) }
        })
    }
}

fn read(files: &ServerFiles) -> Result<Contents, FileError> {
    Contents::read(Some((&files.cert, &files.key)), files.client_ca.as_deref())
}

fn config(contents: &Contents, certificates: ClientCertificates) -> Result<ServerConfig, FileError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3");
    let builder = match &contents.authorities {
        Some((path, bytes)) => {
            let roots = Arc::new(roots(path, bytes)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = match certificates {
                ClientCertificates::Demanded => verifier.build(),
                ClientCertificates::Asked => verifier.allow_unauthenticated().build(),
            };
            let refused = |source| FileError::Verifier { path: path.clone(), source };
            builder.with_client_cert_verifier(verifier.map_err(refused)?)
        }
        None => builder.with_no_client_auth(),
    };
    let pair = contents.pair.as_ref().expect("a server's files have a certificate and a key");
    let (chain, key) = pair.parse()?;
    let mut config = builder.with_single_cert(chain, key).map_err(|source| pair.refused(source))?;
    config.alpn_protocols = vec![Alpn::Http2.name().to_vec(), Alpn::Http1.name().to_vec()];
    Ok(config)
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("files", &self.files).finish_non_exhaustive()
    }
}
