//! Tokens and certificates that do not hold, over TCP: refused, recorded, and not repeated.

use super::*;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use certs::{Authority, Validity};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::path::Path;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// An OpenID provider with one key.
pub(super) struct Issuer {
    key: KeyPair,
    folder: tempfile::TempDir,
}

impl Issuer {
    pub(super) fn new() -> Issuer {
        let issuer = Issuer { key: KeyPair::generate().unwrap(), folder: tempfile::tempdir().unwrap() };
        std::fs::write(issuer.folder.path().join("keys.json"), issuer.keys()).unwrap();
        issuer
    }

    /// Its public key, as a set.
    pub(super) fn keys(&self) -> String {
        let (x, y) = self.key.public_key_raw()[1..].split_at(32);
        let (x, y) = (BASE64URL.encode(x), BASE64URL.encode(y));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y }] }).to_string()
    }

    pub(super) fn pinned(&self) -> Pinned {
        Pinned {
            issuer: "https://sso.example".to_owned(),
            audience: "verdigris".to_owned(),
            algorithms: Alg::ALL.to_vec(),
            types: vec!["at+jwt".to_owned()],
            claim: "sub".to_owned(),
        }
    }

    pub(super) fn oidc(&self) -> Oidc {
        let at = KeysAt::File(self.folder.path().join("keys.json"));
        Oidc::new(self.pinned(), &at, UnixMillis(START_MS)).unwrap()
    }

    pub(super) fn token(&self, subject: &str, instead: Value) -> String {
        let now = START_MS / 1_000;
        let mut claims =
            json!({ "iss": "https://sso.example", "aud": "verdigris", "sub": subject, "iat": now, "exp": now + 300 });
        claims.as_object_mut().unwrap().extend(instead.as_object().unwrap().clone());
        let mut header = Header::new(Algorithm::ES256);
        (header.typ, header.kid) = (Some("at+jwt".to_owned()), Some("1".to_owned()));
        encode(&header, &claims, &EncodingKey::from_ec_der(&self.key.serialize_der())).unwrap()
    }
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_refused_and_recorded_by_kind() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let door = Fixture::start(Some(issuer.oidc()), None).await;
    let now = START_MS / 1_000;
    let ask = async |token: &str| door.ask(&format!("GET /v1/status\nAuthorization: Bearer {token}"), "").await;
    let good = issuer.token("viewer", json!({}));
    assert_eq!(ask(&good).await.status, 200);
    let (head, rest) = good.split_once('.').unwrap();
    let none = BASE64URL.encode(json!({ "alg": "none", "typ": "at+jwt", "kid": "1" }).to_string());
    assert!(head != none);
    let bad = [
        (other.token("viewer", json!({})), 401, "wrong signature"),
        (issuer.token("viewer", json!({ "exp": now - 61, "iat": now - 100 })), 401, "expired"),
        (issuer.token("viewer", json!({ "nbf": now + 120 })), 401, "does not hold yet"),
        (issuer.token("viewer", json!({ "iss": "https://evil.example" })), 401, "another issuer"),
        (issuer.token("viewer", json!({ "aud": "grafana" })), 401, "another audience"),
        (format!("{none}.{rest}"), 401, "malformed"),
        ("not-the-operators".to_owned(), 401, "unknown token"),
        (issuer.token("stranger", json!({})), 403, "named by no principal"),
    ];
    let mut told = Vec::new();
    for (token, status, _) in &bad {
        let answer = ask(token).await;
        assert_eq!(answer.status, *status, "{}", answer.body);
        told.push(token.clone());
        door.now_ms.fetch_add(6_000, Ordering::Relaxed);
    }
    door.now_ms.fetch_add(refused::TELL_EVERY_MS, Ordering::Relaxed);
    ask("another-one").await;
    let recorded = door.recorded().await.join("\n");
    for (token, _, words) in &bad {
        assert!(recorded.contains(words), "{words} is not in {recorded}");
        assert!(!recorded.contains(token.as_str()));
    }
}

