//! The gate `load`: both environments are sent the same at the same times, and what comes out is counted at their taps.

use crate::gating::Surroundings;
use gates::Run;
use load::{
    Arrival, Load, LoadDemand, Multiple, Out, Replay, Schedule, Shape, Source, Synthetic, Target, Targets, Topology,
    judge, open, run, seeded,
};
use model::{Environment, GateResult, PerEnvironment, RouteKey};
use rollout::plan::{LoadGate, LoadSource, Plan};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Requests that are made before the run and sent in turn, each with other ids.
const GROUPS: usize = 64;
/// How long what is under way may take to come out, once everything is sent; a batch waits for seconds.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked whether more came out.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many looks without anything new, and what has not come out is lost: 3 s.
const QUIET_LOOKS: u32 = 12;

/// What counts at the taps.
pub trait CountsLoad: Send + Sync {
    /// From now on spans of the load with this key are counted.
    fn begin(&self, key: RouteKey);
    /// How many came out since.
    fn spans(&self) -> PerEnvironment<u64>;
    /// Nothing is counted any more.
    fn end(&self);
}

/// Ends the counting, also of a gate that is cancelled.
struct Counting(Arc<dyn CountsLoad>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs the gate. Nothing is sent to anybody but the first endpoint of each environment, as the plan names it.
pub(crate) async fn load(plan: &Plan, base_dir: &Path, around: &Surroundings) -> Run {
    let Some(gate) = &plan.gates.load else {
        return Run::error("the plan has no spec.gates.load".to_owned());
    };
    // A recording is read from the disk, which is nothing for a thread that others wait for.
    let (owned, folder, key) = (plan.clone(), base_dir.to_owned(), around.clone());
    let prepared = tokio::task::spawn_blocking(move || prepare(&owned, &folder, &key)).await;
    let prepared = match prepared.unwrap_or_else(|failed| Err(format!("the load could not be prepared: {failed}"))) {
        Ok(prepared) => prepared,
        Err(error) => return Run::error(error),
    };
    let counting = around.counts_load.clone().map(Counting);
    if let Some(Counting(counting)) = &counting {
        counting.begin(around.load_key());
    }
    let report = match run(prepared, None).await {
        Ok(report) => report,
        Err(error) => return Run::error(error.to_string()),
    };
    let out = match &counting {
        Some(Counting(counting)) => Some(settled(counting.as_ref(), &report).await),
        None => None,
    };
    let present = match &gate.source {
        LoadSource::Synthetic { peak_spans_per_s, .. } => *peak_spans_per_s,
        LoadSource::Recording { .. } => report.sustained_items_per_s(Environment::Blue) / f64::from(gate.multiple),
    };
    let demand = LoadDemand {
        loss_at_most: gate.loss_at_most,
        quantile: gate.quantile,
        slower_at_most: gate.slower_by,
        ..LoadDemand::of(present, f64::from(gate.multiple))
    };
    let judged = judge(&demand, &report, out);
    let evidence = serde_json::json!({ "demand": demand, "report": report, "out": out, "judged": judged });
    let result = GateResult { verdict: judged.verdict, reasons: judged.reasons, evidence: None };
    Run::with_evidence(result, &evidence)
}

/// Waits until everything that was acknowledged came out of both, or nothing more comes.
async fn settled(counting: &dyn CountsLoad, report: &load::Report) -> Out {
    let taken =
        |environment: Environment| report.targets[environment].as_ref().map_or(0, |target| target.all.taken_items());
    let deadline = tokio::time::Instant::now() + SETTLE_LIMIT;
    let (mut before, mut quiet) = (counting.spans(), 0);
    loop {
        let out = counting.spans();
        let all = Environment::BOTH.into_iter().all(|it| out[it] >= taken(it));
        quiet = if out == before { quiet + 1 } else { 0 };
        before = out;
        if all || quiet >= QUIET_LOOKS || tokio::time::Instant::now() >= deadline {
            return out;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn prepare(plan: &Plan, base_dir: &Path, around: &Surroundings) -> Result<Load, String> {
    let gate = plan.gates.load.as_ref().ok_or("the plan has no spec.gates.load")?;
    let upstreams = PerEnvironment::from_fn(|it| plan.environments[it].upstream.under(base_dir));
    let allowed: Vec<&str> = Environment::BOTH.into_iter().flat_map(|it| upstreams[it].endpoints()).collect();
    let targets = upstreams.clone().map(|it| {
        Some(Target { endpoint: it.endpoint, protocol: it.protocol, transport: it.transport, headers: Vec::new() })
    });
    let targets = Targets::new(&allowed, targets).map_err(|error| error.to_string())?;
    let (name, source) = source(gate, base_dir, around)?;
    Ok(Load { warm_up_ms: gate.warm_up_ms, ..Load::new(&name, source, targets, around.now) })
}

fn source(gate: &LoadGate, base_dir: &Path, around: &Surroundings) -> Result<(String, Source), String> {
    let (key, seed) = (around.load_key(), around.seed());
    // By these the taps know the load.
    let ids = seeded(seed, move |beginning| key.load(beginning));
    match &gate.source {
        LoadSource::Synthetic { topology, peak_spans_per_s } => {
            let rate = peak_spans_per_s * f64::from(gate.multiple);
            let groups = Topology::preset(topology).and_then(|it| it.groups(&Shape::default(), GROUPS, seed));
            let groups = groups.map_err(|error| error.to_string())?;
            let schedule =
                Schedule::constant(rate, gate.for_ms, Arrival::Poisson).map_err(|error| error.to_string())?;
            let synthetic = Synthetic::new(groups, schedule, seed, around.now, ids);
            Ok((format!("{topology}, {rate} spans/s"), Source::Synthetic(Box::new(synthetic))))
        }
        LoadSource::Recording { file, identity } => {
            let reader = open(&base_dir.join(file), &base_dir.join(identity)).map_err(|error| error.to_string())?;
            let multiple = Multiple { copies: gate.multiple, speed: 1.0, with_retries: false };
            let replay = Replay::new(reader, multiple, around.now, ids);
            let replay = replay.map_err(|error| error.to_string())?;
            Ok((format!("{} copies of {file}", gate.multiple), Source::Replay(Box::new(replay))))
        }
    }
}
