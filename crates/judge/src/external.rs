//! Metrics from outside: somebody else counts units, and which of them had an event, for each environment. Judged as the
//! rates of traces are (R with plain and late onset, and NI for a proof), each a guard by itself.
//!
//! A source that fails makes no evidence: what was gathered before is kept and takes no part in a verdict until the
//! source is back. The verdict is Error meanwhile, or the metric is left out, as the plan says; never Fail, never Pass
//! for want of it.

use crate::assess::{GuardEvidence, Metric};
use crate::config::{Guard, MetricGuard};
use crate::effect::Effect;
use crate::judge::{Judge, MAX_TRACES_PER_BATCH};
use crate::odds::{Counts, Split};
use crate::planning::traces_to_prove_rate;
use crate::process::clamp_log;
use crate::rate::{DifferenceProof, Rate, Tolerance};
use crate::words;
use model::{Check, Environment, PerEnvironment};
use serde::{Deserialize, Serialize};

/// Whether a metric's source can be relied on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Source {
    /// It has not answered yet.
    #[default]
    Unheard,
    /// It answered when it was asked last.
    Well,
    /// It fails, and without it there is no verdict.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// It fails, and the plan says to judge without it.
    LeftOut {
        /// Why, for a person.
        reason: String,
    },
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct External {
    source: Source,
    rate: Rate,
    /// Of a critical metric.
    proof: Option<DifferenceProof>,
    /// The candidate's share of the units in the last batch that had any: what is to be expected of the next.
    candidate_share: f64,
}

impl External {
    pub(crate) fn new(guard: &MetricGuard) -> External {
        External {
            source: Source::default(),
            rate: Rate::new(),
            proof: guard.critical.then(|| DifferenceProof::new(guard.worse_than_active_by)),
            candidate_share: 0.0,
        }
    }

    fn is_judged(&self) -> bool {
        match self.source {
            Source::Unheard | Source::Well => true,
            Source::Failed { .. } | Source::LeftOut { .. } => false,
        }
    }

    /// ln of the evidence for a critical metric, while it is judged.
    fn log_for(&self) -> Option<f64> {
        self.proof.as_ref().filter(|_| self.is_judged()).map(DifferenceProof::log_for)
    }
}

impl Judge {
    /// Takes one batch of a metric from outside: the units that were counted between two readings, and those among them
    /// with an event. Batches must not overlap. One whose counts cannot be changes nothing, and what is wrong with it
    /// comes back, for a person. An unknown metric is ignored.
    pub fn measure(&mut self, metric: &str, batch: &PerEnvironment<Counts>) -> Result<(), String> {
        let Some(index) = self.config.guards.metrics.iter().position(|guard| guard.name == metric) else {
            return Ok(());
        };
        for environment in Environment::BOTH {
            let Counts { traces: units, events } = batch[environment];
            if units > MAX_TRACES_PER_BATCH || events > units {
                return Err(format!(
                    "{} events among {} units in {environment} between two readings; expected at most as many events as \
                     units, and at most {} units",
                    words::grouped(events),
                    words::grouped(units),
                    words::grouped(MAX_TRACES_PER_BATCH)
                ));
            }
        }
        if self.config.problem().is_some() {
            return Ok(());
        }
        let candidate = self.config.candidate;
        let guard = &self.config.guards.metrics[index];
        let external = &mut self.externals[index];
        let split = Split { candidate: batch[candidate], active: batch[candidate.other()] };
        if split.candidate.traces + split.active.traces > 0 {
            let all = (split.candidate.traces + split.active.traces) as f64;
            external.candidate_share = split.candidate.traces as f64 / all;
        }
        if let Some(proof) = &mut external.proof {
            proof.observe(&split, &external.rate.recent);
        }
        external.rate.observe(&split, Tolerance::Difference(guard.worse_than_active_by), hazard(guard));
        Ok(())
    }

