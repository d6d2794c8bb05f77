//! What was found: all groups, the cause first, and each with its examples.
//!
//! A finding's address is made of what it is (`FindingName::id`), not of its rank, which changes as more is found: so it can be
//! written down.

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
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use control::rollout::judge::Effect;
use control::rollout::{FINDING_ID_DIGITS, GroupReport};
use maud::{Markup, html};
use model::{Environment, TraceId};

pub(super) fn router() -> Router<Served> {
    Router::new()
        .route("/rollouts/{rollout}/findings", get(all))
        .route("/rollouts/{rollout}/findings/{finding}", get(one))
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
    Path((rollout, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    let report = found(&api, &rollout).await?;
    let Some(at) = report.findings.iter().position(|finding| finding.group.name().id() == id) else {
        let page = Page::of("No such finding").in_rollout(&rollout, Tab::Findings).render(&caller, &unknown(&rollout));
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    };
    let finding = &report.findings[at];
    let title = format!("Finding: {}", finding.group.check.words());
    let main = detail(&rollout, finding, (at + 1, report.findings.len()));
    Ok(Page::of(&title).in_rollout(&rollout, Tab::Findings).render(&caller, &main).into_response())
}

/// Whatever was asked for: the rank that stood in addresses of older versions, too.
fn unknown(rollout: &str) -> Markup {
    html! {
        p { "This rollout has no finding of this address. A finding's address is made of what it is, in "
            (FINDING_ID_DIGITS) " hexadecimal digits; it is no number that counts." }
        p { a href={ (rollout_path(rollout)) "/findings" } { "All findings of this rollout" } }
    }
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
                tbody { @for GroupReport { group, .. } in findings.iter().take(first) {
                    tr {
                        th scope="row" { a href={ (base) "/findings/" (group.name().id()) } { (group.check.words()) }
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

/// `rank` is which of how many it is now.
fn detail(rollout: &str, GroupReport { group, share }: &GroupReport, rank: (usize, usize)) -> Markup {
    html! {
        dl.facts {
            dt { "What" } dd { (group.check.words()) }
            @if let Some(key) = &group.key { dt { "Of" } dd { code { bdi { (key) } } } }
            dt { "Service" } dd { bdi { (group.service) } }
            dt { "Operation" } dd { bdi { (group.operation) } }
            dt { "First seen" } dd { (when::time(group.first_seen)) }
            dt { "Last seen" } dd { (when::time(group.last_seen)) }
            dt { "Rank" } dd { (rank.0) " of " (rank.1) ", the most telling first" }
            dt { "Address" } dd { a.mono href={ (rollout_path(rollout)) "/findings/" (group.name().id()) } { (group.name().id()) } }
        }
        h2 { "How often" }
        div.scroll tabindex="0" role="group" aria-label="Table" { table {
            thead { tr { th scope="col" { "Environment" } th.n scope="col" { "Traces" } th.n scope="col" { "Spans" }
                th.n scope="col" { "Share of its traces" } } }
            tbody { @for environment in Environment::BOTH {
                tr { th scope="row" { (environment.to_string()) } td.n { (group.traces[environment]) }
                    td.n { (group.spans[environment]) } td.n { (interval(&share[environment])) } }
            } }
        } }
        p.faint { "A share is that of the traces that were verified; in brackets its bounds, with a confidence of " (share[Environment::Green].confidence * 100.0) "%." }
        h2 { "Example traces" }
        @if group.examples.is_empty() { p { "None was kept." } } @else {
            ul { @for trace in &group.examples { li { (trace_link(rollout, trace)) } } }
            p.faint { "Examples hold values of the traffic: who looks at one is recorded. Their links stay for as long as the evidence is kept." }
        }
    }
}

fn interval(share: &Effect) -> String {
    let percent = |share: f64| format!("{:.3}%", share * 100.0);
    let most = share.at_most.map_or("any".to_owned(), percent);
    format!("{} ({} to {most})", percent(share.estimate), percent(share.at_least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::rollout::Group;
    use control::rollout::judge::{Counts, share_interval};
    use model::{Check, PerEnvironment, UnixMillis};

    fn group(check: Check, operation: &str, key: Option<&str>) -> GroupReport {
        let traces = PerEnvironment { blue: 1, green: 7 };
        let group = Group {
            check,
            service: "shop".to_owned(),
            operation: operation.to_owned(),
            key: key.map(str::to_owned),
            traces,
            spans: PerEnvironment { blue: 2, green: 9 },
            first_seen: UnixMillis(1_000),
            last_seen: UnixMillis(61_000),
            examples: vec![TraceId([0xab; 16])],
        };
        let share = |events| share_interval(Counts { traces: 10, events });
        GroupReport { group, share: PerEnvironment { blue: share(1), green: share(7) } }
    }

    #[test]
    fn an_address_is_of_what_a_finding_is_and_stays_when_its_numbers_change() {
        let id = |group: &GroupReport| group.group.name().id();
        let one = group(Check::LostSpan, "pay", None);
        // Addresses are written down: another value breaks them.
        assert_eq!(id(&one), "ca522f8b723b6aae");
        let mut later = one.clone();
        later.group.traces.green += 1;
        later.group.last_seen = UnixMillis(99_000);
        assert_eq!(id(&one), id(&later));
        let others = [
            group(Check::Orphan, "pay", None),
            group(Check::LostSpan, "paid", None),
            group(Check::LostSpan, "pay", Some("k")),
        ];
        for other in others {
            assert_ne!(id(&one), id(&other));
        }
        assert_eq!(id(&one).len(), FINDING_ID_DIGITS);
    }

    #[test]
    fn a_finding_says_what_how_often_since_when_and_shows_examples() {
        let one = group(Check::LostSpan, "pay", Some("k"));
        let page = detail("demo.1", &one, (2, 3)).into_string();
        let trace = format!("/rollouts/demo.1/traces/{}", "ab".repeat(16));
        let address = format!("/rollouts/demo.1/findings/{}", one.group.name().id());
        for part in [
            Check::LostSpan.words(),
            "70.000%",
            "10.000%",
            "1970-01-01 00:00:01",
            "00:01:01",
            "2 of 3",
            &trace,
            &address,
        ] {
            assert!(page.contains(part), "{part:?} is not in {page}");
        }
        let listed = table("demo.1", &[one], 1).into_string();
        assert!(listed.contains(&address), "{listed}");
        assert!(unknown("demo.1").into_string().contains("/rollouts/demo.1/findings\""));
    }

    #[tokio::test]
    async fn a_rank_is_no_address_any_more() {
        use crate::pages::serving::{Served, started};
        let rollout = Some(control::rollout::RolloutId("demo.1".into()));
        let bodies = vec![(rollout, started("demo.1", "gate: probe", ""))];
        let served = Served::with(bodies, std::collections::BTreeMap::new(), &[access::Role::Viewer]).await;
        let page = served.get("/rollouts/demo.1/findings/1").await;
        assert!(page.contains("404 Not Found") && page.contains("All findings of this rollout"), "{page}");
    }
}
