//! From the YAML as it stands to a plan that holds: the whole, its metadata, and the sections of numbers. Environments,
//! gates and guards, and the strategy have their own modules.

use super::error::{PlanErrors, nearest, one_of};
use super::problems::{Expected, Place, Problems};
use super::quantity::{DAY_MS, chance, duration_ms, line, name, prose, rate_per_s, share};
use super::raw::{RawAnalysis, RawMetadata, RawPlan, RawSpec, RawTraffic, RawVerification, Section};
use super::{
    Analysis, OnInconclusive, Plan, Subject, Traffic, Verification, acceptance, approval, canary, environments, gates,
    query, redaction, strategy,
};
use serde_saphyr::Spanned;

const API_VERSION: &str = "verdigris.dev/v1alpha1";
const KIND: &str = "Rollout";

/// Characters of a reason or an impact: a page, and four bytes each stay below half of a record.
const MAX_PROSE_CHARACTERS: usize = 2_000;
/// Characters of a ticket's name.
const MAX_CHANGE_CHARACTERS: usize = 200;

impl TryFrom<Spanned<RawPlan>> for Plan {
    type Error = PlanErrors;

    fn try_from(raw: Spanned<RawPlan>) -> Result<Plan, PlanErrors> {
        let mut problems = Problems::default();
        let read = plan(&mut problems, &Place::root(&raw), &raw.value);
        problems.finish(read)
    }
}

struct Metadata {
    name: String,
    change: Option<String>,
    reason: String,
    impact: Option<String>,
    authors: Vec<String>,
}

fn plan(problems: &mut Problems, at: &Place, raw: &RawPlan) -> Option<Plan> {
    let version = problems.needed(at, "apiVersion", &raw.api_version, API_VERSION, |text| exactly(text, API_VERSION));
    let kind = problems.needed(at, "kind", &raw.kind, KIND, |text| exactly(text, KIND));
    let metadata = problems.section(at, "metadata", &raw.metadata, "the rollout's name and reason");
    let metadata = metadata.and_then(|(at, raw)| self::metadata(problems, &at, raw));
    let spec = problems.section(at, "spec", &raw.spec, "what to roll out, and how");
    let plan = spec.and_then(|(at, raw)| self::spec(problems, &at, raw, metadata));
    let (Some(()), Some(()), Some(plan)) = (version, kind, plan) else { return None };
    Some(plan)
}

fn exactly(text: &str, only: &str) -> Result<(), Expected> {
    if text == only { Ok(()) } else { Err(only.to_owned()) }
}

fn metadata(problems: &mut Problems, at: &Place, raw: &RawMetadata) -> Option<Metadata> {
    let wanted = "a name for the rollout, such as collector-0-131";
    let name = problems.needed(at, "name", &raw.name, wanted, name);
    let change = problems.optional(at, "change", &raw.change, |text| line(text, MAX_CHANGE_CHARACTERS));
    let reason = problems.needed(at, "reason", &raw.reason, "why this is done, for whoever asks later", |text| {
        prose(text, MAX_PROSE_CHARACTERS)
    });
    let impact = problems.optional(at, "impact", &raw.impact, |text| prose(text, MAX_PROSE_CHARACTERS));
    let authors = approval::authors(problems, at, &raw.authors);
    let (Some(name), Some(change), Some(reason), Some(impact)) = (name, change, reason, impact) else { return None };
    Some(Metadata { name, change, reason, impact, authors: authors? })
}

fn spec(problems: &mut Problems, at: &Place, raw: &RawSpec, metadata: Option<Metadata>) -> Option<Plan> {
    let subject = problems.needed(at, "subject", &raw.subject, "`pipeline`", subject);
    let environments = environments::environments(problems, at, &raw.environments);
    let gates = gates::gates(problems, at, &raw.gates);
    let guards = gates::guards(problems, at, &raw.guards, &raw.gates, environments.as_ref());
    let steps = strategy::steps(problems, at, raw);
    let analysis = analysis(problems, at, &raw.analysis);
    let verification = verification(problems, at, &raw.verification);
    let canary = canary::canary(problems, at, &raw.canary, environments.as_ref());
    let proofs = approval::proofs(problems, at, &raw.proofs);
    let redaction = redaction::redaction(problems, at, &raw.redaction);
    let traffic = traffic(problems, at, &raw.traffic);
    // A trace is pinned by eight bytes; a day's would fill the bound of pins with nothing to gain.
    let pin = problems.or(at, "pin", &raw.pin, 60_000, |text| duration_ms(text, (1_000, 3_600_000)));
    let (Some(subject), Some(environments), Some(gates), Some(guards)) = (subject, environments, gates, guards) else {
        return None;
    };
    let (Some(steps), Some(analysis), Some(verification), Some(traffic), Some(pin_ms)) =
        (steps, analysis, verification, traffic, pin)
    else {
        return None;
    };
    let (steps, point_of_no_return) = steps;
    let (canary, proofs, redaction) = (canary?, proofs?, redaction?);
    query::fits(problems, at, raw, &environments, &verification, &guards.sources)?;
    let Metadata { name, change, reason, impact, authors } = metadata?;
    acceptance::not_the_authors(problems, at, &raw.gates, &authors)?;
    Some(Plan {
        name,
        change,
        reason,
        impact,
        authors,
        subject,
        environments,
        steps,
        point_of_no_return,
        gates,
        guards,
        analysis,
        verification,
        canary,
        proofs,
        redaction,
        traffic,
        pin_ms,
    })
}

