use crate::assignment::Assignment;
use crate::blind_spot::BlindSpotBook;
use crate::config::{Config, Guard};
use crate::external::External;
use crate::latency::{Latencies, LatencyMetric, Terms};
use crate::odds::{Counts, Split};
use crate::operation::{RootOperations, Services};
use crate::rate::{DifferenceProof, Rate, ShareProof, Tolerance};
use crate::words::subject_words;
use model::{ArmCounts, BasisPoints, Check, Environment, Observation, PerEnvironment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Traces that one batch of 1 to 6 s can have in one environment; more is a broken source. Far above any traffic, and
/// low enough that sums and products of counts stay exact or finite in 64 bits.
pub const MAX_TRACES_PER_BATCH: u64 = 1_000_000_000_000;

/// The judge: evidence for and against the candidate, since the rollout began.
///
/// It is a plain value. [`Judge::observe`] is deterministic, evidence is carried over steps, and [`Judge::assess`] may
/// be asked as often as one likes: the error probabilities of the [`Config`] hold for all of its answers together.
/// Deserialising needs `serde_json`'s `float_roundtrip` to be exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Judge {
    pub(crate) config: Config,
    /// The last batch that was taken.
    last_batch: Option<u64>,
    /// Why the last batch was not used; the source must mend it.
    pub(crate) refused: Option<String>,
    /// Traces so far.
    pub(crate) traces: PerEnvironment<u64>,
    /// The least share of the traces that was verified in any batch.
    pub(crate) verified: BasisPoints,
    /// Whether traces are divided as the weight says.
    pub(crate) assignment: Assignment,
    /// The candidate's share of the traces in the last batch that had any: what is to be expected of the next.
    pub(crate) candidate_share: f64,
    /// Candidate traces with a lost span, and spans that came out of it, so far: what a blind spot can explain.
    pub(crate) candidate_lossy: Counts,
    pub(crate) candidate_spans_out: u64,
    pub(crate) rates: BTreeMap<Check, Rate>,
    pub(crate) loss_proof: Option<ShareProof>,
    pub(crate) error_proofs: BTreeMap<Check, DifferenceProof>,
    pub(crate) latency: Option<LatencyMetric>,
    pub(crate) operations: RootOperations,
    /// Where the plan guards it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) services: Option<Services>,
    pub(crate) blind_spots: BlindSpotBook,
    /// The metrics from outside, as the configuration has them and in its order.
    pub(crate) externals: Vec<External>,
}

impl Judge {
    /// What the state is as JSON, at most, in bytes. A number takes at most 25 with its comma. 9 rates have 3 processes of 17
    /// numbers, a likelihood of 48 and 20 more: 27,000 bytes. Latency has 9 thresholds of 27 numbers, 48 and some 40 for
    /// proofs and sums: 9,000, or, before its quantiles are known, 521 buckets of 28 bytes: 15,000; so have the 8 operations,
    /// with a name of 400 each: 124,000, and the 16 timings of services: 245,000. 64 weights of 100 bytes, 128 blind-spot subjects of at most 1,000, and a plan's 16
    /// metrics from outside, each as a rate and with its source's reason: 90,000.
    pub const MAX_STATE_BYTES: usize = 640 * 1024;

    /// Traces judged so far, in each environment.
    pub fn traces(&self) -> PerEnvironment<u64> {
        self.traces
    }

