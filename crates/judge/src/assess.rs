//! What the evidence says now, in numbers and in words.

use crate::assignment::AssignmentEvidence;
use crate::config::Guard;
use crate::culprit;
use crate::effect::Effect;
use crate::external;
use crate::holm::Holm;
use crate::judge::{Judge, tolerance};
use crate::latency::{LatencyMetric, TRACES_TO_FREEZE, Terms};
use crate::odds::Counts;
use crate::operation::{self, PART_OF_ONE, PART_OVER_ALL, Services, Timing};
use crate::planning::traces_to_prove_rate;
use crate::process::{LOG_FLOOR, clamp_log, log_add};
use crate::rate::{LOG_SURE, Rate};
use crate::recent::Estimate;
use crate::words;
use model::{BasisPoints, Check, PerEnvironment, RootOperation, Subject};
use serde::{Deserialize, Serialize};

/// A verdict and everything it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assessment {
    /// The verdict.
    pub verdict: Verdict,
    /// The configured guards, in the plan's order.
    pub guards: Vec<GuardEvidence>,
    /// ln of the weighted sum of all metrics' evidence against the candidate.
    pub log_evidence: f64,
    /// What `log_evidence` must reach for an alarm: ln 1/falseAlarm.
    pub log_threshold: f64,
    /// Traces judged so far.
    pub traces: PerEnvironment<u64>,
    /// The least share of the traces that was verified in any batch: what the counts are of.
    #[serde(default = "all_traces")]
    pub verified: BasisPoints,
    /// Whether traces are divided as the weight says; none before that could be seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assignment: Option<AssignmentEvidence>,
}

fn all_traces() -> BasisPoints {
    BasisPoints::ALL
}

/// What to make of the candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Verdict {
    /// Span loss, error rate and latency, where configured, are each proved to be within what the plan tolerates.
    Pass,
    /// The candidate is worse, beyond chance and beyond what the plan tolerates.
    Fail(Box<Failure>),
    /// Neither is known yet.
    Inconclusive {
        /// What is missing for a pass, one line for each guard.
        missing: Vec<String>,
    },
    /// The source, the split of the traces or the configuration is broken; nothing is said about the candidate.
    Error {
        /// What was wrong, where, and what was expected.
        reason: String,
    },
}

/// Why a candidate failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// The guard that broke.
    pub guard: Guard,
    /// What explains it best; not always a check of that guard: a blind spot can explain a span loss.
    pub check: Check,
    /// Which metric from outside, where `check` is [`Check::External`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metric: Option<String>,
    /// What is blind, where `check` is [`Check::BlindSpot`]; what is slow, or called more often, where it is one of
    /// [`Guard::ServiceLatency`].
    pub subject: Option<Subject>,
    /// The traces that are slow, where `check` is [`Check::Slow`] and not all of them are.
    pub operation: Option<RootOperation>,
    /// How large the difference is lately, beside what the plan tolerates.
    pub estimate: Estimate,
    /// How large the difference is over the whole rollout, with its interval.
    pub effect: Effect,
    /// Traces of each environment that it took; units, where it is a metric from outside.
    pub traces: PerEnvironment<u64>,
    /// ln of the evidence of the metric that alarmed.
    pub log_against: f64,
    /// Every check that is worse by itself and beyond tolerance, in the order of explanation: by e-Holm, so that the chance
    /// of ever naming one here that is no worse is at most falseAlarm.
    pub alarmed: Vec<Check>,
    /// For a person, the most important first.
    pub reasons: Vec<String>,
}

/// What is known about one guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardEvidence {
    /// Which.
    pub guard: Guard,
    /// Which metric from outside, where `guard` is [`Guard::Metrics`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metric: Option<String>,
    /// ln of the evidence that the candidate is worse.
    pub log_against: f64,
    /// What `log_against` must reach for this guard to alarm by itself.
    pub log_threshold_against: f64,
    /// ln of the evidence that the candidate is within what the plan tolerates, where promotion needs it.
    pub log_for: Option<f64>,
    /// What `log_for` must reach: ln 1/falsePromotion.
    pub log_threshold_for: f64,
    /// Whether it has.
    pub proved: bool,
    /// Its checks that are worse by themselves (e-Holm over all metrics of the plan, at falseAlarm), tolerated or not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub worse: Vec<Check>,
    /// Whether one of these is beyond what the plan tolerates.
    pub alarmed: bool,
    /// The candidate's traces, and events of the guard's most telling check (or blind-spot subject).
    pub candidate: Counts,
    /// The active environment's.
    pub active: Counts,
    /// One line for a person.
    pub words: String,
}

