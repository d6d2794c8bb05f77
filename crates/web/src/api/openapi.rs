//! The OpenAPI document (3.1) of what this server answers: `GET /v1/openapi.json`.
//!
//! [`OPERATIONS`] says which paths there are, who may ask them and how they answer; a test holds it against the router, and
//! schemathesis holds the schemas against real answers. The schemas are written by hand, in `openapi/schemas.rs`: most types
//! belong to pure crates, which need no dependency for the sake of a document.

mod schemas;

use super::problem::Problem;
use crate::Caller;
use access::Action;
use axum::Json;
use serde_json::{Map, Value, json};

/// Whether an `Idempotency-Key` means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// What is asked is done once.
    Once,
    /// Nothing is changed, so it is left alone.
    Needless,
    /// The answer goes on and cannot be given again.
    Never,
}

/// How an operation answers when all is well.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// JSON of a schema, or a list of it.
    Json(&'static str),
    List(&'static str),
    /// Lines of JSON, as they come.
    Lines(&'static str),
    Text(&'static str),
    Nothing,
}

/// One method of one path.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// What the caller must be allowed; nothing where nobody need be known.
    pub(crate) action: Option<Action>,
    pub(crate) keyed: Keyed,
    id: &'static str,
    summary: &'static str,
    body: Option<&'static str>,
    status: u16,
    answer: Answer,
    /// Beyond those that follow from the rest.
    problems: &'static [u16],
}

const fn get(
    path: &'static str,
    id: &'static str,
    action: Option<Action>,
    summary: &'static str,
    answer: Answer,
    problems: &'static [u16],
) -> Operation {
    let (method, keyed) = ("GET", Keyed::Needless);
    Operation { method, path, action, keyed, id, summary, body: None, status: 200, answer, problems }
}

const fn post(
    path: &'static str,
    id: &'static str,
    (action, keyed): (Action, Keyed),
    summary: &'static str,
    (body, answer): (&'static str, Answer),
    problems: &'static [u16],
) -> Operation {
    let (method, action, body) = ("POST", Some(action), Some(body));
    Operation { method, path, action, keyed, id, summary, body, status: 200, answer, problems }
}

/// All that programs can ask.
pub(crate) const OPERATIONS: &[Operation] = &[
    get("/v1/openapi.json", "openapi", Some(Action::SeeServer), "This document.", Answer::Json("Document"), &[]),
    get(
        "/v1/status",
        "status",
        Some(Action::SeeServer),
        "What the server says of itself.",
        Answer::Json("Status"),
        &[],
    ),
    get(
        "/v1/rollouts",
        "listRollouts",
        Some(Action::SeeRollouts),
        "All rollouts of this ledger, the last one last.",
        Answer::List("RolloutSummary"),
        &[],
    ),
    Operation {
        status: 201,
        ..post(
            "/v1/rollouts",
            "startRollout",
            (Action::Start, Keyed::Once),
            "Starts a rollout: one at a time.",
            ("StartRequest", Answer::Json("Report")),
            &[409, 503],
        )
    },
    get(
        "/v1/rollouts/{rollout}",
        "getRollout",
        Some(Action::SeeRollouts),
        "Where a rollout stands.",
        Answer::Json("Report"),
        &[404],
    ),
    get(
        "/v1/rollouts/{rollout}/plan",
        "getPlan",
        Some(Action::SeeRollouts),
        "The plan that a rollout follows.",
        Answer::Json("Plan"),
        &[404],
    ),
    get(
        "/v1/rollouts/{rollout}/timeline",
        "getTimeline",
        Some(Action::SeeRollouts),
        "What a rollout did over time: at most 200 windows. Of the newest 16 rollouts.",
        Answer::Json("Timeline"),
        &[404],
    ),
    post(
        "/v1/rollouts/{rollout}/commands",
        "commandRollout",
        (Action::Steer, Keyed::Once),
        "Pauses, resumes, promotes or rolls back.",
        ("Command", Answer::Json("Report")),
        &[404, 409, 503],
    ),
    post(
        "/v1/rollouts/{rollout}/statement",
        "offerStatement",
        (Action::SeeStatement, Keyed::Needless),
        "What there is to sign. Changes nothing.",
        ("Act", Answer::Json("Offer")),
        &[404, 409, 503],
    ),
    post(
        "/v1/rollouts/{rollout}/sign-offs",
        "signOff",
        (Action::SignOff, Keyed::Once),
        "A tester says whether green is good.",
        ("SignOffRequest", Answer::Json("Report")),
        &[404, 409, 503],
    ),
    post(
        "/v1/plans/check",
        "checkPlan",
        (Action::CheckPlan, Keyed::Needless),
        "What a plan would do, step by step. Changes nothing.",
        ("CheckRequest", Answer::Json("Preview")),
        &[],
    ),
    post(
        "/v1/approvals",
        "approve",
        (Action::Approve, Keyed::Once),
        "Hands in what an approver signed.",
        ("SignedStatement", Answer::Json("Report")),
        &[404, 409, 503],
    ),
    post(
        "/v1/erasures",
        "erase",
        (Action::Erase, Keyed::Once),
        "Destroys what is kept of a person or a trace.",
        ("EraseRequest", Answer::Json("Erasure")),
        &[404, 409, 503],
    ),
    get(
        "/v1/evidence/{digest}",
        "getEvidence",
        Some(Action::SeeExamples),
        "A blob of evidence. That somebody looked is recorded.",
        Answer::Text("application/octet-stream"),
        &[404, 503],
    ),
    post(
        "/v1/learning",
        "learn",
        (Action::Learn, Keyed::Never),
        "Learns what a pipeline changes, until it is over or the caller goes away.",
        ("LearnRequest", Answer::Lines("Learned")),
        &[409, 503],
    ),
    post(
        "/v1/recording",
        "record",
        (Action::Record, Keyed::Never),
        "Records what the gateway receives, sealed, until it is over or the caller goes away.",
        ("RecordRequest", Answer::Lines("RecordedLine")),
        &[409, 503],
    ),
    Operation {
        method: "DELETE",
        path: "/v1/recording",
        action: Some(Action::Record),
        keyed: Keyed::Once,
        id: "endRecording",
        summary: "Ends the recording that goes on, in order.",
        body: None,
        status: 204,
        answer: Answer::Nothing,
        problems: &[404],
    },
    get(
        "/metrics",
        "metrics",
        Some(Action::SeeServer),
        "Metrics, made for each scrape.",
        Answer::Text("application/openmetrics-text"),
        &[],
    ),
    get("/healthz", "healthz", None, "The process lives.", Answer::Text("text/plain"), &[]),
    get("/readyz", "readyz", None, "The ledger is open and the gateway serves.", Answer::Text("text/plain"), &[503]),
];

/// The operation of a request, by its method and path.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static Operation> {
    let is_at = |operation: &&Operation| {
        let (wanted, found) = (operation.path.split('/'), path.split('/'));
        wanted.clone().count() == found.clone().count()
            && wanted.zip(found).all(|(wanted, found)| wanted == found || wanted.starts_with('{'))
    };
    OPERATIONS.iter().filter(|operation| operation.method == method).find(is_at)
}

/// `GET /v1/openapi.json`.
pub(crate) async fn document(caller: Caller) -> Result<Json<Value>, Problem> {
    caller.to(Action::SeeServer)?;
    Ok(Json(openapi()))
}

/// The document.
pub(crate) fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = operation.described();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Verdigris",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Rolls tracing systems from blue to green.",
            "description": "Behind the Unix socket, who asks is the user at its other end, and no security scheme is needed. \
                            Behind the port it is one of the schemes. Every refusal is recorded in the ledger.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An OIDC access token, or a token of `verdigris.yaml`.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-verdigris",
                    "description": "What a browser has after signing in.",
                },
                "certificate": { "type": "mutualTLS", "description": "A client certificate that `verdigris.yaml` names." },
            },
            "schemas": schemas::all(),
        },
    })
}

