//! The door over TCP: a port of its own, a controller that answers nothing and notes what it is told to record.

mod credentials;
mod fetching;
mod lasting;
mod slow;
mod table;

use super::*;
use crate::api::learning::Stops;
use crate::port::Port;
use crate::{Api, Caller, site as routes};
use control::rollout::Principal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const TOKEN: &str = "the-operator-token-of-this-test-0123456789";
const START_MS: u64 = 1_800_000_000_000;
/// Connections at once: fewer than a server has, for both ends of them are here.
const ROOM: usize = 64;
/// The one rollout that there is.
const ROLLOUT: &str = "collectors.1";

/// A port that serves, until it is dropped.
pub(super) struct Fixture {
    pub(super) address: SocketAddr,
    pub(super) recorded: Arc<Mutex<Vec<String>>>,
    pub(super) now_ms: Arc<AtomicU64>,
    /// Whether the configuration names anybody, as long as this is so.
    pub(super) names: Arc<AtomicBool>,
    _stop: oneshot::Sender<()>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Fixture {
    /// A subject of OIDC is a principal of that role; the operator is one of each; certificates are `CN=ada`'s alone.
    pub(super) async fn start(oidc: Option<Oidc>, files: Option<tls::ServerFiles>) -> Fixture {
        let (handle, mut inputs) = Handle::new();
        let recorded = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&recorded);
        tokio::spawn(async move {
            while let Some(input) = inputs.recv().await {
                let said = match input {
                    Input::AccessRefused { what, by } => format!("{}: {what}", by.name),
                    Input::CallersRefused { what, .. } => what,
                    Input::Report { rollout: Some(rollout), reply } if rollout.0 == ROLLOUT => {
                        let _ = reply.send(Some(Box::new(crate::fixture::report(ROLLOUT))));
                        continue;
                    }
                    // The reply is dropped: the controller is stopping, as it seems.
                    _ => continue,
                };
                noted.lock().unwrap().push(said);
            }
        });
        let names = Arc::new(AtomicBool::new(true));
        let named = Arc::clone(&names);
        let identities: Identities = Arc::new(move |identity| {
            if !named.load(Ordering::Relaxed) {
                return None;
            }
            let principal = match identity {
                Identity::OperatorToken => {
                    let all = access::Role::ALL.map(|role| role.name().to_owned());
                    Principal::new("operator-token", all.to_vec())
                }
                Identity::Oidc { subject, .. } if subject != "stranger" => {
                    Principal::new(subject, vec![subject.clone()])
                }
                Identity::Certificate(Names::Subject(name)) if name == "CN=ada" => {
                    Principal::new("ada", vec!["viewer".to_owned(), "operator".to_owned()])
                }
                Identity::Oidc { .. } | Identity::Certificate(_) => return None,
            };
            Some(Caller::named(principal))
        });
        let (now_ms, secrets) = (Arc::new(AtomicU64::new(START_MS)), AtomicU8::new(1));
        let clock = Arc::clone(&now_ms);
        let way = Doorway {
            names: vec!["verdigris.example".to_owned()],
            token: Some(token_digest(TOKEN)),
            oidc: oidc.map(Arc::new),
            identities,
            clock: Arc::new(move || UnixMillis(clock.load(Ordering::Relaxed))),
            secrets: Arc::new(move || [secrets.fetch_add(1, Ordering::Relaxed); 32]),
        };
        let port = Port::bind(([127, 0, 0, 1], 0).into(), files).await.unwrap().at_most(ROOM);
        let (address, (stop, stopped)) = (port.address(), oneshot::channel::<()>());
        tokio::spawn(port.serve(way, Api::fixture(handle), async {
            let _ = stopped.await;
        }));
        Fixture { address, recorded, now_ms, names, _stop: stop }
    }

    /// One request on a connection of its own. The host is added where there is none.
    pub(super) async fn ask(&self, head: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        exchange(stream, &self.whole(head, body)).await
    }