impl GuardEvidence {
    /// As the plan has it: `spanLoss`, or `metrics.checkout-errors`.
    pub fn name(&self) -> String {
        match &self.metric {
            Some(metric) => format!("{}.{metric}", self.guard.name()),
            None => self.guard.name().to_owned(),
        }
    }
}

/// One metric as it stands.
pub(crate) struct Metric {
    pub(crate) guard: Guard,
    pub(crate) check: Check,
    /// The traces that it is of, if these are not all.
    pub(crate) operation: Option<RootOperation>,
    /// The call or operation of a service that it is of, where it is of one.
    pub(crate) subject: Option<Subject>,
    pub(crate) log_against: f64,
    /// Beyond what the plan tolerates, by estimate.
    pub(crate) material: bool,
    pub(crate) estimate: Estimate,
    pub(crate) candidate: Counts,
    pub(crate) active: Counts,
    /// The position of the metric from outside that it is, where it is one.
    pub(crate) external: Option<usize>,
}

/// No pass while something speaks against the candidate that is too much for chance and too little for an alarm: what was
/// proved before it began does not count.
fn suspicion(judge: &Judge, metrics: &[Metric], log_evidence: f64) -> Option<String> {
    let suspected = |metric: &&Metric| metric.material && metric.log_against >= LOG_SURE;
    let worst = metrics.iter().filter(suspected).max_by(|a, b| a.log_against.total_cmp(&b.log_against))?;
    let guard = worst.guard.name();
    (log_evidence >= LOG_SURE).then(|| match external::name(judge, worst) {
        Some(metric) => format!("{guard}.{metric}: more units, to clear green of its events"),
        None => format!("{guard}: more traces, to clear green of {}", worst.words()),
    })
}

impl Metric {
    /// Whether both look for the same, in the same place.
    fn is(&self, other: &Metric) -> bool {
        self.check == other.check && self.operation == other.operation && self.subject == other.subject
    }

    /// What it looks for.
    pub(crate) fn words(&self) -> String {
        let of = self.operation.as_ref().map_or(String::new(), |root| format!(" for {root}"));
        let at = self.subject.as_ref().map_or(String::new(), |it| format!(": {}", words::subject_words(it)));
        format!("{}{of}{at}", self.check.words())
    }
}

fn latency_metric((guard, check): (Guard, Check), latency: &LatencyMetric, terms: &Terms) -> Metric {
    let (estimate, candidate, active) = match latency.judging() {
        None => (Estimate::default(), Counts::default(), Counts::default()),
        Some(judging) => (judging.estimate(terms), judging.candidate, judging.active),
    };
    Metric {
        guard,
        check,
        operation: None,
        subject: None,
        log_against: latency.log_against(),
        material: estimate.candidate > estimate.active,
        estimate,
        candidate,
        active,
        external: None,
    }
}

/// What a pass still needs.
enum Missing {
    Nothing,
    Line(String),
}

