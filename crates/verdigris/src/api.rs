//! The client of the API's Unix socket.

use crate::describe::{Exit, Failed};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use web::Problem;

/// An answer of our own server is a report of at most a few hundred findings.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The controller answers within milliseconds; a server that needs longer hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

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

    /// Asks for a change.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failed> {
        self.request(Method::POST, path, serde_json::to_vec(body)?.into()).await
    }

    async fn request<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Failed> {
        let socket = self.socket.display();
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.exchange(method, path, body)).await;
        let answer = answer.map_err(|_| anyhow!("the server at {socket} did not answer within 30 s"))?;
        let (status, bytes) = answer.with_context(|| {
            format!("no server answers at {socket}; start one with `verdigris serve`, or name its socket with --socket")
        })?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes).context("the server's answer is of another version")?);
        }
        let problem: Problem = serde_json::from_slice(&bytes)
            .with_context(|| format!("the server answered with HTTP status {status} and no explanation"))?;
        let exit = if problem.kind == "refused-plan" { Exit::Usage } else { Exit::Other };
        let lines: Vec<String> = problem.errors.iter().map(|error| error.message.clone()).collect();
        let message = if lines.is_empty() { problem.detail } else { lines.join("\n") };
        Err(Failed { exit, error: anyhow!(message) })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(http::StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "verdigris")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let collected = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        connection.abort();
        Ok((status, collected.map_err(|error| anyhow!(error))?.to_bytes()))
    }
}
