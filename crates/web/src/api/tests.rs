//! The router as it answers, with a controller that is a task of the test.

use super::learning::Stops;
use super::openapi::{OPERATIONS, openapi};
use crate::{Api, Caller, Condition, site};
use axum::extract::Request;
use axum::middleware::{self, Next};
use control::rollout::Principal;
use control::{CommandError, Handle, Input};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

const PATH: &str = "/v1/rollouts/last/commands";

/// A server whose controller refuses every command, and counts them.
struct Scene {
    address: SocketAddr,
    commands: Arc<AtomicUsize>,
    /// Told, it answers a command.
    answers: Arc<Notify>,
    _stops: watch::Sender<bool>,
}

struct Told {
    status: u16,
    head: String,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Whether it is a problem of this status, whose words have this in them.
    fn is_problem(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{detail:?} has no {words:?}");
    }
}

impl Scene {
    async fn set(condition: Condition) -> Scene {
        let (handle, mut queue) = Handle::new();
        let (commands, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counted, told) = (commands.clone(), answers.clone());
        tokio::spawn(async move {
            while let Some(input) = queue.recv().await {
                match input {
                    Input::Command { command, reply, .. } => {
                        counted.fetch_add(1, SeqCst);
                        told.notified().await;
                        let command = command.name().to_owned();
                        let _ = reply.send(Err(CommandError::Refused { command, reason: "nothing waits".to_owned() }));
                    }
                    Input::IsOpen { reply } => drop(reply.send(true)),
                    Input::List { reply } => drop(reply.send(Vec::new())),
                    _ => {}
                }
            }
        });
        let (stops, stopped) = watch::channel(false);
        let api = Api { condition, ..Api::fixture(handle) };
        let router = site::router(api, Stops(stopped)).layer(middleware::from_fn(admit));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Scene { address, commands, answers, _stops: stops }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Told {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        // A server that has answered closes on what is too long, and that is no fault.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("it answers in text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head[9..12].parse().expect("a status");
        Told { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn command(&self, headers: &[&str], body: &str) -> Told {
        let headers = [&["content-type: application/json"], headers].concat();
        self.ask("POST", PATH, &headers, body).await
    }
}

fn principal(name: &str, roles: &[&str]) -> Principal {
    Principal { name: name.to_owned(), roles: roles.iter().map(|role| (*role).to_owned()).collect(), from: None }
}

/// Whoever a header names; everybody is everything but `viewer`, who only looks.
async fn admit(mut request: Request, next: Next) -> axum::response::Response {
    let name = request.headers().get("x-name").and_then(|name| name.to_str().ok()).unwrap_or("ada").to_owned();
    let all: &[&str] =
        if name == "viewer" { &["viewer"] } else { &["author", "approver", "operator", "auditor", "viewer"] };
    request.extensions_mut().insert(Caller::named(principal(&name, all)));
    next.run(request).await
}

/// Method and path of every route in the source of the router.
fn routes() -> BTreeSet<(String, String)> {
    let source = include_str!("../api.rs");
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
    let methods = [("get(", "GET"), ("post(", "POST"), ("delete(", "DELETE"), ("put(", "PUT"), ("patch(", "PATCH")];
    lines
        .flat_map(|line| {
            let (path, handlers) = line.split_once("\", ").expect("a path, and what answers");
            let has = methods.iter().filter(|(call, _)| handlers.contains(call));
            has.map(|(_, method)| ((*method).to_owned(), path.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn the_document_has_the_routes_that_there_are() {
    let described: BTreeSet<(String, String)> =
        OPERATIONS.iter().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
    assert_eq!(described, routes());
    let scene = Scene::set(Condition::default()).await;
    let mut methods: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for operation in OPERATIONS {
        methods.entry(operation.path).or_default().insert(operation.method);
    }
    for (path, methods) in methods {
        let told = scene.ask("PATCH", &path.replace(['{', '}'], ""), &[], "").await;
        told.is_problem(405, "PATCH");
        let allow = told.head.lines().find_map(|line| line.strip_prefix("allow: ")).expect("it says what is allowed");
        let allowed: BTreeSet<String> = allow.split(',').map(str::to_uppercase).filter(|it| it != "HEAD").collect();
        assert_eq!(allowed, methods.into_iter().map(str::to_owned).collect(), "{path}");
    }
}

/// Every `$ref` of a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn what_the_document_names_is_in_it() {
    let document = openapi();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference} is not there");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_told_what_and_where() {
    let scene = Scene::set(Condition::default()).await;
    scene.ask("POST", PATH, &["content-type: text/plain"], "\"pause\"").await.is_problem(415, "application/json");
    scene.ask("POST", PATH, &[], "\"pause\"").await.is_problem(415, "application/json");
    scene.command(&[], "{\"rollback\"").await.is_problem(400, "line 1 column 11");
    scene.command(&[], "\"pause\" 1").await.is_problem(400, "trailing");
    scene.command(&[], "\"stop\"").await.is_problem(422, "unknown variant `stop`");
    scene.command(&[], "{\"rollback\":{\"reason\":\"x\",\"why\":1}}").await.is_problem(422, "unknown field `why`");
    scene.command(&[], "{\"rollback\":{\"reason\":1}}").await.is_problem(422, "rollback.reason: invalid type");
    let long = format!("\"{}\"", "x".repeat(super::MAX_BODY_BYTES));
    scene.command(&[], &long).await.is_problem(413, "more than");
    scene.command(&["idempotency-key: k"], &long).await.is_problem(413, "more than");
    scene.ask("GET", "/v1/rollouts/%ff", &[], "").await.is_problem(400, "UTF-8");
    scene.ask("GET", "/v1/nothing", &[], "").await.is_problem(404, "nothing at this path");
    scene
        .ask("POST", "/v1/plans/check", &["content-type: application/json"], "{\"plan\":\"a: [\"}")
        .await
        .is_problem(422, "refused");
    assert_eq!(scene.commands.load(SeqCst), 0, "nothing of it came to the controller");
}

#[tokio::test]
async fn what_is_asked_twice_under_a_key_is_done_once() {
    let scene = Scene::set(Condition::default()).await;
    scene.answers.notify_one();
    let first = scene.command(&["idempotency-key: \"one\""], "\"pause\"").await;
    first.is_problem(409, "nothing waits");
    assert!(!first.head.contains("idempotency-replayed"));
    let again = scene.command(&["idempotency-key: one"], "\"pause\"").await;
    assert_eq!((again.status, &again.body), (409, &first.body));
    assert!(again.head.contains("idempotency-replayed: true") && again.head.contains("application/problem+json"));
    assert_eq!(scene.commands.load(SeqCst), 1);
    scene.command(&["idempotency-key: one"], "\"resume\"").await.is_problem(422, "another");
    scene.command(&["idempotency-key: one", "x-name: viewer"], "\"pause\"").await.is_problem(403, "viewer may not");
    assert_eq!(scene.commands.load(SeqCst), 1);
    scene.answers.notify_one();
    scene.command(&["idempotency-key: one", "x-name: bob"], "\"resume\"").await.is_problem(409, "nothing waits");
    assert_eq!(scene.commands.load(SeqCst), 2, "a key is one principal's");
    for key in ["idempotency-key: ", "idempotency-key: two words", "idempotency-key: a\r\nidempotency-key: b"] {
        scene.command(&[key], "\"pause\"").await.is_problem(400, "idempotency-key: expected once");
    }
    let streamed =
        scene.ask("POST", "/v1/learning", &["content-type: application/json", "idempotency-key: s"], "{}").await;
    streamed.is_problem(400, "leave it out");
}

#[tokio::test]
async fn what_is_under_way_is_a_conflict_and_goes_on_without_whoever_asked() {
    let scene = Scene::set(Condition::default()).await;
    let mut stream = TcpStream::connect(scene.address).await.expect("it listens");
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: k\r\n\
         content-length: 7\r\n\r\n\"pause\""
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    while scene.commands.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    scene.command(&["idempotency-key: k"], "\"pause\"").await.is_problem(409, "under way; ask again");
    drop(stream);
    scene.answers.notify_one();
    // The answer comes to the table a moment after the controller gave it.
    let mut told = scene.command(&["idempotency-key: k"], "\"pause\"").await;
    while told.body.contains("under way; ask again") {
        told = scene.command(&["idempotency-key: k"], "\"pause\"").await;
    }
    told.is_problem(409, "nothing waits");
    assert_eq!(scene.commands.load(SeqCst), 1, "it was done once");
}

#[tokio::test]
async fn health_is_told_without_details() {
    let scene = Scene::set(Condition::default()).await;
    assert_eq!(scene.ask("GET", "/healthz", &[], "").await.body, "ok\n");
    assert_eq!(scene.ask("GET", "/readyz", &[], "").await.body, "ready\n");
    let unready = Arc::new(|| vec!["no route table applies yet".to_owned()]);
    let scene = Scene::set(Condition { unready, ..Condition::default() }).await;
    assert_eq!(scene.ask("GET", "/healthz", &[], "").await.status, 200);
    scene.ask("GET", "/readyz", &[], "").await.is_problem(503, "no route table applies yet");
}