impl Judge {
    /// The verdict on what was observed so far. Missing evidence is Inconclusive, never Pass; a broken source is Error,
    /// never Fail.
    pub fn assess(&self) -> Assessment {
        let log_threshold = clamp_log(-libm::log(self.config.false_alarm));
        if let Some(reason) = self.config.problem() {
            let verdict = Verdict::Error { reason };
            let (guards, log_evidence, log_threshold) = (vec![], 0.0, 0.0);
            let (traces, assignment) = (self.traces, None);
            let verified = self.verified;
            return Assessment { verdict, guards, log_evidence, log_threshold, traces, verified, assignment };
        }
        let metrics = self.metrics();
        let log_evidence = self.log_weighted(metrics.iter(), &Guard::ALL);
        let weighted = metrics.iter().map(|it| (self.weight(it), it.log_against));
        let unspent = Guard::ALL.into_iter().map(|guard| (self.unspent_weight(guard), 0.0));
        let besides = unspent.chain([(external::weight_left_out(self), LOG_FLOOR)]);
        let holm = Holm::new(weighted.chain(besides), log_threshold);
        // What is worse by itself is worse together with all others; that is asked too, for the rounding's sake.
        let is_worse = |it: &&Metric| log_evidence >= log_threshold && holm.rejects(self.weight(it), it.log_against);
        let worse: Vec<&Metric> = metrics.iter().filter(is_worse).collect();
        let alarmed: Vec<&Metric> = worse.iter().copied().filter(|it| it.material).collect();
        let guards: Vec<GuardEvidence> = Guard::ALL
            .into_iter()
            .filter(|guard| self.config.guards.has(*guard))
            .map(|guard| self.guard_evidence(guard, &metrics, &worse))
            .chain(external::evidence(self, &worse))
            .collect();
        let assignment = self.assignment.evidence(self.config.false_alarm);
        let verdict = match (assignment.filter(|it| it.broken), culprit::name(self, &metrics, &alarmed)) {
            (Some(broken), _) => Verdict::Error { reason: broken.reason() },
            (None, Some(failure)) => Verdict::Fail(Box::new(failure)),
            (None, None) => self.verdict_without_failure(&guards, suspicion(self, &metrics, log_evidence)),
        };
        let (traces, verified) = (self.traces, self.verified);
        Assessment { verdict, guards, log_evidence, log_threshold, traces, verified, assignment }
    }

    /// A metric's weight in the sum of the evidence.
    pub(crate) fn weight(&self, metric: &Metric) -> f64 {
        let of_check = self.config.guards.metric_weight(metric.guard);
        match (metric.check, &metric.operation) {
            (Check::Slow, None) => of_check * PART_OVER_ALL,
            (Check::Slow, Some(_)) => of_check * PART_OF_ONE,
            (check, _) => of_check * Timing::of(check).map_or(1.0, Timing::part),
        }
    }

    /// The guard's weight that is kept for operations and services which nothing is known of yet: evidence of 1.
    fn unspent_weight(&self, guard: Guard) -> f64 {
        let of_guard = self.config.guards.metric_weight(guard) * guard.checks().len() as f64;
        match guard {
            Guard::Latency => of_guard * self.operations.unspent(),
            Guard::ServiceLatency => of_guard * self.services.as_ref().map_or(0.0, Services::unspent),
            Guard::SpanLoss | Guard::ErrorRate | Guard::BlindSpots | Guard::Findings | Guard::Metrics => 0.0,
        }
    }

    fn verdict_without_failure(&self, guards: &[GuardEvidence], suspicion: Option<String>) -> Verdict {
        if let Some(reason) = &self.refused {
            return Verdict::Error { reason: reason.clone() };
        }
        if let Some(reason) = external::failing(self) {
            return Verdict::Error { reason };
        }
        let mut missing: Vec<String> = guards
            .iter()
            .filter(|evidence| evidence.guard != Guard::Metrics)
            .filter_map(|evidence| match self.missing(evidence.guard, evidence.log_for?) {
                Missing::Nothing => None,
                Missing::Line(line) => Some(format!("{}: {line}", evidence.guard.name())),
            })
            .collect();
        missing.extend(external::missing(self));
        missing.extend(self.suspected_blind_spots());
        missing.extend(suspicion);
        if guards.iter().all(|evidence| evidence.log_for.is_none()) {
            missing.push(
                "spanLoss, errorRate, latency or a critical metric in the plan: the others alarm, and prove nothing"
                    .to_owned(),
            );
        }
        if missing.is_empty() { Verdict::Pass } else { Verdict::Inconclusive { missing } }
    }

    /// What has not been seen of the candidate yet, more often than the plan tolerates, though it may be chance: no
    /// pass before more of it was sent.
    fn suspected_blind_spots(&self) -> Option<String> {
        let guard = self.config.guards.blind_spots.as_ref()?;
        let blind = self.blind_spots.blind(self.traces[self.config.candidate]);
        let suspected: Vec<_> = blind.filter(|tracked| tracked.log_against() > 0.0).collect();
        let first = suspected.first().filter(|_| suspected.len() > guard.at_most as usize)?;
        let unseen = words::traces(first.candidate.traces);
        Some(format!("blindSpots: more traces of {}, unseen in all {unseen} of the candidate", first.words()))
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = Vec::new();
        for guard in Guard::ALL {
            for check in guard.checks() {
                let rate = self.rates.get(check).and_then(|rate| Some((rate, tolerance(&self.config, *check)?)));
                if let Some((rate, tolerance)) = rate {
                    let estimate = rate.recent.estimate(tolerance.share());
                    metrics.push(Metric {
                        guard,
                        check: *check,
                        operation: None,
                        subject: None,
                        log_against: rate.log_against(),
                        material: rate.is_material(tolerance),
                        estimate,
                        candidate: rate.candidate,
                        active: rate.active,
                        external: None,
                    });
                }
            }
        }
        metrics.extend(self.latency_metrics());
        metrics.extend(self.service_metrics());
        metrics.extend(self.blind_spot_metric());
        metrics.extend(external::metrics(self));
        metrics
    }

