//! Plans: what one would do, and which one a rollout follows.

use super::body::{Body, Named};
use super::problem::Problem;
use super::{named, no_rollout};
use crate::{Api, Caller};
use access::Action;
use axum::Json;
use axum::extract::State;
use control::StartError;
use control::rollout::plan::{Plan, Preview, parse, preview};
use serde::{Deserialize, Serialize};

/// The body of `POST /v1/plans/check`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckRequest {
    /// The plan, as YAML.
    pub plan: String,
}

/// `POST /v1/plans/check`: what `verdigris plan check` says. Nothing is begun, and no file of the plan is read.
pub(crate) async fn check(caller: Caller, body: Result<Body<CheckRequest>, Problem>) -> Result<Json<Preview>, Problem> {
    caller.to(Action::CheckPlan)?;
    let Body(request) = body?;
    let plan = parse(&request.plan).map_err(StartError::Plan)?;
    Ok(Json(preview(&plan)))
}

/// `GET /v1/rollouts/{rollout}/plan`: the plan that it follows, as the ledger has it.
pub(crate) async fn plan(
    State(api): State<Api>,
    caller: Caller,
    rollout: Result<Named, Problem>,
) -> Result<Json<Box<Plan>>, Problem> {
    caller.to(Action::SeeRollouts)?;
    let Named(rollout) = rollout?;
    api.handle.plan(named(&rollout)).await.map(Json).ok_or_else(|| no_rollout(&rollout))
}
