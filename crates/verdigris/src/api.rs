//! The client of the API's Unix socket.

use crate::describe::{Exit, Failed};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use web::Problem;

/// An answer of our own server is a report of at most a few hundred findings.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The controller answers within milliseconds; a server that needs longer hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A server that tells again and again tells every second.
const LINE_LIMIT: Duration = Duration::from_secs(30);

/// Talks to one server.
pub struct ApiClient {
    socket: PathBuf,
}

impl ApiClient {
    /// Connects anew for each request, so that a server that was restarted is found again.
    pub fn new(socket: &Path) -> ApiClient {
        ApiClient { socket: socket.to_owned() }
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// Asks for bytes as they are.
    pub async fn bytes(&self, path: &str) -> Result<Bytes, Failed> {
        let (status, bytes) = self.answered(self.exchange(Method::GET, path, Bytes::new())).await?;
        if status.is_success() { Ok(bytes) } else { Err(refused(status, &bytes)) }
    }

    /// Asks for a change.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failed> {
        self.request(Method::POST, path, serde_json::to_vec(body)?.into()).await
    }

    /// Asks for an end.
    pub async fn delete(&self, path: &str) -> Result<(), Failed> {
        let (status, bytes) = self.answered(self.exchange(Method::DELETE, path, Bytes::new())).await?;
        if status.is_success() { Ok(()) } else { Err(refused(status, &bytes)) }
    }

    /// Asks for something that goes on, of which the server tells again and again.
    pub async fn follow(&self, path: &str, body: &impl Serialize) -> Result<Lines, Failed> {
        let body = serde_json::to_vec(body)?.into();
        let (response, connection) = self.answered(self.send(Method::POST, path, body)).await?;
        if response.status().is_success() {
            return Ok(Lines { body: response.into_body(), waiting: Vec::new(), _connection: connection });
        }
        let status = response.status();
        Err(refused(status, &self.answered(collect(response.into_body())).await?))
    }

    async fn request<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Failed> {
        let (status, bytes) = self.answered(self.exchange(method, path, body)).await?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes).context("the server's answer is of another version")?);
        }
        Err(refused(status, &bytes))
    }

    /// Within the limit, and with words for whoever has no server.
    async fn answered<T>(&self, answer: impl Future<Output = anyhow::Result<T>>) -> Result<T, Failed> {
        let socket = self.socket.display();
        let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        let answer = answer.map_err(|_| anyhow!("the server at {socket} did not answer within 30 s"))?;
        Ok(answer.with_context(|| {
            format!("no server answers at {socket}; start one with `verdigris serve`, or name its socket with --socket")
        })?)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(http::StatusCode, Bytes)> {
        let (response, _connection) = self.send(method, path, body).await?;
        Ok((response.status(), collect(response.into_body()).await?))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(Response<Incoming>, Connection)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = Connection(tokio::spawn(async move {
            // How it ended, the answer says.
            let _ = connection.await;
        }));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "verdigris")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        Ok((sender.send_request(request).await?, connection))
    }
}

/// Ends with whoever uses it.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a server tells, a JSON value a line. Dropped, the server knows that nobody hears it any more.
pub struct Lines {
    body: Incoming,
    /// What came after the last line.
    waiting: Vec<u8>,
    _connection: Connection,
}

impl Lines {
    /// The next; nothing when the server tells no more. What it had begun is kept when this is given up.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failed> {
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).context("the server's answer is of another version")?));
            }
            let frame = tokio::time::timeout(LINE_LIMIT, self.body.frame()).await;
            let frame = frame.map_err(|_| anyhow!("the server told nothing for 30 s"))?;
            let Some(frame) = frame else { return Ok(None) };
            let more = frame.context("the server's answer broke off")?.into_data().unwrap_or_default();
            if self.waiting.len() + more.len() > MAX_ANSWER_BYTES {
                return Err(anyhow!("the server's answer is longer than {MAX_ANSWER_BYTES} bytes").into());
            }
            self.waiting.extend_from_slice(&more);
        }
    }
}

async fn collect(body: Incoming) -> anyhow::Result<Bytes> {
    let collected = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    Ok(collected.map_err(|error| anyhow!(error))?.to_bytes())
}

/// What the server says of its refusal.
fn refused(status: http::StatusCode, bytes: &Bytes) -> Failed {
    let problem: Problem = match serde_json::from_slice(bytes) {
        Ok(problem) => problem,
        Err(error) => {
            let what = format!("the server answered with HTTP status {status} and no explanation");
            return anyhow::Error::new(error).context(what).into();
        }
    };
    let exit = if problem.kind == "refused-plan" { Exit::Usage } else { Exit::Other };
    let lines: Vec<String> = problem.errors.iter().map(|error| error.message.clone()).collect();
    let message = if lines.is_empty() { problem.detail } else { lines.join("\n") };
    Failed { exit, error: anyhow!(message) }
}
