//! What does Prometheus count for both environments? One question for all four counters of a metric (crate
//! `prometheus`).

use crate::server::{Question, Server, ServerError};
use ::prometheus::{AnswerError, PATH, form};
use http::Method;
use model::{ClientTls, Measurement, Reading};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub use crate::server::Patience;
pub use ::prometheus::Queries;

/// Four numbers with a label each are some 400 bytes; a query that was not summed up may give thousands of series.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A Prometheus, and what it is asked for one metric.
#[derive(Debug)]
pub struct Prometheus {
    server: Server,
    queries: Queries,
}

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// There is no answer.
    #[error(transparent)]
    Server(#[from] ServerError),
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
        Ok(Prometheus { server: Server::new("a Prometheus", url, tls, token_file)?, queries })
    }

    /// Asks until there is a reading, or the patience is over: then the last failure is told.
    pub async fn read(&self, patience: &Patience) -> Measurement {
        let mut pauses = patience.pauses.iter();
        loop {
            let asked = timeout(patience.attempt, self.ask(patience.attempt)).await;
            let timed_out = || ServerError::Timeout { url: self.server.url().to_owned(), attempt: patience.attempt };
            match (asked.unwrap_or_else(|_| Err(timed_out().into())), pauses.next()) {
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
        let timeout_ms = u64::try_from(attempt.as_millis()).unwrap_or(u64::MAX);
        let question = Question {
            method: Method::POST,
            path: PATH.to_owned(),
            body: Some(("application/x-www-form-urlencoded", form(&self.queries, timeout_ms))),
            max_answer_bytes: MAX_ANSWER_BYTES,
            expected: "four numbers: put sum(…) around each query",
        };
        let (status, body) = self.server.ask(&question).await?;
        let read = ::prometheus::read(status, &body);
        read.map_err(|source| PrometheusError::Answer { url: self.server.url().to_owned(), source })
    }
}

#[cfg(test)]
mod tests;
