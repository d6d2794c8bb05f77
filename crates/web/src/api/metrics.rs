//! `GET /metrics` in OpenMetrics 1.0: made for each scrape from what the server and its last rollout say of themselves, so that
//! no count is kept twice. The text is written here, for the format is forty lines and every client library counts by itself.

use super::problem::Problem;
use crate::condition::{Exemplar, Family, Kind, Sample};
use crate::{Api, Caller};
use access::Action;
use axum::extract::State;
use axum::http::{HeaderName, header};
use control::RolloutSummary;
use control::rollout::judge::GuardEvidence;
use control::rollout::{GroupReport, Progress, Report};
use model::{BasisPoints, Environment};
use std::collections::BTreeMap;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A rollout's life, in the words of its report.
const PROGRESS: [(Progress, &str); 7] = [
    (Progress::Progressing, "progressing"),
    (Progress::Paused, "paused"),
    (Progress::Held, "held"),
    (Progress::RollingBack, "rollingBack"),
    (Progress::Promoting, "promoting"),
    (Progress::Promoted, "promoted"),
    (Progress::RolledBack, "rolledBack"),
];

/// `GET /metrics`.
pub(crate) async fn metrics(
    State(api): State<Api>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    caller.to(Action::SeeServer)?;
    let mut families = (api.condition.metrics)();
    families.push(of_all(&api.handle.list().await));
    if let Some(report) = api.handle.report(None).await {
        families.extend(of_rollout(&report));
        families.extend(of_evidence(&report));
        families.extend(of_findings(&report.findings));
    }
    let mut text = String::new();
    families.iter().for_each(|family| family.write(&mut text));
    text.push_str("# EOF\n");
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text))
}