impl Operation {
    fn described(&self) -> Value {
        let mut described = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": self.parameters(),
            "responses": self.responses(),
        });
        match self.action {
            Some(action) => described["description"] = json!(format!("For whoever may {action}.")),
            None => described["security"] = json!([]),
        }
        if let Some(body) = self.body {
            described["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": reference(body) } } });
        }
        described
    }

    fn parameters(&self) -> Vec<Value> {
        let named = [
            ("{rollout}", "rollout", "A rollout's name, or `last`.", "e2e.1"),
            ("{digest}", "digest", "The digest of a blob, as records and reports name it.", "sha256:0000"),
        ];
        let mut parameters: Vec<Value> = named
            .into_iter()
            .filter(|(part, ..)| self.path.contains(part))
            .map(|(_, name, description, example)| {
                let schema = json!({ "type": "string", "minLength": 1, "example": example });
                json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
            })
            .collect();
        if self.keyed == Keyed::Once {
            parameters.push(json!({
                "name": "Idempotency-Key",
                "in": "header",
                "required": false,
                "description": "The same key with the same request gives the same answer for a day, as long as the server \
                                runs, and nothing is done twice. Another request under it is refused (422), and one while \
                                the first is under way (409).",
                "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
            }));
        }
        parameters
    }

    /// Every status that it can answer with.
    fn statuses(&self) -> Vec<u16> {
        let mut problems = self.problems.to_vec();
        if self.action.is_some() {
            // 429: too many attempts to sign in.
            problems.extend([401, 403, 429]);
        }
        if self.body.is_some() {
            problems.extend([400, 413, 415, 422]);
        }
        if self.path.contains('{') {
            problems.push(400);
        }
        if self.keyed == Keyed::Once {
            problems.extend([400, 409, 413, 422]);
        }
        problems.sort_unstable();
        problems.dedup();
        problems
    }

    fn responses(&self) -> Value {
        let content = match self.answer {
            Answer::Json(schema) => json!({ "application/json": { "schema": reference(schema) } }),
            Answer::List(schema) => {
                json!({ "application/json": { "schema": { "type": "array", "items": reference(schema) } } })
            }
            Answer::Lines(schema) => json!({ "application/x-ndjson": { "schema": {
                "type": "string",
                "description": format!("A line for each {schema}."),
            } } }),
            Answer::Text(kind) => json!({ kind: { "schema": { "type": "string" } } }),
            Answer::Nothing => Value::Null,
        };
        let mut answer = json!({ "description": "As asked." });
        if !content.is_null() {
            answer["content"] = content;
        }
        let mut responses = Map::from_iter([(self.status.to_string(), answer)]);
        for status in self.statuses() {
            let problem = json!({
                "description": words(status),
                "content": { "application/problem+json": { "schema": reference("Problem") } },
            });
            responses.insert(status.to_string(), problem);
        }
        Value::Object(responses)
    }
}

fn words(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read: `detail` says what and where.",
        401 => "Nobody is known to ask.",
        403 => "Whoever asks may not. It is recorded.",
        404 => "There is no such thing.",
        409 => "It cannot be now: the state does not allow it, or the same key is under way.",
        413 => "The body is longer than any is.",
        415 => "The body is not of the type application/json.",
        422 => "What is asked cannot be: a field, a plan, or another request under the same key.",
        429 => "Too many attempts; `retry-after` says when.",
        _ => "The ledger or the controller is not available; nothing was done.",
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
