//! A server that is asked by HTTP/1.1, with the same TLS as every other endpoint: Prometheus, trace stores, and agents of
//! ours.
//!
//! The token is read from its file for every question and goes into one header: never into an error, a record or a log,
//! also where the other side repeats it. What comes back is bounded in bytes, and whoever asks bounds the time.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use model::{ClientTls, with_causes};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// The longest tokens are signed documents (JWT) of some kilobytes.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// What a token's file must not allow: anything to others, writing to the group. As for private keys.
const TOKEN_MODE_REFUSED: u32 = 0o027;

/// How long is waited for one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one attempt: connecting, asking and answering together.
    pub attempt: Duration,
    /// Between one attempt and the next; there is one attempt more than there are pauses.
    pub pauses: Vec<Duration>,
}

/// Who is asked.
#[derive(Debug)]
pub(crate) struct Server {
    /// What should be there, for people.
    what: &'static str,
    url: String,
    host: String,
    port: u16,
    secure: Option<Arc<Client>>,
    token_file: Option<PathBuf>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub method: Method,
    /// Below the server's URL, with the query.
    pub path: String,
    /// What is posted, if something is: its media type, and the body.
    pub body: Option<(&'static str, String)>,
    /// Bytes that are read of the answer.
    pub max_answer_bytes: usize,
    /// What a longer answer should have been.
    pub expected: &'static str,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The URL is none.
    #[error("{url} is neither http://host:port nor https://host:port")]
    Url {
        /// The URL.
        url: String,
    },
    /// Its certificate could not be verified for any name.
    #[error("{url}: {source}")]
    Name {
        /// The URL.
        url: String,
        /// Why.
        source: tls::NameError,
    },
    /// Nobody listens.
    #[error("{url} does not accept connections: {source}; expected {what} there: is it running?")]
    Connect {
        /// The URL.
        url: String,
        /// What should be there.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// TLS came to nothing.
    #[error("{url}: {source}")]
    Secure {
        /// The URL.
        url: String,
        /// Why.
        source: Box<tls::ConnectError>,
    },
    /// It took too long.
    #[error("{url} did not answer within {} ms; is it overloaded, or are the queries too heavy?", attempt.as_millis())]
    Timeout {
        /// The URL.
        url: String,
        /// How long was waited.
        attempt: Duration,
    },
    /// It is no HTTP/1.1.
    #[error("{url} does not speak HTTP/1.1: {reason}")]
    Protocol {
        /// The URL.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// The answer does not end in time.
    #[error("{url} answered with more than {} KiB; expected {expected}", max_bytes / 1024)]
    TooLong {
        /// The URL.
        url: String,
        /// Bytes that were read.
        max_bytes: usize,
        /// What should have come.
        expected: &'static str,
    },
    /// The token cannot be used.
    #[error("{}: {reason}", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why, without what is in it.
        reason: String,
    },
}

impl Server {
    /// Paths are the server's, so relative ones are no use here. Asks nothing yet.
    pub(crate) fn new(
        what: &'static str,
        url: &str,
        tls: &ClientTls,
        token_file: Option<PathBuf>,
    ) -> Result<Server, ServerError> {
        let url = url.trim_end_matches('/').to_owned();
        let refused = || ServerError::Url { url: url.clone() };
        let parsed: Uri = url.parse().map_err(|_| refused())?;
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_u16()) else { return Err(refused()) };
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match parsed.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let client = Client::new(tls, &host, Alpn::Http1);
                Some(Arc::new(client.map_err(|source| ServerError::Name { url: url.clone(), source })?))
            }
            Some(_) | None => return Err(refused()),
        };
        Ok(Server { what, url, host, port, secure, token_file })
    }

    /// As the plan has it, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks once; the answer's status and body. The token, where the answer repeats it, is not in the body any more.
    pub(crate) async fn ask(&self, question: &Question) -> Result<(u16, Bytes), ServerError> {
        let token = match &self.token_file {
            Some(path) => Some(token(path.clone()).await?),
            None => None,
        };
        let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
        let refused = |source| ServerError::Connect { url: self.url.clone(), what: self.what, source };
        let stream = connected.map_err(refused)?;
        let (status, body) = match &self.secure {
            None => self.exchange(stream, token.as_ref(), question).await?,
            Some(client) => {
                let secured = client.connect(stream).await;
                let stream = secured
                    .map_err(|source| ServerError::Secure { url: self.url.clone(), source: Box::new(source) })?;
                self.exchange(stream, token.as_ref(), question).await?
            }
        };
        let body = match &token {
            // Before anything of it is quoted, in whole or in part.
            Some(token) => String::from_utf8_lossy(&body).replace(token.as_str(), "(the token)").into(),
            None => body,
        };
        Ok((status, body))
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        token: Option<&Zeroizing<String>>,
        question: &Question,
    ) -> Result<(u16, Bytes), ServerError> {
        let of_protocol =
            |error: hyper::Error| ServerError::Protocol { url: self.url.clone(), reason: with_causes(&error) };
        let request = self.request(token, question)?;
        // The connection's task ends with its sender, once the answer is read.
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(of_protocol)?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(of_protocol)?;
        let status = response.status().as_u16();
        let max_bytes = question.max_answer_bytes;
        match Limited::new(response.into_body(), max_bytes).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(ServerError::TooLong { url: self.url.clone(), max_bytes, expected: question.expected })
            }
            Err(error) => Err(ServerError::Protocol { url: self.url.clone(), reason: with_causes(&*error) }),
        }
    }

    fn request(
        &self,
        token: Option<&Zeroizing<String>>,
        question: &Question,
    ) -> Result<Request<Full<Bytes>>, ServerError> {
        let refused = || ServerError::Url { url: self.url.clone() };
        let rest = self.url.split_once("://").ok_or_else(refused)?.1;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // HTTP/1.1 wants the path alone (RFC 9112, section 3.2.1).
        let mut request = Request::builder()
            .method(&question.method)
            .uri(format!("{path}{}", question.path))
            .header(HOST, authority)
            .header(ACCEPT, "application/json");
        if let Some((media_type, _)) = &question.body {
            request = request.header(CONTENT_TYPE, *media_type);
        }
        if let (Some(token), Some(path)) = (token, &self.token_file) {
            let value = Zeroizing::new(format!("Bearer {}", token.as_str()));
            let mut value = HeaderValue::from_str(&value).map_err(|_| not_a_token(path))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let body = question.body.as_ref().map(|(_, body)| body.clone()).unwrap_or_default();
        request.body(Full::new(body.into())).map_err(|_| refused())
    }
}

