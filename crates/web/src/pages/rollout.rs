//! One rollout: where it stands, what it waits for, what speaks for green and against it, and what may be done now.
//!
//! What is the same for every reader is drawn as fragments, each an element with an id and `data-live`: a page holds all of
//! them, and `live` sends those that changed.

use super::layout::{Page, Tab, rollout_path};
use super::{acting, finding, over_time, rollouts, when};
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use control::rollout::judge::{Assessment, GuardEvidence, Verdict};
use control::rollout::{Progress, Report, RolloutId, StepReport, TimelineReport};
use maud::{Markup, html};
use model::{Environment, ShortDuration};

/// Findings that the overview shows; the others are a page of their own.
const FIRST_FINDINGS: usize = 5;
/// A browser without JavaScript asks again after so many seconds, while something can change.
const AGAIN_S: u32 = 10;

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}", get(rollout))
}

/// The report of the rollout of this name.
pub(super) async fn found(api: &Api, rollout: &str) -> Result<Box<Report>, Problem> {
    let missing = || Problem::new("unknown", StatusCode::NOT_FOUND, format!("there is no rollout {rollout}"));
    api.handle.report(Some(RolloutId(rollout.to_owned()))).await.ok_or_else(missing)
}

/// Whether nothing of it changes any more, but reviews.
pub(super) fn is_over(report: &Report) -> bool {
    matches!(report.progress, Progress::Promoted | Progress::RolledBack)
}

async fn rollout(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let report = found(&api, &rollout).await?;
    let timeline = api.handle.timeline(Some(RolloutId(rollout))).await;
    Ok(page(&caller, &report, timeline.as_deref()))
}

/// The page.
pub(super) fn page(caller: &Caller, report: &Report, timeline: Option<&TimelineReport>) -> Markup {
    let over = is_over(report);
    let name = &report.rollout.0;
    let page = Page {
        module: (!over).then_some("live.js"),
        again_s: (!over).then_some(AGAIN_S),
        ..Page::of(name).in_rollout(name, Tab::Overview)
    };
    let events = (!over).then(|| format!("{}/events", rollout_path(name)));
    let main = html! {
        div data-events=[events] data-own=(own(report)) {
            @if !over { p.faint role="status" id="live-says" { "as of when the page was loaded" } }
            @for (_, fragment) in fragments(report, timeline) { (fragment) }
            (over_time::plots(report, timeline))
            (acting::part(caller, report))
        }
    };
    page.render(caller, &main)
}

/// Changes whenever what a reader may do can have changed.
fn own(report: &Report) -> String {
    let current = report.steps.iter().position(|step| step.current);
    format!("{:?}.{}", report.progress, current.map_or(0, |step| step + 1))
}

/// What all readers see, by their ids and in their order, but for the plots.
pub(super) fn fragments(report: &Report, timeline: Option<&TimelineReport>) -> Vec<(&'static str, Markup)> {
    vec![
        ("exceptions", exceptions(report)),
        ("standing", standing(report)),
        ("steps", steps(&report.steps)),
        ("traffic", traffic(report)),
        ("beside", over_time::beside(timeline)),
        ("evidence", evidence(report)),
        ("first-findings", first_findings(report)),
    ]
}

fn exceptions(report: &Report) -> Markup {
    html! {
        div id="exceptions" data-live {
            @for line in &report.exceptions { p.alert role="alert" { bdi { (line) } } }
        }
    }
}

fn standing(report: &Report) -> Markup {
    html! {
        section id="standing" data-live data-own=(own(report)) aria-label="Where it stands" {
            p.headline { (rollouts::state(report.progress)) " " bdi { (report.headline) } }
            @if report.needs_person { p.note { "It stands still until a person acts." } }
            @if !report.waits_for.is_empty() {
                h2 { "It waits for" }
                ul { @for line in &report.waits_for { li { bdi { (line) } } } }
            }
            @if let Some(left) = report.time_left_ms {
                p { "This wait ends by itself in " strong { (ShortDuration(left).to_string()) } "." }
            }
            @if let Some(cause) = &report.cause {
                div.alert {
                    p { strong { "Why it went back: " } bdi { (cause.guard) ": " (cause.finding) } }
                    ul { @for line in &cause.reasons { li { bdi { (line) } } } }
                    @if let Some(first) = cause.first_seen { p { "First seen " (when::time(first)) "." } }
                    @if let Some(trace) = &cause.example_trace { p { "Example: " (finding::trace_link(&report.rollout.0, trace)) } }
                }
            }
            dl.facts {
                dt { "Started" } dd { (when::time(report.started_at)) " by " bdi { (report.started_by) } }
                @if let Some(at) = report.decided_at { dt { "Decided" } dd { (when::time(at)) } }
                @if let Some(at) = report.ended_at { dt { "Ended" } dd { (when::time(at)) } }
                dt { "Plan" } dd { a href={ (rollout_path(&report.rollout.0)) "/plan" } { code { (report.plan_digest) } } }
            }
        }
    }
}

