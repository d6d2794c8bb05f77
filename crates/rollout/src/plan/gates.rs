//! How gates and guards are configured.

use super::problems::{Place, Problems};
use super::quantity::{DAY_MS, duration_ms, line, moment, prose, quantile, share, whole};
use super::raw::{RawDriftGate, RawExpected, RawGates, RawGuards, RawLatency, Section};
use super::{
    DriftGate, DriftGuard, EnvironmentPlan, ExpectedDifference, Gates, Guards, acceptance, approval, integration, leak,
    load, metrics, migration, security, tests_gate,
};
use judge::{BlindSpots, ErrorRate, Findings, Latency, SpanLoss};
use model::PerEnvironment;
use serde_saphyr::Spanned;

/// Characters of a path into a configuration.
const MAX_DIFFERENCE_PATH_CHARACTERS: usize = 500;
/// Characters of the reason of an expected difference.
const MAX_DIFFERENCE_REASON_CHARACTERS: usize = 500;
/// Expected differences: with both texts full they would be 200 kB, and the whole plan has its own bound.
const MAX_EXPECTED_DIFFERENCES: usize = 200;

/// The gates' configurations.
pub(super) fn gates(problems: &mut Problems, parent: &Place, raw: &Section<RawGates>) -> Option<Gates> {
    let Some(section) = raw else { return Some(Gates::default()) };
    let (at, raw) = (parent.key("gates", section), &section.value);
    let drift = of(&at, "drift", &raw.drift, |at, raw| drift_gate(problems, at, raw));
    let approval = of(&at, "approval", &raw.approval, |at, raw| approval::gate(problems, at, raw));
    let security = of(&at, "security", &raw.security, |at, raw| security::gate(problems, at, raw));
    let acceptance = of(&at, "acceptance", &raw.acceptance, |at, raw| acceptance::gate(problems, at, raw));
    let tests = of(&at, "tests", &raw.tests, |at, raw| tests_gate::gate(problems, at, raw));
    let migration = of(&at, "migration", &raw.migration, |at, raw| migration::gate(problems, at, raw));
    let probe = of(&at, "probe", &raw.probe, |at, raw| integration::probe(problems, at, raw));
    let dependencies =
        of(&at, "dependencies", &raw.dependencies, |at, raw| integration::dependencies(problems, at, raw));
    let load = of(&at, "load", &raw.load, |at, raw| load::gate(problems, at, raw));
    let (drift, approval, security, acceptance) = (drift?, approval?, security?, acceptance?);
    let (tests, migration, probe) = (tests?, migration?, probe?);
    Some(Gates {
        drift,
        approval,
        security,
        acceptance,
        tests,
        migration,
        probe,
        dependencies: dependencies?,
        load: load?,
    })
}

/// The configuration of a gate; `None` inside where the plan has none.
fn of<Raw, Gate>(
    at: &Place,
    name: &str,
    raw: &Section<Raw>,
    read: impl FnOnce(&Place, &Raw) -> Option<Gate>,
) -> Option<Option<Gate>> {
    raw.as_ref().map_or(Some(None), |section| read(&at.key(name, section), &section.value).map(Some))
}

fn drift_gate(problems: &mut Problems, at: &Place, raw: &RawDriftGate) -> Option<DriftGate> {
    let expected = expected(problems, at, "expected", &raw.expected);
    let expected_live = self::expected(problems, at, "expectedLive", &raw.expected_live);
    Some(DriftGate { expected: expected?, expected_live: expected_live? })
}

fn expected(
    problems: &mut Problems,
    parent: &Place,
    key: &str,
    raw: &Section<Vec<Spanned<RawExpected>>>,
) -> Option<Vec<ExpectedDifference>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let list = parent.key(key, section);
    if section.value.len() > MAX_EXPECTED_DIFFERENCES {
        let found = format!("{} entries", section.value.len());
        problems.refuse(&list, found, format!("at most {MAX_EXPECTED_DIFFERENCES}"));
        return None;
    }
    let differences = section.value.iter().enumerate().map(|(index, difference)| {
        let (at, raw) = (list.item(index, difference), &difference.value);
        let wanted = "a path into the configuration, such as exporters.otlp.endpoint";
        let read = |text: &str| line(text, MAX_DIFFERENCE_PATH_CHARACTERS);
        let path = match raw.r#in.is_some() {
            true => problems.or(&at, "path", &raw.path, String::new(), read),
            false => problems.needed(&at, "path", &raw.path, wanted, read),
        };
        let within = problems.optional(&at, "in", &raw.r#in, |text| line(text, MAX_DIFFERENCE_PATH_CHARACTERS));
        let reason = problems.needed(&at, "reason", &raw.reason, "why it may differ", |text| {
            prose(text, MAX_DIFFERENCE_REASON_CHARACTERS)
        });
        let expires = problems.optional(&at, "expires", &raw.expires, moment);
        Some(ExpectedDifference { path: path?, within: within?, reason: reason?, expires: expires? })
    });
    // Every entry is read, so that each mistake is noted.
    differences.collect::<Vec<_>>().into_iter().collect()
}

