//! `verdigris judge replay`: the verdict again from what was recorded.

mod source;

use crate::cli::{Format, Replay};
use crate::commands::ledger::verdict_words;
use crate::commands::plan::read_plan;
use crate::describe::{Exit, Failed, printable, say, thousands, timestamp};
use anyhow::anyhow;
use judge::{Assessment, Config, Verdict};
use rollout::plan::Plan;
use rollout::rejudge::{Judgement, Rejudge};
use rollout::{JudgeEvidence, Record, RolloutId, Start, judge_config};
use serde_json::{Value, json};
use source::Source;

/// Runs it.
pub fn run(command: &Replay, format: Format) -> Result<Exit, Failed> {
    let thresholds = Thresholds::read(command)?;
    match source::read(command)? {
        Source::Blob(evidence) => blob(&evidence, &thresholds, format),
        Source::Records(records) => {
            let rollout = which(command, &records)?;
            judge_records(&rollout, &records, &thresholds, format)
        }
    }
}

/// Other thresholds than the recorded ones.
struct Thresholds {
    plan: Option<Plan>,
    false_alarm: Option<f64>,
    false_promotion: Option<f64>,
}

impl Thresholds {
    fn read(command: &Replay) -> Result<Thresholds, Failed> {
        let plan = command.plan.as_deref().map(read_plan).transpose()?.map(|(_, plan)| plan);
        Ok(Thresholds { plan, false_alarm: command.false_alarm, false_promotion: command.false_promotion })
    }

    fn are_other(&self) -> bool {
        self.plan.is_some() || self.false_alarm.is_some() || self.false_promotion.is_some()
    }

    /// The recorded configuration with what is other about it. Batches stay what they were: they were recorded so.
    fn config(&self, recorded: Config) -> Config {
        let mut config = recorded;
        if let Some(plan) = &self.plan {
            let Config { guards, false_alarm, false_promotion, .. } = judge_config(plan);
            config = Config { guards, false_alarm, false_promotion, ..config };
        }
        config.false_alarm = self.false_alarm.unwrap_or(config.false_alarm);
        config.false_promotion = self.false_promotion.unwrap_or(config.false_promotion);
        config
    }
}

fn which(command: &Replay, records: &[Record]) -> Result<RolloutId, Failed> {
    let mut ids = records.iter().filter_map(|record| record.rollout.as_ref());
    let found = match &command.rollout {
        Some(name) => ids.find(|id| id.0 == *name),
        None => ids.next_back(),
    };
    found.cloned().ok_or_else(|| match &command.rollout {
        Some(name) => Failed::usage(format!("there is no rollout {name} in it")),
        None => Failed::usage("there is no rollout in it".to_owned()),
    })
}

/// Judges a rollout's records by their own plan, and beside it by other thresholds if there are any.
fn judge_records(
    rollout: &RolloutId,
    records: &[Record],
    thresholds: &Thresholds,
    format: Format,
) -> Result<Exit, Failed> {
    let config = |start: &Start| thresholds.config(judge_config(&start.plan));
    let mut rejudge = Rejudge::new(rollout.clone(), thresholds.are_other().then_some(&config));
    let mut told = Told { format, other: thresholds.are_other(), said: [None, None] };
    let (mut batches, mut last) = (0u64, None);
    for record in records {
        let judgement = rejudge.take(record).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        if let Some(judgement) = judgement {
            batches += 1;
            told.tell(&judgement);
            last = Some(judgement);
        }
    }
    let Some(last) = last else {
        return Err(Failed::usage(format!("{rollout} was not judged: no observation of it is recorded")));
    };
    told.end(rollout, batches, &last);
    Ok(Exit::Done)
}