    /// Says whether a metric's source can be relied on from now on. An unknown metric is ignored.
    pub fn set_source(&mut self, metric: &str, source: Source) {
        let position = self.config.guards.metrics.iter().position(|guard| guard.name == metric);
        if let Some(external) = position.and_then(|index| self.externals.get_mut(index)) {
            external.source = source;
        }
    }

    /// A judge by the same configuration that has seen nothing, but knows which sources can be relied on.
    pub fn anew(&self) -> Judge {
        let mut anew = Judge::new(self.config.clone());
        anew.set_sources_as(self);
        anew
    }

    /// Relies on the sources that the other judge relies on, as far as it has them.
    pub fn set_sources_as(&mut self, other: &Judge) {
        other.each_external().for_each(|(guard, external)| self.set_source(&guard.name, external.source.clone()));
    }

    fn each_external(&self) -> impl Iterator<Item = (&MetricGuard, &External)> {
        self.config.guards.metrics.iter().zip(&self.externals)
    }
}

/// The probability that a late regression begins in a given batch: about one in an hour, as for traces.
fn hazard(guard: &MetricGuard) -> f64 {
    (guard.every_ms.max(1) as f64 / 3_600_000.0).min(1.0)
}

/// The metrics that take part in the verdict now.
pub(crate) fn metrics(judge: &Judge) -> impl Iterator<Item = Metric> {
    judge.each_external().enumerate().filter(|(_, (_, external))| external.is_judged()).map(
        |(index, (guard, external))| {
            let tolerance = Tolerance::Difference(guard.worse_than_active_by);
            Metric {
                guard: Guard::Metrics,
                check: Check::External,
                operation: None,
                subject: None,
                log_against: external.rate.log_against(),
                material: external.rate.is_material(tolerance),
                estimate: external.rate.recent.estimate(tolerance.share()),
                candidate: external.rate.candidate,
                active: external.rate.active,
                external: Some(index),
            }
        },
    )
}

/// The weight of the metrics that take no part in the verdict now: as if everything spoke for the candidate.
pub(crate) fn weight_left_out(judge: &Judge) -> f64 {
    let left_out = judge.externals.iter().filter(|external| !external.is_judged()).count();
    judge.config.guards.metric_weight(Guard::Metrics) * left_out as f64
}

/// How large the difference is that the metric from outside shows, if it is one. `weight` is the metric's.
pub(crate) fn effect(judge: &Judge, metric: &Metric, weight: f64) -> Option<Effect> {
    Some(judge.externals.get(metric.external?)?.rate.effect(weight))
}

/// Units that were judged of each environment, if it is a metric from outside.
pub(crate) fn units(judge: &Judge, metric: &Metric) -> Option<PerEnvironment<u64>> {
    let rate = &judge.externals.get(metric.external?)?.rate;
    let of = |environment| if environment == judge.config.candidate { rate.candidate } else { rate.active };
    Some(PerEnvironment::from_fn(|environment| of(environment).traces))
}

/// The name of the metric from outside that this is, if it is one.
pub(crate) fn name<'j>(judge: &'j Judge, metric: &Metric) -> Option<&'j str> {
    judge.config.guards.metrics.get(metric.external?).map(|guard| guard.name.as_str())
}

/// The metric's counts in words.
pub(crate) fn words(judge: &Judge, metric: &Metric) -> String {
    let name = name(judge, metric).unwrap_or_default();
    format!("{name}: candidate {}, active {}", share_words(metric.candidate), share_words(metric.active))
}

fn share_words(counts: Counts) -> String {
    format!("{} of {}", words::percent(counts.share()), words::units(counts.traces))
}

/// Why there is no verdict, where a source fails that the plan does not do without.
pub(crate) fn failing(judge: &Judge) -> Option<String> {
    judge.each_external().find_map(|(guard, external)| match &external.source {
        Source::Failed { reason } => Some(format!("metric {}: {reason}", guard.name)),
        Source::Unheard | Source::Well | Source::LeftOut { .. } => None,
    })
}

