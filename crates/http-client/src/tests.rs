use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that gives one answer; its URL, and what it was asked.
async fn answers(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            let mut buffer = [0; 1_024];
            let read = stream.read(&mut buffer).await.unwrap();
            asked.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, asked)
}

/// What becomes of this answer, of which 8 bytes are read.
async fn check(answer: &'static str, expected: &str) {
    let (url, asked) = answers(answer).await;
    let server = Server::new(&url, &ClientTls::default()).unwrap();
    let request = server.request(Method::GET, "/below").body(Full::default()).unwrap();
    let told = match server.ask(request, 8).await {
        Ok(response) => format!("{} {}", response.status().as_u16(), String::from_utf8_lossy(response.body())),
        Err(error) => error.to_string(),
    };
    assert!(told.contains(expected), "{answer:?}: {told}");
    let (asked, host) = (asked.await.unwrap(), url.trim_start_matches("http://"));
    assert!(asked.starts_with("GET /below HTTP/1.1\r\n") && asked.contains(&format!("host: {host}\r\n")), "{asked}");
}

#[tokio::test]
async fn an_answer_is_whole_and_bounded() {
    check("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n12345678", "200 12345678").await;
    check("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "302 ").await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789", "more than 8 bytes").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n", "more than 8 bytes")
        .await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n1234", "does not speak HTTP/1.1").await;
    check("SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP/1.1").await;
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let server = Server::new(&url, &ClientTls::default()).unwrap();
    let request = server.request(Method::GET, "").body(Full::default()).unwrap();
    assert!(matches!(server.send(request).await, Err(AskError::Connect(_))));
}

#[tokio::test]
async fn https_is_not_spoken_in_clear_text() {
    let (url, asked) = answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let server = Server::new(&url.replace("http:", "https:"), &ClientTls::default()).unwrap();
    let request = server.request(Method::GET, "").header("authorization", "secret").body(Full::default()).unwrap();
    let asked_for = tokio::time::timeout(std::time::Duration::from_millis(200), server.send(request)).await;
    assert!(!matches!(asked_for, Ok(Ok(_))));
    asked.abort();
}

#[test]
fn a_url_says_where_and_what() {
    let check = |url: &str, below: &str, expected: Option<(&str, u16, &str)>| {
        let server = Server::new(url, &ClientTls::default()).ok();
        let found = server.as_ref().map(|server| {
            let request = server.request(Method::GET, below).body(()).unwrap();
            (server.host.clone(), server.port, request.uri().to_string())
        });
        let expected = expected.map(|(host, port, path)| (host.to_owned(), port, path.to_owned()));
        assert_eq!(found, expected, "{url}");
    };
    check("http://a.example", "", Some(("a.example", 80, "/")));
    check("https://a.example:8443/keys/?a=b", "", Some(("a.example", 8443, "/keys/?a=b")));
    check("http://[::1]:9090/p/", "/api?query=up", Some(("::1", 9090, "/p/api?query=up")));
    check("https://127.0.0.1/", "/x", Some(("127.0.0.1", 443, "/x")));
    for refused in
        ["a.example:80", "/path", "ftp://a.example", "http://u:p@a.example", "http://", "smtp://a", "http://a b"]
    {
        check(refused, "", None);
    }
}
