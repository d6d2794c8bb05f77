//! A sample of blue's older traces, asked of both environments' trace stores: did they move with the back end?
//!
//! Blue's store is searched in slices of the time that the plan names, so that old traces are as likely as young ones.
//! Each trace is asked of green first and of blue afterwards: what blue deletes meanwhile is not green's loss.

use crate::gating::Surroundings;
use gates::Patience;
use gates::backend::{Api, Backend, BackendError, Search, Stored};
use migration::Assessment;
use migration::traces::{OlderTraces, Readable, decide, sample};
use model::{Environment, GateVerdict, PerEnvironment, TraceId, UnixMillis};
use rollout::plan::{OlderTracesPlan, Plan, StoreApi, StoreQuery};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Slices of the time, each searched for itself.
const SLICES: u64 = 10;
/// Traces that a search may find: ten slices of one service give twice the largest sample.
const FOUND_AT_MOST: u32 = 20;
/// What is younger may not have settled in a store, and is not what a migration moved.
const YOUNGEST_MS: u64 = 600_000;
/// Questions to one store at once.
const MAX_ASKED: usize = 8;

/// What the trace stores of a plan say. `limit` bounds all of it.
pub(crate) async fn run(
    demand: &OlderTracesPlan,
    plan: &Plan,
    base_dir: &Path,
    around: &Surroundings,
    limit: Duration,
) -> Assessment {
    let until = Instant::now() + limit;
    let stores = match stores(plan, base_dir) {
        Ok(stores) => stores,
        Err(why) => return failed(why),
    };
    let found = match search(&stores.blue, demand, around.now, until).await {
        Ok(found) => found,
        Err(why) => return failed(format!("blue: {why}")),
    };
    let chosen = sample(&found, around.key, demand.sample as usize);
    let said = ask(&stores, chosen, until).await;
    let demand = OlderTraces { at_least_basis_points: u32::from(demand.at_least.get()), least: demand.least as usize };
    decide(&demand, &said)
}

fn failed(why: String) -> Assessment {
    Assessment { verdict: GateVerdict::Error, reasons: vec![why], evidence: json!({}) }
}

fn stores(plan: &Plan, base_dir: &Path) -> Result<PerEnvironment<Arc<Backend>>, String> {
    let store = |environment: Environment| {
        let query = plan.environments[environment].query.as_ref();
        let query = query.ok_or_else(|| format!("{environment}: the plan names no trace store; add `query`"))?;
        let query = query.under(base_dir);
        let backend = trace_store(&query);
        backend.map(Arc::new).map_err(|error| format!("{environment}: {error}"))
    };
    Ok(PerEnvironment { blue: store(Environment::Blue)?, green: store(Environment::Green)? })
}

/// A plan's trace store. Its paths are the server's: see [`StoreQuery::under`].
pub fn trace_store(query: &StoreQuery) -> Result<Backend, BackendError> {
    let api = match query.api {
        StoreApi::Jaeger => Api::Jaeger,
        StoreApi::JaegerV2 => Api::JaegerV2,
        StoreApi::Tempo => Api::Tempo,
        StoreApi::Zipkin => Api::Zipkin,
    };
    Backend::new(api, &query.url, &query.tls, query.bearer_token_file.clone().map(Into::into))
}

fn patience() -> Patience {
    Patience { attempt: Duration::from_secs(10), pauses: vec![Duration::from_secs(1)] }
}

/// What blue has, of every service and every slice.
async fn search(
    blue: &Arc<Backend>,
    demand: &OlderTracesPlan,
    now: UnixMillis,
    until: Instant,
) -> Result<BTreeSet<TraceId>, String> {
    let mut found = BTreeSet::new();
    for search in searches(demand, now) {
        let searched = timeout_at(until, blue.search(&search, &patience())).await;
        let searched = searched.map_err(|_| "the searches took longer than the gate has".to_owned())?;
        found.extend(searched.map_err(|error| error.to_string())?);
    }
    Ok(found)
}

fn searches(demand: &OlderTracesPlan, now: UnixMillis) -> Vec<Search> {
    const NANOS_PER_MILLI: u64 = 1_000_000;
    let to = now.0.saturating_sub(YOUNGEST_MS);
    let from = now.0.saturating_sub(demand.since_ms);
    let at = |slice: u64| (from + (to - from) * slice / SLICES).saturating_mul(NANOS_PER_MILLI);
    let slices = |service: &String| {
        let service = service.clone();
        (0..SLICES).map(move |slice| Search {
            service: service.clone(),
            from_ns: at(slice),
            to_ns: at(slice + 1),
            limit: FOUND_AT_MOST,
        })
    };
    demand.services.iter().flat_map(slices).collect()
}

/// Green first, then blue, [`MAX_ASKED`] traces at once.
async fn ask(
    stores: &PerEnvironment<Arc<Backend>>,
    chosen: BTreeSet<TraceId>,
    until: Instant,
) -> Vec<(TraceId, PerEnvironment<Readable>)> {
    let turns = Arc::new(Semaphore::new(MAX_ASKED));
    let mut asked = JoinSet::new();
    for trace in chosen {
        let (stores, turns) = (stores.clone(), turns.clone());
        asked.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let green = readable(&stores.green, trace, until).await;
            let blue = readable(&stores.blue, trace, until).await;
            (trace, PerEnvironment { blue, green })
        });
    }
    let mut said = asked.join_all().await;
    said.sort_unstable_by_key(|(trace, _)| *trace);
    said
}

async fn readable(store: &Backend, trace: TraceId, until: Instant) -> Readable {
    match timeout_at(until, store.trace(trace, &patience())).await {
        Err(_) => Readable::Unknown("the gate's time was over".to_owned()),
        Ok(Err(error)) => Readable::Unknown(error.to_string()),
        Ok(Ok(Stored::Nothing)) => Readable::Nothing,
        Ok(Ok(Stored::Trace(stored))) => {
            let mut spans = 0;
            stored.for_each(|_| spans += 1);
            Readable::Spans(spans)
        }
    }
}

#[cfg(test)]
mod tests;
