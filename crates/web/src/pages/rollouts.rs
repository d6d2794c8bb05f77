//! All rollouts of the ledger, the last one first.

use super::layout;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use control::RolloutSummary;
use maud::{Markup, html};

pub(super) fn router() -> Router<Served> {
    Router::new().route("/", get(rollouts))
}

async fn rollouts(State(api): State<Api>, caller: Caller) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    Ok(layout::page(&caller, "Rollouts", table(&api.handle.list().await)))
}

fn table(rollouts: &[RolloutSummary]) -> Markup {
    html! {
        @if rollouts.is_empty() {
            p { "There is no rollout yet: " code { "verdigris rollout start PLAN" } }
        } @else {
            table {
                thead { tr { th { "Rollout" } th { "Stands" } th { "Green serves" } } }
                tbody {
                    @for rollout in rollouts.iter().rev() {
                        tr { td { (rollout.rollout.to_string()) } td { (rollout.headline) } td { (rollout.green_serves.to_string()) } }
                    }
                }
            }
        }
    }
}
