//! What does a trace store have? One trace by its id, or the traces that a search finds (crate `backends`).
//!
//! That something is not there is believed of a store alone that has shown once that it is the one expected: a wrong path
//! answers 404 as well, and would make every trace of an environment a lost one.

use crate::server::{Patience, Question, Server, ServerError};
use ::backends::{AnswerError, greeted, greeting_path, search_path, trace_path};
use bytes::Bytes;
use http::Method;
use model::{ClientTls, TraceId};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{sleep, timeout};

pub use ::backends::{Api, Search, Stored, StoredTrace};

/// A trace of 20,000 spans with some dozen attributes each; and a search of 100 traces, for Jaeger and Zipkin answer
/// with whole traces. Eight answers at once for each environment are 256 MiB at the very worst.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// A list of the names of services.
const MAX_GREETING_BYTES: usize = 1 << 20;

/// A trace store.
#[derive(Debug)]
pub struct Backend {
    api: Api,
    server: Server,
    /// It has answered as the store does that is expected.
    is_known: AtomicBool,
}

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// There is no answer.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The answer is no evidence.
    #[error("{url} {source}")]
    Answer {
        /// The URL.
        url: String,
        /// Why.
        source: AnswerError,
    },
    /// The answer could not be looked at.
    #[error("{url}: its answer could not be looked at")]
    Unread {
        /// The URL.
        url: String,
    },
}

impl Backend {
    /// Paths are the server's, so relative ones are no use here. Asks nothing yet.
    pub fn new(api: Api, url: &str, tls: &ClientTls, token_file: Option<PathBuf>) -> Result<Backend, BackendError> {
        let server = Server::new(api.words(), url, tls, token_file)?;
        Ok(Backend { api, server, is_known: AtomicBool::new(false) })
    }

    /// Asks for a trace until there is an answer, or the patience is over: then the last failure is told.
    pub async fn trace(&self, trace: TraceId, patience: &Patience) -> Result<Stored, BackendError> {
        let mut pauses = patience.pauses.iter();
        loop {
            let asked = timeout(patience.attempt, self.trace_once(trace)).await;
            let error = match asked.unwrap_or_else(|_| Err(self.timed_out(patience))) {
                Ok(stored) => return Ok(stored),
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!(%error, "no answer yet");
            sleep(*pause).await;
        }
    }

    /// Searches until there is an answer, or the patience is over: then the last failure is told.
    pub async fn search(&self, search: &Search, patience: &Patience) -> Result<BTreeSet<TraceId>, BackendError> {
        let mut pauses = patience.pauses.iter();
        loop {
            let asked = timeout(patience.attempt, self.search_once(search)).await;
            let error = match asked.unwrap_or_else(|_| Err(self.timed_out(patience))) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!(%error, "no answer yet");
            sleep(*pause).await;
        }
    }

    async fn trace_once(&self, trace: TraceId) -> Result<Stored, BackendError> {
        let api = self.api;
        let (status, body) = self.server.ask(&get(trace_path(api, trace), MAX_ANSWER_BYTES)).await?;
        let stored = self.read(body, move |body| ::backends::trace(api, status, body, trace)).await?;
        match stored {
            Stored::Trace(_) => self.is_known.store(true, Ordering::Relaxed),
            Stored::Nothing => self.greet().await?,
        }
        Ok(stored)
    }

    async fn search_once(&self, search: &Search) -> Result<BTreeSet<TraceId>, BackendError> {
        let api = self.api;
        let (status, body) = self.server.ask(&get(search_path(api, search), MAX_ANSWER_BYTES)).await?;
        let found = self.read(body, move |body| ::backends::found(api, status, body)).await?;
        if found.is_empty() {
            self.greet().await?;
        }
        Ok(found)
    }

    /// Asks who is there, unless that is known.
    async fn greet(&self) -> Result<(), BackendError> {
        if !self.is_known.load(Ordering::Relaxed) {
            let (status, body) = self.server.ask(&get(greeting_path(self.api).to_owned(), MAX_GREETING_BYTES)).await?;
            greeted(self.api, status, &body).map_err(|source| self.refused(source))?;
            self.is_known.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Megabytes of JSON are read where nobody waits who serves traffic.
    async fn read<T: Send + 'static>(
        &self,
        body: Bytes,
        read: impl FnOnce(&[u8]) -> Result<T, AnswerError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let done = tokio::task::spawn_blocking(move || read(&body)).await;
        let unread = |_| BackendError::Unread { url: self.server.url().to_owned() };
        done.map_err(unread)?.map_err(|source| self.refused(source))
    }

    fn refused(&self, source: AnswerError) -> BackendError {
        BackendError::Answer { url: self.server.url().to_owned(), source }
    }

    fn timed_out(&self, patience: &Patience) -> BackendError {
        ServerError::Timeout { url: self.server.url().to_owned(), attempt: patience.attempt }.into()
    }
}

fn get(path: String, max_answer_bytes: usize) -> Question {
    let expected = "one trace, or the traces of some milliseconds";
    Question { method: Method::GET, path, body: None, max_answer_bytes, expected }
}

#[cfg(test)]
mod tests;
