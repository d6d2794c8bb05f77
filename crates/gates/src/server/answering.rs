//! For tests: servers that answer what they are told to.

use super::Patience;
use std::sync::Arc;
use std::time::Duration;
use tls::Server;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A server that gives each connection its next answer, whatever it is asked, and tells what it was asked.
pub(crate) struct Answering {
    pub(crate) url: String,
    pub(crate) asked: mpsc::UnboundedReceiver<String>,
}

/// What one connection gets.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// The end of the connection.
    Nothing,
    /// Neither.
    Silence,
}

impl Answering {
    pub(crate) async fn with(answers: Vec<Answer>, secure: Option<Arc<Server>>) -> Answering {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if secure.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = format!("{scheme}:{}", listener.local_addr().unwrap().port());
        let (tell, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for answer in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let tell = tell.clone();
                match &secure {
                    None => drop(tokio::spawn(converse(stream, answer, tell))),
                    Some(server) => {
                        let Ok(stream) = server.accept(stream).await else { continue };
                        tokio::spawn(converse(stream, answer, tell));
                    }
                }
            }
        });
        Answering { url, asked }
    }

    pub(crate) async fn once(answer: &str) -> Answering {
        Answering::with(vec![Answer::Bytes(answer.as_bytes().to_vec())], None).await
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Answer,
    tell: mpsc::UnboundedSender<String>,
) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => request.extend_from_slice(&piece[..read]),
            _ => break,
        }
    }
    tell.send(String::from_utf8(request).unwrap()).unwrap();
    match answer {
        Answer::Bytes(bytes) => {
            // It may have heard enough before the end.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Answer::Nothing => {}
        Answer::Silence => std::future::pending().await,
    }
}

/// Whether a request has come with its body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

pub(crate) fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One attempt that nothing of the machine's keeps from its end.
pub(crate) fn once() -> Patience {
    Patience { attempt: Duration::from_secs(60), pauses: Vec::new() }
}
