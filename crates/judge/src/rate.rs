//! A metric that counts traces with an event: evidence that the candidate is worse, its size, and proofs that it is
//! not.

use crate::effect::{Effect, OddsLikelihood, share_effect};
use crate::odds::{Counts, Split, log_e, log_e_below_last, log_e_share, tilt};
use crate::process::{Process, Proof, log_mean};
use crate::recent::{Estimate, Recent, RecentBatch};
use serde::{Deserialize, Serialize};

/// Odds ratios that R looks for, equally weighted.
pub(crate) const PSI: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Shares that an absolute proof takes the truth to be, as parts of what is tolerated.
const PROOF_PARTS: [f64; 5] = [0.0, 0.03, 0.1, 0.3, 0.6];

/// How many odds ratios NI hopes for.
pub(crate) const NOT_WORSE: usize = 4;

/// NI: ln of the e-values against an odds ratio of `psi0`, above 1, or more.
pub(crate) fn log_e_not_worse(split: &Split, psi0: f64) -> [f64; NOT_WORSE] {
    let [a, b, c, d, _] = log_e_below_last(split, &[0.3, 0.6, 1.0, psi0.sqrt(), psi0]);
    [a, b, c, d]
}

/// "At most 100 %" holds always; a bound of 1 has no odds, so that it is proved as this.
const HIGHEST_BOUND: f64 = 0.999_999;

/// ln 20: what is claimed with it is wrong once in twenty candidates, however often one looks. It never fails a candidate
/// by itself: the evidence that it is worse at all must alarm too.
pub(crate) const LOG_SURE: f64 = 2.995_732_273_553_991;

/// Events of the active environment from which on its share is known well enough to prove a difference of odds with.
const ACTIVE_EVENTS_TO_COMPARE: f64 = 5.0;

/// What the plan tolerates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tolerance {
    /// The candidate's share of traces may be this, whatever the active environment's is.
    Share(f64),
    /// The candidate's share may be above the active environment's by this.
    Difference(f64),
}

impl Tolerance {
    pub(crate) fn share(self) -> f64 {
        match self {
            Tolerance::Share(share) | Tolerance::Difference(share) => share,
        }
    }

    /// Whether the estimate is beyond it.
    pub(crate) fn exceeded(self, estimate: &Estimate) -> bool {
        match self {
            Tolerance::Share(share) => estimate.candidate > share,
            Tolerance::Difference(difference) => estimate.candidate - estimate.active > difference,
        }
    }
}

/// Evidence that the candidate is worse, over the life of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rate {
    /// R, in batches that have both environments.
    compared: Process,
    /// The one-sample form against what the active environment had before, in batches without it (the bake).
    alone: Process,
    /// The one-sample form against what the plan tolerates, with or without the active environment: whether a gross
    /// difference is already beyond it, long before the recent share has forgotten the time before its onset.
    beyond: Process,
    /// How large the difference is, in batches that have both environments.
    odds: OddsLikelihood,
    /// The candidate's, in batches without the active environment.
    unaccompanied: Counts,
    pub(crate) recent: Recent,
    /// Everything so far: shown to people, never decided with.
    pub(crate) candidate: Counts,
    pub(crate) active: Counts,
}

impl Rate {
    pub(crate) fn new() -> Rate {
        Rate {
            compared: Process::new(PSI.len()),
            alone: Process::new(PSI.len()),
            beyond: Process::new(PSI.len()),
            odds: OddsLikelihood::new(),
            unaccompanied: Counts::default(),
            recent: Recent::default(),
            candidate: Counts::default(),
            active: Counts::default(),
        }
    }

    pub(crate) fn observe(&mut self, split: &Split, tolerance: Tolerance, hazard: f64) {
        if split.candidate.traces > 0 && split.active.traces > 0 {
            self.compared.update(&log_e(split, &PSI), hazard);
            self.odds.update(split);
        } else if split.candidate.traces > 0 {
            let upper = self.recent.active_share_upper();
            let tolerated = match tolerance {
                Tolerance::Share(share) => share.max(upper),
                Tolerance::Difference(difference) => upper + difference,
            };
            self.alone.update(&log_e_alone(split.candidate, tolerated, &PSI), hazard);
            self.unaccompanied.add(split.candidate);
        }
        let most = match tolerance {
            Tolerance::Share(share) => share,
            Tolerance::Difference(difference) => self.recent.active_share_upper() + difference,
        };
        if split.candidate.traces > 0 && most < 1.0 {
            self.beyond.update(&log_e_alone(split.candidate, most, &PSI), hazard);
        }
        self.recent.update(RecentBatch::from(split), tolerance.share());
        self.candidate.add(split.candidate);
        self.active.add(split.active);
    }

