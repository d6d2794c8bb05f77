//! Recording what the gateway receives: somebody asks for it, and gets the sealed recording as it grows, in lines of JSON. It
//! ends when its time is over, when it is as large as it may become, when somebody ends it, and when he goes away.

use super::body::Body;
use super::learning::Stops;
use super::problem::Problem;
use crate::{Api, Caller};
use access::Action;
use axum::body::Body as Answer;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::Recording;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// How long may be recorded, in milliseconds: a second to a day.
pub const RECORD_FOR_MS: (u64, u64) = (1_000, 24 * 3_600_000);
/// How large a recording may become: a block of 256 KiB and more, to what a day of 500 spans a second comes to, ten times.
pub const RECORD_BYTES: (u64, u64) = (1 << 20, 64 << 30);
/// An age public key has 62 characters.
const MAX_RECIPIENT_CHARACTERS: usize = 128;

/// The body of `POST /v1/recording`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRequest {
    /// Who can open it: an age public key, `age1…`.
    pub recipient: String,
    /// How long is recorded.
    pub for_ms: u64,
    /// How large it may become, before it is sealed.
    pub max_bytes: u64,
    /// Whether what is sensitive stays in it.
    pub keep_sensitive: bool,
}

/// A line of the answer: what was sealed since the last one, and the figures so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedLine {
    /// The next bytes of the file, in base64.
    pub sealed: String,
    /// Requests that are in it.
    pub requests: u64,
    /// Bytes of their messages.
    pub bytes: u64,
    /// Requests that came and are not in it.
    pub dropped_requests: u64,
    /// Of these, requests that could not be redacted, or are no OTLP.
    pub unreadable_requests: u64,
    /// How long it goes on at most.
    pub left_ms: u64,
    /// Why it is over, in words. After it nothing follows, and the recording is whole.
    pub over: Option<String>,
}

/// What somebody gets of a recording that goes on. Dropped, it ends.
pub struct RecordedLines {
    /// What there is.
    pub lines: mpsc::Receiver<RecordedLine>,
    /// Ends it in order: what is there is still told.
    pub end: Arc<Notify>,
}

/// A recording that begins when it is called, for the principal of that name; dropped, it does not.
pub type Prepared = Box<dyn FnOnce(&str) -> RecordedLines + Send>;

/// Prepares a recording, or says why there is none.
pub type Prepare = Arc<dyn Fn(&RecordRequest) -> Result<Prepared, RecordError> + Send + Sync>;

/// What records.
#[derive(Clone)]
pub struct Record {
    /// Takes the place of the one who records, and prepares.
    pub prepare: Prepare,
    /// Ends the recording that goes on in order; whether there is one.
    pub end: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Why nothing is recorded.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordError {
    /// Too short a time, or too long a one.
    #[error("forMs: found {found}, expected {} to {}", RECORD_FOR_MS.0, RECORD_FOR_MS.1)]
    For {
        /// What was asked for.
        found: u64,
    },
    /// Too small, or too large.
    #[error("maxBytes: found {found}, expected {} to {}", RECORD_BYTES.0, RECORD_BYTES.1)]
    Bytes {
        /// What was asked for.
        found: u64,
    },
    /// Nobody could open it.
    #[error("recipient: expected an age public key, `age1…`, as `age-keygen` prints it")]
    Recipient,
    /// One at a time.
    #[error("somebody records already, and one at a time can: `recording` in /v1/status says until when")]
    Busy,
    /// A part of the traffic passes elsewhere.
    #[error(
        "the server before this one still finishes what it took, and what passes there is not seen here: try again"
    )]
    NotAlone,
}

impl RecordRequest {
    /// Whether it asks for something that can be.
    fn check(&self) -> Result<(), RecordError> {
        if !(RECORD_FOR_MS.0..=RECORD_FOR_MS.1).contains(&self.for_ms) {
            return Err(RecordError::For { found: self.for_ms });
        }
        if !(RECORD_BYTES.0..=RECORD_BYTES.1).contains(&self.max_bytes) {
            return Err(RecordError::Bytes { found: self.max_bytes });
        }
        if self.recipient.len() > MAX_RECIPIENT_CHARACTERS {
            return Err(RecordError::Recipient);
        }
        Ok(())
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Problem {
        let detail = error.to_string();
        match error {
            RecordError::For { .. } | RecordError::Bytes { .. } | RecordError::Recipient => {
                Problem::new("bad-request", StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            RecordError::Busy => Problem::new("conflict", StatusCode::CONFLICT, detail),
            RecordError::NotAlone => Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

/// `POST /v1/recording`. Who asked stands in the ledger before anything is recorded.
pub(crate) async fn record(
    State(api): State<Api>,
    State(Stops(stops)): State<Stops>,
    caller: Caller,
    body: Result<Body<RecordRequest>, Problem>,
) -> Result<Response, Problem> {
    let by = caller.to(Action::Record)?;
    let Body(request) = body?;
    request.check()?;
    let prepared = (api.record.prepare)(&request)?;
    let RecordRequest { recipient, for_ms, max_bytes, keep_sensitive } = request;
    let name = by.name.clone();
    api.handle.record(Recording { for_ms, max_bytes, redacted: !keep_sensitive, recipient }, by).await?;
    let lines = stream::unfold((prepared(&name), stops), async |(mut recorded, mut stops)| {
        let line = tokio::select! {
            biased;
            line = recorded.lines.recv() => Some(line?),
            _ = stops.wait_for(|stops| *stops) => None,
        };
        let line = match line {
            Some(line) => line,
            // It is closed in order, which takes a moment; the limit of the stop is for that as well.
            None => {
                recorded.end.notify_one();
                recorded.lines.recv().await?
            }
        };
        let mut text = serde_json::to_string(&line).expect("a line is JSON");
        text.push('\n');
        Some((Ok::<_, Infallible>(text), (recorded, stops)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Answer::from_stream(lines)).into_response())
}

/// `DELETE /v1/recording`: it ends in order.
pub(crate) async fn end(State(api): State<Api>, caller: Caller) -> Result<StatusCode, Problem> {
    caller.to(Action::Record)?;
    if !(api.record.end)() {
        return Err(Problem::new("unknown", StatusCode::NOT_FOUND, "nobody records"));
    }
    Ok(StatusCode::NO_CONTENT)
}
