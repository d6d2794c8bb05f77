//! Gates, drift, and what the judge said, with its numbers.

use super::Words;
use super::page::Page;
use crate::bundle::Bundle;
use judge::{Assessment, GuardEvidence};
use rollout::plan::GateName;
use rollout::{Body, Decision, Event, GateResult, GateVerdict, Record};

/// Verdicts of which the numbers are shown: the judge's words change a few times in a rollout. This bounds the page; the last
/// ones are those that decided.
const MAX_VERDICTS: usize = 50;

/// A gate that ended.
struct Ended<'r> {
    index: u64,
    record: &'r Record,
    gate: GateName,
    run: u32,
    result: &'r GateResult,
}

fn ended(records: &[(u64, Record)]) -> impl Iterator<Item = Ended<'_>> {
    records.iter().filter_map(|(index, record)| match &record.body {
        Body::Happened(event) => match &**event {
            Event::GateFinished { gate, run, result } => {
                Some(Ended { index: *index, record, gate: *gate, run: *run, result })
            }
            _ => None,
        },
        _ => None,
    })
}

fn verdict_word(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Pass => "Pass",
        GateVerdict::Fail => "Fail",
        GateVerdict::Inconclusive => "Inconclusive",
        GateVerdict::Error => "Error",
    }
}

/// All gates that ran, but for drift, which has a part of its own.
pub(super) fn gates(page: &mut Page, records: &[(u64, Record)], words: &Words<'_>) {
    page.heading("Gates");
    let gates: Vec<Ended<'_>> = ended(records).filter(|it| it.gate != GateName::Drift).collect();
    if gates.is_empty() {
        return page.none();
    }
    page.head(&["entry", "when", "gate", "verdict", "reasons"]);
    for Ended { index, record, gate, run, result } in gates {
        let (index, at, gate) = (index.to_string(), (words.time)(record.at), format!("{gate}, run {run}"));
        page.row(4, &[&index, &at, &gate, verdict_word(result.verdict), &result.reasons.join("; ")]);
    }
    page.end();
}

/// Each look at the two configurations, by the gate and by the guard.
pub(super) fn drift(page: &mut Page, bundle: &Bundle, records: &[(u64, Record)], words: &Words<'_>) {
    page.heading("Drift");
    let looks: Vec<Ended<'_>> = ended(records).filter(|it| it.gate == GateName::Drift).collect();
    if looks.is_empty() {
        return page.none();
    }
    page.head(&["entry", "when", "run", "verdict", "differences", "evidence"]);
    for Ended { index, record, run, result, .. } in looks {
        let evidence = result.evidence.as_deref().map_or_else(String::new, |digest| here(bundle, digest));
        let (index, at, run) = (index.to_string(), (words.time)(record.at), run.to_string());
        page.row(4, &[&index, &at, &run, verdict_word(result.verdict), &result.reasons.join("; "), &evidence]);
    }
    page.end();
}

/// A blob's digest, and whether it is in the bundle.
pub(super) fn here(bundle: &Bundle, digest: &str) -> String {
    match bundle.evidence.contains_key(digest.strip_prefix("sha256:").unwrap_or(digest)) {
        true => digest.to_owned(),
        false => format!("{digest} (not in the bundle)"),
    }
}

/// Each verdict with its numbers.
pub(super) fn verdicts(page: &mut Page, bundle: &Bundle, records: &[(u64, Record)], words: &Words<'_>) {
    let judged: Vec<_> = records
        .iter()
        .filter_map(|(index, record)| match &record.body {
            Body::Decided(decision) => match &**decision {
                Decision::Judged { assessment, evidence } => Some((*index, record, &**assessment, evidence.as_deref())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    page.heading("Verdicts");
    if judged.is_empty() {
        return page.none();
    }
    page.remark(
        "Evidence is a natural logarithm. Against green it alarms from the number behind it on, for each guard and for all \
         together; for green it is proved from there on.",
    );
    let not_shown = judged.len().saturating_sub(MAX_VERDICTS);
    if not_shown > 0 {
        page.remark(&format!("The first {not_shown} are left out here; they are among the records below."));
    }
    for (index, record, assessment, evidence) in judged.into_iter().skip(not_shown) {
        let line = (words.record)(&record.body);
        let line = line.trim().trim_start_matches("decided: ");
        page.subheading(&format!("Entry {index}, {}", (words.time)(record.at)));
        page.paragraph("", line);
        if let Some(digest) = evidence {
            page.remark(&format!("The judge's whole state: {}", here(bundle, digest)));
        }
        numbers(page, assessment);
    }
}

fn numbers(page: &mut Page, assessment: &Assessment) {
    let Assessment { traces, log_evidence, log_threshold, .. } = assessment;
    page.paragraph(
        "",
        &format!(
            "It took {} traces of green and {} of blue. All guards together: {} / {log_threshold:.1}.",
            traces.green,
            traces.blue,
            tenths(*log_evidence)
        ),
    );
    page.head(&["guard", "against green / alarms at", "for green / proved at", "green", "blue", "in words"]);
    for guard in &assessment.guards {
        let GuardEvidence { log_against, log_threshold_against, log_for, log_threshold_for, candidate, active, .. } =
            guard;
        let against = format!("{} / {log_threshold_against:.1}", tenths(*log_against));
        let proof = log_for.map_or("-".to_owned(), |log_for| format!("{} / {log_threshold_for:.1}", tenths(log_for)));
        let [green, blue] = [candidate, active].map(|counts| format!("{} of {}", counts.events, counts.traces));
        page.row(5, &[&guard.name(), &against, &proof, &green, &blue, &guard.words]);
    }
    page.end();
}

/// To a tenth, and nothing is never less than nothing.
fn tenths(number: f64) -> String {
    let text = format!("{number:.1}");
    if text == "-0.0" { "0.0".to_owned() } else { text }
}