    /// Whether the candidate is beyond what is tolerated: its recent share is, or that much is sure to one in twenty.
    pub(crate) fn is_material(&self, tolerance: Tolerance) -> bool {
        tolerance.exceeded(&self.recent.estimate(tolerance.share())) || self.beyond.log_evidence() >= LOG_SURE
    }

    /// ln of the evidence that the candidate is worse.
    pub(crate) fn log_against(&self) -> f64 {
        log_mean(&[self.compared.log_evidence(), self.alone.log_evidence()])
    }

    /// How large the difference is, by the part of the evidence that says more. `weight` is the metric's.
    pub(crate) fn effect(&self, weight: f64) -> Effect {
        match self.compared.log_evidence() >= self.alone.log_evidence() {
            true => self.odds.effect(weight),
            false => share_effect(self.unaccompanied, weight),
        }
    }
}

/// ln e of a batch without active traffic, H0: share at most `p`, for alternatives of `psi` times its odds.
pub(crate) fn log_e_alone<const N: usize>(counts: Counts, p: f64, psi: &[f64; N]) -> [f64; N] {
    log_e_share(counts, p, &psi.map(|psi| tilt(p, psi)))
}

/// Proof that the candidate's share is below a bound, whatever the active environment does (H0: share >= bound).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ShareProof {
    bound: f64,
    proof: Proof,
}

impl ShareProof {
    pub(crate) fn new(bound: f64) -> ShareProof {
        ShareProof { bound: bound.min(HIGHEST_BOUND), proof: Proof::new(PROOF_PARTS.len()) }
    }

    pub(crate) fn observe(&mut self, candidate: Counts) {
        self.proof.update(&self.log_e(candidate));
    }

    fn log_e(&self, counts: Counts) -> [f64; PROOF_PARTS.len()] {
        log_e_share(counts, self.bound, &PROOF_PARTS.map(|part| part * self.bound))
    }

    pub(crate) fn log_for(&self) -> f64 {
        self.proof.log_evidence()
    }

    /// Traces without an event that are still needed to reach `log_threshold`; `None` if no number of them would do.
    pub(crate) fn clean_traces_needed(&self, log_threshold: f64) -> Option<u64> {
        let reached =
            |traces: u64| self.proof.log_evidence_after(&self.log_e(Counts { traces, events: 0 })) >= log_threshold;
        // Doubling to 2^40, more traces than a rollout can see, then bisection: at most 80 evaluations.
        let enough = (0..=40).map(|power| 1 << power).find(|traces| reached(*traces))?;
        let (mut too_few, mut enough) = (0, enough);
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if reached(middle) { enough = middle } else { too_few = middle }
        }
        Some(if reached(0) { 0 } else { enough })
    }
}

/// Proof that the candidate's share is less than `margin` above the active environment's (H0: p_g >= p_b + margin).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DifferenceProof {
    margin: f64,
    /// p_g >= p_b + margin implies p_g >= margin, which needs no active environment.
    absolute: ShareProof,
    /// NI, from the batch on in which the active environment's share is known.
    compared: Proof,
}

impl DifferenceProof {
    pub(crate) fn new(margin: f64) -> DifferenceProof {
        DifferenceProof { margin, absolute: ShareProof::new(margin), compared: Proof::new(NOT_WORSE) }
    }

    /// Takes one batch. `before` is what was known of the active environment before it, so that psi0 does not depend on
    /// the batch that it judges.
    pub(crate) fn observe(&mut self, split: &Split, before: &Recent) {
        self.absolute.observe(split.candidate);
        let upper = before.active_share_upper();
        let worse = upper + self.margin;
        if before.active_events() < ACTIVE_EVENTS_TO_COMPARE || worse >= 1.0 {
            return;
        }
        // The ratio of odds falls as the active share rises, so the upper end of what that share may be is the
        // conservative side.
        let psi0 = (worse / (1.0 - worse)) / (upper / (1.0 - upper));
        if psi0 > 1.0 {
            self.compared.update(&log_e_not_worse(split, psi0));
        }
    }

    pub(crate) fn log_for(&self) -> f64 {
        log_mean(&[self.absolute.log_for(), self.compared.log_evidence()])
    }
}

impl From<&Split> for RecentBatch {
    fn from(split: &Split) -> RecentBatch {
        RecentBatch {
            candidate_traces: split.candidate.traces as f64,
            candidate_events: split.candidate.events as f64,
            active_traces: split.active.traces as f64,
            active_events: split.active.events as f64,
        }
    }
}
