//! Answers that go on end with what whoever reads them had shown. Time is paused: it goes on when nobody has anything to do.

use super::credentials::Issuer;
use super::*;
use crate::door::lasting::LOOK_EVERY;
use std::time::Duration;
use tokio::time::timeout;

/// A live view that was begun with this header.
struct Viewer {
    stream: TcpStream,
    seen: String,
}

impl Viewer {
    async fn begin(door: &Fixture, header: &str) -> Viewer {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let head = format!("GET /rollouts/{ROLLOUT}/events\n{header}");
        stream.write_all(door.whole(&head, "").as_bytes()).await.unwrap();
        let mut viewer = Viewer { stream, seen: String::new() };
        while !viewer.seen.contains("event: change") {
            assert!(viewer.more().await, "{}", viewer.seen);
        }
        assert!(viewer.seen.starts_with("HTTP/1.1 200 OK"), "{}", viewer.seen);
        viewer
    }

    /// Whether anything came before the answer was over.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 64 << 10];
        let read = self.stream.read(&mut bytes).await.unwrap();
        self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }

    /// Whether it ends within the time in which a quiet one is looked at, and nothing more of the rollout is in it.
    async fn ends(mut self) -> bool {
        let before = self.seen.matches("event: change").count();
        let end = timeout(2 * LOOK_EVERY, async { while self.more().await {} }).await;
        assert_eq!(self.seen.matches("event: change").count(), before, "{}", self.seen);
        // The last chunk: it is not broken off, so that a browser asks again and hears that it may not.
        assert_eq!(end.is_ok(), self.seen.ends_with("0\r\n\r\n"), "{}", self.seen);
        end.is_ok()
    }
}

fn cookie_header(cookie: &str) -> String {
    format!("Cookie: {cookie}")
}

#[tokio::test(start_paused = true)]
async fn a_live_view_ends_with_its_session() {
    let door = Fixture::start(None, None).await;
    let (cookie, csrf) = door.sign_in().await;
    let stays = Viewer::begin(&door, &cookie_header(&cookie)).await;
    assert!(!stays.ends().await, "a session that holds lets it go on");

    let viewer = Viewer::begin(&door, &cookie_header(&cookie)).await;
    let out = format!("POST /sign-out\nCookie: {cookie}\nSec-Fetch-Site: same-origin\nX-CSRF-Token: {csrf}");
    assert_eq!(door.ask(&out, "").await.status, 303);
    assert!(viewer.ends().await, "signed out");

    // An open page is no use of the session.
    let (cookie, _) = door.sign_in().await;
    let viewer = Viewer::begin(&door, &cookie_header(&cookie)).await;
    door.now_ms.fetch_add(crate::session::IDLE_MS, Ordering::Relaxed);
    assert!(viewer.ends().await, "idle");

    let (cookie, _) = door.sign_in().await;
    let viewer = Viewer::begin(&door, &cookie_header(&cookie)).await;
    let get = format!("GET /v1/status\nCookie: {cookie}");
    let step_ms = crate::session::IDLE_MS / 2;
    for _ in 0..crate::session::ABSOLUTE_MS / step_ms - 1 {
        door.now_ms.fetch_add(step_ms, Ordering::Relaxed);
        assert_eq!(door.ask(&get, "").await.status, 200);
    }
    door.now_ms.fetch_add(step_ms, Ordering::Relaxed);
    assert!(viewer.ends().await, "old, although it was used all the time");
}

#[tokio::test(start_paused = true)]
async fn a_live_view_ends_with_its_token_and_with_whom_it_names() {
    let issuer = Issuer::new();
    let door = Fixture::start(Some(issuer.oidc()), None).await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let token = issuer.token("viewer", serde_json::json!({}));
    let viewer = Viewer::begin(&door, &bearer(&token)).await;
    // Five minutes, and one of leeway.
    door.now_ms.fetch_add(359_999, Ordering::Relaxed);
    let (again, forever) = (Viewer::begin(&door, &bearer(&token)).await, Viewer::begin(&door, &bearer(TOKEN)).await);
    door.now_ms.fetch_add(1, Ordering::Relaxed);
    assert!(viewer.ends().await && again.ends().await, "the token is over");
    assert!(!forever.ends().await, "an operator token is not");

    let viewer = Viewer::begin(&door, &bearer(TOKEN)).await;
    door.names.store(false, Ordering::Relaxed);
    assert!(viewer.ends().await, "nobody is named any more");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_whole_is_left_as_it_is() {
    let door = Fixture::start(None, None).await;
    let answer = door.ask(&format!("GET /v1/status\nAuthorization: Bearer {TOKEN}"), "").await;
    assert_eq!((answer.status, answer.headers["content-length"].as_str()), (200, "2"));
    assert!(LOOK_EVERY < Duration::from_secs(10), "the documentation says seconds");
}