    /// The latency over all traces, and that of each operation.
    fn latency_metrics(&self) -> Vec<Metric> {
        let (Some(guard), Some(over_all)) = (&self.config.guards.latency, &self.latency) else { return vec![] };
        let (terms, of_operations) = (Terms::over_all(guard), operation::terms(guard));
        let operations = self.operations.judged.iter().map(|it| (Some(&it.of), &it.latency, &of_operations));
        let all = std::iter::once((None, over_all, &terms)).chain(operations);
        all.map(|(root, latency, terms)| Metric {
            operation: root.cloned(),
            ..latency_metric((Guard::Latency, Check::Slow), latency, terms)
        })
        .collect()
    }

    /// What each call and operation of a service takes, and how often it is called.
    fn service_metrics(&self) -> Vec<Metric> {
        let (Some(guard), Some(services)) = (&self.config.guards.service_latency, &self.services) else {
            return vec![];
        };
        let terms = operation::terms(guard);
        let judged = Timing::ALL.into_iter().flat_map(|timing| {
            services.book(timing).judged.iter().map(move |it| (timing.check(), &it.of, &it.latency))
        });
        judged
            .map(|(check, subject, latency)| Metric {
                subject: Some(subject.clone()),
                ..latency_metric((Guard::ServiceLatency, check), latency, &terms)
            })
            .collect()
    }

    fn blind_spot_metric(&self) -> Option<Metric> {
        let guard = self.config.guards.blind_spots.as_ref()?;
        let significant = culprit::significantly_blind(self);
        let most_telling = match culprit::most_telling(&significant) {
            Some(tracked) => Some(tracked),
            None => self.blind_spots.tracked.iter().max_by(|a, b| a.log_against().total_cmp(&b.log_against())),
        };
        let (candidate, active) = most_telling.map(|it| (it.candidate, it.active)).unwrap_or_default();
        Some(Metric {
            guard: Guard::BlindSpots,
            check: Check::BlindSpot,
            operation: None,
            subject: None,
            log_against: self.blind_spots.log_against(),
            material: significant.len() > guard.at_most as usize,
            estimate: Estimate {
                candidate: candidate.share(),
                active: active.share(),
                tolerated: f64::from(guard.at_most),
                traces: candidate.traces as f64,
            },
            candidate,
            active,
            external: None,
        })
    }

