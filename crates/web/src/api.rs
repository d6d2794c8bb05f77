//! What can be asked, and by whom.

pub(crate) mod body;
pub(crate) mod health;
pub(crate) mod idempotency;
pub(crate) mod learning;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod plans;
pub(crate) mod problem;
pub(crate) mod recording;
#[cfg(test)]
mod tests;

use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use body::{Body, Named};
use control::rollout::acceptance::{MAX_NOTE_BYTES, Says};
use control::rollout::approval::{Act, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES, SignedStatement};
use control::rollout::{Command, Report, RolloutId, TimelineReport};
use control::{Erasure, HandedIn, Offer, RolloutSummary, SaidOff};
use problem::Problem;
use serde::{Deserialize, Serialize};

/// A plan is at most 1 MiB; as a JSON string it can be twice as long, and the rest is names.
pub(crate) const MAX_BODY_BYTES: usize = 2 * 1024 * 1024 + 16 * 1024;
/// In the place of a rollout's name: the one that started last.
const LAST: &str = "last";

/// The body of `POST /v1/rollouts`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartRequest {
    /// The plan, as YAML.
    pub plan: String,
    /// The folder that its relative paths start from.
    pub base_dir: String,
}

/// The body of `POST /v1/rollouts/{rollout}/sign-offs`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignOffRequest {
    /// Accepted or refused.
    pub says: Says,
    /// Why, in the tester's words: plain text of at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The body of `POST /v1/erasures`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EraseRequest {
    /// A principal's name, or `trace:` and a trace id.
    pub subject: String,
}

/// Everything for programs. What there is stands in `openapi::OPERATIONS` too, which a test compares with this.
pub(crate) fn router(answers: idempotency::Answers) -> Router<Served> {
    Router::new()
        .route("/v1/openapi.json", get(openapi::document))
        .route("/v1/status", get(status))
        .route("/v1/rollouts", get(list).post(start))
        .route("/v1/rollouts/{rollout}", get(report))
        .route("/v1/rollouts/{rollout}/plan", get(plans::plan))
        .route("/v1/rollouts/{rollout}/timeline", get(timeline))
        .route("/v1/rollouts/{rollout}/commands", post(command))
        .route("/v1/rollouts/{rollout}/statement", post(statement))
        .route("/v1/rollouts/{rollout}/sign-offs", post(sign_off))
        .route("/v1/plans/check", post(plans::check))
        .route("/v1/approvals", post(approve))
        .route("/v1/erasures", post(erase))
        .route("/v1/evidence/{digest}", get(evidence))
        .route("/v1/learning", post(learning::learn))
        .route("/v1/recording", post(recording::record).delete(recording::end))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::ready))
        .layer(middleware::from_fn_with_state(answers, idempotency::once))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

async fn status(State(api): State<Api>, caller: Caller) -> Result<Json<serde_json::Value>, Problem> {
    caller.to(Action::SeeServer)?;
    Ok(Json((api.status)()))
}

async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Vec<RolloutSummary>>, Problem> {
    caller.to(Action::SeeRollouts)?;
    Ok(Json(api.handle.list().await))
}

async fn start(
    State(api): State<Api>,
    caller: Caller,
    body: Result<Body<StartRequest>, Problem>,
) -> Result<(StatusCode, Json<Box<Report>>), Problem> {
    let by = caller.to(Action::Start)?;
    let Body(request) = body?;
    let report = api.handle.start(request.plan, request.base_dir, by).await?;
    Ok((StatusCode::CREATED, Json(report)))
}

async fn report(
    State(api): State<Api>,
    caller: Caller,
    rollout: Result<Named, Problem>,
) -> Result<Json<Box<Report>>, Problem> {
    caller.to(Action::SeeRollouts)?;
    let Named(rollout) = rollout?;
    api.handle.report(named(&rollout)).await.map(Json).ok_or_else(|| no_rollout(&rollout))
}

