use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An OTLP/HTTP receiver that answers its one request with these bytes.
async fn answers(bytes: &'static str) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4_096];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
        stream.write_all(bytes.as_bytes()).await.unwrap();
        // Until the probe has read the answer and closes.
        let _ = stream.read(&mut request).await;
    });
    Upstream { endpoint, protocol: Protocol::Http, tap: "blue".into(), backend: None }
}

/// `expect` is the verdict and its first reason's end, for what blue and green answer.
async fn check(blue: &'static str, green: &'static str, expect: (GateVerdict, &str)) {
    let result = run(&PerEnvironment { blue: answers(blue).await, green: answers(green).await }).await;
    assert_eq!(result.verdict, expect.0, "{result:?}");
    assert!(result.reasons[0].ends_with(expect.1), "{result:?}");
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";

#[tokio::test]
async fn both_must_take_an_empty_export() {
    check(TAKEN, TAKEN, (GateVerdict::Pass, "green took an empty OTLP export")).await;
    check(TAKEN, REFUSED, (GateVerdict::Fail, "with HTTP status 503, expected success")).await;
    check(REFUSED, TAKEN, (GateVerdict::Error, "with HTTP status 503, expected success")).await;
}
