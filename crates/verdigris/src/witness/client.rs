//! The client of one witness: a request, an answer, both bounded in bytes and time.

use http::Method;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use http_client::{AskError, Server};
use ledger::{AddCheckpoint, MAX_NOTE_BYTES, NoteSignature, ParseNoteError};
use model::ClientTls;
use std::time::Duration;

/// For connecting, asking and answering together. A witness syncs a small file before it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Characters of a refusal that are repeated.
const MAX_WORDS: usize = 160;

/// One witness, by its URL.
pub struct WitnessClient(Server);

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
    /// Nobody listens, or no HTTP is spoken there.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It took too long.
    #[error("did not answer within {} s", ANSWER_LIMIT.as_secs())]
    Timeout,
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
        if url.contains('?') {
            return Err(refused());
        }
        match Server::new(url, tls) {
            Ok(server) => Ok(WitnessClient(server)),
            Err(http_client::UrlError::Form) => Err(refused()),
            Err(http_client::UrlError::Name(source)) => Err(source.into()),
        }
    }

    /// Shows the witness a checkpoint.
    pub async fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<Answer, AnswerError> {
        let asking = self.0.request(Method::POST, "/add-checkpoint");
        let asking = asking.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(Full::from(request.to_string()));
        let asking = asking.expect("a path of letters below one that was parsed, and headers of ours");
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.0.ask(asking, MAX_NOTE_BYTES)).await;
        let answer = answer.map_err(|_| AnswerError::Timeout)??;
        let text = String::from_utf8_lossy(answer.body());
        let words = || crate::describe::printable(&text.trim().chars().take(MAX_WORDS).collect::<String>());
        match answer.status().as_u16() {
            200 => Ok(Answer::Cosigned(NoteSignature::parse_lines(&text)?)),
            409 => {
                let size = text.strip_suffix('\n').unwrap_or(&text).parse();
                size.map(Answer::Conflict).map_err(|_| AnswerError::Size { found: words() })
            }
            status => Ok(Answer::Refused { status, words: words() }),
        }
    }
}
