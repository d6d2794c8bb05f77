//! `/rollouts/{rollout}/plan`: the plan that a rollout follows, as the ledger has it, and what it would do step by step.
//!
//! What approvals bind to is the digest of the plan's canonical JSON: the page gives these very bytes, so that whoever doubts
//! the digest computes it. What would happen is what `plan check` prints, made from the plan alone.

use super::layout::{Page, Tab, rollout_path};
use super::rollout::found;
use super::when;
use crate::api::no_rollout;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use control::rollout::plan::{EnvironmentPreview, Evidence, Plan, Preview, StepPreview, preview};
use control::rollout::{Report, RolloutId};
use maud::{Markup, html};
use model::{Environment, PerEnvironment, Protocol, ShortDuration};

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}/plan", get(plan))
}

async fn plan(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let report = found(&api, &rollout).await?;
    let plan = api.handle.plan(Some(RolloutId(rollout.clone()))).await.ok_or_else(|| no_rollout(&rollout))?;
    let page = drawn(&report, &plan, caller.may(Action::SeeStatement));
    Ok(Page::of("Plan").in_rollout(&rollout, Tab::Plan).render(&caller, &page))
}

fn drawn(report: &Report, plan: &Plan, approves: bool) -> Markup {
    let forecast = preview(plan);
    html! {
        (what(report, plan, &forecast))
        (environments(&forecast.environments))
        section aria-labelledby="happens" {
            h2 id="happens" { "What happens" }
            p.faint { "A forecast made from the plan alone, as " code { "verdigris plan check" } " prints it. Where the rollout stands, the overview says." }
            ol.plan { @for (step, stands) in forecast.steps.iter().zip(&report.steps) { (self::step(step, stands.current)) } }
            p { (ShortDuration(forecast.shortest_ms)) " at least, " (ShortDuration(forecast.longest_ms)) " at most if nothing is held"
                @match forecast.waits_for_people { 0 => ".", 1 => ", and 1 wait for people.", waits => { ", and " (waits) " waits for people." } } }
        }
        section aria-labelledby="guards" {
            h2 id="guards" { "What rolls back" }
            ul { @for cause in &forecast.rolls_back { li { bdi { (cause) } } } }
            p { "Without a proof: " (forecast.on_inconclusive) "." }
            p { "A good green is rolled back by chance with a probability of at most " (plan.analysis.false_alarm)
                ", over the whole rollout and all guards together; one just at the margin is promoted with at most " (plan.analysis.false_promotion) "." }
        }
        (approvals(report, plan, approves))
        @if !forecast.notes.is_empty() {
            section aria-labelledby="notes" {
                h2 id="notes" { "Notes" }
                ul { @for note in &forecast.notes { li { bdi { (note) } } } }
            }
        }
        (document(plan))
    }
}

fn what(report: &Report, plan: &Plan, forecast: &Preview) -> Markup {
    html! {
        dl.facts {
            dt { "Name" } dd { bdi { (plan.name) } }
            dt { "Reason" } dd { bdi { (plan.reason) } }
            @if let Some(change) = &plan.change { dt { "Change" } dd { bdi { (change) } } }
            @if let Some(impact) = &plan.impact { dt { "Impact" } dd { bdi { (impact) } } }
            dt { "Written by" } dd { @if plan.authors.is_empty() { "not said by the plan" } @else { bdi { (plan.authors.join(", ")) } } }
            dt { "Started" } dd { (when::time(report.started_at)) " by " bdi { (report.started_by) } }
            dt { "Digest" } dd { code { (report.plan_digest) }
                @if forecast.digest != report.plan_digest { " " span.bad { "✕ this version of Verdigris computes " code { (forecast.digest) } } } }
        }
    }
}

/// What the plan says of one environment, in the order of the table; empty where it says nothing.
fn environment(of: &EnvironmentPreview) -> [(&'static str, String); 9] {
    let protocol = match of.protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http",
    };
    [
        ("Version", of.version.clone()),
        ("Artifact", of.artifact.clone().unwrap_or_default()),
        ("OTLP", format!("{protocol} {}", of.endpoint)),
        ("Tap", of.tap.clone()),
        ("Back end", of.backend.clone().unwrap_or_default()),
        ("Trace store", of.query.clone().unwrap_or_default()),
        ("Configuration, declared", of.config.join(", ")),
        ("Configuration, running", of.live.join(", ")),
        ("Meant to change, so that it is no finding", of.transformations.join("; ")),
    ]
}

