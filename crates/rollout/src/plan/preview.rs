//! What a plan would do, step by step, before anything starts: the traffic that each step moves, how long each proof
//! takes at the expected traffic, what rolls back, how long it lasts. A forecast decides nothing.

mod acceptance;
mod behaviour;
mod canary;
mod forecast;
mod leak;
mod outside;
mod point;
mod words;

use super::redaction;
use super::{ConfigSource, GateName, OnInconclusive, Plan, Step, StoreQuery};
use crate::decide::{APPLY_LIMIT_MS, GATE_LIMIT_MS, MAX_EXTENSIONS, MIN_BATCHES};
use forecast::{Forecast, provable_margin};
use model::{BasisPoints, Environment, PerEnvironment, Protocol, ShortDuration};
use serde::Serialize;
use words::{Number, Percent};

/// What a plan would do. Its `Display` is for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The plan's name.
    pub name: String,
    /// The ticket.
    pub change: Option<String>,
    /// Why.
    pub reason: String,
    /// Whom it touches.
    pub impact: Option<String>,
    /// What approvals bind to.
    pub digest: String,
    /// The environments.
    pub environments: PerEnvironment<EnvironmentPreview>,
    /// The steps.
    pub steps: Vec<StepPreview>,
    /// The least time it takes, in milliseconds, without the waits for people.
    pub shortest_ms: u64,
    /// The most time it takes if nothing is held, in milliseconds, without the waits for people.
    pub longest_ms: u64,
    /// Steps that wait for people, for as long as they take.
    pub waits_for_people: usize,
    /// What rolls back, in words.
    pub rolls_back: Vec<String>,
    /// What happens when an analysis or a bake ends without a proof.
    pub on_inconclusive: String,
    /// What whoever wrote the plan should know.
    pub notes: Vec<String>,
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentPreview {
    /// Its version.
    pub version: String,
    /// What was deployed.
    pub artifact: Option<String>,
    /// Where it takes OTLP.
    pub endpoint: String,
    /// What it takes there.
    pub protocol: Protocol,
    /// The name of its tap; `-` if a trace store takes its place.
    pub tap: String,
    /// Where the tap hands on to.
    pub backend: Option<String>,
    /// Which trace store is asked, for which share of the traces and when, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Where its configuration lies.
    pub config: Vec<String>,
    /// Where one sees the configuration that runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<String>,
    /// What its pipeline is meant to change of the spans, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPreview {
    /// Counts from 1.
    pub number: usize,
    /// As the plan writes it.
    pub does: String,
    /// What happens, in sentences.
    pub effects: Vec<String>,
    /// How long evidence takes; for steps that look at it, where the traffic is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What will not work out.
    pub warnings: Vec<String>,
    /// The least time it takes, in milliseconds.
    pub shortest_ms: u64,
    /// The most, in milliseconds.
    pub longest_ms: u64,
}

/// How long evidence takes in a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Regressions, and when they would be seen.
    pub detections: Vec<Detection>,
    /// Guards, and when they would be proved to hold.
    pub proofs: Vec<Proof>,
}

/// When a regression would be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// The regression: `errors x2`.
    pub of: String,
    /// Milliseconds from its beginning, if it begins with the step; `None` if this traffic never shows it.
    pub after_ms: Option<u64>,
    /// Whether the plan tolerates that much: then it is seen, and rolls nothing back.
    pub tolerated: bool,
}

/// When a guard would be proved to hold, for a candidate that is as good as the active environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The guard's key.
    pub guard: &'static str,
    /// The claim: `at most 0.1% of traces lose a span`.
    pub of: String,
    /// Milliseconds from the step's beginning, evidence of earlier steps counted; `None` if this traffic never does.
    pub after_ms: Option<u64>,
    /// Whether that is before the step ends.
    pub in_time: bool,
}

