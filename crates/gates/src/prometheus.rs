//! What does Prometheus count for both environments? One question for all four counters of a metric (crate
//! `prometheus`), by HTTP/1.1, with the same TLS as every other endpoint.
//!
//! The token is read from its file for every question and goes into one header: never into an error, a record or a log,
//! also where the other side repeats it. What comes back is bounded in bytes and in time.

use ::prometheus::{AnswerError, PATH, form};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use model::{ClientTls, Measurement, Reading, with_causes};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

pub use ::prometheus::Queries;

/// Four numbers with a label each are some 400 bytes; a query that was not summed up may give thousands of series.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The longest tokens are signed documents (JWT) of some kilobytes.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// What a token's file must not allow: anything to others, writing to the group. As for private keys.
const TOKEN_MODE_REFUSED: u32 = 0o027;

/// How long is waited for one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one attempt: connecting, asking and answering together.
    pub attempt: Duration,
    /// Between one attempt and the next; there is one attempt more than there are pauses.
    pub pauses: Vec<Duration>,
}

/// A Prometheus, and what it is asked for one metric.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    host: String,
    port: u16,
    secure: Option<Arc<Client>>,
    token_file: Option<PathBuf>,
    queries: Queries,
}

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
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
    #[error("{url} does not accept connections: {source}; expected a Prometheus there: is it running?")]
    Connect {
        /// The URL.
        url: String,
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
    #[error("{url} answered with more than {} KiB; expected four numbers: put sum(…) around each query", MAX_ANSWER_BYTES / 1024)]
    TooLong {
        /// The URL.
        url: String,
    },
    /// The token cannot be used.
    #[error("{}: {reason}", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why, without what is in it.
        reason: String,
    },
    /// The answer is not what was asked for.
    #[error("{url} {source}")]
    Answer {
        /// The URL.
        url: String,
        /// Why.
        source: AnswerError,
    },
}

impl Prometheus {
    /// Paths are the server's, so relative ones are no use here. Asks nothing yet.
    pub fn new(
        url: &str,
        tls: &ClientTls,
        token_file: Option<PathBuf>,
        queries: Queries,
    ) -> Result<Prometheus, PrometheusError> {
        let url = url.trim_end_matches('/').to_owned();
        let refused = || PrometheusError::Url { url: url.clone() };
        let parsed: Uri = url.parse().map_err(|_| refused())?;
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_u16()) else { return Err(refused()) };
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match parsed.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let client = Client::new(tls, &host, Alpn::Http1);
                Some(Arc::new(client.map_err(|source| PrometheusError::Name { url: url.clone(), source })?))
            }
            Some(_) | None => return Err(refused()),
        };
        Ok(Prometheus { url, host, port, secure, token_file, queries })
    }

    /// Asks until there is a reading, or the patience is over: then the last failure is told.
    pub async fn read(&self, patience: &Patience) -> Measurement {
        let mut pauses = patience.pauses.iter();
        loop {
            let asked = timeout(patience.attempt, self.ask(patience.attempt)).await;
            let timed_out = || PrometheusError::Timeout { url: self.url.clone(), attempt: patience.attempt };
            match (asked.unwrap_or_else(|_| Err(timed_out())), pauses.next()) {
                (Ok(reading), _) => return Measurement::Read(reading),
                (Err(error), Some(pause)) => {
                    tracing::debug!(%error, "no reading yet");
                    sleep(*pause).await;
                }
                (Err(error), None) => return Measurement::failed(&error.to_string()),
            }
        }
    }

    async fn ask(&self, attempt: Duration) -> Result<Reading, PrometheusError> {
        let token = match &self.token_file {
            Some(path) => Some(token(path.clone()).await?),
            None => None,
        };
        let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = connected.map_err(|source| PrometheusError::Connect { url: self.url.clone(), source })?;
        let (status, body) = match &self.secure {
            None => self.exchange(stream, token.as_ref(), attempt).await?,
            Some(client) => {
                let secured = client.connect(stream).await;
                let stream = secured
                    .map_err(|source| PrometheusError::Secure { url: self.url.clone(), source: Box::new(source) })?;
                self.exchange(stream, token.as_ref(), attempt).await?
            }
        };
        let read = match &token {
            // Before anything of it is quoted, in whole or in part.
            Some(token) => {
                let body = String::from_utf8_lossy(&body).replace(token.as_str(), "(the token)");
                ::prometheus::read(status, body.as_bytes())
            }
            None => ::prometheus::read(status, &body),
        };
        read.map_err(|source| PrometheusError::Answer { url: self.url.clone(), source })
    }

    /// Posts the question; the answer's status and body.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        token: Option<&Zeroizing<String>>,
        attempt: Duration,
    ) -> Result<(u16, Bytes), PrometheusError> {
        let of_protocol =
            |error: hyper::Error| PrometheusError::Protocol { url: self.url.clone(), reason: with_causes(&error) };
        let request = self.request(token, attempt)?;
        // The connection's task ends with its sender, once the answer is read.
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(of_protocol)?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(of_protocol)?;
        let status = response.status().as_u16();
        match Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(PrometheusError::TooLong { url: self.url.clone() }),
            Err(error) => Err(PrometheusError::Protocol { url: self.url.clone(), reason: with_causes(&*error) }),
        }
    }

    fn request(
        &self,
        token: Option<&Zeroizing<String>>,
        attempt: Duration,
    ) -> Result<Request<Full<Bytes>>, PrometheusError> {
        let refused = || PrometheusError::Url { url: self.url.clone() };
        let rest = self.url.split_once("://").ok_or_else(refused)?.1;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // HTTP/1.1 wants the path alone (RFC 9112, section 3.2.1).
        let mut request = Request::post(format!("{path}{PATH}"))
            .header(HOST, authority)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let (Some(token), Some(path)) = (token, &self.token_file) {
            let value = Zeroizing::new(format!("Bearer {}", token.as_str()));
            let mut value = HeaderValue::from_str(&value).map_err(|_| not_a_token(path))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let timeout_ms = u64::try_from(attempt.as_millis()).unwrap_or(u64::MAX);
        request.body(Full::new(form(&self.queries, timeout_ms).into())).map_err(|_| refused())
    }
}

/// Reads the token's file, for it may have been renewed.
async fn token(path: PathBuf) -> Result<Zeroizing<String>, PrometheusError> {
    let refused = |reason: String| PrometheusError::Token { path: path.clone(), reason };
    let file = path.clone();
    let read = tokio::task::spawn_blocking(move || read_bounded(&file)).await;
    let bytes = read.map_err(|_| refused("could not be looked at".to_owned()))?.map_err(refused)?;
    let text = str::from_utf8(&bytes).map_err(|_| not_a_token(&path))?.trim();
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Zeroizing::new(text.to_owned())) } else { Err(not_a_token(&path)) }
}

fn not_a_token(path: &Path) -> PrometheusError {
    let reason = "holds no token; expected one line of visible ASCII characters".to_owned();
    PrometheusError::Token { path: path.to_owned(), reason }
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
mod tests;
