//! The page of drift, drawn. Pure.

use super::{MAX_RUNS, Run, Values};
use crate::pages::gates::verdict;
use crate::pages::layout::rollout_path;
use crate::pages::when;
use control::drift::{Change, Difference, Report, Shown, Sorted, TracingFinding};
use control::rollout::plan::{ExpectedDifference, GateName, Plan, Step};
use maud::{Markup, html};
use model::{Environment, ShortDuration};

/// Rows of a table: of at most 1 kB each for most configurations, 250 kB. The evidence has all.
const MAX_ROWS: usize = 250;

/// What to write where nothing compares configurations.
const TO_ADD: &str = "\
spec:
  environments:
    blue:  { config: [{ files: ./blue }] }
    green: { config: [{ files: ./green }] }
  strategy:
    steps:
      - gate: drift
  gates:
    drift: { expected: [{ path: exporters.otlp.endpoint, reason: each writes to its own back end }] }
  guards:
    drift: { every: 30s }
";

/// `at` is the run that is shown, of those that there are.
pub(super) fn page(rollout: &str, plan: &Plan, runs: &[Run], at: usize, values: &Values) -> Markup {
    let base = format!("{}/drift", rollout_path(rollout));
    html! {
        @match runs.get(at) {
            Some(run) => { (ran(run, at, values)) }
            None => { (never(plan)) }
        }
        @match values {
            Values::Shown(report) => { (differences(plan, report)) }
            Values::None => {}
            Values::NotForReader => {
                p { "What differs, with both sides' values, is for approvers, operators and auditors." }
            }
            Values::Gone(why) => { p.note { "What differs cannot be shown: " (why) "." } }
        }
        (meant(plan, if let Values::Shown(report) = values { Some(report) } else { None }))
        (sources(plan, values))
        (others(&base, runs, at))
    }
}

fn is_asked(plan: &Plan) -> bool {
    plan.guards.drift.is_some() || plan.steps.contains(&Step::Gate(GateName::Drift))
}

fn never(plan: &Plan) -> Markup {
    html! {
        @if is_asked(plan) {
            p { "The drift gate has not ended a run so far. It runs when its step comes"
                @if let Some(guard) = &plan.guards.drift { ", and as a guard every " (ShortDuration(guard.every_ms)) }
                "." }
        } @else {
            p { "Nothing compares the configurations in this rollout: its plan has neither the drift gate nor the drift guard. What to write into a plan:" }
            pre tabindex="0" { code { (TO_ADD) } }
        }
    }
}

fn ran(run: &Run, at: usize, values: &Values) -> Markup {
    let asked = match run.of_guard {
        Some(true) => " of the guard",
        Some(false) => " of the step",
        None => "",
    };
    html! {
        section aria-labelledby="run" {
            h2 id="run" { @if at == 0 { "The last run" } @else { "Run " (run.number) } ": " (verdict(run.result.verdict)) }
            @if !run.result.reasons.is_empty() { ul { @for reason in &run.result.reasons { li { bdi { (reason) } } } } }
            dl.facts {
                dt { "Run" } dd { (run.number) (asked) ", ended " (when::time(run.at)) }
                dt { "Record" } dd { a href={ "/ledger/" (run.entry) } { "entry " (run.entry) " of the ledger" } }
                dt { "Evidence" }
                dd { @match &run.result.evidence {
                    None => { "none was kept of this run" }
                    Some(digest) => {
                        @if matches!(values, Values::Shown(_)) {
                            a.mono href={ "/v1/evidence/" (digest) } { (digest) } ". That you looked at it is recorded."
                        } @else { span.mono { (digest) } }
                    }
                } }
            }
        }
    }
}

fn differences(plan: &Plan, report: &Report) -> Markup {
    let gate = plan.gates.drift.clone().unwrap_or_default();
    let secrets = secrets(report);
    html! {
        (tracing(&report.tracing, &gate.expected))
        (compared("between", "Between blue and green", ["Blue", "Green"], &report.differences, &gate.expected))
        @for environment in Environment::BOTH {
            @if let Some(sorted) = &report.live[environment] {
                (compared(environment.name(), &format!("What runs in {environment}, against what was declared"),
                    ["Declared", "Runs"], sorted, &gate.expected_live))
            }
        }
        section aria-labelledby="left-out" {
            h2 id="left-out" { "What is not shown" }
            ul {
                li { @match secrets {
                    0 => { "No value that differs was taken for a secret." }
                    1 => { "1 value was taken for a secret: that it differs is known, and neither side is kept." }
                    _ => { (secrets) " values were taken for secrets: that they differ is known, and neither side is kept." }
                } }
                li { @match report.left_out {
                    0 => { "The comparison told every difference that it found." }
                    _ => { (report.left_out) " more differences were counted, but not told: there was no room. They count as undeclared." }
                } }
            }
        }
    }
}

