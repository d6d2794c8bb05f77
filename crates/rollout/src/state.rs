//! Where a rollout stands.

use crate::acceptance::SignedOff;
use crate::canary::Canaries;
use crate::configuration::Configuration;
use crate::event::{Cause, HoldReason, Outcome, RolloutId};
use crate::evidence_root::EvidenceRoot;
use crate::found::Group;
use crate::leak::Leaks;
use crate::plan::{GateName, Plan};
use crate::principal::Principal;
use crate::steady::SteadyWeights;
use judge::{Assessment, Judge, NoiseFloor};
use model::{
    BasisPoints, BlindSpotCount, GateVerdict, Observation, PerEnvironment, Reading, RootOperation, RouteTable,
    SlowTrace, Subject, UnixMillis,
};
use serde::{Deserialize, Serialize};

/// Everything that the next decision depends on. Its JSON is compared by the simulation, and never persisted: after a
/// crash it is what replaying the records gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    /// The rollout's name.
    pub rollout: RolloutId,
    /// What is to happen.
    pub plan: Plan,
    /// What approvals bind to.
    pub plan_digest: String,
    /// The origin of the ledger that it stands in.
    pub log: String,
    /// Who started it.
    pub started_by: Principal,
    /// When.
    pub started_at: UnixMillis,
    /// When the rollback or the promotion was decided.
    pub decided_at: Option<UnixMillis>,
    /// The step that was entered last; index into the plan's steps.
    pub reached: usize,
    /// Where it stands.
    pub phase: Phase,
    /// The table that was ordered last.
    pub table: RouteTable,
    /// The generation and weight that the gateway applied last.
    pub observed: Option<(u64, BasisPoints)>,
    /// The table that the gateway applied last, also before a restart.
    pub standing: Option<RouteTable>,
    /// Since when the gateway remembers which traces are in flight: it began to with this rollout's first table, and
    /// forgot them if it started again.
    pub pins_since: Option<UnixMillis>,
    /// The gateway's count of torn traces when it was told last. It counts over all rollouts, and from 0 when it starts.
    pub torn_told: Option<u64>,
    /// Traces torn by this rollout's rollback.
    pub torn: u64,
    /// When one weight alone decided where new traces go, the oldest first.
    pub steady: SteadyWeights,
    /// The evidence; carried over steps, and never reset but where the measurement that it was made from was broken.
    pub judge: Judge,
    /// The evidence that blue differs from itself, from the batches that came while green had only copies.
    pub noise: NoiseFloor,
    /// What the judge said last.
    pub assessment: Option<Assessment>,
    /// When the last observation came; the start, a restart and a shift count as one.
    pub heard_at: UnixMillis,
    /// Observations so far.
    pub observations: u64,
    /// What was found so far, grouped; bounded by [`State::MAX_FINDINGS`].
    pub findings: Vec<Group>,
    /// Operations and edges of which a trace went unseen so far; bounded by [`State::MAX_FINDINGS`].
    pub blind_spots: Vec<BlindSpotCount>,
    /// The slowest trace of green in the last observation that had one.
    pub slowest: Option<SlowTrace>,
    /// The same of each root operation; bounded by [`MAX_OPERATIONS_PER_OBSERVATION`](model::MAX_OPERATIONS_PER_OBSERVATION),
    /// as the judge's are.
    pub slowest_of: Vec<(RootOperation, SlowTrace)>,
    /// The same of each call and operation of a service; bounded as the judge's are.
    pub slowest_in: Vec<(Subject, SlowTrace)>,
    /// The configurations as they were read last; none before they were.
    pub configurations: Option<PerEnvironment<Configuration>>,
    /// What gates and verdicts rested on so far.
    pub evidence: EvidenceRoot,
    /// Who approved; at most as many as there are principals, for each approves once.
    pub approvals: Vec<Approval>,
    /// Whether the approval gate was passed.
    pub approved: bool,
    /// Who approved the point of no return; at most as many as there are principals.
    pub point_approvals: Vec<Approval>,
    /// The step of the point of no return, once it is passed: index into the plan's steps. From then on nothing rolls back
    /// by itself.
    pub past_return: Option<usize>,
    /// Guards that held the rollout past that point and after which a person resumed; each once.
    pub gone_past: Vec<String>,
    /// Why what was approved is not what is there, if the gate was passed before.
    pub void: Option<String>,
    /// The emergency in which one approval passed the gate.
    pub glass: Option<BrokenGlass>,
    /// The last word of each tester; at most as many as the plan names.
    pub sign_offs: Vec<SignedOff>,
    /// How many times a gate was run.
    pub gate_runs: u32,
    /// When the drift guard runs next, and the run that is under way.
    pub drift_guard: Option<DriftGuardState>,
    /// What became of the canaries.
    pub canaries: Canaries,
    /// What the search for sensitive values found.
    pub leaks: Leaks,
    /// The metrics from outside, in the plan's order.
    pub metrics: Vec<MetricState>,
}

impl State {
    /// Groups of findings kept; a group more is left out, for the first ones name the cause.
    pub const MAX_FINDINGS: usize = 200;