    pub(super) fn whole(&self, head: &str, body: &str) -> String {
        let host = if head.to_ascii_lowercase().contains("\nhost:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.address)
        };
        let lines: Vec<&str> = head.lines().map(str::trim).collect();
        let (first, rest) = lines.split_first().unwrap();
        let rest: String = rest.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{first} HTTP/1.1\r\n{host}{rest}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    /// Everything that was recorded, when what is told beside the answers has come: the tasks that tell it have their
    /// turns meanwhile, for there is one thread.
    pub(super) async fn recorded(&self) -> Vec<String> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.recorded.lock().unwrap().clone()
    }

    /// Signs in; the cookie and the token of its forms.
    pub(super) async fn sign_in(&self) -> (String, String) {
        let head = "POST /sign-in\nContent-Type: application/x-www-form-urlencoded\nSec-Fetch-Site: same-origin";
        let answer = self.ask(head, &format!("token={TOKEN}")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let set = answer.headers["set-cookie"].clone();
        for part in ["__Host-verdigris=", "; Path=/;", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(set.contains(part), "{set} without {part}");
        }
        let cookie = set.split(';').next().unwrap().to_owned();
        let page = self.ask(&format!("GET /sign-in\nCookie: {cookie}"), "").await;
        let csrf = page.body.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        (cookie, csrf.to_owned())
    }
}

pub(super) async fn exchange(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    request: &str,
) -> Answer {
    // Who is refused early may find the connection closed while it still sends.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|it| it.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

#[tokio::test]
async fn a_route_that_asks_for_nothing_answers_nothing() {
    let (handle, _inputs) = Handle::new();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let caller = Caller::named(Principal::new("ada", vec!["viewer".to_owned()]));
    let forgetful = Router::new().route("/v1/secrets", axum::routing::get(|| async { "all of them" }));
    let watched =
        routes::watched(forgetful.merge(routes::router(Api::fixture(handle.clone()), Stops(stopped))), handle);
    let mut request = Request::get("/v1/secrets").body(Body::empty()).unwrap();
    request.extensions_mut().insert(caller);
    let service = hyper_util::service::TowerToHyperService::new(watched);
    let response = hyper::service::Service::call(&service, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn whoever_is_known_comes_in_and_whoever_is_not_is_told_how() {
    let door = Fixture::start(None, None).await;
    let page = door.ask("GET /rollouts/r-1?a=b\nAccept: text/html,*/*", "").await;
    assert_eq!((page.status, page.headers["location"].as_str()), (303, "/sign-in?to=%2Frollouts%2Fr%2D1%3Fa%3Db"));
    let api = door.ask("GET /v1/status\nAccept: application/json", "").await;
    assert_eq!((api.status, api.headers["www-authenticate"].as_str()), (401, "Bearer"));
    let bearer = door.ask(&format!("GET /v1/status\nAuthorization: Bearer {TOKEN}"), "").await;
    assert_eq!((bearer.status, bearer.body.as_str()), (200, "{}"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
    ] {
        assert_eq!(bearer.headers[name], value);
        assert!(page.headers.contains_key(name) && api.headers.contains_key(name), "{name}");
    }
    assert!(!bearer.headers.contains_key("strict-transport-security"), "there is no TLS to insist on");
    assert_eq!(door.recorded().await, ["the web port, 1 times: 1 without a credential"]);
}

#[tokio::test]
async fn a_session_begins_ends_and_is_nobody_elses() {
    let door = Fixture::start(None, None).await;
    let (cookie, csrf) = door.sign_in().await;
    let get = |cookie: String| async move { format!("GET /v1/status\nCookie: a=b; {cookie}; c=d") };
    assert_eq!(door.ask(&get(cookie.clone()).await, "").await.status, 200);
    assert_eq!(door.ask(&get(cookie.replace("__Host-", "")).await, "").await.status, 401);
    assert_eq!(door.ask(&get(format!("{cookie}x")).await, "").await.status, 401);

    // Signing out needs the session's token, as everything does that changes something.
    let out = format!(
        "POST /sign-out\nCookie: {cookie}\nSec-Fetch-Site: same-origin\nContent-Type: application/x-www-form-urlencoded"
    );
    assert_eq!(door.ask(&out, "").await.status, 403);
    let gone = door.ask(&out, &format!("csrf={csrf}")).await;
    assert!(gone.status == 303 && gone.headers["set-cookie"].contains("Max-Age=0"), "{}", gone.body);
    assert_eq!(door.ask(&get(cookie).await, "").await.status, 401);

    let (cookie, _) = door.sign_in().await;
    door.now_ms.fetch_add(crate::session::IDLE_MS, Ordering::Relaxed);
    assert_eq!(door.ask(&get(cookie).await, "").await.status, 401);
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let door = Fixture::start(None, None).await;
    let (cookie, csrf) = door.sign_in().await;
    let check = async |said: &str, csrf: &str, expected: u16| {
        let head = format!("POST /v1/erasures\nCookie: {cookie}\nContent-Type: application/json\n{said}\n{csrf}");
        let head = head.trim_end().replace("\n\n", "\n");
        assert_eq!(door.ask(&head, "{}").await.status, expected, "{head}");
    };
    let (token, same) = (format!("X-CSRF-Token: {csrf}"), format!("Origin: http://{}", door.address));
    // 422 is the route's: an erasure names its subject.
    check("Sec-Fetch-Site: same-origin", &token, 422).await;
    check(&same, &token, 422).await;
    check("Sec-Fetch-Site: same-origin\nOrigin: null", &token, 422).await;
    for other in
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null", ""]
    {
        check(other, &token, 403).await;
    }
    for wrong in ["", "X-CSRF-Token: ", "X-CSRF-Token: AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM"] {
        check(&same, wrong, 403).await;
    }
    // A token in a header is nobody's but its sender's.
    let bearer = format!(
        "POST /v1/erasures\nAuthorization: Bearer {TOKEN}\nOrigin: https://evil.example\nContent-Type: application/json"
    );
    assert_eq!(door.ask(&bearer, "{}").await.status, 422);
    // Nobody is signed in by another site.
    let in_form = "POST /sign-in\nContent-Type: application/x-www-form-urlencoded\nOrigin: https://evil.example";
    assert_eq!(door.ask(in_form, &format!("token={TOKEN}")).await.status, 403);
    door.now_ms.fetch_add(refused::TELL_EVERY_MS, Ordering::Relaxed);
    door.ask("GET /v1/status\nHost: evil.example", "").await;
    let recorded = door.recorded().await.join("\n");
    assert!(recorded.contains("cross-site, or without the session's token"), "{recorded}");
    assert!(!recorded.contains(TOKEN) && !recorded.contains(&csrf), "{recorded}");
}

/// Kinds that a page of any site can send without a question beforehand (Fetch, "CORS-safelisted request-header").
#[tokio::test]
async fn the_sessions_token_is_demanded_whatever_kind_of_form_it_is() {
    let door = Fixture::start(None, None).await;
    let (cookie, csrf) = door.sign_in().await;
    let parts = |csrf: &str| {
        let part = |name: &str, more: &str, value: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
        };
        let file = part("signature", "; filename=\"a.sig\"", "-----BEGIN SSH SIGNATURE-----");
        format!("{}{file}--x--\r\n", part("csrf", "", csrf))
    };
    let path = format!("/rollouts/{ROLLOUT}/approvals");
    let send = async |site: &str, kind: &str, more: &str, body: &str| {
        let head = format!("POST {path}\nCookie: {cookie}\nSec-Fetch-Site: {site}\nContent-Type: {kind}\n{more}");
        door.ask(head.trim_end(), body).await.status
    };
    let multipart = "multipart/form-data; boundary=x";
    let form = "application/x-www-form-urlencoded";
    let fields = format!("csrf={csrf}&statement=a&signature=b");
    let header = format!("X-CSRF-Token: {csrf}");
    // From another site nothing helps: neither the right token nor a kind that is not looked into.
    for site in ["cross-site", "same-site", "none"] {
        for (kind, body) in [
            (multipart, parts(&csrf)),
            (form, fields.clone()),
            ("text/plain", format!("csrf={csrf}")),
            ("", String::new()),
        ] {
            assert_eq!(send(site, kind, "", &body).await, 403, "{site} {kind}");
            assert_eq!(send(site, kind, &header, &body).await, 403, "{site} {kind}");
        }
    }
    // From our own page the token is demanded, and found in a form's field or the header.
    let wrong = parts("AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM");
    for body in [parts(""), wrong, "--x--\r\n".to_owned(), parts(&csrf).replace("--x--", ""), fields.clone()] {
        assert_eq!(send("same-origin", multipart, "", &body).await, 403, "{body}");
        let passes = send("same-origin", multipart, &header, &body).await;
        assert!(passes != 403 && passes != 401, "{passes} {body}");
    }
    let passes = send("same-origin", multipart, "", &parts(&csrf)).await;
    assert!(passes != 403 && passes != 401, "{passes}");
    for kind in ["text/plain", "application/json", ""] {
        assert_eq!(send("same-origin", kind, "", &fields).await, 403, "{kind}");
    }
    let passes = send("same-origin", form, "", &fields).await;
    assert!(passes != 403 && passes != 401, "{passes}");
}

#[tokio::test]
async fn other_hosts_odd_paths_and_large_requests_are_refused() {
    let door = Fixture::start(None, None).await;
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let check = async |head: String, body: &str, expected: &[u16]| {
        let found = door.ask(&head, body).await.status;
        assert!(expected.contains(&found), "{found} for {head:.100}");
    };
    for host in ["evil.example", "evil.example:4321", "127.0.0.1.evil.example", ""] {
        check(format!("GET /v1/status\nHost: {host}\n{bearer}"), "", &[421]).await;
    }
    check(format!("GET /v1/status\nHost: Verdigris.Example:443\n{bearer}"), "", &[200]).await;
    check(format!("GET /v1/status\nHost: localhost\nHost: evil.example\n{bearer}"), "", &[400, 421]).await;
    for path in
        ["/assets/../operator.token", "/assets/%2e%2e/operator.token", "//evil.example", "/v1//status", "/a/..%2f.."]
    {
        check(format!("GET {path}\n{bearer}"), "", &[400]).await;
    }
    check(format!("GET /v1/status\n{bearer}\nX-Large: {}", "x".repeat(64 << 10)), "", &[431, 0]).await;
    let many: String = (0..100).map(|n| format!("\nX-{n}: x")).collect();
    check(format!("GET /v1/status\n{bearer}{many}"), "", &[431, 0]).await;
    let large = "x".repeat(body::MAX_BODY_BYTES + 1);
    check(format!("POST /v1/erasures\n{bearer}\nContent-Type: application/json"), &large, &[413, 0]).await;
    let strangers = "x".repeat(body::MAX_STRANGERS_BYTES + 1);
    check("POST /sign-in\nSec-Fetch-Site: same-origin".to_owned(), &strangers, &[413, 0]).await;
    assert!(!door.recorded().await.is_empty());
}

#[tokio::test]
async fn tokens_are_not_tried_out() {
    let door = Fixture::start(None, None).await;
    let wrong = "GET /v1/status\nAuthorization: Bearer wrong";
    for _ in 0..10 {
        assert_eq!(door.ask(wrong, "").await.status, 401);
    }
    let answer = door.ask(wrong, "").await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (429, "6"));
    let form = "POST /sign-in\nContent-Type: application/x-www-form-urlencoded\nSec-Fetch-Site: same-origin";
    assert_eq!(door.ask(form, "token=wrong").await.status, 429);
    door.now_ms.fetch_add(6_000, Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(door.ask(&format!("GET /v1/status\nAuthorization: bearer {TOKEN}"), "").await.status, 200);
    }
    for other in ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", TOKEN] {
        assert!([401, 429].contains(&door.ask(&format!("GET /v1/status\nAuthorization: {other}"), "").await.status));
    }
}
