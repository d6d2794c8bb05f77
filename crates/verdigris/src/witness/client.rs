//! The client of one witness: a request, an answer, both bounded in bytes and time.

use anyhow::anyhow;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use ledger::{AddCheckpoint, MAX_NOTE_BYTES, NoteSignature, ParseNoteError};
use model::ClientTls;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// For connecting, asking and answering together. A witness syncs a small file before it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Characters of a refusal that are repeated.
const MAX_WORDS: usize = 160;

/// One witness, by its URL.
pub struct WitnessClient {
    authority: String,
    host: String,
    port: u16,
    path: String,
    secure: Option<Arc<Client>>,
}

/// A URL at which no witness can be asked.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is none.
    #[error("found {found:?}, expected http://host:port or https://host, with or without a path")]
    Form {
        /// The URL.
        found: String,
    },
    /// No certificate could be for it.
    #[error(transparent)]
    Name(#[from] tls::NameError),
}

/// What a witness answered.
#[derive(Debug)]
pub enum Answer {
    /// Signature lines, of whatever key.
    Cosigned(Vec<NoteSignature>),
    /// The size that it cosigned last.
    Conflict(u64),
    /// Anything else.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        words: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Nobody listens.
    #[error("does not accept connections: {0}")]
    Connect(#[source] io::Error),
    /// TLS came to nothing.
    #[error("{0}")]
    Secure(#[source] tls::ConnectError),
    /// It took too long.
    #[error("did not answer within {} s", ANSWER_LIMIT.as_secs())]
    Timeout,
    /// It is no HTTP/1.1, or longer than it can be.
    #[error("did not answer as a witness does: {0:#}")]
    Protocol(anyhow::Error),
    /// It cosigned, but not in signature lines.
    #[error("answered with what is no signature line")]
    Lines(#[from] ParseNoteError),
    /// A conflict without a size.
    #[error("answered with 409 and {found:?}, expected the size that it cosigned last")]
    Size {
        /// The beginning of what it said.
        found: String,
    },
}

impl WitnessClient {
    /// Asks nothing yet.
    pub fn new(url: &str, tls: &ClientTls) -> Result<WitnessClient, UrlError> {
        let refused = || UrlError::Form { found: url.chars().take(MAX_WORDS).collect() };
        let parsed: Uri = url.trim_end_matches('/').parse().map_err(|_| refused())?;
        let (authority, host) = parsed.authority().zip(parsed.host()).ok_or_else(refused)?;
        if parsed.query().is_some() || authority.as_str().contains('@') {
            return Err(refused());
        }
        // An IPv6 address has brackets in a URL, and none for the resolver.
        let host = host.trim_matches(['[', ']']).to_owned();
        let (secure, port) = match parsed.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(Arc::new(Client::new(tls, &host, Alpn::Http1)?)), 443),
            Some(_) | None => return Err(refused()),
        };
        let port = parsed.port_u16().unwrap_or(port);
        let path = format!("{}/add-checkpoint", parsed.path().trim_end_matches('/'));
        Ok(WitnessClient { authority: authority.to_string(), host, port, path, secure })
    }

    /// Shows the witness a checkpoint.
    pub async fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<Answer, AnswerError> {
        let asked = tokio::time::timeout(ANSWER_LIMIT, self.ask(request.to_string()));
        let (status, body) = asked.await.map_err(|_| AnswerError::Timeout)??;
        let text = String::from_utf8_lossy(&body);
        let words = || crate::describe::printable(&text.trim().chars().take(MAX_WORDS).collect::<String>());
        match status {
            200 => Ok(Answer::Cosigned(NoteSignature::parse_lines(&text)?)),
            409 => {
                let size = text.strip_suffix('\n').unwrap_or(&text).parse();
                size.map(Answer::Conflict).map_err(|_| AnswerError::Size { found: words() })
            }
            status => Ok(Answer::Refused { status, words: words() }),
        }
    }

    async fn ask(&self, body: String) -> Result<(u16, Bytes), AnswerError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(AnswerError::Connect)?;
        let exchanged = match &self.secure {
            None => self.exchange(stream, body).await,
            Some(client) => self.exchange(client.connect(stream).await.map_err(AnswerError::Secure)?, body).await,
        };
        exchanged.map_err(AnswerError::Protocol)
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        body: String,
    ) -> anyhow::Result<(u16, Bytes)> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // The connection's task ends with its sender, once the answer is read.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let collected = Limited::new(response.into_body(), MAX_NOTE_BYTES).collect().await;
        Ok((status, collected.map_err(|error| anyhow!(error))?.to_bytes()))
    }
}