fn steps(steps: &[StepReport]) -> Markup {
    let word = |step: &StepReport| match (step.failed, step.current, step.done) {
        (true, _, _) => ("failed", "rolled back here"),
        (_, true, _) => ("current", "now"),
        (_, _, true) => ("done", "done"),
        _ => ("open", "to come"),
    };
    html! {
        section id="steps" data-live aria-label="Steps" {
            h2 { "Steps" }
            ol.steps {
                @for step in steps {
                    @let (class, words) = word(step);
                    li.(class) aria-current=[step.current.then_some("step")] { bdi { (step.does) } small { (words) } }
                }
            }
        }
    }
}

fn traffic(report: &Report) -> Markup {
    let observed =
        |weight: Option<model::BasisPoints>| weight.map_or("not applied yet".to_owned(), |it| it.to_string());
    html! {
        section id="traffic" data-live aria-label="Traffic" {
            h2 { "Traffic" }
            dl.facts {
                dt { "Green's share, ordered" } dd { (report.weight_ordered.to_string()) }
                dt { "Green's share, observed" } dd { (observed(report.weight_observed)) }
                dt { "Green serves" } dd { (observed(report.green_serves)) @if report.mirror { ", and gets copies of the rest" } }
                dt { "Generation" } dd { (report.generation) }
                dt { "Observations" } dd { (report.observations) }
                dt { "Torn traces" } dd { (report.torn) }
            }
        }
    }
}

fn evidence(report: &Report) -> Markup {
    html! {
        section id="evidence" data-live aria-label="Evidence" {
            h2 { "Evidence" }
            @match &report.assessment {
                None => p { "There is no observation yet." },
                Some(assessment) => { (verdict(assessment)) (guards(assessment, report.active)) },
            }
        }
    }
}

fn verdict(assessment: &Assessment) -> Markup {
    html! {
        @match &assessment.verdict {
            Verdict::Pass => p.note.ok { strong { "Pass: " } "each guard is proved to be within what the plan tolerates." },
            Verdict::Fail(failure) => div.alert {
                p { strong { "Fail: " (failure.guard.name()) } }
                ul { @for line in &failure.reasons { li { bdi { (line) } } } }
            },
            Verdict::Inconclusive { missing } => div.note {
                p { strong { "Inconclusive." } " What is missing for a pass:" }
                ul { @for line in missing { li { bdi { (line) } } } }
            },
            Verdict::Error { reason } => p.alert { strong { "Error: " } bdi { (reason) } },
        }
        p { "Against green over all guards: " (number(assessment.log_evidence)) " of " (number(assessment.log_threshold))
            " (natural logarithm of the evidence; at the threshold green goes back). Judged: "
            (assessment.traces[Environment::Blue]) " traces of blue, " (assessment.traces[Environment::Green]) " of green." }
    }
}

fn guards(assessment: &Assessment, active: Environment) -> Markup {
    let share = |of: Environment, guard: &GuardEvidence| {
        let counts = if of == active { guard.active } else { guard.candidate };
        format!("{} of {}", counts.events, counts.traces)
    };
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table" { table {
            caption { "For every guard: events in traces of each environment, and the evidence beside its threshold." }
            thead { tr {
                th scope="col" { "Guard" } th.n scope="col" { "Blue" } th.n scope="col" { "Green" }
                th scope="col" { "Against green" } th scope="col" { "For green" } th scope="col" { "In words" }
            } }
            tbody { @for guard in &assessment.guards {
                tr {
                    th scope="row" { bdi { (guard.name()) } @if guard.alarmed { " " span.state.bad { "alarm" } }
                        @if guard.proved { " " span.state.good { "proved" } } }
                    td.n { (share(Environment::Blue, guard)) } td.n { (share(Environment::Green, guard)) }
                    td { (meter("a", "against", guard.log_against, guard.log_threshold_against)) }
                    td { @if let Some(for_green) = guard.log_for { (meter("b", "for", for_green, guard.log_threshold_for)) }
                         @else { "not needed" } }
                    td { bdi { (guard.words) } }
                }
            } }
        } }
    }
}

/// Evidence beside its threshold: a line as long as its part of the threshold, and both numbers, which can be copied.
fn meter(class: &str, word: &str, log: f64, threshold: f64) -> Markup {
    let part = if threshold > 0.0 && !log.is_nan() { (log / threshold).clamp(0.0, 1.25) } else { 0.0 };
    let end = number(2.0 + part * 100.0);
    let says = format!("evidence {word} green: {} of {}", number(log), number(threshold));
    html! {
        svg.plot viewBox="0 0 130 10" role="img" aria-label=(says) {
            line.axis x1="2" y1="5" x2="127" y2="5" {}
            line.(class) x1="2" y1="5" x2=(end) y2="5" {}
            line.limit x1="102" y1="0" x2="102" y2="10" {}
        }
        span { (number(log)) " of " (number(threshold)) }
    }
}

/// At most two decimals; what is no number says so.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "not known".to_owned();
    }
    let text = format!("{value:.2}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

fn first_findings(report: &Report) -> Markup {
    let more = report.findings.len().saturating_sub(FIRST_FINDINGS);
    html! {
        section id="first-findings" data-live aria-label="Findings" {
            h2 { "Findings" }
            (finding::table(&report.rollout.0, &report.findings, FIRST_FINDINGS))
            @if more > 0 { p { a href={ (rollout_path(&report.rollout.0)) "/findings" } { "All " (report.findings.len()) " findings" } } }
        }
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