fn subject(text: &str) -> Result<Subject, Expected> {
    match text {
        "pipeline" => Ok(Subject::Pipeline),
        "service" => Err("`pipeline`: the subject `service` is not in this version".to_owned()),
        _ => Err("`pipeline`".to_owned()),
    }
}

/// One of a few words; a word that is close is asked for.
pub(super) fn word<T>(text: &str, words: &[(&str, T)]) -> Result<T, Expected>
where
    T: Copy,
{
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let near = nearest(text, names.iter().copied()).map(|near| format!(": did you mean `{near}`?"));
    Err(format!("{}{}", one_of(&names), near.unwrap_or_default()))
}

/// `true` or `false`.
pub(super) fn yes_or_no(text: &str) -> Result<bool, Expected> {
    word(text, &[("true", true), ("false", false)])
}

fn analysis(problems: &mut Problems, parent: &Place, raw: &Section<RawAnalysis>) -> Option<Analysis> {
    let default = Analysis {
        false_alarm: 0.001,
        false_promotion: 0.05,
        on_inconclusive: OnInconclusive::default(),
        batch_ms: 2_000,
    };
    let Some(section) = raw else { return Some(default) };
    let (at, raw) = (parent.key("analysis", section), &section.value);
    let words = [OnInconclusive::Hold, OnInconclusive::Extend, OnInconclusive::Rollback].map(|on| (on.name(), on));
    let false_alarm = problems.or(&at, "falseAlarm", &raw.false_alarm, default.false_alarm, chance);
    let false_promotion = problems.or(&at, "falsePromotion", &raw.false_promotion, default.false_promotion, chance);
    let on =
        problems.or(&at, "onInconclusive", &raw.on_inconclusive, default.on_inconclusive, |text| word(text, &words));
    // STATISTICS.md, "The unit and the batch".
    let batch = problems.or(&at, "batch", &raw.batch, default.batch_ms, |text| duration_ms(text, (1_000, 6_000)));
    let (Some(false_alarm), Some(false_promotion), Some(on_inconclusive), Some(batch_ms)) =
        (false_alarm, false_promotion, on, batch)
    else {
        return None;
    };
    Some(Analysis { false_alarm, false_promotion, on_inconclusive, batch_ms })
}

fn verification(problems: &mut Problems, parent: &Place, raw: &Section<RawVerification>) -> Option<Verification> {
    // 5 s batch delay + 30 s export timeout + 300 s retry: the SDK's and the Collector's defaults (STATISTICS.md, H).
    let default = Verification { horizon_ms: 335_000, linger_ms: 10_000 };
    let Some(section) = raw else { return Some(default) };
    let (at, raw) = (parent.key("verification", section), &section.value);
    // A hand-over that is not answered is known after 1 s; a batch must not close before that.
    let horizon =
        problems.or(&at, "horizon", &raw.horizon, default.horizon_ms, |text| duration_ms(text, (1_500, DAY_MS)));
    let linger = problems.or(&at, "linger", &raw.linger, default.linger_ms, |text| duration_ms(text, (100, 600_000)));
    Some(Verification { horizon_ms: horizon?, linger_ms: linger? })
}

fn traffic(problems: &mut Problems, parent: &Place, raw: &Section<RawTraffic>) -> Option<Traffic> {
    let default = Traffic { expected_traces_per_s: None, errors: 0.001 };
    let Some(section) = raw else { return Some(default) };
    let (at, raw) = (parent.key("traffic", section), &section.value);
    let expected = problems.optional(&at, "expected", &raw.expected, rate_per_s);
    let errors = problems.or(&at, "errors", &raw.errors, default.errors, |text| share(text, 100, "0.1%"));
    Some(Traffic { expected_traces_per_s: expected?, errors: errors? })
}
