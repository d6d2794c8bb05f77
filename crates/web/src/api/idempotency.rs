//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): who lost an answer asks again with the same key
//! and gets that answer, and nothing is done twice.
//!
//! The table is in memory, bounded, and forgets after a day: a key is for a retry after a broken connection, and a server that
//! was restarted knows none. What is asked runs to its end even if whoever asked goes away, so that there is an answer to keep.

use super::MAX_BODY_BYTES;
use super::body::unread;
use super::openapi::{Keyed, operation};
use super::problem::Problem;
use crate::Caller;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is kept.
const KEEP: Duration = Duration::from_secs(24 * 3_600);
/// Keys of one principal: the oldest answer is forgotten for a new one.
const MAX_KEYS_EACH: usize = 256;
/// Keys of all: 16 principals with as many as they can have. With keys of at most 255 bytes it is 2 MiB beside the answers.
const MAX_KEYS: usize = 16 * MAX_KEYS_EACH;
/// The longest answer that is kept: a report with its findings has 100 KiB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// All answers that are kept.
const MAX_BYTES: usize = 64 * MAX_ANSWER_BYTES;
/// The longest key; a UUID has 36 characters.
const MAX_KEY_CHARACTERS: usize = 255;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What was answered to whom under which key.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<Table>>);

type Name = (String, String);

#[derive(Default)]
struct Table {
    entries: BTreeMap<Name, Entry>,
    bytes: usize,
}

struct Entry {
    /// SHA-256 over method, path and body.
    asked: [u8; 32],
    at: Instant,
    /// None while it is under way.
    answer: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

/// What to do with a key.
enum Turn {
    First,
    Again(Answer),
}

impl Answers {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is asked for the first time; then the place is taken until [`Answers::end`].
    fn begin(&self, name: &Name, asked: [u8; 32], now: Instant) -> Result<Turn, Problem> {
        let mut table = self.table();
        table.forget(|_, entry| entry.answer.is_some() && now.duration_since(entry.at) >= KEEP);
        match table.entries.get(name) {
            Some(entry) if entry.asked != asked => Err(Problem::new(
                "bad-request",
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key: something else was asked under this key; take another one",
            )),
            Some(Entry { answer: None, .. }) => Err(Problem::new(
                "conflict",
                StatusCode::CONFLICT,
                "idempotency-key: what was asked under this key is under way; ask again",
            )),
            Some(Entry { answer: Some(answer), .. }) => Ok(Turn::Again(answer.clone())),
            None => {
                table.make_room(&name.0)?;
                table.entries.insert(name.clone(), Entry { asked, at: now, answer: None });
                Ok(Turn::First)
            }
        }
    }

    /// Keeps the answer; without one the key is as if it had never been used.
    fn end(&self, name: &Name, answer: Option<Answer>) {
        let mut table = self.table();
        match (answer, table.entries.get_mut(name)) {
            (Some(answer), Some(entry)) => {
                let bytes = answer.body.len();
                entry.answer = Some(answer);
                table.bytes += bytes;
            }
            (None, Some(_)) => table.remove(name),
            (_, None) => {}
        }
        while table.bytes > MAX_BYTES && table.forget_oldest(|_| true) {}
    }
}

impl Table {
    fn remove(&mut self, name: &Name) {
        let gone = self.entries.remove(name).and_then(|entry| entry.answer);
        self.bytes -= gone.map_or(0, |answer| answer.body.len());
    }

    fn forget(&mut self, is_over: impl Fn(&Name, &Entry) -> bool) {
        let over: Vec<Name> =
            self.entries.iter().filter(|(name, it)| is_over(name, it)).map(|it| it.0.clone()).collect();
        over.iter().for_each(|name| self.remove(name));
    }

    /// What is under way is never forgotten. Whether there was anything else.
    fn forget_oldest(&mut self, of: impl Fn(&Name) -> bool) -> bool {
        let answered = self.entries.iter().filter(|(name, entry)| entry.answer.is_some() && of(name));
        let oldest = answered.min_by_key(|(_, entry)| entry.at).map(|(name, _)| name.clone());
        oldest.inspect(|name| self.remove(name)).is_some()
    }