/// The guards: at least one that is judged, for without any there is no way back.
pub(super) fn guards(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawGuards>,
    gates: &Section<RawGates>,
    environments: Option<&PerEnvironment<EnvironmentPlan>>,
) -> Option<Guards> {
    let wanted = "at least one guard, such as spanLoss: { atMost: 0.1% }";
    let (at, raw) = problems.section(parent, "guards", raw, wanted)?;
    let times = raw.latency.is_some() || raw.service_latency.is_some();
    let judges = raw.span_loss.is_some() || raw.error_rate.is_some() || times;
    if !(judges || raw.blind_spots.is_some() || raw.findings.is_some() || raw.metrics.is_some()) {
        let found = if raw.drift.is_some() { "the guard `drift` alone" } else { "no guard" };
        let help = "without one no observation would ever roll back, and a bake would have nothing to prove";
        problems.refuse_because(&at, found, wanted, help);
        return None;
    }
    let judged = judged(problems, &at, raw);
    let metrics = metrics::metrics(problems, &at, &raw.metrics);
    let drift = match &raw.drift {
        Some(section) => drift_guard(problems, &at.key("drift", section), &section.value.every, gates).map(Some),
        None => Some(None),
    };
    let leaks = leak::leaks(problems, &at, raw, environments);
    let (Some(judged), Some((metrics, sources)), Some(drift)) = (judged, metrics, drift) else { return None };
    Some(Guards { judged: judge::Guards { metrics, ..judged }, drift, leaks: leaks?, sources })
}

fn judged(problems: &mut Problems, at: &Place, raw: &RawGuards) -> Option<judge::Guards> {
    let wanted = "a percentage with its sign, such as 0.5%";
    let span_loss = guard(&raw.span_loss, |section| {
        let read = |text: &str| share(text, 50, "0.1%");
        let at_most = problems.needed(&at.key("spanLoss", section), "atMost", &section.value.at_most, wanted, read)?;
        Some(SpanLoss { at_most })
    });
    let error_rate = guard(&raw.error_rate, |section| {
        let (at, text) = (at.key("errorRate", section), &section.value.worse_than_active_by);
        let worse = problems.needed(&at, "worseThanActiveBy", text, wanted, |text| share(text, 50, "0.5%"))?;
        Some(ErrorRate { worse_than_active_by: worse })
    });
    let latency = guard(&raw.latency, |section| latency_guard(problems, &at.key("latency", section), &section.value));
    let service_latency = guard(&raw.service_latency, |section| {
        latency_guard(problems, &at.key("serviceLatency", section), &section.value)
    });
    let blind_spots = guard(&raw.blind_spots, |section| {
        let (at, text) = (at.key("blindSpots", section), &section.value.at_most);
        let at_most = problems.needed(&at, "atMost", text, "a count, such as 0", |text| whole(text, (0, 10_000)))?;
        Some(BlindSpots { at_most })
    });
    let findings = guard(&raw.findings, |section| {
        let (at, text) = (at.key("findings", section), &section.value.worse_than_active_by);
        let worse = problems.needed(&at, "worseThanActiveBy", text, wanted, |text| share(text, 50, "0.1%"))?;
        Some(Findings { worse_than_active_by: worse })
    });
    Some(judge::Guards {
        span_loss: span_loss?,
        error_rate: error_rate?,
        latency: latency?,
        service_latency: service_latency?,
        blind_spots: blind_spots?,
        findings: findings?,
        metrics: Vec::new(),
    })
}

fn latency_guard(problems: &mut Problems, at: &Place, raw: &RawLatency) -> Option<Latency> {
    let point = problems.needed(at, "quantile", &raw.quantile, "a quantile, such as 0.99", quantile);
    let wanted = "a percentage with its sign, such as 20%";
    let read = |text: &str| share(text, 1_000, "20%");
    let worse = problems.needed(at, "worseThanActiveBy", &raw.worse_than_active_by, wanted, read);
    Some(Latency { quantile: point?, worse_than_active_by: worse? })
}

/// A guard that is not there is not read; one that is there must be readable.
fn guard<'a, T, G>(section: &'a Section<T>, read: impl FnOnce(&'a Spanned<Box<T>>) -> Option<G>) -> Option<Option<G>> {
    section.as_ref().map_or(Some(None), |section| read(section).map(Some))
}

fn drift_guard(
    problems: &mut Problems,
    at: &Place,
    every: &super::raw::Text,
    gates: &Section<RawGates>,
) -> Option<DriftGuard> {
    let wanted = "how often to compare, such as 30s";
    let every = problems.needed(at, "every", every, wanted, |text| duration_ms(text, (1_000, DAY_MS)));
    if gates.as_ref().is_none_or(|gates| gates.value.drift.is_none()) {
        let help = "the guard repeats the gate, and takes from it what may differ";
        problems.refuse_because(at, "no spec.gates.drift", "spec.gates.drift, `drift: {}` at least", help);
        return None;
    }
    Some(DriftGuard { every_ms: every? })
}
