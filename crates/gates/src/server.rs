//! A server that is asked by HTTP/1.1, with the same TLS as every other endpoint: Prometheus, trace stores, and agents of
//! ours.
//!
//! The token is read from its file for every question and goes into one header: never into an error, a record or a log,
//! also where the other side repeats it. What comes back is bounded in bytes, and whoever asks bounds the time.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::Full;
use http_client::{AskError, UrlError};
use model::ClientTls;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
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
    server: http_client::Server,
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
        // A plan says every port: which one a default would be, an approver need not know.
        if url.parse::<Uri>().ok().and_then(|parsed| parsed.port_u16()).is_none() {
            return Err(ServerError::Url { url });
        }
        let server = http_client::Server::new(&url, tls).map_err(|error| match error {
            UrlError::Form => ServerError::Url { url: url.clone() },
            UrlError::Name(source) => ServerError::Name { url: url.clone(), source },
        })?;
        Ok(Server { what, url, server, token_file })
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
        let request = self.request(token.as_ref(), question)?;
        let answered = self.server.ask(request, question.max_answer_bytes).await;
        let (head, body) = answered.map_err(|error| self.failed(error, question))?.into_parts();
        let body = match &token {
            // Before anything of it is quoted, in whole or in part.
            Some(token) => String::from_utf8_lossy(&body).replace(token.as_str(), "(the token)").into(),
            None => body,
        };
        Ok((head.status.as_u16(), body))
    }

    fn failed(&self, error: AskError, question: &Question) -> ServerError {
        let url = self.url.clone();
        match error {
            AskError::Connect(source) => ServerError::Connect { url, what: self.what, source },
            AskError::Secure(source) => ServerError::Secure { url, source },
            AskError::Protocol { reason } => ServerError::Protocol { url, reason },
            AskError::TooLong { max_bytes } => ServerError::TooLong { url, max_bytes, expected: question.expected },
        }
    }

    fn request(
        &self,
        token: Option<&Zeroizing<String>>,
        question: &Question,
    ) -> Result<Request<Full<Bytes>>, ServerError> {
        let method = question.method.clone();
        let mut request = self.server.request(method, &question.path).header(ACCEPT, "application/json");
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
        request.body(Full::new(body.into())).map_err(|_| ServerError::Url { url: self.url.clone() })
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