    fn make_room(&mut self, principal: &str) -> Result<(), Problem> {
        let own = self.entries.keys().filter(|(of, _)| of == principal).count();
        let has_room = (own < MAX_KEYS_EACH || self.forget_oldest(|(of, _)| of == principal))
            && (self.entries.len() < MAX_KEYS || self.forget_oldest(|_| true));
        let detail = "idempotency-key: too much is under way; ask again";
        has_room.then_some(()).ok_or_else(|| Problem::new("unavailable", StatusCode::TOO_MANY_REQUESTS, detail))
    }
}

/// Has a request with a key answered once. Who may not ask it gets no answer of before either.
pub(crate) async fn once(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    if !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    match asked_once(answers, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn asked_once(answers: Answers, request: Request, next: Next) -> Result<Response, Problem> {
    let operation = operation(request.method().as_str(), request.uri().path());
    let (Some(operation), Some(caller)) = (operation, request.extensions().get::<Caller>().cloned()) else {
        return Ok(next.run(request).await);
    };
    match operation.keyed {
        Keyed::Needless => return Ok(next.run(request).await),
        Keyed::Never => {
            let detail = "idempotency-key: the answer of this path goes on and cannot be given again; leave it out";
            return Err(Problem::new("bad-request", StatusCode::BAD_REQUEST, detail));
        }
        Keyed::Once => {}
    }
    let by = match operation.action {
        Some(action) => caller.to(action)?,
        None => caller.principal,
    };
    let name = (by.name, key(request.headers())?);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| unread(StatusCode::PAYLOAD_TOO_LARGE))?;
    let target = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let head = format!("{} {target}\n", parts.method);
    let asked = Sha256::new().chain_update(head).chain_update(&body).finalize().into();
    if let Turn::Again(answer) = answers.begin(&name, asked, Instant::now())? {
        return Ok(answer.response(true));
    }
    let place = Place { answers, name: Some(name) };
    let running = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        place.fill(response).await
    });
    running.await.map_err(|_| {
        Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, "the request failed: a fault of the program")
    })
}

/// A key whose answer is still to come; dropped without one it is free again.
struct Place {
    answers: Answers,
    name: Option<Name>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.answers.end(&name, None);
        }
    }
}

impl Place {
    /// Nothing was done where the server was unavailable or nobody was let in, so that may be tried again.
    async fn fill(mut self, response: Response) -> Response {
        let status = response.status();
        let is_kept = !status.is_server_error()
            && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if !is_kept {
            return response;
        }
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
        // Our own answers end; the longest are reports.
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, "the answer came to no end")
                .into_response();
        };
        let kept = match body.len() <= MAX_ANSWER_BYTES {
            true => Answer { status, content_type, body: body.clone() },
            false => Answer::too_long(),
        };
        if let Some(name) = self.name.take() {
            self.answers.end(&name, Some(kept));
        }
        Response::from_parts(parts, Body::from(body))
    }
}

impl Answer {
    fn too_long() -> Answer {
        let detail =
            "idempotency-key: it was done, and its answer was too long to be kept; ask where the rollout stands";
        let problem = Problem::new("conflict", StatusCode::CONFLICT, detail);
        let body = serde_json::to_vec(&problem).expect("a problem is JSON").into();
        let content_type = Some(HeaderValue::from_static("application/problem+json"));
        Answer { status: StatusCode::CONFLICT, content_type, body }
    }

    fn response(self, is_replayed: bool) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if let Some(content_type) = self.content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        if is_replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// As the draft has it, a string in quotes (RFC 9651); as most clients write it, without.
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let one = values.next().and_then(|value| value.to_str().ok()).filter(|text| text.len() <= MAX_KEY_CHARACTERS);
    let one = one.filter(|_| values.next().is_none());
    let key = one.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    let is_key = |key: &&str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    key.filter(is_key).map(str::to_owned).ok_or_else(|| {
        let detail =
            format!("idempotency-key: expected once, with 1 to {MAX_KEY_CHARACTERS} printable ASCII characters");
        Problem::new("bad-request", StatusCode::BAD_REQUEST, detail)
    })
}