/// Values of which only a keyed hash was ever compared.
fn secrets(report: &Report) -> usize {
    let is_secret = |shown: &Shown| usize::from(*shown == Shown::Secret);
    let count = |difference: &Difference| match &difference.change {
        Change::Changed { blue, green } => is_secret(blue).max(is_secret(green)),
        Change::MissingInGreen { blue: one } | Change::OnlyInGreen { green: one } => is_secret(one),
        Change::Reordered { blue, .. } => blue.iter().map(is_secret).sum(),
    };
    let live = Environment::BOTH.into_iter().filter_map(|it| report.live[it].as_ref());
    live.chain([&report.differences]).flat_map(each).map(|(_, difference)| count(difference)).sum()
}

/// Everything that was found: what nobody declared, what a declaration covered that is over, what one covers.
fn each<T>(sorted: &Sorted<T>) -> impl Iterator<Item = (Standing, &T)> {
    let undeclared = sorted.undeclared.iter().map(|one| (Standing::Undeclared, one));
    let expired = sorted.expired.iter().map(|(at, one)| (Standing::Expired(*at), one));
    let declared = sorted.declared.iter().map(|(at, one)| (Standing::Declared(*at), one));
    undeclared.chain(expired).chain(declared)
}

/// How something that was found stands to what the plan declares, by the declaration's place in the plan.
#[derive(Clone, Copy)]
enum Standing {
    Undeclared,
    Expired(usize),
    Declared(usize),
}

impl Standing {
    fn is_meant(self) -> bool {
        matches!(self, Standing::Declared(_))
    }

    fn shown(self, expected: &[ExpectedDifference]) -> Markup {
        let reason = |at: usize| expected.get(at).map_or("", |it| it.reason.as_str());
        html! { @match self {
            Standing::Undeclared => span.bad { "✕ undeclared" },
            Standing::Expired(at) => { span.bad { "✕ what declared it has expired" } ": " bdi { (reason(at)) } },
            Standing::Declared(at) => { span.good { "✓ expected" } ": " bdi { (reason(at)) } },
        } }
    }
}

/// What would make green's traces less, by rule.
fn tracing(sorted: &Sorted<TracingFinding>, expected: &[ExpectedDifference]) -> Markup {
    let found: Vec<_> = each(sorted).collect();
    html! {
        section aria-labelledby="tracing" {
            h2 id="tracing" { "What tracing would lose" }
            @if found.is_empty() { p { "Nothing that a rule knows." } } @else {
                div.scroll tabindex="0" role="group" aria-label="Table" { table {
                    thead { tr { th scope="col" { "Rule" } th scope="col" { "What it found" } th scope="col" { "Standing" } } }
                    tbody { @for (standing, finding) in found.iter().take(MAX_ROWS) { tr {
                        th scope="row" { (finding.rule) } td { bdi { (finding.message) } } td { (standing.shown(expected)) }
                    } } }
                } }
                (more(found.len()))
            }
        }
    }
}

/// Differences of two sides, called by `sides`.
fn compared(
    id: &str,
    title: &str,
    sides: [&str; 2],
    sorted: &Sorted<Difference>,
    expected: &[ExpectedDifference],
) -> Markup {
    let found: Vec<_> = each(sorted).collect();
    let (meant, not_meant): (Vec<_>, Vec<_>) = found.iter().partition(|(standing, _)| standing.is_meant());
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if found.is_empty() { p { "They mean the same." } }
            @for (name, rows) in [("Not expected", not_meant), ("Expected", meant)] { @if !rows.is_empty() {
                h3 { (name) ": " (rows.len()) }
                div.scroll tabindex="0" role="group" aria-label="Table" { table {
                    thead { tr {
                        th scope="col" { "Where" } @for side in sides { th scope="col" { (side) } } th scope="col" { "Standing" }
                    } }
                    tbody { @for (standing, difference) in rows.iter().take(MAX_ROWS) { tr {
                        th scope="row" { (place(difference)) }
                        (change(&difference.change))
                        td { (standing.shown(expected)) }
                    } } }
                } }
                (more(rows.len()))
            } }
        }
    }
}

fn more(rows: usize) -> Markup {
    let left_out = rows.saturating_sub(MAX_ROWS);
    html! { @if left_out > 0 { p.faint { (left_out) " more are in the evidence." } } }
}

