//! One side's transaction: begun read-only, asked, rolled back.

use crate::connect::{Address, ConnectError, Connected, connect};
use crate::database::Database;
use crate::traffic::Traffic;
use crate::words::words;
use futures_util::TryStreamExt;
use migration::{Answer, Question, sql};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, Error};

/// Bytes of an answer on the wire. The largest that is expected is [`migration::MAX_TABLES`] tables of 100 columns in some 150 bytes
/// each; a key of 2,700 bytes, the longest that an index takes, fits 2,000 times.
pub const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;
/// What the server's statistics and logs say of these sessions.
const NAME: &str = "verdigris migration gate";
/// How long a statement waits for somebody else's lock.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// How long the server may take to end a session, or to be told to.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the session cannot be made read-only: {words}")]
    Begin { words: String },
    #[error("{about}: {words}")]
    Refused { about: String, words: String },
    #[error("{about}: more than {most} rows came; narrow down what is compared")]
    TooMany { about: String, most: usize },
    #[error("{about}: the answer is longer than {MAX_ANSWER_BYTES} bytes; narrow down what is compared")]
    TooLong { about: String },
}

/// A transaction of one side.
pub(crate) struct Session {
    /// Nothing at its end.
    client: Option<Client>,
    moving: Option<JoinHandle<()>>,
    address: Address,
    token: CancelToken,
    traffic: Arc<Traffic>,
    /// Whether a statement may be running on the server.
    is_asking: bool,
}

impl Session {
    /// Connects and begins. The server ends each statement after `limit` by itself.
    pub(crate) async fn begin(
        database: &Database,
        traffic: Arc<Traffic>,
        limit: Duration,
    ) -> Result<Session, AskError> {
        let Connected { client, moving, address } = connect(database, NAME, Arc::clone(&traffic)).await?;
        let token = client.cancel_token();
        let session = Session { client: Some(client), moving: Some(moving), address, token, traffic, is_asking: false };
        session.traffic.allow(MAX_ANSWER_BYTES);
        let lock = LOCK_LIMIT.min(limit / 2);
        let limits =
            [("statement_timeout", limit), ("idle_in_transaction_session_timeout", limit), ("lock_timeout", lock)];
        // Zero would be no limit.
        let limits =
            limits.map(|(name, limit)| format!("SET {name} = {}", limit.as_millis().clamp(1, i32::MAX as u128)));
        let settings = sql::SESSION.iter().map(|(name, value)| format!("SET {name} = {value}"));
        // In one way or another nothing can be written from here on.
        let read_only = "SET default_transaction_read_only = on".to_owned();
        let all: Vec<_> = [read_only].into_iter().chain(limits).chain(settings).collect();
        let client = session.client();
        let begun = async {
            client.batch_execute(&all.join("; ")).await?;
            client.batch_execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await
        };
        begun.await.map_err(|error| AskError::Begin { words: words(&error) })?;
        Ok(session)
    }

    /// One question, one statement.
    pub(crate) async fn ask(&mut self, question: &Question) -> Result<Answer, AskError> {
        self.traffic.allow(MAX_ANSWER_BYTES);
        self.is_asking = true;
        let answer = read(self.client(), question).await;
        self.is_asking = matches!(answer, Err(AskError::TooMany { .. }));
        match answer {
            // The driver says no more than that its connection has ended.
            Err(AskError::Refused { about, .. }) if self.traffic.is_exceeded() => {
                self.is_asking = true;
                Err(AskError::TooLong { about })
            }
            answer => answer,
        }
    }

    /// Rolls back, and closes. What goes wrong now changes nothing.
    pub(crate) async fn end(mut self) {
        let Some(client) = self.client.take() else { return };
        let ended = async {
            _ = client.batch_execute("ROLLBACK").await;
            drop(client);
            if let Some(moving) = self.moving.take() {
                _ = moving.await;
            }
        };
        _ = timeout(END_LIMIT, ended).await;
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("only the end takes the client, and the session with it")
    }
}

impl Drop for Session {
    /// A statement would run on for nobody: the server notices a closed connection only when it answers.
    fn drop(&mut self) {
        let Some(moving) = self.moving.take() else { return };
        let client = self.client.take();
        let (address, token, is_asking) = (self.address.clone(), self.token.clone(), self.is_asking);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return moving.abort() };
        runtime.spawn(async move {
            if is_asking {
                _ = timeout(END_LIMIT, address.cancel(&token)).await;
            }
            drop(client);
            moving.abort();
        });
    }
}

async fn read(client: &Client, question: &Question) -> Result<Answer, AskError> {
    let refused = |error: Error| AskError::Refused { about: question.about(), words: words(&error) };
    let no_parameters: [(&(dyn ToSql + Sync), Type); 0] = [];
    // The extended protocol: the server itself refuses more than one statement.
    let rows = client.query_typed_raw(&sql::render(question), no_parameters).await.map_err(refused)?;
    let mut rows = pin!(rows);
    let mut answer = Answer::default();
    while let Some(row) = rows.try_next().await.map_err(refused)? {
        if answer.rows.len() >= question.max_rows() {
            return Err(AskError::TooMany { about: question.about(), most: question.max_rows() });
        }
        let texts = (0..row.len()).map(|at| row.try_get::<_, Option<String>>(at)).collect::<Result<Vec<_>, _>>();
        answer.rows.push(texts.map_err(refused)?);
    }
    Ok(answer)
}
