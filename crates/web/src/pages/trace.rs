//! `/rollouts/{rollout}/traces/{trace}`: an example trace as it was sent and as each environment put it out, side by side.
//!
//! What is shown are values of the traffic: each blob that is read for it stands in the ledger before it is shown
//! (`Handle::look`). The page asks for few rows at a time; `?from=` goes on, `?below=` shows what is below one span.

mod draw;
mod joined;

use crate::api::problem::Problem;
use crate::pages::layout::{Page, Tab, rollout_path};
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use control::rollout::{Body, RolloutId};
use joined::Joined;
use maud::Markup;
use model::TraceId;
use serde::Deserialize;
use verify::diff::{ExampleSides, RawExample};

/// Entries that are looked through for what was kept of a trace, from the newest on: 1,024 bundles. What is older is found by
/// `verdigris trace show`.
const MAX_LOOKED_AT: u64 = 262_144;
/// Blobs that one page reads, each of which is a look in the ledger: one of each environment, and those of two more keepings.
const MAX_BLOBS: usize = 4;

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}/traces/{trace}", get(trace))
}

/// Which rows of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Window {
    /// The first row, from 0.
    from: usize,
    /// Every row; else equal subtrees are closed where the trace is long.
    all: Option<String>,
    /// The span whose subtree is shown, as hex.
    below: Option<String>,
}

async fn trace(
    State(api): State<Api>,
    caller: Caller,
    Path((rollout, trace)): Path<(String, String)>,
    Query(window): Query<Window>,
) -> Result<Markup, Problem> {
    let by = caller.clone().to(Action::SeeExamples)?;
    let missing = |detail: String| Problem::new("unknown", StatusCode::NOT_FOUND, detail);
    let unknown = || missing("expected a rollout and the 32 hexadecimal digits of a trace".to_owned());
    let trace: TraceId = trace.parse().map_err(|_| unknown())?;
    let rollout = RolloutId(rollout);
    let digests = kept(&api, rollout.clone(), trace).await?;
    if digests.is_empty() {
        return Err(missing(format!("no example of trace {trace} was kept of {rollout}")));
    }
    let (mut examples, mut gone) = (Vec::<ExampleSides>::new(), Vec::new());
    for digest in &digests {
        let blob = match api.handle.look(digest.clone(), by.clone()).await {
            Ok(blob) => blob,
            Err(control::LookError::NotThere { .. }) => {
                gone.push(digest.clone());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for example in read(digest, &blob)? {
            // The newest of each environment.
            let is_known = examples.iter().any(|known| known.environment == example.environment);
            if example.trace == trace && !is_known {
                examples.push(example);
            }
        }
    }
    if examples.is_empty() {
        return Err(missing(format!("the evidence of trace {trace} was deleted: {}", gone.join(", "))));
    }
    let link = format!("{}/traces/{trace}", rollout_path(&rollout.0));
    // Joining two sides of 65,536 spans takes some 100 ms, which no other request should wait for.
    let drawn = tokio::task::spawn_blocking(move || {
        let joined = Joined::of(&examples);
        draw::page(&joined, &link, &digests, &draw::Asked::of(&window.below, window.from, window.all.is_some()))
    });
    let broken =
        |_| Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, "comparing the trace was broken off");
    let (title, main) = (format!("Trace {trace}"), drawn.await.map_err(broken)?);
    let page = Page { module: Some("treegrid.js"), ..Page::of(&title) };
    Ok(page.in_rollout(&rollout.0, Tab::Findings).render(&caller, &main))
}

/// The digests of what was kept of a trace, the newest first, each once.
async fn kept(api: &Api, rollout: RolloutId, trace: TraceId) -> Result<Vec<String>, Problem> {
    let found = api.ledger.read(move |_, opened| {
        let (mut digests, text) = (Vec::new(), trace.to_string());
        opened.backward(u64::MAX, MAX_LOOKED_AT, |entry| {
            if entry.mentions(&text) && entry.mentions("evidenceKept") {
                let record = entry.record()?;
                if record.rollout.as_ref() == Some(&rollout)
                    && let Body::EvidenceKept { digest, trace: kept, .. } = record.body
                    && kept == trace
                    && !digests.contains(&digest)
                {
                    digests.push(digest);
                }
            }
            Ok(digests.len() < MAX_BLOBS)
        })?;
        Ok(digests)
    });
    found.await
}

fn read(digest: &str, blob: &[u8]) -> Result<Vec<ExampleSides>, Problem> {
    let refused = |why: String| {
        Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, format!("{digest} is no example trace: {why}"))
    };
    let raw: Vec<RawExample> = serde_json::from_slice(blob).map_err(|error| refused(error.to_string()))?;
    raw.into_iter().map(|example| example.sides().map_err(refused)).collect()
}

#[cfg(test)]
mod tests;
