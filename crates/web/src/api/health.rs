//! Whether the process lives, and whether it serves. Nobody need be known to ask, and nothing more is said.

use super::problem::Problem;
use crate::Api;
use axum::extract::State;
use axum::http::StatusCode;
use std::time::Duration;

/// The controller answers within milliseconds; whoever asks for health asks often, and does not wait long.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// `GET /healthz`: something answers.
pub(crate) async fn lives() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the controller answers, which it does with an open ledger; a route table applies, and the gateway serves.
pub(crate) async fn ready(State(api): State<Api>) -> Result<&'static str, Problem> {
    let mut reasons = (api.condition.unready)();
    if !answers(&api).await {
        reasons.insert(0, "the controller does not answer".to_owned());
    }
    if reasons.is_empty() {
        return Ok("ready\n");
    }
    Err(Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, reasons.join("; ")))
}

async fn answers(api: &Api) -> bool {
    tokio::time::timeout(ANSWER_LIMIT, api.handle.is_deciding()).await.unwrap_or(false)
}