fn place(difference: &Difference) -> Markup {
    html! {
        @if difference.path.is_empty() { "the whole of " } @else { code { bdi { (difference.path) } } " in " }
        bdi { (difference.file) }
    }
}

/// A cell for each side.
fn change(change: &Change) -> Markup {
    let all =
        |items: &[Shown]| html! { @for (at, item) in items.iter().enumerate() { @if at > 0 { ", " } (value(item)) } };
    html! { @match change {
        Change::Changed { blue, green } => {
            td { (value(blue)) }
            td { (value(green)) @if blue == green { " (differs in what is not shown)" } }
        }
        Change::MissingInGreen { blue } => { td { (value(blue)) } td { em { "is not there" } } }
        Change::OnlyInGreen { green } => { td { em { "is not there" } } td { (value(green)) } }
        Change::Reordered { blue, green } => { td { "order: " (all(blue)) } td { "order: " (all(green)) } }
    } }
}

fn value(shown: &Shown) -> Markup {
    html! { @match shown {
        Shown::Value(_) => code { bdi { (shown) } },
        Shown::Secret | Shown::Opaque | Shown::Collection(_) => em { (shown) },
    } }
}

/// What the plan lets differ, and what of that was used.
fn meant(plan: &Plan, report: Option<&Report>) -> Markup {
    let gate = plan.gates.drift.clone().unwrap_or_default();
    let is_unused =
        |at: usize| report.is_some_and(|it| it.differences.unused.contains(&at) && it.tracing.unused.contains(&at));
    let is_unused_live = |at: usize| {
        let mut live =
            report.into_iter().flat_map(|it| Environment::BOTH.map(|environment| it.live[environment].as_ref()));
        report.is_some() && live.all(|it| it.is_none_or(|sorted| sorted.unused.contains(&at)))
    };
    let between = gate.expected.iter().enumerate().map(|(at, it)| ("blue and green", it, is_unused(at)));
    let live = gate.expected_live.iter().enumerate().map(|(at, it)| ("declared and running", it, is_unused_live(at)));
    let all: Vec<_> = between.chain(live).collect();
    html! {
        section aria-labelledby="meant" {
            h2 id="meant" { "What the plan lets differ" }
            @if all.is_empty() { p { "Nothing: every difference fails the gate." } } @else {
                div.scroll tabindex="0" role="group" aria-label="Table" { table {
                    thead { tr { th scope="col" { "Where" } th scope="col" { "Between" } th scope="col" { "Why" } th scope="col" { "Until" } } }
                    tbody { @for (between, expected, is_unused) in all { tr {
                        th scope="row" {
                            @if expected.path.is_empty() { "the whole of " } @else { code { bdi { (expected.path) } } @if expected.within.is_some() { " in " } }
                            @if let Some(file) = &expected.within { bdi { (file) } }
                        }
                        td { (between) }
                        td { bdi { (expected.reason) } @if is_unused { " " em { "(nothing of that differed in this run: it can go)" } } }
                        td { @match expected.expires { Some(at) => (when::time(at)), None => "the end of the rollout" } }
                    } } }
                } }
            }
        }
    }
}

/// Where each configuration was read, and the digest of what was read there.
fn sources(plan: &Plan, values: &Values) -> Markup {
    html! {
        section aria-labelledby="sources" {
            h2 id="sources" { "What was compared" }
            dl.facts { @for environment in Environment::BOTH {
                @let of = &plan.environments[environment];
                dt { (environment) " as declared" }
                dd {
                    @if of.config.is_empty() { "the plan names no configuration" }
                    @for (at, source) in of.config.iter().enumerate() { @if at > 0 { ", " } bdi { (source.to_string()) } }
                    @if let Values::Shown(report) = values { " (" span.mono { (report.configurations[environment]) } ")" }
                }
                @if !of.live.is_empty() {
                    dt { (environment) " as it runs" }
                    dd { @for (at, source) in of.live.iter().enumerate() { @if at > 0 { ", " } bdi { (source.to_string()) } } }
                }
            } }
        }
    }
}

fn others(base: &str, runs: &[Run], at: usize) -> Markup {
    html! {
        @if runs.len() > 1 {
            section aria-labelledby="runs" {
                h2 id="runs" { "Runs" }
                ul { @for (other, run) in runs.iter().enumerate() { li {
                    @if other == at { strong { "Run " (run.number) } } @else { a href={ (base) "?run=" (run.number) } { "Run " (run.number) } }
                    ": " (verdict(run.result.verdict)) ", " (when::time(run.at))
                    @if run.of_guard == Some(true) { ", of the guard" }
                } } }
                @if runs.len() == MAX_RUNS { p.faint { "Older runs are in the ledger." } }
            }
        }
    }
}
