//! Whoever holds a connection without asking for anything, over TCP, and how many can. Time is paused: it goes on when
//! nobody has anything to do, so that what is measured is what was waited for and not how fast this machine is.

use super::*;
use crate::port::{HANDSHAKE_LIMIT, HEAD_LIMIT};
use certs::{Authority, Validity};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Between two bytes of whoever sends them one by one.
const PAUSE: Duration = Duration::from_secs(3);
/// What a bound may be late by: a timer's millisecond, and the steps of [`PAUSE`].
const SLACK: Duration = Duration::from_secs(4);

/// Sends the bytes one by one, and gives what came back, and how long it took until the connection was closed.
async fn trickle(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    bytes: impl Iterator<Item = u8>,
) -> (String, Duration) {
    let began = Instant::now();
    let mut came = Vec::new();
    let mut bytes = bytes.fuse();
    loop {
        let mut buffer = [0; 4_096];
        match timeout(PAUSE, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(read)) => came.extend_from_slice(&buffer[..read]),
            Err(_) => {
                if let Some(byte) = bytes.next() {
                    let _ = stream.write_all(&[byte]).await;
                }
            }
        }
        assert!(began.elapsed() < Duration::from_secs(600), "nobody closes it");
    }
    (String::from_utf8_lossy(&came).into_owned(), began.elapsed())
}

fn check(what: &str, took: Duration, bound: Duration) {
    assert!(took >= bound && took <= bound + SLACK, "{what}: closed after {took:?}, expected {bound:?}");
}

#[tokio::test(start_paused = true)]
async fn who_sends_nothing_or_a_head_byte_by_byte_is_closed() {
    let door = Fixture::start(None, None).await;
    let connect = async || TcpStream::connect(door.address).await.unwrap();
    let (came, took) = trickle(connect().await, std::iter::empty()).await;
    check("nothing", took, HEAD_LIMIT);
    assert_eq!(came, "");
    let (_, took) = trickle(connect().await, door.whole("GET /healthz", "").bytes().cycle()).await;
    check("a head", took, HEAD_LIMIT);
    // After an answer the same time begins again.
    let mut stream = connect().await;
    let kept = door.whole("GET /sign-in", "").replace("Connection: close\r\n", "");
    stream.write_all(kept.as_bytes()).await.unwrap();
    let (came, took) = trickle(stream, std::iter::empty()).await;
    assert!(came.starts_with("HTTP/1.1 200 "), "{came}");
    check("nothing more", took, HEAD_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn who_sends_a_body_byte_by_byte_is_closed() {
    let door = Fixture::start(None, None).await;
    let bearer = format!("POST /v1/erasures\nAuthorization: Bearer {TOKEN}\nContent-Type: application/json");
    let form = "POST /sign-in\nContent-Type: application/x-www-form-urlencoded\nSec-Fetch-Site: same-origin";
    for head in [bearer.as_str(), form] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let whole = door.whole(head, &"x".repeat(1_000)).replace("Connection: close\r\n", "");
        let (head, body) = whole.split_at(whole.find("\r\n\r\n").unwrap() + 4);
        stream.write_all(head.as_bytes()).await.unwrap();
        let (came, took) = trickle(stream, body.bytes()).await;
        assert!(came.starts_with("HTTP/1.1 408 "), "{came}");
        // What is left of the body is not waited for.
        check(head, took, body::BODY_LIMIT);
    }
    door.now_ms.fetch_add(refused::TELL_EVERY_MS, Ordering::Relaxed);
    door.ask("GET /v1/status", "").await;
    assert!(door.recorded().await.join("\n").contains("body too large or too slow"));
}

/// A connection with TLS by HTTP/2, and nothing said on it.
async fn silent_http2(
    door: &Fixture,
    authority: &Authority,
) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(door.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_begins_tls_or_http2_and_asks_for_nothing_is_closed() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let (cert, key) = ours.server(&["localhost"], Validity::Long).write(folder.path(), "server");
    let door = Fixture::start(None, Some(tls::ServerFiles { cert, key, client_ca: None })).await;
    let (_, took) = trickle(TcpStream::connect(door.address).await.unwrap(), std::iter::empty()).await;
    check("no handshake", took, HANDSHAKE_LIMIT);
    let (_, took) = trickle(TcpStream::connect(door.address).await.unwrap(), [22, 3, 1, 2, 0, 1].into_iter()).await;
    check("a handshake", took, HANDSHAKE_LIMIT);
    // The preface and settings, and then a HEADERS frame that never ends: a request that never is one.
    let mut stream = silent_http2(&door, &ours).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]).await.unwrap();
    let (_, took) = trickle(stream, std::iter::empty()).await;
    assert!(took >= HEAD_LIMIT && took <= HEAD_LIMIT + 2 * SLACK, "HTTP/2: closed after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_connections_and_no_more() {
    let door = Fixture::start(None, None).await;
    let mut held = Vec::new();
    for _ in 0..ROOM {
        held.push(TcpStream::connect(door.address).await.unwrap());
    }
    // The last of them are accepted before the next one is.
    sleep(Duration::from_millis(1)).await;
    let (came, took) = trickle(TcpStream::connect(door.address).await.unwrap(), std::iter::empty()).await;
    assert!(came.is_empty() && took < PAUSE, "{came} after {took:?}");
    held.pop();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(door.ask("GET /healthz", "").await.status, 200, "there is room again");
}