    /// ln of the weighted sum of the evidence of these metrics, and of what their guards keep for others.
    fn log_weighted<'a>(&self, metrics: impl Iterator<Item = &'a Metric>, guards: &[Guard]) -> f64 {
        let weighted = metrics.map(|it| it.log_against + libm::log(self.weight(it)));
        let unspent = guards.iter().map(|guard| self.unspent_weight(*guard)).filter(|weight| *weight > 0.0);
        clamp_log(weighted.chain(unspent.map(libm::log)).fold(LOG_FLOOR, log_add))
    }

    fn guard_evidence(&self, guard: Guard, metrics: &[Metric], worse: &[&Metric]) -> GuardEvidence {
        let own = || metrics.iter().filter(|metric| metric.guard == guard);
        let log_weight = libm::log(self.config.guards.metric_weight(guard) * guard.checks().len() as f64);
        // A single operation tells more than all traces only where something speaks against it.
        let telling = own().filter(|metric| metric.operation.is_none() || metric.log_against >= LOG_SURE);
        let telling = telling.max_by(|a, b| a.log_against.total_cmp(&b.log_against));
        let log_for = self.log_for(guard);
        let log_threshold_for = clamp_log(-libm::log(self.config.false_promotion));
        let worse = worse.iter().filter(|metric| metric.guard == guard);
        let alarmed = worse.clone().any(|metric| metric.material);
        let is_worse = |telling: &Metric| worse.clone().any(|it| it.is(telling));
        let words = match telling {
            Some(telling) => self.guard_words(guard, telling, log_for, alarmed, is_worse(telling)),
            None => "more traces, to know which calls and operations there are".to_owned(),
        };
        let mut worse: Vec<Check> = worse.map(|metric| metric.check).collect();
        // Latency over all traces and of operations is one check, and stands together.
        worse.dedup();
        GuardEvidence {
            guard,
            metric: None,
            log_against: clamp_log(self.log_weighted(own(), &[guard]) - log_weight),
            log_threshold_against: clamp_log(-libm::log(self.config.false_alarm) - log_weight),
            log_for,
            log_threshold_for,
            proved: log_for.is_some_and(|log_for| log_for >= log_threshold_for),
            worse,
            alarmed,
            candidate: telling.map(|it| it.candidate).unwrap_or_default(),
            active: telling.map(|it| it.active).unwrap_or_default(),
            words,
        }
    }

    fn guard_words(
        &self,
        guard: Guard,
        telling: &Metric,
        log_for: Option<f64>,
        alarmed: bool,
        is_worse: bool,
    ) -> String {
        let mut parts = vec![self.metric_words(telling)];
        parts.push(words::likelier(telling.log_against));
        if alarmed {
            parts.push("more than the plan tolerates".to_owned());
            return parts.join("; ");
        }
        if is_worse && !telling.material {
            parts.push("the difference is real, and within what the plan tolerates".to_owned());
        }
        match log_for.map(|log_for| self.missing(guard, log_for)) {
            Some(Missing::Nothing) => parts.push("proved to be within what the plan tolerates".to_owned()),
            Some(Missing::Line(line)) => parts.push(format!("promotion needs {line}")),
            None => {}
        }
        parts.join("; ")
    }

    /// The metric's counts in words.
    pub(crate) fn metric_words(&self, metric: &Metric) -> String {
        let (candidate, active) = (metric.candidate, metric.active);
        let share = |counts: Counts| format!("{} of {}", words::percent(counts.share()), words::traces(counts.traces));
        match metric.check {
            Check::External => external::words(self, metric),
            Check::BlindSpot => self.blind_spot_words(),
            Check::Slow | Check::SlowOperation | Check::SlowCall | Check::MoreCalls => {
                let Some(us) = self.active_quantile_us(metric) else {
                    return "the active environment's quantiles are not known yet".to_owned();
                };
                let of_traces = metric.operation.as_ref().map(ToString::to_string);
                let of = of_traces.or_else(|| Some(words::subject_words(metric.subject.as_ref()?)));
                let of = of.map_or(String::new(), |of| format!("{of}: "));
                let beyond = match metric.check {
                    Check::MoreCalls => format!("more than {} in a trace", words::calls(us)),
                    _ => format!("slower than {}", words::microseconds(us)),
                };
                format!("{of}{beyond}: candidate {}, active {}", share(candidate), share(active))
            }
            check if Guard::of(check) == Guard::Findings && candidate.events == 0 && active.events == 0 => {
                format!("none in {} of the candidate", words::traces(candidate.traces))
            }
            check => format!("{}: candidate {}, active {}", check.words(), share(candidate), share(active)),
        }
    }

    /// The active environment's plan quantile in microseconds, once it is known.
    fn active_quantile_us(&self, metric: &Metric) -> Option<f64> {
        let guards = &self.config.guards;
        let terms = match (metric.guard, &metric.operation) {
            (Guard::Latency, None) => Terms::over_all(guards.latency.as_ref()?),
            (Guard::Latency, Some(_)) => operation::terms(guards.latency.as_ref()?),
            (_, _) => operation::terms(guards.service_latency.as_ref()?),
        };
        Some(self.latency_of(metric)?.judging()?.quantile_us(&terms))
    }

    /// The latency that the metric is of: of all traces, of an operation's, or of a service.
    pub(crate) fn latency_of(&self, metric: &Metric) -> Option<&LatencyMetric> {
        match (Timing::of(metric.check), &metric.operation) {
            (Some(timing), _) => self.services.as_ref()?.book(timing).latency_of(metric.subject.as_ref()?),
            (None, Some(root)) => self.operations.latency_of(root),
            (None, None) => self.latency.as_ref(),
        }
    }

    fn blind_spot_words(&self) -> String {
        let (blind, unseen) = (culprit::significantly_blind(self).len(), self.blind_spots.tracked.len());
        let overflow = match self.blind_spots.overflow {
            0 => String::new(),
            overflow => format!(", and {} times one that there was no room for", words::grouped(overflow)),
        };
        match (blind, unseen) {
            (0, 0) => "nothing went unseen".to_owned(),
            (0, _) => format!("nothing is blind; {unseen} operations or edges went unseen at times{overflow}"),
            (_, _) => format!("{blind} operations or edges are blind, of {unseen} that went unseen at times{overflow}"),
        }
    }

    /// ln of the evidence for a guard that promotion needs: the weakest of its metrics.
    fn log_for(&self, guard: Guard) -> Option<f64> {
        match guard {
            Guard::SpanLoss => self.loss_proof.as_ref().map(|proof| proof.log_for()),
            Guard::ErrorRate => self.error_proofs.values().map(|proof| proof.log_for()).reduce(f64::min),
            Guard::Latency => self.latency.as_ref().map(LatencyMetric::log_for),
            Guard::ServiceLatency | Guard::BlindSpots | Guard::Findings | Guard::Metrics => None,
        }
    }

    /// What the guard still needs for a pass.
    fn missing(&self, guard: Guard, log_for: f64) -> Missing {
        let log_threshold = -libm::log(self.config.false_promotion);
        if log_for >= log_threshold {
            return Missing::Nothing;
        }
        Missing::Line(match guard {
            Guard::SpanLoss => self.missing_for_loss(log_threshold),
            Guard::ErrorRate => self.missing_for_errors(log_threshold),
            Guard::Latency => self.missing_for_latency(log_for, log_threshold),
            Guard::ServiceLatency | Guard::BlindSpots | Guard::Findings | Guard::Metrics => return Missing::Nothing,
        })
    }

    fn missing_for_loss(&self, log_threshold: f64) -> String {
        match self.loss_proof.as_ref().and_then(|proof| proof.clean_traces_needed(log_threshold)) {
            Some(needed) => format!("{} more traces of the candidate without a loss", words::grouped(needed)),
            None => "a tolerance above 0 %: that nothing is ever lost cannot be proved".to_owned(),
        }
    }

    fn missing_for_errors(&self, log_threshold: f64) -> String {
        let Some(guard) = &self.config.guards.error_rate else { return String::new() };
        let candidate_share = if self.candidate_share > 0.0 { self.candidate_share } else { 0.5 };
        let more = |rate: &Rate, log_for: f64| {
            let base = rate.recent.active_share();
            let margin = guard.worse_than_active_by;
            // The active environment takes no part once the candidate has all traffic.
            let comparable = candidate_share.min(0.99);
            let total = traces_to_prove_rate(base, margin, comparable, self.config.false_promotion) * candidate_share;
            total * (1.0 - log_for / log_threshold).clamp(0.0, 1.0)
        };
        let pairs = self.error_proofs.iter().filter_map(|(check, proof)| Some((self.rates.get(check)?, proof)));
        let most = pairs.map(|(rate, proof)| more(rate, proof.log_for())).fold(0.0, f64::max);
        match most.is_finite() {
            true => {
                format!("about {} more traces of the candidate at the active environment's rate", words::about(most))
            }
            false => "a margin above 0 %: that the rates are equal cannot be proved".to_owned(),
        }
    }

    fn missing_for_latency(&self, log_for: f64, log_threshold: f64) -> String {
        match &self.latency {
            Some(LatencyMetric::Judging(judging)) if log_for > log_threshold * TELLING_PART => {
                let more = judging.candidate.traces as f64 * (log_threshold / log_for - 1.0);
                format!("about {} more traces of the candidate", words::about(more))
            }
            Some(LatencyMetric::Judging(_)) => {
                "more traces of the candidate; how many cannot be told from so few".to_owned()
            }
            Some(LatencyMetric::Collecting(collected)) => format!(
                "{} more traces of the active environment, to know its quantiles, and then traces of both",
                words::grouped(TRACES_TO_FREEZE.saturating_sub(collected.traces()))
            ),
            None => String::new(),
        }
    }
}

/// The part of a proof that must be there before its pace says how long the rest will take.
const TELLING_PART: f64 = 0.1;