/// What was said so far: only what changes is said again.
struct Told {
    format: Format,
    other: bool,
    /// By the recorded plan and by the other thresholds: which verdict it was.
    said: [Option<&'static str>; 2],
}

impl Told {
    fn tell(&mut self, judgement: &Judgement) {
        let both = [Some(&judgement.own), judgement.other.as_ref()];
        for (index, assessment) in both.into_iter().enumerate() {
            let Some(assessment) = assessment else { continue };
            let name = name(&assessment.verdict);
            if self.said[index].replace(name) == Some(name) {
                continue;
            }
            let by = BY[index];
            match self.format {
                Format::Json => say(line_json(judgement, by, assessment)),
                Format::Text => say(format_args!(
                    "{}  batch {:>5}  {}{}",
                    timestamp(judgement.at),
                    judgement.batch,
                    if self.other { format!("{by}: ") } else { String::new() },
                    printable(&verdict_words(&assessment.verdict))
                )),
            }
        }
    }

    fn end(&self, rollout: &RolloutId, batches: u64, last: &Judgement) {
        let traces = last.own.traces.blue + last.own.traces.green;
        match self.format {
            Format::Json => say(json!({
                "rollout": rollout,
                "batches": batches,
                "traces": last.own.traces,
                "same": true,
                "recorded": last.own,
                "other": last.other,
            })),
            Format::Text => {
                say(format_args!("{rollout}: {} traces in {batches} batches", thousands(traces)));
                said("the recorded verdicts came again, byte for byte; at the end", &last.own);
                if let Some(other) = &last.other {
                    said("under the other thresholds, at the end", other);
                }
            }
        }
    }
}

/// Whose words a line has, in the order of [`Told::said`].
const BY: [&str; 2] = ["recorded", "other"];

fn line_json(judgement: &Judgement, by: &str, assessment: &Assessment) -> Value {
    json!({ "batch": judgement.batch, "at": judgement.at, "by": by, "assessment": assessment })
}

fn said(when: &str, assessment: &Assessment) {
    say(format_args!("  {when}: {}", printable(&verdict_words(&assessment.verdict))));
    for guard in &assessment.guards {
        say(format_args!("    {:<11} {}", guard.name(), printable(&guard.words)));
    }
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail(_) => "fail",
        Verdict::Inconclusive { .. } => "inconclusive",
        Verdict::Error { .. } => "error",
    }
}

/// Asks the judge of a blob again. Only the two probabilities can be other ones: what a guard tolerates is in how each
/// observation was weighed, and they are in the ledger.
fn blob(evidence: &JudgeEvidence, thresholds: &Thresholds, format: Format) -> Result<Exit, Failed> {
    if thresholds.plan.is_some() {
        return Err(Failed::usage(
            "a blob has what the observations came to, by the guards of its plan; for the guards of another plan name \
             the ledger, which has the observations"
                .to_owned(),
        ));
    }
    let again = evidence.judge.assess();
    // As they stand in the ledger: canonical JSON.
    let (again_json, recorded_json) = (canonical(&again)?, canonical(&evidence.assessment)?);
    if again_json != recorded_json {
        return Err(Failed::not_verified(anyhow!(
            "the judge says {again_json} of this evidence, but {recorded_json} is recorded"
        )));
    }
    let other = thresholds.are_other().then(|| {
        let config = thresholds.config(evidence.judge.config().clone());
        evidence.judge.with_probabilities(config.false_alarm, config.false_promotion).assess()
    });
    match format {
        Format::Json => say(json!({
            "rollout": evidence.rollout,
            "evidence": evidence.digest(),
            "same": true,
            "recorded": evidence.assessment,
            "other": other,
        })),
        Format::Text => {
            say(format_args!("{}: evidence {}", printable(&evidence.rollout.0), evidence.digest()));
            said("the recorded verdict came again, byte for byte", &again);
            if let Some(other) = &other {
                said("under the other thresholds", other);
            }
        }
    }
    Ok(Exit::Done)
}

fn canonical(assessment: &Assessment) -> Result<String, Failed> {
    Ok(serde_json_canonicalizer::to_string(assessment)?)
}