    /// A judge that has seen nothing.
    pub fn new(config: Config) -> Judge {
        let guards = &config.guards;
        let counted = [Guard::SpanLoss, Guard::ErrorRate, Guard::Findings].into_iter();
        let rates = counted.filter(|guard| guards.has(*guard)).flat_map(|guard| guard.checks());
        let error_proof = |margin| Guard::ErrorRate.checks().iter().map(move |it| (*it, DifferenceProof::new(margin)));
        Judge {
            last_batch: None,
            refused: None,
            traces: PerEnvironment::default(),
            verified: BasisPoints::ALL,
            assignment: Assignment::default(),
            candidate_share: 0.0,
            candidate_lossy: Counts::default(),
            candidate_spans_out: 0,
            rates: rates.map(|check| (*check, Rate::new())).collect(),
            loss_proof: guards.span_loss.as_ref().map(|guard| ShareProof::new(guard.at_most)),
            error_proofs: guards.error_rate.iter().flat_map(|guard| error_proof(guard.worse_than_active_by)).collect(),
            latency: guards.latency.as_ref().map(|_| LatencyMetric::new()),
            operations: RootOperations::default(),
            services: guards.service_latency.as_ref().map(|_| Services::default()),
            blind_spots: BlindSpotBook::default(),
            externals: guards.metrics.iter().map(External::new).collect(),
            config,
        }
    }

    /// Takes one batch. A batch that is not newer than the last one is ignored, so that replaying is harmless; one
    /// whose counts cannot be is left out, and makes the verdict an Error until a good one comes.
    ///
    /// `weight` is the candidate's share of new traces if one weight alone was in force for the whole of the batch, for
    /// traces pinned by an earlier one as well; `None` while it changed, and while the candidate had copies. The split of
    /// the batch's traces is held against it.
    pub fn observe(&mut self, observation: &Observation, weight: Option<BasisPoints>) {
        if self.last_batch.is_some_and(|last| observation.batch <= last) || self.config.problem().is_some() {
            return;
        }
        self.last_batch = Some(observation.batch);
        self.refused = inconsistency(observation);
        if self.refused.is_some() {
            return;
        }
        let hazard = self.config.hazard();
        let candidate = self.config.candidate;
        let arms = &observation.arms;
        self.verified = self.verified.min(observation.verified);
        for environment in Environment::BOTH {
            self.traces[environment] = self.traces[environment].saturating_add(arms[environment].traces);
        }
        if observation.traces() > 0 {
            self.candidate_share = arms[candidate].traces as f64 / observation.traces() as f64;
        }
        if let Some(weight) = weight {
            self.assignment.observe(arms, candidate, weight);
        }
        self.candidate_lossy.add(counts(&arms[candidate], Check::LostSpan));
        self.candidate_spans_out = self.candidate_spans_out.saturating_add(arms[candidate].spans_out);
        self.observe_rates(arms, hazard);
        if let (Some(latency), Some(guard)) = (&mut self.latency, &self.config.guards.latency) {
            let [of_candidate, of_active] = [candidate, candidate.other()].map(|it| Latencies::from(&arms[it]));
            latency.observe(of_candidate, of_active, &Terms::over_all(guard), hazard);
            let batch = observation.operations.iter().map(|operation| {
                let of = |environment| Latencies::from(&operation.latency[environment]);
                (&operation.root, PerEnvironment::from_fn(of))
            });
            self.operations.observe(batch, RootOperations::room(), candidate, guard, hazard);
        }
        if let (Some(services), Some(guard)) = (&mut self.services, &self.config.guards.service_latency) {
            services.observe(&observation.services, candidate, guard, hazard);
        }
        let alone = arms[candidate.other()].traces == 0;
        let candidate_traces = self.traces[candidate];
        self.blind_spots.observe(&observation.blind_spots, candidate, candidate_traces, alone, hazard);
    }

    /// Forgets how traces were divided so far, for a person has seen that the split was broken and goes on. Nothing else
    /// is forgotten.
    pub fn watch_assignment_anew(&mut self) {
        self.assignment = Assignment::default();
    }

    /// What it judges by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same evidence, held against other probabilities of a false alarm and a false promotion: evidence is collected
    /// whatever they are. What the guards tolerate cannot be changed afterwards.
    pub fn with_probabilities(&self, false_alarm: f64, false_promotion: f64) -> Judge {
        let config = Config { false_alarm, false_promotion, ..self.config.clone() };
        Judge { config, ..self.clone() }
    }