fn environments(of: &PerEnvironment<EnvironmentPreview>) -> Markup {
    let [blue, green] = Environment::BOTH.map(|it| environment(&of[it]));
    let rows: Vec<_> = blue.into_iter().zip(green).map(|((name, blue), (_, green))| (name, [blue, green])).collect();
    html! {
        section aria-labelledby="environments" {
            h2 id="environments" { "Environments" }
            div.scroll tabindex="0" role="group" aria-label="Table" { table {
                thead { tr { th scope="col" { "Of" } @for environment in Environment::BOTH { th scope="col" { (environment) } } } }
                tbody {
                    // A row in which neither has anything says nothing.
                    @for (name, cells) in rows.iter().filter(|(_, cells)| cells.iter().any(|it| !it.is_empty())) {
                        tr { th scope="row" { (name) } @for cell in cells { td { bdi { (cell) } } } }
                    }
                }
            } }
        }
    }
}

fn step(step: &StepPreview, current: bool) -> Markup {
    let (shortest, longest) = (step.shortest_ms, step.longest_ms);
    let evidence: Vec<String> = step.evidence.as_ref().map(Evidence::lines).unwrap_or_default();
    html! {
        li aria-current=[current.then_some("step")] {
            strong { bdi { (step.does) } } @if current { " " span.state.blue { "now" } }
            @if longest > 0 { " " small.faint { @if shortest == longest { (ShortDuration(shortest)) } @else if shortest == 0 { "up to " (ShortDuration(longest)) } @else { (ShortDuration(shortest)) " to " (ShortDuration(longest)) } } }
            @for line in &step.effects { p { bdi { (line) } } }
            @for line in &step.warnings { p.note { strong { "Warning: " } bdi { (line) } } }
            @if !evidence.is_empty() {
                details { summary { "What it would prove and see, and when" }
                    ul { @for line in &evidence { li { bdi { (line) } } } } }
            }
        }
    }
}

/// Who must agree, and to what.
fn approvals(report: &Report, plan: &Plan, approves: bool) -> Markup {
    let people = |count: u32| if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
    let gates = &plan.gates;
    html! {
        section aria-labelledby="approvals" {
            h2 id="approvals" { "Who must agree" }
            @if gates.approval.is_none() && plan.point_of_no_return.is_none() && gates.acceptance.is_none() {
                p { "Nobody: the plan has no approval gate." }
            }
            ul {
                @if let Some(gate) = &gates.approval {
                    li { "Approval: " (people(gate.count)) " of the role " code { bdi { (gate.role) } } ", none of whom wrote or started the plan. Each approval holds "
                        (ShortDuration(gate.expires_ms)) "."
                        @if let Some(glass) = &gate.break_glass { " In an emergency one approval passes the gate; somebody else must review that within "
                            (ShortDuration(glass.review_within_ms)) "." } }
                }
                @if let Some(point) = &plan.point_of_no_return {
                    li { "Point of no return (" bdi { (point.reason) } "): " (people(point.count)) " of the role " code { bdi { (point.role) } }
                        ", each of whose approvals holds " (ShortDuration(point.expires_ms)) "." }
                }
                @if let Some(acceptance) = &gates.acceptance {
                    li { "Acceptance by testers: " bdi { (acceptance.testers.join(", ")) } "." }
                }
                @if let Some(proofs) = &plan.proofs {
                    li { "The gateway raises green's share only upon a proof from the ledger"
                        @if proofs.cosignatures > 0 { ", cosigned by " (proofs.cosignatures) " witnesses" } "." }
                }
            }
            @if approves && (gates.approval.is_some() || plan.point_of_no_return.is_some()) { p { a href={ (rollout_path(&report.rollout.0)) "/approvals" } { "What there is to sign" } } }
        }
    }
}

/// The plan itself, in two forms.
fn document(plan: &Plan) -> Markup {
    let canonical = STANDARD.encode(plan.canonical_json());
    html! {
        section aria-labelledby="document" {
            h2 id="document" { "As the ledger has it" }
            p { "The ledger keeps the plan with every default written out, without the YAML's comments. "
                a download="plan.json" href={ "data:application/json;base64," (canonical) } { "Save plan.json" }
                ": its SHA-256 is the digest (canonical JSON, RFC 8785)." }
            details {
                summary { "Every field" }
                pre tabindex="0" { code { (serde_json::to_string_pretty(plan).unwrap_or_default()) } }
            }
        }
    }
}

#[cfg(test)]
mod tests;