#[tokio::test]
async fn a_token_signs_in_once() {
    let issuer = Issuer::new();
    let door = Fixture::start(Some(issuer.oidc()), None).await;
    let form = "POST /sign-in\nContent-Type: application/x-www-form-urlencoded\nSec-Fetch-Site: same-origin";
    let token = issuer.token("viewer", json!({ "jti": "once" }));
    let first = door.ask(form, &format!("to=%2Frollouts%2Fr-1&token={token}")).await;
    assert_eq!((first.status, first.headers["location"].as_str()), (303, "/rollouts/r-1"));
    let again = door.ask(form, &format!("to=%2F%2Fevil.example&token={token}")).await;
    assert_eq!(again.status, 401);
    assert!(!again.body.contains("evil.example") && !again.body.contains(&token), "{}", again.body);
    let elsewhere = issuer.token("viewer", json!({ "jti": "another" }));
    let sent = door.ask(form, &format!("to=%2F%2Fevil.example&token={elsewhere}")).await;
    assert_eq!((sent.status, sent.headers["location"].as_str()), (303, "/"));
}

/// A TLS client with this identity, if it has one.
async fn connect(door: &Fixture, authority: &Authority, identity: Option<certs::Identity>, head: &str) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from_pem_slice(identity.cert.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(door.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => exchange(stream, &door.whole(head, "")).await,
        Err(_) => Answer { status: 0, headers: BTreeMap::new(), body: String::new() },
    }
}

#[tokio::test]
async fn certificates_name_who_they_are_or_let_nobody_in() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = ours.server(&["localhost"], Validity::Long).write(folder.path(), "server");
    let client_ca = Some(ours.write(Path::new(folder.path()), "ca.pem"));
    let door = Fixture::start(None, Some(tls::ServerFiles { cert, key, client_ca })).await;
    let get = "GET /v1/status\nHost: localhost";
    let check = async |identity: Option<certs::Identity>, head: &str, expected: u16| {
        let answer = connect(&door, &ours, identity, head).await;
        assert_eq!(answer.status, expected, "{head}: {}", answer.body);
        answer
    };
    let ada = || Some(ours.named("ada", &[], Validity::Long));
    let answer = check(ada(), get, 200).await;
    assert_eq!(answer.headers["strict-transport-security"], STRICT_TRANSPORT);
    // Without a certificate there are tokens, and nothing without one.
    check(None, get, 401).await;
    check(None, &format!("{get}\nAuthorization: Bearer {TOKEN}"), 200).await;
    // Known, and named by nobody: also where the right name stands in the wrong place.
    check(Some(ours.named("grace", &[], Validity::Long)), get, 403).await;
    check(Some(ours.named("ada", &["spiffe://corp.example/ada"], Validity::Long)), get, 403).await;
    check(Some(ours.named("CN=ada", &[], Validity::Long)), get, 403).await;
    // Another authority's, and one that is over, do not come in at all.
    check(Some(theirs.named("ada", &[], Validity::Long)), get, 0).await;
    check(Some(ours.named("ada", &[], Validity::Over)), get, 0).await;
    // A browser shows a certificate for whoever asks it to.
    let post = "POST /v1/erasures\nHost: localhost\nContent-Type: application/json";
    check(ada(), post, 400).await;
    check(ada(), &format!("{post}\nOrigin: https://localhost"), 400).await;
    check(ada(), &format!("{post}\nOrigin: https://evil.example"), 403).await;
    // The handshake looked at a certificate once; its connection may outlive it. These hold until the year 4096.
    let before = door.now_ms.swap(67_100_000_000_000, Ordering::Relaxed);
    check(ada(), get, 401).await;
    door.now_ms.store(before, Ordering::Relaxed);
    door.now_ms.fetch_add(refused::TELL_EVERY_MS, Ordering::Relaxed);
    check(None, get, 401).await;
    let recorded = door.recorded().await.join("\n");
    for words in ["named by no principal", "certificate not let in", "cross-site"] {
        assert!(recorded.contains(words), "{words} is not in {recorded}");
    }
}
