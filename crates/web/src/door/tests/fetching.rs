//! An issuer's keys from its server: by verified TLS, within bounds, seldom, and kept when they cannot be had.

use super::credentials::Issuer;
use super::*;
use crate::door::keys::KeysError;
use certs::{Authority, Validity};
use model::{ClientTls, UnixMillis};
use std::sync::atomic::AtomicUsize;
use tokio::net::TcpListener;

/// A server that answers every request with this, and counts them.
async fn issuer_server(answer: Arc<Mutex<String>>, files: tls::ServerFiles) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let (server, counted) = (tls::Server::open(files).unwrap(), Arc::clone(&asked));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = server.accept(stream).await else { continue };
            let mut head = [0; 4_096];
            let read = stream.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"GET /keys HTTP/1.1\r\n"));
            counted.fetch_add(1, Ordering::Relaxed);
            let text = answer.lock().unwrap().clone();
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, asked)
}

fn whole(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn keys_come_by_verified_tls_and_stay_when_they_cannot_be_had() {
    let (issuer, authority, folder) = (Issuer::new(), Authority::new("ours"), tempfile::tempdir().unwrap());
    let (cert, key) = authority.server(&["localhost"], Validity::Long).write(folder.path(), "sso");
    let ca = authority.write(folder.path(), "ca.pem").display().to_string();
    let answer = Arc::new(Mutex::new(whole("503 Service Unavailable", "")));
    let files = tls::ServerFiles { cert, key, client_ca: None };
    let (port, asked) = issuer_server(Arc::clone(&answer), files).await;
    let url = format!("https://localhost:{port}/keys");
    let at = |ca: Option<String>| {
        let tls = ClientTls { ca, identity: None, server_name: None };
        Oidc::new(issuer.pinned(), &KeysAt::Url { url: url.clone(), tls }, UnixMillis(START_MS)).unwrap()
    };
    let now = |ms: u64| UnixMillis(START_MS + ms);
    let (oidc, token) = (at(Some(ca)), issuer.token("viewer", serde_json::json!({})));

    assert_eq!(oidc.check(&token, now(0)).await, Err(Fault::NoKeys));
    *answer.lock().unwrap() = whole("200 OK", &issuer.keys());
    // Nobody makes this server ask again before half a minute is over.
    assert_eq!(oidc.check(&token, now(29_999)).await, Err(Fault::NoKeys));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(oidc.check(&token, now(30_000)).await.is_ok());
    assert!(oidc.check(&token, now(60_000)).await.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    // Whatever its server does then, the keys stay, and are asked for again when they are old.
    let huge = whole("200 OK", &" ".repeat((1 << 20) + 1));
    for (n, bad) in [whole("302 Found", &issuer.keys()), huge, whole("200 OK", "{\"keys\": []}"), String::new()]
        .into_iter()
        .enumerate()
    {
        *answer.lock().unwrap() = bad;
        let fresh = serde_json::json!({ "iat": START_MS / 1_000 + 930, "exp": START_MS / 1_000 + 2_000 });
        let token = issuer.token("viewer", fresh);
        assert!(oidc.check(&token, now(930_000 + 30_000 * n as u64)).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 3 + n);
    }
    let tomorrow = 25 * 3_600;
    let late = serde_json::json!({ "iat": START_MS / 1_000 + tomorrow, "exp": START_MS / 1_000 + tomorrow + 60 });
    assert_eq!(oidc.check(&issuer.token("viewer", late), now(tomorrow * 1_000)).await, Err(Fault::NoKeys));

    // A server that no authority of ours signed is asked nothing.
    let other = Authority::new("others").write(folder.path(), "others.pem").display().to_string();
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(at(Some(other)).check(&token, now(0)).await, Err(Fault::NoKeys));
    assert_eq!(asked.load(Ordering::Relaxed), before);
}

#[test]
fn only_a_whole_https_url_is_one() {
    let issuer = Issuer::new();
    for url in
        ["http://sso.example/keys", "https://", "https://a@sso.example/keys", "https://sso.example/keys?x=1", "keys"]
    {
        let at = KeysAt::Url { url: url.to_owned(), tls: ClientTls::default() };
        let refused = Oidc::new(issuer.pinned(), &at, UnixMillis(0));
        assert!(matches!(refused, Err(KeysError::Url { .. })), "{url}");
    }
}