    /// Whether it has ended, and how.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Ended { outcome, .. } => Some(outcome),
            Phase::Progressing { .. } | Phase::RollingBack { .. } | Phase::Promoting { .. } => None,
        }
    }

    /// Whether the present step waits for approvals of the point of no return, which those are not void for that came before.
    pub fn waits_at_point(&self) -> bool {
        let at = matches!(self.phase, Phase::Progressing { stage: Stage::PointOfNoReturn, .. });
        at && self.void.is_none()
    }

    /// Whether the candidate has only copies: then blue is compared with itself.
    pub fn compares_blue_with_itself(&self) -> bool {
        self.table.mirror && self.table.weight == BasisPoints::ZERO
    }

    /// What of an observation is to be recorded: what no decision depends on would only make the ledger longer.
    pub fn recorded(&self, mut observation: Observation) -> Observation {
        if !self.compares_blue_with_itself() {
            observation.blue_half = None;
        }
        observation
    }

    /// Whether blue was found to differ from itself, and nobody has said since that it is mended.
    pub fn measurement_is_broken(&self) -> bool {
        let Phase::Progressing { halt: Some(Halt::Held { reason, .. }), .. } = &self.phase else { return false };
        matches!(reason, HoldReason::MeasurementBroken { .. })
    }

    /// Whether the candidate gets any traffic, its own or copies.
    pub fn candidate_has_traffic(&self) -> bool {
        self.table.weight > BasisPoints::ZERO || self.table.mirror
    }
}

/// An approval that counted when it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// From then on it does not count; an approval that the gate was passed with is not needed any more.
    pub expires_at: UnixMillis,
    /// Whether it passes the gate alone.
    pub breaks_glass: bool,
}

/// One approval passed the gate alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokenGlass {
    /// Whose it was.
    pub by: String,
    /// Why nobody else could approve.
    pub reason: String,
    /// When.
    pub at: UnixMillis,
    /// Until then somebody else must review it.
    pub review_until: UnixMillis,
    /// Whether a record says that nobody did.
    pub overdue: bool,
    /// Who did.
    pub review: Option<Review>,
}

/// Somebody looked at what was done when the glass was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// Who.
    pub by: String,
    /// When.
    pub at: UnixMillis,
}

/// The drift gate as a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftGuardState {
    /// When it is due.
    pub due: UnixMillis,
    /// The run under way and when it is given up.
    pub running: Option<(u32, UnixMillis)>,
}

/// A metric from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricState {
    /// Its name.
    pub metric: String,
    /// The reading that the next one is held against, and when it came; none where the next one only begins.
    pub before: Option<(Reading, UnixMillis)>,
    /// Readings before this begin no batch.
    pub begins: UnixMillis,
    /// When anything was heard of it last; the start and a restart count as that.
    pub heard_at: UnixMillis,
    /// Why its source fails, if it does.
    pub failing: Option<String>,
}

impl MetricState {
    pub(crate) fn new(metric: &str, now: UnixMillis) -> MetricState {
        MetricState { metric: metric.to_owned(), before: None, begins: now, heard_at: now, failing: None }
    }
}

/// The life of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Phase {
    /// On its way through the steps.
    Progressing {
        /// Index into the plan's steps.
        step: usize,
        /// What the step does now.
        stage: Stage,
        /// Why it stands still, if it does.
        halt: Option<Halt>,
    },
    /// The table that sends everything back is ordered.
    RollingBack {
        /// Why.
        cause: Cause,
        /// The generation that must be applied.
        generation: u64,
    },
    /// The table that makes the candidate active is ordered.
    Promoting {
        /// The generation that must be applied.
        generation: u64,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: UnixMillis,
    },
}

/// What the present step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// Waits for the gateway to apply a generation.
    Shifting {
        /// Which.
        generation: u64,
        /// When it is given up.
        until: UnixMillis,
    },
    /// Waits for a gate's runner.
    Gate {
        /// Which gate.
        gate: GateName,
        /// Which run.
        run: u32,
        /// When it is given up.
        until: UnixMillis,
        /// How it ended, and why; a pause can keep the rollout from acting upon it.
        ended: Option<(GateVerdict, Vec<String>)>,
    },
    /// Waits until the gateway knows the traces in flight, so that the shift tears none.
    Settling {
        /// When it is given up, if the gateway never says that it remembers traces.
        until: UnixMillis,
    },
    /// Waits for people.
    Approval,
    /// Waits for testers, whose traffic goes to the candidate.
    Acceptance,
    /// Waits for people to approve that a rollback is not safe from here on.
    PointOfNoReturn,
    /// Copies go to the candidate.
    Mirroring {
        /// Until then.
        until: UnixMillis,
    },
    /// Waits for a verdict.
    Analysing {
        /// When the step began: only batches assigned from here on show it.
        since: UnixMillis,
        /// Such batches with traces of the candidate, so far.
        batches: u32,
        /// Until then.
        until: UnixMillis,
        /// How many times that was extended.
        extended: u32,
    },
    /// Waits for time, or for a person.
    Pausing {
        /// Until then, or until somebody resumes.
        until: Option<UnixMillis>,
    },
    /// Watches the candidate serve everything.
    Baking {
        /// Until then.
        until: UnixMillis,
        /// How many times that was extended.
        extended: u32,
    },
}

/// Why the steps do not advance. Guards go on all the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Halt {
    /// An operator paused.
    Paused {
        /// Who.
        by: String,
        /// Since when.
        since: UnixMillis,
    },
    /// It cannot go on by itself.
    Held {
        /// Why.
        reason: HoldReason,
        /// Since when.
        since: UnixMillis,
    },
}