/// What this plan would do.
pub fn preview(plan: &Plan) -> Preview {
    let mut forecast = Forecast::new(plan);
    let steps: Vec<StepPreview> =
        plan.steps.iter().enumerate().map(|(index, step)| preview_step(plan, &mut forecast, index, *step)).collect();
    let waits = |step: &&Step| {
        matches!(
            step,
            Step::Gate(GateName::Approval | GateName::Acceptance)
                | Step::Pause { for_ms: None }
                | Step::PointOfNoReturn
        )
    };
    Preview {
        name: plan.name.clone(),
        change: plan.change.clone(),
        reason: plan.reason.clone(),
        impact: plan.impact.clone(),
        digest: plan.digest(),
        environments: PerEnvironment::from_fn(|environment| environment_preview(plan, environment)),
        shortest_ms: steps.iter().map(|step| step.shortest_ms).sum(),
        longest_ms: steps.iter().map(|step| step.longest_ms).sum(),
        waits_for_people: plan.steps.iter().filter(waits).count(),
        steps,
        rolls_back: rolls_back(plan),
        on_inconclusive: on_inconclusive(plan),
        notes: notes(plan),
    }
}

fn environment_preview(plan: &Plan, environment: Environment) -> EnvironmentPreview {
    let environment = &plan.environments[environment];
    let in_words = |sources: &[ConfigSource]| sources.iter().map(ToString::to_string).collect();
    EnvironmentPreview {
        version: environment.version.clone(),
        artifact: environment.artifact.clone(),
        endpoint: environment.upstream.endpoints().collect::<Vec<_>>().join(", "),
        protocol: environment.upstream.protocol,
        tap: match &environment.query {
            Some(query) if query.replaces_tap => "-".to_owned(),
            Some(_) | None => environment.upstream.tap.clone(),
        },
        query: environment.query.as_ref().map(query),
        backend: environment.upstream.backend.clone(),
        config: in_words(&environment.config),
        live: in_words(&environment.live),
        transformations: environment.transformations.in_words(),
    }
}

fn query(query: &StoreQuery) -> String {
    let StoreQuery { api, url, settle_ms, share, replaces_tap, .. } = query;
    let place = if *replaces_tap { ", in place of the tap" } else { "" };
    format!("{} {url}, {share}, {} after{place}", api.name(), ShortDuration(*settle_ms))
}

fn preview_step(plan: &Plan, forecast: &mut Forecast<'_>, index: usize, step: Step) -> StepPreview {
    let (shortest_ms, longest_ms) = match step {
        Step::Gate(GateName::Approval) | Step::Pause { for_ms: None } | Step::PointOfNoReturn => (0, 0),
        Step::Gate(GateName::Acceptance) => (0, APPLY_LIMIT_MS),
        Step::Gate(
            GateName::Drift
            | GateName::Probe
            | GateName::Security
            | GateName::Tests
            | GateName::Migration
            | GateName::Load
            | GateName::Dependencies,
        ) => (0, GATE_LIMIT_MS),
        Step::SetWeight { .. } => (0, APPLY_LIMIT_MS),
        Step::Mirror { for_ms } => (for_ms, for_ms + APPLY_LIMIT_MS),
        Step::Pause { for_ms: Some(ms) } => (ms, ms),
        Step::Analysis { at_most_ms } => (least_analysis_ms(plan).min(at_most_ms), extended(plan, at_most_ms)),
        Step::Bake { for_ms } => (for_ms, extended(plan, for_ms)),
    };
    let effects = effects(plan, forecast, step);
    let mut warnings = Vec::new();
    let evidence = match step {
        Step::Gate(_) | Step::Pause { for_ms: None } | Step::PointOfNoReturn => None,
        Step::SetWeight { weight } => {
            forecast.set_weight(weight);
            None
        }
        Step::Mirror { for_ms } => {
            warnings.extend(compares_nothing(plan, for_ms));
            forecast.mirror();
            forecast.pass(for_ms);
            None
        }
        Step::Pause { for_ms: Some(for_ms) } => {
            forecast.pass(for_ms);
            None
        }
        Step::Analysis { at_most_ms } => {
            warnings.extend(too_short(plan, at_most_ms));
            let evidence = forecast.evidence(at_most_ms);
            warnings.extend(unproved(evidence.as_ref(), forecast, "atMost", at_most_ms));
            let proofs = evidence.iter().flat_map(|evidence| &evidence.proofs);
            let proved_ms = proofs.map(|proof| proof.after_ms.unwrap_or(at_most_ms)).max().unwrap_or(at_most_ms);
            forecast.pass(proved_ms.clamp(shortest_ms, at_most_ms));
            evidence
        }
        Step::Bake { for_ms } => {
            let evidence = forecast.evidence(for_ms);
            warnings.extend(unproved(evidence.as_ref(), forecast, "the bake", for_ms));
            forecast.pass(for_ms);
            evidence
        }
    };
    StepPreview { number: index + 1, does: step.to_string(), effects, evidence, warnings, shortest_ms, longest_ms }
}