fn of_all(rollouts: &[RolloutSummary]) -> Family {
    let samples = PROGRESS.map(|(progress, word)| {
        let number = rollouts.iter().filter(|rollout| rollout.progress == progress).count();
        Sample::of([("progress", word)], number as f64)
    });
    Family::gauge("verdigris_rollouts", "Rollouts of this ledger, by how they stand.", samples.to_vec())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn one(value: f64) -> Vec<Sample> {
    vec![Sample::of([], value)]
}

fn of_rollout(report: &Report) -> Vec<Family> {
    let ratio = |name, help, weight: Option<BasisPoints>| {
        Family::gauge(name, help, weight.map(BasisPoints::share).map(one).unwrap_or_default()).in_unit("ratio")
    };
    let seconds = |name, help, ms: Option<u64>| {
        Family::gauge(name, help, ms.map(|ms| one(ms as f64 / 1_000.0)).unwrap_or_default()).in_unit("seconds")
    };
    let progress = PROGRESS.map(|(it, word)| Sample::of([("progress", word)], flag(it == report.progress)));
    let name = Sample::of([("rollout", &report.rollout.0), ("plan_digest", &report.plan_digest)], 1.0);
    let done = report.steps.iter().filter(|step| step.done).count();
    vec![
        Family { kind: Kind::Info, ..Family::gauge("verdigris_rollout", "The last rollout.", vec![name]) },
        Family::gauge(
            "verdigris_rollout_progress",
            "1 for how the last rollout stands, 0 for the others.",
            progress.to_vec(),
        ),
        Family::gauge(
            "verdigris_rollout_needs_person",
            "Whether it stands still until a person acts.",
            one(flag(report.needs_person)),
        ),
        Family::gauge(
            "verdigris_rollout_exceptions",
            "What everybody must see: broken glass without a review, a point of no return that is passed.",
            one(report.exceptions.len() as f64),
        ),
        Family::gauge("verdigris_rollout_steps", "Steps of its plan.", one(report.steps.len() as f64)),
        Family::gauge("verdigris_rollout_steps_done", "Steps that are done.", one(done as f64)),
        ratio(
            "verdigris_rollout_weight_ordered_ratio",
            "The candidate's share that was ordered.",
            Some(report.weight_ordered),
        ),
        ratio(
            "verdigris_rollout_weight_observed_ratio",
            "The candidate's share that the gateway applied.",
            report.weight_observed,
        ),
        ratio("verdigris_green_serves_ratio", "The share of traces that green serves.", report.green_serves),
        Family::gauge("verdigris_rollout_mirror", "Whether the candidate gets copies.", one(flag(report.mirror))),
        Family::gauge(
            "verdigris_rollout_generation",
            "The generation of the route table that was ordered last.",
            one(report.generation as f64),
        ),
        Family::counter("verdigris_rollout_torn_traces", "Traces that a rollback tore.", one(report.torn as f64)),
        Family::counter(
            "verdigris_rollout_observations",
            "Batches of traces that were judged.",
            one(report.observations as f64),
        ),
        seconds("verdigris_rollout_started_timestamp_seconds", "When it started.", Some(report.started_at.0)),
        seconds("verdigris_rollout_ended_timestamp_seconds", "When it ended.", report.ended_at.map(|at| at.0)),
        seconds("verdigris_rollout_time_left_seconds", "Until its present wait ends by itself.", report.time_left_ms),
    ]
}

fn of_evidence(report: &Report) -> Vec<Family> {
    let Some(assessment) = &report.assessment else { return Vec::new() };
    let of = |value: fn(&GuardEvidence) -> Option<f64>| -> Vec<Sample> {
        let sample = |guard: &GuardEvidence| Some(Sample::of([("guard", &guard.name())], value(guard)?));
        assessment.guards.iter().filter_map(sample).collect()
    };
    let traces = Environment::BOTH
        .map(|environment| Sample::of([("environment", environment.name())], assessment.traces[environment] as f64));
    vec![
        Family::gauge(
            "verdigris_guard_log_against",
            "ln of the evidence that the candidate is worse.",
            of(|it| Some(it.log_against)),
        ),
        Family::gauge(
            "verdigris_guard_log_threshold_against",
            "What it must reach for this guard to alarm by itself.",
            of(|it| Some(it.log_threshold_against)),
        ),
        Family::gauge(
            "verdigris_guard_log_for",
            "ln of the evidence that the candidate is within what the plan tolerates.",
            of(|it| it.log_for),
        ),
        Family::gauge(
            "verdigris_guard_log_threshold_for",
            "What it must reach.",
            of(|it| it.log_for.map(|_| it.log_threshold_for)),
        ),
        Family::gauge("verdigris_guard_proved", "Whether it has.", of(|it| Some(flag(it.proved)))),
        Family::gauge(
            "verdigris_guard_alarmed",
            "Whether the guard found green worse than tolerated.",
            of(|it| Some(flag(it.alarmed))),
        ),
        Family::gauge(
            "verdigris_log_against",
            "ln of all guards' evidence against the candidate.",
            one(assessment.log_evidence),
        ),
        Family::gauge("verdigris_log_threshold", "What it must reach for an alarm.", one(assessment.log_threshold)),
        Family::gauge(
            "verdigris_verified_ratio",
            "The least share of the traces that was verified in any batch.",
            one(assessment.verified.share()),
        )
        .in_unit("ratio"),
        Family::counter("verdigris_judged_traces", "Traces that were judged.", traces.to_vec()),
    ]
}

/// By check, for a rollout can find many groups of each; the first example of the group that shows it most is the exemplar.
fn of_findings(findings: &[GroupReport]) -> Vec<Family> {
    let mut by_check: BTreeMap<(&str, Environment), (u64, u64, Option<Exemplar>)> = BTreeMap::new();
    let names: Vec<(String, &GroupReport)> = findings.iter().map(|found| (check_name(found), found)).collect();
    for (check, GroupReport { group, .. }) in &names {
        for environment in Environment::BOTH {
            let (traces, spans, exemplar) = by_check.entry((check, environment)).or_default();
            *traces = traces.saturating_add(group.traces[environment]);
            *spans = spans.saturating_add(group.spans[environment]);
            // The first example is green's, where green shows it.
            let is_of = environment == Environment::Green || group.traces[Environment::Green] == 0;
            if is_of && exemplar.is_none() && group.traces[environment] > 0 {
                *exemplar = group.examples.first().map(|trace| Exemplar { trace_id: trace.to_string() });
            }
        }
    }
    let family = |name, help, of: fn(&(u64, u64, Option<Exemplar>)) -> u64| {
        let sample = |(&(check, environment), found): (&(&str, Environment), &(u64, u64, Option<Exemplar>))| Sample {
            exemplar: found.2.clone(),
            ..Sample::of([("check", check), ("environment", environment.name())], of(found) as f64)
        };
        Family::counter(name, help, by_check.iter().map(sample).collect())
    };
    vec![
        family("verdigris_finding_traces", "Traces that show a difference.", |found| found.0),
        family("verdigris_finding_spans", "Spans that show a difference.", |found| found.1),
    ]
}

/// As reports have it: `lostSpan`.
fn check_name(found: &GroupReport) -> String {
    serde_json::to_value(found.group.check).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
