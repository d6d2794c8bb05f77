//! All rollouts of the ledger, the last one first: what runs, what waits, what ended and how.

use super::layout::{Page, rollout_path};
use super::when;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use control::RolloutSummary;
use control::rollout::Progress;
use maud::{Markup, html};

/// Rollouts that the page shows: the last ones; 200 rows are some 60 kB. The ledger has all.
const MAX_ROWS: usize = 200;

pub(super) fn router() -> Router<Served> {
    Router::new().route("/", get(rollouts))
}

async fn rollouts(State(api): State<Api>, caller: Caller) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let page = Page { again_s: Some(30), ..Page::of("Rollouts") };
    Ok(page.render(&caller, &table(&api.handle.list().await)))
}

/// A rollout's state in one word, and how it looks.
pub(super) fn state(progress: Progress) -> Markup {
    let (class, word) = match progress {
        Progress::Progressing => ("blue", "under way"),
        Progress::Paused => ("warn", "paused"),
        Progress::Held => ("warn", "held"),
        Progress::RollingBack => ("bad", "rolling back"),
        Progress::Promoting => ("good", "promoting"),
        Progress::Promoted => ("good", "promoted"),
        Progress::RolledBack => ("bad", "rolled back"),
    };
    html! { span.state.(class) { (word) } }
}

fn table(rollouts: &[RolloutSummary]) -> Markup {
    let left_out = rollouts.len().saturating_sub(MAX_ROWS);
    html! {
        @if rollouts.is_empty() {
            p { "There is no rollout yet. An author starts one with " code { "verdigris rollout start PLAN" } "." }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Table" { table {
                thead { tr {
                    th scope="col" { "Rollout" } th scope="col" { "State" } th scope="col" { "Where it stands" }
                    th.n scope="col" { "Green serves" } th scope="col" { "Started" } th scope="col" { "Ended" }
                } }
                tbody {
                    @for rollout in rollouts.iter().rev().take(MAX_ROWS) {
                        tr {
                            th scope="row" { a href=(rollout_path(&rollout.rollout.0)) { bdi { (rollout.rollout.0) } } }
                            td { (state(rollout.progress)) }
                            td { bdi { (rollout.headline) } @for line in &rollout.exceptions { p.bad { bdi { (line) } } } }
                            td.n { (rollout.green_serves.to_string()) }
                            td { (when::time(rollout.started_at)) }
                            td { @if let Some(at) = rollout.ended_at { (when::time(at)) } @else { "not yet" } }
                        }
                    }
                }
            } }
            @if left_out > 0 { p.faint { (left_out) " older ones are in the ledger." } }
        }
    }
}
