//! `/rollouts/{rollout}/numbers` and `/rollouts/{rollout}/numbers.csv`: what the plots of a rollout are drawn from, to be read
//! and copied.

use super::layout::{Page, Tab, rollout_path};
use super::over_time::{MEASURES, capital, said};
use super::rollout::{found, number};
use super::when;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use control::rollout::{RolloutId, TimelineReport};
use maud::{Markup, html};
use model::Environment;

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}/numbers", get(numbers)).route("/rollouts/{rollout}/numbers.csv", get(csv))
}

async fn timeline_of(api: &Api, caller: Caller, rollout: &str) -> Result<TimelineReport, Problem> {
    caller.to(Action::SeeRollouts)?;
    found(api, rollout).await?;
    Ok(api.handle.timeline(Some(RolloutId(rollout.to_owned()))).await.map(|timeline| *timeline).unwrap_or_default())
}

async fn numbers(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Markup, Problem> {
    let timeline = timeline_of(&api, caller.clone(), &rollout).await?;
    let main = table(&timeline, &rollout);
    Ok(Page::of("The numbers").in_rollout(&rollout, Tab::Overview).render(&caller, &main))
}

fn table(timeline: &TimelineReport, rollout: &str) -> Markup {
    html! {
        p { "A line is a window: the traces that were first seen in it, and the evidence once they were judged, as natural logarithms. A long \
             rollout has longer windows. " a href={ (rollout_path(rollout)) "/numbers.csv" } { "The same as CSV" }
            ", and as JSON at " code { "/v1/rollouts/" (rollout) "/timeline" } "." }
        @if timeline.windows.is_empty() { p { "There is no window yet, or so many rollouts began since that only the ledger has them." } }
        @else { div.scroll tabindex="0" role="group" aria-label="Table" { table {
            thead { tr {
                th scope="col" { "From" } th.n scope="col" { "Seconds" }
                @for environment in Environment::BOTH { @for measure in MEASURES { th.n scope="col" { (capital(environment)) " " (measure.name) } } }
                th.n scope="col" { "Against green" }
                @for guard in &timeline.guards { th.n scope="col" { bdi { (guard.guard) } " against" } th.n scope="col" { bdi { (guard.guard) } " for" } }
            } }
            tbody { @for window in &timeline.windows { tr {
                th scope="row" { (when::time(window.from)) }
                td.n { (number(window.until.since_ms(window.from) as f64 / 1_000.0)) }
                @for environment in Environment::BOTH { @for measure in MEASURES {
                    td.n { (measure.said(window.arm(environment))) }
                } }
                td.n { (said(window.evidence.all, number)) }
                @for point in &window.evidence.guards {
                    td.n { (said(point.against, number)) } td.n { (said(point.for_green, number)) }
                }
            } } }
        } } }
        @if !timeline.shifts.is_empty() {
            h2 { "Traffic" }
            table {
                thead { tr { th scope="col" { "At" } th scope="col" { "" } th.n scope="col" { "Green's share" } th scope="col" { "Copies" } } }
                tbody { @for shift in &timeline.shifts { tr {
                    th scope="row" { (when::time(shift.at)) }
                    td { (if shift.observed { "observed" } else { "ordered" }) }
                    td.n { (shift.green.to_string()) }
                    td { (if shift.mirror { "yes" } else { "no" }) }
                } } }
            }
        }
    }
}

async fn csv(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Response, Problem> {
    let timeline = timeline_of(&api, caller, &rollout).await?;
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, written(&timeline)).into_response())
}

/// RFC 4180, with the units in the names. A guard's name is a plan's: letters, digits, `-`, `_` and dots.
fn written(timeline: &TimelineReport) -> String {
    let mut csv = String::from("from_unix_ms,until_unix_ms,judged_at_unix_ms");
    for environment in Environment::BOTH {
        csv.extend(MEASURES.iter().map(|measure| format!(",{environment}_{}", measure.column)));
    }
    csv.push_str(",ln_against_green");
    csv.extend(timeline.guards.iter().map(|line| format!(",{0}_ln_against,{0}_ln_for", line.guard)));
    csv.push_str("\r\n");
    for window in &timeline.windows {
        csv.push_str(&format!("{},{},{}", window.from.0, window.until.0, window.judged_at.0));
        let arms = Environment::BOTH.into_iter().flat_map(|of| MEASURES.map(|measure| (measure.value)(window.arm(of))));
        let guards = (0..timeline.guards.len()).flat_map(|guard| {
            let point = window.evidence.guards.get(guard).copied().unwrap_or_default();
            [point.against, point.for_green]
        });
        for value in arms.chain([window.evidence.all]).chain(guards) {
            csv.push(',');
            csv.push_str(&value.map(|value| value.to_string()).unwrap_or_default());
        }
        csv.push_str("\r\n");
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::over_time::tests::timeline;
    use super::*;

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let csv = written(&timeline(5));
        let columns = |line: &str| line.split(',').count();
        let (head, rows) = csv.split_once("\r\n").unwrap();
        assert!(
            head.starts_with("from_unix_ms,until_unix_ms,judged_at_unix_ms,blue_traces,")
                && head.ends_with(",guard-11_ln_for"),
            "{head}"
        );
        assert_eq!(rows.lines().map(columns).collect::<Vec<_>>(), [columns(head); 5]);
        let drawn = table(&timeline(5), "r.1").into_string();
        assert_eq!(drawn.matches("<tr>").count(), 1 + 5 + 1 + 2, "{drawn}");
        assert!(table(&TimelineReport::default(), "r.1").into_string().contains("There is no window yet"));
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let mut timeline = timeline(1);
        timeline.windows[0].evidence.guards.clear();
        timeline.windows[0].green.p99_us = None;
        let csv = written(&timeline);
        let row = csv.lines().nth(1).unwrap();
        assert!(row.ends_with(&",".repeat(24)) && !row.contains("NaN"), "{row}");
    }
}
