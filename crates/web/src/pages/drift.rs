//! `/rollouts/{rollout}/drift`: what differs in meaning between blue's and green's configuration, as the drift gate saw it.
//!
//! Runs, verdicts and reasons are read from the ledger, and what is meant to differ from the plan: every reader sees these. The
//! values stand in the evidence alone, so that they are for whom evidence is for, and each blob that is read for the page
//! is in the ledger before it is shown (`Handle::look`). Nothing is compared again, and no secret can be shown: the blob has none.

mod draw;

use super::layout::{Page, Tab};
use super::rollout::found;
use crate::api::no_rollout;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use control::drift::Report;
use control::rollout::plan::GateName;
use control::rollout::{Body, Decision, Event, GateResult, Principal, RolloutId};
use maud::Markup;
use model::UnixMillis;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Entries that are looked through, from the newest on: 64 bundles, some hours of a rollout.
const MAX_LOOKED_AT: u64 = 16_384;
/// Runs that are named. A guard runs every 30 s: its last ten minutes.
const MAX_RUNS: usize = 20;

/// One run, as its records have it.
struct Run {
    entry: u64,
    at: UnixMillis,
    number: u32,
    /// Whether the guard asked for it rather than a step; not known if that record was not looked at.
    of_guard: Option<bool>,
    result: GateResult,
}

/// What is to be seen of the evidence of one run.
enum Values {
    /// All of it.
    Shown(Box<Report>),
    /// There is none.
    None,
    /// This reader may not.
    NotForReader,
    /// It was deleted, or cannot be read: why.
    Gone(String),
}

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}/drift", get(drift))
}

/// Which run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    run: Option<String>,
}

async fn drift(
    State(api): State<Api>,
    caller: Caller,
    Path(rollout): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Problem> {
    let by = caller.clone().to(Action::SeeRollouts)?;
    found(&api, &rollout).await?;
    let plan = api.handle.plan(Some(RolloutId(rollout.clone()))).await.ok_or_else(|| no_rollout(&rollout))?;
    let runs = runs(&api, RolloutId(rollout.clone())).await?;
    let wanted = asked.run.and_then(|number| number.parse::<u32>().ok());
    let at = wanted.and_then(|number| runs.iter().position(|run| run.number == number)).unwrap_or_default();
    let values = match runs.get(at) {
        Some(run) => values(&api, &caller, by, run).await,
        None => Values::None,
    };
    let page = draw::page(&rollout, &plan, &runs, at, &values);
    Ok(Page::of("Drift").in_rollout(&rollout, Tab::Drift).render(&caller, &page))
}

/// The runs of the drift gate, the newest first.
async fn runs(api: &Api, rollout: RolloutId) -> Result<Vec<Run>, Problem> {
    let read = api.ledger.read(move |_, opened| {
        let (mut runs, mut unasked): (Vec<Run>, BTreeSet<u32>) = (Vec::new(), BTreeSet::new());
        opened.backward(u64::MAX, MAX_LOOKED_AT, |entry| {
            let may_be =
                ["\"gateFinished\"", "\"gateRequested\"", "\"started\""].iter().any(|kind| entry.mentions(kind));
            // Other records need not be decoded.
            if !may_be || !entry.mentions(&rollout.0) {
                return Ok(true);
            }
            let record = entry.record()?;
            if record.rollout.as_ref() != Some(&rollout) {
                return Ok(true);
            }
            match record.body {
                Body::Started(_) => return Ok(false),
                Body::Happened(event) => {
                    if let Event::GateFinished { gate: GateName::Drift, run: number, result } = *event
                        && runs.len() < MAX_RUNS
                    {
                        unasked.insert(number);
                        runs.push(Run { entry: entry.index, at: record.at, number, of_guard: None, result });
                    }
                }
                Body::Decided(decision) => {
                    if let Decision::GateRequested { gate: GateName::Drift, run: number, guard } = *decision
                        && unasked.remove(&number)
                    {
                        let asked = runs.iter_mut().find(|run| run.number == number);
                        asked.into_iter().for_each(|run| run.of_guard = Some(guard));
                    }
                }
                _ => {}
            }
            Ok(runs.len() < MAX_RUNS || !unasked.is_empty())
        })?;
        Ok(runs)
    });
    read.await
}

async fn values(api: &Api, caller: &Caller, by: Principal, run: &Run) -> Values {
    let Some(digest) = &run.result.evidence else { return Values::None };
    if !caller.may(Action::SeeExamples) {
        return Values::NotForReader;
    }
    // Whatever stands in the way of the values, the rest of the page is worth showing.
    match api.handle.look(digest.clone(), by).await {
        Ok(blob) => match serde_json::from_slice(&blob) {
            Ok(report) => Values::Shown(report),
            Err(_) => Values::Gone("it is not of the form that this version reads".to_owned()),
        },
        Err(error) => Values::Gone(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