async fn timeline(
    State(api): State<Api>,
    caller: Caller,
    rollout: Result<Named, Problem>,
) -> Result<Json<Box<TimelineReport>>, Problem> {
    caller.to(Action::SeeRollouts)?;
    let Named(rollout) = rollout?;
    if let Some(timeline) = api.handle.timeline(named(&rollout)).await {
        return Ok(Json(timeline));
    }
    Err(match api.handle.report(named(&rollout)).await {
        Some(_) => {
            let detail = "so many rollouts began since that only the ledger has it: `verdigris ledger show`";
            Problem::new("unknown", StatusCode::NOT_FOUND, detail)
        }
        None => no_rollout(&rollout),
    })
}

async fn command(
    State(api): State<Api>,
    caller: Caller,
    rollout: Result<Named, Problem>,
    body: Result<Body<Command>, Problem>,
) -> Result<Json<Box<Report>>, Problem> {
    let by = caller.to(Action::Steer)?;
    let Named(rollout) = rollout?;
    let Body(command) = body?;
    Ok(Json(api.handle.command(named(&rollout), command, by).await?))
}

/// What there is to sign. Changes nothing.
async fn statement(
    State(api): State<Api>,
    caller: Caller,
    rollout: Result<Named, Problem>,
    body: Result<Body<Act>, Problem>,
) -> Result<Json<Box<Offer>>, Problem> {
    caller.to(Action::SeeStatement)?;
    let Named(rollout) = rollout?;
    let Body(act) = body?;
    Ok(Json(api.handle.offer(named(&rollout), act).await?))
}

/// Whoever carries it here: who approves is whoever signed it.
async fn approve(
    State(api): State<Api>,
    caller: Caller,
    body: Result<Body<SignedStatement>, Problem>,
) -> Result<Json<Box<Report>>, Problem> {
    let by = caller.to(Action::Approve)?;
    let Body(signed) = body?;
    if signed.statement.len() > MAX_STATEMENT_BYTES || signed.signature.len() > MAX_SIGNATURE_BYTES {
        let detail = "the statement or its signature is longer than any is";
        return Err(Problem::new("bad-request", StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let signer = signed.open().ok().and_then(|(_, key)| (api.signers)(&key));
    Ok(Json(api.handle.hand_in(HandedIn { signed, signer, by }).await?))
}

/// The tester is whoever asks.
async fn sign_off(
    State(api): State<Api>,
    caller: Caller,
    rollout: Result<Named, Problem>,
    body: Result<Body<SignOffRequest>, Problem>,
) -> Result<Json<Box<Report>>, Problem> {
    let by = caller.to(Action::SignOff)?;
    let Named(rollout) = rollout?;
    let Body(SignOffRequest { says, note }) = body?;
    if note.as_ref().is_some_and(|note| note.len() > MAX_NOTE_BYTES) {
        let detail = format!("the note has more than {MAX_NOTE_BYTES} bytes");
        return Err(Problem::new("bad-request", StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(Json(api.handle.sign_off(named(&rollout), SaidOff { says, note, by }).await?))
}

async fn erase(
    State(api): State<Api>,
    caller: Caller,
    body: Result<Body<EraseRequest>, Problem>,
) -> Result<Json<Erasure>, Problem> {
    let by = caller.to(Action::Erase)?;
    let Body(request) = body?;
    Ok(Json(api.handle.erase(request.subject, by).await?))
}

/// A blob as it is kept. Who asked stands in the ledger before it goes out.
async fn evidence(
    State(api): State<Api>,
    caller: Caller,
    digest: Result<Named, Problem>,
) -> Result<([(HeaderName, &'static str); 1], Vec<u8>), Problem> {
    let by = caller.to(Action::SeeExamples)?;
    let Named(digest) = digest?;
    let blob = api.handle.look(digest, by).await?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], blob))
}

fn named(rollout: &str) -> Option<RolloutId> {
    (rollout != LAST).then(|| RolloutId(rollout.to_owned()))
}

pub(crate) fn no_rollout(name: &str) -> Problem {
    match named(name) {
        Some(rollout) => Problem::new("unknown", StatusCode::NOT_FOUND, format!("there is no rollout {rollout}")),
        None => {
            Problem::new("unknown", StatusCode::NOT_FOUND, "there is no rollout yet: `verdigris rollout start PLAN`")
        }
    }
}
