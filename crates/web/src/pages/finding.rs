//! What was found: all groups, the cause first, and each with its examples.

use super::layout::{Page, Tab, rollout_path};
use super::rollout::found;
use super::when;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use control::rollout::GroupReport;
use control::rollout::judge::Effect;
use maud::{Markup, html};
use model::{Environment, TraceId};

pub(super) fn router() -> Router<Served> {
    Router::new()
        .route("/rollouts/{rollout}/findings", get(all))
        .route("/rollouts/{rollout}/findings/{number}", get(one))
}

async fn all(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let report = found(&api, &rollout).await?;
    let main = html! {
        p { "Grouped by what is wrong and where; first what green shows most beyond blue, and a cause before what follows from it." }
        (table(&rollout, &report.findings, usize::MAX))
    };
    Ok(Page::of("Findings").in_rollout(&rollout, Tab::Findings).render(&caller, &main))
}

async fn one(
    State(api): State<Api>,
    caller: Caller,
    Path((rollout, number)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let report = found(&api, &rollout).await?;
    let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let finding = at.and_then(|at| report.findings.get(at)).ok_or_else(|| {
        let detail = format!("{rollout} has {} findings, counted from 1", report.findings.len());
        Problem::new("unknown", StatusCode::NOT_FOUND, detail)
    })?;
    let title = format!("Finding {number}: {}", finding.group.check.words());
    Ok(Page::of(&title).in_rollout(&rollout, Tab::Findings).render(&caller, &detail(&rollout, finding)))
}

/// Where a trace is compared.
pub(super) fn trace_link(rollout: &str, trace: &TraceId) -> Markup {
    html! { a.mono href={ (rollout_path(rollout)) "/traces/" (trace.to_string()) } { (trace.to_string()) } }
}

/// The first groups, as a table.
pub(super) fn table(rollout: &str, findings: &[GroupReport], first: usize) -> Markup {
    let base = rollout_path(rollout);
    html! {
        @if findings.is_empty() { p { "Nothing was found so far." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Table" { table {
                thead { tr {
                    th scope="col" { "What" } th scope="col" { "Service" } th scope="col" { "Operation" }
                    th.n scope="col" { "Traces of blue" } th.n scope="col" { "Traces of green" } th scope="col" { "Last seen" }
                } }
                tbody { @for (at, GroupReport { group, .. }) in findings.iter().enumerate().take(first) {
                    tr {
                        th scope="row" { a href={ (base) "/findings/" (at + 1) } { (group.check.words()) }
                            @if let Some(key) = &group.key { " " code { bdi { (key) } } } }
                        td { bdi { (group.service) } } td { bdi { (group.operation) } }
                        td.n { (group.traces[Environment::Blue]) } td.n { (group.traces[Environment::Green]) }
                        td { (when::time(group.last_seen)) }
                    }
                } }
            } }
        }
    }
}

fn detail(rollout: &str, GroupReport { group, share }: &GroupReport) -> Markup {
    html! {
        dl.facts {
            dt { "What" } dd { (group.check.words()) }
            @if let Some(key) = &group.key { dt { "Of" } dd { code { bdi { (key) } } } }
            dt { "Service" } dd { bdi { (group.service) } }
            dt { "Operation" } dd { bdi { (group.operation) } }
            dt { "First seen" } dd { (when::time(group.first_seen)) }
            dt { "Last seen" } dd { (when::time(group.last_seen)) }
        }
        div.scroll tabindex="0" role="group" aria-label="Table" { table {
            thead { tr { th scope="col" { "Environment" } th.n scope="col" { "Traces" } th.n scope="col" { "Spans" }
                th.n scope="col" { "Share of its traces" } } }
            tbody { @for environment in Environment::BOTH {
                tr { th scope="row" { (environment.to_string()) } td.n { (group.traces[environment]) }
                    td.n { (group.spans[environment]) } td.n { (interval(&share[environment])) } }
            } }
        } }
        h2 { "Example traces" }
        @if group.examples.is_empty() { p { "None was kept." } } @else {
            ul { @for trace in &group.examples { li { (trace_link(rollout, trace)) } } }
            p.faint { "Examples hold values of the traffic: who looks at one is recorded." }
        }
    }
}

fn interval(share: &Effect) -> String {
    let percent = |share: f64| format!("{:.3}%", share * 100.0);
    let most = share.at_most.map_or("any".to_owned(), percent);
    format!("{} ({} to {most})", percent(share.estimate), percent(share.at_least))
}
