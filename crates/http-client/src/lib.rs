//! One HTTP/1.1 request over a connection of its own, with the same TLS as every other endpoint: whoever is asked now and
//! then (an issuer's keys, a witness, a Prometheus, an agent, a webhook, a collector beside us).
//!
//! No redirect is followed, nothing is kept and nothing is tried again: whoever asks decides that, and bounds the time.
//! What passes by the thousand has the gateway's client.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response, Uri, request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use model::{ClientTls, with_causes};
use std::io;
use std::sync::Arc;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Who is asked.
#[derive(Debug)]
pub struct Server {
    authority: String,
    host: String,
    port: u16,
    path: String,
    secure: Option<Arc<Client>>,
}

/// A URL at which nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Whose it is, says whoever took it from somewhere.
    #[error("expected http://host or https://host, with or without a port and a path, and without a user")]
    Form,
    /// No certificate could be for it.
    #[error(transparent)]
    Name(#[from] tls::NameError),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("does not accept connections: {0}")]
    Connect(#[source] io::Error),
    /// TLS came to nothing.
    #[error(transparent)]
    Secure(Box<tls::ConnectError>),
    /// It is no HTTP/1.1, or ends in the middle.
    #[error("does not speak HTTP/1.1: {reason}")]
    Protocol {
        /// With its causes.
        reason: String,
    },
    /// The answer is longer than it can be.
    #[error("answered with more than {max_bytes} bytes")]
    TooLong {
        /// So long it can be.
        max_bytes: usize,
    },
}

impl Server {
    /// Asks nothing yet.
    pub fn new(url: &str, tls: &ClientTls) -> Result<Server, UrlError> {
        let parsed: Uri = url.parse().map_err(|_| UrlError::Form)?;
        let (authority, host) = parsed.authority().zip(parsed.host()).ok_or(UrlError::Form)?;
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(UrlError::Form);
        }
        let (secure, port) = match parsed.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(Arc::new(Client::new(tls, &host, Alpn::Http1)?)), 443),
            Some(_) | None => return Err(UrlError::Form),
        };
        let path = parsed.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let port = authority.port_u16().unwrap_or(port);
        Ok(Server { authority: authority.to_string(), host, port, path, secure })
    }

    /// Whether TLS comes first.
    pub fn is_secure(&self) -> bool {
        self.secure.is_some()
    }

    /// A request for the URL, or for a path below it, which begins with a slash.
    pub fn request(&self, method: Method, below: &str) -> request::Builder {
        let path = if below.is_empty() { &self.path } else { self.path.trim_end_matches('/') };
        // HTTP/1.1 wants the path alone (RFC 9112, section 3.2.1).
        Request::builder().method(method).uri(format!("{path}{below}")).header(HOST, &self.authority)
    }

    /// Sends the request; the head of the answer, whose body can be read or dropped.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, AskError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(AskError::Connect)?;
        match &self.secure {
            None => exchange(stream, request).await,
            Some(client) => {
                let stream = client.connect(stream).await.map_err(|error| AskError::Secure(Box::new(error)))?;
                exchange(stream, request).await
            }
        }
    }

    /// Sends the request; the whole answer.
    pub async fn ask(&self, request: Request<Full<Bytes>>, max_bytes: usize) -> Result<Response<Bytes>, AskError> {
        whole(self.send(request).await?, max_bytes).await
    }
}

/// The head of the answer to a request over this stream.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, AskError> {
    let failed = |error: hyper::Error| AskError::Protocol { reason: with_causes(&error) };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // Ends with its sender, once the answer is read or dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(failed)
}

async fn whole(response: Response<Incoming>, max_bytes: usize) -> Result<Response<Bytes>, AskError> {
    let (head, body) = response.into_parts();
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(AskError::TooLong { max_bytes }),
        Err(error) => Err(AskError::Protocol { reason: with_causes(&*error) }),
    }
}
