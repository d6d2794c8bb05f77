//! `/rollouts/{rollout}/gates`: every run of a gate, with its verdict, its reasons and what it rests on.
//!
//! It is read from the ledger: what stands here is what an auditor finds there, and each run has its record's page.

use super::layout::{Page, Tab};
use super::rollout::found;
use super::when;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use control::rollout::{Event, GateResult, GateVerdict, RolloutId};
use maud::{Markup, html};
use model::UnixMillis;

/// Entries that are looked through, from the newest on: 64 bundles, some hours of a rollout.
const MAX_LOOKED_AT: u64 = 16_384;
/// Runs that are shown. A gate is run again when it is resumed: a few times each.
const MAX_RUNS: usize = 100;

/// One run of a gate, as its record has it.
struct Run {
    entry: u64,
    at: UnixMillis,
    gate: String,
    number: u64,
    result: GateResult,
}

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}/gates", get(gates))
}

async fn gates(State(api): State<Api>, caller: Caller, Path(rollout): Path<String>) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    found(&api, &rollout).await?;
    let wanted = RolloutId(rollout.clone());
    let runs = api.ledger.read(move |_, opened| {
        let mut runs = Vec::new();
        opened.happened(&wanted, "\"gateFinished\"", MAX_LOOKED_AT, |entry, at, event| {
            if let Event::GateFinished { gate, run, result } = event {
                runs.push(Run { entry, at, gate: gate.to_string(), number: u64::from(run), result });
            }
            runs.len() < MAX_RUNS
        })?;
        Ok(runs)
    });
    let sees_evidence = caller.may(Action::SeeExamples);
    Ok(Page::of("Gates").in_rollout(&rollout, Tab::Gates).render(&caller, &shown(&runs.await?, sees_evidence)))
}

fn shown(runs: &[Run], sees_evidence: bool) -> Markup {
    html! {
        @if runs.is_empty() {
            p { "No gate has ended so far. What a gate asks, the steps on the overview say." }
        } @else {
            p { "The newest run first. A gate that did not pass holds the rollout, and is run again when somebody resumes it." }
        }
        @for run in runs {
            section aria-labelledby={ "run-" (run.number) } {
                h2 id={ "run-" (run.number) } { (run.gate) ": " (verdict(run.result.verdict)) }
                dl.facts {
                    dt { "Ended" } dd { (when::time(run.at)) }
                    dt { "Record" } dd { a href={ "/ledger/" (run.entry) } { "entry " (run.entry) " of the ledger" } }
                    @if let Some(digest) = &run.result.evidence {
                        dt { "Evidence" }
                        dd { @if sees_evidence { a.mono href={ "/v1/evidence/" (digest) } { (digest) } } @else { span.mono { (digest) } } }
                    }
                }
                @if !run.result.reasons.is_empty() {
                    ul { @for reason in &run.result.reasons { li { bdi { (reason) } } } }
                }
            }
        }
    }
}

/// In a word.
pub(super) fn verdict(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Pass => "Pass",
        GateVerdict::Fail => "Fail",
        GateVerdict::Inconclusive => "Inconclusive",
        GateVerdict::Error => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_its_verdict_its_reasons_and_where_it_stands() {
        let result = GateResult {
            verdict: GateVerdict::Fail,
            reasons: vec!["<b>collector.yaml</b>: endpoint".to_owned()],
            evidence: Some("sha256:ab".to_owned()),
        };
        let run = Run { entry: 7, at: UnixMillis(0), gate: "drift".to_owned(), number: 2, result };
        let (seen, hidden) = (shown(&[run], true).into_string(), shown(&[], true).into_string());
        for part in ["drift: Fail", "&lt;b&gt;collector.yaml", "/ledger/7", "/v1/evidence/sha256:ab", "1970-01-01"] {
            assert!(seen.contains(part), "{part} is not in {seen}");
        }
        assert!(hidden.contains("No gate has ended so far"));
    }

    #[test]
    fn whoever_may_not_see_evidence_gets_no_link_to_it() {
        let result =
            GateResult { verdict: GateVerdict::Pass, reasons: Vec::new(), evidence: Some("sha256:ab".to_owned()) };
        let run = Run { entry: 7, at: UnixMillis(0), gate: "drift".to_owned(), number: 2, result };
        assert!(!shown(&[run], false).into_string().contains("/v1/evidence"));
    }
}