/// Blue is compared with blue by the observations that close while green has only copies.
fn compares_nothing(plan: &Plan, for_ms: u64) -> Option<String> {
    let first_ms = observation_delay_ms(plan);
    (for_ms < first_ms).then(|| {
        format!(
            "this mirror ends before its first observation, after {} (horizon {}): blue is not compared with blue before \
             green serves. Mirror longer, or lower spec.verification.horizon if your exporters give up earlier",
            ShortDuration(first_ms),
            ShortDuration(plan.verification.horizon_ms)
        )
    })
}

/// An observation closes when its batch, the horizon and the linger are over, and an analysis needs some of its own.
fn least_analysis_ms(plan: &Plan) -> u64 {
    observation_delay_ms(plan) + plan.analysis.batch_ms * u64::from(MIN_BATCHES - 1)
}

/// From the first trace of a batch to its observation.
fn observation_delay_ms(plan: &Plan) -> u64 {
    plan.analysis.batch_ms + plan.verification.horizon_ms + plan.verification.linger_ms
}

fn extended(plan: &Plan, ms: u64) -> u64 {
    match plan.analysis.on_inconclusive {
        OnInconclusive::Extend => ms * (u64::from(MAX_EXTENSIONS) + 1),
        OnInconclusive::Hold | OnInconclusive::Rollback => ms,
    }
}

fn too_short(plan: &Plan, at_most_ms: u64) -> Option<String> {
    let least = least_analysis_ms(plan);
    (least > at_most_ms).then(|| {
        format!(
            "this step will end inconclusive: its first {MIN_BATCHES} observations take {} (horizon {}), atMost is {}: \
             raise atMost, or lower spec.verification.horizon if your exporters give up earlier",
            ShortDuration(least),
            ShortDuration(plan.verification.horizon_ms),
            ShortDuration(at_most_ms)
        )
    })
}

/// The slowest proof that is not had in time; one warning is enough, for its remedy helps the others.
fn unproved(evidence: Option<&Evidence>, forecast: &Forecast<'_>, limit: &str, limit_ms: u64) -> Option<String> {
    let late = evidence?.proofs.iter().filter(|proof| !proof.in_time);
    let slowest = late.max_by_key(|proof| proof.after_ms.unwrap_or(u64::MAX))?;
    let (guard, at, limit_ms) = (slowest.guard, forecast.traffic_words(), ShortDuration(limit_ms));
    let needs = match slowest.after_ms {
        Some(ms) => format!("needs about {} {at}, {limit} is {limit_ms}", ShortDuration(ms)),
        None => format!("cannot be had {at}"),
    };
    let remedy = match forecast.weight() {
        BasisPoints::ALL => {
            "a comparison needs traces on both, so prove it before 100%, by a longer analysis or mirror"
        }
        _ if slowest.guard == judge::Guard::Latency.name() && slowest.after_ms.is_none() => "loosen the margin",
        _ => "raise the weight, mirror longer or loosen the margin",
    };
    Some(format!("this step will end inconclusive: the proof of {guard} {needs}: {remedy}"))
}

fn effects(plan: &Plan, forecast: &Forecast<'_>, step: Step) -> Vec<String> {
    let pin = ShortDuration(plan.pin_ms);
    let per_s = plan.traffic.expected_traces_per_s;
    let at = |share: f64, what: &str| {
        per_s.map(|per_s| format!("at {} traces/s: {} {what}", Number(per_s), Number(per_s * share)))
    };
    let first = match step {
        Step::Gate(GateName::Drift) => drift_gate(plan),
        Step::Gate(GateName::Approval) => approval(plan),
        Step::Gate(GateName::Probe) => behaviour::probe(plan),
        Step::Gate(GateName::Security) => security(plan),
        Step::Gate(GateName::Acceptance) => acceptance::effect(plan),
        Step::Gate(gate @ (GateName::Tests | GateName::Migration | GateName::Load | GateName::Dependencies)) => {
            behaviour::effect(plan, gate)
        }
        Step::Mirror { .. } => mirror(plan),
        Step::SetWeight { weight: BasisPoints::ALL } => {
            format!("every new trace goes to green; traces in flight stay where they began ({pin})")
        }
        Step::SetWeight { weight } => {
            format!("new traces of {weight} of the buckets go to green; traces in flight stay where they began ({pin})")
        }
        Step::Analysis { .. } => format!(
            "goes on once every guard is proved to hold, after {MIN_BATCHES} observations of its own ({}) at the earliest",
            ShortDuration(least_analysis_ms(plan))
        ),
        Step::Pause { for_ms: Some(_) } => "the traffic stays as it is, the guards watch".to_owned(),
        Step::Pause { for_ms: None } => {
            "the traffic stays as it is, the guards watch, until `verdigris rollout resume`".to_owned()
        }
        Step::Bake { .. } if forecast.weight() == BasisPoints::ALL => {
            "the guards watch green alone, held against what blue showed before; blue stays ready to take it back"
                .to_owned()
        }
        Step::Bake { .. } => "the guards watch".to_owned(),
        Step::PointOfNoReturn => point::effect(plan),
    };
    let traffic = match step {
        Step::Mirror { .. } => at(1.0, "copies/s to green"),
        Step::SetWeight { weight } => at(weight.share(), "traces/s to green"),
        Step::Gate(_) | Step::Analysis { .. } | Step::Pause { .. } | Step::Bake { .. } | Step::PointOfNoReturn => None,
    };
    [Some(first), traffic].into_iter().flatten().collect()
}