/// What the critical metrics still need for a pass, one line for each.
pub(crate) fn missing(judge: &Judge) -> Vec<String> {
    let lines = judge.each_external().filter_map(|(guard, external)| {
        let line = missing_of(judge, guard, external, external.log_for()?)?;
        Some(format!("metrics.{}: {line}", guard.name))
    });
    lines.collect()
}

fn missing_of(judge: &Judge, guard: &MetricGuard, external: &External, log_for: f64) -> Option<String> {
    let log_threshold = -libm::log(judge.config.false_promotion);
    if log_for >= log_threshold {
        return None;
    }
    if external.source == Source::Unheard {
        return Some("its first reading".to_owned());
    }
    // The active environment takes no part once the candidate has all units.
    let share = if external.candidate_share > 0.0 { external.candidate_share } else { 0.5 };
    let base = external.rate.recent.active_share();
    let total =
        traces_to_prove_rate(base, guard.worse_than_active_by, share.min(0.99), judge.config.false_promotion) * share;
    let most = total * (1.0 - log_for / log_threshold).clamp(0.0, 1.0);
    Some(match most.is_finite() {
        true => format!("about {} more units of the candidate at the active environment's rate", words::about(most)),
        false => "a margin above 0 %: that the rates are equal cannot be proved".to_owned(),
    })
}

/// What is known about each, in the configuration's order.
pub(crate) fn evidence(judge: &Judge, worse: &[&Metric]) -> Vec<GuardEvidence> {
    let log_weight = libm::log(judge.config.guards.metric_weight(Guard::Metrics));
    let log_threshold_for = clamp_log(-libm::log(judge.config.false_promotion));
    let evidence = judge.each_external().enumerate().map(|(index, (guard, external))| {
        let log_for = external.log_for();
        let own = worse.iter().find(|metric| metric.external == Some(index));
        GuardEvidence {
            guard: Guard::Metrics,
            metric: Some(guard.name.clone()),
            log_against: clamp_log(external.rate.log_against()),
            log_threshold_against: clamp_log(-libm::log(judge.config.false_alarm) - log_weight),
            log_for,
            log_threshold_for,
            proved: log_for.is_some_and(|log_for| log_for >= log_threshold_for),
            worse: own.map(|metric| metric.check).into_iter().collect(),
            alarmed: own.is_some_and(|metric| metric.material),
            candidate: external.rate.candidate,
            active: external.rate.active,
            words: evidence_words(judge, guard, external, own.copied()),
        }
    });
    evidence.collect()
}

/// `worse` is the metric, if it is worse by itself.
fn evidence_words(judge: &Judge, guard: &MetricGuard, external: &External, worse: Option<&Metric>) -> String {
    let Rate { candidate, active, .. } = &external.rate;
    let mut parts = vec![format!("events: candidate {}, active {}", share_words(*candidate), share_words(*active))];
    match &external.source {
        Source::Failed { reason } => parts.insert(0, format!("its source fails: {reason}")),
        Source::LeftOut { reason } => parts.insert(0, format!("left out, for its source fails: {reason}")),
        Source::Unheard | Source::Well => {
            parts.push(words::likelier(external.rate.log_against()));
            let alarmed = worse.is_some_and(|metric| metric.material);
            match worse {
                Some(_) if alarmed => parts.push("more than the plan tolerates".to_owned()),
                Some(_) => parts.push("the difference is real, and within what the plan tolerates".to_owned()),
                None => {}
            }
            if let Some(log_for) = external.log_for().filter(|_| !alarmed) {
                parts.push(match missing_of(judge, guard, external, log_for) {
                    Some(line) => format!("promotion needs {line}"),
                    None => "proved to be within what the plan tolerates".to_owned(),
                });
            }
        }
    }
    parts.join("; ")
}
