//! rustls from files: what a TLS port shows, how an `https://` endpoint is verified, and both anew when the files change.
//!
//! Knows nothing of OTLP. Verification cannot be switched off: there is no such setting, and the only
//! verifier of ours refuses everything (`inspect.rs`: it notes what a server shows). What is in a key file goes into rustls and nowhere else; errors and logs name paths. A broken
//! new file never takes the place of a good old one. TLS 1.2 and 1.3, with rustls' defaults for everything.

mod client;
mod files;
mod inspect;
mod names;
mod server;
mod stream;
mod words;

pub use client::{Client, ConnectError, NameError};
pub use files::{FileError, certificates};
pub use inspect::TrustError;
pub use names::{Names, not_after_secs};
pub use rustls::pki_types::CertificateDer;
pub use server::{AcceptError, ClientCertificates, Look, Server, ServerFiles};
pub use stream::ClientStream;
pub use tokio_rustls::server::TlsStream as ServerStream;
pub use words::words;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// An HTTP version, as client and server agree on it during the handshake (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Alpn {
    /// As the handshake has it.
    pub fn name(self) -> &'static [u8] {
        match self {
            Alpn::Http1 => b"http/1.1",
            Alpn::Http2 => b"h2",
        }
    }
}

/// Named here, so that no process-wide default can be another one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