fn mirror(plan: &Plan) -> String {
    let redacted = plan.redaction.as_ref().map(|policy| format!("; in copies: {}", redaction::in_words(policy)));
    format!(
        "green gets a copy of every trace, blue alone serves; copies are checked, dropped ones are left out{}",
        redacted.unwrap_or_default()
    )
}

fn drift_gate(plan: &Plan) -> String {
    let expected = plan.gates.drift.as_ref().map_or(0, |gate| gate.expected.len());
    let between = match expected {
        0 => "the configurations must not differ at all".to_owned(),
        1 => "the configurations may differ in 1 expected place, nowhere else".to_owned(),
        places => format!("the configurations may differ in {places} expected places, nowhere else"),
    };
    match Environment::BOTH.into_iter().filter(|it| !plan.environments[*it].live.is_empty()).collect::<Vec<_>>()[..] {
        [] => between,
        [one] => format!("{between}; what runs in {one} must be what was declared"),
        _ => format!("{between}; what runs in both must be what was declared"),
    }
}

fn security(plan: &Plan) -> String {
    let gate = plan.gates.security.clone().unwrap_or_default();
    let mut words = vec!["green must be set up no less safely than blue".to_owned()];
    let reports = gate.reports.blue.len() + gate.reports.green.len();
    if reports > 0 {
        words.push(format!("bring no new vulnerability from {} on ({reports} reports)", gate.at_least.name()));
    }
    if !gate.policies.is_empty() {
        let names: Vec<&str> = gate.policies.iter().map(|policy| policy.name.as_str()).collect();
        words.push(format!("and be denied by none of the policies {}", names.join(", ")));
    }
    words.join("; ")
}

fn approval(plan: &Plan) -> String {
    plan.gates.approval.as_ref().map_or_else(String::new, |gate| {
        format!(
            "{} of the role {} must approve this plan's digest, none of them its author; an approval holds {}",
            if gate.count == 1 { "1 person".to_owned() } else { format!("{} people", gate.count) },
            gate.role,
            ShortDuration(gate.expires_ms)
        )
    })
}