    fn observe_rates(&mut self, arms: &PerEnvironment<ArmCounts>, hazard: f64) {
        let candidate = self.config.candidate;
        for (check, rate) in &mut self.rates {
            let split =
                Split { candidate: counts(&arms[candidate], *check), active: counts(&arms[candidate.other()], *check) };
            let Some(tolerance) = tolerance(&self.config, *check) else { continue };
            if let Some(proof) = self.loss_proof.as_mut().filter(|_| *check == Check::LostSpan) {
                proof.observe(split.candidate);
            }
            if let Some(proof) = self.error_proofs.get_mut(check) {
                proof.observe(&split, &rate.recent);
            }
            rate.observe(&split, tolerance, hazard);
        }
    }
}

/// What the plan tolerates of a check that is a rate; `None` for one that is not, or that the plan does not guard.
pub(crate) fn tolerance(config: &Config, check: Check) -> Option<Tolerance> {
    let guards = &config.guards;
    match Guard::of(check) {
        Guard::SpanLoss => guards.span_loss.as_ref().map(|guard| Tolerance::Share(guard.at_most)),
        Guard::ErrorRate => guards.error_rate.as_ref().map(|guard| Tolerance::Difference(guard.worse_than_active_by)),
        Guard::Findings => guards.findings.as_ref().map(|guard| Tolerance::Difference(guard.worse_than_active_by)),
        Guard::BlindSpots | Guard::Latency | Guard::ServiceLatency | Guard::Metrics => None,
    }
}

fn counts(arm: &ArmCounts, check: Check) -> Counts {
    Counts { traces: arm.traces, events: arm.events(check) }
}

/// What in an observation cannot be, for a person.
fn inconsistency(observation: &Observation) -> Option<String> {
    let batch = observation.batch;
    for environment in Environment::BOTH {
        let arm = &observation.arms[environment];
        let timed = Latencies::from(arm).traces();
        let most = arm.traces.max(timed).max(arm.assigned);
        if most > MAX_TRACES_PER_BATCH {
            return Some(format!(
                "batch {batch} has {most} traces in {environment}; expected at most {MAX_TRACES_PER_BATCH}"
            ));
        }
        for operation in &observation.operations {
            let traces = Latencies::from(&operation.latency[environment]).traces();
            if traces > timed {
                return Some(format!(
                    "batch {batch} has {traces} timed traces of {} among {timed} in {environment}; expected at most as \
                     many as there are",
                    operation.root
                ));
            }
        }
        for service in &observation.services {
            let counted = service.time_us[environment].count();
            let calls = service.calls.as_ref().map_or(counted, |calls| calls[environment].count());
            if counted > arm.traces || calls != counted {
                return Some(format!(
                    "batch {batch} has {counted} traces with times of {} and {calls} with numbers of it among {} in \
                     {environment}; expected as many of both, and at most as many as there are",
                    subject_words(&service.subject),
                    arm.traces
                ));
            }
        }
        for (check, events) in &arm.events {
            if *events > arm.traces {
                return Some(format!(
                    "batch {batch} has {events} traces with {} among {} traces in {environment}; \
                     expected at most as many as there are",
                    check.words(),
                    arm.traces
                ));
            }
        }
        for spot in &observation.blind_spots {
            let (traces, unseen) = (spot.traces[environment], spot.unseen[environment]);
            let (traces_ever, unseen_ever) = (spot.traces_ever[environment], spot.unseen_ever[environment]);
            if unseen > traces || unseen_ever > traces_ever || traces > MAX_TRACES_PER_BATCH {
                return Some(format!(
                    "batch {batch} has {unseen} of {traces} traces ({unseen_ever} of {traces_ever} ever) in which a \
                     blind-spot subject went unseen in {environment}; expected at most as many as there are"
                ));
            }
        }
    }
    None
}
