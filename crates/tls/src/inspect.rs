//! What certificates a server shows, also one that nobody trusts. No connection comes of it: the verifier here notes what
//! it is shown and refuses it, always.

use crate::client::{Client, ConnectError};
use crate::files::FileError;
use crate::{provider, words};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Certificates that are noted of a chain; one has four at most in practice.
const MAX_CHAIN: usize = 16;

/// Why nobody knows whether a certificate is trusted, or why it is not.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The authorities cannot be read.
    #[error(transparent)]
    Files(#[from] FileError),
    /// None of the authorities signed it, or a signature is wrong.
    #[error("{0}")]
    Untrusted(String),
}

#[derive(Debug, Default)]
struct Noting {
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

const ONLY_LOOKED: &str = "only looked at";

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = std::iter::once(end_entity).chain(intermediates).take(MAX_CHAIN);
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        *chain = shown.map(|one| one.clone().into_owned()).collect();
        Err(Error::General(ONLY_LOOKED.to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(ONLY_LOOKED.to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(ONLY_LOOKED.to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Client {
    /// The chain that the server shows, its own certificate first, as DER. The handshake is broken off there. Takes as long
    /// as the other side takes: the caller bounds it.
    pub async fn shown(&self, stream: TcpStream) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
        let noting = Arc::new(Noting::default());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&noting) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        config.alpn_protocols = vec![self.alpn().name().to_vec()];
        let connected = TlsConnector::from(Arc::new(config)).connect(self.name().clone(), stream).await;
        let chain = std::mem::take(&mut *noting.chain.lock().unwrap_or_else(PoisonError::into_inner));
        match connected {
            Err(error) if chain.is_empty() => Err(ConnectError::Handshake(words::io_words(&error))),
            Ok(_) | Err(_) => Ok(chain),
        }
    }

    /// Whether one of this client's authorities signed the chain, at a moment (seconds since 1970). The name is no part of
    /// the question. Reads the authorities' file: blocking.
    pub fn trusts(&self, chain: &[CertificateDer<'_>], at_secs: u64) -> Result<(), TrustError> {
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return Err(TrustError::Untrusted("the server shows no certificate".to_owned()));
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider()).build();
        let verifier = verifier.map_err(|error| TrustError::Untrusted(error.to_string()))?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_secs));
        match verifier.verify_server_cert(end_entity, intermediates, self.name(), &[], at) {
            // The name is looked at last.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(error) => Err(TrustError::Untrusted(words(&error))),
        }
    }
}