fn rolls_back(plan: &Plan) -> Vec<String> {
    let judge::Guards { span_loss, error_rate, latency, service_latency, blind_spots, findings, metrics: _ } =
        &plan.guards.judged;
    let points = |share: f64| Percent(share).to_string();
    [
        span_loss
            .as_ref()
            .map(|guard| format!("spanLoss: more than {} of green's traces lose a span", points(guard.at_most))),
        error_rate.as_ref().map(|guard| {
            let by = points(guard.worse_than_active_by);
            format!("errorRate: errors or failed exports in green's traces, beyond blue's by more than {by} of traces")
        }),
        latency.as_ref().map(|guard| {
            let (quantile, by) = (guard.quantile, points(guard.worse_than_active_by));
            format!("latency: green slower than blue, at quantile {quantile} by more than {by}")
        }),
        service_latency.as_ref().map(|guard| {
            let (quantile, by) = (guard.quantile, points(guard.worse_than_active_by));
            format!(
                "serviceLatency: a call or an operation that takes longer in green's traces than in blue's, or is called \
                 more often, at quantile {quantile} by more than {by}"
            )
        }),
        blind_spots.as_ref().map(|guard| {
            let most = guard.at_most;
            format!("blindSpots: more than {most} operations or calls that never come out of green")
        }),
        findings.as_ref().map(|guard| {
            let by = points(guard.worse_than_active_by);
            format!(
                "findings: duplicated, fabricated, orphaned or changed spans in green, beyond blue's by more than {by} \
                 of traces"
            )
        }),
        plan.guards.drift.as_ref().map(|guard| {
            let every = ShortDuration(guard.every_ms);
            format!("drift: the configurations differ where it is not expected; compared every {every}")
        }),
        plan.steps
            .iter()
              .any(|step| matches!(step, Step::Gate(gate) if gate.is_run()))
            .then(|| "a gate that fails".to_owned()),
        Some("`verdigris rollout rollback`".to_owned()),
    ]
    .into_iter()
    .flatten()
    .chain(outside::rolls_back(plan))
    .chain(canary::rolls_back(plan))
    .chain(leak::rolls_back(plan))
    .chain(acceptance::rolls_back(plan))
    .collect()
}

fn on_inconclusive(plan: &Plan) -> String {
    match plan.analysis.on_inconclusive {
        OnInconclusive::Hold => "hold: the traffic stays as it is until a person decides".to_owned(),
        OnInconclusive::Extend => {
            format!("extend: the step begins again, at most {MAX_EXTENSIONS} times, and is then held for a person")
        }
        OnInconclusive::Rollback => "rollback: every trace goes back to blue".to_owned(),
    }
}

/// Service latency, blind spots and findings alarm; promotion needs one of the others.
fn can_be_proved(plan: &Plan) -> bool {
    let judge::Guards { span_loss, error_rate, latency, service_latency: _, blind_spots: _, findings: _, metrics } =
        &plan.guards.judged;
    span_loss.is_some() || error_rate.is_some() || latency.is_some() || metrics.iter().any(|metric| metric.critical)
}

fn notes(plan: &Plan) -> Vec<String> {
    let named = |gate: GateName| plan.steps.contains(&Step::Gate(gate));
    let small = plan.guards.judged.latency.as_ref().filter(|guard| provable_margin(guard).is_none());
    [
        plan.traffic.expected_traces_per_s.is_none().then(|| {
            "how long proofs take cannot be said without the expected traffic: add spec.traffic.expected, such as 500/s"
                .to_owned()
        }),
        small.map(|guard| {
            let margin = Percent(guard.worse_than_active_by);
            format!("latency: a margin of {margin} can alarm, but never be proved: use 10% or more")
        }),
        (plan.gates.approval.is_some() && !named(GateName::Approval))
            .then(|| "spec.gates.approval is configured, but no step asks for it: nobody has to approve".to_owned()),
        (plan.gates.drift.is_some() && !named(GateName::Drift) && plan.guards.drift.is_none())
            .then(|| "spec.gates.drift is configured, but no step and no guard uses it".to_owned()),
        (plan.gates.security.is_some() && !named(GateName::Security))
            .then(|| "spec.gates.security is configured, but no step uses it".to_owned()),
        (!plan.steps.iter().any(|step| matches!(step, Step::Analysis { .. })))
            .then(|| "no step is an analysis: the weight rises without a proof until the bake".to_owned()),
        (!can_be_proved(plan)).then(|| {
            "nothing can be proved, so that every analysis and the bake end inconclusive: add spanLoss, errorRate or \
             latency to spec.guards"
                .to_owned()
        }),
        (plan.verified_share() < BasisPoints::ALL).then(|| {
            format!(
                "what comes out is read from the trace stores, for {} of the traces: the forecast reckons with these alone",
                plan.verified_share()
            )
        }),
        plan.guards.judged.service_latency.as_ref().map(|_| {
            "how long serviceLatency takes depends on how often each call is made; the forecast leaves it out".to_owned()
        }),
        plan.guards.judged.blind_spots.as_ref().map(|_| {
            "how long blindSpots takes depends on how often each operation is called; the forecast leaves it out"
                .to_owned()
        }),
    ]
    .into_iter()
    .flatten()
    .chain(outside::notes(plan))
    .chain(canary::note(plan))
    .chain(leak::note(plan))
    .chain(acceptance::note(plan))
    .chain(behaviour::notes(plan))
    .chain(point::note(plan))
    .collect()
}
