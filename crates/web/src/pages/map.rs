//! `/map` and `/rollouts/{rollout}/map`: services and the calls between them, as traces of blue and of green have them.
//!
//! It is made of what verification joins: in how many traces a call was sent, and in how many it came out, by environment
//! (`Api::calls`). That is in memory, of the last rollout alone. Of others, and after a restart, it is made of the observations
//! that stand in the ledger, which are thinner: they have calls where the plan guards what services take, and always have what
//! never came out. Neither holds values of the traffic.

mod draw;
mod graph;

use crate::api::problem::Problem;
use crate::pages::layout::{Page, Tab};
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use control::rollout::{Event, RolloutId};
use graph::Graph;
use maud::Markup;
use model::UnixMillis;

/// Entries that are looked through, from the newest on: 64 bundles, some hours of a rollout.
const MAX_LOOKED_AT: u64 = 16_384;
/// Observations that are added up. Each batch tells every tenth call or so, so that all calls are in 600 seconds at most.
const MAX_OBSERVATIONS: u64 = 600;

/// Where a map's numbers are from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Verification's own counts, in memory.
    Joined { since: UnixMillis, until: UnixMillis },
    /// Observations in the ledger, so many at most.
    Ledger { most: u64 },
}

pub(super) fn router() -> Router<Served> {
    Router::new().route("/map", get(newest)).route("/rollouts/{rollout}/map", get(of_rollout))
}

async fn newest(State(api): State<Api>, caller: Caller) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let Some(report) = api.handle.report(None).await else {
        return Err(Problem::new("unknown", StatusCode::NOT_FOUND, "there is no rollout yet, and so no service map"));
    };
    page(&api, &caller, report.rollout).await
}

async fn of_rollout(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    page(&api, &caller, RolloutId(rollout)).await
}

async fn page(api: &Api, caller: &Caller, rollout: RolloutId) -> Result<Markup, Problem> {
    let title = format!("Service map of {rollout}");
    let page = Page::of(&title).in_rollout(&rollout.0, Tab::Map);
    if let Some(seen) = (api.calls)(&rollout).filter(|seen| seen.counts.traces.blue + seen.counts.traces.green > 0) {
        let source = Source::Joined { since: seen.since, until: seen.until };
        return Ok(page.render(caller, &draw::page(&Graph::of(&seen.counts), source)));
    }
    let wanted = rollout.clone();
    let graph = api.ledger.read(move |_, opened| {
        let mut graph = Graph::default();
        let is_known = opened.happened(&wanted, "\"observed\"", MAX_LOOKED_AT, |_, _, event| {
            if let Event::Observed(observation) = &event {
                graph.add(observation);
            }
            graph.observations() < MAX_OBSERVATIONS
        })?;
        Ok((graph, is_known))
    });
    let (graph, is_known) = graph.await?;
    if !is_known && api.handle.report(Some(rollout.clone())).await.is_none() {
        return Err(Problem::new("unknown", StatusCode::NOT_FOUND, format!("there is no rollout {rollout}")));
    }
    Ok(page.render(caller, &draw::page(&graph, Source::Ledger { most: MAX_OBSERVATIONS })))
}

#[cfg(test)]
mod tests;