/// Reads the token's file, for it may have been renewed.
pub(crate) async fn token(path: PathBuf) -> Result<Zeroizing<String>, ServerError> {
    let refused = |reason: String| ServerError::Token { path: path.clone(), reason };
    let file = path.clone();
    let read = tokio::task::spawn_blocking(move || read_bounded(&file)).await;
    let bytes = read.map_err(|_| refused("could not be looked at".to_owned()))?.map_err(refused)?;
    let text = str::from_utf8(&bytes).map_err(|_| not_a_token(&path))?.trim();
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Zeroizing::new(text.to_owned())) } else { Err(not_a_token(&path)) }
}

fn not_a_token(path: &Path) -> ServerError {
    let reason = "holds no token; expected one line of visible ASCII characters".to_owned();
    ServerError::Token { path: path.to_owned(), reason }
}

/// What is in the file, or what is wrong with it. Blocking.
fn read_bounded(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}; expected the file of the token");
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        return Err("is no file; expected the file of the token".to_owned());
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & TOKEN_MODE_REFUSED != 0 {
        return Err(format!(
            "the token may be read or written by others (mode {mode:03o}); expected 600, or 640 for a group that needs it: \
             chmod it, and make a new token if others could read this one"
        ));
    }
    let file = std::fs::File::open(path).map_err(cannot)?;
    // With its whole room from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TOKEN_BYTES as usize + 1));
    file.take(MAX_TOKEN_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_TOKEN_BYTES {
        return Err(format!("is longer than {MAX_TOKEN_BYTES} bytes; expected the file of a token"));
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod answering;
